"""Processes die, databases and queues go away, many deliver at once: no event is lost, none is sent twice while a lease holds."""

import signal
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager

import pytest

import frappe

from integration_hub import tasks
from integration_hub.core.http import Client, Reply
from integration_hub.outbound import delivery, endpoints, outbox
from integration_hub.tests import factories as f
from integration_hub.tests import site as hub_site
from integration_hub.tests.events import Listening
from integration_hub.tests.faults import invariants
from integration_hub.tests.faults.delivery_process import (
	command,
	connections,
	processes,
	put,
	state,
	statuses,
	travel,
	wait_for_all,
)
from integration_hub.tests.faults.server import DIED, at_once, redis_of_its_own, sweep
from integration_hub.tests.receivers import Answer, Receiver
from integration_hub.tests.stack import Http

MANY = 300


@pytest.fixture(scope="module", autouse=True)
def _no_help(site):
	"""The tests say who delivers, and when."""
	with site.no_help():
		yield


@pytest.fixture(scope="session")
def store(systems):
	"""A system of their own: what other tests left half done is finished by a sweep, and told."""
	return systems.new(unknown_customer_policy="Create")


@pytest.fixture(scope="session")
def faulty(server, store):
	return server.client(store.token)


@pytest.fixture
def listen(systems):
	with Listening(systems) as listening:
		yield listening


@pytest.fixture
def receiver():
	with Receiver(Answer(204)) as receiver:
		yield receiver


@pytest.fixture
def ear(listen, store, receiver):
	return listen.push(receiver, "order.submitted", system=store, echo=True)


def ids(receiver) -> list[str]:
	return [request.headers["webhook-id"] for request in receiver.requests]


# -- between the commit and the delivery --------------------------------------------------------------------------


def test_killed_right_after_the_commit(server, faulty, ear, receiver):
	"""Nobody was rung: the sweep delivers what the dead worker committed."""
	body = f.order()
	fired = server.fired("kill@committed")
	assert faulty.order(body, "kill@committed") is DIED
	assert server.fired("kill@committed") == fired + 1
	order = hub_site.order_of(ear.system.name, body["external_id"])
	(event,) = ear.events("order.submitted")
	assert event.reference_name == order.name
	assert statuses(ear) == {"Pending": 1}
	assert receiver.count == 0

	sweep(server.stack)

	assert statuses(ear) == {"Delivered": 1}
	assert ids(receiver) == [event.name]


def test_killed_before_the_commit_nothing_happened(server, faulty, ear, receiver):
	body = f.order()
	assert faulty.order(body, "kill@before-commit") is DIED
	assert ear.events() == ear.deliveries() == []
	(request,) = hub_site.request_of(ear.system.name, body["external_id"])
	hub_site.set_row("Hub Request", request.name, lease_until=("UTC", -1))
	assert faulty.until_answered(body).status == 201
	with hub_site.help_after_all():
		wait_for_all(ear, 1)
	assert ids(receiver) == [event.name for event in ear.events()]


def test_without_redis_from_before_the_submit_until_after(stack, store, ear, receiver):
	"""First a queue that is connected to and never answers, then neither queue nor cache: orders are made, and told later."""
	with (
		redis_of_its_own() as (cache_url, cache),
		redis_of_its_own() as (queue_url, queue),
		stack.server(FRAPPE_REDIS_CACHE=cache_url, FRAPPE_REDIS_QUEUE=queue_url) as cut_off,
	):
		http = Http(cut_off, store.token, hub_site.refresh)

		def order(body: dict) -> float:
			started = time.monotonic()
			answer = http.post("orders.create", body)
			# What is done after an answer delays the next one.
			assert http.get("system.ping").status == 200
			assert answer.status == 201, answer
			assert hub_site.order_of(store.name, body["external_id"]).docstatus == 1
			return time.monotonic() - started

		order(f.order())
		usual = order(f.order())
		queue.send_signal(signal.SIGSTOP)
		assert order(f.order()) < 3 * usual + 3

		for redis in (queue, cache):
			redis.kill()
			redis.wait(10)
		http.get("system.ping")
		# Frappe reads all it would have found in the cache from the database.
		assert order(f.order()) < 30
		assert statuses(ear) == {"Pending": 4}
		assert receiver.count == 0

	tasks.sweep()

	assert statuses(ear) == {"Delivered": 4}
	assert Counter(ids(receiver)) == dict.fromkeys([event.name for event in ear.events()], 1)


