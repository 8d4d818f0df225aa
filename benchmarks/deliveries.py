#!/usr/bin/env python3
"""P5: the delivery loop against core Webhook, to one receiver, each call logged and committed; two loops at once; the
loop's memory.

How to run it: README.md beside this file.
"""

import argparse
import gc
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from measure import Comparison, Side, report
from receiver_process import PROCESSES, ReceiverProcess

sys.path.insert(0, str(Path(__file__).parents[1]))

import frappe
from frappe.utils.background_jobs import generate_qname, get_redis_conn

from integration_hub.core import doorbell, sql
from integration_hub.outbound import outbox
from integration_hub.outbound.delivery import Loop
from integration_hub.outbound.envelope import Subject
from integration_hub.outbound.outbox import NewDelivery, NewEvent

EVENT = "order.submitted"
QUEUE = "hub-benchmark"
CORE_METHOD = "frappe.integrations.doctype.webhook.webhook.enqueue_webhook"
# An order of two lines, as `order.submitted` tells of it.
PAYLOAD_BYTES = 750
MEMORY_EVERY = 5_000
SECONDS = 600


@contextmanager
def connected(site: str) -> Iterator[None]:
	"""Be connected as Administrator; ring no worker, for the loop here is to deliver.

	Raises:
		SystemExit: a commit may be lost with the machine, so half of its cost would be missing.
	"""
	frappe.init(site, sites_path=".", force=True)
	frappe.connect()
	frappe.set_user("Administrator")
	doorbell._silent_until = float("inf")
	if sql.run("SELECT @@innodb_flush_log_at_trx_commit")[0][0] != 1:
		sys.exit("Set MariaDB's innodb_flush_log_at_trx_commit to 1")
	try:
		yield
	finally:
		frappe.destroy()


@contextmanager
def open_settings(port: str) -> Iterator[None]:
	"""Let webhooks reach a port of the loopback."""
	settings = frappe.get_doc("Hub Settings")
	before = {f: settings.get(f) for f in ("webhook_allow_http", "webhook_ports", "webhook_allowed_networks")}
	settings.update(
		{
			"webhook_allow_http": 1,
			"webhook_ports": f"{settings.webhook_ports} {port}",
			"webhook_allowed_networks": "127.0.0.0/8",
		}
	)
	settings.save()
	sql.commit()
	try:
		yield
	finally:
		frappe.db.rollback()
		frappe.get_doc("Hub Settings").update(before).save()
		sql.commit()


class Ours:
	"""A webhook of a Connected System of its own, which nothing else happens to, and its due deliveries."""

	def __init__(self, url: str, concurrency: int, company: str):
		self.system = f"benchmark-{frappe.generate_hash(length=8)}"
		frappe.get_doc(
			{
				"doctype": "Hub Connected System",
				"slug": self.system,
				"title": f"Benchmark {self.system}",
				"kind": "Shop",
				"company": company,
				"enabled": 1,
				"scopes": [{"scope": "orders:read"}],
			}
		).insert()
		self.webhook = (
			frappe.get_doc(
				{
					"doctype": "Hub Webhook",
					"title": self.system,
					"system": self.system,
					"mode": "Push",
					"url": f"{url}/hub",
					"concurrency": concurrency,
					"events": [{"event": EVENT}],
				}
			)
			.insert()
			.name
		)
		sql.commit()

	def fill(self, count: int) -> None:
		"""Make so many deliveries due."""
		data = "x" * (PAYLOAD_BYTES - 100)
		for start in range(0, count, 500):
			outbox.add([self._event(data) for _number in range(start, min(start + 500, count))])
			sql.commit()

	def _event(self, data: str) -> NewEvent:
		event_id = f"evt_{frappe.generate_hash(length=24)}"
		payload = f'{{"type":"{EVENT}","timestamp":"2026-01-01T00:00:00Z","data":{{"order":"{data}"}}}}'
		subject = Subject("Sales Order", event_id, None)
		return NewEvent(event_id, EVENT, self.system, None, subject, payload, [NewDelivery(self.webhook)])

	def close(self) -> None:
		frappe.db.rollback()
		frappe.delete_doc("Hub Webhook", self.webhook)
		frappe.db.delete("Hub Event", {"system": self.system})
		frappe.db.delete("Integration Request", {"hub_system": self.system})
		frappe.delete_doc("Hub Connected System", self.system, force=True)
		sql.commit()

	def delivered(self) -> int:
		frappe.db.rollback()
		return outbox.counts(self.webhook).get("Delivered", 0)


class Core:
	"""A core Webhook with a body of the same size, its jobs on a queue of their own and one worker of RQ's."""

	def __init__(self, url: str, site: str):
		self._site = site
		# Frappe enqueues on queues it knows only.
		frappe.local.conf.workers = {QUEUE: {"timeout": 300}}
		self.webhook = (
			frappe.get_doc(
				{
					"doctype": "Webhook",
					"name": f"Benchmark {frappe.generate_hash(length=8)}",
					"webhook_doctype": "Sales Order",
					"webhook_docevent": "on_submit",
					"enabled": 0,
					"request_url": f"{url}/core",
					"request_structure": "JSON",
					"webhook_json": '{"order": "%s"}' % ("x" * (PAYLOAD_BYTES - 13)),
				}
			)
			.insert()
			.name
		)
		sql.commit()
		self._order = frappe.get_last_doc("Sales Order")

	def fill(self, count: int) -> None:
		for _number in range(count):
			frappe.enqueue(CORE_METHOD, doc=self._order, webhook=frappe._dict(name=self.webhook), queue=QUEUE)

	def run(self) -> None:
		process = PROCESSES.Process(target=_work_off, args=(self._site, self.webhook))
		process.start()
		process.join()

	def logged(self) -> int:
		frappe.db.rollback()
		return frappe.db.count("Webhook Request Log", {"webhook": self.webhook})

	def close(self) -> None:
		frappe.db.rollback()
		frappe.db.delete("Webhook Request Log", {"webhook": self.webhook})
		frappe.delete_doc("Webhook", self.webhook, force=True)
		sql.commit()


