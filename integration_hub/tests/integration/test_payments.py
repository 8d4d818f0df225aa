"""Money received with an order: Payment Entries, and what they write to the ledgers, to the cent."""

import pytest

import frappe

from integration_hub.tests import expect
from integration_hub.tests.factories import made_order, order, placed, unique


def entry_of(answer, index: int = 0):
	frappe.db.rollback()
	return frappe.get_doc("Payment Entry", answer.message["payments"][index]["name"])


def ledger(entry) -> list[tuple]:
	"""Return (account, debit, credit) of a Payment Entry in the company's currency, and see that it balances."""
	rows = frappe.get_all(
		"GL Entry",
		filters={"voucher_no": entry.name, "is_cancelled": 0},
		fields=["account", "debit", "credit", "party", "posting_date", "company"],
	)
	assert round(sum(row.debit for row in rows) - sum(row.credit for row in rows), 9) == 0
	assert {(row.posting_date, row.company) for row in rows} == {(entry.posting_date, entry.company)}
	assert {row.party for row in rows if row.account == entry.paid_from} == {entry.party}
	return sorted((row.account, row.debit, row.credit) for row in rows)


def allocated(entry) -> list[tuple]:
	return [(row.reference_doctype, row.reference_name, row.allocated_amount) for row in entry.references]


@pytest.fixture(scope="module")
def receivable(masters):
	return frappe.get_cached_value("Company", masters.company, "default_receivable_account")


def test_an_advance(shop, hub, masters, receivable, site):
	before = site.census()
	sent = {
		"external_id": unique("P"),
		"method": "Cash",
		"amount": 10,
		"paid_at": "2026-03-01T23:30:00-05:00",
		"reference": "txn_1",
	}
	answer = placed(hub, payments=[sent], placed_at="2026-03-01")
	entry = entry_of(answer)
	assert answer.message["payments"] == [
		{"name": entry.name, "external_id": sent["external_id"], "amount": 10}
	]
	expected = {
		"payment_type": "Receive",
		"party_type": "Customer",
		"party": answer.order["customer"]["name"],
		"company": masters.company,
		"mode_of_payment": "Cash",
		"paid_from": receivable,
		"paid_to": masters.cash,
		"paid_amount": 10,
		"received_amount": 10,
		"base_paid_amount": 10,
		"unallocated_amount": 0,
		"difference_amount": 0,
		"reference_no": "txn_1",
		"docstatus": 1,
		"hub_system": shop.name,
		"hub_external_id": sent["external_id"],
		"owner": shop.user,
	}
	assert {field: entry.get(field) for field in expected} == expected
	assert [str(entry.posting_date), str(entry.reference_date)] == ["2026-03-01", "2026-03-01"]
	assert allocated(entry) == [("Sales Order", answer.order["name"], 10)]
	assert ledger(entry) == sorted([(masters.cash, 10, 0), (receivable, 0, 10)])
	assert made_order(answer).advance_paid == 10
	assert site.grown(before) == {
		"Sales Order": 1,
		"Payment Entry": 1,
		"GL Entry": 2,
		"Payment Ledger Entry": 1,
		"Hub External Reference": 2,
	}


def test_part_of_the_order(hub, masters, receivable):
	answer = placed(hub, payments=[{"method": "Cash", "amount": "3.50"}])
	entry = entry_of(answer)
	assert (allocated(entry)[0][2], entry.unallocated_amount) == (3.5, 0)
	assert ledger(entry) == sorted([(masters.cash, 3.5, 0), (receivable, 0, 3.5)])
	assert made_order(answer).advance_paid == 3.5


def test_several_payments_by_several_methods(hub, masters, receivable):
	answer = placed(hub, payments=[{"method": "Cash", "amount": 4}, {"method": "Card", "amount": 6}])
	first, second = entry_of(answer, 0), entry_of(answer, 1)
	assert (first.mode_of_payment, second.mode_of_payment) == ("Cash", "Credit Card")
	assert ledger(first) == sorted([(masters.cash, 4, 0), (receivable, 0, 4)])
	assert ledger(second) == sorted([(masters.bank, 6, 0), (receivable, 0, 6)])
	assert made_order(answer).advance_paid == 10


def test_too_much_stays_unallocated(hub, masters, receivable):
	answer = placed(hub, payments=[{"method": "Cash", "amount": "12.34"}])
	entry = entry_of(answer)
	assert (entry.paid_amount, allocated(entry)[0][2], entry.unallocated_amount) == (12.34, 10, 2.34)
	rows = ledger(entry)
	assert [row for row in rows if row[0] == masters.cash] == [(masters.cash, 12.34, 0)]
	assert sorted(credit for account, _debit, credit in rows if account == receivable) == [2.34, 10]
	assert made_order(answer).advance_paid == 10


