"""Calls accepted for later: 202 at once, the work by a worker, in order where order matters, and the answer to whoever asks."""

import json
from contextlib import contextmanager

import pytest

import frappe

from integration_hub.core import queue, waiting
from integration_hub.tests import expect
from integration_hub.tests.factories import line, order, placed, unique
from integration_hub.tests.stack import finish

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def shop(system):
	return system()


@contextmanager
def kept_from_workers(site, shop):
	"""Have calls accepted and none of them begun while the block lasts: the door reads the system from the cache."""
	assert shop.http.get("system.ping").status == 200
	site.set_row("Hub Connected System", shop.name, paused=1)
	try:
		yield
	finally:
		site.set_row("Hub Connected System", shop.name, paused=0)


@contextmanager
def drained(stack, workers: int):
	"""Let processes of their own drain beside the workers of the bench, until the block ends and nothing is due."""
	processes = [stack.start("integration-hub", "drain", site=stack.site) for _worker in range(workers)]
	yield
	for process in processes:
		finish(process)


def told(shop, request: str) -> dict:
	answer = shop.http.get("requests.get", id=request)
	assert answer.status == 200, answer
	return answer.message


def accepted(shop, verb: str, body: dict, **headers) -> str:
	"""Send a call for later, see that it was taken, and return its request."""
	answer = shop.http.post(verb, body, **{**ASYNC, **headers})
	assert answer.status == 202, answer
	assert answer.headers["Preference-Applied"] == "respond-async"
	assert answer.headers["Location"].endswith(f"requests.get?id={answer.message['id']}")
	assert set(answer.message) == {"id", "status"}
	return answer.message["id"]


def done(site, shop, request: str) -> dict:
	"""Return what is told of a request once it rests; where the bell was not heard, work as a sweep would."""

	def rests() -> bool:
		queue.drain()
		return told(shop, request)["status"] in ("Completed", "Failed")

	site.wait_for(f"the end of {request}", rests)
	return told(shop, request)


# -- accepted, done, answered ---------------------------------------------------------------------------------------


def test_an_order_is_accepted_and_placed(shop, site):
	body = order()
	request = accepted(shop, "orders.create", body)
	assert told(shop, request)["status"] in ("Queued", "Processing", "Completed")
	row = done(site, shop, request)
	assert (row["status"], row["http_status"], row["attempts"]) == ("Completed", 201, 1)
	made = site.order_of(shop.name, body["external_id"])
	assert row["answer"]["order"]["name"] == made.name
	assert made.owner == shop.user and made.docstatus == 1


def test_the_same_call_again_gets_202_and_then_the_answer(shop, site):
	body = order(lines=[line(item_code=unique("HT-LATER"))])
	request = accepted(shop, "orders.create", body)
	assert accepted(shop, "orders.create", body) == request
	plain = shop.http.post("orders.create", {**body, "note": "other"})
	expect.problem(plain, 422, "idempotency_key_reused")
	factory_item = body["lines"][0]["item_code"]
	frappe.get_doc(
		{
			"doctype": "Item",
			"item_code": factory_item,
			"item_group": "Products",
			"stock_uom": "Nos",
			"is_stock_item": 1,
		}
	).insert()
	frappe.db.commit()
	queue.drain()
	site.wait_for_status(request, "Retry Scheduled", "Completed")
	site.set_row("Hub Request", request, next_attempt_at=("UTC", -1))
	queue.drain(seconds=20)
	final = done(site, shop, request)
	assert final["status"] == "Completed", final
	again = shop.http.post("orders.create", body, **ASYNC)
	assert (again.status, again.headers["Idempotent-Replayed"]) == (201, "true")
	assert again.message == final["answer"]
	assert shop.http.post("orders.create", body).content == again.content


def test_a_plain_call_of_what_waits_is_told_so(shop, site):
	body = order(lines=[line(item_code=unique("HT-LATER"))])
	request = accepted(shop, "orders.create", body)
	site.wait_for("it waits", lambda: told(shop, request)["status"] == "Retry Scheduled")
	# The same call, from somebody who waits for the answer, is tried now, and goes on waiting.
	expect.problem(shop.http.post("orders.create", body), 422, "unknown_item")
	assert (told(shop, request)["status"], told(shop, request)["attempts"]) == ("Retry Scheduled", 2)


