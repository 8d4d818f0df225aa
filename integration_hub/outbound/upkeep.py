"""What happens now and then: delivering, numbering, looking for changed stock, telling people."""

import signal
import time
from datetime import datetime, timedelta, timezone

import frappe

from integration_hub import compat
from integration_hub.core import sql, transaction
from integration_hub.core.errors import as_hub_error
from integration_hub.outbound import alerts, endpoints, outbox, stock, stream, subscriptions
from integration_hub.outbound.delivery import JOB_SECONDS, Loop

# How long the loop under a process manager delivers before it looks at the rest.
TURN_SECONDS = 5
PAUSE_SECONDS = 5
# Thousands of deliveries of a deleted webhook that one sweep removes.
BATCHES = 20


def sweep() -> None:
	"""Every minute, before anything that takes long: what the doorbell and the cache missed, and what people must know."""
	subscriptions.publish_version()
	alerts.tell()


def remove_forgotten() -> None:
	"""Remove what deleted webhooks have left, in batches, each committed: a long backlog takes several sweeps."""
	frappe.db.rollback()
	for webhook in outbox.forgotten_webhooks():
		for _batch in range(BATCHES):
			removed = outbox.forget_webhook(webhook)
			sql.commit()
			if removed < outbox.BATCH:
				break


def _release_forgotten() -> None:
	"""Let go on what a loop held after a resume: it had read the endpoint's state just before."""
	frappe.db.rollback()
	for endpoint in endpoints.all_push():
		if endpoint.takes:
			outbox.release(endpoint.name)
	sql.commit()


def deliver(seconds: float = JOB_SECONDS) -> None:
	"""Deliver what is due, within the time a job of Frappe's queue has; tell of changed stock first."""
	began = time.monotonic()
	with transaction.read_committed(), Loop() as loop:
		_release_forgotten()
		stock.look()
		stream.number()
		loop.run(seconds=max(0, seconds - (time.monotonic() - began)))


def purge(days: int) -> None:
	"""Remove events older than `days` that have nothing left to deliver, in batches, each committed."""
	before = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(days=days)
	with transaction.read_committed():
		sql.commit()
		while names := outbox.old_events(before):
			sql.commit()
			removed = outbox.remove_events(names)
			sql.commit()
			if not removed:
				# Somebody has them locked; they go another day.
				break


def deliver_forever() -> None:
	"""Deliver, number, and look for changed stock until SIGTERM or SIGINT; a lost database is waited for."""
	loop = Loop()

	def stop(_signal, _frame) -> None:
		loop.stop()

	signal.signal(signal.SIGTERM, stop)
	signal.signal(signal.SIGINT, stop)
	with loop:
		while not loop.stopped:
			try:
				with transaction.read_committed():
					_release_forgotten()
					stream.number()
					stock.look()
					loop.run(seconds=TURN_SECONDS, wait=True)
			except Exception as e:
				_recover(e)


def _recover(error: Exception) -> None:
	"""Go on after a failure: leases see to it that nothing is lost."""
	frappe.logger("integration_hub").exception("The delivery loop failed and goes on")
	time.sleep(PAUSE_SECONDS)
	if as_hub_error(error).transient:
		try:
			compat.reconnect()
		except Exception:
			# Asked again at the next turn.
			frappe.logger("integration_hub").warning("The database cannot be reached yet")
