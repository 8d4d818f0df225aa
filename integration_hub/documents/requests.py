"""What a system may read of its own requests, and their retry."""

import json

import frappe
from frappe import _

from integration_hub.core import batches, operations, queue, sql
from integration_hub.core.context import Caller
from integration_hub.core.idempotency import DOCTYPE
from integration_hub.core.listing import listed
from integration_hub.core.operations import Operation
from integration_hub.exceptions import NotFound
from integration_hub.schemas.requests import (
	RequestAnswer,
	RequestCancel,
	RequestGet,
	RequestPage,
	RequestRetry,
	RequestsList,
)

# What a document is in the words of the API.
ROLES = {
	"Sales Order": "order",
	"Delivery Note": "fulfillment",
	"Sales Invoice": "invoice",
	"Payment Entry": "payment",
}


def get(caller: Caller, query: RequestGet) -> dict:
	"""Return one of the caller's requests as `RequestAnswer`.

	Raises:
		NotFound: there is none, or it is another system's.
	"""
	name = frappe.db.get_value(DOCTYPE, {"name": query.id, "system": caller.name}, "name")
	if name != query.id:
		raise NotFound(_("There is no request {0} of {1}.").format(query.id, caller.name))
	return request_answer(frappe.get_doc(DOCTYPE, name))


def retry(caller: Caller, body: RequestRetry) -> dict:
	"""Try a failed or waiting request again, now, and return it as it is then.

	Raises:
		NotFound: as `get`.
		StateConflict: it is neither failed nor waiting.
	"""
	get(caller, body)
	queue.run_now(body.id)
	return get(caller, body)


def cancel(caller: Caller, body: RequestCancel) -> dict:
	"""Take a request that has not begun, or all of a batch that has not, out of the queue; return it as it is then.

	Raises:
		NotFound: as `get`.
		StateConflict: it is under way or has ended.
	"""
	get(caller, body)
	queue.cancel(body.id)
	return get(caller, body)


def list_requests(caller: Caller, query: RequestsList) -> dict:
	"""Return a page of the caller's requests, the newest first.

	Raises:
		ValidationFailed: the cursor is none of this list's.
	"""

	def fetch(key: list, backwards: bool, count: int) -> list[dict]:
		return _rows(caller.name, query, key, backwards, count)

	found = listed("requests.list", fetch, query, {"received_at": str, "name": str})
	return {**found, "result": [_summary(row) for row in found["result"]]}


_EDGE = ("2999-12-31", "1000-01-01")


def _rows(system: str, query: RequestsList, key: list, backwards: bool, count: int) -> list[dict]:
	sign, order = (">", "ASC") if backwards else ("<", "DESC")
	moment, name = key or (_EDGE[backwards], "")
	filters = {"status": query.status, "external_id": query.external_id, "batch": query.batch}
	asked = {column: value for column, value in filters.items() if value is not None}
	# Left to itself MariaDB may sort all that a system has.
	index = "" if set(asked) - {"status"} else f"FORCE INDEX ({_STATUS_INDEX if asked else _INDEX})"
	return sql.run(
		f"""SELECT {_SUMMARY} FROM `tabHub Request` {index}
		WHERE system = %s {"".join(f"AND `{column}` = %s " for column in asked)}
			AND (received_at {sign} %s OR received_at = %s AND name {sign} %s) AND received_at {sign}= %s
		ORDER BY received_at {order}, name {order} LIMIT %s""",
		(system, *asked.values(), moment, moment, name, moment, count),
		as_dict=True,
	)


_INDEX = "system_received_at_name_index"
_STATUS_INDEX = "system_status_received_at_name_index"
_SUMMARY = """name, operation, topic, route, status, http_status, external_id, batch, attempt_no, next_attempt_at, received_at, completed_at,
	error_code, error_message, reference_doctype, reference_name"""


def _summary(row) -> dict:
	failed = row.status != "Completed"
	return {
		"id": row.name,
		**_head(row),
		"error_code": row.error_code if failed else None,
		"error_message": row.error_message if failed else None,
		"document": {"doctype": row.reference_doctype, "name": row.reference_name}
		if row.reference_name
		else None,
	}


def _head(row) -> dict:
	return {
		"operation": row.operation,
		"topic": row.topic,
		"route": row.route,
		"status": row.status,
		"http_status": row.http_status or None,
		"external_id": row.external_id,
		"batch": row.batch,
		"attempts": row.attempt_no,
		"next_attempt_at": _utc(row.next_attempt_at),
		"created_at": _utc(row.received_at),
		"completed_at": _utc(row.completed_at),
	}


def request_answer(row, items: bool = True) -> dict:
	"""Return a Hub Request in the shape of `schemas.requests.RequestAnswer`.

	Args:
		items: with the outcomes of a batch; there may be a thousand.
	"""
	is_batch = bool(operations.get(row.operation).always_async)
	return {
		"id": row.name,
		**_head(row),
		"error": json.loads(row.error) if row.error and row.status != "Completed" else None,
		"answer": json.loads(row.answer)["message"] if row.answer else None,
		"documents": documents(row),
		"steps": [
			{
				"step": step.step,
				"status": step.status,
				"doctype": step.document_type,
				"name": step.document_name,
				"error": step.error,
			}
			for step in row.steps
		],
		"progress": batches.progress(row.name) if is_batch else None,
		"items": batches.outcomes(row.name) if is_batch and items else None,
	}


def documents(row) -> list[dict]:
	"""Return the documents a request made or found: [{doctype, name, role}]."""
	found = frappe.get_all(
		"Hub External Reference",
		filters={"request": row.name, "document_name": ("is", "set")},
		fields=["document_type as doctype", "document_name as name", "object_type as role"],
		order_by="creation asc",
	)
	main = {
		"doctype": row.reference_doctype,
		"name": row.reference_name,
		"role": ROLES.get(row.reference_doctype, row.operation.split(".")[0]),
	}
	if row.reference_name and main["name"] not in {document["name"] for document in found}:
		found.insert(0, main)
	return [dict(document) for document in found]


def _utc(value) -> str | None:
	return f"{value.isoformat()}Z" if value else None


_EXAMPLE = {"id": "0a1b2c3d4e5f6a7b"}

GET = Operation(
	name="requests.get",
	summary="Read the state of a request",
	schema=RequestGet,
	answer=RequestAnswer,
	handler=get,
	scope="requests:read",
	example=_EXAMPLE,
)

RETRY = Operation(
	name="requests.retry",
	summary="Try a failed or waiting request again, now",
	schema=RequestRetry,
	answer=RequestAnswer,
	handler=retry,
	scope="requests:write",
	writes=True,
	example=_EXAMPLE,
)

CANCEL = Operation(
	name="requests.cancel",
	summary="Take a request that has not begun, or a batch, out of the queue",
	schema=RequestCancel,
	answer=RequestAnswer,
	handler=cancel,
	scope="requests:write",
	writes=True,
	example=_EXAMPLE,
)

LIST = Operation(
	name="requests.list",
	summary="Read what was asked for and what became of it, by cursor",
	schema=RequestsList,
	answer=RequestPage,
	handler=list_requests,
	scope="requests:read",
	example={"status": "Failed", "limit": 100},
)