def test_what_is_wrong_with_the_call_is_said_at_once(shop):
	expect.problem(shop.http.post("orders.create", order(lines=[]), **ASYNC), 422, "validation_failed")
	expect.problem(
		shop.http.post("orders.update", {"external_id": "x"}, **ASYNC), 400, "idempotency_key_required"
	)


@pytest.mark.parametrize(
	("said", "later"),
	[
		("respond-async", True),
		("RESPOND-ASYNC", True),
		("wait=10, respond-async", True),
		("respond-async; foo=bar", True),
		("respond-asynchronously", False),
		("return=minimal", False),
		("", False),
	],
)
def test_how_it_is_asked_for(said, later, shop):
	answer = shop.http.post("orders.create", order(), Prefer=said)
	assert answer.status == (202 if later else 201), answer


def test_a_rehearsal_is_answered_at_once(shop):
	answer = shop.http.post("orders.create", order(validate_only=True), **ASYNC)
	assert answer.status == 200 and answer.message["validated"], answer
	assert "Preference-Applied" not in answer.headers


def test_every_write_of_the_ledger_can_wait(shop, site, factory, masters):
	body = order()
	target = {"external_id": body["external_id"]}
	calls = [
		("orders.create", body),
		("orders.update", {**target, "order_number": unique("N")}),
		("sales.invoice", {"order": target, "external_id": unique("I")}),
		("sales.pay", {"order": target, "external_id": unique("P"), "method": "Cash"}),
		("sales.refund", {"order": target, "external_id": unique("R"), "method": "Cash"}),
	]
	requests = [accepted(shop, verb, said, Idempotency_Key=unique("K")) for verb, said in calls]
	rows = [done(site, shop, request) for request in requests]
	assert [row["status"] for row in rows] == ["Completed"] * 5, [row["error"] for row in rows]
	ended = [row["completed_at"] for row in rows]
	assert ended == sorted(ended)


# -- order, concurrency, fairness -----------------------------------------------------------------------------------


def test_calls_about_one_order_are_done_one_after_another(shop, site, stack):
	body = order()
	target = {"external_id": body["external_id"]}
	with kept_from_workers(site, shop):
		calls = [("orders.create", body)]
		numbers = [unique("N") for _update in range(8)]
		calls += [("orders.update", {**target, "order_number": number}) for number in numbers]
		requests = [accepted(shop, verb, said, Idempotency_Key=unique("K")) for verb, said in calls]
	with drained(stack, workers=2):
		rows = [done(site, shop, request) for request in requests]
	assert [row["status"] for row in rows] == ["Completed"] * 9, [row["error"] for row in rows]
	assert [row["attempts"] for row in rows] == [1] * 9
	ended = [row["completed_at"] for row in rows]
	assert ended == sorted(ended)
	assert site.order_of(shop.name, body["external_id"]).hub_order_number == numbers[-1]


def test_a_corrected_call_stands_in_the_line_of_what_it_names_now(shop, site):
	wrong, right, key = order(), order(), unique("K")
	update = {"external_id": wrong["external_id"], "order_number": unique("N")}
	with kept_from_workers(site, shop):
		request = accepted(shop, "orders.update", update, Idempotency_Key=key)
		assert shop.http.post("requests.cancel", {"id": request}).status == 200
		corrected = {**update, "external_id": right["external_id"]}
		assert accepted(shop, "orders.update", corrected, Idempotency_Key=key) == request
		placed = accepted(shop, "orders.create", right)
		site.refresh()
		assert len({frappe.db.get_value("Hub Request", name, "subject") for name in (request, placed)}) == 1
	assert done(site, shop, placed)["status"] == done(site, shop, request)["status"] == "Completed"


def at_work(shop) -> int:
	return frappe.db.count("Hub Request", {"system": shop.name, "status": "Processing"})


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_at_the_same_time_than_the_system_allows(limit, system, site, stack):
	shop = system(queue_workers=limit)
	with site.no_help():
		requests = [accepted(shop, "orders.create", order()) for _order in range(12)]
		claims = [claim for row in waiting.due() if row.system == shop.name and (claim := queue._claim(row))]
		assert len(claims) == limit
		for claim in claims:
			queue.run(claim)
	seen = set()

	def all_done() -> bool:
		seen.add(at_work(shop))
		return frappe.db.count("Hub Request", {"system": shop.name, "status": "Completed"}) == len(requests)

	with drained(stack, workers=2):
		site.wait_for("all orders", all_done)
	assert max(seen) <= limit


