"""Many calls in one: a batch is a request of its own, its items are the requests that single calls would make.

An item has the key, the fingerprint and so the fate of the same call sent alone; sent both ways, it is done once.
"""

import json
from dataclasses import dataclass

import frappe
from frappe import _
from frappe.utils import now

from integration_hub.constants import statuses as S
from integration_hub.core import idempotency, sql, waiting
from integration_hub.core.idempotency import NewRequest, Row, Verdict
from integration_hub.core.operations import Operation
from integration_hub.core.payload import dump, fingerprint
from integration_hub.core.problem import problem
from integration_hub.core.redaction import redact_all
from integration_hub.core.validation import validate
from integration_hub.core.work import Result, Work
from integration_hub.exceptions import (
	Fault,
	HubError,
	IdempotencyKeyReused,
	TemporarilyUnavailable,
	ValidationFailed,
)

ITEM = "Hub Request Item"
_PART = 500
_AT_REST = (S.COMPLETED, S.FAILED, S.CANCELLED)
_UNDER_WAY = (S.QUEUED, S.PROCESSING, S.RETRY_SCHEDULED)
# Quickly told by an index; those of another batch that an item joined are looked at last, by `settle`.
_OWN_UNDER_WAY = "EXISTS (SELECT 1 FROM `tabHub Request` r WHERE r.batch = batch.name AND r.status NOT IN %s)"


@dataclass
class _Item:
	"""One line of a batch: the request that is to be made of it, or what is wrong with it."""

	external_id: str | None = None
	new: NewRequest | None = None
	request: str | None = None
	error: HubError | None = None


def expand(work: Work, operation: Operation, bodies: list[dict]) -> Result:
	"""Make each body of a batch a waiting request of its own; a wrong one is noted beside them and stops none."""
	items = [_item(work, operation, body) for body in bodies]
	try:
		_enqueue([item for item in items if item.new])
	except Exception as e:
		if not frappe.db.is_duplicate_entry(e):
			raise
		raise _came_alone() from e
	_write(work, items)
	return Result({}, open=True)


def _came_alone() -> TemporarilyUnavailable:
	return TemporarilyUnavailable(_("The same call came alone in this moment; the batch tries again."))


def _item(work: Work, operation: Operation, body: dict) -> _Item:
	given = body.get("external_id")
	item = _Item(given[:140] if isinstance(given, str) else None)
	try:
		payload = validate(operation.schema, body)
		if payload.validate_only:
			message = _("An order of a batch is placed; send it alone to rehearse it.")
			raise ValidationFailed(message, errors=[Fault("/validate_only", message, "not_in_a_batch")])
		mark = fingerprint(body, operation.name)
		alone = Work(operation, work.caller, payload, body, mark, work.request_id)
		item.new = NewRequest(
			system=work.caller.name,
			operation=operation.name,
			key_hash=idempotency.key_hash(work.caller.name, operation.name, None, operation.key_parts(alone)),
			fingerprint=mark,
			payload=dump(body),
			idempotency_key=None,
			external_id=alone.external_id,
			request_id=work.request_id,
			subject=operation.subject_of(payload),
			batch=work.request,
		)
	except HubError as error:
		item.error = error
	return item


def _enqueue(items: list[_Item]) -> None:
	"""Find the request of each item, or make it; of two with one id the first counts."""
	first: dict[str, _Item] = {}
	for item in items:
		first.setdefault(item.new.key_hash, item)
	there = _known(list(first))
	fresh = [item for key, item in first.items() if key not in there]
	for item, name in zip(fresh, idempotency.enqueue([item.new for item in fresh]), strict=True):
		item.request = name
	for item in items:
		other = first[item.new.key_hash]
		if item.new.key_hash in there:
			_join(item, there[item.new.key_hash])
		elif item is not other:
			item.request, item.error = other.request, _conflict(item, other.new.fingerprint, other.request)


def _known(keys: list[str]) -> dict[str, Row]:
	found: dict[str, Row] = {}
	for start in range(0, len(keys), _PART):
		found |= idempotency.find_many(keys[start : start + _PART])
	return found


def _join(item: _Item, row: Row) -> None:
	"""Let an item stand for the request that its call has made before; one that rests without success is tried again."""
	item.request = row.name
	if row.verdict(item.new.fingerprint) is Verdict.REUSED:
		item.error = _conflict(item, row.fingerprint, row.name)
	elif row.status in (S.FAILED, S.CANCELLED) and not idempotency.requeue(row, item.new):
		raise _came_alone()


def _conflict(item: _Item, mark: str, request: str) -> HubError | None:
	if item.new.fingerprint == mark:
		return None
	message = _("{0} was sent before with other content, in request {1}.").format(item.external_id, request)
	return IdempotencyKeyReused(message, details={"request": request})


