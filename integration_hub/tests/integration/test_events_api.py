"""`events.*` over HTTP: the stream read by cursor misses nothing and doubles nothing; events are delivered again."""

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel

import frappe

from integration_hub.core import cursor as cursors
from integration_hub.outbound import outbox, stream
from integration_hub.outbound.envelope import Envelope, Subject
from integration_hub.outbound.outbox import NewDelivery, NewEvent
from integration_hub.schemas.events import EventAnswer, EventList, ReplayAnswer, utc
from integration_hub.tests import expect
from integration_hub.tests.events import by_hand
from integration_hub.tests.factories import unique
from integration_hub.tests.receivers import Answer, Receiver
from integration_hub.tests.systems import all_scopes

EVENT, DELIVERY = "Hub Event", "Hub Event Delivery"
CUSTOMERS = {"documents": [{"event": "document.*", "document_type": "Customer", "fields": ["customer_name"]}]}
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def conforms(schema: type[BaseModel], message: dict) -> dict:
	"""Assert that an answer is what its schema says, no member more, and return it."""
	assert schema.model_validate(message).model_dump(mode="json", exclude_unset=True) == message
	return message


def page(system, **query) -> dict:
	answer = system.http.get("events.list", **query)
	assert answer.status == 200, answer
	message = conforms(EventList, answer.message)
	assert message["result_count"] == len(message["result"])
	return message


def ids(message: dict) -> list[str]:
	return [event["id"] for event in message["result"]]


def write(system: str, count: int = 1, event: str = "order.updated", webhook: str | None = None) -> list[str]:
	"""Write events as the capture does, and commit; return their ids."""
	subject = Subject("Customer", "Nobody")
	found = []
	for _number in range(count):
		event_id = f"evt_{frappe.generate_hash(length=24)}"
		envelope = Envelope(
			event_id, event, utc(datetime.now(timezone.utc).replace(tzinfo=None)), "http://x", subject
		)
		deliveries = [NewDelivery(webhook)] if webhook else []
		found.append(NewEvent(event_id, event, system, None, subject, envelope.render({"n": 1}), deliveries))
	outbox.add(found)
	frappe.db.commit()
	return [one.id for one in found]


@pytest.fixture
def ear(listen):
	"""A system of its own that fetches; what is written for it is removed with it."""
	return listen.pull("order.*", **CUSTOMERS)


@pytest.fixture(scope="module")
def stranger(systems):
	return systems.new()


def happened(ear, *customers: str) -> list[str]:
	"""Make customers and return the ids of the events about them, in order."""
	for name in customers:
		with by_hand():
			_customer(name)
	return [row.name for row in ear.news()]


def _customer(name: str) -> None:
	frappe.get_doc(
		{
			"doctype": "Customer",
			"customer_name": name,
			"customer_type": "Company",
			"customer_group": "Commercial",
			"territory": "United States",
		}
	).insert()


# -- list and get -------------------------------------------------------------------------------------------------


def test_an_event_is_listed_as_it_is_sent(ear):
	name = unique("HT Customer")
	(event,) = happened(ear, name)
	listed = page(ear.system)
	(row,) = ear.events()
	assert listed["result"] == [
		{
			"id": event,
			"type": "document.created",
			"timestamp": row.body["timestamp"],
			"data": {
				"document": {
					"doctype": "Customer",
					"name": name,
					"docstatus": 0,
					"fields": {"customer_name": name},
				}
			},
		}
	]
	moment = datetime.fromisoformat(row.body["timestamp"].replace("Z", "+00:00"))
	assert abs(moment - row.occurred_at.replace(tzinfo=timezone.utc)) < timedelta(seconds=5)
	got = ear.http.get("events.get", id=event)
	assert conforms(EventAnswer, got.message) == listed["result"][0]


