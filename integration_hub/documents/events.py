"""What an event carries: documents in the shapes the API answers with, as one Connected System may see them.

Read with as few statements as possible, for events are written in the document's own transaction.
"""

import frappe
from frappe.model.document import Document
from frappe.utils import flt

from integration_hub.core import sql
from integration_hub.documents.orders import NOT_TAXES, order_answer
from integration_hub.documents.requests import request_answer
from integration_hub.documents.sales import (
	DELIVERY,
	INVOICE,
	ORDER,
	PAYMENT,
	fulfillment_answer,
	invoice_answer,
	payment_answer,
)

# What an object is called in the data of an event.
OBJECTS = {ORDER: "order", DELIVERY: "fulfillment", INVOICE: "invoice", PAYMENT: "payment"}

# The fields the shapes show: who may not read one of them is told of the document, and nothing more.
_SALES = {"customer", "currency", "net_total", "grand_total", "status", "total_taxes_and_charges"}
_ITEM = {"item_code", "qty", "rate", "amount"}
SHOWN = {
	ORDER: {
		ORDER: _SALES | {"per_delivered", "per_billed", "po_no"},
		"Sales Order Item": _ITEM | {"delivered_qty", "billed_amt", "returned_qty"},
	},
	DELIVERY: {
		DELIVERY: {"status", "posting_date", "posting_time"},
		"Delivery Note Item": {"item_code", "qty", "warehouse", "batch_no", "serial_no"},
	},
	INVOICE: {
		INVOICE: _SALES | {"outstanding_amount", "due_date", "update_stock"},
		"Sales Invoice Item": _ITEM,
	},
	PAYMENT: {
		PAYMENT: {"paid_amount", "received_amount", "unallocated_amount", "reference_no", "mode_of_payment"},
		"Payment Entry Reference": {"reference_doctype", "reference_name", "allocated_amount"},
	},
}

_ITEMS = {ORDER: "Sales Order Item", INVOICE: "Sales Invoice Item"}


def load(doctype: str, name: str) -> Document | None:
	"""Return a Sales Order or Sales Invoice as the database has it now, with its items and the sum of its taxes; an order
	with `hub_owed`, too: whether something of its invoices is owed.

	One statement, where the whole document takes seven or more. Not for saving.
	"""
	head, line = (frappe.get_meta(of).get_valid_columns() for of in (doctype, _ITEMS[doctype]))
	rows = sql.run(
		f"""SELECT {_listed("doc", head)}, {_TAX}, {_OWED if doctype == ORDER else "NULL"}, {_listed("item", line)}
		FROM `tab{doctype}` doc LEFT JOIN `tab{_ITEMS[doctype]}` item ON item.parent = doc.name AND item.parenttype = %s
		WHERE doc.name = %s ORDER BY item.idx""",
		(doctype, NOT_TAXES, doctype, name),
	)
	if not rows:
		return None
	width = len(head)
	tax, owed = rows[0][width : width + 2]
	items = [dict(zip(line, row[width + 2 :], strict=True)) for row in rows]
	doc = frappe.get_doc(
		{
			"doctype": doctype,
			**dict(zip(head, rows[0], strict=False)),
			"items": [item for item in items if item["name"]],
			"taxes": [{"tax_amount_after_discount_amount": tax or 0}],
		}
	)
	doc.hub_owed = bool(owed)
	return doc


def _listed(table: str, columns: list[str]) -> str:
	return ", ".join(f"{table}.`{column}`" for column in columns)


_TAX = """(SELECT sum(tax.tax_amount_after_discount_amount) FROM `tabSales Taxes and Charges` tax
	WHERE tax.parent = doc.name AND tax.parenttype = %s AND coalesce(tax.hub_kind, '') NOT IN %s)"""
_OWED = """EXISTS (SELECT 1 FROM `tabSales Invoice Item` billed JOIN `tabSales Invoice` invoice
	ON invoice.name = billed.parent AND invoice.docstatus = 1 AND invoice.outstanding_amount > 0
	WHERE billed.sales_order = doc.name)"""


def data_of(doc: Document, system: str, orders: list[Document]) -> dict:
	"""Return the data of a business event about a document.

	Args:
		orders: the orders a delivery or invoice belongs to.
	"""
	if doc.doctype == ORDER:
		return {"order": _without_ids_of_others(order_answer(doc, system), doc, system)}
	if doc.doctype == PAYMENT:
		return {"payment": payment_answer(doc, system)}
	own = [order for order in orders if order.get("hub_system") == system]
	ids = {row.name: row.hub_external_id for order in own for row in order.items if row.hub_external_id}
	answer = fulfillment_answer if doc.doctype == DELIVERY else invoice_answer
	belongs = [{"name": order.name, "external_id": own_id(order, system)} for order in orders]
	return {OBJECTS[doc.doctype]: answer(doc, system, ids), "orders": belongs}


def _without_ids_of_others(answer: dict, order: Document, system: str) -> dict:
	if order.get("hub_system") == system:
		return answer
	return {**answer, "lines": [{**line, "external_id": None} for line in answer["lines"]]}


def is_paid(order: Document) -> bool:
	"""Whether all of a submitted order, as `load` returns it, is billed and nothing of its invoices is owed."""
	return order.docstatus == 1 and flt(order.per_billed, 2) >= 100 and not order.hub_owed


def own_id(doc: Document, system: str) -> str | None:
	"""Return the system's own id of a document."""
	return doc.get("hub_external_id") if doc.get("hub_system") == system else None


def document_data(
	doc: Document, fields: tuple[str, ...] | None, readable: dict[str, set[str]], **extra: str
) -> dict:
	"""Return the data of a `document.*` event.

	Args:
		fields: the chosen fields; None: all.
		readable: what may be shown: the document's fields under "", those of a child table under its name.
	"""
	plain = doc.as_dict(convert_dates_to_str=True)

	def shown(field: str):
		value = plain.get(field)
		if field not in readable:
			return value
		return [{key: row.get(key) for key in sorted(readable[field])} for row in value or []]

	chosen = sorted(readable[""]) if fields is None else [field for field in fields if field in readable[""]]
	return {
		"document": {
			"doctype": doc.doctype,
			"name": doc.name,
			"docstatus": int(doc.docstatus or 0),
			**extra,
			"fields": {field: shown(field) for field in chosen},
		}
	}


def stock_data(level: dict) -> dict:
	"""Return the data of `stock.changed` from a row of item_code, warehouse, actual_qty, reserved_qty, stock_uom."""
	actual, reserved = flt(level["actual_qty"]), flt(level["reserved_qty"])
	return {
		"stock": {
			"item_code": level["item_code"],
			"warehouse": level["warehouse"],
			"actual": actual,
			"reserved": reserved,
			"available": flt(actual - reserved, 9),
			"unit": level.get("stock_uom"),
		}
	}


def request_data(name: str) -> dict:
	"""Return the data of `request.*`: the request as `requests.get` answers it."""
	return {"request": request_answer(frappe.get_doc("Hub Request", name), items=False)}
