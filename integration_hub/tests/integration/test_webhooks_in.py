"""Webhooks that come in: who is believed, what is kept, and what becomes of it."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import frappe

from integration_hub.constants.roles import MANAGER
from integration_hub.core import queue
from integration_hub.core.signatures import GENERIC as GENERIC_SCHEMES
from integration_hub.core.signatures import SCHEMES
from integration_hub.inbound import webhook_senders
from integration_hub.tests import expect, platforms
from integration_hub.tests.factories import ITEM, unique
from integration_hub.tests.integration.test_asynchronous import kept_from_workers
from integration_hub.tests.platforms import RECEIVE, connect, new_secret, order, signed
from integration_hub.tests.systems import all_scopes

GARBAGE = int(os.environ.get("HUB_TEST_GARBAGE", 2000))


@pytest.fixture(scope="module")
def topics(factory, masters):
	return platforms.topics(factory)


@pytest.fixture(scope="module")
def platform(systems, anonymous, topics):
	return connect(systems, anonymous, inbound_topics=topics)


@pytest.fixture
def connected(systems, anonymous, topics):
	"""`connected(**settings)`: a platform of its own."""

	def make(scheme: str = "HMAC-SHA256 (hex)", **values):
		return connect(systems, anonymous, scheme, **{"inbound_topics": topics, **values})

	return make


@pytest.fixture(autouse=True)
def unhurried(site):
	"""Forget who was refused: the tests send more from one address than a minute allows."""
	frappe.cache.delete_keys("hub:unsigned:")


def kept(answer) -> str:
	assert answer.status == 200, answer
	assert set(answer.message) == {"id"}
	return answer.message["id"]


def done(site, request: str, status: str = "Completed"):
	"""Work off what waits, and return the request as it is then."""
	queue.drain(20)
	return site.wait_for_status(request, status)


def requests_of(site, platform) -> list[str]:
	site.refresh()
	return frappe.get_all(
		"Hub Request", {"system": platform.name}, pluck="name", order_by="received_at, name"
	)


def answer_of(row) -> dict:
	return json.loads(row.answer)["message"]


# -- who is believed -----------------------------------------------------------------------------------------------


def body_for(scheme: str, topic: str) -> dict:
	"""An order of the tests' platform; Stripe and Standard Webhooks tell topic, Stripe also the event's id, in the body."""
	head = {"type": topic}
	return {**order(), **head}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_genuine_call_of_each_scheme_becomes_an_order(connected, site, scheme):
	platform = connected(scheme)
	body = body_for(scheme, "order.created")
	event_id = unique("evt")
	request = kept(platform.send("order.created", body, event_id))
	site.refresh()
	row = frappe.get_doc("Hub Request", request)
	assert (row.operation, row.topic, row.route) == ("webhooks.receive", "order.created", "orders.create")
	assert (row.external_id, row.asynchronous, row.system) == (body["id"], 1, platform.name)
	assert row.owner == platform.system.user
	assert json.loads(row.payload) == body
	done(site, request)
	assert site.order_of(platform.name, body["id"]).grand_total == 20
	told = platform.system.http.get("requests.get", id=request).message
	assert (told["topic"], told["route"], told["status"]) == ("order.created", "orders.create", "Completed")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_forged_call_of_each_scheme_is_refused(connected, site, scheme):
	platform = connected(scheme)
	with expect.nothing_made("Hub Request", "Integration Request"):
		answer = platform.send("order.created", body_for(scheme, "order.created"), secret=new_secret(scheme))
		expect.problem(answer, 401, "signature_invalid", [])
	assert requests_of(site, platform) == []
	assert webhook_senders.refusals(platform.name) == {"signature_invalid": 1}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_copy_under_another_event_id(connected, site, scheme):
	"""Who has a genuine call can change what the signature does not cover; the body of a platform's own scheme tells."""
	platform = connected(scheme)
	body = body_for(scheme, "order.created")
	first = kept(platform.send("order.created", body, "evt-first"))
	if scheme == "Standard Webhooks":
		copy = platform.send("order.created", body, "evt-first", webhook_id="evt-second")
		expect.problem(copy, 401, "signature_invalid", [])
	else:
		copy = kept(platform.send("order.created", body, "evt-second"))
		assert (copy != first) == (scheme in GENERIC_SCHEMES)
	names = requests_of(site, platform)
	assert len(names) == 1 + (scheme in GENERIC_SCHEMES)
	for name in names:
		done(site, name)
	assert frappe.db.count("Sales Order", {"hub_system": platform.name}) == 1