def test_a_cache_that_never_answers_ends_in_time(stack, store, ear):
	"""Frappe cannot serve without its cache's answer: with a time limit in the URL it says so, and nothing is made."""
	with redis_of_its_own() as (url, redis), stack.server(FRAPPE_REDIS_CACHE=url) as cut_off:
		redis.send_signal(signal.SIGSTOP)
		body, started = f.order(), time.monotonic()
		answer = Http(cut_off, store.token, hub_site.refresh).post("orders.create", body)
		assert time.monotonic() - started < 20
		assert answer.status >= 500, answer
	invariants.no_order(store.name, body["external_id"])
	assert ear.events() == []
	assert store.http.post("orders.create", body).status == 201


# -- between sending and recording --------------------------------------------------------------------------------


@pytest.mark.parametrize("point, sent", [("claimed", 0), ("sent", 1)])
def test_a_killed_worker_leaves_it_to_the_next(stack, ear, receiver, point, sent):
	with processes(stack, kill_at=point) as (worker,):
		(event,) = put(ear)
		assert worker.wait_for_death() == signal.SIGKILL
	assert ids(receiver) == [event] * sent
	(left,) = ear.deliveries()
	assert (left.status, left.attempt_no, bool(left.lease)) == ("Sending", 1, True)

	# Before the lease's end nobody takes it.
	travel(ear, -30)
	with delivery.Loop() as loop:
		assert loop.run(60) == 0
		assert ids(receiver) == [event] * sent
		travel(ear, 61)
		assert loop.run(60) == 1
	(row,) = ear.deliveries()
	assert (row.status, row.attempt_no) == ("Delivered", 2)
	assert ids(receiver) == [event] * (sent + 1)
	assert len({request.body for request in receiver.requests}) == 1


def test_a_late_finisher_changes_nothing(ear, receiver):
	"""A worker that slept through its lease finds that another has sent it."""
	put(ear)
	name = ear.deliveries()[0].name
	(late,) = outbox.claim([name])
	frappe.db.commit()
	assert outbox.claim([name]) == []
	frappe.db.rollback()
	travel(ear, 31)
	with delivery.Loop() as loop:
		assert loop.run(60) == 1
	(before,) = ear.deliveries()
	rows = hub_site.log_rows(ear.system.name, hub_delivery=name)
	assert len(rows) == 1

	for reply in (Reply(status=500), Reply(status=410), Reply(status=200)):
		delivery.record(ear.webhook, "http://x", [(late, reply)])
		frappe.db.commit()
		assert ear.deliveries() == [before]
		assert hub_site.log_rows(ear.system.name, hub_delivery=name) == rows


def test_a_late_answer_of_gone_disables_all_the_same(ear):
	"""That the endpoint is gone is true, whoever has the delivery now."""
	put(ear)
	name = ear.deliveries()[0].name
	(late,) = outbox.claim([name])
	frappe.db.commit()
	travel(ear, 31)
	delivery.record(ear.webhook, "http://old.example", [(late, Reply(status=410))])
	frappe.db.commit()
	assert state(ear).status == "Active", "it is the address before the last one that is gone"
	delivery.record(ear.webhook, state(ear).url, [(late, Reply(status=410))])
	frappe.db.commit()
	assert state(ear).status == "Disabled"


# -- many at once -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [2, 4])
def test_many_workers_send_nothing_twice(stack, listen, store, receiver, workers):
	ears = [
		listen.push(receiver, "order.*", system=store, concurrency=concurrency) for concurrency in (4, 16)
	]
	with processes(stack, workers):
		events = [event for ear in ears for event in put(ear, MANY, [f"HT-{number}" for number in range(50)])]
		for ear in ears:
			wait_for_all(ear, MANY, seconds=240)
	assert Counter(ids(receiver)) == dict.fromkeys(events, 1)
	rows = frappe.get_all(
		"Integration Request",
		filters={"request_id": ("in", events)},
		fields=["request_id", "hub_attempt", "status"],
	)
	assert Counter(row.request_id for row in rows) == dict.fromkeys(events, 1)
	assert {(row.hub_attempt, row.status) for row in rows} == {(1, "Completed")}
	assert {row.attempt_no for ear in ears for row in ear.deliveries()} == {1}


