"""What waits: Retry in the Desk, due retries, dead workers, several workers at once, and a queue without Redis."""

import json
import time

import pytest

import frappe

from integration_hub import tasks
from integration_hub.constants.roles import MANAGER
from integration_hub.tests import expect
from integration_hub.tests.factories import line, order, unique
from integration_hub.tests.stack import Http, finish, free_port
from integration_hub.tests.systems import all_scopes

MANY = "/api/method/integration_hub.integration_hub.doctype.hub_request.hub_request."


@pytest.fixture(scope="module")
def manager(people):
	return people.new(MANAGER)


def failed(shop, site, item: str, **values):
	"""Place an order that lacks an item; return its body and its request."""
	body = order(lines=[line(item_code=item)], **values)
	expect.problem(shop.http.post("orders.create", body), 422, "unknown_item")
	return body, site.request_of(shop.name, body["external_id"])[0].name


@pytest.fixture
def later():
	return unique("HT-LATER")


def attempts(site, shop, request: str) -> list[tuple]:
	return [(row.hub_attempt, row.hub_http_status) for row in site.log_rows(shop.name, hub_request=request)]


# -- Retry in the Desk ----------------------------------------------------------------------------------------------


def test_retry_runs_as_the_system_and_not_as_the_person(shop, site, factory, manager, later):
	"""The bell rings a worker of the bench; the sweep of this process does the same should there be none."""
	body, request = failed(shop, site, later)
	factory.item(later)
	answer = manager.http.press("Hub Request", request, "retry")
	assert answer.status == 200, answer
	tasks.sweep()
	row = site.wait_for_status(request, "Completed", "Failed")
	assert (row.status, row.http_status, row.retried_by) == ("Completed", 201, manager.name), row.error
	made = site.order_of(shop.name, body["external_id"])
	assert (made.owner, made.modified_by, made.docstatus) == (shop.user, shop.user, 1)
	assert attempts(site, shop, request) == [(1, 422), (2, 201)]
	assert shop.http.post("orders.create", body).headers["Idempotent-Replayed"] == "true"


def test_the_bell_is_heard_by_a_worker(shop, site, factory, manager):
	"""Long before a sweep comes; on a busy machine one ring may go unheard."""

	def heard() -> bool:
		later = unique("HT-LATER")
		_body, request = failed(shop, site, later)
		factory.item(later)
		assert manager.http.press("Hub Request", request, "retry").status == 200
		try:
			row = site.wait_for_status(request, "Completed", seconds=20)
		except AssertionError:
			return False
		assert row.attempt_no == 2
		return True

	assert any(heard() for _ring in range(3))


def test_retry_that_fails_again(shop, site, manager, later):
	_body, request = failed(shop, site, later)
	assert manager.http.press("Hub Request", request, "retry").status == 200
	tasks.sweep()
	site.wait_for(
		"the second attempt", lambda: frappe.db.get_value("Hub Request", request, "attempt_no") == 2
	)
	assert site.wait_for_status(request, "Failed").error_code == "unknown_item"


def test_only_what_rests_is_retried(hub, shop, site, manager):
	request = hub.post("orders.create", order()).message["id"]
	answer = manager.http.press("Hub Request", request, "retry")
	assert answer.status == 417 and "Completed" in answer.content.decode(), answer
	assert frappe.db.get_value("Hub Request", request, "attempt_no") == 1


def test_bulk_retry(hub, shop, site, factory, manager, later):
	requests = [failed(shop, site, later)[1] for _order in range(5)]
	done = hub.post("orders.create", order()).message["id"]
	factory.item(later)
	answer = manager.http.send("POST", f"{MANY}retry_many", {"names": json.dumps([*requests, done])})
	assert answer.status == 200, answer
	assert answer.message == {"queued": 5, "skipped": [done]}
	tasks.sweep()
	for request in requests:
		row = site.wait_for_status(request, "Completed")
		assert (row.attempt_no, row.retried_by) == (2, manager.name)


def test_dismiss_needs_a_reason(shop, site, manager, later):
	_body, request = failed(shop, site, later)
	for reason in ("", "  "):
		assert manager.http.press("Hub Request", request, "dismiss", reason=reason).status == 417
	assert manager.http.press("Hub Request", request, "dismiss", reason="Sold out").status == 200
	site.refresh()
	row = frappe.get_doc("Hub Request", request)
	assert (row.status, row.dismissed_by, row.dismiss_reason) == ("Cancelled", manager.name, "Sold out")
	answer = manager.http.press("Hub Request", request, "dismiss", reason="Again")
	assert answer.status == 417, answer