def refused_ways(connected, platform) -> list[tuple[str, object]]:
	"""Return every way to be refused, with its answer."""
	standard, off = connected("Standard Webhooks"), connected()
	off.system.change(enabled=0)
	bare = connected()
	bare.system.change(inbound_scheme="", inbound_topics=[])
	nobody = connected()
	user = {"user": nobody.system.user}
	frappe.db.set_value("Hub Connected System", nobody.name, "user", None)
	frappe.db.commit()
	userless = nobody.send("order.created", order())
	frappe.db.set_value("Hub Connected System", nobody.name, user)
	frappe.db.commit()
	body = order()
	stale = int(time.time()) - 301
	other = connected()
	return [
		("unknown", platform.send("order.created", body, address="x")),
		("other case", platform.http.raw("POST", f"{RECEIVE}?system={platform.name.upper()}", b"{}")),
		("no system", platform.http.raw("POST", RECEIVE, b"{}")),
		("disabled", off.send("order.created", body)),
		("no scheme", bare.send("order.created", body)),
		("no user", userless),
		("missing", platform.send("order.created", body, X_Signature=None)),
		("malformed", platform.send("order.created", body, X_Signature="sha256=abc")),
		("without prefix", platform.send("order.created", body, X_Signature="0" * 64)),
		("wrong", platform.send("order.created", body, X_Signature="sha256=" + "0" * 64)),
		("another's", platform.send("order.created", body, secret=other.secret)),
		("stale", standard.send("order.created", body, at=stale)),
		("future", standard.send("order.created", body, at=stale + 700)),
		("not json", platform.send("order.created", b"{", secret="another")),
		(
			"form",
			platform.send(
				"x", b"cmd=login&usr=a", secret="another", content_type="application/x-www-form-urlencoded"
			),
		),
	]


def test_all_refusals_are_one(connected, platform, site):
	"""Nobody can learn by trying which systems there are, or how near a signature was."""
	with site.no_help():
		before = site.census("Hub Request", "Integration Request")
		ways = refused_ways(connected, platform)
		grown = site.grown(before)
	bodies = set()
	for what, answer in ways:
		assert answer.status == 401, (what, answer)
		expect.problem(answer, 401, "signature_invalid", [])
		body = answer.body
		bodies.add(json.dumps({**body, "request_id": ""}, sort_keys=True))
		# Frappe sets its guest's cookies unless it stumbles over the body, which the sender knows.
		assert set(answer.headers) - {"Set-Cookie"} == set(ways[0][1].headers) - {"Set-Cookie"}, what
	assert len(bodies) == 1
	assert "Hub Request" not in grown and "Integration Request" not in grown, grown


def test_a_changed_body_is_refused(platform, site):
	body = json.dumps(order()).encode()
	headers = signed(platform.scheme, platform.secret, body, "e", "order.created")
	answer = platform.http.raw("POST", f"{RECEIVE}?system={platform.name}", body + b" ", headers)
	expect.problem(answer, 401, "signature_invalid", [])


def test_credentials_of_others_neither_help_nor_hurt(platform, site):
	"""A proxy may add an Authorization of its own; what Frappe thinks of it does not matter."""
	for authorization in ("Basic YTpi", "Bearer x", "token a:b"):
		kept(platform.send("order.created", order(), Authorization=authorization))
		answer = platform.send("order.created", order(), Authorization=authorization, secret="other")
		expect.problem(answer, 401, "signature_invalid", [])


def test_the_ping_of_woocommerce_is_answered(connected, site):
	platform = connected("WooCommerce")
	with expect.nothing_made("Hub Request", "Integration Request"):
		for slug in (platform.name, "no-such-system"):
			answer = platform.http.raw(
				"POST",
				f"{RECEIVE}?system={slug}",
				b"webhook_id=17",
				{"Content-Type": "application/x-www-form-urlencoded"},
			)
			assert (answer.status, answer.message) == (200, {"ignored": "ping"})