def test_walking_forward_and_back_meets_each_event_once(ear):
	written = write(ear.system.name, 7)
	first = page(ear.system, limit=3)
	second = page(ear.system, limit=3, cursor=first["next_cursor"])
	third = page(ear.system, limit=3, cursor=second["next_cursor"])
	assert (ids(first), ids(second), ids(third)) == (written[:3], written[3:6], written[6:])
	assert first["prev_cursor"] is None
	back = page(ear.system, limit=3, cursor=third["prev_cursor"])
	start = page(ear.system, limit=3, cursor=back["prev_cursor"])
	assert (ids(back), ids(start)) == (written[3:6], written[:3])
	assert start["prev_cursor"] is None
	assert ids(page(ear.system, limit=3, cursor=start["next_cursor"])) == written[3:6]
	assert ids(page(ear.system)) == written


def test_at_the_end_a_reader_polls(ear):
	empty = page(ear.system)
	assert (empty["result"], empty["prev_cursor"]) == ([], None)
	assert empty["next_cursor"]
	written = write(ear.system.name, 2)
	found = page(ear.system, cursor=empty["next_cursor"])
	assert ids(found) == written
	for _poll in range(3):
		found = page(ear.system, cursor=found["next_cursor"])
		assert (found["result"], bool(found["next_cursor"])) == ([], True)
	later = write(ear.system.name, 1)
	assert ids(page(ear.system, cursor=found["next_cursor"])) == later


def test_a_full_last_page_is_followed_by_an_empty_one(ear):
	written = write(ear.system.name, 2)
	found = page(ear.system, limit=2)
	assert ids(found) == written
	assert page(ear.system, limit=2, cursor=found["next_cursor"])["result"] == []


def test_one_kind_of_events(ear):
	updated = write(ear.system.name, 2)
	cancelled = write(ear.system.name, 3, event="order.cancelled")
	more = write(ear.system.name, 2)
	assert ids(page(ear.system, type="order.updated")) == updated + more
	found = page(ear.system, type="order.cancelled", limit=2)
	assert ids(found) == cancelled[:2]
	assert ids(page(ear.system, type="order.cancelled", cursor=found["next_cursor"])) == cancelled[2:]
	assert page(ear.system, type="order.deleted")["result"] == []


def test_only_ones_own(ear, stranger):
	(mine,) = write(ear.system.name)
	assert page(stranger)["result"] == []
	cursor = page(ear.system)["next_cursor"]
	(theirs,) = write(stranger.name)
	try:
		assert ids(page(ear.system)) == [mine]
		assert page(ear.system, cursor=cursor)["result"] == []
		assert ids(page(stranger)) == [theirs]
		for event in (mine, "evt_nobody", theirs.upper()):
			answer = stranger.http.get("events.get", id=event)
			expect.problem(answer, 404, "not_found")
			assert ear.system.name not in answer.content.decode()
	finally:
		frappe.db.sql("DELETE FROM `tabHub Event` WHERE name = %s", (theirs,))
		frappe.db.commit()


@pytest.mark.parametrize("limit", ["1", "500"])
def test_limits(limit, ear):
	written = write(ear.system.name, 2)
	assert ids(page(ear.system, limit=limit)) == written[: int(limit)]


@pytest.mark.parametrize(
	("query", "pointer", "code"),
	[
		({"limit": "0"}, "?limit", "greater_than_equal"),
		({"limit": "501"}, "?limit", "less_than_equal"),
		({"limit": "many"}, "?limit", "int_parsing"),
		({"offset": "1"}, "?offset", "unknown_field"),
		({"system": "another"}, "?system", "unknown_field"),
		({"type": ""}, "?type", "too_short"),
		({"type": "order.eaten"}, "?type", "unknown_event"),
		({"cursor": "x" * 1001}, "?cursor", "too_long"),
	],
)
def test_list_names_what_is_wrong(query, pointer, code, hub):
	answer = hub.get("events.list", **query)
	expect.problem(answer, 422, "validation_failed", [pointer])
	assert answer.body["errors"][0]["code"] == code


def _encoded(value) -> str:
	return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
	"forged",
	[
		"x",
		"null",
		"1",
		cursors.encode("requests", [1]),
		cursors.encode("events", ["1"]),
		cursors.encode("events", [1.5]),
		cursors.encode("events", [1, 2]),
		cursors.encode("events", [1])[:-1],
		cursors.encode("events", [1]) + "=",
		_encoded(["events", 2, 1]),
		_encoded(["events", 0, None]),
		_encoded(["events", 0, True]),
		_encoded(["events", 0, {"a": 1}]),
		_encoded(["events", 0, "1 OR 1=1"]),
		_encoded({"events": 0}),
		"' OR 1=1 --",
		"💥",
	],
)
def test_a_forged_cursor_is_refused(forged, hub):
	answer = hub.get("events.list", cursor=forged)
	expect.problem(answer, 422, "validation_failed", ["?cursor"])
	assert answer.body["errors"][0]["code"] == "not_a_cursor"


