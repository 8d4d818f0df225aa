"""What goods that come back and credit notes share: rows of a return, cut down to what a call says."""

from dataclasses import dataclass

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt

from erpnext.stock.doctype.serial_no.serial_no import get_serial_nos

from integration_hub.core.work import Work
from integration_hub.exceptions import SerialNotAvailable, SerialRequired
from integration_hub.inbound import stock, warehouses
from integration_hub.inbound.fulfillments import pack
from integration_hub.inbound.lines import Wanted


@dataclass(frozen=True)
class Row:
	"""A row of an invoice or delivery, how much of it comes back, the line of the call that says so, its serial numbers."""

	item: Document
	quantity: float
	wanted: Wanted
	serials: list[str] | None = None


def keep_rows(work: Work, doc: Document, rows: list[Row], link: str, *, moves: bool) -> None:
	"""Keep just the chosen rows of a mapped return, with their quantities, and where goods move, which ones and where to.

	Raises:
		SerialRequired: some of a row come back, and nobody says which.
	"""
	mapped = {row.get(link): (row, abs(row.qty)) for row in doc.items}
	doc.items = []
	for one in rows:
		row, left = mapped[one.item.name]
		if row in doc.items:
			# The same line again, for another batch or warehouse.
			row = doc.append("items", {**row.as_dict(no_default_fields=True), "name": None})
		else:
			doc.items.append(row)
		row.idx = len(doc.items)
		row.qty = -one.quantity
		row.stock_qty = flt(-one.quantity * flt(row.conversion_factor or 1), row.precision("stock_qty"))
		if moves:
			_set_goods(work, row, one, whole=flt(left - one.quantity, 9) == 0)
		else:
			row.update({"serial_no": None, "batch_no": None, "serial_and_batch_bundle": None})
	if doc.get("packed_items"):
		pack(doc)


def _set_goods(work: Work, row: Document, one: Row, *, whole: bool) -> None:
	line, pointer = one.wanted.line, one.wanted.pointer
	if not whole and not one.serials and _has_serials(row):
		raise SerialRequired(
			_("Item {0} has serial numbers. Say which come back.").format(row.item_code),
			pointer=f"{pointer}/serials",
		)
	if line is None:
		return
	stock.set_serials_and_batch(row, one.serials, line.batch)
	if line.warehouse:
		row.warehouse = warehouses.resolve(work.caller, line.warehouse, f"{pointer}/warehouse")


def serials_by_row(one: Wanted, items: list[Document], taken: set[str]) -> dict[str, list[str]]:
	"""Return which serial numbers of a line left with which row, by the row's name.

	Args:
		items: rows of deliveries and invoices the goods left with; of a number that left twice, the last counts.
		taken: serial numbers of other lines; those of this one are added.

	Raises:
		SerialNotAvailable: one that does not exist, is not with the customer, or left with none of these rows.
	"""
	serials, item_code = one.line.serials, one.row.item_code
	known, row_of = stock.known_serials(serials), _left_with(serials, items)
	found: dict[str, list[str]] = {}
	for index, serial in enumerate(serials):
		record = known.get(serial)
		if not record or record.item_code != item_code:
			message = stock.no_such_serial(item_code, serial)
		elif serial in taken:
			message = stock.serial_stands_twice(serial)
		elif record.warehouse:
			message = _("Serial number {0} is not with the customer but in {1}.").format(
				serial, record.warehouse
			)
		elif serial not in row_of:
			message = _("Serial number {0} was not delivered with this line.").format(serial)
		else:
			taken.add(serial)
			found.setdefault(row_of[serial], []).append(serial)
			continue
		raise SerialNotAvailable(message, pointer=f"{one.pointer}/serials/{index}")
	return found


def _left_with(serials: list[str], items: list[Document]) -> dict[str, str]:
	bundles = [item.serial_and_batch_bundle for item in items if item.serial_and_batch_bundle]
	entries = frappe.get_all(
		"Serial and Batch Entry",
		filters={"parent": ("in", bundles), "serial_no": ("in", serials)},
		fields=["parent", "serial_no"],
	)
	found = {}
	for item in items:
		own = [entry.serial_no for entry in entries if entry.parent == item.serial_and_batch_bundle]
		found |= dict.fromkeys([*own, *get_serial_nos(item.serial_no)], item.name)
	return found


def _has_serials(row: Document) -> bool:
	return bool(row.item_code and frappe.get_cached_value("Item", row.item_code, "has_serial_no"))
