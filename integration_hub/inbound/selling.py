"""What deliveries, invoices, payments and refunds share: find and lock, take the external id, save in one pass."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import now_datetime

from integration_hub import compat
from integration_hub.core import references, sql
from integration_hub.core.context import Caller
from integration_hub.core.payload import digest
from integration_hub.core.references import AlreadyBound
from integration_hub.core.work import Work, conflict
from integration_hub.documents.sales import DELIVERY, INVOICE, ORDER, PAYMENT
from integration_hub.exceptions import (
	Fault,
	NotFound,
	PermissionDenied,
	ReferenceBusy,
	StateConflict,
	ValidationFailed,
)
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.inbound.times import site_date, site_time
from integration_hub.schemas.orders import Target
from integration_hub.schemas.values import Model

MAX_ID = 140
# What a part of a call says about whom it belongs to, not about its content.
_NOT_CONTENT = {"external_id", "validate_only", "order", "invoice", "fulfillment"}


def find(caller: Caller, doctype: str, object_type: str, target: Target, pointer: str | None = None) -> str:
	"""Return the name of a document, by the caller's id or by name, that is the caller's to see.

	Raises:
		NotFound
	"""
	found = None
	if target.external_id is not None:
		bound = references.find(caller.name, object_type, target.external_id)
		found = bound.document_name if bound and bound.document_type == doctype else None
	else:
		row = frappe.db.get_value(doctype, target.name, ["name", "hub_system", "company"], as_dict=True)
		# The collation takes "abc" for "ABC"; a name is what it is.
		own = row and row.name == target.name and row.hub_system in (None, "", caller.name)
		own = own and not _sells_for_others(caller, doctype, row.name)
		found = target.name if own and row.company == caller.system.company else None
	if not found or not frappe.has_permission(doctype, "read", found):
		raise NotFound(
			_("There is no {0} {1}.").format(
				_(doctype), target.external_id if target.external_id is not None else target.name
			),
			pointer=pointer,
		)
	return found


# Where deliveries and invoices name the orders they belong to.
_ORDER_LINKS = {
	DELIVERY: ("Delivery Note Item", "against_sales_order"),
	INVOICE: ("Sales Invoice Item", "sales_order"),
}


def orders_behind(doctype: str, names: list[str]) -> list[str]:
	"""Return the orders that deliveries or invoices belong to."""
	child, link = _ORDER_LINKS[doctype]
	filters = {"parent": ("in", names), link: ("is", "set")}
	return sorted(set(frappe.get_all(child, filters=filters, pluck=link))) if names else []


def _sells_for_others(caller: Caller, doctype: str, name: str) -> bool:
	"""Whether a document that a person made belongs to another system's order."""
	if doctype not in _ORDER_LINKS:
		return False
	systems = frappe.get_all(
		ORDER, filters={"name": ("in", orders_behind(doctype, [name]))}, pluck="hub_system"
	)
	return any(system not in (None, "", caller.name) for system in systems)


def check_alone(order: Document, invoices: list[str], pointer: str) -> None:
	"""Raise StateConflict when an invoice also bills other orders: what of it is this order's is not said."""
	shared = [name for name in invoices if orders_behind(INVOICE, [name]) != [order.name]]
	others = [name for name in orders_behind(INVOICE, shared) if name != order.name]
	if others:
		documents = named(INVOICE, shared) + named(ORDER, others)
		raise StateConflict(
			_(
				"An invoice of order {0} bills other orders, too: {1}. Name the invoice in place of the order."
			).format(order.name, listed(named(INVOICE, shared))),
			pointer=pointer,
			details={"documents": documents},
		)


def locked(doctype: str, name: str) -> Document:
	"""Return a document as it is now, locked: whoever sells from the same order waits here.

	Raises:
		frappe.DocumentLockedError: a person is editing it; transient.
	"""
	doc = frappe.get_doc(doctype, name, for_update=True)
	if doc.is_locked:
		raise frappe.DocumentLockedError
	return doc


def locked_order(caller: Caller, target: Target, pointer: str = "/order") -> Document:
	"""Return a submitted order that may be worked on, locked.

	Raises:
		NotFound, StateConflict
	"""
	order = locked(ORDER, find(caller, ORDER, "order", target, pointer))
	check_workable(order)
	return order


def check_workable(order: Document) -> None:
	"""Raise StateConflict unless the order is submitted and neither closed nor on hold."""
	state = {0: _("a draft"), 2: _("cancelled")}.get(int(order.docstatus))
	if order.docstatus == 1 and order.status in ("Closed", "On Hold"):
		state = _(order.status)
	if state:
		raise StateConflict(
			_("Order {0} is {1}.").format(order.name, state), details={"documents": [_named(order)]}
		)


