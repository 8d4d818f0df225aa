"""Change an order: numbers, dates, addresses and lines, as far as ERPNext allows once it is submitted."""

import json
from decimal import Decimal

import frappe
from frappe import _
from frappe.contacts.doctype.address.address import render_address
from frappe.model.document import Document
from frappe.utils import flt

from erpnext.controllers.accounts_controller import update_child_qty_rate

from integration_hub.core.operations import Operation
from integration_hub.core.work import Result, Work
from integration_hub.documents.orders import order_answer
from integration_hub.documents.sales import DELIVERY, INVOICE, ORDER, PAYMENT, invoices_of, payments_of
from integration_hub.exceptions import StateConflict, UnknownLine
from integration_hub.inbound import addresses, items, orders, selling, totals, warehouses
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.inbound.money import check_decimals
from integration_hub.inbound.times import site_date
from integration_hub.schemas.orders import Address, OrderEnvelope, OrderLine, OrderLineUpdate, OrderUpdate

_ADDRESSES = {
	"billing": ("customer_address", "address_display"),
	"shipping": ("shipping_address_name", "shipping_address"),
}
# What ERPNext's "Update Items" leaves out.
_OF_NEW_ROWS = ("hub_external_id", "item_name", "description", "additional_notes")


def update(work: Work) -> Result:
	"""Change what the call names of an order; everything else stays.

	Raises:
		NotFound, UnknownLine, TotalsDiffer
		StateConflict: naming the documents that stand in the way.
	"""
	change: OrderUpdate = work.payload
	order = selling.locked(ORDER, orders.find(work.caller, change.external_id, change.name))
	_check_changeable(order)
	selling.check_rights(work.caller, ORDER, submit=False, right="write")
	order.flags.hub_origin = True
	with translated():
		_change_head(work, order, change)
		if change.lines:
			order = _change_lines(work, order, change.lines)
	_check_totals(work, order, change)
	order.reload()
	return Result({"order": order_answer(order, work.caller.name)}, (ORDER, order.name))


def _check_changeable(order: Document) -> None:
	if order.docstatus == 2 or order.status == "Closed":
		raise StateConflict(
			_("Order {0} is {1}; nothing of it can be changed.").format(order.name, _(order.status)),
			details={"documents": selling.named(ORDER, [order.name])},
		)


def _change_head(work: Work, order: Document, change: OrderUpdate) -> None:
	said = change.model_fields_set
	if "order_number" in said:
		order.hub_order_number = change.order_number
		if work.caller.system.order_number_as_po:
			order.po_no = change.order_number
	if "note" in said:
		order.hub_note = change.note
	if change.deliver_by:
		day = orders.not_before(
			site_date(change.deliver_by, "/deliver_by"), order.transaction_date, "/deliver_by"
		)
		order.delivery_date = day
		for row in order.items:
			row.delivery_date = day
	for kind, (fieldname, display) in _ADDRESSES.items():
		if address := getattr(change, f"{kind}_address"):
			_change_address(work, order, address, kind, fieldname, display)
	if said & {"order_number", "note", "deliver_by", "billing_address", "shipping_address"}:
		order.save()


def _change_address(
	work: Work, order: Document, address: Address, kind: str, fieldname: str, display: str
) -> None:
	name = addresses.resolve(work, order.customer, address, kind.title(), f"/{kind}_address")
	if name == order.get(fieldname):
		# Whoever sends the whole order again may, also where ERPNext lets nobody change its address.
		return
	if order.docstatus == 1 and not order.meta.get_field(fieldname).allow_on_submit:
		raise StateConflict(
			_(
				"ERPNext does not let submitted order {0} change its {1}. Allow it after submit in Customize Form, or cancel the order and place it again."
			).format(order.name, order.meta.get_label(fieldname)),
			pointer=f"/{kind}_address",
			details={"documents": selling.named(ORDER, [order.name])},
		)
	order.set(fieldname, name)
	# A submitted order is not validated again, which would write it out.
	order.set(display, render_address(name, check_permissions=False))


def _change_lines(work: Work, order: Document, lines: list[OrderLineUpdate]) -> Document:
	by_id = {row.hub_external_id: row for row in order.items if row.get("hub_external_id")}
	added, removed = [], set()
	for index, line in enumerate(lines):
		pointer = f"/lines/{index}"
		row = by_id.get(line.external_id)
		if row is None:
			added.append((_new_line(line, pointer), pointer))
		elif line.remove:
			_check_removable(row, pointer)
			removed.add(row.name)
		else:
			_change_row(work, order, row, line, pointer)
	if removed and len(removed) == len(order.items) and not added:
		raise StateConflict(
			_("These are all lines of order {0}. Cancel the order instead.").format(order.name),
			pointer="/lines",
		)
	if order.docstatus == 0:
		return _save_draft(work, order, added, removed)
	return _save_submitted(work, order, added, removed)


