"""Give back what was sold: goods (return Delivery Note), credit (credit note), money (Payment Entry)."""

from dataclasses import dataclass, field

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt

from erpnext.controllers.sales_and_purchase_return import make_return_doc

from integration_hub.core import references
from integration_hub.core.references import AlreadyBound
from integration_hub.core.work import Work
from integration_hub.documents.sales import DELIVERY, INVOICE, PAYMENT, deliveries_of, invoices_of
from integration_hub.exceptions import StateConflict
from integration_hub.inbound import credits, paybacks, selling, stock
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.inbound.lines import Nothing, Open, Wanted, shown, sums, wanted
from integration_hub.inbound.returns import Row, keep_rows, serials_by_row
from integration_hub.inbound.selling import Taken
from integration_hub.inbound.shares import documents_before
from integration_hub.schemas.sales import RefundPart


@dataclass
class Sold:
	"""What can be given back: deliveries and invoices, and how much of each of their rows is left."""

	rows: list[Document]
	deliveries: list[Document]
	invoices: list[Document]
	returnable: dict[str, float] = field(default_factory=dict)
	creditable: dict[str, float] = field(default_factory=dict)
	# By the pointer of a line and the row of a delivery or invoice: which serial numbers of the line left with it.
	serials: dict[str, dict[str, list[str]]] = field(default_factory=dict)

	def delivered(self, row: Document) -> list[tuple[Document, Document]]:
		"""Return the deliveries' rows of an order's row; those of invoices that moved the goods themselves, too."""
		movers = [*self.deliveries, *(doc for doc in self.invoices if doc.update_stock)]
		return [(doc, item) for doc in movers for item in doc.items if _origin(item) == row.name]

	def billed(self, row: Document) -> list[tuple[Document, Document]]:
		"""Return the invoices' rows of an order's row."""
		return [(doc, item) for doc in self.invoices for item in doc.items if _origin(item) == row.name]

	def left(self, pairs: list[tuple[Document, Document]], of: dict[str, float]) -> float:
		return flt(sum(max(0.0, of[item.name]) for _doc, item in pairs), 9)

	def take(self, of: dict[str, float], item: Document, one: Wanted, quantity: float, moves: bool) -> Row:
		"""Take of a row what comes back of it; where goods move by serial number, as many as left with it."""
		share, serials = min(quantity, max(0.0, of[item.name])), None
		if moves and one.pointer in self.serials:
			factor = flt(item.conversion_factor or 1)
			serials = self.serials[one.pointer].get(item.name, [])
			share = min(share, flt(len(serials) / factor, 9))
			serials = serials[: round(share * factor)]
		of[item.name] = flt(of[item.name] - share, 9)
		return Row(item, share, one, serials)


def _origin(item: Document) -> str:
	return item.get("so_detail") or item.name


def refund(
	work: Work, order: Document | None, part: RefundPart, pointer: str = "", invoice: Document | None = None
) -> list[Document]:
	"""Give back what `part` names of a locked order, or of one invoice; never more than was sold.

	Returns:
		the documents made, the main one first: credit notes, returns, the payment.

	Raises:
		StateConflict, UnknownLine, QuantityExceedsOpen, AmountExceedsOpen, PaymentMethodNotMapped … with pointer.
	"""
	target = invoice or order
	taken = selling.take_id(work, "refund", "refund", part, target, pointer)
	if taken.existing:
		return _made_before(work, taken)
	sold = _sold(order, invoice)
	if invoice is None:
		selling.check_alone(order, [doc.name for doc in sold.invoices], pointer)
	advance = bool(part.method and order) and not (sold.invoices or part.lines or part.charges)
	chosen = _chosen(sold, part, target, pointer, none=advance)
	_find_serials(sold, chosen)
	made: list[Document] = []

	def keep(doc: Document, object_type: str) -> None:
		made.append(_tie(work, doc, taken, object_type, len(made)))

	plan = _credit_plan(sold, chosen)
	for doc in [] if advance else _credit(work, sold, plan, part, taken, target, pointer):
		keep(doc, "credit_note")
	for doc in _take_back(work, sold, chosen, plan, part, taken, pointer):
		keep(doc, "return")
	if advance:
		keep(paybacks.give_back_advance(work, order, part, taken, pointer), "refund_payment")
	elif not made:
		raise _nothing(sold, target).error(pointer)
	elif part.method:
		keep(paybacks.pay_back(work, made, part, taken, pointer), "refund_payment")
	references.bind(taken.reference, made[0].doctype, made[0].name)
	if part.reason:
		made[0].add_comment("Comment", part.reason)
	return made


