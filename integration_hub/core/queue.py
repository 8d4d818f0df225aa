"""Works off requests that wait: retried by a person, scheduled, or left behind by a dead worker.

Rows are the queue; RQ is a doorbell. Any number of workers on any number of machines may drain at once.
"""

import time

import frappe
from frappe import _

from integration_hub.core import context, doorbell, idempotency, operations, sql
from integration_hub.core import work as works
from integration_hub.core.idempotency import Claim
from integration_hub.core.payload import parse
from integration_hub.core.validation import validate
from integration_hub.core.work import Answer, Work
from integration_hub.exceptions import HubError, InternalError, StateConflict

DRAIN_JOB = "integration_hub.tasks.drain"
DRAIN_SECONDS = 240


def run(claim: Claim) -> Answer:
	"""Do a claimed row's work as its system's user, from the payload on the row.

	Raises:
		HubError: the failure, already on record.
	"""
	row = frappe.db.get_value(
		idempotency.DOCTYPE,
		claim.name,
		["system", "operation", "payload", "fingerprint", "request_id"],
		as_dict=True,
	)
	caller = context.from_system(row.system)
	operation = operations.get(row.operation)
	try:
		context.check_enabled(caller)
		caller.require(operation.scope)
		if claim.taken_over and claim.attempt_no > frappe.get_cached_doc("Hub Settings").max_attempts:
			raise InternalError(
				_("The worker died in each of {0} attempts. Look into its log before you retry.").format(
					claim.attempt_no - 1
				)
			)
		if not row.payload:
			raise StateConflict(_("The payload was removed when its time was over; send the call again."))
		body = parse(row.payload.encode())
		payload = validate(operation.schema, body)
	except HubError as error:
		works.record_failure(
			Work(operation, caller, None, {}, row.fingerprint, row.request_id, claim.name, queued=True),
			claim,
			error,
		)
		raise
	with context.acting_as(caller):
		work = Work(operation, caller, payload, body, row.fingerprint, row.request_id, queued=True)
		return works.run(work, claim)


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


def drain(seconds: int = DRAIN_SECONDS) -> int:
	"""Work off due rows until none is left or the time is over; return how many were tried."""
	if frappe.get_cached_doc("Hub Settings").paused:
		return 0
	done, deadline = 0, time.monotonic() + seconds
	while time.monotonic() < deadline:
		frappe.db.rollback()
		tried = sum(_drain_one(name) for name in idempotency.due())
		if not tried:
			break
		done += tried
	return done


def _drain_one(name: str) -> bool:
	"""Claim and run one row; False when another worker has it."""
	frappe.db.rollback()
	claim = idempotency.claim_due(name)
	sql.commit()
	if claim is None:
		return False
	try:
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
	return True


def ring() -> None:
	"""Ask a worker to drain."""
	doorbell.ring(DRAIN_JOB)
