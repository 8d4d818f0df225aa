"""`webhooks.*`: a system looks after its own endpoints."""

from urllib.parse import urlsplit

import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.core import sql
from integration_hub.core.context import Caller
from integration_hub.core.operations import Operation
from integration_hub.exceptions import ExternalIdConflict, NotFound, StateConflict
from integration_hub.outbound import endpoints, outbox, trial, webhook_rules
from integration_hub.outbound.registry import DOCUMENT
from integration_hub.schemas.events import utc
from integration_hub.schemas.webhooks import (
	NoQuery,
	WebhookAnswer,
	WebhookCreate,
	WebhookDeleted,
	WebhookId,
	WebhookList,
	WebhookRotate,
	WebhookTested,
	WebhookUpdate,
)

DOCTYPE = "Hub Webhook"

_FORMATS = {"standard": "Standard Webhooks", "cloudevents": "CloudEvents"}
_PLAIN = ("title", "url", "condition", "field_map", "ordered", "echo")
_CONCURRENCY = 4


def list_webhooks(caller: Caller, query: NoQuery) -> dict:
	"""Return the caller's webhooks, the oldest first."""
	names = frappe.get_all(
		DOCTYPE, filters={"system": caller.name}, pluck="name", order_by="creation asc, name asc"
	)
	result = [answer(frappe.get_doc(DOCTYPE, name)) for name in names]
	return {"result": result, "next_cursor": None, "prev_cursor": None, "result_count": len(result)}


def create(caller: Caller, body: WebhookCreate) -> dict:
	"""Make a webhook; one with the same external id and content is found again, without its secret.

	Raises:
		ExternalIdConflict: the external id is that of a webhook with other content.
		ValidationFailed, AddressNotReachable
	"""
	doc = frappe.new_doc(DOCTYPE)
	doc.update({"system": caller.name, "mode": body.mode.title(), "external_id": body.external_id})
	_apply(doc, body)
	if body.external_id and (existing := _with_external_id(caller, body.external_id)):
		there = frappe.get_doc(DOCTYPE, existing, for_update=True)
		if _content(there) != _content(doc):
			raise ExternalIdConflict(
				_(
					"External id {0} is that of webhook {1}, which is another one. Use webhooks.update."
				).format(body.external_id, existing),
				pointer="/external_id",
			)
		return answer(there)
	webhook_rules.check(doc)
	doc.insert(ignore_permissions=True)
	return answer(doc, doc.flags.new_secret)


def update(caller: Caller, body: WebhookUpdate) -> dict:
	"""Change a webhook, pause it or let it go on.

	Raises:
		NotFound, ValidationFailed, AddressNotReachable
	"""
	doc = _own(caller, body.id)
	_apply(doc, body)
	webhook_rules.check(doc)
	doc.save(ignore_permissions=True)
	if body.status == "paused" and doc.status == endpoints.ACTIVE:
		endpoints.stop(doc.name, endpoints.PAUSED, _("{0} asked for it.").format(caller.name), told=True)
	elif body.status == "active" and doc.status != endpoints.ACTIVE:
		endpoints.resume(doc.name)
	return answer(frappe.get_doc(DOCTYPE, doc.name))


def delete(caller: Caller, body: WebhookId) -> dict:
	"""Delete a webhook and its deliveries; its events stay in the stream."""
	doc = _own(caller, body.id)
	doc.delete(ignore_permissions=True)
	return {"id": body.id, "deleted": True}


def test(caller: Caller, body: WebhookId) -> dict:
	"""Send a webhook.test event now and say how it went."""
	return trial.send(_own(caller, body.id).name)


def rotate_secret(caller: Caller, body: WebhookRotate) -> dict:
	"""Make a new secret; the old one signs as well for a while.

	Raises:
		NotFound
		StateConflict: nothing is sent to it, so nothing is signed.
	"""
	doc = _own(caller, body.id)
	if doc.mode != "Push":
		raise StateConflict(
			_("Nothing is sent to {0}: its events are fetched with events.list.").format(doc.title)
		)
	secret = endpoints.rotate(doc.name, body.overlap_hours)
	return answer(frappe.get_doc(DOCTYPE, doc.name), secret)


def _own(caller: Caller, name: str) -> Document:
	found = frappe.db.get_value(DOCTYPE, {"name": name, "system": caller.name}, "name")
	if found != name:
		raise NotFound(_("There is no webhook {0} of {1}.").format(name, caller.name), pointer="/id")
	return frappe.get_doc(DOCTYPE, name)


def _with_external_id(caller: Caller, external_id: str) -> str | None:
	"""Return the caller's webhook of that id; two calls that would make it take turns."""
	sql.run("SELECT name FROM `tabHub Connected System` WHERE name = %s FOR UPDATE", (caller.name,))
	# Locking, for the snapshot of this call may be older than the other call's commit.
	rows = sql.run(
		"SELECT name, external_id FROM `tabHub Webhook` WHERE system = %s AND external_id = %s FOR UPDATE",
		(caller.name, external_id),
		as_dict=True,
	)
	return next((row.name for row in rows if row.external_id == external_id), None)


