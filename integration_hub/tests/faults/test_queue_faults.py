"""Workers die, Redis goes away, rows are locked: what was accepted is done once, calls about one order one after another.

HUB_VOLUME says how many orders go through workers that are killed all the time; by default few.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager

import pytest

import frappe

from integration_hub.core import idempotency, queue, waiting
from integration_hub.core.idempotency import NewRequest
from integration_hub.tests import site as hub_site
from integration_hub.tests.factories import line, order, unique
from integration_hub.tests.faults import invariants
from integration_hub.tests.faults.actions import _second_connection as second_connection
from integration_hub.tests.faults.delivery_process import connections
from integration_hub.tests.faults.server import at_once, redis_of_its_own, sweep
from integration_hub.tests.integration.test_asynchronous import (
	accepted,
	batch_of,
	drained,
	kept_from_workers,
	sent,
)
from integration_hub.tests.stack import Http

VOLUME = int(os.environ.get("HUB_VOLUME") or 40)
MOST_IN_A_BATCH = 1000
# Of so many orders one is changed as well, so often.
CHANGED, CHANGES = 10, 3
SECONDS_AN_ORDER = 1.0
# Seconds of work of one of two workers, until so many are dead: on a busy machine the next one takes long to start.
KILLED_AFTER = (0.1, 3.0) if VOLUME > 100 else (0.1, 1.0)
MOST_KILLS = max(8, VOLUME // 5)
REST = ("Completed", "Failed", "Cancelled")


@pytest.fixture(scope="module", autouse=True)
def _no_help(site):
	"""The tests say who works."""
	with site.no_help():
		yield


@contextmanager
def nobody_at_work(site, *shops):
	"""Have calls of several systems accepted and none of them begun while the block lasts."""
	with ExitStack() as kept:
		for shop in shops:
			kept.enter_context(kept_from_workers(site, shop))
		yield


class Drains:
	"""Processes of `integration-hub drain`: one that ends is replaced, and some are killed."""

	def __init__(self, stack, count: int):
		self._stack, self.kills = stack, 0
		self._processes = [self._start() for _number in range(count)]

	def _start(self):
		return self._stack.start("integration-hub", "drain", site=self._stack.site)

	def tend(self) -> None:
		for process in [each for each in self._processes if each.poll() is not None]:
			self._end_of(process)
			self._processes.remove(process)
			self._processes.append(self._start())

	@staticmethod
	def _end_of(process) -> None:
		"""It was killed, or nothing was due; an error of its own is none of these."""
		output, _errors = process.communicate(timeout=180)
		assert process.returncode in (0, -signal.SIGKILL), output

	def kill_one(self) -> bool:
		"""Kill one of those that have come as far as the database; False: none has."""
		there = [each for each in self._processes if at_the_database(each)]
		if there:
			victim = random.choice(there)
			victim.kill()
			victim.wait()
			self.kills += 1
		return bool(there)

	def are_there(self) -> bool:
		return any(at_the_database(each) for each in self._processes)

	def __enter__(self) -> "Drains":
		return self

	def __exit__(self, *_exc) -> None:
		for process in self._processes:
			self._end_of(process)


def at_the_database(process) -> bool:
	try:
		return process.poll() is None and bool(connections(process))
	except OSError:
		# It ended in this moment.
		return False


def requests_of(system: str, **filters) -> list:
	hub_site.refresh()
	return frappe.get_all(
		"Hub Request",
		filters={"system": system, **filters},
		fields=[
			"name",
			"operation",
			"status",
			"subject",
			"external_id",
			"attempt_no",
			"died",
			"completed_at",
		],
		order_by="received_at, name",
	)


def logged(system: str) -> dict[str, list[tuple[int, str]]]:
	"""Return (attempt, status) of each log row of a system's requests, by request."""
	found: dict[str, list[tuple[int, str]]] = {}
	rows = frappe.get_all(
		"Integration Request",
		filters={"hub_system": system, "hub_request": ("is", "set")},
		fields=["hub_request", "hub_attempt", "status"],
		order_by="hub_attempt",
	)
	for row in rows:
		found.setdefault(row.hub_request, []).append((row.hub_attempt, row.status))
	return found


