"""The books as tests look at them: what a document wrote to the ledgers and the Bins, and that a refusal wrote nothing."""

import frappe

from integration_hub.tests import expect, site


def fresh(doctype: str, name: str):
	"""Return a document as committed by now."""
	site.refresh()
	return frappe.get_doc(doctype, name)


def ledger(voucher: str) -> list[tuple[str, float, float]]:
	"""Return (account, debit, credit) of a voucher in the company's currency, sorted, and see that it balances."""
	site.refresh()
	rows = frappe.get_all(
		"GL Entry",
		filters={"voucher_no": voucher, "is_cancelled": 0},
		fields=["account", "debit", "credit"],
	)
	assert round(sum(row.debit for row in rows) - sum(row.credit for row in rows), 9) == 0, rows
	return sorted((row.account, row.debit, row.credit) for row in rows)


def moved(voucher: str) -> list[tuple[str, str, float]]:
	"""Return (item, warehouse, quantity) of a voucher's Stock Ledger Entries, sorted."""
	site.refresh()
	rows = frappe.get_all(
		"Stock Ledger Entry",
		filters={"voucher_no": voucher, "is_cancelled": 0},
		fields=["item_code", "warehouse", "actual_qty"],
	)
	return sorted((row.item_code, row.warehouse, row.actual_qty) for row in rows)


def packed(voucher: str) -> list[tuple]:
	"""Return (serial number, batch, warehouse, quantity) of what a voucher moved, sorted by serial number and batch."""
	site.refresh()
	bundles = frappe.get_all(
		"Serial and Batch Bundle",
		filters={"voucher_no": voucher, "docstatus": 1, "is_cancelled": 0},
		pluck="name",
	)
	rows = frappe.get_all(
		"Serial and Batch Entry",
		filters={"parent": ("in", bundles)},
		fields=["serial_no", "batch_no", "warehouse", "qty"],
	)
	found = [(row.serial_no, row.batch_no, row.warehouse, row.qty) for row in rows]
	return sorted(found, key=lambda row: (row[0] or "", row[1] or "", row[2]))


def bin_of(item: str, warehouse: str) -> tuple[float, float]:
	"""Return (actual, reserved) quantity of a Bin, and see that it agrees with the stock ledger."""
	site.refresh()
	filters = {"item_code": item, "warehouse": warehouse}
	row = frappe.db.get_value("Bin", filters, ["actual_qty", "reserved_qty"], as_dict=True)
	entries = frappe.get_all("Stock Ledger Entry", filters={**filters, "is_cancelled": 0}, pluck="actual_qty")
	actual, reserved = (row.actual_qty, row.reserved_qty) if row else (0.0, 0.0)
	assert round(actual - sum(entries), 6) == 0, (actual, entries)
	return actual, reserved


_STATE = {
	"Bin": ("name", "actual_qty", "reserved_qty", "stock_value"),
	"Sales Order": (
		"name",
		"docstatus",
		"status",
		"per_delivered",
		"per_billed",
		"advance_paid",
		"grand_total",
	),
	"Sales Order Item": ("name", "qty", "rate", "delivered_qty", "billed_amt", "returned_qty"),
}


def _state() -> dict[str, tuple]:
	"""What a refused call may not have changed, beyond what it may not have made: for each table a count and a checksum."""
	site.refresh()
	return {doctype: _checksum(doctype, columns) for doctype, columns in _STATE.items()}


def _checksum(doctype: str, columns: tuple[str, ...]) -> tuple:
	values = ", ".join(f"coalesce({column}, '')" for column in columns)
	return frappe.db.sql(f"SELECT count(*), bit_xor(crc32(concat_ws('|', {values}))) FROM `tab{doctype}`")[0]


def refused(answer_of, status: int, code: str, pointers: list[str] | None = None) -> dict:
	"""Call, assert that the answer is this problem, and that documents, ledgers, Bins and orders are as before."""
	before = _state()
	with expect.nothing_made("Serial and Batch Bundle", "Quotation"):
		answer = answer_of()
	assert _state() == before
	return expect.problem(answer, status, code, pointers)
