"""The work of a claimed request: one transaction, fenced, finished together with its documents or not at all.

Opens, commits and rolls back transactions, as only the door may. The protocol is in docs/operations.md.
"""

import json
import time
import uuid
from dataclasses import dataclass, field
from functools import lru_cache

from pydantic import BaseModel

import frappe
from frappe import _
from frappe.desk.doctype.notification_log.notification_log import make_notification_logs
from frappe.utils import strip_html
from frappe.utils.user import get_users_with_role

from integration_hub import compat
from integration_hub.constants.roles import MANAGER
from integration_hub.core import idempotency, references, request_log, retry, sql
from integration_hub.core.context import Caller
from integration_hub.core.idempotency import Claim
from integration_hub.core.operations import Operation
from integration_hub.core.problem import problem
from integration_hub.core.redaction import redact
from integration_hub.core.references import AlreadyBound, Reference
from integration_hub.exceptions import (
	BusinessRule,
	ExternalIdConflict,
	HubError,
	InternalError,
	NotFound,
	PermissionDenied,
	RequestInProgress,
	TemporarilyUnavailable,
	WorkSplit,
	WorkUndone,
)

LOCK_WAIT_SECONDS = 10


@dataclass
class Work:
	"""What a handler works on.

	`request` is the Hub Request's name, None in a rehearsal (`validate_only`). A handler appends what it makes to `made`
	with a role ("order", "customer", …); `reference` is the External Reference reserved for it.
	"""

	operation: Operation
	caller: Caller
	payload: BaseModel | None
	fingerprint: str
	request_id: str
	request: str | None = None
	reserved_name: str | None = None
	reference: str | None = None
	made: list[tuple[str, str]] = field(default_factory=list)
	started: float = field(default_factory=time.monotonic)

	@property
	def external_id(self) -> str | None:
		known = self.operation.external_id and self.payload
		return self.operation.external_id(self.payload) if known else None

	@property
	def duration_ms(self) -> int:
		return round((time.monotonic() - self.started) * 1000)


@dataclass(frozen=True)
class Result:
	"""What a handler returns: members of the answer, the main document, and another status than the operation's."""

	body: dict
	document: tuple[str, str] | None = None
	status: int | None = None


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
		return _tries(lambda: _attempt(work, claim), work)
	except AlreadyBound:
		return _run_existing(work, claim)
	except HubError as error:
		record_failure(work, claim, error)
		raise


def _run_existing(work: Work, claim: Claim) -> Answer:
	try:
		return _tries(lambda: _answer_existing(work, claim), work)
	except HubError as error:
		record_failure(work, claim, error)
		raise


def rehearse(work: Work) -> Answer:
	"""Do everything and roll it back (`validate_only`).

	Raises:
		HubError: what the real call would answer.
	"""
	try:
		result = _tries(lambda: _rehearsal(work), work)
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


def _attempt(work: Work, claim: Claim) -> Answer:
	token = uuid.uuid4().hex
	save_point = f"hub_{token}"
	_open()
	if not idempotency.fence(claim, token):
		raise RequestInProgress(_("Another attempt took this request over."), retry_after=1)
	frappe.db.savepoint(save_point)
	try:
		with compat.TransactionGuard() as guard:
			result = _perform(work)
			answer = Answer(
				result.status or work.operation.status, _message({"id": claim.name, **result.body})
			)
			_log(work, answer.status, claim.attempt_no, document=result.document)
			# Now, while the guard is up and the fence still to be checked; `commit` would run them after both.
			frappe.db.before_commit.run()
	except Exception as e:
		# What an error says is worth nothing when the transaction it happened in was ended behind our back.
		if not compat.lost_connection(e):
			_check_whole(save_point, claim, token)
		raise
	_check_whole(save_point, claim, token)
	if guard.rollbacks:
		raise WorkUndone(_("Something rolled back in the middle of the work; it is tried again."))
	if not idempotency.finish(
		claim,
		token,
		http_status=answer.status,
		answer=answer.body,
		document=result.document,
		duration_ms=work.duration_ms,
	):
		raise WorkUndone(_("The database undid the work; it is tried again."))
	return commit(claim, answer)


def _perform(work: Work) -> Result:
	"""Reserve the external id, run the handler, bind the Reference to what it made."""
	if work.operation.object_type:
		work.reference = _reserve(work)
	result = work.operation.handler(work)
	if work.reference:
		references.bind(work.reference, *result.document)
	return result


