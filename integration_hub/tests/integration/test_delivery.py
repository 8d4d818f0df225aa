"""How deliveries are signed, tried again, held and let go on; and how hostile receivers are borne without others waiting."""

import socket
import threading
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
import standardwebhooks
import svix

import frappe

from integration_hub.core import addresses
from integration_hub.core.http import Client
from integration_hub.outbound.delivery import Loop
from integration_hub.outbound.schedule import WAITS
from integration_hub.tests import site as hub_site
from integration_hub.tests.faults.delivery_process import (
	due_in,
	put,
	state,
	statuses,
	travel,
)
from integration_hub.tests.receivers import Answer, Receiver, certificate, drip, flood, hang, reset, say

DAY = 24 * 60 * 60


@pytest.fixture(scope="module", autouse=True)
def _no_help(site):
	"""The tests say who delivers, and when."""
	with site.no_help():
		yield


@pytest.fixture
def patient(monkeypatch):
	"""What failed is not due again while a slow machine still works off the rest."""
	monkeypatch.setattr("integration_hub.outbound.schedule.WAITS", (0, 600, *WAITS[2:]))


@pytest.fixture
def receiver():
	with Receiver() as receiver:
		yield receiver


@pytest.fixture
def ear(listen, shop, receiver):
	return listen.push(receiver, "order.*", system=shop)


def deliver() -> int:
	"""Deliver what is due, as a worker does; return how many were tried."""
	hub_site.refresh()
	with Loop() as loop:
		return loop.run(seconds=60)


def one(ear, event: str):
	"""Return the delivery of an event."""
	(row,) = ear.deliveries(event=event)
	return row


def log_of(event: str) -> list[tuple]:
	"""Return (attempt, HTTP status, status) of the log rows of an event's deliveries, oldest first."""
	hub_site.refresh()
	rows = frappe.get_all(
		"Integration Request",
		filters={"request_id": event, "hub_direction": "Out"},
		fields=["hub_attempt", "hub_http_status", "status"],
		order_by="hub_attempt asc",
	)
	return [(row.hub_attempt, row.hub_http_status, row.status) for row in rows]


# -- signatures ---------------------------------------------------------------------------------------------------


def verified(secret: str, request) -> list[bool]:
	"""Whether each of the two libraries takes a request for one signed with a secret."""
	found = []
	for library, refused in (
		(standardwebhooks.Webhook, standardwebhooks.WebhookVerificationError),
		(svix.Webhook, svix.webhooks.WebhookVerificationError),
	):
		try:
			library(secret).verify(request.body, request.headers)
			found.append(True)
		except refused:
			found.append(False)
	return found


def test_signatures_before_during_and_after_a_rotation(ear, receiver):
	def sent():
		(event,) = put(ear)
		assert deliver() == 1
		request = receiver.requests[-1]
		assert request.headers["webhook-id"] == event
		assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
		return request

	before = sent()
	assert verified(ear.secret, before) == [True, True]
	assert verified(ear.secret, before._replace(body=before.body + b" ")) == [False, False]

	answer = ear.http.post("webhooks.rotate_secret", {"id": ear.webhook, "overlap_hours": 24})
	new = answer.message["secret"]
	during = sent()
	assert new != ear.secret
	assert verified(ear.secret, during) == verified(new, during) == [True, True]
	assert verified(new, before) == [False, False]
	assert len(during.headers["webhook-signature"].split()) == 2

	hub_site.set_row("Hub Webhook", ear.webhook, previous_secret_valid_until=("UTC", -1))
	after = sent()
	assert verified(new, after) == [True, True]
	assert verified(ear.secret, after) == [False, False]
	assert len(after.headers["webhook-signature"].split()) == 1


# -- tried again --------------------------------------------------------------------------------------------------


