"""Identifiers of an order's lines → Items, in a few queries however many lines there are."""

from decimal import Decimal

import frappe
from frappe import _

from erpnext.stock.doctype.item.item import get_uom_conv_factor

from integration_hub.core import references
from integration_hub.core.references import AlreadyBound
from integration_hub.core.work import Work
from integration_hub.exceptions import (
	ItemAmbiguous,
	ItemDisabled,
	ItemNotSellable,
	QuantityNotWhole,
	UnknownItem,
	UnknownUom,
	UomNotConvertible,
)
from integration_hub.schemas.orders import OrderLine, OrderLineUpdate

IDENTIFIERS = ("item_code", "sku", "item_external_id", "barcode")
LONGEST_CODE = 140
ITEM_FIELDS = [
	"name",
	"item_name",
	"disabled",
	"has_variants",
	"is_sales_item",
	"stock_uom",
	"is_stock_item",
	"item_group",
]


def resolve(work: Work, lines: list[OrderLine], pointers: list[str]) -> list[frappe._dict]:
	"""Return the Item (fields of ITEM_FIELDS) of each line.

	Args:
		pointers: where each line stands in the call.

	Raises:
		UnknownItem, ItemAmbiguous, ItemDisabled, ItemNotSellable: for the first line at fault.
	"""
	names = _Names(work.caller.name, lines)
	wanted = [_pick(work, line, names, at) for line, at in zip(lines, pointers, strict=True)]
	items = names.items | _read(set(wanted) - set(names.items))
	for name, pointer, line in zip(wanted, pointers, lines, strict=True):
		_check(items[name], pointer, line)
	return [items[name] for name in wanted]


def leads_to(work: Work, line: OrderLine | OrderLineUpdate, item: str) -> bool:
	"""Whether the line's identifiers mean this Item, as they did when its order was placed."""
	system = work.caller.system
	found = set(_Names(system.name, [line]).of(line).values())
	fallback = system.fallback_item if system.unknown_item_policy == "Use Fallback" else None
	return (found or {fallback}) == {item}


class _Names:
	"""Item names by each kind of identifier, looked up at once."""

	def __init__(self, system: str, lines: list[OrderLine]):
		codes = {code for line in lines for code in (line.item_code, line.sku) if code}
		self.items = _read(codes)
		self.by_code = {name: name for name in self.items}
		self.by_sku = self._references(system, "sku", {line.sku for line in lines if line.sku})
		self.by_external_id = self._references(
			system, "item", {line.item_external_id for line in lines if line.item_external_id}
		)
		self.by_barcode = self._barcodes({line.barcode for line in lines if line.barcode})

	@staticmethod
	def _references(system: str, object_type: str, ids: set[str]) -> dict[str, str]:
		found = references.find_many(system, object_type, sorted(ids))
		return {
			external_id: reference.document_name
			for external_id, reference in found.items()
			if reference.state == references.LIVE and reference.document_type == "Item"
		}

	@staticmethod
	def _barcodes(barcodes: set[str]) -> dict[str, str]:
		if not barcodes:
			return {}
		rows = frappe.get_all(
			"Item Barcode", filters={"barcode": ("in", sorted(barcodes))}, fields=["barcode", "parent"]
		)
		return {row.barcode: row.parent for row in rows if row.barcode in barcodes}

	def of(self, line: OrderLine) -> dict[str, str]:
		"""Return the Item each identifier of the line leads to, by the identifier's field; absent where unknown."""
		found = {
			"item_code": self.by_code.get(line.item_code),
			"item_external_id": self.by_external_id.get(line.item_external_id),
			"sku": self.by_sku.get(line.sku) or self.by_code.get(line.sku),
			"barcode": self.by_barcode.get(line.barcode),
		}
		return {identifier: name for identifier, name in found.items() if name}


def _read(names: set[str]) -> dict[str, frappe._dict]:
	if not names:
		return {}
	rows = frappe.get_all("Item", filters={"name": ("in", sorted(names))}, fields=ITEM_FIELDS)
	# The collation takes "abc" for "ABC"; an identifier is what it is, character for character.
	return {row.name: row for row in rows if row.name in names}


def _pick(work: Work, line: OrderLine, names: _Names, pointer: str) -> str:
	found = names.of(line)
	if len(set(found.values())) > 1:
		listed = ", ".join(f"{identifier} → {name}" for identifier, name in found.items())
		raise ItemAmbiguous(_("The identifiers name different items: {0}.").format(listed), pointer=pointer)
	return next(iter(found.values()), None) or _unknown(work, line, names, pointer)


def _unknown(work: Work, line: OrderLine, names: _Names, pointer: str) -> str:
	policy = work.caller.system.unknown_item_policy
	if policy == "Use Fallback":
		return work.caller.system.fallback_item
	if policy == "Create":
		return _create(work, line, names, pointer)
	identifier = next(each for each in IDENTIFIERS if getattr(line, each))
	raise UnknownItem(
		_("No item has the {0} {1}. Create the item, or bind the id to it by an External Reference.").format(
			identifier, getattr(line, identifier)
		),
		pointer=f"{pointer}/{identifier}",
	)


