#!/usr/bin/env python3
"""P6: orders by `orders.create_many` and its workers. P7: pages of `requests.list` and `orders.list` at a depth of a million
rows. P8: what accepting a call for later takes. P9: the memory of a worker that drains.

How to run it: README.md beside this file.
"""

import gc
import itertools
import json
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from deliveries import expect, pss
from in_process import InProcess, connected
from intake import hub_order, recipe
from measure import (
	BenchmarkItems,
	BenchmarkSystem,
	Client,
	Comparison,
	Side,
	Site,
	arguments,
	report,
	site_from,
)
from receiver_process import PROCESSES

import frappe
from frappe.installer import update_site_config

from integration_hub.core import cursor, doorbell, queue, sql
from integration_hub.tests.faults import invariants

CUSTOMERS = 50
CLIENTS = 20
HOUR = 3600
PAGE = {"requests.list": 100, "orders.list": 20}
FILLED_AT_ONCE = 50_000
MEMORY_EVERY = 1_000
MOST_IN_A_BATCH = 1_000


class ManyItems(BenchmarkItems):
	PAIRS = 100


class Worker:
	"""A process that is connected to the site and drains when told to. It rings nobody: who works is part of the measure."""

	def __init__(self, site: str):
		self._pipe, theirs = PROCESSES.Pipe()
		self._process = PROCESSES.Process(target=_work, args=(site, theirs), daemon=True)

	def __enter__(self) -> "Worker":
		self._process.start()
		self._pipe.recv()
		return self

	def __exit__(self, *exc) -> None:
		self._pipe.send(False)
		self._process.join()

	def begin(self) -> None:
		self._pipe.send(True)

	def end(self) -> tuple[int, int]:
		"""Wait until nothing is due; return how many requests it tried, and its proportional set size in KiB."""
		return self._pipe.recv()


def _work(site: str, pipe) -> None:
	with connected(site):
		doorbell._silent_until = float("inf")
		pipe.send(True)
		while pipe.recv():
			done = queue.drain(seconds=HOUR)
			# While another one expands a batch nothing is due; it would ring then.
			while _unfinished():
				time.sleep(0.01)
				done += queue.drain(seconds=HOUR)
			gc.collect()
			pipe.send((done, pss()))


def _unfinished() -> bool:
	frappe.db.rollback()
	return bool(
		sql.run(
			"""SELECT 1 FROM `tabHub Request` WHERE status = 'Queued' OR status = 'Processing' AND lease_until IS NOT NULL
			LIMIT 1"""
		)
	)


@contextmanager
def workers(site: Site, count: int) -> Iterator[list[Worker]]:
	with ExitStack() as running:
		yield [running.enter_context(Worker(site.host)) for _number in range(count)]


@contextmanager
def by_ourselves(site: Site) -> Iterator[None]:
	"""Keep the workers of the bench out of it, who would deliver events meanwhile: no bell is heard, no sweep comes."""
	names = ("hub_queue", "pause_scheduler")
	with connected(site.host):
		before = {name: frappe.local.conf.get(name) for name in names}
		for name, value in zip(names, ("nowhere", 1), strict=True):
			update_site_config(name, value)
	try:
		yield
	finally:
		with connected(site.host):
			for name, value in before.items():
				# "None" takes the entry out of the file.
				update_site_config(name, "None" if value is None else value)


def drained(team: list[Worker]) -> float:
	"""Let workers drain until nothing is due; return the seconds it took."""
	started = time.perf_counter()
	for worker in team:
		worker.begin()
	for worker in team:
		worker.end()
	return time.perf_counter() - started


class Orders:
	"""Orders of fifty customers in turns, for items in turns or for one pair of them only."""

	def __init__(self, site: Site, client: Client, items: Iterator[tuple[str, str]]):
		self._sites = itertools.cycle([replace(site, customer=name) for name in _customers(site)])
		# Within this process, so that no worker is rung.
		self.site, self.client, self._here, self._items = site, client, InProcess(client), items

	def send(self, count: int) -> None:
		"""Have so many accepted by `orders.create_many`."""
		for start in range(0, count, MOST_IN_A_BATCH):
			bodies = [
				hub_order(next(self._sites), next(self._items))
				for _order in range(min(MOST_IN_A_BATCH, count - start))
			]
			body = {"external_id": secrets.token_hex(8), "orders": bodies}
			self._here.hub("orders.create_many", body, expect=202)

	def by_hand(self) -> None:
		recipe(next(self._sites), self.client, next(self._items))