def test_ten_attempts_of_the_schedule_then_exhausted(ear, receiver):
	receiver.behave = Answer(500, body=b"out of order")
	(event,) = put(ear)
	for attempt in range(1, 11):
		assert deliver() == 1
		row = one(ear, event)
		assert (row.attempt_no, row.http_status, row.response) == (attempt, 500, "out of order")
		if attempt < 10:
			assert row.status == "Scheduled"
			wait = float(due_in(ear, event))
			assert WAITS[attempt] * 0.799 < wait < WAITS[attempt] * 1.201
			travel(ear, wait - 60)
			assert deliver() == 0
			travel(ear, 61)
	assert (row.status, row.due_at, row.lease, row.delivered_at) == ("Exhausted", None, None, None)
	travel(ear, DAY)
	assert deliver() == 0
	assert log_of(event) == [(attempt, 500, "Failed") for attempt in range(1, 11)]
	assert receiver.count == 10
	assert {request.headers["webhook-id"] for request in receiver.requests} == {event}
	assert len({request.body for request in receiver.requests}) == 1

	receiver.behave = Answer(204)
	assert ear.http.post("events.replay", {"ids": [event]}).message["replayed"] == 1
	hub_site.wait_for("delivered", lambda: deliver() or one(ear, event).status == "Delivered")
	assert (one(ear, event).attempt_no, one(ear, event).error, one(ear, event).due_at) == (1, None, None)


@pytest.mark.parametrize(
	"status, retry_after, least, most",
	[
		(429, "120", 120, 144),
		(429, "in 600 s", 598, 720),
		(429, "soon", 60, 72),
		(429, "5", 60, 72),
		(503, "200", 200, 240),
		(503, "999999999999999999999", DAY, DAY),
		(503, None, 4, 6),
	],
)
def test_retry_after(listen, shop, ear, receiver, status, retry_after, least, most):
	if retry_after == "in 600 s":
		retry_after = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=600), usegmt=True)
	receiver.behave = Answer(status, {"Retry-After": retry_after} if retry_after else {})
	(event,) = put(ear)
	assert deliver() == 1
	assert one(ear, event).status == "Scheduled"
	assert least <= float(due_in(ear, event)) <= most


def test_five_days_without_a_success_pause_it(ear, receiver):
	receiver.behave = Answer(500)
	(first,) = put(ear)
	deliver()
	assert state(ear).status == "Active"
	travel(ear, 5 * DAY - 60)
	(second,) = put(ear)
	assert deliver() == 2
	assert state(ear).status == "Active"
	travel(ear, 120)
	(third,) = put(ear)
	deliver()
	paused = state(ear)
	assert paused.status == "Paused"
	assert paused.paused_because == "Every call failed for five days. The last time: It answered 500."
	tried = receiver.count

	(later,) = put(ear)
	travel(ear, DAY)
	assert deliver() == 0
	assert {one(ear, event).status for event in (first, second, third, later)} == {"Held"}
	assert (one(ear, later).attempt_no, one(ear, later).due_at) == (0, None)
	assert receiver.count == tried

	receiver.behave = Answer()
	ear.update(status="active")
	hub_site.wait_for("all delivered", lambda: deliver() or statuses(ear) == {"Delivered": 4})
	assert state(ear).paused_because is None
	assert state(ear).failing_since is None


def test_one_success_ends_the_days_of_failing(ear, receiver):
	receiver.behave = Answer(500)
	put(ear)
	deliver()
	travel(ear, 4 * DAY)
	receiver.behave = Answer()
	assert deliver() == 1
	assert state(ear).failing_since is None


# -- held ---------------------------------------------------------------------------------------------------------


def test_410_disables_it_and_keeps_everything(listen, shop, receiver):
	receiver.behave = Answer(410)
	ear = listen.push(receiver, "order.*", system=shop, concurrency=1)
	events = put(ear, 3)
	assert deliver() == 1
	gone = state(ear)
	assert (gone.status, gone.paused_because) == ("Disabled", "It answered 410: it is gone for good.")
	assert receiver.count == 1
	for event in events:
		row = one(ear, event)
		assert (row.status, row.attempt_no, row.due_at, row.lease) == ("Held", 0, None, None)
	assert sorted(log_of(event) for event in events) == [[], [], [(1, 410, "Failed")]]

	receiver.behave = Answer()
	ear.update(status="active")
	hub_site.wait_for("all delivered", lambda: deliver() or statuses(ear) == {"Delivered": 3})
	assert Counter(request.headers["webhook-id"] for request in receiver.requests[1:]) == dict.fromkeys(
		events, 1
	)