@pytest.mark.parametrize("place", [-5, 2**63, 10**30, 10**400])
def test_a_cursor_beyond_all_events_finds_none_or_all(place, ear):
	written = write(ear.system.name, 2)
	found = page(ear.system, cursor=cursors.encode("events", [place]))
	assert ids(found) == (written if place < 0 else [])


def test_an_empty_cursor_is_the_start(ear):
	written = write(ear.system.name, 1)
	assert ids(page(ear.system, cursor="")) == written


def test_get_needs_an_id(hub):
	expect.problem(hub.get("events.get"), 422, "validation_failed", ["?id"])


@pytest.mark.parametrize(("verb", "wrong"), [("list", "POST"), ("get", "POST"), ("replay", "GET")])
def test_each_verb_takes_one_method(verb, wrong, hub):
	answer = hub.send(
		wrong, f"/api/method/integration_hub.api.v1.events.{verb}", {} if wrong == "POST" else None
	)
	expect.problem(answer, 405, "method_not_allowed")


@pytest.mark.parametrize("verb", ["list", "get", "replay"])
def test_each_verb_needs_its_scope_and_credentials(verb, systems, anonymous):
	http = systems.like(scopes=all_scopes("events:read")).http
	for client, status, code in ((http, 403, "scope_missing"), (anonymous, 401, "not_authenticated")):
		answer = (
			client.post("events.replay", {"ids": ["x"]})
			if verb == "replay"
			else client.get(f"events.{verb}", **({"id": "x"} if verb == "get" else {}))
		)
		expect.problem(answer, status, code)


# -- order of the stream ------------------------------------------------------------------------------------------


@contextmanager
def open_transaction(stack, work):
	"""Run `work` on a connection of its own, uncommitted; yield `commit()`, which commits and waits for it."""
	ready, go = threading.Event(), threading.Event()
	errors = []

	def run() -> None:
		frappe.init(stack.site, sites_path=".")
		frappe.connect()
		frappe.set_user("Administrator")
		try:
			work()
			ready.set()
			if go.wait(30):
				frappe.db.commit()
		except Exception as e:
			errors.append(e)
			ready.set()
		finally:
			frappe.db.rollback()
			frappe.destroy()

	thread = threading.Thread(target=run)
	thread.start()
	assert ready.wait(30)

	def commit() -> None:
		go.set()
		thread.join(30)
		assert not errors, errors

	try:
		assert not errors, errors
		yield commit
	finally:
		go.set()
		thread.join(30)


def test_a_late_commit_is_not_skipped(ear, stack, masters):
	"""Saved first, committed last: a reader who has polled in between finds it after what was committed before."""
	early, late = unique("HT Customer"), unique("HT Customer")
	start = page(ear.system)["next_cursor"]
	with open_transaction(stack, lambda: _customer(early)) as commit:
		with by_hand():
			_customer(late)
		first = page(ear.system, cursor=start)
		assert [event["data"]["document"]["name"] for event in first["result"]] == [late]
		assert page(ear.system, cursor=first["next_cursor"])["result"] == []
		commit()
		second = page(ear.system, cursor=first["next_cursor"])
	try:
		assert [event["data"]["document"]["name"] for event in second["result"]] == [early]
		written = {row.reference_name: row.occurred_at for row in ear.events()}
		assert written[early] < written[late]
		assert ids(page(ear.system)) == ids(first) + ids(second)
	finally:
		frappe.delete_doc("Customer", early, force=True)
		frappe.db.commit()


def elsewhere(stack, work) -> None:
	"""Run `work` on a connection of its own."""
	frappe.init(stack.site, sites_path=".")
	frappe.connect()
	frappe.set_user("Administrator")
	try:
		work()
	finally:
		frappe.db.rollback()
		frappe.destroy()


