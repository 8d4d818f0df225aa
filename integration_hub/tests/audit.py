"""What must be true of the books whatever was called: each function looks at documents as they are now and says what is wrong.

Everything is computed from the documents' own rows and the ledgers, not with functions of the app or of ERPNext.
"""

from collections import defaultdict

import frappe

from integration_hub.tests import site

ORDER, DELIVERY, INVOICE = "Sales Order", "Delivery Note", "Sales Invoice"
PAYMENT, JOURNAL = "Payment Entry", "Journal Entry"
# ERPNext rounds stock values to nine digits, and money to the currency's.
CENT = 0.005
Papers = dict[str, list[str]]


def papers_of(order: str) -> Papers:
	"""Return the names of every submitted document of an order, by DocType."""
	deliveries = _parents("Delivery Note Item", against_sales_order=order)
	invoices = _parents("Sales Invoice Item", sales_order=order)
	if invoices:
		# Frappe takes an empty list for the empty string.
		credits = {"return_against": ("in", sorted(invoices)), "docstatus": 1}
		invoices |= set(frappe.get_all(INVOICE, filters=credits, pluck="name"))
	payments = _parents("Payment Entry Reference", reference_name=("in", [order, *invoices]))
	journals = _parents("Journal Entry Account", reference_name=("in", [order, *invoices, *payments]))
	found = {DELIVERY: deliveries, INVOICE: invoices, PAYMENT: payments, JOURNAL: journals}
	return {ORDER: [order], **{doctype: sorted(names) for doctype, names in found.items()}}


def _parents(child: str, **filters) -> set[str]:
	return set(frappe.get_all(child, filters={**filters, "docstatus": 1}, pluck="parent"))


def faults_of(order: str) -> list[str]:
	"""Return everything that is wrong with an order and what follows it; empty when the books are in order."""
	site.refresh()
	papers = papers_of(order)
	vouchers = [name for doctype in (DELIVERY, INVOICE, PAYMENT, JOURNAL) for name in papers[doctype]]
	return [
		*unbalanced(vouchers),
		*unbooked(papers),
		*wrong_outstanding(papers[INVOICE]),
		*wrong_payments(papers[PAYMENT]),
		*wrong_order(order),
	]


def unbalanced(vouchers: list[str]) -> list[str]:
	"""Debit = credit of each voucher, in the company's currency and in the transaction's.

	A journal for exchange gain or loss books what exists in the company's currency only.
	"""
	rows = frappe.db.sql(
		"""SELECT voucher_no, sum(debit) - sum(credit) company,
			sum(debit_in_transaction_currency) - sum(credit_in_transaction_currency) transaction,
			count(DISTINCT transaction_currency) currencies, count(*) entries, voucher_type
		FROM `tabGL Entry` WHERE voucher_no IN %s AND is_cancelled = 0 GROUP BY voucher_type, voucher_no""",
		(vouchers or [""],),
		as_dict=True,
	)
	found = [f"{row.voucher_no}: debit - credit is {row.company}" for row in rows if round(row.company, 6)]
	# Each entry is converted and rounded on its own.
	return found + [
		f"{row.voucher_no}: in transaction currency debit - credit is {row.transaction}"
		for row in rows
		if row.voucher_type != JOURNAL and row.currencies == 1 and abs(row.transaction) > CENT * row.entries
	]


def unbooked(papers: Papers) -> list[str]:
	"""The ledger holds what the documents say: invoices their total, deliveries what their goods were worth, payments their amount."""
	found = []
	for doctype, amount in ((INVOICE, "base_grand_total"), (PAYMENT, "base_paid_amount")):
		for doc in frappe.get_all(
			doctype, filters={"name": ("in", papers[doctype])}, fields=["name", amount]
		):
			if _debit(doc.name) < abs(doc[amount]) - CENT:
				found.append(f"{doc.name}: {doc[amount]}, but {_debit(doc.name)} in the ledger")
	for name in papers[DELIVERY]:
		worth = frappe.db.sql(
			"""SELECT coalesce(sum(stock_value_difference), 0) FROM `tabStock Ledger Entry`
			WHERE voucher_no = %s AND is_cancelled = 0""",
			(name,),
		)[0][0]
		if abs(_debit(name) - abs(worth)) > CENT:
			found.append(f"{name}: goods of {worth}, but {_debit(name)} in the ledger")
	return found


def _debit(voucher: str) -> float:
	return frappe.db.sql(
		"SELECT coalesce(sum(debit), 0) FROM `tabGL Entry` WHERE voucher_no = %s AND is_cancelled = 0",
		(voucher,),
	)[0][0]


