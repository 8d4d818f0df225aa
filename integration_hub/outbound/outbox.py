"""Sole owner of Hub Event and Hub Event Delivery: written, claimed, finished, held, replayed, removed.

`due_at` drives a delivery, in every state: until then nobody may take it, afterwards anybody may; none: it is at rest. Every
change of state is a guarded UPDATE, and only the database's clock decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import frappe
from frappe.utils import now

from integration_hub import compat
from integration_hub.constants import deliveries as D
from integration_hub.core import doorbell, sql
from integration_hub.outbound.envelope import Subject

EVENT, DELIVERY = "Hub Event", "Hub Event Delivery"

# The longest call and a margin. A worker that died within it leaves the delivery to the next one, under the same id.
LEASE_SECONDS = 30
BATCH = 1_000
STATEMENT_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class NewDelivery:
	"""What one webhook is to be sent: a body of its own, or (None) the event's payload; with a fault it is held."""

	webhook: str
	body: str | None = None
	fault: str | None = None


@dataclass(frozen=True)
class NewEvent:
	"""What happened, as one system is told; without a payload nobody wants it."""

	id: str
	event: str
	system: str
	caused_by: str | None
	subject: Subject
	payload: str
	deliveries: list[NewDelivery] = field(default_factory=list)


@dataclass(frozen=True)
class Claimed:
	"""The right to send one delivery, while the lease holds."""

	name: str
	lease: str
	event: str
	event_type: str
	webhook: str
	system: str
	attempt_no: int
	body: str
	reference: tuple[str, str] | None


@dataclass(frozen=True)
class Outcome:
	"""How an attempt ended; `retry_in` seconds until the next one, None: there is none."""

	delivered: bool
	http_status: int | None
	error: str | None
	response: str | None
	duration_ms: int
	retry_in: float | None = None


def add(events: list[NewEvent]) -> None:
	"""Write events and their deliveries in the current transaction: two statements, however many there are."""
	events = [event for event in events if event.payload]
	if not events:
		return
	head = (now(), now(), frappe.session.user, frappe.session.user)
	_insert(
		EVENT,
		"event, system, caused_by, reference_doctype, reference_name, payload, occurred_at",
		"UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND",
		[
			(
				event.id,
				*head,
				event.event,
				event.system,
				event.caused_by,
				event.subject.doctype,
				event.subject.name,
				event.payload,
				ordinal,
			)
			for ordinal, event in enumerate(events)
		],
	)
	add_deliveries([(event, event.deliveries) for event in events])


def add_deliveries(wanted: list[tuple[NewEvent, list[NewDelivery]]]) -> None:
	"""Write deliveries of events in the current transaction: one statement."""
	head = (now(), now(), frappe.session.user, frappe.session.user)
	rows = [
		(
			frappe.generate_hash(length=16),
			*head,
			event.id,
			event.event,
			new.webhook,
			event.system,
			event.subject.doctype,
			event.subject.name,
			new.body,
			new.fault,
			new.fault,
			D.HELD if new.fault else D.PENDING,
			ordinal,
			bool(new.fault),
		)
		for ordinal, (event, deliveries) in enumerate(wanted)
		for new in deliveries
	]
	if not rows:
		return
	_insert(
		DELIVERY,
		"event, event_type, webhook, system, reference_doctype, reference_name, body, fault, error, status, occurred_at, due_at",
		"UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND, IF(%s, NULL, UTC_TIMESTAMP(6))",
		rows,
	)
	compat.after_commit_once(ring)


def _insert(doctype: str, columns: str, last: str, rows: list[tuple]) -> None:
	"""Insert rows whose last columns are expressions: one statement, or more where it would be too large for MariaDB."""
	plain = ", ".join(["%s"] * (len(rows[0]) - last.count("%s")))
	one = f"({plain}, {last})"
	for part in _parts(rows):
		sql.run(
			f"""INSERT INTO `tab{doctype}` (name, creation, modified, owner, modified_by, {columns})
			VALUES {", ".join([one] * len(part))}""",
			tuple(value for row in part for value in row),
		)


