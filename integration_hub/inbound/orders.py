"""Orders from outside → Sales Orders: place and find."""

from decimal import Decimal

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import add_days, cint, flt, getdate

from integration_hub import compat
from integration_hub.core import references
from integration_hub.core.context import Caller
from integration_hub.core.operations import Operation
from integration_hub.core.references import AlreadyBound
from integration_hub.core.work import Result, Work, conflict
from integration_hub.documents.orders import order_answer, read_order
from integration_hub.exceptions import (
	Fault,
	QuotationNotUsable,
	ReferenceBusy,
	ValidationFailed,
	under,
)
from integration_hub.inbound import (
	addresses,
	custom_fields,
	customers,
	items,
	payments,
	quotations,
	selling,
	taxes,
	totals,
	warehouses,
)
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.inbound.money import check_currency, check_decimals, exchange_rate
from integration_hub.inbound.numbers import next_number
from integration_hub.inbound.times import site_date
from integration_hub.schemas.orders import (
	Order,
	OrderCreate,
	OrderEnvelope,
	OrderGet,
	OrderLine,
	OrderLineUpdate,
	OrderPayment,
	Target,
)

DOCTYPE = "Sales Order"
# Room for taxes and charges on top of the lines: half of what decimal(21,9) keeps.
MAX_AMOUNT = Decimal("500000000000")


def create(work: Work) -> Result:
	"""Place the order of `work.payload` and book its payments.

	Raises:
		HubError: what is wrong with the order, with its pointer.
	"""
	order: OrderCreate = work.payload
	doc, entries = _place(work, order)
	if entries:
		doc.reload()
	answer = order_answer(doc, work.caller.name, order.customer.external_id if order.customer else None)
	if work.request is None:
		answer["name"] = answer["url"] = None
	return Result({"order": answer, **_payments(order, entries)}, (DOCTYPE, doc.name))


def place(work: Work, order: Order, mark: str, pointer: str) -> tuple[str, str]:
	"""Place an order that is a part of a larger call, or find it when it was placed before with the same content.

	Args:
		mark: the fingerprint that `orders.create` would give it.

	Raises:
		ExternalIdConflict: its id stands for something else.
		HubError: what is wrong with the order, with its pointer.
	"""
	work.caller.require("orders:write", pointer)
	try:
		reference = references.reserve_again(
			work.caller.name,
			"order",
			order.external_id,
			request=work.request,
			fingerprint=mark,
			reuse=bool(work.caller.system.reuse_cancelled_ids),
		)
	except AlreadyBound:
		bound = references.find(work.caller.name, "order", order.external_id)
		if bound is None:
			raise ReferenceBusy(_("Another call is placing order {0}.").format(order.external_id)) from None
		if bound.fingerprint != mark or bound.state != references.LIVE or not bound.exists:
			raise conflict(order.external_id, bound, f"{pointer}/external_id") from None
		return bound.document_type, bound.document_name
	with under(pointer):
		doc, _entries = _place(work, order)
	references.bind(reference, DOCTYPE, doc.name)
	return DOCTYPE, doc.name


def _place(work: Work, order: Order) -> tuple[Document, list[Document]]:
	if order.payments:
		work.caller.require("sales:write", "/payments")
	doc = _build(work, order)
	_save(work, doc, order)
	work.made.append((DOCTYPE, doc.name))
	for tag in order.tags:
		doc.add_tag(tag)
	return doc, _pay(work, doc, order)


def _payments(order: Order, entries: list[Document]) -> dict:
	made = [
		{"name": entry.name, "external_id": entry.hub_external_id, "amount": float(payment.amount)}
		for entry, payment in zip(entries, order.payments, strict=False)
	]
	return {"payments": made} if made else {}