def _apply(doc: Document, body: WebhookCreate | WebhookUpdate) -> None:
	"""Write what the body says into the webhook."""
	said = body.model_fields_set
	for field in _PLAIN:
		if field in said:
			doc.set(field, getattr(body, field))
	if "format" in said:
		doc.format = _FORMATS[body.format or "standard"]
	if "content" in said:
		doc.content = (body.content or "full").title()
	if "concurrency" in said:
		doc.concurrency = body.concurrency or _CONCURRENCY
	if said & {"events", "documents"}:
		doc.set("events", _lines(doc, body))
	doc.title = doc.title or urlsplit(doc.url or "").hostname or _("Events of {0}").format(doc.system)


def _lines(doc: Document, body: WebhookCreate | WebhookUpdate) -> list[dict]:
	"""Return the lines of both kinds; the kind that is not mentioned stays."""
	kept = {
		kind: [row for row in doc.events if row.event.startswith(DOCUMENT) == kind] for kind in (False, True)
	}
	plain, generic = kept[False], kept[True]
	if "events" in body.model_fields_set:
		plain = [{"event": event} for event in body.events or []]
	if "documents" in body.model_fields_set:
		generic = [
			{
				"event": one.event,
				"document_type": one.document_type,
				"field_names": ", ".join(one.fields or []),
			}
			for one in body.documents or []
		]
	return [_plain_line(line) for line in (*plain, *generic)]


def _plain_line(line) -> dict:
	return {key: line.get(key) for key in ("event", "document_type", "field_names")}


def _content(doc: Document) -> dict:
	fields = (*_PLAIN, "mode", "format", "content", "concurrency")
	return {field: doc.get(field) or None for field in fields} | {
		"events": [_plain_line(row) for row in doc.events]
	}


def answer(doc: Document, secret: str | None = None) -> dict:
	"""Return a Hub Webhook in the shape of `schemas.webhooks.WebhookAnswer`."""
	shown = {
		"id": doc.name,
		"external_id": doc.external_id or None,
		"title": doc.title,
		"mode": doc.mode.lower(),
		"status": doc.status.lower(),
		"paused_because": doc.paused_because or None,
		"url": doc.url or None,
		"events": [row.event for row in doc.events if not row.event.startswith(DOCUMENT)],
		"documents": [_document(row) for row in doc.events if row.event.startswith(DOCUMENT)],
		"condition": doc.condition or None,
		"format": next(key for key, name in _FORMATS.items() if name == doc.format),
		"content": doc.content.lower(),
		"field_map": doc.field_map or None,
		"ordered": bool(doc.ordered),
		"echo": bool(doc.echo),
		"concurrency": doc.concurrency,
		"health": health(doc),
	}
	return {**shown, "secret": secret} if secret else shown


def _document(row) -> dict:
	names = [name.strip() for name in (row.field_names or "").split(",") if name.strip()]
	return {"event": row.event, "document_type": row.document_type, "fields": names or None}


def health(doc: Document) -> dict:
	"""Return how an endpoint fares, in the shape of `schemas.webhooks.WebhookHealth`."""
	moments = {
		"last_success_at": doc.last_success_at,
		"last_failure_at": doc.last_failure_at,
		"failing_since": doc.failing_since,
		"suspended_until": doc.open_until,
	}
	return {
		**{name: utc(frappe.utils.get_datetime(value)) if value else None for name, value in moments.items()},
		"last_error": doc.last_error or None,
		"deliveries": outbox.counts(doc.name),
	}


_EXAMPLE = {"id": "0a1b2c3d4e"}

LIST = Operation(
	name="webhooks.list",
	summary="Read the system's webhooks",
	schema=NoQuery,
	answer=WebhookList,
	handler=list_webhooks,
	scope="webhooks:read",
)

CREATE = Operation(
	name="webhooks.create",
	summary="Be told of events; the secret is shown once",
	schema=WebhookCreate,
	answer=WebhookAnswer,
	handler=create,
	status=201,
	example={"url": "https://shop.example.com/hooks", "events": ["order.*", "fulfillment.created"]},
	scope="webhooks:write",
	writes=True,
)

UPDATE = Operation(
	name="webhooks.update",
	summary="Change, pause or resume a webhook",
	schema=WebhookUpdate,
	answer=WebhookAnswer,
	handler=update,
	example={**_EXAMPLE, "status": "paused"},
	scope="webhooks:write",
	writes=True,
)

DELETE = Operation(
	name="webhooks.delete",
	summary="Delete a webhook and what was to be sent to it",
	schema=WebhookId,
	answer=WebhookDeleted,
	handler=delete,
	example=_EXAMPLE,
	scope="webhooks:write",
	writes=True,
)

TEST = Operation(
	name="webhooks.test",
	summary="Send a test event now",
	schema=WebhookId,
	answer=WebhookTested,
	handler=test,
	example=_EXAMPLE,
	scope="webhooks:write",
	writes=True,
)

ROTATE = Operation(
	name="webhooks.rotate_secret",
	summary="Make a new secret; the old one signs as well for a while",
	schema=WebhookRotate,
	answer=WebhookAnswer,
	handler=rotate_secret,
	example={**_EXAMPLE, "overlap_hours": 24},
	scope="webhooks:write",
	writes=True,
)
