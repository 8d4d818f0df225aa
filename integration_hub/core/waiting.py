"""Requests that wait for a worker: due in fair turns, claimed, woken, put back, taken out.

Beside `idempotency` the only owner of Hub Request's state, by the same rules. A row may be taken once it is due, nothing
before it about the same thing is unfinished, and its system has not as many at work as it may.
"""

import random
from dataclasses import dataclass
from itertools import chain, zip_longest

import frappe
from frappe.utils import now

from integration_hub.constants import statuses as S
from integration_hub.core import idempotency, sql
from integration_hub.core.idempotency import Claim

# Looked at together: few, so that what comes meanwhile gets its turn soon.
EACH = 5
SYSTEMS = 100
# Of a system; a slow worker that lives looks like a dead one until its lock is asked for.
LEFT = 50

_WAITING = (S.QUEUED, S.RETRY_SCHEDULED)
# Of the whole site.
_NOT_PAUSED = """NOT EXISTS (SELECT 1 FROM tabSingles WHERE doctype = 'Hub Settings' AND field = 'paused' AND value = '1')"""


@dataclass(frozen=True)
class Due:
	"""A row that may be taken; `left`: a worker that died has left it."""

	name: str
	system: str
	left: bool


def due() -> list[Due]:
	"""Return rows to work on, no locks (a ranged FOR UPDATE would block every INSERT).

	Each system has its turn: one row of each, then the next of each, those due longest first.
	"""
	turns = [_due_of(system) for system in _systems()]
	return [row for row in chain.from_iterable(zip_longest(*turns)) if row]


def _systems() -> list[str]:
	"""Return the systems something is due of, in any order; more than a hundred take several looks."""
	found = sql.run(
		f"""SELECT system.name FROM `tabHub Connected System` system WHERE system.paused = 0 AND {_NOT_PAUSED} AND (
			EXISTS (SELECT 1 FROM `tabHub Request` r WHERE r.system = system.name AND r.status = %s
				AND r.next_attempt_at <= UTC_TIMESTAMP(6))
			OR EXISTS (SELECT 1 FROM `tabHub Request` r WHERE r.system = system.name AND r.status = %s
				AND r.next_attempt_at <= UTC_TIMESTAMP(6))
			OR EXISTS (SELECT 1 FROM `tabHub Request` r WHERE r.system = system.name AND r.status = %s
				AND r.lease_until < UTC_TIMESTAMP(6)))""",
		(S.QUEUED, S.RETRY_SCHEDULED, S.PROCESSING),
		pluck=True,
	)
	return random.sample(found, min(len(found), SYSTEMS))


def _due_of(system: str) -> list[Due]:
	waiting = f"""(SELECT name, next_attempt_at AS at, 0 AS died FROM `tabHub Request` r FORCE INDEX ({_DUE_INDEX})
		WHERE system = %s AND status = %s AND next_attempt_at <= UTC_TIMESTAMP(6) AND NOT {_BLOCKED}
		ORDER BY next_attempt_at LIMIT %s)"""
	# What dead workers left comes first, and beside the others: it takes up the system's places until it is taken over.
	rows = sql.run(
		f"""(SELECT name, lease_until AS at, 1 AS died FROM `tabHub Request`
			WHERE system = %s AND status = %s AND lease_until < UTC_TIMESTAMP(6) ORDER BY lease_until LIMIT %s)
		UNION ALL (SELECT name, at, died FROM ({waiting} UNION ALL {waiting}) due ORDER BY at LIMIT %s)
		ORDER BY died DESC, at""",
		(
			*(system, S.PROCESSING, LEFT),
			*(system, S.QUEUED, EACH),
			*(system, S.RETRY_SCHEDULED, EACH),
			EACH,
		),
	)
	return [Due(name, system, bool(left)) for name, _at, left in rows]


_DUE_INDEX = "system_status_next_attempt_at_index"
# Something about the same thing is at work, or came before and waits for its own turn; what waits for something that is
# not there yet lets the others pass, for they may bring it. A first try while its caller waits is no worker's; a
# further one of his counts while it lasts.
_AHEAD = f"""other.system = r.system AND other.subject = r.subject AND other.name <> r.name AND (
		other.status = '{S.PROCESSING}' AND (other.asynchronous = 1 OR other.attempt_no > 1)
		OR other.status IN {_WAITING} AND other.waits = 0 AND (other.received_at, other.name) < (r.received_at, r.name))"""
_BLOCKED = f"EXISTS (SELECT 1 FROM `tabHub Request` other WHERE {_AHEAD})"


def ahead_of(name: str) -> str | None:
	"""Return the request that has to be done before this one may begin."""
	found = sql.run(
		f"""SELECT other.name FROM `tabHub Request` r JOIN `tabHub Request` other ON {_AHEAD} WHERE r.name = %s
		ORDER BY other.received_at, other.name LIMIT 1""",
		(name,),
		pluck=True,
	)
	return found[0] if found else None