def test_get_is_refused(platform):
	expect.problem(platform.http.raw("GET", f"{RECEIVE}?system={platform.name}"), 405, "method_not_allowed")


def test_two_secrets_are_good_while_one_replaces_the_other(connected, site):
	platform = connected()
	old, fresh = platform.secret, new_secret(platform.scheme)
	webhook_senders.set_secret(platform.system.doc, fresh)
	frappe.db.commit()
	kept(platform.send("order.created", order(), secret=old))
	kept(platform.send("order.created", order(), secret=fresh))
	site.set_row("Hub Connected System", platform.name, previous_inbound_secret_valid_until=("UTC", -1))
	expect.problem(platform.send("order.created", order(), secret=old), 401, "signature_invalid")
	kept(platform.send("order.created", order(), secret=fresh))
	webhook_senders.set_secret(platform.system.doc, new_secret(platform.scheme), 0)
	frappe.db.commit()
	expect.problem(platform.send("order.created", order(), secret=fresh), 401, "signature_invalid")


def test_saving_the_form_keeps_the_secret(connected, site):
	platform = connected()
	platform.system.change(lead_time_days=3)
	kept(platform.send("order.created", order()))


# -- garbage -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_garbage_grows_no_table(connected, site, stack):
	"""Whatever strangers send: 401 or 429, and not a row more in any table; a genuine call goes through meanwhile."""
	platform = connected()
	url = f"{stack.base_url}{RECEIVE}?system={platform.name}"
	columns = """SELECT table_name FROM information_schema.columns
		WHERE table_schema = DATABASE() AND table_name LIKE 'tab%%' AND column_name = 'owner'"""
	tables = frappe.db.sql(columns, pluck=True)

	def counted() -> dict[str, int]:
		"""Return how many rows are a guest's, or the system's: workers make others meanwhile."""
		site.refresh()
		query = "SELECT count(*) FROM `{0}` WHERE owner IN ('Guest', %s)"
		rows = {name: frappe.db.sql(query.format(name), platform.system.user)[0][0] for name in tables}
		return {**rows, "of the system": len(requests_of(site, platform)) + len(site.log_rows(platform.name))}

	def garbage(number: int) -> int:
		headers = {"Host": stack.host, "X-Signature": f"sha256={number:064x}", "Accept": "application/json"}
		body = json.dumps({"id": number, "cmd": "frappe.ping"}) if number % 3 else b"\xff" * (number % 999)
		with requests.post(url, data=body, headers=headers, timeout=60) as answer:
			return answer.status_code

	before = counted()
	with ThreadPoolExecutor(3) as pool:
		answers = list(pool.map(garbage, range(GARBAGE)))
	assert counted() == before
	assert set(answers) <= {401, 429} and answers.count(401) >= 60 and 429 in answers
	kept(platform.send("order.created", order()))


# -- what is kept --------------------------------------------------------------------------------------------------


def test_too_large_a_body_is_not_even_looked_at(platform, site):
	with site.settings("Hub Settings", max_payload_kib=1), expect.nothing_made("Hub Request"):
		answer = platform.send("order.created", {**order(), "more": "x" * 2000}, secret="wrong")
		expect.problem(answer, 413, "payload_too_large")


def test_a_paused_system_is_sent_to_again(connected, site):
	platform = connected()
	platform.system.change(paused=1)
	with expect.nothing_made("Hub Request"):
		answer = platform.send("order.created", order())
		expect.problem(answer, 503, "paused")
		assert int(answer.headers["Retry-After"]) > 0
	platform.system.change(paused=0)
	with expect.nothing_made("Hub Request"), site.settings("Hub Settings", paused=1):
		expect.problem(platform.send("order.created", order()), 503, "paused")


def test_a_topic_without_a_line_leaves_a_log_row_alone(connected, site):
	platform = connected()
	with expect.nothing_made("Hub Request"):
		answer = platform.send("shop.opened", order())
		assert answer.status == 200 and "shop.opened" in answer.message["ignored"], answer
	[row] = site.log_rows(platform.name)
	assert (row.hub_http_status, row.status, row.hub_external_id) == (200, "Completed", "shop.opened")


def test_a_line_that_is_switched_off_keeps_nothing(connected, site, topics):
	platform = connected(inbound_topics=[{**topics[0], "enabled": 0}])
	with expect.nothing_made("Hub Request"):
		assert "ignored" in platform.send("order.created", order()).message


