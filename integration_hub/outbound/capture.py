"""Writes the outbox: a document event becomes Hub Events and their deliveries, in the document's own transaction.

Nothing here contacts the network or commits. A document nobody asks about costs a look-up in memory.
"""

from collections.abc import Callable
from datetime import datetime, timezone
from typing import TypeVar

import frappe
from frappe.model.document import Document

from integration_hub import compat
from integration_hub.core.errors import as_hub_error
from integration_hub.documents import events as documents
from integration_hub.outbound import outbox, sources, subscriptions, visibility
from integration_hub.outbound.envelope import Envelope, Subject
from integration_hub.outbound.outbox import NewDelivery, NewEvent
from integration_hub.outbound.registry import INVOICE, STOCK, STOCK_SOURCES
from integration_hub.outbound.shaping import Allowance, shape
from integration_hub.outbound.sources import Happening
from integration_hub.outbound.subscriptions import Subscription, Subscriptions
from integration_hub.schemas.events import utc

T = TypeVar("T")

# Frappe's document event → what it is called here.
_METHODS = {
	"after_insert": "created",
	"on_update": "updated",
	"on_submit": "submitted",
	"on_update_after_submit": "updated",
	"on_cancel": "cancelled",
	"on_discard": "discarded",
	"after_delete": "deleted",
	"after_rename": "renamed",
}


def on_doc_event(doc: Document, method: str, *args) -> None:
	"""Wildcard doc event: capture what somebody wants to know."""
	if _silent():
		return
	wanted = subscriptions.current()
	if doc.doctype not in wanted.doctypes:
		return
	if doc.doctype in STOCK_SOURCES and STOCK in wanted.events:
		compat.after_commit_once(outbox.ring)
	happened = _METHODS[method]
	if happened == "updated" and _is_part_of_another(doc, method):
		return
	if happened == "submitted" and doc.doctype in documents.OBJECTS:
		compat.settle_new_status(doc)
	_note_reconciled(doc, happened)
	allowance = Allowance()
	found = _business(sources.business(doc, happened, wanted.events.__contains__), wanted, allowance)
	old_name = args[0] if happened == "renamed" else None
	found += _generic(doc, happened, wanted, allowance, old_name)
	outbox.add(found)


def _note_reconciled(doc: Document, happened: str) -> None:
	"""Note which invoices to tell of before the commit; one that is submitted takes its advances so, and tells by itself."""
	noted = getattr(frappe.local, "hub_reconciled", None)
	if noted is None:
		noted = frappe.local.hub_reconciled = {}
	if happened == "updated" and (invoices := sources.reconciled(doc)):
		noted.update(dict.fromkeys(invoices))
		compat.before_commit_once(_tell_reconciled)
	elif happened == "submitted" and doc.doctype == INVOICE:
		noted.pop(doc.name, None)


def _tell_reconciled() -> None:
	invoices, frappe.local.hub_reconciled = frappe.local.hub_reconciled, {}
	wanted = subscriptions.current()
	outbox.add(_business(sources.settled(list(invoices), wanted.events.__contains__), wanted, Allowance()))


def on_request_changed(request: str, system: str, succeeded: bool, queued: bool) -> None:
	"""Hook of the core: a request was completed, or has failed for good.

	Args:
		queued: the hub worked on it by itself; the caller has no answer yet. Otherwise it is told only if it asks for
			what its own calls did.
	"""
	wanted = subscriptions.current()
	name = "request.completed" if succeeded else "request.failed"
	to = [one for one in wanted.to(name) if one.system == system and (queued or one.echo)]
	if to:
		subject = Subject("Hub Request", request)
		data = _rendered(lambda: documents.request_data(request))
		outbox.add([_event(name, subject, data, to, wanted)])


def on_stock_changed(levels: list[dict]) -> None:
	"""Tell of stock levels: rows of item_code, warehouse, company, actual_qty, reserved_qty, stock_uom."""
	wanted = subscriptions.current()
	found = []
	for level in levels:
		seen = frappe.get_doc({"doctype": "Bin", **level})
		to = [
			one
			for one in wanted.to(STOCK)
			if one.company == level["company"] and visibility.may_read(seen, one.user)
		]
		subject = Subject("Bin", level["name"])
		data = documents.stock_data(level)
		found += [_event(STOCK, subject, data, group, wanted) for group in _by_system(to).values()]
	outbox.add(found)


