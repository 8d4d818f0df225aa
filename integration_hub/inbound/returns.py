"""What goods that come back and credit notes share: rows of a return, cut down to what a call says."""

from dataclasses import dataclass

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt

from integration_hub.core.work import Work
from integration_hub.exceptions import SerialNotAvailable, SerialRequired
from integration_hub.inbound import stock, warehouses
from integration_hub.inbound.lines import Wanted


@dataclass(frozen=True)
class Row:
	"""A row of an invoice or delivery, how much of it comes back, and the line of the call that says so."""

	item: Document
	quantity: float
	wanted: Wanted


def keep_rows(work: Work, doc: Document, rows: list[Row], link: str) -> None:
	"""Keep just the chosen rows of a mapped return, with their quantities, serial numbers, batches and warehouses."""
	mapped = {row.get(link): row for row in doc.items}
	doc.items = []
	for idx, one in enumerate(rows, 1):
		row = mapped[one.item.name]
		row.idx = idx
		whole = flt(abs(row.qty) - one.quantity, 9) == 0
		row.qty = -one.quantity
		row.stock_qty = flt(-one.quantity * flt(row.conversion_factor or 1), row.precision("stock_qty"))
		line = one.wanted.line
		if line is not None:
			_check_serials(row, one)
			stock.set_serials_and_batch(row, line)
			if line.warehouse:
				row.warehouse = warehouses.resolve(
					work.caller, line.warehouse, f"{one.wanted.pointer}/warehouse"
				)
		if not whole and not (line and line.serials) and _has_serials(row):
			raise SerialRequired(
				_("Item {0} has serial numbers. Say which come back.").format(row.item_code),
				pointer=f"{one.wanted.pointer}/serials",
			)
		doc.items.append(row)
	kept = {row.item_code for row in doc.items}
	if doc.get("packed_items"):
		factors = {one.item.item_code: one.quantity / one.item.qty for one in rows}
		doc.packed_items = [row for row in doc.packed_items if row.parent_item in kept]
		for row in doc.packed_items:
			row.qty = flt(row.qty * factors[row.parent_item], row.precision("qty"))


def _check_serials(row: Document, one: Row) -> None:
	"""Check that the serial numbers of a line are as many as come back, and with the customer."""
	serials, at = one.wanted.line.serials or [], f"{one.wanted.pointer}/serials"
	if not serials:
		return
	if len(serials) != abs(row.stock_qty):
		raise SerialRequired(
			_("{0} serial numbers for a quantity of {1} of {2}.").format(
				len(serials), abs(row.stock_qty), row.item_code
			),
			pointer=at,
		)
	for index, serial in enumerate(serials):
		found = frappe.db.get_value("Serial No", serial, ["name", "item_code", "warehouse"], as_dict=True)
		if not found or found.item_code != row.item_code:
			message = _("Item {0} has no serial number {1}.").format(row.item_code, serial)
		elif found.warehouse:
			message = _("Serial number {0} is not with the customer but in {1}.").format(
				serial, found.warehouse
			)
		else:
			continue
		raise SerialNotAvailable(message, pointer=f"{at}/{index}")


def _has_serials(row: Document) -> bool:
	return bool(row.item_code and frappe.get_cached_value("Item", row.item_code, "has_serial_no"))