def test_a_payment_after_the_order_is_paid_is_all_unallocated(hub):
	answer = placed(hub, payments=[{"method": "Cash", "amount": 10}, {"method": "Card", "amount": 5}])
	second = entry_of(answer, 1)
	assert (allocated(second), second.unallocated_amount) == ([], 5)
	assert made_order(answer).advance_paid == 10


@pytest.mark.parametrize(("amount", "open_amount"), [(10, 0), ("12", 2), ("4", 0)])
def test_a_fee(amount, open_amount, hub, masters, receivable):
	"""The customer paid all of it; the gateway kept some."""
	paid = float(amount)
	fee = {"code": "gateway", "amount": "0.59"}
	answer = placed(hub, payments=[{"method": "Card", "amount": amount, "fee": fee}])
	entry = entry_of(answer)
	assert entry.paid_amount == entry.received_amount == round(paid - 0.59, 2)
	assert (entry.unallocated_amount, entry.difference_amount) == (open_amount, 0)
	assert allocated(entry) == [("Sales Order", answer.order["name"], paid - open_amount)]
	rows = ledger(entry)
	assert [row for row in rows if row[0] != receivable] == sorted(
		[(masters.bank, round(paid - 0.59, 2), 0), (masters.fee, 0.59, 0)]
	)
	assert round(sum(credit for account, _debit, credit in rows if account == receivable), 2) == paid
	assert made_order(answer).advance_paid == paid - open_amount


def test_what_a_payment_is_called(hub):
	external_id = unique("P")
	sent = [
		{"method": "Cash", "amount": 1, "external_id": external_id},
		{"method": "Cash", "amount": 1},
	]
	answer = placed(hub, payments=sent, order_number=(number := unique("#")))
	assert [entry_of(answer, index).reference_no for index in (0, 1)] == [external_id, number]
	answer = placed(hub, payments=[{"method": "Cash", "amount": 1}])
	assert entry_of(answer).reference_no == answer.order["name"]


@pytest.mark.parametrize(
	("payment", "code", "pointer"),
	[
		({"method": "Barter"}, "payment_method_not_mapped", "method"),
		({"method": "cash"}, "payment_method_not_mapped", "method"),
		({"fee": {"code": "nope", "amount": 1}}, "charge_not_mapped", "fee/code"),
	],
	ids=repr,
)
def test_payments_that_cannot_be_booked(payment, code, pointer, hub):
	sent = [{"method": "Cash", "amount": 1}, {"method": "Cash", "amount": 2, **payment}]
	with expect.nothing_made():
		answer = hub.post("orders.create", order(payments=sent))
	expect.problem(answer, 422, code, [f"/payments/1/{pointer}"])


@pytest.mark.parametrize("fee", ["2", "2.01"])
def test_a_fee_as_large_as_the_payment(fee, hub):
	sent = [{"method": "Card", "amount": 2, "fee": {"code": "gateway", "amount": fee}}]
	with expect.nothing_made():
		answer = hub.post("orders.create", order(payments=sent))
	problem = expect.problem(answer, 422, "validation_failed", ["/payments/0/fee/amount"])
	assert problem["errors"][0]["code"] == "fee_too_large"


def test_one_payment_is_booked_once(hub):
	sent = [{"external_id": unique("P"), "method": "Cash", "amount": 10}]
	name = entry_of(placed(hub, payments=sent)).name
	with expect.nothing_made():
		answer = hub.post("orders.create", order(payments=sent))
	expect.problem(answer, 409, "external_id_conflict", ["/payments/0/external_id"])
	assert name in answer.body["detail"]


def test_two_payments_of_one_id_in_one_order(hub):
	sent = [{"external_id": "P-1", "method": "Cash", "amount": 1}] * 2
	problem = expect.problem(hub.post("orders.create", order(payments=sent)), 422, "validation_failed", [""])
	assert problem["errors"][0]["code"] == "duplicate_payment"


