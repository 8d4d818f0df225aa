"""Document event → what has happened in the words of the business.

ERPNext changes an order's and an invoice's state by SQL, without a document event, so these are raised from the delivery,
invoice, payment or reconciliation that changed them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from frappe.model.document import Document
from frappe.utils import flt

from integration_hub.documents import events as documents
from integration_hub.documents.events import load
from integration_hub.documents.sales import in_party_currency
from integration_hub.outbound.registry import DELIVERY, INVOICE, JOURNAL, ORDER, PAYMENT, UNRECONCILED

Wants = Callable[[str], bool]


@dataclass(frozen=True)
class Happening:
	"""An event about a document, and the orders the document belongs to."""

	event: str
	doc: Document
	orders: list[Document] = field(default_factory=list)

	def data(self, system: str) -> dict:
		return documents.data_of(self.doc, system, self.orders)


def business(doc: Document, method: str, wants: Wants) -> list[Happening]:
	"""Return the business events of a document event that somebody wants."""
	raise_from = _RAISERS.get(doc.doctype)
	return [one for one in raise_from(doc, method, wants) if wants(one.event)] if raise_from else []


def _order(doc: Document, method: str, wants: Wants) -> Iterator[Happening]:
	names = {
		"created": "order.created" if doc.docstatus == 0 else None,
		"submitted": "order.submitted",
		"updated": "order.updated",
		"cancelled": "order.cancelled",
		"discarded": "order.cancelled",
		"deleted": "order.deleted",
	}
	if name := names.get(method):
		yield Happening(name, doc)


def _delivery(doc: Document, method: str, wants: Wants) -> Iterator[Happening]:
	if method == "updated" and doc.docstatus == 0:
		return
	names = {
		"submitted": "fulfillment.returned" if doc.is_return else "fulfillment.created",
		"updated": "fulfillment.updated",
		"cancelled": "fulfillment.cancelled",
	}
	name = names.get(method)
	moved = method in ("submitted", "cancelled")
	if not name or not (wants(name) or (moved and any(wants(state) for state in _FULFILLED))):
		return
	orders = _orders(doc, "against_sales_order")
	yield Happening(name, doc, orders)
	if moved:
		yield from _states(orders, "per_delivered", _FULFILLED)


def _invoice(doc: Document, method: str, wants: Wants) -> Iterator[Happening]:
	names = {
		"submitted": "credit_note.submitted" if doc.is_return else "invoice.submitted",
		"cancelled": "invoice.cancelled",
	}
	if method not in names:
		return
	orders = _orders(doc, "sales_order")
	yield Happening(names[method], doc, orders)
	if not doc.is_return or doc.update_billed_amount_in_sales_order:
		yield from _states(orders, "per_billed", _BILLED)
	if doc.update_stock:
		yield from _states(orders, "per_delivered", _FULFILLED)
	if method == "submitted" and not doc.is_return:
		state = _payment_state(doc)
		if state != "unpaid":
			yield Happening(f"invoice.{state}", doc, orders)
		yield from _paid(orders, wants)


def _payment(doc: Document, method: str, wants: Wants) -> Iterator[Happening]:
	if method not in ("submitted", "cancelled") or doc.party_type != "Customer":
		return
	received = "payment.received" if doc.payment_type == "Receive" else "payment.refunded"
	yield Happening(received if method == "submitted" else "payment.cancelled", doc)
	yield from _settled(list(_allocated(doc)), wants)


def _journal(doc: Document, method: str, wants: Wants) -> Iterator[Happening]:
	if method in ("submitted", "cancelled"):
		yield from _settled(list(_allocated(doc)), wants)


def _unreconciled(doc: Document, method: str, wants: Wants) -> Iterator[Happening]:
	if method == "submitted":
		rows = [row.reference_name for row in doc.allocations if row.reference_doctype == INVOICE]
		yield from _settled(rows, wants)


def reconciled(doc: Document) -> list[str]:
	"""Return the invoices that a submitted payment or journal is set against, or no longer is, since it was last saved.

	What they owe ERPNext writes afterwards.
	"""
	if doc.doctype not in (PAYMENT, JOURNAL) or doc.docstatus != 1 or not doc.get_doc_before_save():
		return []
	now, before = _allocated(doc), _allocated(doc.get_doc_before_save())
	return [name for name in {**now, **before} if now.get(name) != before.get(name)]


def settled(names: list[str], wants: Wants) -> list[Happening]:
	"""Return how far invoices are paid by now, where somebody wants to know."""
	return [one for one in _settled(names, wants) if wants(one.event)]


def _allocated(doc: Document) -> dict[str, float]:
	"""Return how much of a payment or journal goes to each invoice."""
	rows: dict[str, float] = {}
	if doc.doctype == PAYMENT:
		found = [(row.reference_doctype, row.reference_name, row.allocated_amount) for row in doc.references]
	else:
		found = [
			(row.reference_type, row.reference_name, flt(row.credit) - flt(row.debit)) for row in doc.accounts
		]
	for doctype, name, amount in found:
		if doctype == INVOICE:
			rows[name] = rows.get(name, 0) + flt(amount)
	return rows


def _settled(names: list[str], wants: Wants) -> Iterator[Happening]:
	"""Yield how far invoices are paid after money came or went, and the orders that are paid with them."""
	if not any(
		wants(name) for name in ("invoice.paid", "invoice.partially_paid", "invoice.unpaid", "order.paid")
	):
		return
	paid: dict[str, Document] = {}
	for name in names:
		invoice = load(INVOICE, name)
		if not invoice or invoice.docstatus != 1 or invoice.is_return:
			continue
		orders = _orders(invoice, "sales_order")
		state = _payment_state(invoice)
		yield Happening(f"invoice.{state}", invoice, orders)
		if state == "paid":
			paid |= {order.name: order for order in orders}
	yield from _paid(list(paid.values()), wants)


def _payment_state(invoice: Document) -> str:
	owed = flt(invoice.outstanding_amount)
	rounded = invoice.rounded_total and not invoice.disable_rounded_total
	total = in_party_currency(invoice, "rounded_total" if rounded else "grand_total")
	return "paid" if owed <= 0 else "partially_paid" if owed < total else "unpaid"


def _paid(orders: list[Document], wants: Wants) -> Iterator[Happening]:
	if wants("order.paid"):
		yield from (Happening("order.paid", order) for order in orders if documents.is_paid(order))


def _orders(doc: Document, fieldname: str) -> list[Document]:
	names = dict.fromkeys(row.get(fieldname) for row in doc.items if row.get(fieldname))
	return [order for name in names if (order := load(ORDER, name))]


_FULFILLED = ("order.unfulfilled", "order.partially_fulfilled", "order.fulfilled")
_BILLED = ("order.unbilled", "order.partially_billed", "order.billed")


def _states(orders: list[Document], percent: str, names: tuple[str, str, str]) -> Iterator[Happening]:
	"""Yield how far orders are delivered or billed now: nothing, a part, all of them."""
	for order in orders:
		done = flt(order.get(percent), 2)
		yield Happening(names[2] if done >= 100 else names[1] if done > 0 else names[0], order)


_RAISERS = {
	ORDER: _order,
	DELIVERY: _delivery,
	INVOICE: _invoice,
	PAYMENT: _payment,
	JOURNAL: _journal,
	UNRECONCILED: _unreconciled,
}
