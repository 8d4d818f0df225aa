"""Sole owner of Hub Request's state: claim, fence, finish, fail, take over.

Every change of state is one guarded UPDATE that must change exactly one row; only the database's clock decides leases.
The protocol in SQL, and why it is so, is in docs/operations.md, "How exactly once works".
"""

import json
from dataclasses import dataclass, replace
from enum import Enum, auto

import frappe
from frappe.utils import now

from integration_hub.constants import statuses as S
from integration_hub.core import sql
from integration_hub.core.payload import digest

DOCTYPE = "Hub Request"
# A living worker holds its row's lock from the fence on, so a lease needs no heartbeat and may be short.
LEASE_SECONDS = 10
# Of a call that keeps failing with ever other content.
KEPT_PAYLOADS = 10


class Verdict(Enum):
	"""What a call may do, given the row its key already has."""

	REPLAY = auto()
	IN_PROGRESS = auto()
	REUSED = auto()
	RUN = auto()
	TAKE_OVER = auto()


def decide(status: str, same_payload: bool, lease_expired: bool) -> Verdict:
	"""The table of docs/operations.md: what the same key means while its request is in `status`. Pure."""
	if status in (S.FAILED, S.CANCELLED):
		return Verdict.RUN
	if not same_payload:
		return Verdict.REUSED
	if status == S.COMPLETED:
		return Verdict.REPLAY
	if status == S.RETRY_SCHEDULED:
		return Verdict.RUN
	if status == S.PROCESSING and lease_expired:
		return Verdict.TAKE_OVER
	return Verdict.IN_PROGRESS


@dataclass(frozen=True)
class Row:
	"""A Hub Request as the claim needs it."""

	name: str
	status: str
	fingerprint: str
	attempt_no: int
	http_status: int | None
	answer: str | None
	reserved_name: str | None
	lease_expired: bool

	def verdict(self, fingerprint: str) -> Verdict:
		return decide(self.status, self.fingerprint == fingerprint, self.lease_expired)


@dataclass(frozen=True)
class Claim:
	"""The right to work on one request: attempt `attempt_no` and no other."""

	name: str
	attempt_no: int
	reserved_name: str | None = None
	taken_over: bool = False


@dataclass(frozen=True)
class NewRequest:
	"""What a first call brings to its Hub Request."""

	system: str
	operation: str
	key_hash: str
	fingerprint: str
	payload: str
	idempotency_key: str | None
	external_id: str | None
	request_id: str


def key_hash(system: str, operation: str, key: str | None, derived: list[str] | None) -> str:
	"""Return the unique hash of a key, given in the header or derived; the two never collide."""
	return digest(
		[system, operation, "header", key] if key is not None else [system, operation, "derived", *derived]
	)


_ROW = """SELECT name, status, fingerprint, attempt_no, http_status, answer, reserved_name,
	coalesce(lease_until < UTC_TIMESTAMP(6), 1) AS lease_expired FROM `tabHub Request` """


def find(key: str) -> Row | None:
	"""Read a row by its key's hash, without locking it."""
	return _row(sql.run(_ROW + "WHERE key_hash = %s", (key,), as_dict=True))


def read(name: str) -> Row | None:
	"""Read a row by name, without locking it."""
	return _row(sql.run(_ROW + "WHERE name = %s", (name,), as_dict=True))


def _row(rows: list[dict]) -> Row | None:
	if not rows:
		return None
	return Row(**{**rows[0], "lease_expired": bool(rows[0]["lease_expired"])})


def insert(new: NewRequest) -> Claim:
	"""Insert a row in Processing; the caller commits at once.

	Raises:
		the database's duplicate-key, lock-timeout or deadlock error when another call has the key: roll back, read again.
	"""
	name, user, timestamp = frappe.generate_hash(length=16), frappe.session.user, now()
	sql.run(
		"""SET STATEMENT innodb_lock_wait_timeout=2 FOR
		INSERT INTO `tabHub Request`
			(name, creation, modified, owner, modified_by, docstatus, idx, system, operation, key_hash, fingerprint,
			payload, idempotency_key, external_id, request_id, status, attempt_no, received_at, lease_until)
		VALUES (%s, %s, %s, %s, %s, 0, 0, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1,
			UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL %s SECOND)""",
		(
			name,
			timestamp,
			timestamp,
			user,
			user,
			new.system,
			new.operation,
			new.key_hash,
			new.fingerprint,
			new.payload,
			new.idempotency_key,
			new.external_id,
			new.request_id,
			S.PROCESSING,
			LEASE_SECONDS,
		),
	)
	return Claim(name, 1)


