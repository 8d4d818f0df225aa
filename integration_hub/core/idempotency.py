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
	"""A Hub Request as the claim needs it.

	`is_open`: a batch whose items are being worked off.
	"""

	name: str
	status: str
	fingerprint: str
	attempt_no: int
	http_status: int | None
	answer: str | None
	reserved_name: str | None
	lease_expired: bool
	asynchronous: bool
	is_open: bool

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
	"""What a first call brings to its Hub Request.

	Args:
		subject: what the call is about, such as an order's external id; waiting calls about the same thing are worked
			off one after another.
		batch: the Hub Request it came with.
		topic, route: of a webhook: what it tells, and which of the calls its topic becomes this is.
	"""

	system: str
	operation: str
	key_hash: str
	fingerprint: str
	payload: str
	idempotency_key: str | None
	external_id: str | None
	request_id: str
	subject: str | None = None
	batch: str | None = None
	topic: str | None = None
	route: str | None = None


def key_hash(system: str, operation: str, key: str | None, derived: list[str] | None) -> str:
	"""Return the unique hash of a key, given in the header or derived; the two never collide."""
	return digest(
		[system, operation, "header", key] if key is not None else [system, operation, "derived", *derived]
	)


_ROW = """SELECT name, status, fingerprint, attempt_no, http_status, answer, reserved_name, asynchronous,
	coalesce(lease_until < UTC_TIMESTAMP(6), 0) AS lease_expired, status = 'Processing' AND lease_until IS NULL AS is_open FROM `tabHub Request` """


def find(key: str) -> Row | None:
	"""Read a row by its key's hash, without locking it."""
	return _row(sql.run(_ROW + "WHERE key_hash = %s", (key,), as_dict=True))


def read(name: str) -> Row | None:
	"""Read a row by name, without locking it."""
	return _row(sql.run(_ROW + "WHERE name = %s", (name,), as_dict=True))


def _row(rows: list[dict]) -> Row | None:
	return _as_row(rows[0]) if rows else None


def find_many(keys: list[str]) -> dict[str, Row]:
	"""Read rows by their keys' hashes, without locking them."""
	rows = sql.run(_ROW.replace("SELECT", "SELECT key_hash,") + "WHERE key_hash IN %s", (keys,), as_dict=True)
	return {row.pop("key_hash"): _as_row(row) for row in rows}


def _as_row(row: dict) -> Row:
	flags = {name: bool(row[name]) for name in ("lease_expired", "asynchronous", "is_open")}
	return Row(**{**row, **flags})


def insert(new: NewRequest) -> Claim:
	"""Insert a row in Processing; the caller commits at once.

	Raises:
		the database's duplicate-key, lock-timeout or deadlock error when another call has the key: roll back, read again.
	"""
	return Claim(_insert([new], S.PROCESSING)[0], 1)


def enqueue(news: list[NewRequest]) -> list[str]:
	"""Insert rows that a worker will do, in this order; the caller commits. Return their names.

	Raises:
		as `insert`.
	"""
	return _insert(news, S.QUEUED)


_COLUMNS = """name, creation, modified, owner, modified_by, docstatus, idx, system, operation, key_hash, fingerprint, payload,
	idempotency_key, external_id, request_id, subject, batch, topic, route, status, asynchronous, attempt_no, received_at, lease_until,
	next_attempt_at"""
_AT = "UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND"
_BEGUN = f"1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL {LEASE_SECONDS} SECOND, NULL"
_WAITING = f"0, {_AT}, NULL, {_AT}"
_PART = 100


def _insert(news: list[NewRequest], status: str) -> list[str]:
	waits, user, timestamp = status == S.QUEUED, frappe.session.user, now()
	names = [frappe.generate_hash(length=16) for _new in news]
	rows = [
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
			new.subject,
			new.batch,
			new.topic,
			new.route,
			status,
			waits,
			*((place, place) if waits else ()),
		)
		for place, (name, new) in enumerate(zip(names, news, strict=True))
	]
	row = f"(%s, %s, %s, %s, %s, 0, 0, {', '.join(['%s'] * 14)}, {_WAITING if waits else _BEGUN})"
	for start in range(0, len(rows), _PART):
		part = rows[start : start + _PART]
		sql.run(
			f"""SET STATEMENT innodb_lock_wait_timeout=2 FOR
			INSERT INTO `tabHub Request` ({_COLUMNS}) VALUES {", ".join([row] * len(part))}""",
			tuple(value for values in part for value in values),
		)
	return names


def run_again(row: Row, new: NewRequest | None = None) -> Claim | None:
	"""Take a row that rests (Failed, Cancelled, Retry Scheduled, Queued) for its next attempt; the caller commits.

	With `new`, its payload replaces the row's, which is kept among the superseded ones. None: another was faster.
	"""
	if not _take(row):
		return None
	if new and new.fingerprint != row.fingerprint:
		_supersede(row, new)
	return Claim(row.name, row.attempt_no + 1, row.reserved_name)