def test_bulk_dismiss(hub, shop, site, manager, later):
	requests = [failed(shop, site, later)[1] for _order in range(2)]
	done = hub.post("orders.create", order()).message["id"]
	answer = manager.http.send(
		"POST", f"{MANY}dismiss_many", {"names": [*requests, done], "reason": "Sold out"}
	)
	assert answer.message == {"dismissed": 2, "skipped": [done]}
	site.refresh()
	assert {frappe.db.get_value("Hub Request", name, "status") for name in requests} == {"Cancelled"}


def test_a_retry_that_lost_its_scope(systems, site, factory, manager, later):
	shop = systems.new()
	_body, request = failed(shop, site, later)
	factory.item(later)
	shop.change(scopes=all_scopes("orders:write"))
	assert manager.http.press("Hub Request", request, "retry").status == 200
	tasks.sweep()
	row = site.wait_for_status(request, "Failed", "Completed")
	assert (row.status, row.error_code) == ("Failed", "scope_missing")


def test_a_retry_of_a_disabled_system(systems, site, factory, manager, later):
	shop = systems.new()
	_body, request = failed(shop, site, later)
	factory.item(later)
	shop.change(enabled=0)
	assert manager.http.press("Hub Request", request, "retry").status == 200
	tasks.sweep()
	site.wait_for(
		"the second attempt", lambda: frappe.db.get_value("Hub Request", request, "attempt_no") == 2
	)
	row = site.wait_for_status(request, "Failed", "Completed")
	assert (row.status, row.error_code) == ("Failed", "system_not_connected")


# -- the hub's own retries ------------------------------------------------------------------------------------------


def test_a_passing_error_is_tried_again_when_it_is_due(shop, hub, site):
	body = order()
	with site.settings("Hub Settings", retry_delay_seconds=600), expect.nothing_made():
		with site.order_refused_by_the_database(body["external_id"]):
			answer = hub.post("orders.create", body)
	problem = expect.problem(answer, 503, "temporarily_unavailable", [])
	assert problem["retryable"] is True and int(answer.headers["Retry-After"]) >= 1
	[row] = site.request_of(shop.name, body["external_id"])
	assert answer.headers["Location"].endswith(f"requests.get?id={row.name}")
	assert (row.status, row.attempt_no, row.http_status) == ("Retry Scheduled", 1, 503)
	tasks.sweep()
	assert site.request_of(shop.name, body["external_id"])[0].status == "Retry Scheduled"
	site.set_row("Hub Request", row.name, next_attempt_at=("UTC", -1))
	tasks.sweep()
	row = site.wait_for_status(row.name, "Completed")
	assert row.attempt_no == 2 and row.next_attempt_at is None
	assert site.order_of(shop.name, body["external_id"]).owner == shop.user
	assert hub.post("orders.create", body).headers["Idempotent-Replayed"] == "true"


def test_the_same_call_takes_up_a_scheduled_retry(shop, hub, site):
	body = order()
	with site.order_refused_by_the_database(body["external_id"]):
		assert hub.post("orders.create", body).status == 503
	expect.problem(hub.post("orders.create", body | {"note": "x"}), 422, "idempotency_key_reused")
	answer = hub.post("orders.create", body)
	assert (answer.status, site.request_of(shop.name, body["external_id"])[0].attempt_no) == (201, 2)


def test_attempts_are_limited(shop, hub, site):
	body = order()
	with site.settings("Hub Settings", max_attempts=3, retry_delay_seconds=60):
		with site.order_refused_by_the_database(body["external_id"]):
			assert hub.post("orders.create", body).status == 503
			[row] = site.request_of(shop.name, body["external_id"])
			for attempt in (2, 3):
				site.set_row("Hub Request", row.name, next_attempt_at=("UTC", -1))
				tasks.sweep()
				site.wait_for(
					f"attempt {attempt}",
					lambda attempt=attempt: (
						frappe.db.get_value("Hub Request", row.name, ["attempt_no", "lease_until"])
						== (attempt, None)
					),
				)
			row = site.wait_for_status(row.name, "Failed")
			assert (row.attempt_no, row.next_attempt_at) == (3, None)
			tasks.sweep()
	assert attempts(site, shop, row.name) == [(1, 503), (2, 503), (3, 503)]
	assert hub.post("orders.create", body).status == 201