def _parts(rows: list[tuple]) -> Iterator[list[tuple]]:
	"""Cut rows into statements of a megabyte or so; `max_allowed_packet` is 16 by default."""
	part, size = [], 0
	for row in rows:
		part.append(row)
		size += sum(len(value) for value in row if isinstance(value, str))
		if size > STATEMENT_CHARACTERS:
			yield part
			part, size = [], 0
	if part:
		yield part


def ring() -> None:
	"""Ask a worker to deliver."""
	doorbell.ring(D.JOB, slots=max(1, frappe.get_cached_doc("Hub Settings").delivery_workers or 1))


def due(webhook: str, limit: int, ordered: bool) -> list[str]:
	"""Names of deliveries to send to a webhook now, the longest due first; no locks.

	Args:
		ordered: leave out those of a document that has an earlier one under way.
	"""
	# The index is named, for of a long backlog MariaDB would else read what is delivered first: its due_at is NULL.
	return sql.run(
		f"""SELECT name FROM `tabHub Event Delivery` delivery FORCE INDEX (webhook_due_at_occurred_at_index)
		WHERE webhook = %s AND due_at <= UTC_TIMESTAMP(6) {_FIRST_OF_DOCUMENT if ordered else ""}
		ORDER BY due_at, occurred_at LIMIT %s""",
		(webhook, *(D.OPEN if ordered else ()), limit),
		pluck=True,
	)


_FIRST_OF_DOCUMENT = f"""AND NOT EXISTS (SELECT 1 FROM `tabHub Event Delivery` earlier
	WHERE earlier.webhook = delivery.webhook AND earlier.reference_name = delivery.reference_name
	AND earlier.reference_doctype = delivery.reference_doctype AND earlier.occurred_at < delivery.occurred_at
	AND earlier.status IN ({", ".join(["%s"] * len(D.OPEN))}))"""


def claim(names: list[str]) -> list[Claimed]:
	"""Take due deliveries that no other worker has; the caller commits before it sends anything."""
	if not names:
		return []
	lease = frappe.generate_hash(length=16)
	free = sql.run(
		"""SELECT name FROM `tabHub Event Delivery`
		WHERE name IN %s AND due_at <= UTC_TIMESTAMP(6) FOR UPDATE SKIP LOCKED""",
		(names,),
		pluck=True,
	)
	if not free:
		return []
	sql.run(
		"""UPDATE `tabHub Event Delivery` SET status = %s, attempt_no = attempt_no + 1, lease = %s,
			due_at = UTC_TIMESTAMP(6) + INTERVAL %s SECOND
		WHERE name IN %s""",
		(D.SENDING, lease, LEASE_SECONDS, free),
	)
	rows = sql.run(
		"""SELECT delivery.name, delivery.lease, delivery.event, delivery.event_type, delivery.webhook, delivery.system,
			delivery.attempt_no, coalesce(delivery.body, event.payload) AS body,
			delivery.reference_doctype, delivery.reference_name
		FROM `tabHub Event Delivery` delivery JOIN `tabHub Event` event ON event.name = delivery.event
		WHERE delivery.name IN %s""",
		(free,),
		as_dict=True,
	)
	return [_claimed(row) for row in rows]


def _claimed(row) -> Claimed:
	doctype, name = row.pop("reference_doctype"), row.pop("reference_name")
	return Claimed(**row, reference=(doctype, name) if name else None)