def test_a_flood_of_one_system_leaves_another_its_turn(system, site):
	flood, other = system(), system()
	with site.no_help(), kept_from_workers(site, flood), kept_from_workers(site, other):
		for _order in range(12):
			accepted(flood, "orders.create", order())
		last = accepted(other, "orders.create", order())
		site.refresh()
		site.set_row("Hub Connected System", flood.name, paused=0)
		site.set_row("Hub Connected System", other.name, paused=0)
		turns = [row.name for row in waiting.due() if row.system in (flood.name, other.name)]
	assert last in turns[:2]
	assert len(turns) == waiting.EACH + 1
	queue.drain(seconds=30)
	assert done(site, other, last)["status"] == "Completed"


def test_a_paused_system_waits(system, site):
	shop = system()
	with kept_from_workers(site, shop):
		request = accepted(shop, "orders.create", order())
		queue.drain(seconds=5)
		assert told(shop, request)["status"] == "Queued"
	queue.drain(seconds=20)
	assert done(site, shop, request)["status"] == "Completed"


def test_what_a_caller_waited_for_in_vain_keeps_its_turn(system, site):
	"""A transient fault put it off: a later call about the same order is not done before it."""
	shop = system()
	body = order()
	with site.no_help():
		with site.order_refused_by_the_database(body["external_id"]):
			expect.problem(shop.http.post("orders.create", body), 503, "temporarily_unavailable")
		(first,) = site.request_of(shop.name, body["external_id"])
		assert (first.status, first.asynchronous, first.waits) == ("Retry Scheduled", 0, 0)
		changed = {"external_id": body["external_id"], "note": "later"}
		later = accepted(shop, "orders.update", changed, **{"Idempotency-Key": unique("key")})
		assert waiting.ahead_of(later) == first.name
		queue.drain(seconds=5)
		assert told(shop, later)["status"] == "Queued"
		site.set_row("Hub Request", first.name, next_attempt_at=("UTC", -1))
		queue.drain(seconds=20)
		assert [told(shop, name)["status"] for name in (first.name, later)] == ["Completed", "Completed"]
	assert site.order_of(shop.name, body["external_id"]).hub_note == "later"


# -- what is not there yet ------------------------------------------------------------------------------------------


def test_a_payment_that_comes_before_its_order_waits_for_it(shop, site):
	"""And does not stand in its way."""
	body = order()
	target = {"external_id": body["external_id"]}
	paid = accepted(shop, "sales.pay", {"order": target, "external_id": unique("P"), "method": "Cash"})
	waits = site.wait_for_status(paid, "Retry Scheduled")
	assert (waits.error_code, waits.waits) == ("not_found", 1)
	placed = accepted(shop, "orders.create", body)
	assert done(site, shop, placed)["status"] == "Completed"
	# Woken by the order, not by its own schedule of a minute.
	queue.drain(seconds=20)
	assert done(site, shop, paid)["status"] == "Completed"
	assert told(shop, paid)["attempts"] == 2


@pytest.mark.parametrize(
	("change", "code"),
	[
		({"lines": [line(item_code="HT-NONE")]}, "unknown_item"),
		({"customer": {"external_id": "HT-NOBODY"}}, "unknown_customer"),
	],
)
def test_what_lacks_something_is_tried_as_often_as_the_site_says(change, code, shop, site):
	with site.settings("Hub Settings", dependency_attempts=3, dependency_delay_seconds=1):
		request = accepted(shop, "orders.create", order(**change))
		for attempt in (1, 2, 3):
			site.set_row("Hub Request", request, next_attempt_at=("UTC", -1))
			queue.drain(seconds=10)
			site.wait_for(
				"an attempt", lambda a=attempt: (queue.drain(), told(shop, request)["attempts"] >= a)[1]
			)
		row = site.wait_for_status(request, "Failed")
	assert (row.error_code, row.attempt_no, row.waits) == (code, 3, 0)