def _reserve(work: Work) -> str:
	system, object_type = work.caller.name, work.operation.object_type
	try:
		return references.reserve(
			system, object_type, work.external_id, request=work.request, fingerprint=work.fingerprint
		)
	except AlreadyBound:
		bound = references.find(system, object_type, work.external_id)
		free = bound and bound.state == references.TOMBSTONE and work.caller.system.reuse_cancelled_ids
		if free and references.take_over_tombstone(bound, request=work.request, fingerprint=work.fingerprint):
			return bound.name
		raise


def _rehearsal(work: Work) -> Result:
	save_point = f"hub_{uuid.uuid4().hex}"
	_open()
	frappe.db.savepoint(save_point)
	with compat.TransactionGuard() as guard:
		result = _perform(work)
	try:
		frappe.db.release_savepoint(save_point)
	except Exception as e:
		raise WorkUndone(_("Something ended the transaction in the middle of the rehearsal.")) from e
	if guard.rollbacks:
		raise WorkUndone(_("Something rolled back in the middle of the rehearsal."))
	_roll_back(work)
	return result


def _answer_existing(work: Work, claim: Claim) -> Answer:
	"""The external id was bound before, under another key: finish with the document as it is now, or with a conflict."""
	token = uuid.uuid4().hex
	_open()
	if not idempotency.fence(claim, token):
		raise RequestInProgress(_("Another attempt took this request over."), retry_after=1)
	result = _existing_result(work)
	answer = Answer(200, _message({"id": claim.name, **result.body}))
	_log(work, answer.status, claim.attempt_no, document=result.document)
	finished = idempotency.finish(
		claim,
		token,
		http_status=200,
		answer=answer.body,
		document=result.document,
		duration_ms=work.duration_ms,
	)
	if not finished:
		raise WorkUndone(_("The database undid the work; it is tried again."))
	return commit(claim, answer)


def _existing_result(work: Work) -> Result:
	bound = references.find(work.caller.name, work.operation.object_type, work.external_id)
	if bound is None:
		raise TemporarilyUnavailable(_("The external id was just given back; try again."), retry_after=1)
	if bound.fingerprint != work.fingerprint or not _exists(bound):
		raise _conflict(work, bound)
	body = work.operation.existing(work.caller, bound.document_type, bound.document_name)
	return Result(body, (bound.document_type, bound.document_name))


def _exists(bound: Reference) -> bool:
	return bool(bound.document_name and frappe.db.exists(bound.document_type, bound.document_name))


def _conflict(work: Work, bound: Reference) -> ExternalIdConflict:
	if bound.document_name:
		message = _("External id {0} is already bound to {1} {2}, made from another payload.").format(
			work.external_id, _(bound.document_type), bound.document_name
		)
	else:
		message = _("External id {0} is held by request {1}, which needs a person.").format(
			work.external_id, bound.request
		)
	details = {"document": {"doctype": bound.document_type, "name": bound.document_name}}
	return ExternalIdConflict(message, pointer="/external_id", details=details)


def _open() -> None:
	"""Begin a fresh transaction for the work.

	READ COMMITTED, because ERPNext rewrites Bin from what the transaction's snapshot saw; a lock wait short enough to
	answer the caller. With a statement-based binary log READ COMMITTED cannot write, so the default stays.
	"""
	if _read_committed_works():
		sql.run(
			"SET SESSION tx_isolation = 'READ-COMMITTED', innodb_lock_wait_timeout = %s", LOCK_WAIT_SECONDS
		)
	else:
		sql.run("SET SESSION innodb_lock_wait_timeout = %s", LOCK_WAIT_SECONDS)
	frappe.db.rollback()


@lru_cache(maxsize=1)
def _read_committed_works() -> bool:
	log_bin, binlog_format = sql.run("SELECT @@log_bin, @@binlog_format")[0]
	return not log_bin or binlog_format != "STATEMENT"


def _check_whole(save_point: str, claim: Claim, token: str) -> None:
	"""Release the savepoint: it is still there if the work is one transaction, and all of it.

	Raises:
		WorkUndone: somebody rolled back; nothing stands, trying again is safe.
		WorkSplit: somebody committed; a part stands, a person has to look.
	"""
	try:
		frappe.db.release_savepoint(save_point)
	except Exception as e:
		if compat.lost_connection(e):
			raise
		frappe.db.rollback()
		if idempotency.token_stands(claim.name, token):
			raise WorkSplit(
				_(
					"Something committed in the middle of the work, so a part of it stands. Compare the documents of {0} by hand."
				).format(claim.name)
			) from e
		raise WorkUndone(_("The database undid the work; it is tried again.")) from e