def test_the_address_names_the_topic(platform, site):
	body = order()
	request = kept(platform.send("something", body, address="&topic=order.created"))
	done(site, request)
	assert site.order_of(platform.name, body["id"])


def test_a_signed_topic_goes_before_the_address(connected, site):
	platform = connected("Standard Webhooks")
	body = body_for("Standard Webhooks", "order.created")
	request = kept(platform.send("order.created", body, address="&topic=order.cancelled"))
	assert frappe.db.get_value("Hub Request", request, "topic") == "order.created"
	done(site, request)


@pytest.mark.parametrize(
	"content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"]
)
@pytest.mark.parametrize(
	"body", [b"{", b"cmd=frappe.ping&id=1", b"[1, 2]", b'"text"', b"", b'{"a": NaN}', b"\xff\xfe"]
)
def test_what_is_no_json_object_is_refused_once_it_is_known_who_sent_it(platform, site, body, content_type):
	with expect.nothing_made("Hub Request"):
		answer = platform.send("order.created", body, content_type=content_type)
		expect.problem(answer, 400, "malformed_json")


def test_what_frappe_reads_into_a_body_does_nothing(platform, site):
	body = {
		**order(),
		"cmd": "login",
		"usr": "Administrator",
		"pwd": "x",
		"sid": "y",
		"fn": "z",
		"doctype": "User",
	}
	request = kept(platform.send("order.created", body))
	assert done(site, request).error_code is None
	assert site.order_of(platform.name, body["id"])


# -- each once -----------------------------------------------------------------------------------------------------


def test_a_repetition_has_no_second_effect(connected, site):
	platform = connected()
	body = order()
	first = kept(platform.send("order.created", body, "evt-1"))
	assert kept(platform.send("order.created", body, "evt-1")) == first
	done(site, first)
	assert kept(platform.send("order.created", body, "evt-1")) == first
	assert requests_of(site, platform) == [first]
	assert frappe.db.get_value("Hub Request", first, "attempt_no") == 1
	assert site.order_of(platform.name, body["id"])


@pytest.mark.parametrize("scheme", ["WooCommerce", "GitHub"])
def test_without_an_id_the_body_is_the_id(connected, site, scheme):
	"""WooCommerce gives each repetition another id; a sender may give none."""
	platform = connected(scheme)
	left_out = {"X_GitHub_Delivery": None} if scheme == "GitHub" else {}
	body = order()
	ids = {kept(platform.send("order.created", body, **left_out)) for _repetition in range(2)}
	assert len(ids) == 1
	assert kept(platform.send("order.created", {**body, "remark": "x"}, **left_out)) not in ids


def test_an_id_in_the_body_goes_first(connected, site, topics):
	platform = connected(inbound_topics=[{**topics[0], "event_id": "event"}])
	body = {**order(), "event": "E-1"}
	first = kept(platform.send("order.created", body, "one"))
	assert kept(platform.send("order.created", {**body, "remark": "again"}, "two")) == first
	assert frappe.db.get_value("Hub Request", first, "idempotency_key") == "E-1"


def test_concurrent_repetitions_are_one(connected, site):
	platform = connected()
	body = json.dumps(order()).encode()
	headers = signed(platform.scheme, platform.secret, body, "evt-1", "order.created")
	url = f"{platform.http.stack.base_url}{RECEIVE}?system={platform.name}"

	def post(_number: int):
		sent = {**headers, "Host": platform.http.stack.host}
		return requests.post(url, data=body, headers=sent, timeout=60)

	with ThreadPoolExecutor(8) as pool:
		answers = list(pool.map(post, range(16)))
	assert {answer.status_code for answer in answers} <= {200, 409}
	ids = {answer.json()["message"]["id"] for answer in answers if answer.status_code == 200}
	assert len(ids) == 1 and requests_of(site, platform) == list(ids)