def test_what_the_books_forbid_is_not_tried_again(shop, site):
	request = accepted(shop, "orders.create", order(charges=[{"code": "unmapped", "amount": 1}]))
	row = site.wait_for_status(request, "Completed", "Failed", "Retry Scheduled")
	assert (row.status, row.error_code, row.attempt_no) == ("Failed", "charge_not_mapped", 1)


# -- taken out again, listed ----------------------------------------------------------------------------------------


def test_what_has_not_begun_can_be_cancelled(shop, site):
	body = order()
	with kept_from_workers(site, shop):
		request = accepted(shop, "orders.create", body)
		answer = shop.http.post("requests.cancel", {"id": request})
		assert (answer.status, answer.message["status"]) == (200, "Cancelled"), answer
		expect.problem(shop.http.post("requests.cancel", {"id": request}), 409, "state_conflict")
	queue.drain(seconds=5)
	assert told(shop, request)["status"] == "Cancelled"
	# The same call again is a new wish.
	assert accepted(shop, "orders.create", body) == request
	assert done(site, shop, request)["status"] == "Completed"
	expect.problem(shop.http.post("requests.cancel", {"id": request}), 409, "state_conflict")


def test_another_systems_request_cannot_be_cancelled(shop, systems, site):
	other = systems.like(title="Another")
	with kept_from_workers(site, shop):
		request = accepted(shop, "orders.create", order())
		expect.problem(other.http.post("requests.cancel", {"id": request}), 404, "not_found")


def test_requests_are_listed_the_newest_first(shop, site):
	requests = [shop.http.post("orders.create", order()).message["id"] for _order in range(5)]
	bad = order(lines=[line(item_code="HT-NONE")])
	assert shop.http.post("orders.create", bad).status == 422
	listed, cursor = [], None
	while True:
		page = shop.http.get("requests.list", limit=2, **({"cursor": cursor} if cursor else {})).message
		listed += page["result"]
		cursor = page["next_cursor"]
		if not cursor:
			break
	assert [row["id"] for row in listed][1:] == requests[::-1]
	assert (listed[0]["status"], listed[0]["error_code"]) == ("Failed", "unknown_item")
	back = shop.http.get("requests.list", limit=2, cursor=page["prev_cursor"]).message
	assert [row["id"] for row in back["result"]] == [row["id"] for row in listed[2:4]]
	failed = shop.http.get("requests.list", status="Failed").message["result"]
	assert [row["external_id"] for row in failed] == [bad["external_id"]]
	one = shop.http.get("requests.list", external_id=listed[2]["external_id"]).message["result"]
	assert [row["id"] for row in one] == [listed[2]["id"]]
	expect.problem(shop.http.get("requests.list", cursor="x"), 422, "validation_failed", ["?cursor"])
	expect.problem(shop.http.get("requests.list", status="Done"), 422, "validation_failed", ["?status"])


def test_orders_are_listed_as_they_change(shop):
	ids = [placed(shop.http).order["external_id"] for _order in range(3)]
	found, cursor = changes(shop, ids)
	assert found == ids
	changed = {"external_id": ids[0], "order_number": unique("N")}
	assert shop.http.post("orders.update", changed, key=unique("K")).status == 200
	# What is young comes again, in the order of the changes; however small the pages.
	assert changes(shop, ids, cursor)[0] == [*ids[1:], ids[0]]
	assert changes(shop, ids, cursor, limit=5)[0] == [*ids[1:], ids[0]]


def test_a_change_that_is_saved_late_is_not_passed_over(shop, site):
	"""It began before what a reader has seen; and is no longer shown once it is too old to be overtaken."""
	ids = [placed(shop.http).order["external_id"] for _order in range(2)]
	names = [site.order_of(shop.name, external_id).name for external_id in ids]
	site.refresh()
	_date_back(names[0], 90)
	found, cursor = changes(shop, ids)
	assert found == ids
	frappe.db.commit()
	found, cursor = changes(shop, ids, cursor)
	assert found == ids
	_date_back(names[0], 1000)
	_date_back(names[1], 900)
	frappe.db.commit()
	assert changes(shop, ids, cursor)[0] == []
	assert changes(shop, ids)[0] == ids


