"""Bill lines of an order, or of one delivery → a Sales Invoice."""

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt, getdate

from erpnext.selling.doctype.sales_order.sales_order import make_sales_invoice as invoice_order
from erpnext.stock.doctype.delivery_note.delivery_note import make_sales_invoice as invoice_delivery

from integration_hub.core.work import Work
from integration_hub.documents.sales import DELIVERY, INVOICE, invoices_of, sold
from integration_hub.exceptions import Fault, StateConflict, UnknownPaymentTerms, ValidationFailed
from integration_hub.inbound import fulfillments, selling, stock, warehouses
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.inbound.lines import Nothing, Open, Wanted, sums, wanted
from integration_hub.inbound.shares import Progress, amount_of, documents_before, take_share
from integration_hub.inbound.times import site_date
from integration_hub.schemas.sales import InvoicePart

_ROW, _CREDITED = "Sales Invoice Item", "sales_invoice_item"


def bill(
	work: Work, order: Document, part: InvoicePart, pointer: str = "", delivery: Document | None = None
) -> Document:
	"""Bill what `part` names of a locked order, or of one of its deliveries; what was paid in advance is set against it.

	Raises:
		StateConflict, UnknownLine, QuantityExceedsOpen, UnknownPaymentTerms … with pointer.
	"""
	taken = selling.take_id(work, "invoice", "invoice", part, delivery or order, pointer)
	if taken.existing:
		return selling.existing(taken)
	names = invoices_of(order.name)
	earlier = documents_before(INVOICE, names) if names else []
	open_of = _open_quantities(order, part, delivery)
	nothing = Nothing(
		_("Nothing of {0} is left to bill.").format((delivery or order).name),
		selling.named(INVOICE, [doc.name for doc in earlier]),
	)
	chosen = wanted(order.items, part.lines, open_of, pointer, nothing)
	selling.check_rights(work.caller, INVOICE, part.submit)
	with translated():
		doc = (
			invoice_delivery(delivery.name)
			if delivery
			else selling.mapped(invoice_order, INVOICE, order.name)
		)
	doc.update_stock = int(part.update_stock)
	placed = fulfillments.place_rows(doc, chosen, nothing)
	_set_warehouses(work, doc, placed)
	if doc.update_stock:
		fulfillments.pack(doc)
	selling.set_posting(doc, part.posting_at, pointer)
	_set_terms(doc, part, pointer)
	# Money paid in advance for this very order; other credit of the customer stays what it is.
	doc.allocate_advances_automatically = doc.only_include_allocated_payments = int(
		flt(order.advance_paid) > 0
	)
	with translated():
		take_share(doc, order, earlier, _progress(order, chosen, earlier))
		if doc.allocate_advances_automatically:
			# ERPNext allocates after it has added up; saved in one pass, the sum would stay 0.
			doc.set_advances()
	if part.submit and doc.update_stock:
		selling.lock_bins(doc)
		stock.check_outgoing(doc, [one.pointer for one in placed])
	return selling.save(work, doc, taken, submit=part.submit)


def _open_quantities(order: Document, part: InvoicePart, delivery: Document | None) -> dict[str, Open]:
	"""Return what may be billed of each row: not billed yet; with `update_stock` not delivered yet, either."""
	billed = sums(_ROW, "so_detail", order.items, parent=INVOICE)
	credited = sums(_ROW, "so_detail", order.items, returns=True, parent=INVOICE)
	found = {}
	for row in order.items:
		most = flt(row.qty - billed[row.name], 9)
		# What came back before it was billed is not billed by itself.
		default = most - max(0.0, flt(row.returned_qty) - credited[row.name])
		if part.update_stock and _is_stock(row):
			undelivered = fulfillments.open_quantity(row, credited[row.name])
			most, default = min(most, undelivered.most), min(default, undelivered.default)
		found[row.name] = Open(most, max(0.0, flt(default, 9)))
	return _within_delivery(found, delivery) if delivery else found


def _is_stock(row: Document) -> bool:
	return bool(frappe.get_cached_value("Item", row.item_code, "is_stock_item"))


def _within_delivery(open_of: dict[str, Open], delivery: Document) -> dict[str, Open]:
	billed = sums(_ROW, "dn_detail", delivery.items, parent=INVOICE)
	delivered = dict.fromkeys(open_of, 0.0)
	for row in delivery.items:
		if row.so_detail in delivered:
			# Billed and then returned, a row has nothing left, not less: the others of its line have theirs.
			delivered[row.so_detail] += max(0.0, row.qty - billed[row.name] - flt(row.returned_qty))
	return {
		name: Open(
			min(one.most, flt(delivered[name], 9)), max(0.0, min(one.default, flt(delivered[name], 9)))
		)
		for name, one in open_of.items()
	}


def _set_warehouses(work: Work, doc: Document, placed: list[Wanted]) -> None:
	for row, one in zip(doc.items, placed, strict=True):
		if one.line and one.line.warehouse:
			row.warehouse = warehouses.resolve(work.caller, one.line.warehouse, f"{one.pointer}/warehouse")


def _set_terms(doc: Document, part: InvoicePart, pointer: str) -> None:
	if part.terms:
		if frappe.db.get_value("Payment Terms Template", part.terms, "name") != part.terms:
			raise UnknownPaymentTerms(
				_("There is no Payment Terms Template {0}.").format(part.terms), pointer=f"{pointer}/terms"
			)
		doc.payment_terms_template = part.terms
	if part.due_date or part.terms or part.posting_at:
		doc.payment_schedule = []
		doc.due_date = None
	if part.due_date:
		due = site_date(part.due_date, f"{pointer}/due_date")
		if due < getdate(doc.posting_date):
			message = _("The due date {0} is before the invoice's date {1}.").format(due, doc.posting_date)
			raise ValidationFailed(
				message, errors=[Fault(f"{pointer}/due_date", message, "date_before_invoice")]
			)
		doc.payment_terms_template = None
		doc.due_date = due


def _progress(order: Document, chosen: list[Wanted], earlier: list[Document]) -> Progress:
	left = {row.name: flt(row.qty) for row in order.items}
	for doc in earlier:
		for row in doc.items:
			if row.so_detail in left:
				left[row.so_detail] -= row.qty
	before = amount_of([(row.qty - left[row.name], row.rate) for row in order.items])
	for one in chosen:
		left[one.row.name] -= one.quantity
	return Progress(
		total=amount_of([(row.qty, row.rate) for row in order.items]),
		before=before,
		now=amount_of([(one.quantity, one.row.rate) for one in chosen]),
		last=all(flt(quantity, 9) <= 0 for quantity in left.values()),
	)


def order_of_delivery(delivery: Document) -> str:
	"""Return the one order a delivery belongs to.

	Raises:
		StateConflict: it is not submitted, belongs to none, or to several.
	"""
	names = sorted({row.against_sales_order for row in delivery.items if row.against_sales_order})
	if not sold(delivery):
		raise StateConflict(
			_("{0} {1} is a draft, cancelled or a return; it cannot be billed.").format(
				_(DELIVERY), delivery.name
			),
			pointer="/fulfillment",
			details={"documents": selling.named(DELIVERY, [delivery.name])},
		)
	if len(names) != 1:
		raise StateConflict(
			_("{0} {1} belongs to {2} orders; bill it in ERPNext.").format(
				_(DELIVERY), delivery.name, len(names)
			),
			pointer="/fulfillment",
			details={"documents": selling.named("Sales Order", names)},
		)
	return names[0]
