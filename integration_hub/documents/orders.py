"""Sales Order → the order every verb answers with, and its totals as the hub counts them."""

from decimal import Decimal

import frappe
from frappe.model.document import Document
from frappe.utils import get_url_to_form

from integration_hub.core import references

NOT_TAXES = ("charge", "difference")


def totals_of(doc: Document) -> dict[str, Decimal]:
	"""Return net (lines less discounts, without charges), tax (taxes only) and grand, in the order's currency."""
	tax = sum(
		row.tax_amount_after_discount_amount or 0 for row in doc.taxes if row.get("hub_kind") not in NOT_TAXES
	)
	return {
		"net": _exact(doc, "net_total", doc.net_total),
		"tax": _exact(doc, "total_taxes_and_charges", tax),
		"grand": _exact(doc, "grand_total", doc.grand_total),
	}


def _exact(doc: Document, fieldname: str, value: float) -> Decimal:
	return round(Decimal(str(value or 0)), doc.precision(fieldname))


def order_answer(doc: Document, system: str, customer_external_id: str | None = None) -> dict:
	"""Return `doc` in the shape of `schemas.orders.OrderAnswer`, with the ids of `system`."""
	totals = totals_of(doc)
	return {
		"name": doc.name,
		"external_id": doc.hub_external_id if doc.hub_system == system else None,
		"order_number": doc.hub_order_number or doc.po_no or None,
		"docstatus": int(doc.docstatus),
		"status": doc.status,
		"customer": {"name": doc.customer, "external_id": customer_external_id or _customer_id(doc, system)},
		"currency": doc.currency,
		"net_total": float(totals["net"]),
		"tax_total": float(totals["tax"]),
		"grand_total": float(totals["grand"]),
		"delivered_percent": doc.per_delivered or 0,
		"billed_percent": doc.per_billed or 0,
		"url": get_url_to_form(doc.doctype, doc.name) if doc.name else None,
		"held_because": doc.hub_held_because or None,
		"lines": [_line(row) for row in doc.items],
	}


def _customer_id(doc: Document, system: str) -> str | None:
	ids = references.external_ids(system, "Customer", doc.customer)
	# Keys the hub made itself to tell new customers apart are none of the system's.
	return next((i for i in ids if not i.startswith(("mailto:", "tel:", "name:"))), None)


def _line(row: Document) -> dict:
	return {
		"external_id": row.get("hub_external_id") or None,
		"item_code": row.item_code,
		"quantity": row.qty,
		"unit_price": row.rate,
		"amount": row.amount,
		"delivered": row.delivered_qty or 0,
		"billed": row.billed_amt or 0,
		"returned": row.returned_qty or 0,
	}


def read_order(system: str, name: str) -> dict:
	"""Read an order and return its answer.

	Raises:
		frappe.PermissionError: the user may not read it.
	"""
	doc = frappe.get_doc("Sales Order", name)
	doc.check_permission("read")
	return order_answer(doc, system)
