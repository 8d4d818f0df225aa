"""Cancel an order; with `cascade` also undo, in reverse, what followed it."""

import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub import compat
from integration_hub.core import references
from integration_hub.core.operations import Operation
from integration_hub.core.work import Result, Work
from integration_hub.documents.orders import order_answer
from integration_hub.documents.sales import (
	DELIVERY,
	INVOICE,
	ORDER,
	PAYMENT,
	deliveries_of,
	invoices_of,
	payments_of,
	set_against,
)
from integration_hub.exceptions import StateConflict
from integration_hub.inbound import orders, selling
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.schemas.orders import OrderCancel, OrderEnvelope


def cancel(work: Work) -> Result:
	"""Cancel an order; discard a draft.

	Raises:
		NotFound: no such order of this system.
		StateConflict: naming the documents that stand in the way.
	"""
	request: OrderCancel = work.payload
	if request.cascade:
		work.caller.require("sales:cancel", "/cascade")
	order = selling.locked(ORDER, orders.find(work.caller, request.external_id, request.name))
	undone = []
	if order.docstatus != 2:
		following = _following(order.name)
		if following and not request.cascade:
			raise _in_the_way(order, following)
		undone = [_undo(work, order, *document) for document in following]
		if undone:
			order.reload()
		if request.reason:
			order.add_comment("Comment", request.reason)
		_cancel(work, order)
	order.reload()
	body = {"order": order_answer(order, work.caller.name)}
	return Result(body | ({"cancelled": undone} if undone else {}), (ORDER, order.name))


def _following(order: str) -> list[tuple[str, str]]:
	"""Return what stands in the way of cancelling an order, in the order to undo it: the latest first, money before all."""
	invoices = _standing(INVOICE, invoices_of(order))
	return [
		*_payments(payments_of(order, invoices)),
		*_reversed(INVOICE, invoices),
		*_reversed(DELIVERY, _standing(DELIVERY, deliveries_of(order))),
	]


def _payments(names: list[str]) -> list[tuple[str, str]]:
	"""Return payments, and what was paid back of them: that after all it is set against."""
	standing = _standing(PAYMENT, names)
	back = _standing(PAYMENT, _paid_back(standing))
	received = _standing(PAYMENT, [*standing, *set_against(back)])
	return [*_reversed(PAYMENT, [name for name in received if name not in back]), *_reversed(PAYMENT, back)]


def _paid_back(payments: list[str]) -> list[str]:
	"""Return the Payment Entries that payments are set against."""
	return frappe.get_all(
		"Payment Entry Reference",
		filters={"parent": ("in", payments), "reference_doctype": PAYMENT},
		pluck="reference_name",
		distinct=True,
	)


def _standing(doctype: str, names: list[str]) -> list[str]:
	rows = frappe.get_all(
		doctype, filters={"name": ("in", names), "docstatus": ("<", 2)}, fields=["name", "creation"]
	)
	return [row.name for row in sorted(rows, key=lambda row: row.creation)]


def _reversed(doctype: str, names: list[str]) -> list[tuple[str, str]]:
	return [(doctype, name) for name in reversed(names)]


def _in_the_way(order: Document, following: list[tuple[str, str]]) -> StateConflict:
	documents = [{"doctype": doctype, "name": name} for doctype, name in following]
	return StateConflict(
		_(
			"Order {0} cannot be cancelled before these are: {1}. Send cascade: true to undo them, too."
		).format(order.name, selling.listed(documents)),
		details={"documents": documents},
	)


def _undo(work: Work, order: Document, doctype: str, name: str) -> dict:
	doc = selling.locked(doctype, name)
	_check_own(work, doc)
	_check_alone(order, doc)
	if doc.docstatus < 2:
		_cancel(work, doc)
	return {"doctype": doctype, "name": name}


def _check_own(work: Work, doc: Document) -> None:
	"""Raise StateConflict when another system made a document: it is not this one's to undo."""
	if doc.hub_system not in (None, "", work.caller.name):
		raise StateConflict(
			_("{0} {1} was made by another system. Undo it in ERPNext first.").format(
				_(doc.doctype), doc.name
			),
			details={"documents": [{"doctype": doc.doctype, "name": doc.name}]},
		)


def _check_alone(order: Document, doc: Document) -> None:
	"""Raise StateConflict when a document also belongs to something else, which must not be undone by the way."""
	if doc.doctype == PAYMENT:
		own = {order.name, *invoices_of(order.name), *_paid_back([doc.name])}
		others = {
			(row.reference_doctype, row.reference_name)
			for row in doc.references
			if row.allocated_amount and row.reference_name not in own
		}
	else:
		link = "against_sales_order" if doc.doctype == DELIVERY else "sales_order"
		others = {
			(ORDER, row.get(link)) for row in doc.items if row.get(link) and row.get(link) != order.name
		}
	if others:
		documents = [{"doctype": doctype, "name": name} for doctype, name in sorted(others)]
		raise StateConflict(
			_("{0} {1} also belongs to {2}. Separate them in ERPNext first.").format(
				_(doc.doctype), doc.name, selling.listed(documents)
			),
			details={"documents": [{"doctype": doc.doctype, "name": doc.name}, *documents]},
		)


def _cancel(work: Work, doc: Document) -> None:
	# Cancelling a draft is writing it.
	selling.check_rights(work.caller, doc.doctype, submit=False, right="cancel" if doc.docstatus else "write")
	doc.flags.hub_origin = True
	with translated():
		if doc.docstatus == 1:
			if doc.doctype in (ORDER, DELIVERY, INVOICE):
				selling.lock_bins(doc)
			doc.cancel()
		else:
			compat.discard(doc)
	references.tombstone(doc)


def cancel_key(work: Work) -> list:
	"""What the key is derived from: the order it means today, which an amendment or a new use of the id changes.

	With and without `cascade` are two calls: the second is what one sends when the first was refused.
	"""
	target: OrderCancel = work.payload
	cascade = ["cascade"] if target.cascade else []
	if target.name is not None:
		return ["name", target.name, *cascade]
	reference = references.find(work.caller.name, "order", target.external_id)
	return ["external_id", target.external_id, reference.document_name if reference else None, *cascade]


CANCEL = Operation(
	name="orders.cancel",
	summary="Cancel an order; with cascade also what followed it",
	schema=OrderCancel,
	answer=OrderEnvelope,
	handler=cancel,
	scope="orders:write",
	writes=True,
	ledger=True,
	external_id=lambda target: target.external_id,
	subject=lambda target: target.external_id or target.name,
	key_parts=cancel_key,
	example={"external_id": "ORD-1001", "reason": "The customer changed their mind"},
)