@pytest.mark.parametrize("status", ["Failed", "Cancelled"])
def test_a_repetition_does_not_undo_what_a_person_has_to_decide(connected, site, people, status):
	platform = connected()
	body = order(items=[{"line": 1, "article": ITEM, "pieces": 1, "price": "abc"}])
	request = kept(platform.send("order.created", body, "evt-1"))
	done(site, request, "Failed")
	if status == "Cancelled":
		answer = people.new(MANAGER).http.press("Hub Request", request, "dismiss", reason="No order")
		assert answer.status == 200, answer
	assert kept(platform.send("order.created", body, "evt-1")) == request
	queue.drain(5)
	site.refresh()
	assert frappe.db.get_value("Hub Request", request, ["status", "attempt_no"]) == (status, 1)


# -- order and versions --------------------------------------------------------------------------------------------


def test_paid_before_created_waits(connected, site):
	platform = connected()
	body = order()
	paid = kept(platform.send("order.paid", body))
	queue.drain(20)
	row = site.wait_for_status(paid, "Retry Scheduled")
	assert (row.error_code, row.waits) == ("not_found", 1)
	created = kept(platform.send("order.created", body))
	done(site, created)
	row = done(site, paid)
	made = site.order_of(platform.name, body["id"])
	assert (made.docstatus, made.advance_paid) == (1, 20)
	assert answer_of(row)["id"] == paid


def test_an_older_state_overwrites_nothing(connected, site):
	platform = connected()
	body = order()
	done(site, kept(platform.send("order.created", body)))
	later = {**body, "remark": "second", "changed_at": "2026-03-01T12:00:00+01:00"}
	older = {**body, "remark": "first", "changed_at": "2026-03-01T10:30:00Z"}
	done(site, kept(platform.send("order.updated", later)))
	row = done(site, kept(platform.send("order.updated", older)))
	assert "older" in answer_of(row)["ignored"]
	assert row.version is None
	newest = {**body, "remark": "third", "changed_at": "2026-03-01T11:00:00.001Z"}
	row = done(site, kept(platform.send("order.updated", newest)))
	assert "ignored" not in answer_of(row)
	assert row.version == "2026-03-01T11:00:00.001000+00:00"


def test_a_condition_that_does_not_hold(connected, site, topics):
	line = {**topics[0], "condition": "total != '0.00'", "otherwise": "There is nothing to pay."}
	platform = connected(inbound_topics=[line])
	with expect.nothing_made():
		row = done(site, kept(platform.send("order.created", order(total="0.00"))))
	assert answer_of(row) == {"id": row.name, "ignored": "There is nothing to pay."}
	done(site, kept(platform.send("order.created", order())))


def two_routes(topics) -> list[dict]:
	return [
		{**topics[0], "topic": "order.saved", "known": "Not known"},
		{**topics[1], "topic": "order.saved", "known": "Known"},
		{**topics[2], "topic": "order.saved", "condition": "paid"},
	]


def test_one_topic_that_becomes_several_calls(connected, site, topics):
	"""An order that is created and paid in one webhook; then changed by the same topic."""
	platform = connected(inbound_topics=two_routes(topics))
	body = {**order(), "paid": True}
	kept(platform.send("order.saved", body, "evt-1"))
	queue.drain(20)
	rows = [site.wait_for_status(name, "Completed") for name in requests_of(site, platform)]
	assert [row.route for row in rows] == ["orders.create", "orders.update", "sales.pay"]
	assert ["ignored" in answer_of(row) for row in rows] == [False, True, False]
	assert site.order_of(platform.name, body["id"]).advance_paid == 20
	changed = {**body, "paid": False, "remark": "changed", "changed_at": "2026-03-02T10:00:00Z"}
	kept(platform.send("order.saved", changed, "evt-2"))
	queue.drain(20)
	rows = [site.wait_for_status(name, "Completed") for name in requests_of(site, platform)[3:]]
	assert [(row.route, "ignored" in answer_of(row)) for row in rows] == [
		("orders.create", True),
		("orders.update", False),
	]


