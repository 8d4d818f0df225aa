"""The log for people: one row for each attempt, without payloads and secrets, and what is kept how long."""

import time

import pytest

import frappe
from frappe.utils import add_days, now_datetime

from integration_hub import tasks
from integration_hub.tests import expect
from integration_hub.tests.factories import line, order, unique

CARD = "4111 1111 1111 1111"
LOG = "Integration Request"


def test_one_row_for_each_attempt(systems, site, factory):
	shop = systems.new()
	code = unique("HT-LATER")
	body = order(lines=[line(item_code=code)], note=CARD)
	for _attempt in range(2):
		expect.problem(shop.http.post("orders.create", body, X_Request_Id="corr-1"), 422, "unknown_item")
	factory.item(code)
	made = shop.http.post("orders.create", body, X_Request_Id="corr-2")
	assert made.status == 201
	shop.http.post("orders.create", body)
	rows = site.log_rows(shop.name)
	[request] = site.request_of(shop.name, body["external_id"])
	assert [(row.hub_attempt, row.status, row.hub_http_status, row.hub_error_code) for row in rows] == [
		(1, "Failed", 422, "unknown_item"),
		(2, "Failed", 422, "unknown_item"),
		(3, "Completed", 201, None),
	]
	for row in rows:
		assert (row.hub_request, row.hub_external_id, row.hub_direction) == (
			request.name,
			body["external_id"],
			"In",
		)
		assert row.integration_request_service == "orders.create" and row.hub_count == 1
		assert row.hub_duration_ms > 0 and row.owner == shop.user
		assert row.data is None and row.output is None and row.request_headers is None
		expect.free_of(row, CARD, shop.token.split(":")[1])
	assert [row.request_id for row in rows[:1]] == ["corr-1"]
	assert (rows[2].reference_doctype, rows[2].reference_docname) == ("Sales Order", made.order["name"])


@pytest.mark.parametrize(
	"secret",
	[
		CARD,
		"5555555555554444",
		"4111-1111-1111-1111",
		"token abcdefghij:klmnopqrst",
		"password=hunter2hunter2",
	],
)
def test_what_a_refusal_repeats_is_masked_on_record(secret, shop, hub, site):
	body = order(customer={"name": secret})
	expect.problem(hub.post("orders.create", body), 422, "unknown_customer")
	[request] = site.request_of(shop.name, body["external_id"])
	[row] = site.log_rows(shop.name, hub_request=request.name)
	for text in (secret, secret.split("=")[-1]):
		expect.free_of(row, text)
		expect.free_of({"error": request.error, "message": request.error_message}, text)


def test_a_bug_is_on_record_with_its_traceback(shop, hub, site):
	body = order()
	with site.order_refused_by_the_database(body["external_id"], errno=1644):
		answer = hub.post("orders.create", body)
	problem = expect.problem(answer, 500, "internal_error", [])
	assert problem["retryable"] is True and "1644" not in answer.content.decode()
	[request] = site.request_of(shop.name, body["external_id"])
	assert (request.status, request.error_code) == ("Failed", "internal_error")
	[row] = site.log_rows(shop.name, hub_request=request.name)
	assert "Traceback" in row.error and "said by the tests" in row.error
	assert hub.post("orders.create", body).status == 201


def test_reads_leave_a_row_only_where_asked_for(systems, site):
	quiet, loud = systems.new(), systems.new(log_reads=1)
	for shop in (quiet, loud):
		shop.http.get("system.ping", headers={"X-Request-Id": "read-1"})
	assert site.log_rows(quiet.name) == []
	[row] = site.log_rows(loud.name)
	assert (row.integration_request_service, row.hub_http_status, row.request_id) == (
		"system.ping",
		200,
		"read-1",
	)


def within_one_minute(act):
	for _try in range(10):
		minute = int(time.time()) // 60
		result = act()
		if int(time.time()) // 60 == minute:
			return result
	raise AssertionError("ten minutes ended in the middle of a few calls")


def test_refused_calls_beyond_the_limit_are_counted_in_one_row(systems, site):
	def act():
		shop = systems.new()
		for _call in range(7):
			expect.problem(shop.http.post("orders.create", b"{"), 400, "malformed_json")
		return shop

	with site.settings("Hub Settings", turned_away_rows_per_minute=3):
		shop = within_one_minute(act)
	counts = [row.hub_count for row in site.log_rows(shop.name)]
	assert sorted(counts) == [1, 1, 1, 4]


def test_strangers_leave_no_row(anonymous, site, shop):
	with expect.nothing_made("Hub Request", LOG):
		anonymous.post("orders.create", order())
		anonymous.raw(
			"GET",
			"/api/method/integration_hub.api.v1.system.ping",
			headers={"Authorization": f"{shop.token}x"},
		)


# -- retention ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def old(systems):
	return systems.new()


def made_days_ago(shop, site, days: int, status: str | None = None) -> tuple[str, dict]:
	"""Leave a request of that age in that state; None: completed, with its order."""
	body = order(lines=[line(item_code=unique("NOPE"))]) if status else order()
	shop.http.post("orders.create", body)
	[request] = site.request_of(shop.name, body["external_id"])
	values = {"modified": add_days(now_datetime(), -days), "superseded_payloads": "[]"}
	site.set_row("Hub Request", request.name, **values, **({"status": status} if status else {}))
	return request.name, body


def payload_of(name: str) -> str | None:
	frappe.db.rollback()
	return frappe.db.get_value("Hub Request", name, "payload")


def test_retention(old, site):
	with site.settings("Hub Settings", payload_retention_days=30, request_retention_days=90):
		fresh, _body = made_days_ago(old, site, 29)
		month, _body = made_days_ago(old, site, 31)
		dismissed, _body = made_days_ago(old, site, 31, "Cancelled")
		gone, gone_body = made_days_ago(old, site, 91)
		gone_dismissed, _body = made_days_ago(old, site, 91, "Cancelled")
		# A real sweep must not take these meanwhile.
		old.change(paused=1)
		unfinished = [
			made_days_ago_paused(old, site, status)
			for status in ("Failed", "Queued", "Retry Scheduled", "Processing")
		]
		tasks.purge()
		site.refresh()
		assert payload_of(fresh)
		for emptied in (month, dismissed):
			assert payload_of(emptied) is None and frappe.db.exists("Hub Request", emptied)
			assert frappe.db.get_value("Hub Request", emptied, "superseded_payloads") is None
		assert not frappe.db.exists("Hub Request", gone) and not frappe.db.exists(
			"Hub Request", gone_dismissed
		)
		assert all(payload_of(name) for name in unfinished)
		old.change(paused=0)
	# The order is still found by its id, and not made again.
	with expect.nothing_made():
		answer = old.http.post("orders.create", gone_body)
	assert answer.status == 200, answer
	for name in unfinished:
		site.set_row("Hub Request", name, status="Cancelled")


def made_days_ago_paused(shop, site, status: str) -> str:
	shop.change(paused=0)
	name, _body = made_days_ago(shop, site, 400, "Failed")
	shop.change(paused=1)
	site.set_row("Hub Request", name, status=status)
	return name


def test_zero_keeps_for_ever(old, site):
	with site.settings("Hub Settings", payload_retention_days=0, request_retention_days=0):
		name, _body = made_days_ago(old, site, 4000)
		tasks.purge()
		assert payload_of(name)