def log_is_complete(system: str) -> None:
	"""Assert a row of each attempt that came to an end, and none of those that died; the last one with success."""
	rows = logged(system)
	for request in requests_of(system):
		attempts = rows.get(request.name, [])
		assert len(attempts) == len(dict(attempts)) == request.attempt_no - request.died, (request, attempts)
		assert [status for _attempt, status in attempts].count("Completed") == 1, (request, attempts)
		assert attempts[-1] == (request.attempt_no, "Completed"), (request, attempts)


def each_once(system: str, external_ids: list[str]) -> None:
	"""Assert one submitted order, one live Reference and one completed request of each id, and nothing else."""
	wanted = dict.fromkeys(external_ids, 1)
	hub_site.refresh()
	orders = frappe.get_all(
		"Sales Order", filters={"hub_system": system}, fields=["hub_external_id", "docstatus", "name"]
	)
	references = frappe.get_all(
		"Hub External Reference",
		filters={"system": system, "object_type": "order"},
		fields=["external_id", "state", "document_name"],
	)
	requests = requests_of(system, operation="orders.create")
	assert Counter(row.hub_external_id for row in orders) == wanted
	assert {row.docstatus for row in orders} == {1}
	assert Counter(row.external_id for row in references) == wanted
	assert {row.state for row in references} == {"Live"}
	assert {row.document_name for row in references} == {row.name for row in orders}
	assert Counter(row.external_id for row in requests) == wanted
	assert {row.status for row in requests} == {"Completed"}


def done_in_order(system: str) -> None:
	"""Assert that the calls about each order ended in the order in which they came, the order itself first."""
	ended: dict[str, list] = {}
	for row in requests_of(system, subject=("is", "set")):
		# A batch's items are made when it is expanded, after the calls that were sent with it.
		place = 0 if row.operation == "orders.create" else 1
		ended.setdefault(row.subject, []).append((place, row.completed_at))
	for subject, moments in ended.items():
		assert [moment for _place, moment in sorted(moments, key=lambda each: each[0])] == sorted(
			moment for _place, moment in moments
		), subject


def give_up_leases(system: str, seconds: int = idempotency.LEASE_SECONDS) -> None:
	"""Let so much time pass for the leases that dead workers have left; a living one holds its row's lock."""
	hub_site.refresh()
	names = frappe.db.sql(
		"""SELECT name FROM `tabHub Request` WHERE `system` = %s AND status = 'Processing'
		AND lease_until < UTC_TIMESTAMP(6) + INTERVAL %s SECOND""",
		(system, seconds),
		pluck=True,
	)
	free = names and frappe.db.sql(
		"""SELECT name FROM `tabHub Request` WHERE name IN %s AND status = 'Processing' AND lease_until IS NOT NULL
		FOR UPDATE SKIP LOCKED""",
		(names,),
		pluck=True,
	)
	if free:
		frappe.db.sql(
			"""UPDATE `tabHub Request` SET lease_until = lease_until - INTERVAL %s SECOND WHERE name IN %s""",
			(seconds, free),
		)
	frappe.db.commit()


# -- killed at any moment -------------------------------------------------------------------------------------------


def kill_until_done(system: str, drains: Drains, count: int) -> None:
	"""Kill a worker now and then, until so many requests are completed."""
	deadline, kill_at = time.monotonic() + 300 + VOLUME * SECONDS_AN_ORDER, 0.0

	def done() -> int:
		hub_site.refresh()
		asked = {"system": system, "status": "Completed", "operation": ("!=", "orders.create_many")}
		return frappe.db.count("Hub Request", asked)

	while done() < count:
		assert time.monotonic() < deadline, f"{done()} of {count} requests"
		drains.tend()
		if drains.kills >= MOST_KILLS:
			kill_at = 0.0
		elif not kill_at and drains.are_there():
			kill_at = time.monotonic() + random.uniform(*KILLED_AFTER)
		elif kill_at and time.monotonic() > kill_at and drains.kill_one():
			kill_at = 0.0
		# The leases of the dead run out by themselves; a small run does not wait for them.
		if VOLUME <= 100:
			give_up_leases(system, seconds=8)
		time.sleep(0.1)


