"""The work of a claimed request: done in one transaction, or step by step, and finished or failed on record.

The transaction itself is in `transaction.py`, the steps of a staged call in `steps.py`.
"""

import json
import time
from dataclasses import dataclass, field

from pydantic import BaseModel

import frappe
from frappe import _
from frappe.desk.doctype.notification_log.notification_log import make_notification_logs
from frappe.model.document import Document
from frappe.utils.user import get_users_with_role

from integration_hub.constants.roles import MANAGER
from integration_hub.core import (
	idempotency,
	references,
	request_log,
	retry,
	sql,
	steps,
	transaction,
	waiting,
)
from integration_hub.core.context import Caller
from integration_hub.core.errors import as_hub_error, describe
from integration_hub.core.idempotency import Claim
from integration_hub.core.operations import Operation
from integration_hub.core.problem import problem
from integration_hub.core.redaction import redact, redact_all
from integration_hub.core.references import AlreadyBound, Reference
from integration_hub.core.steps import Step
from integration_hub.exceptions import ExternalIdConflict, HubError, TemporarilyUnavailable, WorkSplit


@dataclass
class Work:
	"""What a handler works on.

	`body` is the call's parsed JSON as it came, `payload` the same as the operation's schema. `request` is the Hub Request's
	name, None in a rehearsal (`validate_only`). A handler appends what it makes to `made`; `reference` is the External
	Reference reserved for it. `queued`: nobody waits for the answer; `asynchronous`: nobody ever did; `batch`: the Hub Request it
	came with. `done` holds the documents of the steps done so far, by step; `loaded` those that this try still has in memory.
	`version`: which one of its subject it brings, of a webhook that says so. `woke`: others have waited for it, and are due now.
	"""

	operation: Operation
	caller: Caller
	payload: BaseModel | None
	body: dict
	fingerprint: str
	request_id: str
	request: str | None = None
	reserved_name: str | None = None
	reference: str | None = None
	made: list[tuple[str, str]] = field(default_factory=list)
	done: dict[str, tuple[str, str]] = field(default_factory=dict)
	loaded: dict[tuple[str, str], Document] = field(default_factory=dict)
	step: str | None = None
	queued: bool = False
	asynchronous: bool = False
	batch: str | None = None
	version: str | None = None
	woke: bool = False
	started: float = field(default_factory=time.monotonic)

	@property
	def external_id(self) -> str | None:
		known = self.operation.external_id and self.payload
		return self.operation.external_id(self.payload) if known else None

	@property
	def steps(self) -> list[Step]:
		return self.operation.steps(self) if self.operation.steps and self.payload else []

	@property
	def staged(self) -> bool:
		return bool(self.payload and self.operation.staged and self.operation.staged(self.payload))

	@property
	def duration_ms(self) -> int:
		return round((time.monotonic() - self.started) * 1000)


@dataclass(frozen=True)
class Result:
	"""What a handler returns: members of the answer, the main document, and another status than the operation's.

	`open`: the request is not completed by this, its items are still to be worked off.
	"""

	body: dict
	document: tuple[str, str] | None = None
	status: int | None = None
	open: bool = False


@dataclass(frozen=True)
class Answer:
	status: int
	body: str


def run(work: Work, claim: Claim) -> Answer:
	"""Do a claimed piece of work; transient errors are tried again at once, each on a fresh transaction.

	Raises:
		HubError: the failure, already on record.
	"""
	work.request, work.reserved_name = claim.name, claim.reserved_name
	try:
		try:
			if work.staged:
				_run_steps(work, claim)
			return _tries(lambda: _finish(work, claim, _perform), work)
		except AlreadyBound:
			return _tries(lambda: _finish(work, claim, _existing_result), work)
	except HubError as error:
		record_failure(work, claim, error)
		raise


def rehearse(work: Work) -> Answer:
	"""Do everything and roll it back (`validate_only`).

	Raises:
		HubError: what the real call would answer.
	"""

	def rehearsal() -> Result:
		result = transaction.rehearsed(lambda: _perform(work))
		_roll_back(work)
		return result

	try:
		result = _tries(rehearsal, work)
	except AlreadyBound:
		result = _existing_result(work)
	return Answer(200, _message({"id": None, "validated": True, **result.body}))


def _tries(attempt, work: Work):
	"""Run `attempt` up to three times while its errors are transient."""
	for try_no in range(1, retry.IMMEDIATE_TRIES + 1):
		try:
			return attempt()
		except AlreadyBound:
			_roll_back(work)
			raise
		except Exception as e:
			error = _number_taken(work, e) or as_hub_error(e)
			_roll_back(work)
			if not error.transient or try_no == retry.IMMEDIATE_TRIES:
				raise error from e
		time.sleep(retry.pause_before(try_no))


