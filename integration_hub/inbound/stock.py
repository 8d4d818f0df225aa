"""Whether the goods of a delivery are there: quantities, serial numbers and batches, checked before ERPNext books them."""

from dataclasses import dataclass, field

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import cint, flt, getdate

from erpnext.stock.doctype.batch.batch import get_batch_qty

from integration_hub.exceptions import (
	BatchNotAvailable,
	BatchRequired,
	SerialNotAvailable,
	SerialRequired,
	StockShort,
)
from integration_hub.inbound.lines import shown

# Picks serial numbers and batches by itself when nothing is said.
_PICKS = "auto_create_serial_and_batch_bundle_for_outward"


@dataclass
class _Items:
	"""Stock items of a document, read once."""

	by_code: dict[str, frappe._dict] = field(default_factory=dict)

	@classmethod
	def of(cls, doc: Document) -> "_Items":
		codes = {row.item_code for row in _moved(doc) if row.item_code}
		fields = ["name", "is_stock_item", "has_serial_no", "has_batch_no", "allow_negative_stock"]
		rows = frappe.get_all(
			"Item", filters={"name": ("in", sorted(codes)), "is_stock_item": 1}, fields=fields
		)
		return cls({row.name: row for row in rows})


def _moved(doc: Document) -> list[Document]:
	return [*doc.items, *(doc.get("packed_items") or [])]


def set_serials_and_batch(row: Document, serials: list[str] | None, batch: str | None) -> None:
	"""Say which serial numbers and which batch a row moves."""
	if serials or batch:
		row.use_serial_batch_fields = 1
		row.serial_and_batch_bundle = None
		row.serial_no = "\n".join(serials or [])
		row.batch_no = batch


def known_serials(serials: list[str]) -> dict[str, frappe._dict]:
	"""Return name, item_code and warehouse of those serial numbers that exist, by their exact names."""
	rows = frappe.get_all(
		"Serial No", filters={"name": ("in", serials)}, fields=["name", "item_code", "warehouse"]
	)
	return {row.name: row for row in rows}


def no_such_serial(item: str, serial: str) -> str:
	return _("Item {0} has no serial number {1}.").format(item, serial)


def serial_stands_twice(serial: str) -> str:
	return _("Serial number {0} stands on two lines.").format(serial)


def wrong_number_of_serials(serials: list[str], quantity: float, item: str, pointer: str) -> SerialRequired:
	return SerialRequired(
		_("{0} serial numbers for a quantity of {1} of {2}.").format(len(serials), shown(quantity), item),
		pointer=pointer,
	)


def check_outgoing(doc: Document, pointers: list[str]) -> None:
	"""Check that what a delivery takes out is there; its Bins are locked.

	Args:
		pointers: of the document's rows, in their order.

	Raises:
		SerialRequired, SerialNotAvailable, BatchRequired, BatchNotAvailable, StockShort
	"""
	items = _Items.of(doc)
	picks = cint(frappe.db.get_single_value("Stock Settings", _PICKS))
	serials: set[str] = set()
	batches: dict[tuple[str, str], float] = {}
	for row, pointer in zip(doc.items, pointers, strict=True):
		item = items.by_code.get(row.item_code)
		if item:
			_check_serials(row, item, picks, serials, pointer)
			_check_batch(doc, row, item, picks, batches, pointer)
	_check_quantities(doc, items, pointers)


def _check_serials(row: Document, item: frappe._dict, picks: int, taken: set[str], pointer: str) -> None:
	serials = (row.serial_no or "").split("\n") if row.serial_no else []
	if not item.has_serial_no:
		if serials:
			raise SerialNotAvailable(
				_("Item {0} has no serial numbers. Leave them out.").format(item.name),
				pointer=_within(pointer, "serials"),
			)
		return
	if not serials:
		if not picks:
			raise SerialRequired(
				_("Item {0} has serial numbers. Say which {1} are delivered.").format(item.name, _count(row)),
				pointer=_within(pointer, "serials"),
			)
		return
	if len(serials) != _count(row):
		raise wrong_number_of_serials(serials, _count(row), item.name, _within(pointer, "serials"))
	_check_each_serial(row, serials, taken, pointer)


def _check_each_serial(row: Document, serials: list[str], taken: set[str], pointer: str) -> None:
	known = known_serials(serials)
	for index, serial in enumerate(serials):
		found = known.get(serial)
		if not found or found.item_code != row.item_code:
			message = no_such_serial(row.item_code, serial)
		elif serial in taken:
			message = serial_stands_twice(serial)
		elif found.warehouse != row.warehouse:
			where = found.warehouse or _("no warehouse: it is delivered or not received yet")
			message = _("Serial number {0} is not in {1} but in {2}.").format(serial, row.warehouse, where)
		else:
			taken.add(serial)
			continue
		raise SerialNotAvailable(message, pointer=f"{pointer}/serials/{index}")