def wrong_outstanding(invoices: list[str]) -> list[str]:
	"""Outstanding = payment ledger = total - payments - credits of each invoice, in the receivable account's currency."""
	found = []
	fields = [
		"name",
		"currency",
		"party_account_currency",
		"grand_total",
		"base_grand_total",
		"conversion_rate",
	]
	fields += ["outstanding_amount", "return_against", "is_return", "update_outstanding_for_self"]
	for doc in frappe.get_all(INVOICE, filters={"name": ("in", invoices)}, fields=fields):
		ledger = frappe.db.sql(
			"""SELECT coalesce(sum(amount_in_account_currency), 0) FROM `tabPayment Ledger Entry`
			WHERE against_voucher_type = %s AND against_voucher_no = %s AND delinked = 0""",
			(INVOICE, doc.name),
		)[0][0]
		for_another = doc.is_return and doc.return_against and not doc.update_outstanding_for_self
		computed = 0.0 if for_another else _total(doc) - _paid(doc) - _credited(doc, fields)
		if abs(ledger - doc.outstanding_amount) > CENT:
			found.append(f"{doc.name}: outstanding {doc.outstanding_amount}, payment ledger {ledger}")
		if abs(computed - doc.outstanding_amount) > CENT:
			found.append(f"{doc.name}: outstanding {doc.outstanding_amount}, by its documents {computed}")
	return found


def _total(doc) -> float:
	return doc.grand_total if doc.currency == doc.party_account_currency else doc.base_grand_total


def _paid(doc) -> float:
	"""Return what payments and journals set against an invoice; negative for what was paid back on a credit note."""
	paid = frappe.db.sql(
		"""SELECT coalesce(sum(allocated_amount), 0) FROM `tabPayment Entry Reference`
		WHERE reference_doctype = %s AND reference_name = %s AND docstatus = 1""",
		(INVOICE, doc.name),
	)[0][0]
	journals = frappe.db.sql(
		"""SELECT coalesce(sum(row.credit_in_account_currency - row.debit_in_account_currency), 0)
		FROM `tabJournal Entry Account` row JOIN `tabJournal Entry` entry ON entry.name = row.parent
		WHERE row.reference_type = %s AND row.reference_name = %s AND row.docstatus = 1 AND row.party IS NOT NULL
			AND row.party != ''""",
		(INVOICE, doc.name),
	)[0][0]
	return paid + journals


def _credited(doc, fields: list[str]) -> float:
	notes = {"return_against": doc.name, "docstatus": 1, "update_outstanding_for_self": 0}
	return sum(-_total(note) for note in frappe.get_all(INVOICE, filters=notes, fields=fields))


def wrong_payments(payments: list[str]) -> list[str]:
	"""What a payment allocates and what it leaves is what was paid; nothing is lost between its two accounts."""
	found = []
	for name in payments:
		doc = frappe.get_doc(PAYMENT, name)
		receives = doc.payment_type == "Receive"
		allocated = sum(row.allocated_amount for row in doc.references)
		kept = sum(row.amount for row in doc.deductions) / (
			(doc.source_exchange_rate if receives else doc.target_exchange_rate) or 1
		)
		party = (doc.paid_amount + kept) if receives else (doc.received_amount - kept)
		sign = 1 if receives else -1
		if abs(party - sign * allocated - doc.unallocated_amount) > CENT * (1 + len(doc.references)):
			found.append(f"{name}: {party} paid, {allocated} allocated, {doc.unallocated_amount} left")
		# Set against an invoice later, each part of an advance is converted and rounded anew.
		if doc.unallocated_amount < -CENT or abs(doc.difference_amount) > 2 * CENT * len(doc.references):
			found.append(f"{name}: left {doc.unallocated_amount}, difference {doc.difference_amount}")
	return found


def wrong_order(order: str) -> list[str]:
	"""Delivered, billed, returned and the states of an order = what its documents' rows add up to."""
	doc = frappe.get_doc(ORDER, order)
	if doc.docstatus != 1:
		return []
	found = []
	delivered, returned, billed, left, bills = _rows_of(doc)
	for row in doc.items:
		for field, may_be in (
			("delivered_qty", (delivered,)),
			("returned_qty", (returned,)),
			# A credit note changes nothing; the next invoice of the line counts it in, with ERPNext by hand as well.
			("billed_amt", (billed, left)),
		):
			if all(abs((row.get(field) or 0) - is_now[row.name]) > CENT for is_now in may_be):
				found.append(
					f"{order} row {row.idx}: {field} {row.get(field)}, by its documents {[now[row.name] for now in may_be]}"
				)
		if not -1e-6 <= delivered[row.name] <= row.qty + 1e-6:
			found.append(f"{order} row {row.idx}: {delivered[row.name]} of {row.qty} delivered")
		# Each invoice rounds its part of the line.
		if abs(billed[row.name]) > abs(row.amount) + CENT * bills[row.name]:
			found.append(f"{order} row {row.idx}: {billed[row.name]} of {row.amount} billed")
	for field, parts in (
		("per_delivered", [(delivered[row.name], row.qty) for row in doc.items]),
		("per_billed", [(row.billed_amt or 0, row.amount) for row in doc.items]),
	):
		percent = _percent(parts)
		if abs(doc.get(field) - percent) > 0.01:
			found.append(f"{order}: {field} {doc.get(field)}, by its rows {percent}")
	if doc.status != _state(doc):
		found.append(f"{order}: {doc.status} with {doc.per_delivered} % delivered, {doc.per_billed} % billed")
	return found


