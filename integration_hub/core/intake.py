"""The door: the only way in. Who, may, how much, what, key, claim, work, answer.

The work itself, with its transaction, is in `work.py`; the state of a request in `idempotency.py`. Why each step is where
it is: docs/operations.md, "How exactly once works".
"""

import json
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel
from werkzeug.wrappers import Response

import frappe
from frappe import _

from integration_hub.constants import headers
from integration_hub.constants.statuses import CANCELLED, COMPLETED, FAILED, QUEUED
from integration_hub.core import context, idempotency, operations, queue, rate_limit, request_log, sql
from integration_hub.core import work as works
from integration_hub.core.call import REQUESTS_GET, Call, request_id_of
from integration_hub.core.errors import as_hub_error, describe
from integration_hub.core.idempotency import Claim, NewRequest, Row, Verdict
from integration_hub.core.payload import fingerprint, parse
from integration_hub.core.validation import validate
from integration_hub.core.work import Work
from integration_hub.exceptions import (
	HubError,
	IdempotencyKeyRequired,
	IdempotencyKeyReused,
	InternalError,
	RequestInProgress,
)

CLAIM_TRIES = 3

T = TypeVar("T")


def receive(name: str) -> Response:
	"""Answer the current HTTP request as operation `name`. Never raises: every failure is a problem answer."""
	call = Call(operations.get(name), frappe.request, request_id_of(frappe.request))
	try:
		return through(call)
	except Exception as e:
		return turn_away(call, as_hub_error(e))


def through(call: Call) -> Response:
	"""Take a call through the door, step by step."""
	operation = call.operation
	if operation.guest:
		return operation.handler(call)
	caller = call.caller = context.identify()
	context.check_enabled(caller)
	context.check_address(caller)
	caller.require(operation.scope)
	if operation.writes:
		context.check_not_paused(caller)
	call.usage = rate_limit.count_call(caller)
	rate_limit.check(call.usage)
	if not operation.writes:
		return _read(call)
	raw = call.body()
	body = parse(raw)
	payload = validate(operation.schema, body)
	if not operation.ledger:
		return _direct(call, payload)
	return _ledger(call, raw, body, payload)


def _read(call: Call) -> Response:
	payload = validate(call.operation.schema, call.request.args.to_dict(), query=True)
	response = _direct(call, payload)
	if call.caller.system.log_reads:
		_log(call, response.status_code)
		sql.commit()
	return response


def _direct(call: Call, payload: BaseModel) -> Response:
	body = call.operation.handler(call.caller, payload)
	return call.answer(json.dumps({"message": body}, ensure_ascii=False, default=str), call.operation.status)


def _ledger(call: Call, raw: bytes, body: dict, payload: BaseModel) -> Response:
	mark = fingerprint(body, call.operation.name)
	key = call.idempotency_key()
	work = Work(call.operation, call.caller, payload, body, mark, call.request_id)
	if payload.validate_only:
		answer = works.rehearse(work)
		return call.answer(answer.body, answer.status)
	new = _new_request(call, work, raw, key)
	if call.prefers_async or call.operation.always_async:
		return _accept(call, new)
	claimed = claim(call, work, new)
	if isinstance(claimed, Row):
		return _answer_of(call, claimed)
	call.hub_request = claimed.name
	answer = works.run(work, claimed)
	if work.woke:
		queue.ring()
	return call.answer(answer.body, answer.status)


def _new_request(call: Call, work: Work, raw: bytes, key: str | None) -> NewRequest:
	"""Return what a first call brings.

	Raises:
		IdempotencyKeyRequired: no key, and nothing to derive one from.
	"""
	operation = call.operation
	derived = operation.key_parts(work) if key is None and operation.key_parts else None
	if key is None and derived is None:
		raise IdempotencyKeyRequired(
			_(
				"{0} needs the header Idempotency-Key: a value of your own, the same when you repeat the call."
			).format(operation.name)
		)
	return NewRequest(
		system=call.caller.name,
		operation=operation.name,
		key_hash=idempotency.key_hash(call.caller.name, operation.name, key, derived),
		fingerprint=work.fingerprint,
		payload=raw.decode(),
		idempotency_key=key,
		external_id=work.external_id,
		request_id=call.request_id,
		subject=operation.subject_of(work.payload),
	)


def _accept(call: Call, new: NewRequest) -> Response:
	"""Leave the work to a worker: 202 while it is unfinished, the final answer afterwards.

	Raises:
		IdempotencyKeyReused, RequestInProgress
	"""
	row = _agreed(lambda: _accept_once(new))
	if row.status == QUEUED:
		queue.ring()
	return _answer_of(call, row)


def _accept_once(new: NewRequest) -> Row | None:
	"""One try: the row as it is then. None: another call was faster, read again."""
	row = idempotency.find(new.key_hash)
	if row is None:
		idempotency.enqueue([new])
	elif row.verdict(new.fingerprint) is Verdict.REUSED:
		raise _reused(row)
	elif row.status not in (FAILED, CANCELLED):
		return row
	elif not idempotency.requeue(row, new):
		return None
	return idempotency.find(new.key_hash)