def _build(work: Work, order: Order) -> Document:
	"""Return the unsaved Sales Order."""
	caller, system = work.caller, work.caller.system
	quotation = quotations.find(work, order.quotation) if order.quotation else None
	doc = quotations.mapped(quotation, system) if order.lines is None else frappe.new_doc(DOCTYPE)
	_set_head(work, doc, order, quotation)
	_set_addresses(work, doc, order, doc.customer)
	if order.lines is not None:
		add_lines(work, doc, order.lines, [f"/lines/{index}" for index in range(len(order.lines))])
	taxes.apply(caller, doc, order)
	custom_fields.apply(caller, doc, order.custom_fields, "/custom_fields")
	if quotation:
		quotations.check(quotation, doc)
		if order.lines is not None:
			quotations.link(quotation, doc)
	return doc


def _set_head(work: Work, doc: Document, order: Order, quotation: Document | None) -> None:
	system = work.caller.system
	company_currency = frappe.get_cached_value("Company", system.company, "default_currency")
	placed = site_date(order.placed_at, "/placed_at") if order.placed_at else getdate()
	# Prices of a quotation are in its currency.
	own = quotation.currency if order.lines is None else None
	currency = order.currency or own or system.currency or company_currency
	check_currency(currency, "/currency")
	if own and currency != own:
		raise QuotationNotUsable(
			_("Quotation {0} is in {1}.").format(quotation.name, own), pointer="/currency"
		)
	rate = exchange_rate(currency, company_currency, placed, order.exchange_rate, "/exchange_rate")
	doc.update(
		{
			"company": system.company,
			"customer": customers.resolve(work, order.customer)
			if order.customer
			else quotations.customer(quotation),
			"order_type": "Sales",
			"transaction_date": placed,
			"delivery_date": _delivery_date(order, system, placed),
			"currency": currency,
			"conversion_rate": rate,
			"selling_price_list": system.price_list or None,
			"plc_conversion_rate": rate,
			"ignore_pricing_rule": 1,
			"disable_rounded_total": 1,
			"cost_center": system.cost_center or None,
			"set_warehouse": None,
			"po_no": order.order_number if system.order_number_as_po else None,
			"hub_system": system.name,
			"hub_external_id": order.external_id,
			"hub_order_number": order.order_number,
			"hub_note": order.note,
		}
	)
	if system.naming_series:
		doc.naming_series = system.naming_series
	for row in doc.items:
		row.delivery_date = doc.delivery_date
	if any(getdate(term.due_date) < placed for term in doc.get("payment_schedule") or []):
		# They count from the day of the quotation; ERPNext then counts them from the order's.
		doc.payment_schedule = []


def _delivery_date(order: Order, system: Document, placed):
	if not order.deliver_by:
		return add_days(placed, cint(system.lead_time_days))
	return not_before(site_date(order.deliver_by, "/deliver_by"), placed, "/deliver_by")


def not_before(deliver_by, placed, pointer: str):
	"""Return a delivery date, refused when it is before the order's."""
	placed = getdate(placed)
	if deliver_by < placed:
		message = _("The delivery date {0} is before the order's date {1}.").format(deliver_by, placed)
		raise ValidationFailed(message, errors=[Fault(pointer, message, "date_before_order")])
	return deliver_by


def _set_addresses(work: Work, doc: Document, order: Order, customer: str) -> None:
	if order.billing_address:
		doc.customer_address = addresses.resolve(
			work, customer, order.billing_address, "Billing", "/billing_address"
		)
	if order.shipping_address:
		doc.shipping_address_name = addresses.resolve(
			work, customer, order.shipping_address, "Shipping", "/shipping_address"
		)


def add_lines(work: Work, doc: Document, lines: list[OrderLine], pointers: list[str]) -> None:
	"""Add lines to an order, each with the pointer to where it stands in the call."""
	for line, item, pointer in zip(lines, items.resolve(work, lines, pointers), pointers, strict=True):
		row = doc.append("items", _line(work, doc, line, item, pointer))
		items.check_whole(row.uom, line.quantity, f"{pointer}/quantity")
		check_amount(line.quantity * line.unit_price * Decimal(str(doc.conversion_rate)), pointer)
		check_decimals(row, "rate", line.unit_price, f"{pointer}/unit_price")
		check_decimals(row, "qty", line.quantity, f"{pointer}/quantity")
		set_discount(row, line, f"{pointer}/discount")
		custom_fields.apply(work.caller, row, line.custom_fields, f"{pointer}/custom_fields")