def _made_before(work: Work, taken: Taken) -> list[Document]:
	"""Return all documents of a refund that was made before, the main one first."""
	names = [taken.existing]
	for doctype, gives_back in (
		(INVOICE, {"is_return": 1}),
		(DELIVERY, {"is_return": 1}),
		(PAYMENT, {"payment_type": "Pay"}),
	):
		own = {"hub_system": work.caller.name, "hub_external_id": taken.external_id}
		rows = frappe.get_all(
			doctype, filters=own | gives_back, fields=["name", "hub_external_id"], order_by="creation asc"
		)
		# The collation takes RMA-1a for rma-1A.
		names += [(doctype, row.name) for row in rows if row.hub_external_id == taken.external_id]
	made = [frappe.get_doc(*name) for name in dict.fromkeys(names)]
	for doc in made:
		doc.flags.hub_existing = True
	return made


def _tie(work: Work, doc: Document, taken: Taken, object_type: str, number: int) -> Document:
	"""Bind a further Reference for each document of a refund, under its own kind; a number tells several apart."""
	external_id = taken.external_id
	while True:
		try:
			references.add(
				work.caller.name, object_type, external_id, doc.doctype, doc.name, request=work.request
			)
			return doc
		except AlreadyBound:
			number += 1
			external_id = f"{taken.external_id[: selling.MAX_ID - 5]}#{number}"


def _sold(order: Document | None, invoice: Document | None) -> Sold:
	if invoice:
		invoices = [invoice]
		notes = sorted({row.delivery_note for row in invoice.items if row.delivery_note})
		deliveries = documents_before(DELIVERY, notes or (deliveries_of(order.name) if order else []))
	else:
		invoices = documents_before(INVOICE, invoices_of(order.name))
		deliveries = documents_before(DELIVERY, deliveries_of(order.name))
	rows = _rows(order, invoice)
	sold = Sold(rows, deliveries, invoices)
	for doc in deliveries:
		returned = sums("Delivery Note Item", "dn_detail", doc.items, returns=True, parent=DELIVERY)
		sold.returnable |= {row.name: flt(row.qty - returned[row.name], 9) for row in doc.items}
	for doc in invoices:
		credited = sums("Sales Invoice Item", "sales_invoice_item", doc.items, returns=True, parent=INVOICE)
		left = {row.name: flt(row.qty - credited[row.name], 9) for row in doc.items}
		sold.creditable |= left
		if doc.update_stock:
			back = credits.restocked(doc)
			sold.returnable |= {row.name: flt(row.qty - back.get(row.name, 0.0), 9) for row in doc.items}
	return sold


def _rows(order: Document | None, invoice: Document | None) -> list[Document]:
	"""Return the rows that lines of a refund name: the order's, or those of an invoice without order."""
	if order is None:
		return invoice.items
	if invoice is None:
		return order.items
	billed = {row.so_detail for row in invoice.items}
	return [row for row in order.items if row.name in billed]


def _chosen(sold: Sold, part: RefundPart, target: Document, pointer: str, *, none: bool) -> list[Wanted]:
	"""Return the lines a refund means; with `none` it is all right that nothing was delivered or billed."""
	if part.lines is None and (part.amount is not None or part.charges is not None):
		return []
	open_of = {}
	for row in sold.rows:
		most = sold.left(sold.billed(row), sold.creditable)
		if target.doctype != INVOICE:
			# Of an invoice no more comes back than it bills, whatever was delivered with its order.
			most = max(most, sold.left(sold.delivered(row), sold.returnable))
		open_of[row.name] = Open(most, most)
	if none and not any(one.most > 0 for one in open_of.values()):
		return []
	return wanted(sold.rows, part.lines, open_of, pointer, _nothing(sold, target))


def _nothing(sold: Sold, target: Document) -> Nothing:
	documents = [{"doctype": doc.doctype, "name": doc.name} for doc in (*sold.deliveries, *sold.invoices)]
	return Nothing(_("Nothing of {0} is left to give back.").format(target.name), documents)


def _restocks(one: Wanted) -> bool:
	return one.line is None or one.line.restock is not False