def test_ordered_holds_across_workers(stack, listen, store):
	"""Never two calls of one document at the same time, each document in order; several documents at a time."""
	lock = threading.Lock()
	under_way, seen, overlaps, most = set(), defaultdict(list), [], [0]
	documents = {}

	def behave(request):
		event = request.headers["webhook-id"]
		with lock:
			document = documents[event]
			if document in under_way:
				overlaps.append(event)
			under_way.add(document)
			most[0] = max(most[0], len(under_way))
			seen[document].append(event)
		time.sleep(0.03)
		with lock:
			under_way.discard(document)
		return Answer(204)

	with Receiver(behave) as receiver:
		ear = listen.push(receiver, "order.*", system=store, ordered=True, concurrency=4)
		names = [f"HT-{number}" for number in range(5)]
		with processes(stack, 2):
			lock.acquire()  # no answer before it is known what belongs to which document
			events = put(ear, 40, names)
			documents.update({event: names[number % 5] for number, event in enumerate(events)})
			lock.release()
			wait_for_all(ear, 40)
	assert overlaps == []
	assert dict(seen) == {name: events[number::5] for number, name in enumerate(names)}
	assert most[0] > 1


def test_one_probe_among_several_workers(stack, listen, store):
	answer = {"status": 500, "delay": 0.0}
	with Receiver(lambda _request: Answer(answer["status"], delay=answer["delay"])) as receiver:
		ear = listen.push(receiver, "order.*", system=store, concurrency=1)
		put(ear, 30)
		with delivery.Loop() as loop:
			assert loop.run(60) == 10
		answer["delay"] = 1.0
		with processes(stack, 3):
			travel(ear, 61)
			hub_site.wait_for("opened again", lambda: state(ear).openings == 2)
			assert receiver.count == 11
			answer.update(status=204, delay=0.0)
			travel(ear, 121)
			hub_site.wait_for("closed", lambda: state(ear).open_until is None)
			hub_site.wait_for("the rest", lambda: statuses(ear).get("Delivered", 0) >= 19)
			travel(ear, 600)
			wait_for_all(ear, 30)
	assert receiver.count == 41


def test_what_is_claimed_is_sent_at_once(stack, listen, store):
	"""More endpoints than there are threads: what must wait is not claimed, for its lease would end in the queue."""
	let_go = threading.Event()

	def wait(_request):
		let_go.wait(20)
		return Answer(204)

	with Receiver(wait) as slow:
		ears = [listen.push(slow, "order.*", system=store, concurrency=32) for _number in range(5)]
		for ear in ears:
			put(ear, 32)
		try:
			with processes(stack):
				slow.wait(delivery.THREADS, 20)
				sending = sum(statuses(ear).get("Sending", 0) for ear in ears)
				let_go.set()
				assert (sending, slow.count) == (delivery.THREADS, delivery.THREADS)
				for ear in ears:
					wait_for_all(ear, 32)
		finally:
			let_go.set()


def test_resumed_between_a_loops_look_and_its_holding(stack, ear, receiver, monkeypatch):
	"""The loop holds what is due, for it took the endpoint for a paused one: the sweep sees that it is none."""
	ear.update(status="paused")
	put(ear, 2)
	look = endpoints.all_push

	def look_and_be_overtaken():
		found = look()
		monkeypatch.setattr(endpoints, "all_push", look)
		answers = at_once(
			[lambda: stack_http.post("webhooks.update", {"id": ear.webhook, "status": "active"})]
		)
		assert [answer.status for answer in answers] == [200]
		return found

	stack_http = Http(stack, ear.system.token)
	monkeypatch.setattr(endpoints, "all_push", look_and_be_overtaken)
	with delivery.Loop() as loop:
		loop.run(60)
	tasks.sweep()
	wait_for_all(ear, 2)
	assert receiver.count == 2


def test_an_open_transaction_stops_no_loop(stack, listen, store, receiver):
	"""A long submit has written a delivery for a paused webhook: what is committed goes out meanwhile."""
	paused, active = (listen.push(receiver, "order.*", system=store) for _number in range(2))
	paused.update(status="paused")
	with processes(stack), _connected_elsewhere(stack) as elsewhere:
		put(paused)
		elsewhere.sql(
			"""INSERT INTO `tabHub Event Delivery` (name, webhook, `system`, event, status, due_at, occurred_at)
			VALUES ('ht-open', %s, %s, 'ht-open', 'Pending', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))""",
			(paused.webhook, store.name),
		)
		started = time.monotonic()
		put(active, 20)
		wait_for_all(active, 20, seconds=10)
		assert time.monotonic() - started < 5
		elsewhere.rollback()
		wait_for_all(paused, 1, "Held")