def test_a_draft_takes_no_payments_and_says_so(hub, site):
	before = site.census()
	sent = [
		{"external_id": unique("P"), "method": "Cash", "amount": 10},
		{"method": "Card", "amount": "0.50"},
	]
	answer = placed(hub, payments=sent, submit=False)
	said = "Payments not booked, because the order is a draft: Cash 10, Card 0.50"
	assert "payments" not in answer.message
	assert (made_order(answer).hub_held_because, answer.order["held_because"]) == (said, said)
	assert site.grown(before) == {"Sales Order": 1, "Hub External Reference": 1}
	# Its id is free: the payment was not booked.
	assert placed(hub, payments=sent).message["payments"][0]["amount"] == 10


def test_an_order_held_by_the_gate_takes_none_either(systems):
	http = systems.like(totals_policy="Hold as Draft").http
	answer = placed(http, payments=[{"method": "Cash", "amount": 10}], totals={"grand": 11})
	assert answer.order["held_because"].split("\n") == [
		"The totals differ: grand: sent 11, ERPNext computes 10.00",
		"Payments not booked, because the order is a draft: Cash 10",
	]


def test_payments_need_a_scope_of_their_own(systems):
	from integration_hub.tests.systems import all_scopes

	http = systems.new(scopes=all_scopes("sales:write")).http
	with expect.nothing_made():
		answer = http.post("orders.create", order(payments=[{"method": "Cash", "amount": 1}]))
	expect.problem(answer, 403, "scope_missing", ["/payments"])
	assert placed(http).status == 201


# -- other currencies ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def euro(factory, masters, systems, receivable):
	"""A system with accounts in euros, and a customer who pays in them."""
	accounts = {
		"bank": factory.account("HT Bank EUR", "Bank", account_currency="EUR"),
		"receivable": factory.make(
			"Account",
			account_name=unique("HT Debtors EUR"),
			parent_account=frappe.db.get_value("Account", receivable, "parent_account"),
			account_type="Receivable",
			account_currency="EUR",
			company=masters.company,
		).name,
		"pound": factory.account("HT Bank GBP", "Bank", account_currency="GBP"),
	}
	customer = factory.customer(
		default_currency="EUR", accounts=[{"company": masters.company, "account": accounts["receivable"]}]
	)
	methods = [("Euro", accounts["bank"]), ("Dollar", masters.bank), ("Pound", accounts["pound"])]
	system = systems.new(
		payment_method_map=[
			{"payment_method": method, "mode_of_payment": "Credit Card", "account": account}
			for method, account in methods
		]
	)
	return frappe._dict(**accounts, customer={"name": customer}, http=system.http)


def in_euros(**values) -> dict:
	return {"currency": "EUR", "exchange_rate": "1.25", **values}


def test_an_order_in_euros_paid_into_dollars(euro, factory, masters, receivable):
	customer = {"name": factory.customer()}
	answer = placed(euro.http, **in_euros(customer=customer, payments=[{"method": "Dollar", "amount": 10}]))
	entry = entry_of(answer)
	assert ledger(entry) == sorted([(masters.bank, 12.5, 0), (receivable, 0, 12.5)])
	assert (entry.unallocated_amount, entry.difference_amount) == (0, 0)


def test_an_order_in_euros_paid_into_euros(euro, factory, receivable):
	customer = {"name": factory.customer()}
	answer = placed(euro.http, **in_euros(customer=customer, payments=[{"method": "Euro", "amount": 10}]))
	entry = entry_of(answer)
	assert (entry.received_amount, entry.target_exchange_rate) == (10, 1.25)
	assert ledger(entry) == sorted([(euro.bank, 12.5, 0), (receivable, 0, 12.5)])
	assert entry.difference_amount == 0


@pytest.mark.parametrize("method", ["Euro", "Dollar"])
def test_a_customer_whose_account_is_in_euros(method, euro, masters):
	fee = {"code": "gateway", "amount": "0.40"}
	payments = [{"method": method, "amount": 10, "fee": fee}]
	entry = entry_of(placed(euro.http, **in_euros(customer=euro.customer, payments=payments)))
	account = {"Euro": euro.bank, "Dollar": masters.bank}[method]
	assert ledger(entry) == sorted([(account, 12, 0), (masters.fee, 0.5, 0), (euro.receivable, 0, 12.5)])
	assert (entry.unallocated_amount, entry.difference_amount) == (0, 0)
	assert allocated(entry)[0][2] == 10


def test_an_account_in_a_third_currency(euro, factory):
	customer = {"name": factory.customer()}
	body = order(**in_euros(customer=customer, payments=[{"method": "Pound", "amount": 10}]))
	with expect.nothing_made():
		answer = euro.http.post("orders.create", body)
	expect.problem(answer, 422, "payment_not_bookable", ["/payments/0/method"])