def read_all(system, written: threading.Event) -> list[str]:
	"""Poll until all is written and read; return the ids in the order they came."""
	http = type(system.http)(system.http.stack, system.token)
	cursor, seen = {}, []
	while True:
		over = written.is_set()
		answer = http.get("events.list", limit=100, **cursor)
		assert answer.status == 200, answer
		seen += [event["id"] for event in answer.message["result"]]
		cursor = {"cursor": answer.message["next_cursor"]}
		if over and not answer.message["result"]:
			return seen


def test_several_numbering_at_once_leave_no_gap_and_no_double(ear, stack, site):
	"""Writers, numberers and readers over HTTP, all at the same time and on connections of their own."""
	write(ear.system.name)
	stream.number()
	highest = frappe.db.sql("SELECT max(sequence) FROM `tabHub Event`")[0][0]
	batches = range(20)
	works = [lambda: [write(ear.system.name, 20) for _batch in batches]] * 2
	works += [lambda: [stream.number() for _time in batches]] * 3
	written = threading.Event()
	with ThreadPoolExecutor(len(works) + 2) as pool:
		readers = [pool.submit(read_all, ear.system, written) for _one in range(2)]
		try:
			for future in [pool.submit(elsewhere, stack, work) for work in works]:
				future.result(60)
		finally:
			written.set()
		seen = [future.result(60) for future in readers]
	site.refresh()
	rows = frappe.db.sql(
		"SELECT name, sequence FROM `tabHub Event` WHERE `system` = %s ORDER BY sequence", (ear.system.name,)
	)
	assert len(rows) == 801
	numbers = frappe.db.sql(
		"SELECT sequence FROM `tabHub Event` WHERE sequence > %s ORDER BY sequence", (highest,), pluck=True
	)
	assert numbers == list(range(highest + 1, highest + 1 + len(numbers)))
	assert seen == [[name for name, _sequence in rows]] * 2


# -- replay -------------------------------------------------------------------------------------------------------


def replayed(system, **body) -> tuple[int, int]:
	answer = system.http.post("events.replay", body)
	assert answer.status == 200, answer
	message = conforms(ReplayAnswer, answer.message)
	return message["replayed"], message["skipped"]


@pytest.fixture
def quiet(listen, site):
	"""`quiet(receiver)`: a webhook whose deliveries nobody makes by themselves, for it is paused."""

	def make(receiver, *events, **more):
		ear = listen.push(receiver, *(events or ("order.*",)), **more)
		ear.update(status="paused")
		return ear

	return make


def states(ear) -> list[tuple[str, int]]:
	return [(row.status, row.attempt_no) for row in ear.deliveries()]


def test_events_are_sent_again_under_their_ids(listen, site):
	with Receiver() as receiver:
		ear = listen.push(receiver, "order.*")
		written = write(ear.system.name, 2, webhook=ear.webhook)
		outbox.ring()
		receiver.wait(2)
		site.wait_for("delivered", lambda: states(ear) == [("Delivered", 1)] * 2)
		bodies = {request.headers["webhook-id"]: request.body for request in receiver.requests}
		assert replayed(ear.system, ids=[written[1]]) == (1, 0)
		receiver.wait(3)
		again = receiver.requests[2]
		assert (again.headers["webhook-id"], again.body) == (written[1], bodies[written[1]])
		site.wait_for("delivered again", lambda: states(ear) == [("Delivered", 1)] * 2)
	assert [row.redelivered_by for row in ear.deliveries()] == [None, ear.system.user]
	assert len(ear.events()) == 2


def test_what_is_under_way_is_skipped(quiet, site):
	with Receiver() as receiver:
		ear = quiet(receiver)
		written = write(ear.system.name, 2, webhook=ear.webhook)
		sending = ear.deliveries(event=written[0])[0].name
		site.set_row(DELIVERY, sending, status="Sending", lease="another", due_at=("UTC", 600), attempt_no=3)
		assert replayed(ear.system, ids=written) == (1, 1)
		(row,) = ear.deliveries(event=written[0])
		assert (row.status, row.lease, row.attempt_no, row.redelivered_by) == ("Sending", "another", 3, None)