def _new_line(line: OrderLineUpdate, pointer: str) -> OrderLine:
	"""Return a line to add.

	Raises:
		UnknownLine: it is not said to be a new one.
	"""
	new = any(getattr(line, field) for field in items.IDENTIFIERS)
	if line.remove or not new or line.quantity is None or line.unit_price is None:
		raise UnknownLine(
			_(
				"The order has no line {0}. To add one, send its item (sku, item_code …), quantity and unit_price."
			).format(line.external_id),
			pointer=f"{pointer}/external_id",
		)
	return OrderLine.model_validate(line.model_dump(mode="json", exclude_unset=True, exclude={"remove"}))


def _check_removable(row: Document, pointer: str) -> None:
	documents = [
		*selling.named(DELIVERY, _holding("Delivery Note Item", row.name)),
		*selling.named(INVOICE, _holding("Sales Invoice Item", row.name)),
	]
	if documents:
		raise StateConflict(
			_("The line is delivered or billed: {0}.").format(selling.listed(documents)),
			pointer=pointer,
			details={"documents": documents},
		)


def _holding(child: str, row: str) -> list[str]:
	return sorted(
		frappe.get_all(
			child, filters={"so_detail": row, "docstatus": ("<", 2)}, pluck="parent", distinct=True
		)
	)


def _change_row(work: Work, order: Document, row: Document, line: OrderLineUpdate, pointer: str) -> None:
	said = [field for field in items.IDENTIFIERS if getattr(line, field)]
	if said and not items.leads_to(work, line, row.item_code):
		_refuse_another(line, row, "item_code", f"{pointer}/{said[0]}")
	warehouse = line.warehouse and warehouses.resolve(work.caller, line.warehouse, f"{pointer}/warehouse")
	# Whoever sends the whole line again may.
	for field, value in (("uom", line.uom), ("warehouse", warehouse)):
		if value not in (None, row.get(field)):
			_refuse_another(line, row, field, f"{pointer}/{field}")
	if line.quantity is not None:
		items.check_whole(row.uom, line.quantity, f"{pointer}/quantity")
		check_decimals(row, "qty", line.quantity, f"{pointer}/quantity")
		if float(line.quantity) < flt(row.delivered_qty):
			_refuse(
				order,
				row,
				"Delivery Note Item",
				DELIVERY,
				_("{0} of it are delivered").format(row.delivered_qty),
				f"{pointer}/quantity",
			)
		row.qty = float(line.quantity)
	if line.unit_price is not None:
		check_decimals(row, "rate", line.unit_price, f"{pointer}/unit_price")
		row.price_list_rate = row.rate = float(line.unit_price)
		row.discount_percentage = row.discount_amount = row.margin_rate_or_amount = 0
		row.margin_type = ""
		orders.set_discount(row, line, f"{pointer}/discount")
	orders.check_amount(
		Decimal(str(row.qty)) * Decimal(str(row.rate)) * Decimal(str(order.conversion_rate)), pointer
	)
	if flt(row.qty * row.rate, row.precision("amount")) < flt(row.billed_amt, row.precision("amount")):
		_refuse(
			order,
			row,
			"Sales Invoice Item",
			INVOICE,
			_("{0} of it are billed").format(row.billed_amt),
			pointer,
		)
	if line.deliver_by:
		row.delivery_date = orders.not_before(
			site_date(line.deliver_by, f"{pointer}/deliver_by"),
			order.transaction_date,
			f"{pointer}/deliver_by",
		)
	if line.name:
		row.item_name = row.description = line.name


def _refuse_another(line: OrderLineUpdate, row: Document, field: str, pointer: str) -> None:
	raise StateConflict(
		_("The line {0} is there, with {1} {2}. Remove it and add another under a new id.").format(
			line.external_id, _(row.meta.get_label(field)), row.get(field)
		),
		pointer=pointer,
	)


def _refuse(order: Document, row: Document, child: str, doctype: str, why: str, pointer: str) -> None:
	documents = selling.named(doctype, _holding(child, row.name))
	raise StateConflict(
		_("Line {0} of order {1} cannot become that: {2}. See {3}.").format(
			row.hub_external_id, order.name, why, selling.listed(documents)
		),
		pointer=pointer,
		details={"documents": documents},
	)