def check_amount(amount: Decimal, pointer: str) -> None:
	"""Refuse what the product of two numbers in range makes larger than the database keeps."""
	if amount > MAX_AMOUNT:
		message = _("Quantity times price, in the company's currency, is larger than ERPNext can store.")
		raise ValidationFailed(message, errors=[Fault(pointer, message, "out_of_range")])


def _line(work: Work, doc: Document, line: OrderLine, item: frappe._dict, pointer: str) -> dict:
	uom = line.uom or item.stock_uom
	deliver_by = (
		not_before(
			site_date(line.deliver_by, f"{pointer}/deliver_by"), doc.transaction_date, f"{pointer}/deliver_by"
		)
		if line.deliver_by
		else doc.delivery_date
	)
	return {
		"item_code": item.name,
		"item_name": line.name or item.item_name,
		"description": line.name or item.item_name,
		"qty": float(line.quantity),
		"uom": uom,
		"stock_uom": item.stock_uom,
		"conversion_factor": items.check_uom(item, uom, f"{pointer}/uom"),
		"rate": float(line.unit_price),
		# ERPNext takes a rate of 0 from the price list unless this is 0, too.
		"price_list_rate": float(line.unit_price),
		"warehouse": warehouses.resolve(work.caller, line.warehouse, f"{pointer}/warehouse"),
		"delivery_date": deliver_by,
		"item_tax_template": taxes.item_template(work.caller, line.tax_template, f"{pointer}/tax_template"),
		"additional_notes": line.note,
		"hub_external_id": line.external_id,
	}


def set_discount(row: Document, line: OrderLine | OrderLineUpdate, pointer: str) -> None:
	"""Set the discount the caller gave; the rate is computed here, so that no rule of ERPNext recomputes it."""
	if not line.discount:
		return
	if line.discount.amount is not None:
		check_decimals(row, "rate", line.discount.amount, f"{pointer}/amount")
		row.discount_amount = float(line.discount.amount)
		row.rate = float(line.unit_price - line.discount.amount)
		row.discount_percentage = row.discount_amount / float(line.unit_price) * 100 if line.unit_price else 0
		return
	row.discount_percentage = float(line.discount.percent)
	row.rate = flt(float(line.unit_price * (100 - line.discount.percent) / 100), row.precision("rate"))
	row.discount_amount = float(line.unit_price) - row.rate


def _save(work: Work, doc: Document, order: Order) -> None:
	"""Insert or submit, through the totals gate; in one pass where the gate needs no decision in between."""
	submit = cint(work.caller.system.submit_orders) if order.submit is None else order.submit
	gate_decides = order.totals and work.caller.system.totals_policy != "Reject"
	doc.flags.hub_origin = True
	# A field of permission level 1, which Frappe would reset: without it a pricing rule changes what the caller priced.
	doc.flags.ignore_permlevel_for_fields = [
		*doc.flags.get("ignore_permlevel_for_fields", []),
		"ignore_pricing_rule",
	]
	with translated():
		if not gate_decides:
			_first_save(doc, work, submit)
			if different := totals.differences(work.caller, doc, order.totals):
				raise totals.reject(different)
			return
		_first_save(doc, work, submit=False)
		if _gate(work, doc, order) and submit:
			doc.submit()


def _first_save(doc: Document, work: Work, submit: bool) -> None:
	if work.reserved_name:
		compat.remember_currency(doc, work.reserved_name)
	if submit:
		doc.docstatus = 1
	doc.insert(set_name=work.reserved_name)
	if submit:
		# ERPNext leaves the status of a new document alone, also when it is born submitted.
		compat.set_status(doc)