def _finish(work: Work, claim: Claim, perform) -> Answer:
	"""Do what is left of the work and complete the request, in one transaction."""
	result = None

	def body() -> Answer:
		nonlocal result
		result = perform(work)
		status = result.status or work.operation.status
		_log(work, status, claim.attempt_no, document=result.document)
		return Answer(status, _message({"id": claim.name, **result.body}))

	def finish(token: str, answer: Answer) -> bool:
		if result.open:
			return idempotency.leave_open(claim, token)
		finished = idempotency.finish(
			claim,
			token,
			http_status=answer.status,
			answer=answer.body,
			document=result.document,
			duration_ms=work.duration_ms,
		)
		if finished:
			work.woke = waiting.wake(work.caller.name, work.operation.subject_of(work.payload))
			_announce(claim.name, work.caller.name, True, work.queued)
		return finished

	def stands(answer: Answer) -> bool:
		row = idempotency.read(claim.name)
		if result.open:
			return bool(row) and row.is_open
		return bool(row) and row.status == "Completed" and row.answer == answer.body

	return transaction.fenced(claim, body, finish, stands)


def _run_steps(work: Work, claim: Claim) -> None:
	"""Do the steps of a staged call that are not done yet, each in a transaction of its own."""
	planned = work.steps

	def plan() -> list[str]:
		work.done = steps.plan(claim.name, planned)
		left = [step.name for step in planned if step.name not in work.done]
		_begin_next(work, left)
		return left

	def keep(token: str, _value) -> bool:
		return idempotency.hold(claim, token)

	def is_planned(_left) -> bool:
		return steps.planned(claim.name, planned)

	left = _tries(lambda: transaction.fenced(claim, plan, keep, is_planned), work)
	for step in [step for step in planned if step.name in left]:
		left = left[1:]

		def stage(step: Step = step, left: list[str] = left) -> tuple[str, str]:
			started = time.monotonic()
			document = _do(work, step)
			steps.complete(claim.name, step.name, document, round((time.monotonic() - started) * 1000))
			_begin_next(work, left)
			return document

		def stands(document, step: Step = step) -> bool:
			return steps.completed(claim.name).get(step.name) == document

		document = _tries(lambda s=stage, st=stands: transaction.fenced(claim, s, keep, st), work)
		work.done[step.name], work.made, work.step = document, [], None


def _begin_next(work: Work, left: list[str]) -> None:
	if left:
		steps.begin(work.request, left[0])


def _do(work: Work, step: Step) -> tuple[str, str]:
	work.step = step.name
	return step.do(work)


def _perform(work: Work) -> Result:
	"""Reserve the external id, do the steps of an atomic call, run the handler, bind the Reference to what it made."""
	if work.operation.object_type:
		work.reference = _reserve(work)
	if work.operation.steps and not (work.staged and work.request):
		_do_all(work)
	result = work.operation.handler(work)
	if work.reference:
		references.bind(work.reference, *result.document)
	return result


def _do_all(work: Work) -> None:
	"""Do the steps of an atomic call, or of any call in a rehearsal.

	What an earlier, staged attempt has done stays done.
	"""
	planned, work.step = work.steps, None
	work.done = steps.kept(work.request, planned) if work.request else {}
	for step in planned:
		if step.name not in work.done:
			work.done[step.name] = _do(work, step)
	work.step = None
	if work.request:
		steps.record(work.request, planned, work.done)


def _reserve(work: Work) -> str:
	return references.reserve_again(
		work.caller.name,
		work.operation.object_type,
		work.external_id,
		request=work.request,
		fingerprint=work.fingerprint,
		reuse=bool(work.caller.system.reuse_cancelled_ids),
	)


def _existing_result(work: Work) -> Result:
	"""The external id was bound before, under another key: the document as it is now, or a conflict."""
	bound = references.find(work.caller.name, work.operation.object_type, work.external_id)
	if bound is None:
		raise TemporarilyUnavailable(_("The external id was just given back; try again."), retry_after=1)
	if bound.fingerprint != work.fingerprint or not bound.exists:
		raise conflict(work.external_id, bound, "/external_id")
	body = work.operation.existing(work.caller, bound.document_type, bound.document_name)
	return Result(body, (bound.document_type, bound.document_name), 200)


def conflict(external_id: str, bound: Reference, pointer: str) -> ExternalIdConflict:
	"""Return the refusal of an external id that stands for something else."""
	if bound.document_name:
		message = _("External id {0} is already bound to {1} {2}, made from another payload.").format(
			external_id, _(bound.document_type), bound.document_name
		)
	elif bound.state == references.TOMBSTONE:
		message = _("External id {0} stood for a {1} that is deleted. Use another id.").format(
			external_id, _(bound.document_type)
		)
	else:
		message = _("External id {0} is held by request {1}, which needs a person.").format(
			external_id, bound.request
		)
	details = {"document": {"doctype": bound.document_type, "name": bound.document_name}}
	return ExternalIdConflict(message, pointer=pointer, details=details)