def _save_draft(work: Work, order: Document, added: list, removed: set[str]) -> Document:
	order.items = [row for row in order.items if row.name not in removed]
	orders.add_lines(work, order, [line for line, _at in added], [at for _line, at in added])
	for idx, row in enumerate(order.items, 1):
		row.idx = idx
	order.save()
	return order


def _save_submitted(work: Work, order: Document, added: list, removed: set[str]) -> Document:
	"""Change the lines as ERPNext's own "Update Items" does, with the books' checks that belong to it."""
	wanted = [row for row in order.items if row.name not in removed]
	selling.lock_bins(order)
	by_warehouse: dict[str | None, list] = {}
	new = frappe.new_doc(ORDER)
	new.update(
		{
			"transaction_date": order.transaction_date,
			"delivery_date": order.delivery_date,
			"currency": order.currency,
			"conversion_rate": order.conversion_rate,
			"company": order.company,
		}
	)
	orders.add_lines(work, new, [line for line, _at in added], [at for _line, at in added])
	_check_advances(order, [*wanted, *new.items])
	for row in new.items:
		by_warehouse.setdefault(row.warehouse, []).append(row)
	known = [_as_erpnext_wants(row, row.name) for row in wanted]
	for warehouse, rows in by_warehouse.items() or [(None, [])]:
		# Where ERPNext takes the warehouse of a new row from.
		frappe.db.set_value(ORDER, order.name, "set_warehouse", warehouse, update_modified=False)
		before = {row["docname"] for row in known}
		update_child_qty_rate(
			ORDER,
			json.dumps([*known, *(_as_erpnext_wants(row, None) for row in rows)], default=str),
			order.name,
		)
		made = [row for row in frappe.get_doc(ORDER, order.name).items if row.name not in before]
		for child, row in zip(made, rows, strict=True):
			values = {field: row.get(field) for field in _OF_NEW_ROWS}
			frappe.db.set_value("Sales Order Item", child.name, values, update_modified=False)
			known.append(_as_erpnext_wants(row, child.name))
	frappe.db.set_value(ORDER, order.name, "set_warehouse", order.set_warehouse, update_modified=False)
	for row in wanted:
		values = {"item_name": row.item_name, "description": row.description}
		frappe.db.set_value("Sales Order Item", row.name, values, update_modified=False)
	return frappe.get_doc(ORDER, order.name)


def _as_erpnext_wants(row: Document, name: str | None) -> dict:
	return {
		**({"docname": name} if name else {}),
		"item_code": row.item_code,
		"item_name": row.item_name,
		"description": row.description,
		"qty": row.qty,
		"rate": row.rate,
		"uom": row.uom,
		"conversion_factor": row.conversion_factor,
		"delivery_date": row.delivery_date,
	}


def _check_advances(order: Document, rows: list[Document]) -> None:
	if not flt(order.advance_paid):
		return
	changed = frappe.copy_doc(order)
	changed.items = []
	for row in rows:
		changed.append("items", row.as_dict(no_default_fields=True))
	changed.run_method("calculate_taxes_and_totals")
	in_party_currency = order.party_account_currency in (None, "", order.currency)
	total = changed.grand_total if in_party_currency else changed.base_grand_total
	if flt(total) < flt(order.advance_paid):
		documents = selling.named(PAYMENT, payments_of(order.name, invoices_of(order.name)))
		raise StateConflict(
			_("Order {0} would be worth {1}, and {2} is paid in advance. See {3}.").format(
				order.name, total, order.advance_paid, selling.listed(documents)
			),
			pointer="/lines",
			details={"documents": documents},
		)


def _check_totals(work: Work, order: Document, change: OrderUpdate) -> None:
	if different := totals.differences(work.caller, order, change.totals):
		raise totals.reject(different)
	if change.totals and order.docstatus == 0 and order.hub_held_because:
		order.db_set("hub_held_because", None)


UPDATE = Operation(
	name="orders.update",
	summary="Change an order: lines, dates, addresses",
	schema=OrderUpdate,
	answer=OrderEnvelope,
	handler=update,
	scope="orders:write",
	writes=True,
	ledger=True,
	external_id=lambda target: target.external_id,
	subject=lambda target: target.external_id or target.name,
	example={
		"external_id": "ORD-1001",
		"deliver_by": "2026-03-12",
		"lines": [{"external_id": "1", "quantity": 3}, {"external_id": "2", "remove": True}],
	},
)
