"""Delivery loops in processes of their own, which can be told to die; and what tests put into the outbox for them.

As a module it is such a process: `python -m integration_hub.tests.faults.delivery_process SITE [KILL-AT]` says `ready` once
it is connected and then delivers until SIGTERM. KILL-AT is `sent` (claimed and sent, nothing recorded yet) or `claimed`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import frappe

from integration_hub.outbound import outbox
from integration_hub.outbound.envelope import Subject
from integration_hub.outbound.outbox import NewDelivery, NewEvent
from integration_hub.tests import site
from integration_hub.tests.events import Ear
from integration_hub.tests.stack import Stack

STARTS_WITHIN = 240
ENDS_WITHIN = 90
EVENT = "order.submitted"


# -- the outbox ---------------------------------------------------------------------------------------------------


def put(ear: Ear, count: int = 1, documents: tuple[str, ...] = ("HT-DOC",)) -> list[str]:
	"""Commit events for a webhook, of one document after the other, and ring nobody; return their ids in order."""
	site.refresh()
	events = []
	for number in range(count):
		event_id = f"evt_{frappe.generate_hash(length=24)}"
		document = documents[number % len(documents)]
		payload = json.dumps({"type": EVENT, "timestamp": "2026-01-01T00:00:00Z", "data": {"number": number}})
		subject = Subject("Sales Order", document)
		events.append(
			NewEvent(event_id, EVENT, ear.system.name, None, subject, payload, [NewDelivery(ear.webhook)])
		)
	outbox.add(events)
	frappe.db.after_commit.reset()
	frappe.db.commit()
	return [event.id for event in events]


def travel(ear: Ear, seconds: float) -> None:
	"""Let so much time pass for a webhook and its deliveries."""
	site.refresh()
	moments = {
		("Hub Event Delivery", "webhook"): ("due_at", "last_attempt_at"),
		("Hub Webhook", "name"): ("open_until", "window_started", "failing_since", "probe_until"),
	}
	for (doctype, key), columns in moments.items():
		earlier = ", ".join(f"{column} = {column} - INTERVAL %(time)s MICROSECOND" for column in columns)
		values = {"time": round(seconds * 1_000_000), "webhook": ear.webhook}
		frappe.db.sql(f"UPDATE `tab{doctype}` SET {earlier} WHERE {key} = %(webhook)s", values)
	frappe.db.commit()


def due_in(ear: Ear, event: str) -> float | None:
	"""Return the seconds from the last attempt of a delivery until it is due; None: it is at rest."""
	site.refresh()
	return frappe.db.sql(
		"""SELECT timestampdiff(MICROSECOND, last_attempt_at, due_at) / 1e6 FROM `tabHub Event Delivery`
		WHERE webhook = %s AND event = %s""",
		(ear.webhook, event),
	)[0][0]


def state(ear: Ear) -> dict:
	"""Return the webhook's row, with `open_for`: seconds until the breaker lets a probe through."""
	site.refresh()
	return frappe.db.sql(
		"""SELECT *, timestampdiff(MICROSECOND, UTC_TIMESTAMP(6), open_until) / 1e6 AS open_for FROM `tabHub Webhook`
		WHERE name = %s""",
		(ear.webhook,),
		as_dict=True,
	)[0]


def statuses(ear: Ear) -> dict[str, int]:
	"""Return how many deliveries of a webhook are in each state."""
	site.refresh()
	return outbox.counts(ear.webhook)


def wait_for_all(ear: Ear, count: int, status: str = "Delivered", seconds: float = site.PATIENCE) -> None:
	"""Wait until so many deliveries of a webhook, and no others, are there, all in this state."""
	deadline = time.monotonic() + seconds
	while (found := statuses(ear)) != {status: count}:
		assert time.monotonic() < deadline, found
		time.sleep(0.05)


# -- processes ----------------------------------------------------------------------------------------------------


class DeliveryProcess:
	"""A process that delivers until it is stopped."""

	def __init__(self, stack: Stack, kill_at: str = ""):
		self._process = subprocess.Popen(
			[sys.executable, "-W", "ignore", "-m", __name__, stack.site, kill_at],
			cwd=stack.bench / "sites",
			stdin=subprocess.DEVNULL,
			stdout=subprocess.PIPE,
			text=True,
		)

	@property
	def memory(self) -> int:
		"""Resident memory in bytes."""
		with open(f"/proc/{self._process.pid}/statm") as statm:
			return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

	def wait_until_ready(self) -> None:
		assert self._process.stdout.readline() == "ready\n", "the process did not start"

	def wait_for_death(self) -> int:
		"""Wait until it has died and return the signal it died of."""
		return -self._process.wait(ENDS_WITHIN)

	def stop(self) -> int:
		"""Let it end and return its exit code."""
		if self._process.poll() is None:
			self._process.terminate()
		try:
			return self._process.wait(ENDS_WITHIN)
		finally:
			self._process.kill()
			self._process.stdout.close()


@contextmanager
def processes(stack: Stack, count: int = 1, kill_at: str = ""):
	"""Run delivery processes for the block."""
	with ExitStack() as running:
		started = [DeliveryProcess(stack, kill_at) for _number in range(count)]
		for one in started:
			running.callback(one.stop)
		for one in started:
			one.wait_until_ready()
		yield started


@contextmanager
def command(stack: Stack):
	"""Run `bench --site S integration-hub deliver` for the block."""
	process = stack.start("integration-hub", "deliver", site=stack.site)
	try:
		yield process
	finally:
		process.terminate()
		try:
			process.communicate(timeout=ENDS_WITHIN)
		finally:
			process.kill()


def connections(process: subprocess.Popen) -> list[int]:
	"""Return the ids of the database connections a process holds on this site."""
	site.refresh()
	ports = _local_ports(process.pid)
	rows = frappe.db.sql("SELECT id, host FROM information_schema.processlist WHERE db = DATABASE()")
	return [number for number, host in rows if host.rpartition(":")[2] in ports]


def _local_ports(pid: int) -> set[str]:
	sockets = set()
	for entry in os.listdir(f"/proc/{pid}/fd"):
		try:
			target = os.readlink(f"/proc/{pid}/fd/{entry}")
		except OSError:
			continue
		if target.startswith("socket:["):
			sockets.add(target[8:-1])
	ports = set()
	for table in ("tcp", "tcp6"):
		with open(f"/proc/{pid}/net/{table}") as lines:
			for line in list(lines)[1:]:
				columns = line.split()
				if columns[9] in sockets:
					ports.add(str(int(columns[1].rpartition(":")[2], 16)))
	return ports


def _die_at(point: str) -> None:
	from integration_hub.outbound import delivery

	def die(*_args, **_kwargs) -> None:
		os.kill(os.getpid(), signal.SIGKILL)

	if point == "sent":
		delivery.record = die
	elif point == "claimed":
		delivery.Loop._send = die


def _main(site_name: str, kill_at: str) -> None:
	from integration_hub.outbound import upkeep

	frappe.init(site_name, sites_path=".")
	frappe.connect()
	_die_at(kill_at)
	print("ready", flush=True)
	upkeep.deliver_forever()


if __name__ == "__main__":
	_main(sys.argv[1], sys.argv[2])