def late(seconds: int) -> int:
	"""Return how many rows could have been begun so many seconds ago: not paused, and nothing ahead of them."""
	return sql.run(
		f"""SELECT count(*) FROM `tabHub Request` r JOIN `tabHub Connected System` system ON system.name = r.system
		WHERE system.paused = 0 AND r.status IN {_WAITING} AND r.next_attempt_at < UTC_TIMESTAMP(6) - INTERVAL %s SECOND
			AND NOT {_BLOCKED}""",
		(seconds,),
	)[0][0]


def claim(row: Due) -> Claim | None:
	"""Claim one due row, first thing in a transaction; the caller commits. None: it is locked, done, or has to wait.

	The system's own row is locked meanwhile, so that its limit and the order of its calls hold among all workers.
	"""
	if row.left:
		return idempotency.take_over(idempotency.read(row.name))
	if not _has_room(row.system):
		return None
	free = sql.run(
		"""SELECT name FROM `tabHub Request` WHERE name = %s AND status IN %s AND next_attempt_at <= UTC_TIMESTAMP(6)
			FOR UPDATE SKIP LOCKED""",
		(row.name, _WAITING),
	)
	if not free or sql.run(f"SELECT 1 FROM `tabHub Request` r WHERE name = %s AND {_BLOCKED}", (row.name,)):
		return None
	return idempotency.run_again(idempotency.read(row.name))


def _has_room(system: str) -> bool:
	"""Lock a system's row and tell whether one more may be at work for it."""
	limit = sql.run(
		"""SET STATEMENT innodb_lock_wait_timeout=1 FOR
		SELECT greatest(1, coalesce(queue_workers, 1)) FROM `tabHub Connected System` WHERE name = %s AND paused = 0 FOR UPDATE""",
		(system,),
	)
	# Only now: the first look without a lock is what the transaction sees from then on.
	at_work, not_paused = sql.run(
		f"""SELECT count(*), {_NOT_PAUSED} FROM `tabHub Request`
		WHERE system = %s AND status = %s AND lease_until IS NOT NULL AND (asynchronous = 1 OR attempt_no > 1)""",
		(system, S.PROCESSING),
	)[0]
	return bool(limit) and bool(not_paused) and at_work < limit[0][0]


def wake(system: str, subject: str | None) -> bool:
	"""Have what waits for something about this thing tried again at once, in its turn; in the current transaction.

	Tell whether anything does.
	"""
	return bool(
		subject
		and sql.changes(
			"""UPDATE `tabHub Request` SET next_attempt_at = UTC_TIMESTAMP(6), waits = 0
			WHERE system = %s AND subject = %s AND status = %s AND waits = 1""",
			(system, subject, S.RETRY_SCHEDULED),
		)
	)


def queue(name: str, by: str) -> bool:
	"""Put a resting request back into the queue for a person; False when it does not rest."""
	return _changed(
		"""UPDATE `tabHub Request` SET status = %s, waits = 0, next_attempt_at = UTC_TIMESTAMP(6), retried_by = %s, modified = %s
		WHERE name = %s AND status IN (%s, %s, %s)""",
		(S.QUEUED, by, now(), name, S.FAILED, S.RETRY_SCHEDULED, S.CANCELLED),
	)


def dismiss(name: str, by: str, reason: str) -> bool:
	"""Cancel a failed or waiting request for a person; False when it is neither."""
	return _changed(
		"""UPDATE `tabHub Request` SET status = %s, next_attempt_at = NULL, dismissed_by = %s, dismiss_reason = %s,
			modified = %s
		WHERE name = %s AND status IN (%s, %s, %s)""",
		(S.CANCELLED, by, reason, now(), name, S.FAILED, *_WAITING),
	)


def failed(system: str | None, code: str | None) -> list[str]:
	"""Return the failed requests of a system, or with an error code, or both; the oldest first."""
	asked = {"system": system, "error_code": code}
	filters = {name: value for name, value in asked.items() if value}
	return frappe.get_all(
		idempotency.DOCTYPE, filters={"status": S.FAILED, **filters}, pluck="name", order_by="received_at asc"
	)


def cancel(names: list[str], by: str | None = None) -> int:
	"""Take requests that have not begun, or wait for another try, out of the queue; return how many.

	Args:
		by: the person who does it; None: their system.
	"""
	if not names:
		return 0
	return sql.changes(
		"""UPDATE `tabHub Request` FORCE INDEX (PRIMARY) SET status = %s, next_attempt_at = NULL, dismissed_by = %s,
			dismiss_reason = NULL, modified = %s
		WHERE name IN %s AND status IN %s""",
		(S.CANCELLED, by, now(), names, _WAITING),
	)


def _changed(query: str, values: tuple) -> bool:
	return sql.changes(query, values) == 1
