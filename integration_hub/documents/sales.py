"""Delivery Note, Sales Invoice, Payment Entry → the shapes that sales verbs answer with, and the status of an order."""

from datetime import datetime
from zoneinfo import ZoneInfo

import frappe
from frappe.model.document import Document
from frappe.utils import flt, get_datetime, get_system_timezone, get_url_to_form

from integration_hub.documents.orders import order_answer, totals_of

ORDER, DELIVERY, INVOICE, PAYMENT = "Sales Order", "Delivery Note", "Sales Invoice", "Payment Entry"


def line_ids(order: Document | None) -> dict[str, str]:
	"""Return the callers' ids of an order's lines, by the name of the row."""
	rows = order.items if order else []
	return {row.name: row.hub_external_id for row in rows if row.get("hub_external_id")}


def envelope(order: Document | None, documents: list[Document], system: str, rehearsal: bool) -> dict:
	"""Return what a sales verb answers: the order as it is now, and the documents this call made."""
	ids = line_ids(order)
	answer = {
		"order": order_answer(order, system) if order else None,
		"fulfillments": [
			fulfillment_answer(doc, system, ids) for doc in documents if doc.doctype == DELIVERY
		],
		"invoices": [invoice_answer(doc, system, ids) for doc in documents if doc.doctype == INVOICE],
		"payments": [payment_answer(doc, system) for doc in documents if doc.doctype == PAYMENT],
	}
	if rehearsal:
		for kind in ("fulfillments", "invoices", "payments"):
			answer[kind] = [{**one, "name": None, "url": None} for one in answer[kind]]
	return answer


def fulfillment_answer(doc: Document, system: str, ids: dict[str, str]) -> dict:
	"""Return a Delivery Note in the shape of `schemas.sales.FulfillmentAnswer`."""
	return {
		**_head(doc, system),
		"is_return": bool(doc.is_return),
		"posted_at": _time(doc.posting_date, doc.posting_time),
		"carrier": doc.get("hub_carrier") or None,
		"tracking_number": doc.get("hub_tracking_number") or None,
		"tracking_url": doc.get("hub_tracking_url") or None,
		"lines": [
			{
				"external_id": ids.get(row.so_detail),
				"item_code": row.item_code,
				"quantity": row.qty,
				"warehouse": row.warehouse or None,
				"batch": row.batch_no or None,
				"serials": (row.serial_no or "").split(),
			}
			for row in doc.items
		],
	}


def invoice_answer(doc: Document, system: str, ids: dict[str, str]) -> dict:
	"""Return a Sales Invoice in the shape of `schemas.sales.InvoiceAnswer`."""
	totals = totals_of(doc)
	return {
		**_head(doc, system),
		"is_return": bool(doc.is_return),
		"posted_at": _time(doc.posting_date, doc.posting_time),
		"due_date": str(doc.due_date) if doc.due_date else None,
		"currency": doc.currency,
		"net_total": float(totals["net"]),
		"tax_total": float(totals["tax"]),
		"grand_total": float(totals["grand"]),
		"outstanding": flt(doc.outstanding_amount),
		"updates_stock": bool(doc.update_stock),
		"lines": [
			{
				"external_id": ids.get(row.so_detail),
				"item_code": row.item_code or None,
				"quantity": row.qty,
				"unit_price": row.rate,
				"amount": row.amount,
			}
			for row in doc.items
		],
	}


def payment_answer(doc: Document, system: str) -> dict:
	"""Return a Payment Entry in the shape of `schemas.sales.SalesPaymentAnswer`."""
	receives = doc.payment_type == "Receive"
	return {
		**_head(doc, system, status=False),
		"type": "receive" if receives else "pay",
		"method": doc.mode_of_payment or None,
		"amount": doc.received_amount if receives else doc.paid_amount,
		"currency": doc.paid_to_account_currency if receives else doc.paid_from_account_currency,
		"unallocated": flt(doc.unallocated_amount),
		"paid_at": str(doc.posting_date),
		"reference": doc.reference_no or None,
		"allocations": [
			{"doctype": row.reference_doctype, "name": row.reference_name, "amount": row.allocated_amount}
			for row in doc.references
			if row.allocated_amount
		],
	}