def commit(claim: Claim, answer: Answer) -> Answer:
	"""Commit the work. Whatever an exception says, the row tells what happened.

	Raises:
		TemporarilyUnavailable: it was not committed.
	"""
	try:
		sql.commit()
	except Exception as e:
		callbacks = compat.take_callbacks_after_commit()
		if compat.lost_connection(e):
			compat.reconnect()
		else:
			frappe.db.rollback()
		row = idempotency.read(claim.name)
		if row and row.status == "Completed" and row.answer == answer.body:
			compat.run_callbacks(callbacks)
			return answer
		raise TemporarilyUnavailable(_("The database did not take the work; it is tried again.")) from e
	finally:
		_restore_session()
	return answer


def _restore_session() -> None:
	try:
		sql.run("SET SESSION tx_isolation = DEFAULT, innodb_lock_wait_timeout = DEFAULT")
	except Exception:
		# The connection is gone, and its settings with it.
		pass


def _number_taken(work: Work, error: Exception) -> HubError | None:
	"""A reserved number that somebody used by hand: the next try lets ERPNext find one."""
	if not work.reserved_name or not isinstance(error, frappe.DuplicateEntryError):
		return None
	work.reserved_name = None
	return TemporarilyUnavailable(_("The reserved number is taken; the next one is used."))


def _roll_back(work: Work) -> None:
	"""Undo a try, on a new connection where the old one is dead, and forget what it left in memory."""
	made, work.made, work.reference = work.made, [], None
	try:
		frappe.db.rollback()
	except Exception:
		compat.reconnect()
	compat.clear_leftovers(made)
	_restore_session()


def record_failure(work: Work, claim: Claim, error: HubError) -> None:
	"""Record state and log row in a transaction of its own, after the rollback of the work."""
	settings = frappe.get_cached_doc("Hub Settings")
	retry_in = None
	if error.transient and claim.attempt_no < settings.max_attempts:
		retry_in = retry.delay_seconds(
			claim.attempt_no, settings.retry_delay_seconds, settings.retry_delay_max_seconds
		)
		error.retry_after = error.retry_after or retry_in
	details = redact(
		json.dumps(problem(error, request_id=work.request_id), ensure_ascii=False, indent=1, default=str)
	)
	recorded = idempotency.fail(
		claim,
		http_status=error.http_status,
		code=error.code,
		message=redact(error.message)[:1000],
		error=details,
		duration_ms=work.duration_ms,
		retry_in=retry_in,
	)
	if recorded:
		_log(work, error.http_status, claim.attempt_no, error=error)
	sql.commit()
	if isinstance(error, WorkSplit):
		alert(work, error)


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


def describe(error: HubError) -> str:
	"""Return what the log row says of an error: its message, and for a bug the traceback."""
	import traceback

	if isinstance(error, InternalError) and error.__cause__:
		return "".join(traceback.format_exception(error.__cause__))
	return error.message or error.title


def as_hub_error(error: Exception) -> HubError:
	"""Return the HubError for any exception: transient ones, Frappe's refusals, and everything else as a bug."""
	if isinstance(error, HubError):
		return error
	if isinstance(error, (frappe.QueryDeadlockError, frappe.QueryTimeoutError)) or compat.lost_connection(
		error
	):
		return TemporarilyUnavailable(
			_("The database was busy; the hub tries again by itself."), retry_after=1
		)
	if isinstance(error, (frappe.DocumentLockedError, frappe.TimestampMismatchError)):
		return TemporarilyUnavailable(
			_("A document is being edited right now; the hub tries again by itself.")
		)
	if isinstance(error, frappe.PermissionError):
		return PermissionDenied(_text(error) or _("The system's user lacks a permission in ERPNext."))
	if isinstance(error, frappe.DoesNotExistError):
		return NotFound(_text(error))
	if isinstance(error, (frappe.ValidationError, frappe.NameError)):
		return BusinessRule(_text(error))
	if compat.out_of_range(error):
		return BusinessRule(_("A number or text is larger than ERPNext can store. Send a smaller one."))
	internal = InternalError(_("Something went wrong here; it is on record."))
	internal.__cause__ = error
	return internal


def _text(error: Exception) -> str:
	return strip_html(str(error)).strip()


def _message(body: dict) -> str:
	return json.dumps({"message": body}, ensure_ascii=False, default=str)
