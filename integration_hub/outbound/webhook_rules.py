"""What a webhook must be before it is saved, by whomever."""

import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.exceptions import Fault, HubError, ValidationFailed
from integration_hub.mapping.errors import BadExpression
from integration_hub.mapping.expressions import compile as compile_expression
from integration_hub.outbound import network, visibility
from integration_hub.outbound.registry import DOCUMENT, UNTOLD, EventType, matching, unknown_event

# Telling of the hub's own records would tell of the telling.
_OWN_MODULE = "Integration Hub"
# Of one system: each is asked about every document that is saved.
MOST = 100


def check(doc: Document) -> None:
	"""Check a Hub Webhook; the pointers are those of `webhooks.create`.

	Raises:
		ValidationFailed: with every fault.
		AddressNotReachable: the URL is none the hub would call.
	"""
	faults = [
		*_number(doc),
		*_events(doc),
		*_url(doc),
		*_condition(doc),
		*_field_map(doc),
		*_concurrency(doc),
	]
	if faults:
		raise ValidationFailed(faults[0].message, errors=faults)
	if doc.mode == "Push" and (doc.is_new() or doc.has_value_changed("url")):
		network.check(doc.url)


def _number(doc: Document) -> list[Fault]:
	if not doc.is_new() or frappe.db.count("Hub Webhook", {"system": doc.system}) < MOST:
		return []
	message = _("{0} has {1} webhooks already. Change or delete one of them.").format(doc.system, MOST)
	return [Fault("", message, "too_many_webhooks")]


def _events(doc: Document) -> list[Fault]:
	if not doc.events:
		return [Fault("/events", _("Name at least one event."), "nothing_wanted")]
	system = frappe.get_cached_doc("Hub Connected System", doc.system)
	scopes = {row.scope for row in system.scopes}
	faults, places = [], {"events": 0, "documents": 0}
	for row in doc.events:
		area = "documents" if (row.event or "").startswith(DOCUMENT) else "events"
		pointer = f"/{area}/{places[area]}"
		places[area] += 1
		faults += _line(row, system, scopes, pointer)
	return faults


def _line(row, system, scopes: set[str], pointer: str) -> list[Fault]:
	found = matching(row.event or "")
	of_documents = (row.event or "").startswith(DOCUMENT)
	where = f"{pointer}/event" if of_documents else pointer
	if not found:
		return [unknown_event(row.event, where)]
	# `*` and `order.*` stand for what the system may know of them.
	faults = _scope(row.event, found, scopes, system, where)
	return faults or (_document(row, system, pointer) if of_documents else [])


def _scope(pattern: str, found: list[EventType], scopes: set[str], system, pointer: str) -> list[Fault]:
	if any(event.scope in scopes for event in found):
		return []
	message = _("{0} needs the scope {1}, which {2} does not have.").format(
		pattern, found[0].scope, system.title
	)
	return [Fault(pointer, message, "scope_missing")]


def _document(row, system, pointer: str) -> list[Fault]:
	doctype = row.document_type
	if not doctype or not frappe.db.exists("DocType", doctype):
		message = _("There is no document type {0}.").format(doctype or "—")
		return [Fault(f"{pointer}/document_type", message, "unknown_document_type")]
	meta = frappe.get_meta(doctype)
	if meta.istable or meta.get("is_virtual") or meta.module == _OWN_MODULE or doctype in UNTOLD:
		message = _("{0} raises no events: choose the document it belongs to.").format(_(doctype))
		return [Fault(f"{pointer}/document_type", message, "no_events")]
	if system.user and not frappe.has_permission(doctype, "read", user=system.user):
		message = _("The user of {0} may not read {1}. Give it a role that may.").format(
			system.title, _(doctype)
		)
		return [Fault(f"{pointer}/document_type", message, "permission_denied")]
	return _fields(row, system, pointer)


def _fields(row, system, pointer: str) -> list[Fault]:
	if not system.user:
		return []
	readable = visibility.readable(row.document_type, system.user)[""]
	chosen = [name.strip() for name in (row.field_names or "").split(",") if name.strip()]
	return [
		Fault(
			f"{pointer}/fields/{index}",
			_("{0} has no field {1} that the user of {2} may read.").format(
				_(row.document_type), name, system.title
			),
			"unknown_field",
		)
		for index, name in enumerate(chosen)
		if name not in readable
	]


def _url(doc: Document) -> list[Fault]:
	if (doc.mode == "Push") == bool(doc.url):
		return []
	message = _("A webhook that is pushed to needs a URL; one to pull has none.")
	return [Fault("/url", message, "url_and_mode")]


def _condition(doc: Document) -> list[Fault]:
	if not (doc.condition or "").strip():
		return []
	try:
		compile_expression(doc.condition)
	except BadExpression as e:
		return [Fault("/condition", str(e), "bad_expression")]
	return []


def _field_map(doc: Document) -> list[Fault]:
	if not doc.field_map or frappe.db.get_value("Hub Field Map", doc.field_map, "direction") == "Out":
		return []
	message = _("There is no field map {0} for events that go out.").format(doc.field_map)
	return [Fault("/field_map", message, "unknown_field_map")]


def _concurrency(doc: Document) -> list[Fault]:
	if doc.mode == "Pull" or 1 <= (doc.concurrency or 0) <= 32:
		return []
	return [Fault("/concurrency", _("Calls at the same time: 1 to 32."), "out_of_range")]


def check_in_desk(doc: Document) -> None:
	"""Check a webhook that a person saves: every fault in one message."""
	if doc.mode == "Pull":
		# The form hides it.
		doc.url = None
	try:
		check(doc)
	except HubError as error:
		messages = [fault.message for fault in error.errors] or [error.message]
		frappe.throw(messages if len(messages) > 1 else messages[0], as_list=len(messages) > 1)