def _named(doc: Document) -> dict:
	return {"doctype": doc.doctype, "name": doc.name}


def named(doctype: str, names: list[str]) -> list[dict]:
	"""Return documents as problems and answers name them."""
	return [{"doctype": doctype, "name": name} for name in names]


def listed(documents: list[dict]) -> str:
	"""Return documents as messages name them."""
	return ", ".join(f"{_(row['doctype'])} {row['name']}" for row in documents)


@dataclass(frozen=True)
class Taken:
	"""An external id of a document about to be made; or, with `existing`, of the one that was made before."""

	external_id: str
	reference: str | None = None
	existing: tuple[str, str] | None = None


def take_id(
	work: Work, kind: str, object_type: str, part: Model, belongs_to: Document, pointer: str
) -> Taken:
	"""Reserve the external id of what a part of a call makes; without one, `<order's id>/<kind>/<number>`.

	Raises:
		ExternalIdConflict: it stands for something else.
		ReferenceBusy: somebody is taking it at this moment.
	"""
	mark = content_mark(kind, part, belongs_to)
	if part.external_id is None:
		return _next_id(work, kind, object_type, belongs_to, mark, pointer)
	try:
		reference = references.reserve_again(
			work.caller.name,
			object_type,
			part.external_id,
			request=work.request,
			fingerprint=mark,
			reuse=bool(work.caller.system.reuse_cancelled_ids),
		)
		return Taken(part.external_id, reference)
	except AlreadyBound:
		bound = references.find(work.caller.name, object_type, part.external_id)
		if bound is None:
			raise ReferenceBusy(
				_("Another call is working on {0} {1}.").format(_(object_type), part.external_id),
				retry_after=1,
			) from None
		if bound.fingerprint != mark or bound.state != references.LIVE or not bound.exists:
			raise conflict(part.external_id, bound, f"{pointer}/external_id") from None
		return Taken(part.external_id, existing=(bound.document_type, bound.document_name))


def content_mark(kind: str, part: Model, belongs_to: Document) -> str:
	"""Return the fingerprint of what a part says, the same in a call of its own and within `sales.run`."""
	content = part.model_dump(mode="json", exclude_unset=True, exclude=_NOT_CONTENT)
	return digest(["v1", kind, belongs_to.doctype, belongs_to.name, content])


def _next_id(work: Work, kind: str, object_type: str, belongs_to: Document, mark: str, pointer: str) -> Taken:
	own = belongs_to.hub_external_id if belongs_to.hub_system == work.caller.name else None
	stem = f"{(own or belongs_to.name)[: MAX_ID - 20]}/{kind}/"
	taken = references.like(work.caller.name, object_type, literal(stem) + "%")
	for reference in taken:
		# Of an attempt that somebody's commit split: a part of its document may stand.
		if reference.state == references.RESERVED and reference.request == work.request:
			raise conflict(reference.external_id, reference, pointer)
	number = len(taken) + 1
	while True:
		try:
			external_id = f"{stem}{number}"
			reference = references.reserve(
				work.caller.name, object_type, external_id, request=work.request, fingerprint=mark
			)
			return Taken(external_id, reference)
		except AlreadyBound:
			number += 1


def literal(text: str) -> str:
	"""Return text that a LIKE finds as it is."""
	return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def existing(taken: Taken) -> Document:
	"""Return the document that was made before under the same external id."""
	doc = frappe.get_doc(*taken.existing)
	doc.flags.hub_existing = True
	return doc


# What ERPNext's mappers compute of all that is open; it is computed again of what is chosen.
_COMPUTED_LATER = ("set_missing_values", "calculate_taxes_and_totals")


def mapped(mapper: Callable, doctype: str, order: str) -> Document:
	"""Return the unsaved document that one of ERPNext's mappers makes of an order, with nothing computed yet.

	Prices, party and totals come with `take_share` and `save`. The mapper would compute them of all that is open: a tenth of the whole
	cycle's time, and it fails where a fixed discount is larger than what is left of the order.
	"""
	doc = frappe.new_doc(doctype)
	with compat.skipping(doc, *_COMPUTED_LATER):
		return mapper(order, target_doc=doc)