def _work_off(site: str, webhook: str) -> None:
	"""Do what `bench worker --burst` does, on the benchmark's queue; all that a job imports is imported before it forks."""
	from rq import Queue, Worker

	frappe.init(site, sites_path=".", force=True)
	frappe.connect()
	for method in (CORE_METHOD, "frappe.utils.background_jobs.execute_job", "erpnext.hooks.app_name"):
		frappe.get_attr(method)
	frappe.get_last_doc("Sales Order")
	frappe.get_doc("Webhook", webhook)
	connection = get_redis_conn()
	queue = Queue(generate_qname(QUEUE), connection=connection)
	frappe.destroy()
	Worker([queue], connection=connection).work(burst=True, logging_level="WARNING")


def _deliver(site: str, seconds: float) -> None:
	with connected(site), Loop() as loop:
		loop.run(seconds)


def race(ours: Ours, core: Core, receiver: ReceiverProcess, options: argparse.Namespace) -> Comparison:
	"""Take turns; core is timed from its worker's first call to its last, ours from the first claim to the last commit."""
	a = Side(f"the loop, {options.concurrency} at once", lambda: None)
	b = Side("core Webhook, one worker of RQ's", lambda: None)
	with Loop() as loop:
		ours.fill(options.count // 10)
		loop.run(SECONDS)
		receiver.taken()
		done = ours.delivered()
		for number in range(1, options.rounds + 1):
			ours.fill(options.count)
			started = time.perf_counter()
			loop.run(SECONDS)
			a.times.append((time.perf_counter() - started) * 1000 / options.count)
			_times, ids = receiver.taken()
			expect("deliveries", ours.delivered() - done, options.count * number)
			expect("calls under one id", (len(ids), max(ids.values())), (options.count, 1))

			core.fill(options.core_count)
			core.run()
			times, _ids = receiver.taken()
			b.times.append((times[-1] - times[0]) * 1000 / (len(times) - 1))
			expect("logged calls of core's", core.logged(), options.core_count * number)
	return Comparison("P5 ms a delivery", a, b, 0.1)


def two_at_once(ours: Ours, receiver: ReceiverProcess, options: argparse.Namespace, site: str) -> str:
	"""Let two processes deliver the same deliveries; return a sentence.

	Raises:
		SystemExit: one was sent twice, or not at all.
	"""
	ours.fill(2 * options.count)
	before = ours.delivered()
	processes = [PROCESSES.Process(target=_deliver, args=(site, SECONDS)) for _number in range(2)]
	for process in processes:
		process.start()
	for process in processes:
		process.join()
	times, ids = receiver.taken()
	expect("deliveries", ours.delivered() - before, 2 * options.count)
	expect("calls under one id", (len(ids), max(ids.values())), (2 * options.count, 1))
	rate = (len(times) - 1) / (max(times) - min(times))
	return f"Two loops in two processes: {rate:.0f} deliveries a second, none of {len(ids)} sent twice."


def memory(ours: Ours, receiver: ReceiverProcess, count: int) -> tuple[str, bool]:
	"""Deliver `count` with one loop; return a sentence, and whether its memory stayed within a tenth."""
	sizes = []
	with Loop() as loop:
		for _part in range(count // MEMORY_EVERY):
			ours.fill(MEMORY_EVERY)
			loop.run(SECONDS)
			receiver.taken()
			gc.collect()
			sizes.append(pss())
			print(f"  after {len(sizes) * MEMORY_EVERY:,}: {sizes[-1] / 1024:.1f} MiB", file=sys.stderr)
	ratio = sizes[-1] / sizes[0]
	sentence = f"Proportional set size after {count:,} deliveries: {ratio:.3f} of that after {MEMORY_EVERY:,}"
	return f"{sentence} ({sizes[-1] / 1024:.1f} MiB).", ratio <= 1.1


def pss() -> int:
	"""Return this process's proportional set size, in KiB."""
	lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
	return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def expect(what: str, found: object, wanted: object) -> None:
	if found != wanted:
		sys.exit(f"{what}: {found}, not {wanted}")


def main() -> int:
	parser = argparse.ArgumentParser(description=__doc__)
	parser.add_argument("--site", required=True)
	parser.add_argument("--rounds", type=int, default=5, help="0: the memory run alone")
	parser.add_argument("--count", type=int, default=2_000, help="deliveries a round (default 2,000)")
	parser.add_argument("--core-count", type=int, default=100, help="core's a round (default 100)")
	parser.add_argument(
		"--concurrency", type=int, default=4, help="calls at once (the default of a webhook: 4)"
	)
	parser.add_argument("--memory", type=int, default=50_000, help="deliveries of the memory run; 0: none")
	options = parser.parse_args()
	failed, met = 0, True
	with (
		connected(options.site),
		ReceiverProcess() as receiver,
		open_settings(receiver.url.rsplit(":", 1)[1]),
	):
		company = frappe.db.get_value("Company", {}, "name", order_by="creation desc")
		with (
			closing(Ours(receiver.url, options.concurrency, company)) as ours,
			closing(Core(receiver.url, options.site)) as core,
		):
			if options.rounds:
				failed = report([race(ours, core, receiver, options)])
				print(two_at_once(ours, receiver, options, options.site))
			if options.memory:
				sentence, met = memory(ours, receiver, options.memory)
				print(sentence)
	return failed or int(not met)


if __name__ == "__main__":
	sys.exit(main())