def _write(work: Work, items: list[_Item]) -> None:
	head = (now(), now(), frappe.session.user, frappe.session.user, work.request)
	rows = [
		(
			frappe.generate_hash(length=16),
			*head,
			number,
			item.external_id,
			None if item.error else item.request,
			item.error.code if item.error else None,
			item.error.message if item.error else None,
			_problem(item.error, work) if item.error else None,
		)
		for number, item in enumerate(items, start=1)
	]
	for start in range(0, len(rows), _PART):
		part = rows[start : start + _PART]
		sql.run(
			f"""INSERT INTO `tab{ITEM}` (name, creation, modified, owner, modified_by, parent, parenttype, parentfield, idx,
				external_id, request, error_code, error_message, error)
			VALUES {", ".join(["(%s, %s, %s, %s, %s, %s, 'Hub Request', 'items', %s, %s, %s, %s, %s, %s)"] * len(part))}""",
			tuple(value for row in part for value in row),
		)


def _problem(error: HubError, work: Work) -> str:
	return json.dumps(redact_all(problem(error, request_id=work.request_id)), ensure_ascii=False, default=str)


def progress(batch: str) -> dict[str, int]:
	"""Return how a batch stands: {"total", "completed", "failed", "cancelled", "waiting"}; refused items count as failed."""
	rows = sql.run(
		f"""SELECT coalesce(r.status, %s), count(*) FROM `tab{ITEM}` item LEFT JOIN `tabHub Request` r ON r.name = item.request
		WHERE item.parent = %s GROUP BY 1""",
		(S.FAILED, batch),
	)
	counts = dict(rows)
	ended = {name.lower(): counts.get(name, 0) for name in _AT_REST}
	total = sum(counts.values())
	return {"total": total, **ended, "waiting": total - sum(ended.values())}


def settle(batch: str) -> bool:
	"""Complete a batch all of whose items rest; the caller commits. False: something is left, or it is completed."""
	standing = progress(batch)
	if standing["waiting"] or not standing["total"]:
		return False
	answer = json.dumps({"message": {"id": batch, "progress": standing}})
	return idempotency.complete_open(batch, answer)


def unsettled() -> list[str]:
	"""Return batches that may be complete: open ones without an item of their own that is under way."""
	return sql.run(
		f"""SELECT name FROM `tabHub Request` batch WHERE status = %s AND lease_until IS NULL AND NOT {_OWN_UNDER_WAY}""",
		(S.PROCESSING, _AT_REST),
		pluck=True,
	)


def ended_with(request: str) -> list[str]:
	"""Return the open batches that may be complete now that a request rests: those it stands in, or itself."""
	return sql.run(
		f"""SELECT batch.name FROM (SELECT parent FROM `tab{ITEM}` WHERE request = %s UNION SELECT %s) its
		JOIN `tabHub Request` batch ON batch.name = its.parent
		WHERE batch.status = %s AND batch.lease_until IS NULL AND NOT {_OWN_UNDER_WAY}""",
		(request, request, S.PROCESSING, _AT_REST),
		pluck=True,
	)


def cancel(batch: str, by: str | None = None) -> int:
	"""Take what a batch has not begun out of the queue; return how many."""
	names = sql.run(
		"SELECT name FROM `tabHub Request` WHERE batch = %s AND status NOT IN %s",
		(batch, _AT_REST),
		pluck=True,
	)
	return waiting.cancel(names, by)


def outcomes(batch: str) -> list[dict]:
	"""Return what became of each item, in the order they were sent, as `schemas.requests.ItemAnswer`."""
	rows = sql.run(
		f"""SELECT item.external_id, item.request, coalesce(r.status, %s) AS status, r.http_status,
			coalesce(r.error_code, item.error_code) AS error_code, coalesce(r.error_message, item.error_message) AS message,
			coalesce(r.error, item.error) AS error, r.reference_doctype, r.reference_name
		FROM `tab{ITEM}` item LEFT JOIN `tabHub Request` r ON r.name = item.request WHERE item.parent = %s ORDER BY item.idx""",
		(S.FAILED, batch),
		as_dict=True,
	)
	return [_outcome(number, row) for number, row in enumerate(rows)]


def lines(batch: str, status: str | None = None, count: int = 50) -> list[dict]:
	"""Return the first items of a batch for people: idx, external_id, request, status, message, next_attempt_at, document.

	Args:
		status: only those of one kind that `progress` counts: completed, failed, cancelled, waiting.
	"""
	kinds = {name.lower(): (name,) for name in _AT_REST} | {"waiting": _UNDER_WAY}
	wanted = kinds.get(status) or (*_AT_REST, *_UNDER_WAY)
	return sql.run(
		f"""SELECT item.idx, item.external_id, item.request, coalesce(r.status, %s) AS status, r.next_attempt_at,
			coalesce(r.error_message, item.error_message) AS message, r.reference_doctype, r.reference_name
		FROM `tab{ITEM}` item LEFT JOIN `tabHub Request` r ON r.name = item.request
		WHERE item.parent = %s AND coalesce(r.status, %s) IN %s ORDER BY item.idx LIMIT %s""",
		(S.FAILED, batch, S.FAILED, wanted, count),
		as_dict=True,
	)


def _outcome(number: int, row) -> dict:
	failed = row.status != S.COMPLETED and row.error
	document = {"doctype": row.reference_doctype, "name": row.reference_name} if row.reference_name else None
	return {
		"index": number,
		"external_id": row.external_id,
		"request": row.request,
		"status": row.status,
		"http_status": row.http_status or None,
		"document": document,
		"error": json.loads(row.error) if failed else None,
	}