def test_paused_and_resumed(ear, receiver):
	(before,) = put(ear)
	ear.update(status="paused")
	(meanwhile,) = put(ear)
	assert deliver() == 0
	for event in (before, meanwhile):
		row = one(ear, event)
		assert (row.status, row.attempt_no, row.due_at) == ("Held", 0, None)
	assert receiver.count == 0
	ear.update(status="active")
	hub_site.wait_for("all delivered", lambda: deliver() or statuses(ear) == {"Delivered": 2})
	assert receiver.count == 2


def test_of_a_disabled_system_nothing_is_sent_until_it_is_enabled(listen, system, receiver):
	mine = system()
	ear = listen.push(receiver, "order.*", system=mine)
	mine.change(enabled=0)
	put(ear, 2)
	assert deliver() == 0
	assert statuses(ear) == {"Held": 2}
	assert receiver.count == 0
	mine.change(enabled=1)
	hub_site.wait_for("all delivered", lambda: deliver() or statuses(ear) == {"Delivered": 2})
	assert receiver.count == 2


def test_what_waits_for_a_person_is_not_let_go_by_a_resume(ear, receiver):
	(event,) = put(ear)
	hub_site.set_row("Hub Event Delivery", one(ear, event).name, status="Held", fault="No.", due_at=None)
	ear.update(status="paused")
	ear.update(status="active")
	deliver()
	assert one(ear, event).status == "Held"
	assert receiver.count == 0


# -- the breaker --------------------------------------------------------------------------------------------------


def test_the_breaker_opens_holds_probes_and_closes(listen, shop, receiver, patient):
	receiver.behave = Answer(500)
	ear = listen.push(receiver, "order.*", system=shop, concurrency=2)
	put(ear, 30)
	tried = deliver()
	# Two at a time: when the tenth fails, another may be on its way.
	assert tried in (10, 11)
	opened = state(ear)
	assert (opened.status, opened.openings) == ("Active", 1)
	assert 55 < float(opened.open_for) <= 60
	assert statuses(ear) == {"Scheduled": tried, "Held": 30 - tried}
	for row in ear.deliveries(status="Held"):
		assert (row.due_at, row.attempt_no, row.lease) == (opened.open_until, 0, None)

	for openings, pause in ((2, 120), (3, 240), (4, 480), (5, 900), (6, 900)):
		travel(ear, float(state(ear).open_for) + 1)
		# One call: had it succeeded, all the others would have followed.
		assert deliver() == 1
		assert state(ear).openings == openings
		assert pause - 5 < float(state(ear).open_for) <= pause
		assert receiver.count == tried - 1 + openings

	receiver.behave = Answer()
	travel(ear, 901)
	deliver()
	closed = state(ear)
	assert (closed.open_until, closed.openings, closed.probe_until) == (None, 0, None)
	travel(ear, DAY)
	deliver()
	assert statuses(ear) == {"Delivered": 30}
	# The pauses burned no attempt.
	assert sum(row.attempt_no for row in ear.deliveries()) == receiver.count == tried + 35


def test_half_of_the_calls_open_it_and_fewer_do_not(listen, shop, patient):
	turns = iter(range(100))
	answer = {"every": 3}

	def behave(_request):
		return Answer(500 if next(turns) % answer["every"] == 0 else 200)

	with Receiver(behave) as receiver:
		ear = listen.push(receiver, "order.*", system=shop, concurrency=1)
		put(ear, 30)
		assert deliver() == 30
		assert state(ear).open_until is None
		answer["every"] = 1
		travel(ear, 301)  # those calls are counted no more
		put(ear, 20)
		assert deliver() == 10
		assert 55 < float(state(ear).open_for) <= 60


# -- in order -----------------------------------------------------------------------------------------------------