def _date_back(order: str, seconds: int) -> None:
	"""Begin a change that ERPNext dates to so long ago."""
	frappe.db.sql(
		"UPDATE `tabSales Order` SET modified = modified - INTERVAL %s SECOND WHERE name = %s",
		(seconds, order),
	)


def changes(shop, ids: list[str], cursor: str | None = None, limit: int = 200) -> tuple[list[str], str]:
	"""Read orders.list page by page until caught up; return those of these ids, and where to go on."""
	found = []
	while True:
		page = shop.http.get("orders.list", limit=limit, **({"cursor": cursor} if cursor else {})).message
		found += [row["external_id"] for row in page["result"]]
		cursor = page["next_cursor"]
		if page["result_count"] < limit:
			return [each for each in found if each in ids], cursor


# -- batches --------------------------------------------------------------------------------------------------------


def batch_of(orders: list[dict]) -> dict:
	return {"external_id": unique("B"), "orders": orders}


def test_an_error_that_quotes_a_secret_is_still_read(shop, site):
	"""What is masked must leave the stored problem readable, and with it the outcomes of all others."""
	bad = order(**{'token="x': 1})
	batch = sent(
		shop, batch_of([order(), bad, order(note="token=abc, def", lines=[line(item_code='password="it')])])
	)
	site.wait_for("its expansion", lambda: (queue.drain(), told(shop, batch)["items"])[1])
	queue.drain()
	told_of = told(shop, batch)["items"]
	assert [item["error"] and item["error"]["code"] for item in told_of[1:2]] == ["validation_failed"]
	site.wait_for_status(told_of[2]["request"], "Retry Scheduled", "Failed")
	failed = told(shop, told_of[2]["request"])
	assert failed["error"]["code"] == "unknown_item" and "password" in failed["error"]["detail"]


def sent(shop, body: dict) -> str:
	answer = shop.http.post("orders.create_many", body)
	assert answer.status == 202, answer
	return answer.message["id"]


def finished(site, shop, batch: str) -> dict:
	def settled() -> bool:
		queue.drain()
		queue.settle_batches()
		return told(shop, batch)["status"] == "Completed"

	site.wait_for("the batch", settled)
	return told(shop, batch)


def test_each_order_of_a_batch_has_its_own_fate(shop, site):
	good, unpriced, again = order(), order(), order()
	del unpriced["lines"][0]["unit_price"]
	bodies = [good, unpriced, order(charges=[{"code": "unmapped", "amount": 1}]), {"lines": []}, again, again]
	body = batch_of(bodies)
	batch = sent(shop, body)
	row = finished(site, shop, batch)
	assert row["progress"] == {"total": 6, "completed": 3, "failed": 3, "cancelled": 0, "waiting": 0}
	outcomes = row["items"]
	assert [one["index"] for one in outcomes] == list(range(6))
	assert [one["status"] for one in outcomes] == [
		"Completed",
		"Failed",
		"Failed",
		"Failed",
		"Completed",
		"Completed",
	]
	assert [one["external_id"] for one in outcomes] == [each.get("external_id") for each in bodies]
	assert outcomes[0]["document"]["name"] == site.order_of(shop.name, good["external_id"]).name
	assert outcomes[1]["error"]["errors"][0]["pointer"] == "/lines/0/unit_price"
	assert outcomes[2]["error"]["code"] == "charge_not_mapped"
	assert outcomes[4]["request"] == outcomes[5]["request"]
	final = shop.http.post("orders.create_many", body)
	assert (final.status, final.headers["Idempotent-Replayed"]) == (200, "true")
	assert final.message == {"id": batch, "progress": row["progress"]}
	# Alone, the same order is the one that was placed.
	alone = shop.http.post("orders.create", good)
	assert (alone.status, alone.headers["Idempotent-Replayed"]) == (201, "true")


def test_orders_sent_before_keep_what_they_are(shop, site):
	first, other = order(), order()
	for body in (first, other):
		assert shop.http.post("orders.create", body).status == 201
	row = finished(site, shop, sent(shop, batch_of([first, {**other, "note": "changed"}, order()])))
	assert [one["status"] for one in row["items"]] == ["Completed", "Failed", "Completed"]
	assert row["items"][1]["error"]["code"] == "idempotency_key_reused"
	assert site.order_of(shop.name, first["external_id"]).docstatus == 1


