"""What a system may read of its own requests, and their retry."""

import json

import frappe
from frappe import _

from integration_hub.core import queue
from integration_hub.core.context import Caller
from integration_hub.core.idempotency import DOCTYPE
from integration_hub.core.operations import Operation
from integration_hub.exceptions import NotFound
from integration_hub.schemas.requests import RequestAnswer, RequestGet, RequestRetry

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


def request_answer(row) -> dict:
	"""Return a Hub Request in the shape of `schemas.requests.RequestAnswer`."""
	return {
		"id": row.name,
		"operation": row.operation,
		"status": row.status,
		"http_status": row.http_status or None,
		"external_id": row.external_id,
		"attempts": row.attempt_no,
		"next_attempt_at": _utc(row.next_attempt_at),
		"created_at": _utc(row.received_at),
		"completed_at": _utc(row.completed_at),
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