def test_ordered_waits_for_the_document_alone(listen, shop, receiver, patient):
	ear = listen.push(receiver, "order.*", system=shop, ordered=True, concurrency=8)
	first, other, second, other_second, third, other_third = put(ear, 6, ("HT-A", "HT-B"))

	receiver.behave = lambda request: Answer(500 if request.headers["webhook-id"] == first else 200)
	assert deliver() == 4
	sent = [request.headers["webhook-id"] for request in receiver.requests]
	assert [event for event in sent if event != first] == [other, other_second, other_third]
	assert sent.count(first) == 1
	assert {one(ear, event).status for event in (second, third)} == {"Pending"}

	receiver.behave = Answer()
	travel(ear, 800)
	assert deliver() == 3
	assert [request.headers["webhook-id"] for request in receiver.requests][4:] == [first, second, third]


def test_an_exhausted_one_lets_the_next_go(listen, shop, receiver):
	ear = listen.push(receiver, "order.*", system=shop, ordered=True)
	first, second = put(ear, 2)
	receiver.behave = lambda request: Answer(500 if request.headers["webhook-id"] == first else 200)
	hub_site.set_row("Hub Event Delivery", one(ear, first).name, attempt_no=9)
	assert deliver() == 2
	assert (one(ear, first).status, one(ear, second).status) == ("Exhausted", "Delivered")


def test_not_ordered_nothing_waits(ear, receiver):
	receiver.behave = Answer(500)
	put(ear, 3)
	assert deliver() == 3
	assert statuses(ear) == {"Scheduled": 3}


# -- changed meanwhile --------------------------------------------------------------------------------------------


def test_the_url_and_the_secret_are_those_of_the_attempt(ear, receiver):
	receiver.behave = Answer(500)
	(event,) = put(ear)
	hub_site.refresh()
	with Loop() as loop:
		assert loop.run(60) == 1
		new = ear.http.post("webhooks.rotate_secret", {"id": ear.webhook, "overlap_hours": 0}).message[
			"secret"
		]
		ear.update(url=f"{receiver.url}/elsewhere")
		receiver.behave = Answer()
		travel(ear, 10)
		# The very loop that has signed with the old one.
		assert loop.run(60) == 1
	first, second = receiver.requests
	assert (first.path, second.path) == ("/hook", "/elsewhere")
	assert verified(ear.secret, first) == verified(new, second) == [True, True]
	assert verified(ear.secret, second) == [False, False]
	assert one(ear, event).status == "Delivered"


def test_what_may_be_reached_may_change_while_a_loop_runs(site, ear, receiver, patient):
	first, second, third = [put(ear)[0] for _time in range(3)]
	for event in (second, third):
		site.set_row("Hub Event Delivery", one(ear, event).name, due_at=("UTC", 600))
	site.refresh()
	with Loop() as loop:
		assert loop.run(60) == 1
		with site.settings("Hub Settings", webhook_allowed_networks=""):
			site.set_row("Hub Event Delivery", one(ear, second).name, due_at=("UTC", -1))
			assert loop.run(60) == 1
			row = one(ear, second)
			assert (row.status, row.http_status) == ("Scheduled", 0)
			assert row.error.startswith("address_refused: ")
		site.set_row("Hub Event Delivery", one(ear, third).name, due_at=("UTC", -1))
		assert loop.run(60) == 1
	assert (one(ear, first).status, one(ear, third).status) == ("Delivered", "Delivered")
	assert receiver.count == 2


def test_deleted_while_it_is_called(listen, shop, receiver):
	let_go = threading.Event()

	def wait(_request):
		let_go.wait(20)
		return Answer()

	with Receiver(wait) as slow:
		ear, other = (listen.push(which, "order.*", system=shop, concurrency=1) for which in (slow, receiver))
		put(ear, 3)
		deleted = []

		def delete():
			slow.wait(1)
			deleted.append(shop.http.post("webhooks.delete", {"id": ear.webhook}))
			let_go.set()

		# Through HTTP, past this test's own connection.
		shop.http._between, between = (lambda: None), shop.http._between
		deleting = threading.Thread(target=delete)
		try:
			deleting.start()
			assert deliver() == 1
		finally:
			deleting.join(30)
			shop.http._between = between
		assert [answer.status for answer in deleted] == [200]
		assert ear.deliveries() == []
		assert slow.count == 1
		put(other)
		assert deliver() == 1
		assert statuses(other) == {"Delivered": 1}


# -- hostile receivers --------------------------------------------------------------------------------------------


