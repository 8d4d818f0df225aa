"""Deliver lines of an order → a Delivery Note."""

from frappe import _
from frappe.model.document import Document
from frappe.utils import flt

from erpnext.selling.doctype.sales_order.sales_order import make_delivery_note
from erpnext.stock.doctype.packed_item.packed_item import make_packing_list

from integration_hub.core.work import Work
from integration_hub.documents.sales import DELIVERY, INVOICE, deliveries_of, sold
from integration_hub.exceptions import QuantityExceedsOpen
from integration_hub.inbound import selling, stock, warehouses
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.inbound.lines import Nothing, Open, Wanted, shown, sums, wanted
from integration_hub.inbound.shares import Progress, amount_of, documents_before, take_share
from integration_hub.schemas.sales import FulfillPart


def fulfill(work: Work, order: Document, part: FulfillPart, pointer: str = "") -> Document:
	"""Deliver what `part` names of a locked order; the delivery of the same id, if it was made before.

	Raises:
		StateConflict, UnknownLine, QuantityExceedsOpen, StockShort, SerialRequired, BatchRequired … with pointer.
	"""
	taken = selling.take_id(work, "fulfill", "fulfillment", part, order, pointer)
	if taken.existing:
		return selling.existing(taken)
	names = deliveries_of(order.name)
	earlier = documents_before(DELIVERY, names) if names else []
	rows = [row for row in order.items if not row.delivered_by_supplier]
	credited = sums("Sales Invoice Item", "so_detail", rows, returns=True, parent=INVOICE)
	open_of = {row.name: open_quantity(row, credited[row.name]) for row in rows}
	nothing = Nothing(
		_("Nothing of order {0} is left to deliver.").format(order.name),
		selling.named(DELIVERY, [doc.name for doc in earlier]),
	)
	chosen = wanted(rows, part.lines, open_of, pointer, nothing)
	selling.check_rights(work.caller, DELIVERY, part.submit)
	with translated():
		doc = selling.mapped(make_delivery_note, DELIVERY, order.name)
	placed = place_rows(doc, chosen, nothing)
	_set_warehouses(work, doc, placed, part, pointer)
	selling.set_posting(doc, part.posting_at, pointer)
	with translated():
		take_share(doc, order, earlier, _progress(rows, chosen, open_of, earlier))
	doc.update(
		{
			"hub_carrier": part.carrier,
			"hub_tracking_number": part.tracking_number,
			"hub_tracking_url": part.tracking_url,
		}
	)
	if part.submit:
		selling.lock_bins(doc)
		stock.check_outgoing(doc, [one.pointer for one in placed])
	return selling.save(work, doc, taken, submit=part.submit)


def open_quantity(row: Document, credited: float) -> Open:
	"""Return what may still be delivered of an order's row; what came back or was credited goes out only when asked for."""
	most = flt(row.qty - flt(row.delivered_qty), 9)
	return Open(most, max(0.0, flt(most - max(flt(row.returned_qty), credited), 9)))


def place_rows(doc: Document, chosen: list[Wanted], nothing: Nothing) -> list[Wanted]:
	"""Keep just the chosen rows of a mapped document, with their quantities, serial numbers and batches.

	Returns:
		for each row of the document, whom it is for.

	Raises:
		StateConflict: ERPNext, which counts by amount what is billed, takes a row for done.
	"""
	mapped: dict[str, list[list]] = {}
	for row in doc.items:
		mapped.setdefault(row.so_detail, []).append([row, flt(row.qty)])
	doc.items, placed = [], []
	for one in chosen:
		if one.row.name not in mapped:
			raise nothing.error(one.pointer)
		for row, quantity in _spread(mapped[one.row.name], one):
			if row in doc.items:
				# The same line again, for another batch or warehouse.
				row = doc.append("items", {**row.as_dict(no_default_fields=True), "name": None})
			else:
				doc.items.append(row)
			row.idx = len(doc.items)
			row.qty = quantity
			row.stock_qty = flt(quantity * flt(row.conversion_factor or 1), row.precision("stock_qty"))
			if one.line is not None:
				stock.set_serials_and_batch(row, one.line.serials, one.line.batch)
			placed.append(one)
	return placed


def _spread(rows: list[list], one: Wanted) -> list[tuple[Document, float]]:
	"""Return how much of a line each mapped row takes; a delivery may hold a line several times.

	Args:
		rows: [row, what is left of it]; what is taken is subtracted.

	Raises:
		QuantityExceedsOpen: the rows have less left, by ERPNext's count.
	"""
	if len(rows) == 1:
		return [(rows[0][0], one.quantity)]
	taken, quantity = [], one.quantity
	for pair in rows:
		part = min(pair[1], quantity)
		if part > 0:
			taken.append((pair[0], part))
			pair[1] = flt(pair[1] - part, 9)
			quantity = flt(quantity - part, 9)
	if quantity > 0:
		most = flt(one.quantity - quantity, 9)
		raise QuantityExceedsOpen(
			_("{0} asked for, {1} open of {2}.").format(shown(one.quantity), shown(most), one.row.item_code),
			pointer=f"{one.pointer}/quantity" if one.line else one.pointer,
			details={"open": most},
		)
	return taken


def _set_warehouses(work: Work, doc: Document, placed: list[Wanted], part: FulfillPart, pointer: str) -> None:
	everywhere = (
		warehouses.resolve(work.caller, part.warehouse, f"{pointer}/warehouse") if part.warehouse else None
	)
	for row, one in zip(doc.items, placed, strict=True):
		own = one.line.warehouse if one.line else None
		if own:
			row.warehouse = warehouses.resolve(work.caller, own, f"{one.pointer}/warehouse")
		elif everywhere:
			row.warehouse = everywhere
	if doc.get("packed_items"):
		pack(doc)


def pack(doc: Document) -> None:
	"""List what the product bundles of a document hold, with its quantities and warehouses as they are now."""
	doc.packed_items = []
	make_packing_list(doc)


def _progress(
	rows: list[Document], chosen: list[Wanted], open_of: dict[str, Open], earlier: list[Document]
) -> Progress:
	left = {name: one.most for name, one in open_of.items()}
	for one in chosen:
		left[one.row.name] -= one.quantity
	rate_of = {row.name: row.rate for row in rows}
	before = [row for doc in earlier if sold(doc) for row in doc.items]
	return Progress(
		total=amount_of([(row.qty, row.rate) for row in rows]),
		# At the prices of today, and without what such a document delivers of other orders.
		before=amount_of([(row.qty, rate_of.get(row.so_detail)) for row in before]),
		now=amount_of([(one.quantity, one.row.rate) for one in chosen]),
		last=all(flt(quantity, 9) <= 0 for quantity in left.values()),
	)