def test_a_newer_state_is_not_left_out_while_the_order_waits(connected, site, factory, topics):
	"""Its item is not there yet; the order changes meanwhile; then the item is made."""
	platform = connected(inbound_topics=two_routes(topics))
	article = unique("HT-LATER")
	items = [{"line": 1, "article": article, "pieces": 2, "price": "10.00"}]
	body = {**order(items=items), "paid": False}
	kept(platform.send("order.saved", body, "evt-1"))
	changed = {**body, "remark": "changed", "changed_at": "2026-03-02T10:00:00Z"}
	kept(platform.send("order.saved", changed, "evt-2"))
	queue.drain(20)
	names = requests_of(site, platform)
	rows = [site.wait_for_status(name, "Retry Scheduled") for name in names]
	assert [(row.route, row.waits) for row in rows] == 2 * [("orders.create", 1), ("orders.update", 1)]
	factory.item(article)
	site.set_row("Hub Request", names[0], next_attempt_at=("UTC", -1))
	queue.drain(20)
	rows = [site.wait_for_status(name, "Completed") for name in names]
	assert ["ignored" in answer_of(row) for row in rows] == [False, True, True, False]
	assert site.order_of(platform.name, body["id"]).hub_note == "changed"


def test_calls_of_the_api_and_webhooks_about_one_order_have_one_subject(connected, site):
	platform = connected()
	body = order()
	request = kept(platform.send("order.created", body))
	done(site, request)
	answer = platform.system.http.post("orders.cancel", {"external_id": body["id"]}, Prefer="respond-async")
	assert answer.status == 202, answer
	site.refresh()
	subjects = {
		frappe.db.get_value("Hub Request", name, "subject") for name in (request, answer.message["id"])
	}
	assert len(subjects) == 1 and None not in subjects
	done(site, answer.message["id"])


# -- maps ----------------------------------------------------------------------------------------------------------


def test_a_corrected_map_and_retry_are_enough(connected, site, factory, people, topics):
	wrong = tuple(row for row in platforms.ORDER_ROWS if row[0] != "lines[].quantity")
	map_name = platforms.make_map(factory, wrong)
	platform = connected(inbound_topics=[{**topics[0], "field_map": map_name}])
	body = order()
	request = kept(platform.send("order.created", body))
	row = done(site, request, "Failed")
	assert (row.error_code, row.http_status) == ("mapping_failed", 422)
	[fault] = json.loads(row.error)["errors"]
	assert fault["pointer"] == "/lines/0/quantity"
	assert "Row 4, lines[]" in fault["message"] and map_name in row.error_message
	doc = frappe.get_doc("Hub Field Map", map_name)
	doc.set("rows", platforms.rows(*platforms.ORDER_ROWS))
	doc.save()
	assert doc.version == 2
	frappe.db.commit()
	assert people.new(MANAGER).http.press("Hub Request", request, "retry").status == 200
	assert done(site, request).attempt_no == 2
	assert site.order_of(platform.name, body["id"]).grand_total == 20


def test_every_fault_of_a_map_is_told_by_row(connected, site):
	platform = connected()
	items = [{"line": 1, "article": ITEM, "pieces": "two", "price": "cheap"}]
	row = done(site, kept(platform.send("order.created", order(items=items))), "Failed")
	assert row.error_code == "mapping_failed"
	found = {fault["pointer"]: fault["message"] for fault in json.loads(row.error)["errors"]}
	assert set(found) == {"/lines/quantity", "/lines/unit_price"}
	assert found["/lines/quantity"].startswith("Row 7, lines[].quantity: Element 1 of lines: ")


def test_a_subject_that_is_not_there_fails_where_people_see_it(connected, site):
	platform = connected()
	body = order()
	del body["id"]
	row = done(site, kept(platform.send("order.created", body)), "Failed")
	assert row.error_code == "mapping_failed" and row.external_id is None
	assert row.error_message.startswith(
		"The line of the topic order.created does not fit what came. Subject: "
	)
	assert json.loads(row.error)["errors"][0]["pointer"] == "/subject"


def test_the_scope_is_asked_for(connected, site):
	platform = connected(scopes=all_scopes("sales:write"))
	body = order()
	done(site, kept(platform.send("order.created", body)))
	row = done(site, kept(platform.send("order.paid", body)), "Failed")
	assert row.error_code == "scope_missing"


def test_a_line_that_is_gone(connected, site):
	platform = connected()
	with kept_from_workers(site, platform.system):
		request = kept(platform.send("order.created", order()))
		platform.system.change(inbound_topics=[])
	row = done(site, request, "Failed")
	assert row.error_code == "mapping_failed"


def test_totals_that_disagree_are_named(connected, site):
	platform = connected()
	row = done(site, kept(platform.send("order.created", order(total="19.99"))), "Failed")
	assert row.error_code == "totals_differ" and "19.99" in row.error_message