def finish(claimed: Claimed, outcome: Outcome) -> bool:
	"""Record how an attempt ended; False: its lease was over and somebody else has the delivery."""
	status = (
		D.DELIVERED if outcome.delivered else D.SCHEDULED if outcome.retry_in is not None else D.EXHAUSTED
	)
	return _changed(
		"""UPDATE `tabHub Event Delivery` SET status = %s, http_status = %s, error = %s, response = %s, duration_ms = %s,
			last_attempt_at = UTC_TIMESTAMP(6), delivered_at = IF(%s, UTC_TIMESTAMP(6), delivered_at),
			due_at = UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND, lease = NULL, modified = %s
		WHERE name = %s AND lease = %s AND status = %s""",
		(
			status,
			# 0 where no answer came: a number is never NULL in a table of Frappe's.
			outcome.http_status or 0,
			outcome.error,
			outcome.response,
			outcome.duration_ms,
			outcome.delivered,
			None if outcome.retry_in is None else round(outcome.retry_in * 1_000_000),
			now(),
			claimed.name,
			claimed.lease,
			D.SENDING,
		),
	)


def keep(claimed: Claimed) -> bool:
	"""Hold a claimed delivery whose endpoint is gone; it burns no attempt."""
	return _changed(
		"""UPDATE `tabHub Event Delivery` SET status = %s, lease = NULL, attempt_no = attempt_no - 1, due_at = NULL
		WHERE name = %s AND lease = %s AND status = %s""",
		(D.HELD, claimed.name, claimed.lease, D.SENDING),
	)


def hold(webhook: str, until: datetime | None = None) -> int:
	"""Hold what is due for an endpoint that takes nothing now: until it does (None), or until a moment (UTC).

	It burns no attempt. Return how many; at most a thousand at a time.
	"""
	names = _free(due(webhook, BATCH, ordered=False))
	if not names:
		return 0
	return sql.changes(
		"""UPDATE `tabHub Event Delivery` SET status = %s, due_at = %s, lease = NULL
		WHERE name IN %s AND due_at <= UTC_TIMESTAMP(6)""",
		(D.HELD, until, names),
	)


def _free(names: list[str]) -> list[str]:
	"""Lock rows and return those nobody else has.

	Always by name, found without locks before: a range would wait for what others are inserting.
	"""
	if not names:
		return []
	return sql.run(
		"SELECT name FROM `tabHub Event Delivery` WHERE name IN %s FOR UPDATE SKIP LOCKED",
		(names,),
		pluck=True,
	)


def release(webhook: str) -> int:
	"""Let what is held for an endpoint go on, but for what waits for a person; return how many."""
	held = sql.run(
		"""SELECT name FROM `tabHub Event Delivery`
		WHERE webhook = %s AND status = %s AND fault IS NULL""",
		(webhook, D.HELD),
		pluck=True,
	)
	released = 0
	for start in range(0, len(held), BATCH):
		released += sql.changes(
			"""UPDATE `tabHub Event Delivery` FORCE INDEX (PRIMARY) SET status = IF(attempt_no > 0, %s, %s), due_at = UTC_TIMESTAMP(6)
			WHERE name IN %s AND status = %s""",
			(D.SCHEDULED, D.PENDING, held[start : start + BATCH], D.HELD),
		)
	if released:
		compat.after_commit_once(ring)
	return released


def redeliver(names: list[str], by: str) -> int:
	"""Make deliveries due again, with all their attempts; return how many. Those under way are left alone."""
	due = 0
	for start in range(0, len(names), BATCH):
		due += sql.changes(
			"""UPDATE `tabHub Event Delivery` FORCE INDEX (PRIMARY) SET status = %s, attempt_no = 0, due_at = UTC_TIMESTAMP(6), lease = NULL, error = NULL,
				redelivered_by = %s, modified = %s
			WHERE name IN %s AND status <> %s""",
			(D.PENDING, by, now(), names[start : start + BATCH], D.SENDING),
		)
	if due:
		compat.after_commit_once(ring)
	return due


def shape_again(name: str, body: str | None, fault: str | None) -> bool:
	"""Give a delivery that was held by a fault another body, or another fault."""
	return _changed(
		"""UPDATE `tabHub Event Delivery` SET body = %s, fault = %s, error = %s, modified = %s
		WHERE name = %s AND status <> %s""",
		(body, fault, fault, now(), name, D.SENDING),
	)