def _customers(site: Site) -> list[str]:
	admin, run = site.client(site.admin_token), secrets.token_hex(4)
	like = admin.resource("GET", "Customer", site.customer)
	kept = {
		field: like[field] for field in ("customer_type", "customer_group", "territory") if like.get(field)
	}
	names = [f"Benchmark {run} {number}" for number in range(CUSTOMERS)]
	return [
		admin.resource("POST", "Customer", body={**kept, "customer_name": name})["name"] for name in names
	]


def placed(site: Site, system: str) -> int:
	with connected(site.host):
		return sql.run(
			"SELECT count(*) FROM `tabSales Order` WHERE hub_system = %s AND docstatus = 1", (system,)
		)[0][0]


def raced(site: Site, options) -> int:
	"""Measure P6; return the exit code."""
	system, goods = BenchmarkSystem(site), ManyItems(site)
	with system as client, goods as items, by_ourselves(site), workers(site, 2) as team:
		many = Orders(site, client, items)
		hot = Orders(site, client, itertools.repeat((goods.codes[0], goods.codes[1])))
		total = 0

		def round_of(orders: Orders, side: Side, count: int) -> None:
			nonlocal total
			orders.send(options.orders)
			side.times.append(drained(team[:count]) * 1000 / options.orders)
			total += options.orders
			expect("submitted orders", placed(site, system.name), total)

		def sides(*names: str) -> list[Side]:
			return [Side(name, lambda: None) for name in names]

		one, hand, two = sides("create_many, one worker", "the same in 2 calls each", "two workers")
		hot_one, hot_two = sides("one worker", "two workers")
		many.send(20 * len(team))
		drained(team)
		total = placed(site, system.name)
		for _round in range(options.rounds):
			round_of(many, one, 1)
			for _order in range(options.orders // 2):
				started = time.perf_counter()
				many.by_hand()
				hand.times.append((time.perf_counter() - started) * 1000)
			round_of(many, two, 2)
			round_of(hot, hot_one, 1)
			round_of(hot, hot_two, 2)
		with connected(site.host):
			invariants.reserved_quantities(goods.codes)
	return report(
		[
			Comparison("P6 ms an order", one, hand, 0.5),
			Comparison("P6 two workers", two, one, round(1 / 1.6, 3)),
			Comparison("P6 one hot item", hot_two, hot_one, round(1 / 1.5, 3)),
		]
	)


# -- P7 -------------------------------------------------------------------------------------------------------------

_HEAD = "name, creation, modified, owner, modified_by"
_REQUESTS = f"""INSERT INTO `tabHub Request` ({_HEAD}, `system`, operation, key_hash, fingerprint, payload, external_id, status,
		http_status, attempt_no, received_at, completed_at)
	SELECT concat(%(run)s, lpad(seq, 8, '0')), now(), now(), 'Administrator', 'Administrator', %(system)s, 'orders.create',
		concat(repeat('0', 48), %(run)s, lpad(seq, 8, '0')), repeat('0', 64), repeat('x', 400),
		concat('benchmark-', seq), if(seq %% 10000, 'Completed', 'Failed'), 201, 1,
		TIMESTAMP('2010-01-01') + INTERVAL seq SECOND, TIMESTAMP('2010-01-01') + INTERVAL seq SECOND
	FROM seq_FIRST_to_LAST"""
_ORDERS = f"""INSERT INTO `tabSales Order` ({_HEAD}, docstatus, company, customer, transaction_date, delivery_date, currency,
		conversion_rate, status, hub_system, hub_external_id)
	SELECT concat(%(run)s, lpad(seq, 8, '0')), TIMESTAMP('2010-01-01') + INTERVAL seq SECOND,
		TIMESTAMP('2010-01-01') + INTERVAL seq SECOND, 'Administrator', 'Administrator', 1, %(company)s, %(customer)s, '2010-01-01',
		'2010-01-01', %(currency)s, 1, 'To Deliver and Bill', %(system)s, concat('benchmark-', %(run)s, seq)
	FROM seq_FIRST_to_LAST"""
_TABLES = {
	"requests.list": ("tabHub Request", _REQUESTS, "system", "received_at"),
	"orders.list": ("tabSales Order", _ORDERS, "hub_system", "modified"),
}


def fill(verb: str, site: Site, system: str, count: int) -> str:
	"""Write so many rows, one a second from 2010 on; return how their names begin."""
	table, statement, _system, _moment = _TABLES[verb]
	run = secrets.token_hex(4)
	currency = sql.run("SELECT default_currency FROM tabCompany WHERE name = %s", (site.company,))[0][0]
	said = {
		"run": run,
		"system": system,
		"company": site.company,
		"customer": site.customer,
		"currency": currency,
	}
	for start in range(1, count + 1, FILLED_AT_ONCE):
		last = min(start + FILLED_AT_ONCE - 1, count)
		sql.run(statement.replace("FIRST", str(start)).replace("LAST", str(last)), said)
		sql.commit()
	sql.run(f"ANALYZE TABLE `{table}`")
	return run


def remove(verb: str, system: str) -> None:
	table, _statement, column, _moment = _TABLES[verb]
	while sql.changes(f"DELETE FROM `{table}` WHERE `{column}` = %s LIMIT {FILLED_AT_ONCE}", (system,)):
		sql.commit()


def place(verb: str, run: str, number: int, backwards: bool) -> str:
	moment = sql.run("SELECT TIMESTAMP('2010-01-01') + INTERVAL %s SECOND", (number,))[0][0]
	name = f"{run}{number:08d}"
	key = [str(moment), name, *([""] if verb == "orders.list" else [])]
	return cursor.encode(verb.removesuffix(".list"), key, backwards)


def page_reader(client: Client, verb: str, query: str) -> Callable[[], None]:
	def read() -> None:
		rows = client.hub(f"{verb}?limit={PAGE[verb]}{query}").body["message"]["result_count"]
		if rows != PAGE[verb]:
			sys.exit(f"A page of {verb} has {rows} rows: {query}")

	return read


def pages(site: Site, client: Client, verb: str, run: str, count: int) -> list[Comparison]:
	"""Return comparisons of pages at all depths with the first one, without a filter and with one."""
	# The newest come first in one list and last in the other.
	deepest = 3 * PAGE[verb] if verb == "requests.list" else count - 3 * PAGE[verb]
	places = {
		"in the middle": (count // 2, False),
		"the last one": (deepest, False),
		"backwards from the middle": (count // 2, True),
	}
	shown = {"": "all"} | ({"&status=Completed": "completed"} if verb == "requests.list" else {})
	comparisons = []
	for query, what in shown.items():
		first = Side(f"first page, {what}", page_reader(client, verb, query))
		for where, (number, backwards) in places.items():
			at = f"{query}&cursor={place(verb, run, number, backwards)}"
			comparisons.append(
				Comparison(f"P7 {verb}", Side(where, page_reader(client, verb, at)), replace(first), 1.2)
			)
	return comparisons


def listed(site: Site, options) -> int:
	"""Measure P7; return the exit code."""
	system = BenchmarkSystem(site)
	comparisons = []
	with system as client:
		for verb in _TABLES:
			with connected(site.host):
				run = fill(verb, site, system.name, options.rows)
				found = pages(site, client, verb, run, options.rows)
			try:
				for comparison in found:
					comparison.run(options.pages, options.pages // 10)
			finally:
				with connected(site.host):
					remove(verb, system.name)
			comparisons += found
	return report(comparisons)


# -- P8 -------------------------------------------------------------------------------------------------------------


def accepted(site: Site, options) -> int:
	"""Measure P8: many clients at once; return the exit code."""
	system, goods = BenchmarkSystem(site), BenchmarkItems(site)
	with system as client, goods as items:
		client.hub("system.ping")
		clients = [Accepting(site, client) for _number in range(CLIENTS)]
		with kept(site, system.name):
			ping, accept = Side("system.ping", lambda: None), Side("202", lambda: None)
			for number in range(options.rounds + 1):
				bodies = [
					json.dumps(hub_order(site, next(items))).encode()
					for _body in range(CLIENTS * options.calls)
				]
				for side in (ping, accept):
					times = at_once(clients, [None] * len(bodies) if side is ping else bodies)
					side.times += times if number else []
	p99 = {side.name: statistics.quantiles(side.times, n=100)[-1] for side in (ping, accept)}
	ratio = p99[accept.name] / p99[ping.name]
	print(
		f"P8 {CLIENTS} clients, {len(ping.times)} calls each side: p99 of 202 {p99['202']:.1f} ms, of ping {p99['system.ping']:.1f} ms: "
		f"{ratio:.2f}, target ≤ 5; medians {accept.median:.1f} and {ping.median:.1f} ms"
	)
	return int(ratio > 5)


class Accepting(Client):
	"""A client that does not wait for the work."""

	def __init__(self, site: Site, like: Client):
		super().__init__(site.base_url, site.host, "")
		self._headers = {**like._headers, "Prefer": "respond-async"}

	def timed(self, body: bytes | None) -> float:
		started = time.perf_counter()
		self.hub("orders.create" if body else "system.ping", body, expect=202 if body else 200)
		return (time.perf_counter() - started) * 1000


def at_once(clients: list[Accepting], bodies: list[bytes | None]) -> list[float]:
	"""Let each client send its share, one call after another; return the milliseconds of all calls."""

	def send(number: int) -> list[float]:
		return [clients[number].timed(body) for body in bodies[number :: len(clients)]]

	with ThreadPoolExecutor(len(clients)) as pool:
		return [each for times in pool.map(send, range(len(clients))) for each in times]


@contextmanager
def kept(site: Site, system: str) -> Iterator[None]:
	"""Keep what is accepted from the workers, whose load would meet both sides, and take it out afterwards.

	The door reads the system from the cache and goes on.
	"""
	with connected(site.host):
		sql.run("UPDATE `tabHub Connected System` SET paused = 1 WHERE name = %s", (system,))
		sql.commit()
	try:
		yield
	finally:
		with connected(site.host):
			sql.run(
				"UPDATE `tabHub Request` SET status = 'Cancelled', next_attempt_at = NULL WHERE `system` = %s AND status = 'Queued'",
				(system,),
			)
			sql.run("UPDATE `tabHub Connected System` SET paused = 0 WHERE name = %s", (system,))
			sql.commit()


# -- P9 -------------------------------------------------------------------------------------------------------------


def remembered(site: Site, options) -> int:
	"""Measure P9: let one worker drain; return the exit code."""
	sizes = []
	with (
		BenchmarkSystem(site) as client,
		ManyItems(site) as items,
		by_ourselves(site),
		Worker(site.host) as worker,
	):
		orders = Orders(site, client, items)
		for _part in range(options.memory // MEMORY_EVERY):
			orders.send(MEMORY_EVERY)
			worker.begin()
			sizes.append(worker.end()[1])
			print(
				f"  after {len(sizes) * MEMORY_EVERY:,}: {sizes[-1] / 1024:.1f} MiB",
				file=sys.stderr,
				flush=True,
			)
	ratio = sizes[-1] / sizes[0]
	print(
		f"P9 proportional set size after {options.memory:,} requests: {ratio:.3f} of that after {MEMORY_EVERY:,} "
		f"({sizes[-1] / 1024:.1f} MiB); target ≤ 1.1"
	)
	return int(ratio > 1.1)


def main() -> int:
	parser = arguments(__doc__)
	parser.set_defaults(rounds=3)
	parser.add_argument("--orders", type=int, default=200, help="orders a round of P6 (default 200)")
	parser.add_argument("--rows", type=int, default=1_000_000, help="rows of P7 (default 1,000,000)")
	parser.add_argument("--pages", type=int, default=100, help="pages of P7, each (default 100)")
	parser.add_argument("--calls", type=int, default=25, help="calls a client and round of P8 (default 25)")
	parser.add_argument("--memory", type=int, default=10_000, help="requests of P9 (default 10,000)")
	parser.add_argument("--only", choices=("P6", "P7", "P8", "P9"))
	options = parser.parse_args()
	site = site_from(options)
	parts = {"P6": raced, "P7": listed, "P8": accepted, "P9": remembered}
	failed = [measure(site, options) for name, measure in parts.items() if options.only in (None, name)]
	return min(sum(failed), 1)


if __name__ == "__main__":
	sys.exit(main())