def run_again(row: Row, new: NewRequest | None = None) -> Claim | None:
	"""Take a row that rests (Failed, Cancelled, Retry Scheduled, Queued) for its next attempt; the caller commits.

	With `new`, its payload replaces the row's, which is kept among the superseded ones. None: another was faster.
	"""
	if not _take(row):
		return None
	if new and new.fingerprint != row.fingerprint:
		_supersede(row, new)
	return Claim(row.name, row.attempt_no + 1, row.reserved_name)


def take_over(row: Row) -> Claim | None:
	"""Take a row whose worker died: its lease is over and nobody holds its lock. The caller commits."""
	free = sql.run(
		"""SELECT name FROM `tabHub Request` WHERE name = %s AND attempt_no = %s AND status = %s
		AND lease_until < UTC_TIMESTAMP(6) FOR UPDATE SKIP LOCKED""",
		(row.name, row.attempt_no, S.PROCESSING),
	)
	if not free or not _take(row):
		return None
	return Claim(row.name, row.attempt_no + 1, row.reserved_name, taken_over=True)


def _take(row: Row) -> bool:
	return _update(
		"""UPDATE `tabHub Request` SET status = %s, attempt_no = attempt_no + 1, next_attempt_at = NULL, txn_token = NULL,
			lease_until = UTC_TIMESTAMP(6) + INTERVAL %s SECOND, modified = %s
		WHERE name = %s AND attempt_no = %s AND status = %s""",
		(S.PROCESSING, LEASE_SECONDS, now(), row.name, row.attempt_no, row.status),
	)


def _supersede(row: Row, new: NewRequest) -> None:
	payload, earlier = frappe.db.get_value(DOCTYPE, row.name, ["payload", "superseded_payloads"])
	superseded = json.loads(earlier or "[]")
	superseded.append({"fingerprint": row.fingerprint, "replaced_at": now(), "payload": payload})
	sql.run(
		"""UPDATE `tabHub Request` SET payload = %s, fingerprint = %s, superseded_payloads = %s, request_id = %s,
			external_id = %s
		WHERE name = %s""",
		(
			new.payload,
			new.fingerprint,
			json.dumps(superseded[-KEPT_PAYLOADS:], indent=1),
			new.request_id,
			new.external_id,
			row.name,
		),
	)


def keep_reserved_name(claim: Claim, reserved_name: str) -> Claim:
	"""Keep a reserved document number on the row, for this attempt and later ones."""
	sql.run("UPDATE `tabHub Request` SET reserved_name = %s WHERE name = %s", (reserved_name, claim.name))
	return replace(claim, reserved_name=reserved_name)


def fence(claim: Claim, token: str) -> bool:
	"""Open the work: lock the row and write this transaction's token. False: the attempt was taken over."""
	return _update(
		"UPDATE `tabHub Request` SET txn_token = %s WHERE name = %s AND attempt_no = %s AND status = %s",
		(token, claim.name, claim.attempt_no, S.PROCESSING),
	)


def finish(
	claim: Claim,
	token: str,
	*,
	http_status: int,
	answer: str,
	document: tuple[str, str] | None,
	duration_ms: int,
) -> bool:
	"""Complete the request in the work's own transaction. False: the fence is gone, roll back."""
	doctype, name = document or (None, None)
	return _update(
		"""UPDATE `tabHub Request` SET status = %s, http_status = %s, answer = %s, reference_doctype = %s,
			reference_name = %s, duration_ms = %s, completed_at = UTC_TIMESTAMP(6), modified = %s,
			error_code = NULL, error_message = NULL, error = NULL, lease_until = NULL
		WHERE name = %s AND txn_token = %s AND status = %s""",
		(
			S.COMPLETED,
			http_status,
			answer,
			doctype,
			name,
			duration_ms,
			now(),
			claim.name,
			token,
			S.PROCESSING,
		),
	)