def test_killed_every_few_seconds(stack, system, site, factory, masters):
	"""Batches of orders, and changes of some of them sent before they are there; two workers, one of which dies."""
	shop = system()
	customers = [factory.customer() for _number in range(min(50, VOLUME // 4 or 1))]
	items = [factory.item() for _number in range(min(40, VOLUME // 4 or 1))]
	bodies = [
		order(
			customer={"name": customers[number % len(customers)]},
			lines=[line(item_code=items[number % len(items)])],
		)
		for number in range(VOLUME)
	]
	ids = [body["external_id"] for body in bodies]
	last = {}
	with nobody_at_work(site, shop):
		parts = [bodies[start : start + MOST_IN_A_BATCH] for start in range(0, VOLUME, MOST_IN_A_BATCH)]
		batches = [sent(shop, batch_of(part)) for part in parts]
		for external_id in ids[::CHANGED]:
			for _change in range(CHANGES):
				last[external_id] = unique("N")
				body = {"external_id": external_id, "order_number": last[external_id]}
				accepted(shop, "orders.update", body, Idempotency_Key=unique("K"))

	# The batches are completed by whoever does their last order, or by the sweep.
	with Drains(stack, 2) as drains:
		kill_until_done(shop.name, drains, VOLUME + CHANGES * len(last))
	give_up_leases(shop.name)
	sweep(stack)

	each_once(shop.name, ids)
	assert {row.status for row in requests_of(shop.name)} == {"Completed"}
	log_is_complete(shop.name)
	done_in_order(shop.name)
	for batch, part in zip(batches, parts, strict=True):
		progress = shop.http.get("requests.get", id=batch).message["progress"]
		assert progress == {
			"total": len(part),
			"completed": len(part),
			"failed": 0,
			"cancelled": 0,
			"waiting": 0,
		}
	for external_id, number in last.items():
		assert hub_site.order_of(shop.name, external_id).hub_order_number == number
	invariants.reserved_quantities(items)
	died = sum(row.died for row in requests_of(shop.name))
	assert drains.kills
	print(
		f"\n{VOLUME} orders, {len(last) * CHANGES} changes, {drains.kills} kills, {died} of them over a request"
	)


def test_what_the_dead_left_takes_up_no_place_for_ever(system, site):
	"""As many died as the system may have at work, and much has waited for longer than they have been dead."""
	shop = system(queue_workers=2)
	with nobody_at_work(site, shop):
		requests = [accepted(shop, "orders.create", order()) for _order in range(3 * waiting.EACH)]
	for request in requests[-2:]:
		site.set_row(
			"Hub Request",
			request,
			status="Processing",
			attempt_no=1,
			next_attempt_at=None,
			lease_until=("UTC", -1),
		)
	queue.drain()
	rows = {row.name: row for row in requests_of(shop.name)}
	assert {row.status for row in rows.values()} == {"Completed"}
	assert [rows[request].attempt_no for request in requests[-2:]] == [2, 2]
	log_is_complete(shop.name)


def test_killed_while_it_expands_a_batch(stack, system, site):
	"""It has written hundreds of rows and waits for one that another call is just writing: nothing of them is left."""
	shop = system()
	bodies = [order() for _number in range(250)]
	with nobody_at_work(site, shop):
		batch = sent(shop, batch_of(bodies))
	hub_site.refresh()
	_insert_request_of(shop.name, bodies[-1]["external_id"])
	process = stack.start("integration-hub", "drain", site=stack.site)
	with second_connection() as watcher:
		_wait_for_a_waiting_insert(watcher)
		process.kill()
		process.communicate()
	hub_site.refresh()
	assert frappe.db.count("Hub Request", {"batch": batch}) == 0
	assert frappe.db.count("Hub Request Item", {"parent": batch}) == 0
	(row,) = requests_of(shop.name)
	assert (row.status, row.attempt_no) == ("Processing", 1)

	def due_again() -> list:
		give_up_leases(shop.name)
		return [row for row in waiting.due() if row.name == batch]

	(left,) = site.wait_for("the batch is due again", due_again)
	claim = waiting.claim(left)
	frappe.db.commit()
	assert claim.attempt_no == 2
	queue.run(claim)
	assert frappe.db.count("Hub Request", {"batch": batch, "status": "Queued"}) == len(bodies)
	items = shop.http.get("requests.get", id=batch).message["items"]
	assert [item["external_id"] for item in items] == [body["external_id"] for body in bodies]
	assert shop.http.post("requests.cancel", {"id": batch}).message["progress"]["cancelled"] == len(bodies)


def test_a_call_that_comes_alone_while_its_batch_is_expanded(stack, system, site):
	"""The one that is written first stands; the batch joins it."""
	shop = system()
	bodies = [order() for _number in range(5)]
	with nobody_at_work(site, shop):
		batch = sent(shop, batch_of(bodies))
	hub_site.refresh()
	alone = _insert_request_of(shop.name, bodies[2]["external_id"], body=bodies[2])
	with drained(stack, workers=1):
		with second_connection() as watcher:
			_wait_for_a_waiting_insert(watcher)
		frappe.db.commit()
		# It holds a lease and nobody's lock: its worker died right after the claim.
		give_up_leases(shop.name)
	sweep(stack)
	each_once(shop.name, [body["external_id"] for body in bodies])
	items = shop.http.get("requests.get", id=batch).message["items"]
	assert [item["status"] for item in items] == ["Completed"] * 5
	assert items[2]["request"] == alone


def _insert_request_of(system: str, external_id: str, body: dict | None = None) -> str:
	"""Begin to write the request of an `orders.create`, and do not commit; return its name."""
	from integration_hub.core.payload import dump, fingerprint

	said = body or {"external_id": external_id}
	new = NewRequest(
		system=system,
		operation="orders.create",
		key_hash=idempotency.key_hash(system, "orders.create", None, [external_id]),
		fingerprint=fingerprint(said, "orders.create"),
		payload=dump(said),
		idempotency_key=None,
		external_id=external_id,
		request_id=unique("R"),
		subject=external_id,
	)
	return idempotency.insert(new).name


def _wait_for_a_waiting_insert(watcher, seconds: float = 120) -> None:
	deadline = time.monotonic() + seconds
	while not watcher.execute(
		"""SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND time_ms > 200
		AND info LIKE 'SET STATEMENT innodb_lock_wait_timeout=2 FOR%INSERT INTO `tabHub Request` %'"""
	):
		assert time.monotonic() < deadline, "nobody waits"
		time.sleep(0.02)


def test_a_series_that_somebody_holds_keeps_no_order_from_its_place(system, site):
	"""The number cannot be reserved in time; it is taken in the work itself, as soon as it can be."""
	prefix = f"HTQ{unique('')}-"
	shop = system(naming_series=f"{prefix}.#####", reserve_numbers=1)
	with nobody_at_work(site, shop):
		body = order()
		request = accepted(shop, "orders.create", body)
	with second_connection() as holder:
		holder.execute("START TRANSACTION")
		holder.execute(f"INSERT INTO tabSeries (name, current) VALUES ('{prefix}', 41)")
		released = threading.Timer(queue.SERIES_SECONDS + 1, lambda: holder.execute("COMMIT"))
		released.start()
		queue.drain()
		released.join()
	(row,) = [row for row in requests_of(shop.name) if row.name == request]
	assert (row.status, row.attempt_no) == ("Completed", 1)
	assert hub_site.order_of(shop.name, body["external_id"]).name == f"{prefix}00042"


def test_a_pause_of_the_site_stops_who_is_draining(system, site):
	shop = system()
	with nobody_at_work(site, shop):
		request = accepted(shop, "orders.create", order())
	(row,) = [row for row in waiting.due() if row.name == request]
	with site.settings("Hub Settings", paused=1):
		assert waiting.claim(row) is None
		assert request not in [row.name for row in waiting.due()]
		frappe.db.rollback()
	queue.drain()
	site.wait_for_status(request, "Completed")


def test_who_comes_too_late_changes_nothing(system, site):
	"""A failed request is put back by a person between another call's look and its write."""
	shop = system()
	body = order(lines=[line(item_code="HT-NONE")])
	assert shop.http.post("orders.create", body).status == 422
	(failed,) = requests_of(shop.name)
	row = idempotency.read(failed.name)
	hub_site.set_row("Hub Connected System", shop.name, paused=1)
	assert waiting.queue(failed.name, "Administrator")
	frappe.db.commit()
	payload, mark = frappe.db.get_value("Hub Request", failed.name, ["payload", "fingerprint"])
	new = NewRequest(
		system=shop.name,
		operation="orders.create",
		key_hash="x",
		fingerprint="another",
		payload="{}",
		idempotency_key=None,
		external_id=body["external_id"],
		request_id=unique("R"),
	)
	assert not idempotency.requeue(row, new)
	frappe.db.commit()
	assert frappe.db.get_value("Hub Request", failed.name, ["payload", "fingerprint"]) == (payload, mark)


# -- without Redis --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_without_redis_from_before_the_202_until_after(how, stack, system, site):
	"""A queue that is connected to and never answers, and none at all: accepted in time, done by the sweep."""
	shop = system()
	bodies = [order() for _number in range(3)]
	with redis_of_its_own() as (url, redis), stack.server(FRAPPE_REDIS_QUEUE=url) as cut_off:
		http = Http(cut_off, shop.token, site.refresh)
		assert http.get("system.ping").status == 200
		redis.send_signal(how)
		started = time.monotonic()
		answers = [http.post("orders.create", body, Prefer="respond-async") for body in bodies]
		answers.append(http.post("orders.create_many", batch_of([order()])))
		# What is done after an answer delays the next one.
		assert http.get("system.ping").status == 200
		assert time.monotonic() - started < 10
	assert [answer.status for answer in answers] == [202] * 4, answers
	assert {row.status for row in requests_of(shop.name)} == {"Queued"}

	sweep(stack)

	rows = requests_of(shop.name)
	assert [row.status for row in rows] == ["Completed"] * 5
	assert [row.attempt_no for row in rows] == [1] * 5
	assert frappe.db.count("Sales Order", {"hub_system": shop.name, "docstatus": 1}) == 4
	log_is_complete(shop.name)


# -- several at once ------------------------------------------------------------------------------------------------


def test_two_systems_four_workers(stack, system, site):
	"""Nothing twice; no more at once than each system allows; what is about one order one after another."""
	shops = [system(queue_workers=limit) for limit in (1, 2)]
	with nobody_at_work(site, *shops):
		ids = {shop.name: [accept_with_changes(shop) for _order in range(8)] for shop in shops}
	most: Counter = Counter()

	def all_done() -> bool:
		for shop in shops:
			at_work = frappe.db.count("Hub Request", {"system": shop.name, "status": "Processing"})
			most[shop.name] = max(most[shop.name], at_work)
		names = [shop.name for shop in shops]
		return not frappe.db.count("Hub Request", {"system": ("in", names), "status": ("not in", REST)})

	with drained(stack, workers=4):
		hub_site.wait_for("all calls", all_done, seconds=240)
	assert most == {shop.name: limit for shop, limit in zip(shops, (1, 2), strict=True)}
	for shop in shops:
		each_once(shop.name, ids[shop.name])
		done_in_order(shop.name)
		log_is_complete(shop.name)
		assert {row.attempt_no for row in requests_of(shop.name)} == {1}


def accept_with_changes(shop) -> str:
	body = order()
	accepted(shop, "orders.create", body)
	for _change in range(2):
		said = {"external_id": body["external_id"], "order_number": unique("N")}
		accepted(shop, "orders.update", said, Idempotency_Key=unique("K"))
	return body["external_id"]


def test_what_waited_for_its_order_keeps_its_turn(stack, system, site):
	"""Changes that came before their order, and one that came after it, are made in the order in which they came."""
	shop = system()
	body = order()
	numbers = [unique("N") for _change in range(6)]

	def change(number: str) -> str:
		said = {"external_id": body["external_id"], "order_number": number}
		return accepted(shop, "orders.update", said, Idempotency_Key=unique("K"))

	early = [change(number) for number in numbers[:-1]]
	queue.drain()
	for request in early:
		site.wait_for_status(request, "Retry Scheduled")
	with nobody_at_work(site, shop):
		assert shop.http.post("orders.create", body).status == 201
		late = change(numbers[-1])
	queue.drain()
	rows = [site.wait_for_status(request, "Completed") for request in [*early, late]]
	ended = [row.completed_at for row in rows]
	assert ended == sorted(ended)
	assert hub_site.order_of(shop.name, body["external_id"]).hub_order_number == numbers[-1]


# -- the claim ------------------------------------------------------------------------------------------------------


def test_a_locked_system_keeps_its_own_calls_only(stack, system, site):
	"""Somebody saves it for long: the claim gives up after a second, others are served, and nothing was attempted."""
	busy, other = system(), system()
	with nobody_at_work(site, busy, other):
		waits, free = accepted(busy, "orders.create", order()), accepted(other, "orders.create", order())
	with second_connection() as person:
		person.execute(f"SELECT name FROM `tabHub Connected System` WHERE name = '{busy.name}' FOR UPDATE")
		started = time.monotonic()
		queue.drain()
		assert time.monotonic() - started < 15
		rows = {row.name: row for name in (busy.name, other.name) for row in requests_of(name)}
		assert (rows[waits].status, rows[waits].attempt_no) == ("Queued", 0)
		assert (rows[free].status, rows[free].attempt_no) == ("Completed", 1)
	queue.drain()
	(row,) = requests_of(busy.name)
	assert (row.status, row.attempt_no) == ("Completed", 1)
	log_is_complete(busy.name)


@contextmanager
def claims_refused_by_the_database(system: str, errno: int):
	"""Let the database answer the claims of a system's calls with an error of its own, for the time of a block."""
	trigger = f"hub_tests_{frappe.generate_hash(length=8)}"
	hub_site.refresh()
	frappe.db.sql_ddl(
		f"""CREATE TRIGGER {trigger} BEFORE UPDATE ON `tabHub Request` FOR EACH ROW
		IF NEW.system = {frappe.db.escape(system)} AND OLD.status = 'Queued' AND NEW.status = 'Processing' THEN
			SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {errno}, MESSAGE_TEXT = 'said by the tests';
		END IF"""
	)
	try:
		yield
	finally:
		hub_site.refresh()
		frappe.db.sql_ddl(f"DROP TRIGGER {trigger}")


@pytest.mark.parametrize("errno", [1213, 1205])
def test_a_claim_that_the_database_undoes(errno, system, site):
	unlucky, other = system(), system()
	with nobody_at_work(site, unlucky, other):
		waits = accepted(unlucky, "orders.create", order())
		free = accepted(other, "orders.create", order())
	with claims_refused_by_the_database(unlucky.name, errno):
		started = time.monotonic()
		queue.drain()
		assert time.monotonic() - started < 15
		rows = {row.name: row for name in (unlucky.name, other.name) for row in requests_of(name)}
		assert (rows[waits].status, rows[waits].attempt_no) == ("Queued", 0)
		assert (rows[free].status, rows[free].attempt_no) == ("Completed", 1)
	queue.drain()
	(row,) = requests_of(unlucky.name)
	assert (row.status, row.attempt_no) == ("Completed", 1)


def test_a_worker_that_loses_its_connection_loses_no_call(stack, system, site):
	"""Killed connections of a drain that is at work, again and again: it goes on or ends, and each order is made once."""
	shop = system()
	with nobody_at_work(site, shop):
		ids = [order()["external_id"] for _order in range(20)]
		for external_id in ids:
			accepted(shop, "orders.create", order(external_id=external_id))
	process = stack.start("integration-hub", "drain", site=stack.site)
	kills = 0
	with second_connection() as killer:
		while process.poll() is None:
			mine = (frappe.db._conn.thread_id(), killer.id)
			found = killer.execute(
				f"""SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id NOT IN {mine}
				AND command <> 'Sleep' AND info LIKE '%Sales Order%'"""
			)
			for (number,) in found[:1]:
				try:
					killer.execute(f"KILL CONNECTION {number}")
				except Exception:
					# It ended in this moment.
					continue
				kills += 1
				time.sleep(0.4)
			time.sleep(0.01)
	output, _errors = process.communicate()
	assert kills, output
	give_up_leases(shop.name)
	frappe.db.sql(
		"UPDATE `tabHub Request` SET next_attempt_at = UTC_TIMESTAMP(6) WHERE `system` = %s AND next_attempt_at IS NOT NULL",
		(shop.name,),
	)
	frappe.db.commit()
	sweep(stack)
	each_once(shop.name, ids)
	log_is_complete(shop.name)


def test_many_ask_for_the_same_while_it_is_worked_off(stack, system, site):
	"""The same call from twenty clients, some that wait for the answer and some that do not: one order."""
	shop = system()
	body = order()
	with drained(stack, workers=2):
		http = Http(stack, shop.token)
		answers = at_once(
			[
				lambda headers=headers: http.post("orders.create", body, **headers)
				for headers in [{"Prefer": "respond-async"}, {}] * 10
			]
		)
	assert {answer.status for answer in answers} <= {201, 202, 409}, answers
	give_up_leases(shop.name)
	sweep(stack)
	each_once(shop.name, [body["external_id"]])
	log_is_complete(shop.name)