def test_exhausted_ones_get_all_their_attempts_again(quiet, site):
	with Receiver() as receiver:
		ear = quiet(receiver)
		(event,) = write(ear.system.name, webhook=ear.webhook)
		site.set_row(DELIVERY, ear.deliveries()[0].name, status="Exhausted", due_at=None, attempt_no=10)
		assert replayed(ear.system, ids=[event]) == (1, 0)
		(row,) = ear.deliveries()
		assert (row.attempt_no, row.status in ("Pending", "Held")) == (0, True)


def test_a_new_webhook_gets_what_happened_before(listen, quiet):
	with Receiver() as receiver:
		early = listen.pull("order.*")
		written = write(early.system.name, 2) + write(early.system.name, 1, event="order.cancelled")
		late = quiet(receiver, "order.updated", system=early.system, format="cloudevents")
		unwilling = quiet(receiver, "invoice.*", system=early.system)
		assert replayed(early.system, ids=written) == (2, 0)
		assert [row.event for row in late.deliveries()] == written[:2]
		body = json.loads(late.deliveries()[0].body)
		assert (body["specversion"], body["id"], body["data"]) == ("1.0", written[0], {"n": 1})
		assert unwilling.deliveries() == []
		# A second time there is nothing to add.
		assert replayed(early.system, ids=written) == (2, 0)
		assert len(late.deliveries()) == 2


def test_a_condition_decides_on_what_happened_before(listen, quiet):
	with Receiver() as receiver:
		early = listen.pull("order.*")
		written = write(early.system.name, 1)
		wants = quiet(receiver, "order.*", system=early.system, condition="n == `1`")
		other = quiet(receiver, "order.*", system=early.system, condition="n == `2`")
		assert replayed(early.system, ids=written) == (1, 0)
		assert (len(wants.deliveries()), other.deliveries()) == (1, [])


def test_one_webhook_alone(quiet):
	with Receiver() as receiver:
		one = quiet(receiver)
		two = quiet(receiver, system=one.system)
		written = write(one.system.name, 2)
		assert replayed(one.system, ids=written, webhook=two.webhook) == (2, 0)
		assert (one.deliveries(), len(two.deliveries())) == ([], 2)


def test_those_of_a_time(quiet, site):
	"""From `since` on, before `until`; offsets are minded, and without one it is the site's time."""
	local = NOON.astimezone(ZoneInfo(frappe.utils.get_system_timezone())).replace(tzinfo=None)
	with Receiver() as receiver:
		ear = quiet(receiver)
		written = write(ear.system.name, 4)
		for hours, event in enumerate(written):
			moment = (NOON + timedelta(hours=hours)).replace(tzinfo=None)
			site.set_row(EVENT, event, occurred_at=moment)
		for since, until, expected in (
			("2026-03-01T12:00:00Z", "2026-03-01T14:00:00Z", written[:2]),
			("2026-03-01T12:00:00.000001Z", "2026-03-01T14:00:00.000001Z", written[1:3]),
			("2026-03-01T18:00:00+05:00", "2026-03-01T09:30:00-05:00", written[1:3]),
			(local.isoformat(), (local + timedelta(hours=1)).isoformat(), written[:1]),
			((local + timedelta(hours=2)).isoformat(), None, written[2:]),
			("2026-03-01T15:00:00Z", "2026-03-01T12:00:00Z", []),
		):
			# One by one: by webhook it would meet a worker that holds them.
			for row in ear.deliveries():
				frappe.db.sql("DELETE FROM `tabHub Event Delivery` WHERE name = %s", (row.name,))
				frappe.db.commit()
			body = {"since": since, **({"until": until} if until else {})}
			assert replayed(ear.system, **body) == (len(expected), 0), body
			assert sorted(row.event for row in ear.deliveries()) == sorted(expected), body


def test_those_of_a_kind(quiet, site):
	with Receiver() as receiver:
		ear = quiet(receiver)
		write(ear.system.name, 2)
		(cancelled,) = write(ear.system.name, event="order.cancelled")
		assert replayed(ear.system, since="2026-01-01T00:00:00Z", type="order.cancelled") == (1, 0)
		assert [row.event for row in ear.deliveries()] == [cancelled]