def _create(work: Work, line: OrderLine, names: _Names, pointer: str) -> str:
	"""Make an item of the line's own words; a second order that races for the same one waits and finds it.

	An id is the system's own, so the code made of it begins with the system: another shop's item may have the same one.
	"""
	system = work.caller.system
	kind, said = "sku", line.item_code or line.sku
	if not said and line.item_external_id:
		kind, said = "item", line.item_external_id
	said = said or line.barcode
	code = f"{system.name}-{said}" if kind == "item" else said
	if len(code) > LONGEST_CODE:
		raise UnknownItem(
			_(
				"The code {0} of a new item would be longer than {1} characters. Send a sku, or make the item."
			).format(code, LONGEST_CODE),
			pointer=pointer,
		)
	try:
		reference = references.reserve_again(system.name, kind, said, request=work.request)
	except AlreadyBound:
		return references.live_document(system.name, kind, said, "Item") or _known(code)
	if there := frappe.db.exists("Item", code):
		raise ItemAmbiguous(
			_(
				"There is an item {0}, and nothing says that it is meant. Bind the id to it by an External Reference."
			).format(there),
			pointer=pointer,
		)
	item = frappe.get_doc(
		{
			"doctype": "Item",
			"item_code": code,
			"item_name": line.name or code,
			"item_group": system.item_group,
			"stock_uom": system.stock_uom,
			"is_stock_item": system.new_items_are_stock,
			"barcodes": [{"barcode": line.barcode}] if line.barcode else [],
			"hub_system": system.name,
			"hub_external_id": said,
		}
	)
	item.flags.hub_origin = True
	item.insert()
	references.bind(reference, "Item", item.name)
	if line.item_external_id and kind != "item":
		_tie(work, line.item_external_id, item.name)
	if line.item_external_id:
		names.by_external_id[line.item_external_id] = item.name
	names.by_code[code] = item.name
	if kind == "sku":
		names.by_sku[code] = item.name
	if line.barcode:
		names.by_barcode[line.barcode] = item.name
	work.made.append(("Item", item.name))
	return item.name


def _known(code: str) -> str:
	"""Return the code if an Item has it; its id is tied to something else."""
	if frappe.db.get_value("Item", code, "name") != code:
		raise UnknownItem(
			_("The id {0} is tied to something that is no item. Look at its External Reference.").format(
				code
			),
			pointer="/lines",
		)
	return code


def _tie(work: Work, external_id: str, name: str) -> None:
	try:
		references.add(work.caller.name, "item", external_id, "Item", name, work.request)
	except AlreadyBound:
		raise ItemAmbiguous(
			_("The id {0} is tied to another item. Look at its External Reference.").format(external_id),
			pointer="/lines",
		) from None


def _check(item: frappe._dict, pointer: str, line: OrderLine) -> None:
	if item.disabled:
		raise ItemDisabled(
			_("Item {0} is disabled. Enable it in ERPNext, or leave the line out.").format(item.name),
			pointer=pointer,
		)
	if item.has_variants:
		raise ItemNotSellable(
			_("Item {0} is a template; order one of its variants.").format(item.name), pointer=pointer
		)
	if not item.is_sales_item:
		raise ItemNotSellable(
			_("Item {0} is not marked for sale (“Allow Sales”).").format(item.name), pointer=pointer
		)


def check_uom(item: frappe._dict, uom: str, pointer: str) -> float:
	"""Return the conversion factor from `uom` to the item's stock unit.

	Raises:
		UnknownUom, UomNotConvertible
	"""
	if uom == item.stock_uom:
		return 1.0
	if frappe.db.get_value("UOM", uom, "name") != uom:
		raise UnknownUom(_("There is no unit {0}. Send ERPNext's name of it.").format(uom), pointer=pointer)
	factor = frappe.db.get_value(
		"UOM Conversion Detail", {"parent": item.name, "uom": uom}, "conversion_factor"
	)
	factor = factor or get_uom_conv_factor(uom, item.stock_uom)
	if not factor:
		raise UomNotConvertible(
			_("Item {0} is kept in {1} and has no conversion from {2}. Add it to the item's units.").format(
				item.name, item.stock_uom, uom
			),
			pointer=pointer,
		)
	return factor


def check_whole(uom: str, quantity: Decimal, pointer: str) -> None:
	"""Raise QuantityNotWhole when the unit is counted, not measured."""
	if quantity != int(quantity) and frappe.get_cached_value("UOM", uom, "must_be_whole_number"):
		raise QuantityNotWhole(
			_("{0} is no whole number, and {1} takes whole numbers only.").format(quantity, uom),
			pointer=pointer,
		)