@contextmanager
def _connected_elsewhere(stack):
	"""Yield a second database connection to the site."""
	from frappe.database import get_db

	conf = frappe.local.conf
	other = get_db(
		socket=conf.db_socket,
		host=conf.db_host,
		port=conf.db_port,
		user=conf.db_user or conf.db_name,
		password=conf.db_password,
		cur_db_name=conf.db_name,
	)
	other.connect()
	other.begin()
	try:
		yield other
	finally:
		other.rollback()
		other.close()


def test_a_bug_in_one_call_is_that_deliverys_alone(listen, store, receiver, monkeypatch):
	"""Whatever is raised where nothing may be: the others are recorded, and it is tried again."""
	post = Client.post

	def broken(self, url, *args, **options):
		if url.endswith("/bug"):
			raise RuntimeError("can't start new thread")
		return post(self, url, *args, **options)

	monkeypatch.setattr(Client, "post", broken)
	monkeypatch.setattr("integration_hub.outbound.schedule.WAITS", (0, 600))
	bug, good = (listen.push(receiver, "order.*", system=store, path=path) for path in ("/bug", "/good"))
	put(bug, 2)
	put(good, 20)
	with delivery.Loop() as loop:
		assert loop.run(60) == 22
	assert statuses(good) == {"Delivered": 20}
	assert statuses(bug) == {"Scheduled": 2}
	assert receiver.count == 20


# -- a loop that runs for long ------------------------------------------------------------------------------------


def test_memory_is_flat(stack, listen, store):
	with Receiver(Answer(204), record=False) as receiver:
		ear = listen.push(receiver, "order.*", system=store, concurrency=32)
		with processes(stack) as (worker,):
			put(ear, 700)
			wait_for_all(ear, 700, seconds=240)
			before = worker.memory
			put(ear, 1_500)
			wait_for_all(ear, 2_200, seconds=240)
			assert worker.memory - before < 6 * 1024 * 1024


def test_an_idle_loop_takes_new_rules(stack, site, ear, receiver):
	with processes(stack):
		put(ear)
		wait_for_all(ear, 1)
		with site.settings("Hub Settings", webhook_allowed_networks=""):
			(event,) = put(ear)
			row = site.wait_for("tried", lambda: ear.deliveries(event=event, status="Scheduled"))[0]
			assert row.error.startswith("address_refused: ")
			assert receiver.count == 1


# -- a loop under a process manager -------------------------------------------------------------------------------


def test_the_command_delivers_survives_and_ends(stack, listen, store):
	"""Within a second of the commit; over killed connections; and SIGTERM lets the call under way end."""
	delay = {"seconds": 0.0}
	with Receiver(lambda _request: Answer(204, delay=delay["seconds"])) as receiver:
		ear = listen.push(receiver, "order.*", system=store)
		with command(stack) as process:
			put(ear)
			receiver.wait(1, 60)
			wait_for_all(ear, 1)
			delays = []
			for _time in range(3):
				before = receiver.count
				put(ear)
				committed = time.time()
				receiver.wait(before + 1, 60)
				delays.append(receiver.requests[before].time - committed)
			assert max(delays) < 1
			wait_for_all(ear, 4)

			killed = connections(process)
			assert len(killed) == 1
			for number in killed:
				frappe.db.sql(f"KILL CONNECTION {number}")
			put(ear, 3)
			wait_for_all(ear, 7)
			assert process.poll() is None
			assert set(connections(process)).isdisjoint(killed)

			delay["seconds"] = 1.5
			before = receiver.count
			(event,) = put(ear)
			receiver.wait(before + 1)
			process.send_signal(signal.SIGTERM)
			assert process.wait(15) == 0
	(row,) = ear.deliveries(event=event)
	assert (row.status, row.attempt_no, row.http_status) == ("Delivered", 1, 204)
	assert len(ids(receiver)) == len(set(ids(receiver))) == 8


# -- rung ---------------------------------------------------------------------------------------------------------


def test_rung_by_the_commit_the_workers_deliver(server, faulty, ear, receiver):
	"""Documents over HTTP, no sweep: the bench's own workers send each once within seconds."""
	with hub_site.help_after_all():
		answers = at_once([lambda: faulty.order(f.order()) for _number in range(12)], threads=4)
		assert {answer.status for answer in answers} == {201}
		wait_for_all(ear, 12, seconds=55)
	assert Counter(ids(receiver)) == dict.fromkeys([event.name for event in ear.events()], 1)