def save(work: Work, doc: Document, taken: Taken, *, submit: bool = True) -> Document:
	"""Save a new document under its external id, submitted in one pass or as a draft.

	Raises:
		HubError: ERPNext's refusal, translated.
	"""
	if doc.get("is_return"):
		# ERPNext decides when a document is constructed what a return updates; its mapper marks it afterwards.
		doc = frappe.get_doc(doc.as_dict())
	doc.update({"hub_system": work.caller.name, "hub_external_id": taken.external_id})
	doc.flags.hub_origin = True
	# ERPNext's own mappers switch permissions off.
	doc.flags.ignore_permissions = False
	# Fields of permission level 1, which Frappe would reset for this user.
	doc.flags.ignore_permlevel_for_fields = ["ignore_pricing_rule"]
	with translated():
		if submit:
			if doc.get("is_return"):
				# Of what goes out they are locked since its stock was checked.
				lock_bins(doc)
			doc.docstatus = 1
		if doc.get("packed_items"):
			# ERPNext lists them when it inserts, and would give a row the warehouse of another it finds here.
			doc.packed_items = []
		doc.insert()
		if submit:
			_settle_status(doc)
	if taken.reference:
		references.bind(taken.reference, doc.doctype, doc.name)
	work.made.append((doc.doctype, doc.name))
	return doc


def _settle_status(doc: Document) -> None:
	"""Give a document that was born submitted the status it would have after two saves."""
	if doc.doctype == DELIVERY:
		compat.set_status(doc)
	elif doc.doctype == INVOICE:
		if not doc.base_grand_total or doc.is_return:
			# Without an entry of its own in the ledger nothing else sets it: a credit note may be set against its invoice.
			doc.set_status(update=True)
		doc.update(frappe.db.get_value(INVOICE, doc.name, ["status", "outstanding_amount"], as_dict=True))


def check_rights(caller: Caller, doctype: str, submit: bool = True, right: str = "create") -> None:
	"""Raise PermissionDenied, naming DocType and right, unless the system's user may do it."""
	for needed in (right, "submit") if submit else (right,):
		if not frappe.has_permission(doctype, needed):
			raise PermissionDenied(
				_(
					"The user of {0} may not {1} {2}. Give its roles the right, or the system the scope."
				).format(caller.name, _(needed), _(doctype)),
				details={"doctype": doctype, "right": needed},
			)


def lock_bins(doc: Document) -> None:
	"""Lock the Bins a document moves, in one order for all: ERPNext rewrites a Bin from what it read before."""
	if doc.doctype == PAYMENT or (doc.doctype == INVOICE and not doc.update_stock):
		return
	rows = [*doc.items, *(doc.get("packed_items") or [])]
	pairs = sorted({(row.item_code, row.warehouse) for row in rows if row.item_code and row.warehouse})
	if pairs:
		sql.run(
			"""SELECT name FROM tabBin WHERE (item_code, warehouse) IN %s ORDER BY item_code, warehouse FOR UPDATE""",
			(pairs,),
		)


def lock_bins_of_order(doc: Document, method: str) -> None:
	"""Doc event, after all checks and right before ERPNext reserves: who sells the same item waits for no more than that."""
	if doc.flags.hub_origin:
		lock_bins(doc)


def set_posting(doc: Document, at: datetime | None, pointer: str) -> None:
	"""Set when a document is posted; default: now.

	Raises:
		ValidationFailed: in the future, or not a day that can be stored.
	"""
	if at is None:
		return
	site_date(at, f"{pointer}/posting_at")
	moment = site_time(at)
	if moment > now_datetime():
		message = _("{0} lies in the future; deliveries and invoices are posted today or before.").format(
			at.isoformat()
		)
		raise ValidationFailed(message, errors=[Fault(f"{pointer}/posting_at", message, "date_in_future")])
	doc.set_posting_time = 1
	doc.posting_date = moment.date()
	doc.posting_time = moment.time().isoformat()


def locked_invoice(
	caller: Caller, target: Target, pointer: str = "/invoice"
) -> tuple[Document | None, Document]:
	"""Return a submitted invoice, locked, and before it the order it bills (None: none, or several).

	Raises:
		NotFound
		StateConflict: it is a draft, cancelled or a credit note.
	"""
	name = find(caller, INVOICE, "invoice", target, pointer)
	orders = frappe.get_all(
		"Sales Invoice Item",
		filters={"parent": name, "sales_order": ("is", "set")},
		pluck="sales_order",
		distinct=True,
		order_by="sales_order asc",
	)
	# Orders first, sorted, as everybody locks.
	owners = [locked(ORDER, order) for order in sorted(orders)]
	invoice = locked(INVOICE, name)
	state = {0: _("a draft"), 2: _("cancelled")}.get(int(invoice.docstatus))
	if invoice.is_return:
		state = _("a credit note")
	if state:
		raise StateConflict(
			_("Invoice {0} is {1}.").format(name, state),
			pointer=pointer,
			details={"documents": [_named(invoice)]},
		)
	return (owners[0] if len(owners) == 1 else None), invoice