def _find_serials(sold: Sold, chosen: list[Wanted]) -> None:
	"""Find out with which rows the serial numbers left that lines name, and that they are as many as come back."""
	taken: set[str] = set()
	for one in chosen:
		if one.line is None or not one.line.serials or not _restocks(one):
			continue
		pairs = sold.delivered(one.row)
		sold.serials[one.pointer] = serials_by_row(one, [item for _doc, item in pairs], taken)
		quantity = min(one.quantity, sold.left(pairs, sold.returnable))
		count = flt(quantity * flt(one.row.conversion_factor or 1), 6)
		if len(one.line.serials) != count:
			raise stock.wrong_number_of_serials(
				one.line.serials, count, one.row.item_code, f"{one.pointer}/serials"
			)


# Rows to credit, by invoice and whether its credit note moves the goods back.
Plan = dict[tuple[str, bool], list[Row]]


def _credit_plan(sold: Sold, chosen: list[Wanted]) -> Plan:
	plan: Plan = {}
	for one in chosen:
		quantity = one.quantity
		for doc, item in sold.billed(one.row):
			moves = bool(doc.update_stock) and _restocks(one)
			row = sold.take(sold.creditable, item, one, quantity, moves)
			if row.quantity > 0:
				plan.setdefault((doc.name, moves), []).append(row)
				quantity = flt(quantity - row.quantity, 9)
	return plan


def _moved_back(plan: Plan, one: Wanted) -> float:
	"""Return how much of a line the credit notes themselves bring back."""
	return flt(
		sum(
			row.quantity
			for (_name, moves), rows in plan.items()
			if moves
			for row in rows
			if row.wanted is one
		),
		9,
	)


def _credit(
	work: Work,
	sold: Sold,
	plan: Plan,
	part: RefundPart,
	taken: Taken,
	target: Document,
	pointer: str,
) -> list[Document]:
	"""Credit what is billed of the chosen lines, and charges; or an amount."""
	if not sold.invoices:
		if part.amount is not None or part.charges is not None:
			raise StateConflict(
				_("Nothing of {0} is billed yet, so there is nothing to credit.").format(target.name),
				pointer=pointer,
			)
		return []
	if part.lines is None and part.charges is None and part.amount is not None:
		return credits.credit_amount(work, sold.invoices, part, taken, pointer)
	return credits.credit_lines(work, sold.invoices, plan, part, taken, pointer)


def _take_back(
	work: Work,
	sold: Sold,
	chosen: list[Wanted],
	plan: Plan,
	part: RefundPart,
	taken: Taken,
	pointer: str,
) -> list[Document]:
	"""Return the goods of the chosen lines to the deliveries they came with, but for what credit notes bring back."""
	returns: dict[str, list[Row]] = {}
	for one in chosen:
		if not _restocks(one):
			continue
		quantity = flt(one.quantity - _moved_back(plan, one), 9)
		there = sold.left(sold.delivered(one.row), sold.returnable)
		if one.line is not None and one.line.restock and one.quantity > there:
			raise StateConflict(
				_("{0} of {1} can come back into stock: only so much was delivered.").format(
					shown(there), one.row.item_code
				),
				pointer=f"{one.pointer}/restock",
				details={"documents": selling.named(DELIVERY, [doc.name for doc in sold.deliveries])},
			)
		for doc, item in _notes_of(sold, one):
			row = sold.take(sold.returnable, item, one, quantity, True)
			if row.quantity > 0:
				returns.setdefault(doc.name, []).append(row)
				quantity = flt(quantity - row.quantity, 9)
	return [_return(work, name, rows, part, taken, pointer) for name, rows in returns.items()]


def _notes_of(sold: Sold, one: Wanted) -> list[tuple[Document, Document]]:
	"""Return the Delivery Notes' rows of a line; those its batch left with come first."""
	pairs = [(doc, item) for doc, item in sold.delivered(one.row) if doc.doctype == DELIVERY]
	if one.line is None or not one.line.batch or len(pairs) < 2:
		return pairs
	bundles = [item.serial_and_batch_bundle for _doc, item in pairs if item.serial_and_batch_bundle]
	held = set(
		frappe.get_all(
			"Serial and Batch Entry",
			filters={"parent": ("in", bundles), "batch_no": one.line.batch},
			pluck="parent",
		)
	)
	return sorted(pairs, key=lambda pair: pair[1].serial_and_batch_bundle not in held)


def _return(work: Work, name: str, rows: list[Row], part: RefundPart, taken: Taken, pointer: str) -> Document:
	selling.check_rights(work.caller, DELIVERY)
	with translated():
		doc = make_return_doc(DELIVERY, name)
	keep_rows(work, doc, rows, "dn_detail", moves=True)
	selling.set_posting(doc, part.posting_at, pointer)
	with translated():
		doc.run_method("calculate_taxes_and_totals")
	return selling.save(work, doc, Taken(taken.external_id))