def _head(doc: Document, system: str, *, status: bool = True) -> dict:
	return {
		"name": doc.name,
		"external_id": doc.hub_external_id if doc.hub_system == system else None,
		"docstatus": int(doc.docstatus),
		**({"status": doc.status} if status else {}),
		"url": get_url_to_form(doc.doctype, doc.name) if doc.name else None,
	}


def _time(date, time) -> str:
	moment: datetime = get_datetime(f"{date} {time or '00:00:00'}")
	return moment.replace(tzinfo=ZoneInfo(get_system_timezone())).isoformat()


def deliveries_of(order: str) -> list[str]:
	"""Return the Delivery Notes of an order, returns included, oldest first; drafts and cancelled ones, too."""
	return _parents("Delivery Note Item", {"against_sales_order": order}, DELIVERY)


def invoices_of(order: str) -> list[str]:
	"""Return the Sales Invoices of an order, credit notes included, oldest first; drafts and cancelled ones, too."""
	direct = _parents("Sales Invoice Item", {"sales_order": order}, INVOICE)
	if not direct:
		# Frappe takes an empty list for the empty string: every invoice that is no credit note.
		return []
	# A credit note by amount names its invoice only.
	credits = frappe.get_all(
		INVOICE, filters={"return_against": ("in", direct)}, pluck="name", order_by="creation asc"
	)
	return direct + [name for name in credits if name not in direct]


def payments_of(order: str, invoices: list[str]) -> list[str]:
	"""Return the Payment Entries that pay an order or its invoices, oldest first; drafts and cancelled ones, too."""
	rows = frappe.get_all(
		"Payment Entry Reference",
		filters={"reference_doctype": ("in", (ORDER, INVOICE)), "reference_name": ("in", [order, *invoices])},
		pluck="parent",
		distinct=True,
	)
	return frappe.get_all(PAYMENT, filters={"name": ("in", rows)}, pluck="name", order_by="creation asc")


def given_back(order: str) -> list[str]:
	"""Return the Payment Entries that gave an advance of an order back, and those that had received it, oldest first."""
	paid = frappe.get_all(
		"Advance Payment Ledger Entry",
		filters={"voucher_type": PAYMENT, "against_voucher_type": ORDER, "against_voucher_no": order},
		pluck="voucher_no",
		distinct=True,
	)
	return frappe.get_all(
		PAYMENT,
		filters={"name": ("in", [*paid, *set_against(paid)])},
		pluck="name",
		order_by="creation asc",
	)


def set_against(payments: list[str]) -> list[str]:
	"""Return the Payment Entries that are set against other ones."""
	return frappe.get_all(
		"Payment Entry Reference",
		filters={"reference_doctype": PAYMENT, "reference_name": ("in", payments)},
		pluck="parent",
		distinct=True,
	)


def _parents(child: str, filters: dict, doctype: str) -> list[str]:
	names = frappe.get_all(child, filters=filters, pluck="parent", distinct=True)
	if len(names) < 2:
		return names
	return frappe.get_all(doctype, filters={"name": ("in", names)}, pluck="name", order_by="creation asc")


def sold(doc: Document) -> bool:
	"""Whether an invoice or delivery counts: submitted, and no return."""
	return doc.docstatus == 1 and not doc.is_return


def status(order: Document, system: str) -> dict:
	"""Return everything that has happened to an order, in the shape of `schemas.sales.StatusAnswer`.

	What belongs to the order is shown to whoever may read the order.
	"""
	ids = line_ids(order)
	invoices = [frappe.get_doc(INVOICE, name) for name in invoices_of(order.name)]
	bills = _bills(invoices)
	deliveries = [frappe.get_doc(DELIVERY, name) for name in deliveries_of(order.name)]
	paid = payments_of(order.name, [doc.name for doc in invoices])
	payments = [frappe.get_doc(PAYMENT, name) for name in dict.fromkeys([*paid, *given_back(order.name)])]
	return {
		"order": order_answer(order, system),
		"lines": [_status_line(row, bills) for row in order.items],
		"totals": _totals(order, invoices, payments),
		"fulfillments": [fulfillment_answer(doc, system, ids) for doc in deliveries],
		"invoices": [invoice_answer(doc, system, ids) for doc in invoices],
		"payments": [payment_answer(doc, system) for doc in payments],
		"steps": _steps([(doc.doctype, doc.name) for doc in (order, *deliveries, *invoices, *payments)]),
	}