def _silent() -> bool:
	"""Whether the site itself is being changed: nothing of that has happened in the business."""
	flags = frappe.local.flags
	return bool(flags.in_install or flags.in_patch or flags.in_migrate)


def _is_part_of_another(doc: Document, method: str) -> bool:
	"""Whether an update is only the way to an event of its own: an insertion or a submission."""
	return method == "on_update" and bool(doc.flags.in_insert or doc.get("_action") == "submit")


def _business(happenings: list[Happening], wanted: Subscriptions, allowance: Allowance) -> list[NewEvent]:
	events = []
	for one in happenings:
		to = [sub for sub in wanted.to(one.event) if sub.echo or sub.system != wanted.caller]
		for group in _by_system(to).values():
			if visibility.may_read(one.doc, group[0].user):
				events.append(_about(one, group, wanted, allowance))
	return events


def _about(
	happening: Happening, to: list[Subscription], wanted: Subscriptions, allowance: Allowance
) -> NewEvent:
	doc, system, user = happening.doc, to[0].system, to[0].user
	subject = Subject(doc.doctype, doc.name, documents.own_id(doc, system))
	data = None
	if visibility.sees_all_shown(doc.doctype, user):
		data = _rendered(lambda: happening.data(system))
	return _event(happening.event, subject, data, to, wanted, allowance)


def _generic(
	doc: Document, happened: str, wanted: Subscriptions, allowance: Allowance, old_name: str | None
) -> list[NewEvent]:
	name = "document.cancelled" if happened == "discarded" else f"document.{happened}"
	extra = {"old_name": old_name} if old_name else {}
	events = []
	for one, choice in wanted.of_document(name, doc.doctype):
		if (one.system == wanted.caller and not one.echo) or not visibility.may_read(doc, one.user):
			continue
		fields = visibility.readable(doc.doctype, one.user)
		data = _rendered(lambda c=choice, f=fields: documents.document_data(doc, c.fields, f, **extra))
		subject = Subject(doc.doctype, doc.name, documents.own_id(doc, one.system))
		events.append(_event(name, subject, data, [one], wanted, allowance))
	return events


def _rendered(render: Callable[[], T]) -> T | None:
	"""Return what is rendered; None where a bug keeps us from it: what happened is told all the same, and the document saved."""
	try:
		return render()
	except Exception as e:
		if as_hub_error(e).transient:
			raise
		frappe.log_error("Integration Hub: the data of an event could not be read")
		return None


def _event(
	name: str,
	subject: Subject,
	data: dict | None,
	to: list[Subscription],
	wanted: Subscriptions,
	allowance: Allowance | None = None,
) -> NewEvent:
	"""Return an event for one system and its deliveries; without data it says only which document."""
	event_id = f"evt_{frappe.generate_hash(length=24)}"
	now = datetime.now(timezone.utc).replace(tzinfo=None)
	envelope = Envelope(event_id, name, utc(now), frappe.utils.get_url(), subject)

	def with_data(data: dict) -> NewEvent:
		shaped = [(one, shape(one, envelope, data, allowance)) for one in to]
		deliveries = [
			NewDelivery(one.webhook, result.body, result.fault)
			for one, result in shaped
			if result and one.push
		]
		payload = envelope.render(data) if any(result for _one, result in shaped) else ""
		return NewEvent(event_id, name, to[0].system, wanted.caller, subject, payload, deliveries)

	# What custom code puts into a document may be no JSON.
	complete = _rendered(lambda: with_data(data)) if data is not None else None
	return complete or with_data({**envelope.thin(), "reduced": True})


def _by_system(to: list[Subscription]) -> dict[str, list[Subscription]]:
	grouped: dict[str, list[Subscription]] = {}
	for one in to:
		grouped.setdefault(one.system, []).append(one)
	return grouped