def test_a_batch_is_cancelled_as_far_as_it_has_not_begun(shop, site):
	body = batch_of([order() for _order in range(5)])
	with site.no_help():
		batch = sent(shop, body)
		claim = waiting.claim(next(row for row in waiting.due() if row.name == batch))
		frappe.db.commit()
		queue.run(claim)
		assert told(shop, batch)["progress"]["waiting"] == 5
		answer = shop.http.post("requests.cancel", {"id": batch})
	assert answer.message["status"] == "Completed", answer
	assert answer.message["progress"] == {
		"total": 5,
		"completed": 0,
		"failed": 0,
		"cancelled": 5,
		"waiting": 0,
	}
	assert frappe.db.count("Sales Order", {"hub_system": shop.name}) == 0


@pytest.mark.parametrize(
	("change", "pointers"),
	[
		({"orders": []}, ["/orders"]),
		({"orders": [{}] * 1001}, ["/orders"]),
		({"orders": ["x"]}, ["/orders/0"]),
		({"validate_only": True}, ["/validate_only"]),
		({"order": 1}, ["/order"]),
	],
)
def test_what_is_no_batch(change, pointers, shop):
	answer = shop.http.post("orders.create_many", {**batch_of([order()]), **change})
	expect.problem(answer, 422, "validation_failed", pointers)


def test_a_rehearsal_within_a_batch_is_refused(shop, site):
	"""It would be placed: a batch does not rehearse."""
	row = finished(site, shop, sent(shop, batch_of([order(validate_only=True)])))
	assert row["items"][0]["error"]["errors"][0]["pointer"] == "/validate_only"
	assert frappe.db.count("Sales Order", {"hub_system": shop.name}) == 0


def test_a_batch_needs_a_key_or_an_id(shop):
	expect.problem(
		shop.http.post("orders.create_many", {"orders": [order()]}), 400, "idempotency_key_required"
	)
	answer = shop.http.post("orders.create_many", {"orders": [order()]}, key=unique("K"))
	assert answer.status == 202


# -- what operators type --------------------------------------------------------------------------------------------


def test_retry_by_code(shop, site, stack, factory):
	code = unique("HT-LATER")
	bodies = [order(lines=[line(item_code=code)]) for _order in range(3)]
	for body in bodies:
		assert shop.http.post("orders.create", body).status == 422
	factory.item(code)
	printed = stack.run(
		"integration-hub", "retry", "--system", shop.name, "--code", "unknown_item", site=stack.site
	)
	assert "Queued 3 of 3 requests." in printed
	stack.run("integration-hub", "drain", site=stack.site)
	for body in bodies:
		request = site.request_of(shop.name, body["external_id"])[0]
		site.wait_for_status(request.name, "Completed")


def test_the_doctor_finds_what_is_late(systems, site, stack):
	"""The system's only place is taken."""
	shop = systems.new(queue_workers=1)
	with kept_from_workers(site, shop):
		first, late = (accepted(shop, "orders.create", order()) for _order in range(2))
		taken = {"status": "Processing", "attempt_no": 1, "next_attempt_at": None}
		site.set_row("Hub Request", first, **taken, lease_until=("UTC", 300))
		site.set_row("Hub Request", late, next_attempt_at=("UTC", -3600))
		# What waits for a person's switch is not late.
		assert waiting.late(1800) == 0
	process = stack.start("integration-hub", "doctor", "--json", site=stack.site)
	printed, _errors = process.communicate(timeout=180)
	site.set_row("Hub Request", first, lease_until=("UTC", -1))
	queue.drain(20)
	for request in (first, late):
		site.wait_for_status(request, "Completed")
	found = json.loads(printed[printed.index("[") :])
	areas = {(finding["area"], finding["level"]) for finding in found}
	assert ("Requests", "error") in areas and process.returncode == 1
	assert {"Database", "Clock", "Redis of the cache", "Redis of the queue", "Workers", "Scheduler"} <= {
		finding["area"] for finding in found
	}
	assert all(finding["remedy"] for finding in found if finding["level"] != "ok")