def test_the_sweep_takes_over_from_a_dead_worker(shop, site, factory, later):
	body, request = failed(shop, site, later)
	factory.item(later)
	site.set_row("Hub Request", request, status="Processing", lease_until=("UTC", -1))
	tasks.sweep()
	row = site.wait_for_status(request, "Completed")
	assert row.attempt_no == 2
	assert site.order_of(shop.name, body["external_id"]).docstatus == 1


def test_the_sweep_leaves_a_living_worker_alone(shop, site, factory, later):
	"""Its lease is over, but it holds the row's lock."""
	_body, request = failed(shop, site, later)
	factory.item(later)
	with site.no_help():
		site.set_row("Hub Request", request, status="Processing", lease_until=("UTC", -1))
		frappe.db.sql("SELECT name FROM `tabHub Request` WHERE name = %s FOR UPDATE", (request,))
		shop.http.stack.run("execute", "integration_hub.tasks.sweep", site=shop.http.stack.site)
		assert frappe.db.get_value("Hub Request", request, ["status", "attempt_no"]) == ("Processing", 1)
		frappe.db.rollback()
	tasks.sweep()
	assert site.wait_for_status(request, "Completed").attempt_no == 2


# -- pauses ---------------------------------------------------------------------------------------------------------


def queued(shop, site, factory, manager, later) -> str:
	_body, request = failed(shop, site, later)
	factory.item(later)
	return request


def assert_untouched(request: str) -> None:
	frappe.db.rollback()
	assert frappe.db.get_value("Hub Request", request, ["status", "attempt_no"]) == ("Queued", 1)


def test_a_paused_system_is_not_drained(systems, site, factory, manager, later, stack):
	shop = systems.new()
	request = queued(shop, site, factory, manager, later)
	shop.change(paused=1)
	assert manager.http.press("Hub Request", request, "retry").status == 200
	stack.run("execute", "integration_hub.tasks.sweep", site=stack.site)
	assert_untouched(request)
	shop.change(paused=0)
	tasks.sweep()
	assert site.wait_for_status(request, "Completed").attempt_no == 2


def test_a_paused_site_is_not_drained(systems, site, factory, manager, later, stack):
	shop = systems.new()
	request = queued(shop, site, factory, manager, later)
	with site.settings("Hub Settings", paused=1):
		assert manager.http.press("Hub Request", request, "retry").status == 200
		stack.run("execute", "integration_hub.tasks.sweep", site=stack.site)
		assert_untouched(request)
	tasks.sweep()
	assert site.wait_for_status(request, "Completed").attempt_no == 2


# -- several workers ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_workers_never_run_a_row_twice(systems, site, factory, manager, later, stack):
	shop = systems.new()
	made = [failed(shop, site, later) for _order in range(40)]
	requests = [request for _body, request in made]
	factory.item(later)
	shop.change(paused=1)
	answer = manager.http.send("POST", f"{MANY}retry_many", {"names": requests})
	assert answer.message == {"queued": 40, "skipped": []}
	workers = [stack.start("execute", "integration_hub.tasks.drain", site=stack.site) for _worker in range(2)]
	shop.change(paused=0)
	for worker in workers:
		finish(worker, 600)
	tasks.sweep()
	for request in requests:
		assert site.wait_for_status(request, "Completed").attempt_no == 2
		assert attempts(site, shop, request) == [(1, 422), (2, 201)]
	for body, _request in made:
		assert site.order_of(shop.name, body["external_id"]).docstatus == 1


# -- without Redis --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_closed_queue_does_not_delay_the_answer(stack, shop, site, factory, manager, later):
	"""`frappe.enqueue` alone would block four seconds; the row waits for the sweep."""
	_body, request = failed(shop, site, later)
	_body, second = failed(shop, site, later)
	factory.item(later)
	with stack.server(FRAPPE_REDIS_QUEUE=f"redis://127.0.0.1:{free_port()}") as without_queue:
		person = Http(without_queue, manager.http.token, site.refresh)
		assert person.send("GET", f"/api/resource/Hub Request/{request}").status == 200
		took = []
		for name in (request, second):
			started = time.monotonic()
			answer = person.press("Hub Request", name, "retry")
			# The next call waits for this worker: what runs after the answer counts as well.
			assert person.send("GET", f"/api/resource/Hub Request/{name}").status == 200
			assert answer.status == 200, answer
			took.append(time.monotonic() - started)
		assert max(took) < 2, took
		placed = Http(without_queue, shop.token, site.refresh).post("orders.create", order())
		assert placed.status == 201, placed
	tasks.sweep()
	for name in (request, second):
		assert site.wait_for_status(name, "Completed").attempt_no == 2