def test_a_redirect_to_an_inner_address_is_not_followed(ear, receiver):
	with Receiver() as inner:
		receiver.behave = Answer(307, {"Location": f"{inner.url}/admin"})
		(event,) = put(ear)
		assert deliver() == 1
		row = one(ear, event)
		assert (row.status, row.http_status, inner.connections) == ("Scheduled", 307, 0)
		assert row.error == (
			f"It answered 307, to {inner.url}/admin. Redirects are not followed: enter the final URL."
		)


def test_a_name_that_leads_inside_since_it_was_checked(listen, ear, receiver, monkeypatch):
	"""When it was saved the DNS answered a public address; when it is called, an inner one."""
	answers = ["93.184.215.14", "10.0.0.1"]

	def look_up(_host, port, **_options):
		return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

	monkeypatch.setattr(addresses.resolve, "__defaults__", (look_up,))
	webhook = frappe.get_doc("Hub Webhook", ear.webhook)
	webhook.url = f"http://rebind.example:{receiver.port}/hook"
	webhook.save()
	frappe.db.commit()
	assert answers == ["10.0.0.1"]
	(event,) = put(ear)
	assert deliver() == 1
	assert answers == []
	row = one(ear, event)
	assert row.error.startswith("address_refused: "), row.error
	assert (row.status, row.http_status, receiver.connections) == ("Scheduled", 0, 0)


HOSTILE = {
	"hang": (hang, 0, "timeout: "),
	"drip": (drip(b"HTTP/1.1 200 OK\r\n", every=0.3), 0, "timeout: "),
	"reset": (reset, 0, "connection_lost: "),
	"rubbish": (say(b"SSH-2.0-OpenSSH_9.6\r\n"), 0, "protocol_error: "),
}


def test_hostile_receivers_delay_nobody_else(listen, shop, receiver, monkeypatch, tmp_path, patient):
	"""While they are borne, another endpoint gets its 200 deliveries nearly as fast as alone."""
	good = listen.push(receiver, "order.*", system=shop)
	put(good, 200)
	started = time.monotonic()
	deliver()
	alone = time.monotonic() - started
	assert statuses(good) == {"Delivered": 200}
	# Less than a lease; much longer than the others take on a machine that is as busy as it was.
	limit = min(25.0, 4 + 4 * alone)
	monkeypatch.setattr(Client.post, "__defaults__", (limit / 2, limit))

	huge = flood(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", b"x" * 65536)
	behaviours = {f"/{name}": behave for name, (behave, _status, _error) in HOSTILE.items()}
	with (
		Receiver({**behaviours, "/huge": huge}) as bad,
		Receiver(tls=certificate("elsewhere.example", tmp_path)) as other_name,
	):
		ears = {
			name: listen.push(bad, "order.*", system=shop, path=f"/{name}") for name in (*HOSTILE, "huge")
		}
		ears["certificate"] = listen.push(receiver, "order.*", system=shop)
		listen.open_for(other_name.port)
		hub_site.set_row(
			"Hub Webhook", ears["certificate"].webhook, url=f"https://127.0.0.1:{other_name.port}/hook"
		)
		for ear in ears.values():
			put(ear, 4)
		put(good, 200)
		before, started = receiver.count, time.time()
		deliver()
		last = max(request.time for request in receiver.requests[before:])
		assert receiver.count == before + 200
		assert statuses(good) == {"Delivered": 400}
		assert last - started < 3 * alone + 2, (last - started, alone)
		# Those that hang took longer: the others did not wait for them.
		assert last - started < time.time() - started - 1
		for name, (_behave, status, error) in HOSTILE.items():
			for row in ears[name].deliveries():
				assert (row.status, row.http_status, row.attempt_no) == ("Scheduled", status, 1), (name, row)
				assert row.error.startswith(error), (name, row.error)
				least = 60 if error == "timeout: " else 4
				assert float(due_in(ears[name], row.event)) >= least
		for row in ears["certificate"].deliveries():
			assert row.status == "Scheduled"
			assert row.error.startswith("tls_failed: "), row.error
		for row in ears["huge"].deliveries():
			assert (row.status, row.response) == ("Delivered", "x" * 16384)
		assert bad.sent < 64 * 1024 * 1024