def _gate(work: Work, doc: Document, order: Order) -> bool:
	"""Accept, book the difference, or hold; True when the order may be submitted.

	Raises:
		TotalsDiffer: the difference is too large to book.
	"""
	different = totals.differences(work.caller, doc, order.totals)
	if not different:
		return True
	if work.caller.system.totals_policy == "Hold as Draft":
		doc.hub_held_because = _("The totals differ: {0}").format(totals.describe(different))
		doc.save()
		return False
	totals.book_difference(work.caller, doc, different)
	doc.save()
	if still := totals.differences(work.caller, doc, order.totals):
		raise totals.reject(still)
	return True


def _pay(work: Work, doc: Document, order: Order) -> list[Document]:
	if not order.payments:
		return []
	if doc.docstatus != 1:
		_note_unbooked(doc, order.payments)
		return []
	with translated():
		return [
			payments.pay_order(work, doc, payment, f"/payments/{index}")
			for index, payment in enumerate(order.payments)
		]


def _note_unbooked(doc: Document, unbooked: list[OrderPayment]) -> None:
	"""A draft takes no payments: say so where the person who releases it looks."""
	listed = ", ".join(f"{payment.method} {payment.amount}" for payment in unbooked)
	note = _("Payments not booked, because the order is a draft: {0}").format(listed)
	doc.db_set("hub_held_because", f"{doc.hub_held_because}\n{note}" if doc.hub_held_because else note)


def reserve_number(caller: Caller, order: Order) -> str | None:
	"""Take the next number of the naming series in the claim's short transaction, where the system allows gaps."""
	system = caller.system
	if not system.reserve_numbers:
		return None
	return next_number(DOCTYPE, system.naming_series)


def find(caller: Caller, external_id: str | None, name: str | None) -> str:
	"""Return the name of a Sales Order of the caller's company, by the caller's id or by name.

	Raises:
		NotFound: there is none, or it is not the caller's to see.
	"""
	target = Target.model_construct(external_id=external_id, name=name)
	return selling.find(caller, DOCTYPE, "order", target)


def get(caller: Caller, query: OrderGet) -> dict:
	"""Read one order."""
	return {"order": read_order(caller.name, find(caller, query.external_id, query.name))}


def existing(caller: Caller, doctype: str, name: str) -> dict:
	"""The answer for an order that was made before, under another key."""
	return {"order": read_order(caller.name, name)}


def create_key(work: Work, external_id: str | None = None) -> list:
	"""What the key is derived from: the external id; for one that is used again, how often it was."""
	parts: list = [external_id or work.external_id]
	if work.caller.system.reuse_cancelled_ids:
		used = references.generation(work.caller.name, "order", parts[0], work.fingerprint)
		parts += [used] if used else []
	return parts


EXAMPLE = {
	"external_id": "ORD-1001",
	"order_number": "1001",
	"placed_at": "2026-03-01T12:30:00+01:00",
	"currency": "USD",
	"customer": {"external_id": "C-7", "name": "Jane Doe", "email": "jane@example.com"},
	"shipping_address": {
		"name": "Jane Doe",
		"line1": "969 Market",
		"city": "San Francisco",
		"state": "CA",
		"postal_code": "94103",
		"country": "US",
	},
	"lines": [
		{
			"external_id": "1",
			"sku": "SHIRT-M",
			"quantity": 2,
			"unit_price": "19.90",
			"discount": {"percent": 10},
		}
	],
	"charges": [{"code": "shipping", "title": "Standard", "amount": 4.9}],
	"taxes": [{"code": "vat", "title": "VAT 19 %", "rate": 19}],
	"totals": {"net": 35.82, "tax": 6.81, "grand": 47.53},
}

CREATE = Operation(
	name="orders.create",
	summary="Place an order, exactly once",
	schema=OrderCreate,
	answer=OrderEnvelope,
	handler=create,
	scope="orders:write",
	writes=True,
	ledger=True,
	status=201,
	object_type="order",
	external_id=lambda order: order.external_id,
	key_parts=create_key,
	prepare=reserve_number,
	existing=existing,
	example=EXAMPLE,
)

GET = Operation(
	name="orders.get",
	summary="Read an order by external_id or name",
	schema=OrderGet,
	answer=OrderEnvelope,
	handler=get,
	scope="orders:read",
	example={"external_id": "ORD-1001"},
)