def _within(pointer: str, field: str) -> str:
	"""Return where a line says something; where the call names no lines, `/lines`: it has to."""
	return f"{pointer}/{field}" if pointer[-1:].isdigit() else pointer


def _count(row: Document) -> int:
	return round(flt(flt(row.qty) * flt(row.conversion_factor or 1), 6))


def _check_batch(
	doc: Document,
	row: Document,
	item: frappe._dict,
	picks: int,
	taken: dict[tuple[str, str], float],
	pointer: str,
) -> None:
	if not row.batch_no:
		if item.has_batch_no and not picks and not row.serial_no:
			raise BatchRequired(
				_("Item {0} is kept in batches. Say which one is delivered.").format(item.name),
				pointer=_within(pointer, "batch"),
			)
		return
	batch = frappe.db.get_value(
		"Batch", row.batch_no, ["name", "item", "disabled", "expiry_date"], as_dict=True
	)
	problem = None
	if not item.has_batch_no:
		problem = _("Item {0} is not kept in batches. Leave the batch out.").format(item.name)
	elif not batch or batch.name != row.batch_no or batch.item != item.name:
		problem = _("Item {0} has no batch {1}.").format(item.name, row.batch_no)
	elif batch.disabled:
		problem = _("Batch {0} is disabled.").format(batch.name)
	elif batch.expiry_date and getdate(batch.expiry_date) < getdate(doc.posting_date):
		problem = _("Batch {0} expired on {1}.").format(batch.name, batch.expiry_date)
	if problem:
		raise BatchNotAvailable(problem, pointer=f"{pointer}/batch")
	key = (batch.name, row.warehouse)
	needed = taken[key] = taken.get(key, 0.0) + flt(row.qty) * flt(row.conversion_factor or 1)
	available = flt(get_batch_qty(batch.name, row.warehouse, item.name))
	if flt(needed - available, 6) > 0 and not item.allow_negative_stock:
		raise _short([_missing(item.name, row.warehouse, needed, available, batch.name)], pointer)


def _check_quantities(doc: Document, items: _Items, pointers: list[str]) -> None:
	if cint(frappe.db.get_single_value("Stock Settings", "allow_negative_stock")):
		return
	needed: dict[tuple[str, str], float] = {}
	for row in _moved(doc):
		item = items.by_code.get(row.item_code)
		if item and not item.allow_negative_stock and row.warehouse:
			key = (row.item_code, row.warehouse)
			factor = 1 if row.doctype == "Packed Item" else flt(row.conversion_factor or 1)
			needed[key] = needed.get(key, 0) + flt(row.qty) * factor
	if not needed:
		return
	rows = frappe.get_all(
		"Bin",
		filters={
			"item_code": ("in", sorted({item for item, _warehouse in needed})),
			"warehouse": ("in", sorted({warehouse for _item, warehouse in needed})),
		},
		fields=["item_code", "warehouse", "actual_qty"],
	)
	there = {(row.item_code, row.warehouse): row.actual_qty for row in rows}
	missing = [
		_missing(*key, quantity, there.get(key, 0.0))
		for key, quantity in needed.items()
		if flt(quantity - there.get(key, 0.0), 6) > 0
	]
	if missing:
		first = next(
			(
				pointer
				for row, pointer in zip(doc.items, pointers, strict=True)
				if row.item_code == missing[0]["item_code"]
			),
			pointers[0],
		)
		raise _short(missing, first)


def _missing(item: str, warehouse: str, needed: float, available: float, batch: str | None = None) -> dict:
	found = {
		"item_code": item,
		"warehouse": warehouse,
		"needed": flt(needed, 9),
		"available": flt(available, 9),
	}
	return {**found, "batch": batch} if batch else found


def _short(missing: list[dict], pointer: str) -> StockShort:
	first = missing[0]
	message = _(
		"{0} of {1} needed in {2}, {3} there. Receive or move stock, then send the call again."
	).format(shown(first["needed"]), first["item_code"], first["warehouse"], shown(first["available"]))
	if len(missing) > 1:
		message = f"{message} {_('({0} items are short in all)').format(len(missing))}"
	return StockShort(message, pointer=pointer, details={"missing": missing})