def hold(claim: Claim, token: str) -> bool:
	"""Go on with a request whose step is about to be committed: its lease runs on. False: the fence is gone, roll back."""
	return _update(
		"""UPDATE `tabHub Request` SET lease_until = UTC_TIMESTAMP(6) + INTERVAL %s SECOND
		WHERE name = %s AND txn_token = %s AND status = %s""",
		(LEASE_SECONDS, claim.name, token, S.PROCESSING),
	)


def fail(
	claim: Claim,
	*,
	http_status: int,
	code: str,
	message: str,
	error: str,
	duration_ms: int,
	retry_in: int | None,
) -> bool:
	"""Record a failed attempt after the rollback: Failed, or Retry Scheduled in `retry_in` seconds."""
	return _update(
		"""UPDATE `tabHub Request` SET status = %s, http_status = %s, error_code = %s, error_message = %s, error = %s,
			duration_ms = %s, modified = %s, lease_until = NULL,
			next_attempt_at = UTC_TIMESTAMP(6) + INTERVAL %s SECOND
		WHERE name = %s AND attempt_no = %s AND status = %s""",
		(
			S.FAILED if retry_in is None else S.RETRY_SCHEDULED,
			http_status,
			code,
			message,
			error,
			duration_ms,
			now(),
			retry_in,
			claim.name,
			claim.attempt_no,
			S.PROCESSING,
		),
	)


def count_replay(name: str) -> None:
	"""Count a replayed answer; it leaves no row of its own."""
	sql.run("UPDATE `tabHub Request` SET replay_count = replay_count + 1 WHERE name = %s", (name,))


def token_stands(name: str, token: str) -> bool:
	"""Whether a transaction's token was committed although its work did not finish."""
	return bool(sql.run("SELECT 1 FROM `tabHub Request` WHERE name = %s AND txn_token = %s", (name, token)))


def queue(name: str, by: str) -> bool:
	"""Put a resting request back into the queue for a person; False when it does not rest."""
	return _update(
		"""UPDATE `tabHub Request` SET status = %s, next_attempt_at = UTC_TIMESTAMP(6), retried_by = %s, modified = %s
		WHERE name = %s AND status IN (%s, %s, %s)""",
		(S.QUEUED, by, now(), name, S.FAILED, S.RETRY_SCHEDULED, S.CANCELLED),
	)


def dismiss(name: str, by: str, reason: str) -> bool:
	"""Cancel a failed or waiting request for a person; False when it is neither."""
	return _update(
		"""UPDATE `tabHub Request` SET status = %s, next_attempt_at = NULL, dismissed_by = %s, dismiss_reason = %s,
			modified = %s
		WHERE name = %s AND status IN (%s, %s, %s)""",
		(S.CANCELLED, by, reason, now(), name, S.FAILED, S.RETRY_SCHEDULED, S.QUEUED),
	)


def due(limit: int = 50) -> list[str]:
	"""Names of rows to work on, oldest first; no locks (a ranged FOR UPDATE would block every INSERT)."""
	return sql.run(
		"""SELECT r.name FROM `tabHub Request` r JOIN `tabHub Connected System` s ON s.name = r.system AND s.paused = 0
		WHERE (r.status IN (%s, %s) AND r.next_attempt_at <= UTC_TIMESTAMP(6))
			OR (r.status = %s AND r.lease_until < UTC_TIMESTAMP(6))
		ORDER BY r.creation LIMIT %s""",
		(S.QUEUED, S.RETRY_SCHEDULED, S.PROCESSING, limit),
		pluck=True,
	)


def claim_due(name: str) -> Claim | None:
	"""Claim one due row by its primary key; None: locked or done by another worker."""
	locked = sql.run(
		"""SELECT name FROM `tabHub Request` WHERE name = %s AND (
			(status IN (%s, %s) AND next_attempt_at <= UTC_TIMESTAMP(6))
			OR (status = %s AND lease_until < UTC_TIMESTAMP(6))) FOR UPDATE SKIP LOCKED""",
		(name, S.QUEUED, S.RETRY_SCHEDULED, S.PROCESSING),
		pluck=True,
	)
	row = read(name) if locked else None
	if row is None:
		return None
	if row.status == S.PROCESSING:
		return take_over(row) if row.lease_expired else None
	return run_again(row) if row.status in (S.QUEUED, S.RETRY_SCHEDULED) else None


def _update(query: str, values: tuple) -> bool:
	"""Run a guarded UPDATE; True when it changed exactly one row."""
	return sql.changes(query, values) == 1
