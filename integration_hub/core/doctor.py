"""Looks a site over for whoever runs it: what is not as the hub needs it, and what to do about it."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import urlparse

import frappe
from frappe import _
from frappe.utils import cint, time_diff_in_seconds
from frappe.utils.background_jobs import generate_qname, get_queues_timeout, get_workers
from frappe.utils.scheduler import is_scheduler_inactive

from integration_hub.core import doorbell, sql, waiting

OK, WARNING, ERROR = "ok", "warning", "error"

SWEEP = "integration_hub.tasks.sweep"
# Longer than a sweep takes to come, on either version of Frappe.
LATE_SECONDS = 600
CLOCK_SECONDS = 5


@dataclass(frozen=True)
class Finding:
	"""What was looked at, how it is (`ok`, `warning`, `error`), and what to do about it."""

	area: str
	level: str
	message: str
	remedy: str = ""


def examine() -> list[Finding]:
	"""Return what was found, in the order of the checks; a check that cannot be made is an error of its own."""
	return [finding for check in CHECKS for finding in _made(check)]


def _made(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
	try:
		return list(check())
	except Exception as e:
		area = _(check.__name__.strip("_").capitalize())
		return [
			Finding(area, ERROR, _("This could not be looked at: {0}").format(e), _("See the error above."))
		]


def _database() -> Iterator[Finding]:
	area = _("Database")
	rows = sql.run(
		"""SELECT version(), @@global.innodb_flush_log_at_trx_commit, @@global.log_bin, @@global.sync_binlog,
			@@global.binlog_format, @@global.tx_isolation"""
	)
	version, flush, log_bin, sync_binlog, binlog_format, isolation = rows[0]
	yield Finding(area, OK, _("MariaDB {0}").format(version))
	if cint(flush) != 1:
		yield Finding(
			area,
			ERROR,
			_(
				"A power failure can lose orders that were answered: innodb_flush_log_at_trx_commit is {0}."
			).format(flush),
			_("Set innodb_flush_log_at_trx_commit = 1 in MariaDB's configuration."),
		)
	if cint(log_bin) and cint(sync_binlog) != 1:
		yield Finding(
			area,
			WARNING,
			_("After a power failure a replica may lack orders: sync_binlog is {0}.").format(sync_binlog),
			_("Set sync_binlog = 1."),
		)
	if cint(log_bin) and binlog_format == "STATEMENT":
		yield Finding(
			area,
			WARNING,
			_(
				"With a binary log of statements the hub cannot work at READ COMMITTED, and parallel calls wait for each other."
			),
			_("Set binlog_format = ROW or MIXED."),
		)
	if isolation not in ("REPEATABLE-READ", "READ-COMMITTED"):
		yield Finding(
			area,
			WARNING,
			_("The isolation of transactions is {0}, which the hub is not tested with.").format(isolation),
			_("Set tx_isolation = REPEATABLE-READ, MariaDB's default."),
		)


def _clock() -> Iterator[Finding]:
	area = _("Clock")
	(there,) = sql.run("SELECT UTC_TIMESTAMP(6)")[0]
	apart = abs((datetime.now(timezone.utc).replace(tzinfo=None) - there).total_seconds())
	if apart <= CLOCK_SECONDS:
		yield Finding(area, OK, _("Database and server agree on the time."))
		return
	yield Finding(
		area,
		ERROR,
		_(
			"The clocks of database and server are {0} seconds apart: signatures of webhooks may be refused."
		).format(round(apart)),
		_("Let both follow a time server (NTP)."),
	)


def _redis() -> Iterator[Finding]:
	places = {
		_("Redis of the cache"): frappe.conf.redis_cache,
		_("Redis of the queue"): frappe.conf.redis_queue,
	}
	for area, address in places.items():
		url = urlparse(address or "")
		try:
			with socket.create_connection((url.hostname or "127.0.0.1", url.port or 6379), timeout=2):
				yield Finding(area, OK, _("It answers."))
		except OSError as e:
			yield Finding(
				area,
				ERROR,
				_("It does not answer: {0}. Calls go on; what waits is worked off once it is back.").format(
					e
				),
				_("Start Redis, then the workers."),
			)


def _workers() -> Iterator[Finding]:
	area, queue = _("Workers"), doorbell.queue()
	if queue not in get_queues_timeout():
		yield Finding(
			area,
			ERROR,
			_("The queue “{0}” of hub_queue is none of this bench: only the sweep does what waits.").format(
				queue
			),
			_("Add it to “workers” in common_site_config.json, and start workers for it."),
		)
		return
	listening = [worker for worker in get_workers() if generate_qname(queue) in worker.queue_names()]
	if listening:
		yield Finding(area, OK, _("{0} listen to the queue “{1}”.").format(len(listening), queue))
		return
	yield Finding(
		area,
		ERROR,
		_(
			"No worker listens to the queue “{0}”: what is accepted for later is not done, and no event is sent."
		).format(queue),
		_("Start the workers: bench start, or supervisorctl restart all."),
	)


def _scheduler() -> Iterator[Finding]:
	area = _("Scheduler")
	if is_scheduler_inactive(verbose=False):
		yield Finding(
			area,
			ERROR,
			_("It is off: nothing is tried again by itself, and nobody is told of failures."),
			_("bench --site {0} enable-scheduler, and see that maintenance mode is off.").format(
				frappe.local.site
			),
		)
		return
	last = frappe.db.get_value("Scheduled Job Type", {"method": SWEEP}, "last_execution")
	late = time_diff_in_seconds(frappe.utils.now_datetime(), last) if last else None
	if late is not None and late < LATE_SECONDS:
		yield Finding(area, OK, _("The last sweep was {0} seconds ago.").format(round(late)))
		return
	yield Finding(
		area,
		ERROR,
		_("The last sweep was at {0}: it should come every few minutes.").format(last or _("no time")),
		_("See that the process “bench schedule” runs, and that a worker is free."),
	)


def _switches() -> Iterator[Finding]:
	area = _("Switches")
	if frappe.db.get_single_value("Hub Settings", "paused"):
		yield Finding(
			area, WARNING, _("The hub is paused: calls are answered 503."), _("Hub Settings → Paused.")
		)
	for name in frappe.get_all("Hub Connected System", filters={"enabled": 1, "paused": 1}, pluck="name"):
		yield Finding(
			area, WARNING, _("{0} is paused.").format(name), _("Open it and take the tick off Paused.")
		)
	if not frappe.db.count("Hub Connected System", {"enabled": 1}):
		yield Finding(area, WARNING, _("No Connected System is enabled."), _("Connect a system in the Desk."))


def _requests() -> Iterator[Finding]:
	area = _("Requests")
	paused = frappe.db.get_single_value("Hub Settings", "paused")
	late = 0 if paused else waiting.late(LATE_SECONDS)
	left = _count(
		"""SELECT count(*) FROM `tabHub Request` WHERE status = 'Processing'
		AND lease_until < UTC_TIMESTAMP(6) - INTERVAL %s SECOND"""
	)
	failed = frappe.db.count("Hub Request", {"status": "Failed"})
	if late or left:
		yield Finding(
			area,
			ERROR,
			_("{0} have been due for more than ten minutes, and {1} were left by workers that died.").format(
				late, left
			),
			_("See to workers and scheduler, then: bench --site {0} integration-hub drain").format(
				frappe.local.site
			),
		)
	if failed:
		yield Finding(
			area,
			WARNING,
			_("{0} failed and wait for a person.").format(failed),
			_("Open the list Hub Request with the status Failed; Retry or Dismiss them."),
		)
	if not (late or left or failed):
		yield Finding(area, OK, _("Nothing is late, and nothing waits for a person."))


def _deliveries() -> Iterator[Finding]:
	area = _("Deliveries")
	late = _count(
		"""SELECT count(*) FROM `tabHub Event Delivery` WHERE due_at < UTC_TIMESTAMP(6) - INTERVAL %s SECOND"""
	)
	stopped = frappe.get_all("Hub Webhook", filters={"status": ("!=", "Active")}, pluck="title")
	exhausted = frappe.db.count("Hub Event Delivery", {"status": "Exhausted"})
	if late:
		yield Finding(
			area,
			ERROR,
			_("{0} have been due for more than ten minutes.").format(late),
			_("See to the workers."),
		)
	if stopped:
		yield Finding(
			area,
			WARNING,
			_("Webhooks that get nothing: {0}").format(", ".join(stopped[:10])),
			_("Open them: they say why, and Resume sends what was kept."),
		)
	if exhausted:
		yield Finding(
			area,
			WARNING,
			_("{0} deliveries failed ten times.").format(exhausted),
			_("Open the list Hub Event Delivery with the status Exhausted; Redeliver them."),
		)
	if not (late or stopped or exhausted):
		yield Finding(area, OK, _("Nothing is late, and every webhook takes its events."))


def _count(query: str) -> int:
	return sql.run(query, (LATE_SECONDS,))[0][0]


CHECKS = (_database, _clock, _redis, _workers, _scheduler, _switches, _requests, _deliveries)