def keep(news: list[NewRequest]) -> list[Row]:
	"""Keep calls for a worker, once each, and commit: the rows as they are then.

	A row that is there stays as it is, also one that failed or was dismissed: it was not a person who sent it again.

	Raises:
		RequestInProgress: other calls with these keys were faster each time.
	"""
	return _agreed(lambda: _keep_once(news))


def _keep_once(news: list[NewRequest]) -> list[Row]:
	there = idempotency.find_many([new.key_hash for new in news])
	if missing := [new for new in news if new.key_hash not in there]:
		idempotency.enqueue(missing)
		there = idempotency.find_many([new.key_hash for new in news])
	return [there[new.key_hash] for new in news]


def note(call: Call, status: int, external_id: str | None = None) -> None:
	"""Leave a log row, at most so many a minute, for a call of which nothing else is kept; and commit."""
	row = {"operation": call.operation.name, "request_id": call.request_id, "url": call.url}
	request_log.turned_away(
		system=call.caller.name,
		http_status=status,
		external_id=external_id,
		duration_ms=call.duration_ms,
		**row,
	)
	sql.commit()


def _answer_of(call: Call, row: Row) -> Response:
	"""Return the first answer again, or 202 for a request that a worker is going to do."""
	if row.status == COMPLETED:
		return _replay(call, row)
	call.hub_request = row.name
	body = json.dumps({"message": {"id": row.name, "status": row.status}})
	applied = {headers.PREFERENCE_APPLIED: "respond-async"} if call.prefers_async else {}
	return call.answer(body, 202, Location=REQUESTS_GET + row.name, **applied)


def claim(call: Call, work: Work, new: NewRequest) -> Claim | Row:
	"""Claim the key in a short transaction of its own; from here on the request cannot be lost.

	Returns:
		the claim, or the row that answers: a completed one, or one that a worker is going to do.

	Raises:
		RequestInProgress, IdempotencyKeyReused
	"""
	return _agreed(lambda: _claim_once(call, work, new))


def _agreed(attempt: Callable[[], T | None]) -> T:
	"""Run `attempt` in short transactions of its own until it says something.

	Raises:
		RequestInProgress: other calls with the key were faster each time.
	"""
	for _try in range(CLAIM_TRIES):
		# A fresh snapshot: an older one would not see the row that stands in the way.
		frappe.db.rollback()
		try:
			found = attempt()
			sql.commit()
		except (frappe.QueryTimeoutError, frappe.QueryDeadlockError):
			continue
		except Exception as e:
			if not frappe.db.is_duplicate_entry(e):
				raise
			continue
		if found:
			return found
	frappe.db.rollback()
	raise _in_progress()


def _claim_once(call: Call, work: Work, new: NewRequest) -> Claim | Row | None:
	"""One try. None: another call was faster, read again."""
	row = idempotency.find(new.key_hash)
	if row is None:
		return _reserve_number(call, work, idempotency.insert(new))
	verdict = row.verdict(new.fingerprint)
	if verdict is Verdict.REPLAY:
		return row
	if verdict is Verdict.REUSED:
		raise _reused(row)
	if verdict is Verdict.IN_PROGRESS:
		if row.asynchronous:
			return row
		call.hub_request = row.name
		raise _in_progress()
	claimed = idempotency.take_over(row) if verdict is Verdict.TAKE_OVER else idempotency.run_again(row, new)
	if claimed and not claimed.reserved_name:
		return _reserve_number(call, work, claimed)
	return claimed


def _reserve_number(call: Call, work: Work, claimed: Claim) -> Claim:
	"""Reserve the document's number here, so that the series' row is not locked while the document is made."""
	number = call.operation.prepare(call.caller, work.payload) if call.operation.prepare else None
	return idempotency.keep_reserved_name(claimed, number) if number else claimed


def _reused(row: Row) -> IdempotencyKeyReused:
	return IdempotencyKeyReused(
		_("This key belongs to request {0} with another payload. Use a new key for a new payload.").format(
			row.name
		),
		details={"request": row.name},
	)


def _in_progress() -> RequestInProgress:
	return RequestInProgress(
		_("The first call with this key is still running. Ask again in a second."), retry_after=1
	)


def _replay(call: Call, row: Row) -> Response:
	call.hub_request = row.name
	idempotency.count_replay(row.name)
	sql.commit()
	return call.answer(row.answer, row.http_status, **{headers.REPLAYED: "true"})


def turn_away(call: Call, error: HubError) -> Response:
	"""Answer an error; leave one log row where a known system was refused before its call became a request."""
	try:
		frappe.db.rollback()
		if call.caller is None:
			rate_limit.count("hub:strangers", window=86_400)
			if isinstance(error, InternalError):
				frappe.logger("integration_hub").error(describe(error))
		elif call.hub_request is None and not isinstance(error, RequestInProgress):
			_log(call, error.http_status, error)
			sql.commit()
	except Exception:
		frappe.logger("integration_hub").exception("A refused call could not be logged")
	return call.refuse(error)


def _log(call: Call, status: int, error: HubError | None = None) -> None:
	row = {
		"operation": call.operation.name,
		"http_status": status,
		"request_id": call.request_id,
		"url": call.url,
		"error_code": error.code if error else None,
		"error": describe(error) if error else None,
		"duration_ms": call.duration_ms,
	}
	if error:
		request_log.turned_away(system=call.caller.name, **row)
	else:
		request_log.write(system=call.caller.name, **row)
