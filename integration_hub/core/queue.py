"""Works off requests that wait: accepted for later, retried by a person, scheduled, or left behind by a dead worker.

Rows are the queue; RQ is a doorbell. Any number of workers on any number of machines may drain at once.
"""

import time

import frappe
from frappe import _

from integration_hub.core import (
	batches,
	context,
	doorbell,
	idempotency,
	operations,
	sql,
	transaction,
	waiting,
)
from integration_hub.core import work as works
from integration_hub.core.errors import as_hub_error
from integration_hub.core.idempotency import Claim
from integration_hub.core.operations import Operation
from integration_hub.core.payload import parse
from integration_hub.core.validation import validate
from integration_hub.core.waiting import Due
from integration_hub.core.work import Answer, Work
from integration_hub.exceptions import HubError, InternalError, StateConflict

DRAIN_JOB = "integration_hub.tasks.drain"
DRAIN_SECONDS = 240
# Shorter than a lease: nobody holds the row's lock yet.
SERIES_SECONDS = 2


def run(claim: Claim) -> Answer:
	"""Do a claimed row's work as its system's user, from the payload on the row.

	Raises:
		HubError: the failure, already on record.
	"""
	row = frappe.db.get_value(
		idempotency.DOCTYPE,
		claim.name,
		["system", "operation", "payload", "fingerprint", "request_id", "asynchronous", "batch", "died"],
		as_dict=True,
	)
	caller, operation = context.from_system(row.system), operations.get(row.operation)
	with context.acting_as(caller):
		try:
			work = _work(row, claim, caller, operation)
			claim = _prepared(work, claim)
		except Exception as e:
			error = as_hub_error(e)
			transaction.roll_back([])
			works.record_failure(_bare(row, claim, caller, operation), claim, error)
			raise error from e
		return works.run(work, claim)


def _work(row, claim: Claim, caller: context.Caller, operation: Operation) -> Work:
	"""Return a row's work, checked as the door checks it.

	Raises:
		HubError: it cannot be begun, or not any more.
	"""
	context.check_enabled(caller)
	caller.require(operation.scope)
	if claim.taken_over and row.died >= frappe.get_cached_doc("Hub Settings").max_attempts:
		raise InternalError(
			_("The worker died over it {0} times. Look into its log before you retry.").format(row.died)
		)
	if not row.payload:
		raise StateConflict(_("The payload was removed when its time was over; send the call again."))
	work = _bare(row, claim, caller, operation)
	work.body = parse(row.payload.encode())
	work.payload = validate(operation.schema, work.body)
	return operation.resolve(work) if operation.resolve else work


def _bare(row, claim: Claim, caller: context.Caller, operation: Operation) -> Work:
	return Work(
		operation,
		caller,
		None,
		{},
		row.fingerprint,
		row.request_id,
		request=claim.name,
		queued=True,
		asynchronous=bool(row.asynchronous),
		batch=row.batch,
	)


def _prepared(work: Work, claim: Claim) -> Claim:
	"""Reserve the document's number in a transaction of its own, as the door does with the claim; keep the version."""
	if work.operation.prepare and not claim.reserved_name:
		claim = _with_number(work, claim)
	if work.version:
		idempotency.keep_version(claim, work.version)
		sql.commit()
	return claim


def _with_number(work: Work, claim: Claim) -> Claim:
	"""Where others hold the series, the number is taken in the work itself, under the fence."""
	try:
		with transaction.read_committed(lock_wait=SERIES_SECONDS):
			frappe.db.rollback()
			number = work.operation.prepare(work.caller, work.payload)
			reserved = idempotency.keep_reserved_name(claim, number) if number else claim
			sql.commit()
		return reserved
	except Exception as e:
		busy = isinstance(e, (frappe.QueryTimeoutError, frappe.QueryDeadlockError))
		if not busy and not frappe.db.is_duplicate_entry(e):
			raise
		frappe.db.rollback()
		return claim