def _rows_of(doc) -> tuple[dict, dict, dict, dict, dict]:
	"""Return delivered and returned quantity, amount billed, the same less credits, and number of bills by row of an order.

	What came back is delivered no more; what was credited stays billed unless the credit note says otherwise.
	"""
	delivered, returned, billed, left, bills = (defaultdict(float) for _ in range(5))
	rows = frappe.db.sql(
		"""SELECT row.so_detail, row.qty, NULL amount, note.is_return, 1 moves, 1 bills FROM `tabDelivery Note Item` row
			JOIN `tabDelivery Note` note ON note.name = row.parent WHERE row.so_detail IN %(rows)s AND note.docstatus = 1
		UNION ALL
		SELECT row.so_detail, row.qty, row.amount, bill.is_return, bill.update_stock moves,
			if(bill.is_return, bill.update_billed_amount_in_sales_order, 1) bills
		FROM `tabSales Invoice Item` row JOIN `tabSales Invoice` bill ON bill.name = row.parent
		WHERE row.so_detail IN %(rows)s AND bill.docstatus = 1""",
		{"rows": [row.name for row in doc.items]},
		as_dict=True,
	)
	for row in rows:
		delivered[row.so_detail] += row.qty if row.moves else 0
		returned[row.so_detail] -= row.qty if row.moves and row.is_return else 0
		billed[row.so_detail] += (row.amount or 0) if row.bills else 0
		left[row.so_detail] += row.amount or 0
		bills[row.so_detail] += row.amount is not None
	return delivered, returned, billed, left, bills


def _percent(parts: list[tuple[float, float]]) -> float:
	whole = sum(abs(total) for _done, total in parts)
	return sum(min(abs(done), abs(total)) for done, total in parts) / whole * 100 if whole else 0.0


def _state(doc) -> str:
	if doc.status in ("Closed", "On Hold"):
		return doc.status
	delivered, billed = doc.per_delivered >= 100 or doc.skip_delivery_note, doc.per_billed >= 100
	if delivered:
		return "Completed" if billed else "To Bill"
	return "To Deliver" if billed else "To Deliver and Bill"


def wrong_bins(items: list[str]) -> list[str]:
	"""Each Bin holds what the stock ledger's last entry and all its entries say, and reserves what open orders still owe."""
	site.refresh()
	found = []
	bins = frappe.get_all(
		"Bin",
		filters={"item_code": ("in", items)},
		fields=["item_code", "warehouse", "actual_qty", "stock_value", "reserved_qty"],
	)
	for row in bins:
		where, key = f"{row.item_code} in {row.warehouse}", (row.item_code, row.warehouse)
		entries = frappe.db.sql(
			"""SELECT actual_qty, qty_after_transaction, stock_value, stock_value_difference
			FROM `tabStock Ledger Entry` WHERE item_code = %s AND warehouse = %s AND is_cancelled = 0
			ORDER BY posting_datetime, creation""",
			key,
			as_dict=True,
		)
		for field, said in (
			("actual_qty", [entries[-1].qty_after_transaction, sum(e.actual_qty for e in entries)]),
			("stock_value", [entries[-1].stock_value, sum(e.stock_value_difference for e in entries)]),
			("reserved_qty", [_owed(*key)]),
		):
			for value in said if entries or field == "reserved_qty" else []:
				if abs(row[field] - value) > 1e-4:
					found.append(f"{where}: {field} {row[field]}, should be {value}")
	return found


def _owed(item: str, warehouse: str) -> float:
	"""Return what open orders still owe of an item: ordered less delivered; what came back is owed again, unless a setting says no."""
	again = frappe.db.get_single_value("Selling Settings", "dont_reserve_sales_order_qty_on_sales_return")
	return frappe.db.sql(
		f"""SELECT coalesce(sum((row.qty - row.delivered_qty {"- row.returned_qty" if again else ""})
			* row.conversion_factor), 0)
		FROM `tabSales Order Item` row JOIN `tabSales Order` parent ON parent.name = row.parent
		WHERE row.item_code = %s AND row.warehouse = %s AND parent.docstatus = 1
			AND parent.status NOT IN ('On Hold', 'Closed') AND row.delivered_by_supplier = 0""",
		(item, warehouse),
	)[0][0]


def undone(order: str) -> list[str]:
	"""What a cancelled order has left in the ledgers: nothing may stand."""
	site.refresh()
	found = [
		f"{doctype} {name} stands"
		for doctype, names in papers_of(order).items()
		if doctype != ORDER
		for name in names
	]
	if frappe.db.get_value(ORDER, order, "docstatus") != 2:
		found.append(f"{order} is not cancelled")
	return found