def give_up(name: str, because: str) -> bool:
	"""End a delivery held by a fault that will not be made; asked again, it is shaped anew."""
	return _changed(
		"""UPDATE `tabHub Event Delivery` SET status = %s, error = %s, due_at = NULL, modified = %s
		WHERE name = %s AND status <> %s""",
		(D.EXHAUSTED, because, now(), name, D.SENDING),
	)


def forget_webhook(webhook: str) -> int:
	"""Remove deliveries of a webhook that is deleted, at most a thousand; its events stay. Return how many."""
	names = sql.run(
		"SELECT name FROM `tabHub Event Delivery` WHERE webhook = %s LIMIT %s", (webhook, BATCH), pluck=True
	)
	_remove(DELIVERY, names)
	return len(names)


def forgotten_webhooks() -> list[str]:
	"""Return webhooks that are deleted and have deliveries left; no locks."""
	return sql.run(
		"""SELECT webhook FROM (SELECT DISTINCT webhook FROM `tabHub Event Delivery`) delivery
		WHERE webhook NOT IN (SELECT name FROM `tabHub Webhook`)""",
		pluck=True,
	)


def old_events(before: datetime, limit: int = BATCH) -> list[str]:
	"""Return events older than a moment (UTC) none of whose deliveries is open, the oldest first; no locks."""
	return sql.run(
		# A count, for MariaDB answers NOT EXISTS from a list of all events that have open deliveries, made anew each time.
		"""SELECT name FROM `tabHub Event` event WHERE occurred_at < %s AND (
			SELECT count(*) FROM `tabHub Event Delivery` delivery JOIN `tabHub Webhook` webhook ON webhook.name = delivery.webhook
			WHERE delivery.event = event.name AND delivery.status IN %s) = 0
		ORDER BY occurred_at LIMIT %s""",
		(before, D.OPEN, limit),
		pluck=True,
	)


def remove_events(names: list[str]) -> int:
	"""Remove events and their deliveries, but for those that have an open one after all; return how many.

	To be called on a fresh transaction: first the locks, then the look.
	"""
	free = sql.run(
		"SELECT name FROM `tabHub Event` WHERE name IN %s FOR UPDATE SKIP LOCKED", (names,), pluck=True
	)
	deliveries = sql.run(
		"SELECT name, event FROM `tabHub Event Delivery` WHERE event IN %s", (free or [""],), as_dict=True
	)
	done = _done([row.name for row in deliveries])
	kept = {row.event for row in deliveries if row.name not in done}
	gone = [name for name in free if name not in kept]
	_remove(DELIVERY, [row.name for row in deliveries if row.event not in kept])
	_remove(EVENT, gone)
	return len(gone)


def _done(names: list[str]) -> set[str]:
	"""Lock deliveries and return those that are neither open nor in use; of a webhook that is gone, none is open."""
	return set(
		sql.run(
			"""SELECT name FROM `tabHub Event Delivery` WHERE name IN %s
			AND (status NOT IN %s OR webhook NOT IN (SELECT name FROM `tabHub Webhook`)) FOR UPDATE SKIP LOCKED""",
			(names or [""], D.OPEN),
			pluck=True,
		)
	)


def _remove(doctype: str, names: list[str]) -> None:
	# One by one: a list may be worked off by a scan, which locks what others are inserting.
	for name in names:
		sql.run(f"DELETE FROM `tab{doctype}` WHERE name = %s", (name,))


def counts(webhook: str) -> dict[str, int]:
	"""Return how many deliveries of a webhook are in each state."""
	rows = sql.run(
		"SELECT status, count(*) FROM `tabHub Event Delivery` WHERE webhook = %s GROUP BY status", (webhook,)
	)
	return {status: count for status, count in rows}


def _changed(query: str, values: tuple) -> bool:
	return sql.changes(query, values) == 1