def run_now(name: str) -> None:
	"""Try a resting request at once; how it went is on the row.

	Raises:
		StateConflict: it does not rest.
	"""
	frappe.db.rollback()
	row = idempotency.read(name)
	verdict = idempotency.decide(row.status, True, row.lease_expired)
	claim = None
	if verdict is idempotency.Verdict.RUN or row.status == "Queued":
		claim = idempotency.run_again(row)
	elif verdict is idempotency.Verdict.TAKE_OVER:
		claim = idempotency.take_over(row)
	sql.commit()
	if claim is None:
		raise StateConflict(
			_("Request {0} is {1}; only a failed or waiting one can be retried.").format(name, row.status)
		)
	try:
		run(claim)
	except HubError:
		frappe.db.rollback()


def put_back(names: list[str], by: str) -> list[str]:
	"""Put resting requests back into the queue for a person, commit, and ring; return those that did not rest."""
	skipped = [name for name in names if not waiting.queue(name, by)]
	sql.commit()
	ring()
	return skipped


def cancel(name: str, by: str | None = None) -> None:
	"""Take a request that has not begun, or what has not of a batch, out of the queue, and commit.

	Args:
		by: the person who does it; None: its system.

	Raises:
		StateConflict: it is under way or has ended.
	"""
	frappe.db.rollback()
	row = idempotency.read(name)
	taken = batches.cancel(name, by) if row.is_open else waiting.cancel([name], by)
	sql.commit()
	if not taken:
		raise StateConflict(
			_("Request {0} is {1}; only what has not begun can be cancelled.").format(name, row.status)
		)
	_settle(batches.ended_with(name))


def _settle(found: list[str]) -> None:
	"""Complete those of these batches of which everything rests, each in a transaction of its own."""
	for batch in found:
		try:
			if batches.settle(batch):
				works.announce_success(batch, frappe.db.get_value(idempotency.DOCTYPE, batch, "system"))
			sql.commit()
		except (frappe.QueryTimeoutError, frappe.QueryDeadlockError):
			# Another worker is just settling it; if not, the next sweep will.
			frappe.db.rollback()


def settle_batches() -> None:
	"""Complete the batches whose last request came to rest otherwise: sent alone, dismissed, its worker died."""
	frappe.db.rollback()
	_settle(batches.unsettled())


def drain(seconds: int = DRAIN_SECONDS) -> int:
	"""Work off due rows until none is left or the time is over; return how many were tried."""
	if frappe.get_cached_doc("Hub Settings").paused:
		return 0
	done, deadline = 0, time.monotonic() + seconds
	tried = True
	with context.worker():
		while tried and time.monotonic() < deadline:
			frappe.db.rollback()
			tried, rows = 0, waiting.due()
			if len(rows) > 1:
				_ask_for_help()
			for row in rows:
				tried += _drain_one(row)
				if time.monotonic() > deadline:
					break
			done += tried
	return done


def _drain_one(row: Due) -> bool:
	"""Claim and run one row; False when another worker has it, or it has to wait."""
	claim, name = _claim(row), row.name
	if claim is None:
		return False
	try:
		context.act_for(row.system)
		run(claim)
	except HubError:
		# On the row, where people see it.
		pass
	except Exception:
		frappe.db.rollback()
		frappe.log_error(
			"Integration Hub: a queued request could not be run",
			reference_doctype="Hub Request",
			reference_name=name,
		)
		idempotency.fail(
			claim,
			http_status=500,
			code=InternalError.code,
			message=_("The hub cannot run this request; its error log says why."),
			error="{}",
			duration_ms=0,
			retry_in=None,
		)
		works.announce_failure(name, frappe.db.get_value("Hub Request", name, "system"), queued=True)
		sql.commit()
	_settle(batches.ended_with(name))
	return True


def _claim(row: Due) -> Claim | None:
	frappe.db.rollback()
	try:
		claim = waiting.claim(row)
		sql.commit()
	except (frappe.QueryTimeoutError, frappe.QueryDeadlockError):
		# Somebody saves the system, or claims for it: the next look finds the row again.
		frappe.db.rollback()
		return None
	return claim


def ring() -> None:
	"""Ask a worker to drain."""
	doorbell.ring(DRAIN_JOB, slots=_workers())


def _ask_for_help() -> None:
	"""Ask one worker more, up to as many as may be at it: there is more to do than one can."""
	if _workers() > 1:
		doorbell.ring(DRAIN_JOB, slots=_workers() - 1)


def _workers() -> int:
	return max(1, frappe.get_cached_doc("Hub Settings").queue_workers or 1)