def _number_taken(work: Work, error: Exception) -> HubError | None:
	"""A reserved number that somebody used by hand: the next try lets ERPNext find one."""
	if not work.reserved_name or not isinstance(error, frappe.DuplicateEntryError):
		return None
	work.reserved_name = None
	return TemporarilyUnavailable(_("The reserved number is taken; the next one is used."))


def _roll_back(work: Work) -> None:
	made, work.made, work.reference, work.loaded = work.made, [], None, {}
	transaction.roll_back(made)


def record_failure(work: Work, claim: Claim, error: HubError) -> None:
	"""Record state, steps and log row in a transaction of its own, after the rollback of the work."""
	# Also where its caller came back to wait for the answer: that does not end what was accepted.
	accepted = work.asynchronous or bool(frappe.db.get_value(idempotency.DOCTYPE, claim.name, "asynchronous"))
	retry_in = _retry_in(error, claim.attempt_no, accepted)
	if retry_in is not None and error.transient:
		error.retry_after = error.retry_after or retry_in
	if work.step:
		error.details.setdefault("step", work.step)
	details = json.dumps(
		redact_all(problem(error, request_id=work.request_id)), ensure_ascii=False, indent=1, default=str
	)
	recorded = idempotency.fail(
		claim,
		http_status=error.http_status,
		code=error.code,
		message=redact(error.message)[:1000],
		error=details,
		duration_ms=work.duration_ms,
		retry_in=retry_in,
		waits=retry_in is not None and not error.transient,
	)
	if recorded:
		if work.operation.steps:
			steps.record_failure(claim.name, work.steps, work.step, error)
		_log(work, error.http_status, claim.attempt_no, error=error)
		if retry_in is None:
			announce_failure(claim.name, work.caller.name, work.queued)
	sql.commit()
	if isinstance(error, WorkSplit):
		alert(work, error)


def _retry_in(error: HubError, attempt_no: int, asynchronous: bool) -> int | None:
	"""Return the seconds until the hub tries again by itself, None: it does not.

	What depends on something that is not there yet is tried again only where nobody waits for the answer; those attempts are
	not held against it when the database then fails.
	"""
	settings = frappe.get_cached_doc("Hub Settings")
	if error.transient:
		most, first = most_attempts(settings, asynchronous), settings.retry_delay_seconds
	elif error.dependency and asynchronous:
		most, first = settings.dependency_attempts, settings.dependency_delay_seconds
	else:
		return None
	if attempt_no >= most:
		return None
	return retry.delay_seconds(attempt_no, first, settings.retry_delay_max_seconds)


def most_attempts(settings: Document, asynchronous: bool) -> int:
	"""Return how often a passing error is met before a person is asked."""
	return max(settings.max_attempts, settings.dependency_attempts if asynchronous else 0)


def announce_failure(request: str, system: str, queued: bool) -> None:
	"""Tell those who listen that a request has failed for good; one that cannot be told must not undo the record."""
	try:
		_announce(request, system, False, queued)
	except Exception:
		frappe.log_error(
			"Integration Hub: a failed request could not be announced",
			reference_doctype=idempotency.DOCTYPE,
			reference_name=request,
		)


def announce_success(batch: str, system: str) -> None:
	"""Tell those who listen that all of a batch has come to rest, in the current transaction."""
	_announce(batch, system, True, True)


def _announce(request: str, system: str, succeeded: bool, queued: bool) -> None:
	"""Call the hook `hub_request_changed`, within the transaction that ends the request."""
	for path in frappe.get_hooks("hub_request_changed"):
		frappe.get_attr(path)(request, system, succeeded, queued)


def alert(work: Work, error: HubError) -> None:
	"""Tell the Integration Hub Managers that a request needs them."""
	managers = get_users_with_role(MANAGER)
	if not managers:
		return
	subject = _("Integration Hub: {0} needs you. {1}").format(work.external_id or work.request, error.message)
	notice = {
		"type": "Alert",
		"document_type": idempotency.DOCTYPE,
		"document_name": work.request,
		"subject": subject,
	}
	try:
		make_notification_logs(frappe._dict(notice), managers)
		sql.commit()
	except Exception:
		# The request says so itself; a failing notification must not hide it.
		frappe.db.rollback()
		frappe.logger("integration_hub").exception("The managers could not be notified")


def _log(work: Work, status: int, attempt_no: int, *, document=None, error: HubError | None = None) -> None:
	request_log.write(
		operation=work.operation.name,
		system=work.caller.name,
		http_status=status,
		request_id=work.request_id,
		url=work.operation.path,
		request=work.request,
		external_id=work.external_id,
		document=document,
		error_code=error.code if error else None,
		error=describe(error) if error else None,
		attempt=attempt_no,
		duration_ms=work.duration_ms,
	)


def _message(body: dict) -> str:
	return json.dumps({"message": body}, ensure_ascii=False, default=str)