@pytest.mark.parametrize(
	("body", "pointers"),
	[
		({}, [""]),
		({"ids": ["a"], "since": "2026-01-01"}, [""]),
		({"until": "2026-01-01"}, [""]),
		({"ids": ["a"], "until": "2026-01-01"}, ["/until"]),
		({"ids": ["a"], "type": "order.updated"}, ["/type"]),
		({"ids": []}, ["/ids"]),
		({"ids": "a"}, ["/ids"]),
		({"ids": [1]}, ["/ids/0"]),
		({"ids": ["a"] * 1001}, ["/ids"]),
		({"since": "yesterday"}, ["/since"]),
		({"since": 1}, ["/since"]),
		({"since": "1969-12-31"}, ["/since"]),
		({"since": "2026-01-01", "before": "2026-01-02"}, ["/before"]),
		({"since": "2026-01-01", "type": "order.eaten"}, ["/type"]),
	],
)
def test_replay_names_what_is_wrong(body, pointers, hub):
	expect.problem(hub.post("events.replay", body), 422, "validation_failed", pointers)


def test_too_many_at_once(quiet, site, listen):
	ear = listen.pull("order.*")
	for _batch in range(11):
		write(ear.system.name, 1000 if _batch < 10 else 1)
	answer = ear.http.post("events.replay", {"since": "2026-01-01T00:00:00Z"})
	expect.problem(answer, 422, "validation_failed", ["/until"])
	assert answer.body["errors"][0]["code"] == "too_many"


def test_unknown_events_and_webhooks_and_those_of_others(quiet, stranger):
	with Receiver() as receiver:
		ear = quiet(receiver)
		(mine,) = write(ear.system.name, webhook=ear.webhook)
		# A worker may hold it meanwhile, for the webhook is paused.
		before = [(row.name, row.attempt_no, row.redelivered_by) for row in ear.deliveries()]
		(theirs,) = write(stranger.name)
		try:
			for http, body, pointer in (
				(stranger.http, {"ids": [theirs, mine]}, "/ids/1"),
				(stranger.http, {"ids": ["evt_nope"]}, "/ids/0"),
				(stranger.http, {"ids": [theirs.upper()]}, "/ids/0"),
				(stranger.http, {"ids": [theirs], "webhook": ear.webhook}, "/webhook"),
				(stranger.http, {"since": "2026-01-01", "webhook": ear.webhook}, "/webhook"),
				(ear.http, {"ids": [mine], "webhook": "nope"}, "/webhook"),
			):
				answer = http.post("events.replay", body)
				expect.problem(answer, 404, "not_found", [pointer])
			assert replayed(stranger, since="2026-01-01") == (0, 0)
		finally:
			frappe.db.sql("DELETE FROM `tabHub Event` WHERE name = %s", (theirs,))
			frappe.db.commit()
		after = [(row.name, row.attempt_no, row.redelivered_by) for row in ear.deliveries()]
		assert after == before


def test_what_is_no_longer_kept_cannot_be_replayed(quiet, site):
	from integration_hub.integration_hub.doctype.hub_event.hub_event import HubEvent

	with Receiver() as receiver:
		ear = quiet(receiver)
		old, young = write(ear.system.name, 2)
		site.set_row(EVENT, old, occurred_at=("UTC", -4000 * 86400))
		HubEvent.clear_old_logs(3650)
		expect.problem(ear.http.post("events.replay", {"ids": [young, old]}), 404, "not_found", ["/ids/1"])
		expect.problem(ear.http.get("events.get", id=old), 404, "not_found")
		assert ids(page(ear.system)) == [young]
		assert replayed(ear.system, since="2010-01-01") == (1, 0)
		assert [row.event for row in ear.deliveries()] == [young]


def test_a_failing_receiver_does_not_fail_the_call(listen, site):
	with Receiver(Answer(500)) as receiver:
		ear = listen.push(receiver, "order.*")
		written = write(ear.system.name, 1)
		assert replayed(ear.system, ids=written) == (1, 0)
		receiver.wait(1)
		site.wait_for("scheduled", lambda: states(ear) == [("Scheduled", 1)])