def _bills(invoices: list[Document]) -> list[list[Document]]:
	"""Return each submitted invoice together with its credit notes."""
	standing = [doc for doc in invoices if doc.docstatus == 1]
	bills = {doc.name: [doc] for doc in standing if not doc.is_return}
	for note in (doc for doc in standing if doc.is_return):
		bills.setdefault(note.return_against, []).append(note)
	return list(bills.values())


def _status_line(row: Document, bills: list[list[Document]]) -> dict:
	billed = quantity = paid = 0.0
	for documents in bills:
		items = [item for doc in documents for item in doc.items if item.so_detail == row.name]
		amount = sum(item.net_amount for item in items)
		quantity += sum(item.qty for item in items)
		billed += amount
		paid += amount * _paid_share(documents)
	return {
		"external_id": row.get("hub_external_id") or None,
		"item_code": row.item_code,
		"ordered": row.qty,
		"delivered": row.delivered_qty or 0,
		"billed": flt(quantity, row.precision("qty")),
		"returned": row.returned_qty or 0,
		"billed_amount": flt(billed, row.precision("amount")),
		"paid_amount": flt(paid, row.precision("amount")),
	}


def _paid_share(documents: list[Document]) -> float:
	"""Return how much of an invoice, less what is credited of it, is paid: a credit set against it is no payment."""
	total = sum(in_party_currency(doc, "grand_total") for doc in documents)
	owed = sum(doc.outstanding_amount for doc in documents)
	return 1 - min(1, max(0, owed) / total) if total > 0 else 1


def in_party_currency(doc: Document, fieldname: str) -> float:
	"""Return an amount of an invoice in the currency of its receivable account."""
	return doc.get(fieldname if doc.party_account_currency == doc.currency else f"base_{fieldname}")


def _totals(order: Document, invoices: list[Document], payments: list[Document]) -> dict:
	standing = [doc for doc in invoices if doc.docstatus == 1]

	def money(value: float) -> float:
		return flt(value, order.precision("grand_total"))

	def in_order_currency(doc: Document, amount: float) -> float:
		return amount if doc.party_account_currency == doc.currency else amount / (doc.conversion_rate or 1)

	credited = -sum(doc.grand_total for doc in standing if doc.is_return)
	outstanding = sum(in_order_currency(doc, doc.outstanding_amount) for doc in standing)
	billed = sum(doc.grand_total for doc in standing if not doc.is_return)
	return {
		"ordered": money(order.grand_total),
		"billed": money(billed),
		"credited": money(credited),
		"paid": money(billed - credited - outstanding + _advances(order, payments)),
		"outstanding": money(outstanding),
	}


def _advances(order: Document, payments: list[Document]) -> float:
	"""Return what is paid in advance and not used by an invoice yet, in the order's currency."""
	amount = sum(
		row.allocated_amount
		* (1 if entry.paid_from_account_currency == order.currency else 1 / order.conversion_rate)
		for entry in payments
		if entry.docstatus == 1
		for row in entry.references
		if row.reference_doctype == ORDER and row.reference_name == order.name
	)
	return amount


def _steps(documents: list[tuple[str, str]]) -> list[dict]:
	"""Return the steps of every request that made one of these documents, oldest first."""
	requests = frappe.get_all(
		"Hub Request Step",
		filters={
			"document_type": ("in", sorted({doctype for doctype, _name in documents})),
			"document_name": ("in", [name for _doctype, name in documents]),
		},
		pluck="parent",
		distinct=True,
	)
	operations = frappe.get_all(
		"Hub Request",
		filters={"name": ("in", requests)},
		fields=["name", "operation"],
		order_by="received_at asc",
	)
	rows = frappe.get_all(
		"Hub Request Step",
		filters={"parent": ("in", requests)},
		fields=["parent", "step", "status", "document_type", "document_name", "error"],
		order_by="idx asc",
	)
	return [
		{
			"request": request.name,
			"operation": request.operation,
			"step": row.step,
			"status": row.status,
			"doctype": row.document_type,
			"name": row.document_name,
			"error": row.error,
		}
		for request in operations
		for row in rows
		if row.parent == request.name
	]