def requeue(row: Row, new: NewRequest) -> bool:
	"""Have a worker do a row that rests (Failed, Cancelled) again, with what came now; the caller commits.

	False: another was faster.
	"""
	if not _update(
		"""UPDATE `tabHub Request` SET status = %s, asynchronous = 1, waits = 0, next_attempt_at = UTC_TIMESTAMP(6), modified = %s
		WHERE name = %s AND attempt_no = %s AND status = %s""",
		(S.QUEUED, now(), row.name, row.attempt_no, row.status),
	):
		return False
	if new.fingerprint != row.fingerprint:
		_supersede(row, new)
	return True


def take_over(row: Row) -> Claim | None:
	"""Take a row whose worker died: its lease is over and nobody holds its lock. The caller commits."""
	free = sql.run(
		"""SELECT name FROM `tabHub Request` WHERE name = %s AND attempt_no = %s AND status = %s
		AND lease_until < UTC_TIMESTAMP(6) FOR UPDATE SKIP LOCKED""",
		(row.name, row.attempt_no, S.PROCESSING),
	)
	if not free or not _take(row):
		return None
	sql.run("UPDATE `tabHub Request` SET died = died + 1 WHERE name = %s", (row.name,))
	return Claim(row.name, row.attempt_no + 1, row.reserved_name, taken_over=True)


def _take(row: Row) -> bool:
	return _update(
		"""UPDATE `tabHub Request` SET status = %s, attempt_no = attempt_no + 1, next_attempt_at = NULL, waits = 0,
			txn_token = NULL, lease_until = UTC_TIMESTAMP(6) + INTERVAL %s SECOND, modified = %s
		WHERE name = %s AND attempt_no = %s AND status = %s""",
		(S.PROCESSING, LEASE_SECONDS, now(), row.name, row.attempt_no, row.status),
	)


def _supersede(row: Row, new: NewRequest) -> None:
	payload, earlier = frappe.db.get_value(DOCTYPE, row.name, ["payload", "superseded_payloads"])
	superseded = json.loads(earlier or "[]")
	superseded.append({"fingerprint": row.fingerprint, "replaced_at": now(), "payload": payload})
	sql.run(
		"""UPDATE `tabHub Request` SET payload = %s, fingerprint = %s, superseded_payloads = %s, request_id = %s,
			external_id = %s, subject = %s
		WHERE name = %s""",
		(
			new.payload,
			new.fingerprint,
			json.dumps(superseded[-KEPT_PAYLOADS:], indent=1),
			new.request_id,
			new.external_id,
			new.subject,
			row.name,
		),
	)


def keep_reserved_name(claim: Claim, reserved_name: str) -> Claim:
	"""Keep a reserved document number on the row, for this attempt and later ones."""
	sql.run("UPDATE `tabHub Request` SET reserved_name = %s WHERE name = %s", (reserved_name, claim.name))
	return replace(claim, reserved_name=reserved_name)


def keep_version(claim: Claim, version: str) -> None:
	"""Keep on the row which version of its subject it brings."""
	sql.run("UPDATE `tabHub Request` SET version = %s WHERE name = %s", (version, claim.name))


def newest_version(system: str, subject: str) -> str | None:
	"""Return the newest version of a subject that was worked off; None: none was."""
	return sql.run(
		"SELECT max(version) FROM `tabHub Request` WHERE system = %s AND subject = %s AND status = %s",
		(system, subject, S.COMPLETED),
	)[0][0]


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


def leave_open(claim: Claim, token: str) -> bool:
	"""Let a batch stand as Processing, nobody's, while its items are worked off. False: the fence is gone, roll back."""
	return _update(
		"""UPDATE `tabHub Request` SET lease_until = NULL, modified = %s
		WHERE name = %s AND txn_token = %s AND status = %s""",
		(now(), claim.name, token, S.PROCESSING),
	)


def complete_open(name: str, answer: str) -> bool:
	"""Complete a batch that was left open. False: it is completed, or none."""
	return _update(
		"""UPDATE `tabHub Request` SET status = %s, http_status = 200, answer = %s, completed_at = UTC_TIMESTAMP(6), modified = %s
		WHERE name = %s AND status = %s AND lease_until IS NULL""",
		(S.COMPLETED, answer, now(), name, S.PROCESSING),
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
	waits: bool = False,
) -> bool:
	"""Record a failed attempt after the rollback: Failed, or Retry Scheduled in `retry_in` seconds.

	Args:
		waits: for something that is not there yet; what comes after it in time need not wait for it.
	"""
	return _update(
		"""UPDATE `tabHub Request` SET status = %s, http_status = %s, error_code = %s, error_message = %s, error = %s,
			duration_ms = %s, modified = %s, waits = %s, lease_until = NULL,
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
			waits,
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


def _update(query: str, values: tuple) -> bool:
	"""Run a guarded UPDATE; True when it changed exactly one row."""
	return sql.changes(query, values) == 1
