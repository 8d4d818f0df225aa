"""What must hold after any fault. Each function reads what is committed and raises AssertionError."""

import frappe

from integration_hub.tests import site


def order_once(system: str, external_id: str) -> str:
	"""Assert one live Sales Order, one Reference and one completed request with one Completed log row; return the order."""
	order = site.order_of(system, external_id)
	assert order.docstatus == 1
	references = frappe.get_all(
		"Hub External Reference",
		filters={"system": system, "object_type": "order", "external_id": external_id},
		fields=["document_name", "state"],
	)
	assert references == [{"document_name": order.name, "state": "Live"}], references
	requests = [row for row in site.request_of(system, external_id) if row.http_status == 201]
	assert [row.status for row in requests] == ["Completed"], [row.as_dict() for row in requests]
	assert requests[0].reference_name == order.name
	completed = log_rows(requests[0].name, status="Completed")
	assert len(completed) == 1, completed
	return order.name


def no_order(system: str, external_id: str) -> None:
	"""Assert that nothing of an order stands."""
	site.refresh()
	filters = {"hub_system": system, "hub_external_id": external_id}
	assert frappe.get_all("Sales Order", filters=filters) == []
	assert (
		frappe.get_all("Hub External Reference", filters={"system": system, "external_id": external_id}) == []
	)


def log_rows(request: str, **filters) -> list:
	return frappe.get_all(
		"Integration Request", filters={"hub_request": request, **filters}, fields=["*"], order_by="creation"
	)


def reserved_quantities(item_codes: list[str]) -> None:
	"""Assert that each Bin reserves what the submitted orders ask for."""
	site.refresh()
	ordered = frappe.db.sql(
		"""SELECT line.item_code, line.warehouse, sum(line.stock_qty) FROM `tabSales Order Item` line
		WHERE line.docstatus = 1 AND line.item_code IN %s GROUP BY line.item_code, line.warehouse""",
		(item_codes,),
	)
	bins = frappe.db.sql(
		"""SELECT item_code, warehouse, sum(reserved_qty), count(*) FROM tabBin WHERE item_code IN %s
		GROUP BY item_code, warehouse HAVING sum(reserved_qty) != 0""",
		(item_codes,),
	)
	assert {row[:2]: float(row[2]) for row in bins} == {row[:2]: float(row[2]) for row in ordered}
	assert all(row[3] == 1 for row in bins), bins


def documents_of(order: str) -> dict[str, list[str]]:
	"""Return what follows an order, by kind, whatever its state."""
	deliveries = _parents("Delivery Note Item", {"against_sales_order": order})
	invoices = _parents("Sales Invoice Item", {"sales_order": order})
	payments = _parents("Payment Entry Reference", {"reference_name": ("in", [order, *invoices])})
	return {
		"fulfill": _names("Delivery Note", deliveries, is_return=0),
		"return": _names("Delivery Note", deliveries, is_return=1),
		"invoice": _names("Sales Invoice", invoices, is_return=0),
		"credit_note": _names("Sales Invoice", invoices, is_return=1),
		"pay": _names("Payment Entry", payments, payment_type="Receive"),
		"refund_payment": _names("Payment Entry", payments, payment_type="Pay"),
	}


DOCTYPES = {
	"fulfill": "Delivery Note",
	"return": "Delivery Note",
	"invoice": "Sales Invoice",
	"credit_note": "Sales Invoice",
	"pay": "Payment Entry",
	"refund_payment": "Payment Entry",
}


def _parents(child: str, filters: dict) -> list[str]:
	return frappe.get_all(child, filters=filters, pluck="parent", distinct=True)


def _names(doctype: str, among: list[str], **filters) -> list[str]:
	return frappe.get_all(doctype, filters={"name": ("in", among), **filters}, pluck="name")


def books_balance(documents: dict[str, list[str]]) -> None:
	"""Assert that each voucher's debit is its credit, and that what an invoice has outstanding is in the payment ledger."""
	for kind, names in documents.items():
		for name in names:
			debit, credit = frappe.db.sql(
				"""SELECT coalesce(sum(debit), 0), coalesce(sum(credit), 0) FROM `tabGL Entry`
				WHERE voucher_type = %s AND voucher_no = %s AND is_cancelled = 0""",
				(DOCTYPES[kind], name),
			)[0]
			assert round(debit - credit, 6) == 0, (kind, name, debit, credit)
			if kind in ("invoice", "credit_note"):
				_outstanding_is_owed(name)


def _outstanding_is_owed(invoice: str) -> None:
	shown, docstatus = frappe.db.get_value("Sales Invoice", invoice, ["outstanding_amount", "docstatus"])
	owed = frappe.db.sql(
		"""SELECT coalesce(sum(amount_in_account_currency), 0) FROM `tabPayment Ledger Entry`
		WHERE against_voucher_type = 'Sales Invoice' AND against_voucher_no = %s AND delinked = 0""",
		(invoice,),
	)[0][0]
	# A cancelled invoice goes on showing what it was worth.
	assert round(owed - (shown if docstatus == 1 else 0), 6) == 0, (invoice, owed, shown)


def stock_agrees(item: str) -> float:
	"""Assert that the Bins of an item say what its stock ledger says, in quantity and value; return the quantity."""
	site.refresh()
	ledger = frappe.db.sql(
		"""SELECT warehouse, round(sum(actual_qty), 6), round(sum(stock_value_difference), 4)
		FROM `tabStock Ledger Entry` WHERE item_code = %s AND is_cancelled = 0 GROUP BY warehouse""",
		(item,),
	)
	bins = frappe.db.sql(
		"SELECT warehouse, round(actual_qty, 6), round(stock_value, 4) FROM tabBin WHERE item_code = %s",
		(item,),
	)
	assert sorted(bins) == sorted(ledger), (item, bins, ledger)
	return float(sum(row[1] for row in ledger))


def references_are_single(system: str, order: str) -> None:
	"""Assert that each document of an order stands for one external id of its kind at most, all of them bound."""
	names = [name for found in documents_of(order).values() for name in found]
	rows = frappe.get_all(
		"Hub External Reference",
		filters={"system": system, "document_name": ("in", [order, *names])},
		fields=["object_type", "document_name", "state"],
	)
	pairs = [(row.object_type, row.document_name) for row in rows]
	assert len(pairs) == len(set(pairs)), pairs
	assert {row.state for row in rows} == {"Live"}, rows
	assert {row.document_name for row in rows} == {order, *names}, rows


def nothing_half_done(system: str, external_id: str) -> None:
	"""Assert that no Reference of an order or of what follows it waits for its document."""
	rows = frappe.get_all(
		"Hub External Reference",
		filters={
			"system": system,
			"external_id": ("like", external_id + "%"),
			"document_name": ("is", "not set"),
		},
	)
	assert rows == []
