"""`sales.refund`: goods, credit and money given back, to the cent; never more than was sold; a refusal writes nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import frappe

from integration_hub.tests import books, expect, site
from integration_hub.tests import factories as f
from integration_hub.tests.books import bin_of, fresh, ledger, moved
from integration_hub.tests.factories import order, unique

SHIPPING = [{"code": "shipping", "amount": 10}]


@pytest.fixture(scope="module")
def item(factory, masters):
	code = factory.item()
	factory.stock(code, masters.warehouse, 1000)
	return code


@pytest.fixture(scope="module")
def second(factory, masters):
	code = factory.item()
	factory.stock(code, masters.warehouse, 1000)
	return code


@pytest.fixture(scope="module")
def accounts(masters):
	names = {
		"receivable": "default_receivable_account",
		"income": "default_income_account",
		"stock": "default_inventory_account",
		"cost": "default_expense_account",
	}
	return frappe._dict(
		{key: frappe.get_cached_value("Company", masters.company, name) for key, name in names.items()}
	)


class Sale:
	"""An order and what followed it, and refunds on it."""

	def __init__(self, http, answer):
		self.http = http
		self.name = answer.order["name"]
		self.target = {"external_id": answer.order["external_id"]}
		self.deliveries = [one["name"] for one in answer.message["fulfillments"]]
		self.invoices = [one["name"] for one in answer.message["invoices"]]
		self.payments = [one["name"] for one in answer.message["payments"]]

	def ask(self, **body):
		"""Ask for a refund of the order, or of what the body names."""
		target = {} if "invoice" in body else {"order": self.target}
		return self.http.post("sales.refund", {"external_id": unique("R"), **target, **body})

	def refund(self, **body) -> frappe._dict:
		"""Ask for a refund, see that it was given, and return what was made: notes, returns, payment, answer."""
		answer = self.ask(**body)
		assert answer.status == 201, answer
		message = answer.message
		payments = [fresh("Payment Entry", one["name"]) for one in message["payments"]]
		return frappe._dict(
			answer=answer,
			notes=[fresh("Sales Invoice", one["name"]) for one in message["invoices"]],
			returns=[fresh("Delivery Note", one["name"]) for one in message["fulfillments"]],
			payment=payments[0] if payments else None,
		)

	def line(self, external_id: str) -> tuple[float, float, float]:
		"""Return delivered and returned quantity and billed amount of a line."""
		doc = fresh("Sales Order", self.name)
		row = next(row for row in doc.items if row.hub_external_id == external_id)
		return row.delivered_qty, row.returned_qty, row.billed_amt

	def refused(self, status: int, code: str, pointers: list[str], **body) -> dict:
		return books.refused(lambda: self.ask(**body), status, code, pointers)


@pytest.fixture
def sell(hub, item, second):
	"""`sell("fulfill", "invoice", pay=…, **order)`: 3 × 10 of one item and 1 × 5 of another, with what follows."""

	def make(*parts: str, pay: dict | None = None, http=hub, **overrides) -> Sale:
		lines = [
			f.line(external_id="1", item_code=item, quantity=3, unit_price=10),
			f.line(external_id="2", item_code=second, quantity=1, unit_price=5),
		]
		body = {"order": order(**{"lines": lines, **overrides})}
		body |= {part: {} for part in parts}
		if "stock" in body:
			body.pop("stock")
			body["invoice"] = {"update_stock": True}
		if pay is not None:
			body["pay"] = {"method": "Cash", **pay}
		answer = http.post("sales.run", body)
		assert answer.status == 201, answer
		return Sale(http, answer)

	return make


def one(quantity: float = 1, external_id: str = "1", **values) -> list[dict]:
	return [{"external_id": external_id, "quantity": quantity, **values}]


def rows_of(doc) -> list[tuple[str, float]]:
	return [(row.item_code, row.qty) for row in doc.items]


def open_of(invoice: str) -> float:
	"""Return what an invoice or credit note says is open, and see that the Payment Ledger says the same."""
	site.refresh()
	said = frappe.db.get_value("Sales Invoice", invoice, "outstanding_amount")
	rows = frappe.get_all(
		"Payment Ledger Entry",
		filters={"against_voucher_no": invoice, "delinked": 0},
		pluck="amount_in_account_currency",
	)
	assert round(sum(rows) - said, 9) == 0, (said, rows)
	return said


def owed_by(customer: str) -> float:
	"""Return what a customer owes by the general ledger, and see that the Payment Ledger agrees."""
	site.refresh()
	party = {"party_type": "Customer", "party": customer}
	rows = frappe.get_all("GL Entry", filters={**party, "is_cancelled": 0}, fields=["debit", "credit"])
	balance = round(sum(row.debit - row.credit for row in rows), 2)
	entries = frappe.get_all("Payment Ledger Entry", filters={**party, "delinked": 0}, pluck="amount")
	assert round(sum(entries), 2) == balance
	return balance


def allocated(entry) -> list[tuple[str, float]]:
	return sorted((row.reference_name, row.allocated_amount) for row in entry.references)


# -- by line -------------------------------------------------------------------------------------------------------


def test_a_line_after_payment_in_full(sell, hub, shop, item, masters, accounts):
	sale = sell("fulfill", "invoice", pay={}, charges=SHIPPING)
	stock = bin_of(item, masters.warehouse)[0]
	before = site.census()
	external_id = unique("R")
	made = sale.refund(external_id=external_id, lines=one(2), method="Cash", reason="Too small")
	grown = site.grown(before)
	(note,), (returned,), payment = made.notes, made.returns, made.payment
	assert (note.is_return, note.return_against, note.docstatus) == (1, sale.invoices[0], 1)
	assert (rows_of(note), note.grand_total, note.update_stock) == ([(item, -2)], -20, 0)
	assert ledger(note.name) == sorted([(accounts.income, 20, 0), (accounts.receivable, 0, 20)])
	assert (returned.is_return, returned.return_against) == (1, sale.deliveries[0])
	assert (rows_of(returned), moved(returned.name)) == ([(item, -2)], [(item, masters.warehouse, 2)])
	assert ledger(returned.name) == sorted([(accounts.stock, 8, 0), (accounts.cost, 0, 8)])
	assert (payment.payment_type, payment.paid_amount, payment.paid_from) == ("Pay", 20, masters.cash)
	assert allocated(payment) == [(note.name, -20)]
	assert ledger(payment.name) == sorted([(accounts.receivable, 20, 0), (masters.cash, 0, 20)])
	assert (payment.reference_no, payment.mode_of_payment) == (external_id, "Cash")
	assert (open_of(note.name), open_of(sale.invoices[0])) == (0, 0)
	assert bin_of(item, masters.warehouse)[0] == stock + 2
	# ERPNext counts what was billed, whatever was credited afterwards.
	assert sale.line("1") == (1, 2, 30)
	assert sale.line("2") == (1, 0, 5)
	assert grown == {
		"Delivery Note": 1,
		"Sales Invoice": 1,
		"Payment Entry": 1,
		"GL Entry": 6,
		"Stock Ledger Entry": 1,
		"Payment Ledger Entry": 2,
		"Hub External Reference": 4,
	}
	for doc in (note, returned, payment):
		assert (doc.hub_system, doc.hub_external_id, doc.owner) == (shop.name, external_id, shop.user)
	comments = frappe.get_all(
		"Comment",
		filters={"reference_name": note.name, "comment_type": "Comment"},
		pluck="content",
	)
	assert comments == ["Too small"]
	message = made.answer.message
	assert [line["quantity"] for line in message["invoices"][0]["lines"]] == [-2]
	assert message["invoices"][0]["is_return"] and message["fulfillments"][0]["is_return"]
	assert message["payments"][0]["type"] == "pay"
	assert message["payments"][0]["amount"] == 20


def test_several_lines(sell, item, second):
	sale = sell("fulfill", "invoice", pay={})
	made = sale.refund(lines=[*one(1), *one(1, "2", restock=False)], method="Card")
	assert rows_of(made.notes[0]) == [(item, -1), (second, -1)]
	assert [rows_of(doc) for doc in made.returns] == [[(item, -1)]]
	assert (made.notes[0].grand_total, made.payment.paid_amount) == (-15, 15)
	assert (sale.line("1"), sale.line("2")) == ((2, 1, 30), (1, 0, 5))


def test_free_goods_on_an_invoice_of_their_own(sell, item, second, hub):
	"""It asks for nothing, so nothing is owed back; but what came back is not billed any more."""
	lines = [
		f.line(external_id="1", item_code=item, quantity=1, unit_price=10),
		f.line(external_id="2", item_code=second, quantity=2, unit_price=0),
	]
	sale = sell("fulfill", lines=lines)
	for line in ("2", "1"):
		body = {
			"external_id": unique("INV"),
			"order": sale.target,
			"lines": one(lines[int(line) - 1]["quantity"], line),
		}
		assert hub.post("sales.invoice", body).status == 201
	made = sale.refund(lines=one(1, "2", restock=False))
	assert [(rows_of(doc), doc.grand_total) for doc in made.notes] == [([(second, -1)], 0)]
	said = hub.get("sales.status", **sale.target).message["lines"]
	assert [(line["delivered"], line["billed"]) for line in said] == [(1, 1), (2, 1)]


def test_without_restock(sell, masters, item):
	sale = sell("fulfill", "invoice", pay={})
	stock = bin_of(item, masters.warehouse)
	made = sale.refund(lines=one(2, restock=False), method="Cash")
	assert (len(made.notes), made.returns, made.payment.paid_amount) == (1, [], 20)
	assert bin_of(item, masters.warehouse) == stock
	assert sale.line("1") == (3, 0, 30)


def test_a_quantity_left_out_is_what_is_left(sell, item):
	sale = sell("fulfill", "invoice")
	sale.refund(lines=one(1))
	made = sale.refund(lines=[{"external_id": "1"}])
	assert (rows_of(made.notes[0]), rows_of(made.returns[0])) == ([(item, -2)], [(item, -2)])


# -- what was paid decides what becomes of the credit ---------------------------------------------------------------


def test_before_any_payment(sell):
	sale = sell("fulfill", "invoice")
	made = sale.refund(lines=one(2))
	assert (open_of(made.notes[0].name), open_of(sale.invoices[0])) == (0, 15)
	sale.refused(409, "state_conflict", ["/method"], lines=one(1), method="Cash")
	paid = sale.http.post("sales.pay", {"external_id": unique("P"), "order": sale.target, "method": "Cash"})
	assert paid.message["payments"][0]["amount"] == 15
	assert open_of(sale.invoices[0]) == 0


def test_after_payment_without_method_it_stays_credit(sell, factory):
	customer = factory.customer()
	sale = sell("fulfill", "invoice", pay={}, customer={"name": customer})
	made = sale.refund(lines=one(2))
	assert made.payment is None
	assert (open_of(made.notes[0].name), open_of(sale.invoices[0])) == (-20, 0)
	assert owed_by(customer) == -20


def test_after_part_payment(sell, factory, masters, accounts):
	"""Credit note and the rest of the invoice are closed together; only the difference is paid back."""
	customer = factory.customer()
	sale = sell("fulfill", "invoice", pay={"amount": 30}, customer={"name": customer})
	made = sale.refund(lines=one(2), method="Cash")
	note = made.notes[0].name
	assert made.payment.paid_amount == 15
	assert allocated(made.payment) == [(note, -15)]
	assert ledger(made.payment.name) == sorted([(masters.cash, 0, 15), (accounts.receivable, 15, 0)])
	assert (open_of(note), open_of(sale.invoices[0]), owed_by(customer)) == (0, 0, 0)


def test_a_credit_below_what_is_owed(sell):
	sale = sell("fulfill", "invoice", pay={"amount": 10})
	made = sale.refund(lines=one(2))
	assert (open_of(made.notes[0].name), open_of(sale.invoices[0])) == (0, 5)
	problem = sale.refused(409, "state_conflict", ["/method"], lines=one(1, "2"), method="Cash")
	assert problem["documents"] == [{"doctype": "Sales Invoice", "name": sale.invoices[0]}]


# -- billed or delivered only ---------------------------------------------------------------------------------------


def test_billed_but_not_delivered(sell, item):
	sale = sell("invoice", pay={})
	problem = sale.refused(409, "state_conflict", ["/lines/0/restock"], lines=one(2, restock=True))
	assert problem["documents"] == []
	made = sale.refund(lines=one(2), method="Cash")
	assert (rows_of(made.notes[0]), made.returns, made.payment.paid_amount) == ([(item, -2)], [], 20)
	# What was given back is not delivered by itself.
	answer = sale.http.post("sales.fulfill", {"external_id": unique("F"), "order": sale.target})
	assert [line["quantity"] for line in answer.message["fulfillments"][0]["lines"]] == [1, 1]


def test_delivered_but_not_billed(sell, item):
	sale = sell("fulfill")
	sale.refused(409, "state_conflict", ["/method"], lines=one(2), method="Cash")
	sale.refused(409, "state_conflict", [""], amount=5)
	sale.refused(409, "state_conflict", [""], charges=[{"code": "shipping"}])
	made = sale.refund(lines=one(2))
	assert (made.notes, rows_of(made.returns[0]), made.payment) == ([], [(item, -2)], None)
	assert sale.line("1") == (1, 2, 0)
	answer = sale.http.post("sales.invoice", {"external_id": unique("I"), "order": sale.target})
	assert [line["quantity"] for line in answer.message["invoices"][0]["lines"]] == [1, 1]
	assert answer.message["invoices"][0]["grand_total"] == 15


def test_neither_delivered_nor_billed(sell):
	sale = sell()
	sale.refused(409, "state_conflict", ["/lines/0"], lines=one(1))
	sale.refused(409, "state_conflict", [""])
	sale.refused(409, "state_conflict", ["/method"], method="Cash")


@pytest.mark.parametrize("restock", [True, None, False])
def test_an_invoice_that_moved_the_goods_itself(restock, sell, item, masters, accounts):
	sale = sell("stock", pay={})
	stock = bin_of(item, masters.warehouse)[0]
	line = one(2) if restock is None else one(2, restock=restock)
	made = sale.refund(lines=line, method="Cash")
	(note,) = made.notes
	back = restock is not False
	assert (made.returns, note.update_stock, note.grand_total) == ([], int(back), -20)
	assert moved(note.name) == ([(item, masters.warehouse, 2)] if back else [])
	assert bin_of(item, masters.warehouse)[0] == stock + (2 if back else 0)
	goods = [(accounts.stock, 8, 0), (accounts.cost, 0, 8)] if back else []
	assert ledger(note.name) == sorted([(accounts.income, 20, 0), (accounts.receivable, 0, 20), *goods])
	assert sale.line("1") == ((1, 2, 30) if back else (3, 0, 30))
	rest = sale.refund(method="Cash")
	assert rest.payment.paid_amount == 15


# -- by amount ------------------------------------------------------------------------------------------------------

TAXES = {
	"lines": [
		f.line(external_id="1", quantity=3, unit_price="12.34"),
		f.line(external_id="2", item_code=f.SECOND_ITEM, quantity=1, unit_price="5.55"),
	],
	"charges": [{"code": "shipping", "amount": "4.99"}],
}
CARTS = {
	"no tax": {},
	"two rates": {"taxes": [{"code": "vat", "rate": 19}, {"code": "city", "rate": "7.25"}]},
	"included": {"taxes": [{"code": "vat", "rate": 19, "included": True}]},
	"a rate and an amount": {"taxes": [{"code": "vat", "rate": "8.875"}, {"code": "city", "amount": "0.33"}]},
	"discount": {
		"taxes": [{"code": "vat", "rate": 19}],
		"discounts": [{"code": "welcome", "percent": 10}],
	},
	"fixed discount": {
		"taxes": [{"code": "vat", "rate": 19}],
		"discounts": [{"code": "welcome", "amount": "3.33"}],
	},
}


@pytest.mark.parametrize("cart", CARTS, ids=str)
def test_amounts_and_then_the_rest(cart, sell, factory):
	"""To the cent, as often as wanted; lines and everything that is left come after them."""
	customer = factory.customer()
	sale = sell("invoice", pay={}, customer={"name": customer}, **TAXES, **CARTS[cart])
	total = fresh("Sales Invoice", sale.invoices[0]).grand_total
	given = 0.0
	for amount in ("7.77", "0.01", "13.13"):
		made = sale.refund(amount=amount, method="Cash")
		(note,) = made.notes
		assert (note.grand_total, made.payment.paid_amount) == (-float(amount), float(amount))
		assert note.base_grand_total == -float(amount)
		assert all(row.item_code is None for row in note.items)
		ledger(note.name)
		ledger(made.payment.name)
		given = round(given + float(amount), 2)
	assert sale.line("1")[:2] == (0, 0)
	left = round(total - given, 2)
	problem = sale.refused(
		422, "amount_exceeds_open", ["/amount"], amount=str(round(left + 0.01, 2)), method="Cash"
	)
	assert problem["open"] == left
	made = sale.refund(lines=one(1), method="Cash")
	given = round(given - made.notes[0].grand_total, 2)
	made = sale.refund(method="Cash")
	ledger(made.notes[0].name)
	assert round(given - made.notes[0].grand_total, 2) == total
	assert owed_by(customer) == 0
	sale.refused(409, "state_conflict", [""])
	sale.refused(422, "amount_exceeds_open", ["/amount"], amount="0.01")


@pytest.mark.parametrize("cart", CARTS, ids=str)
def test_line_by_line_comes_to_the_whole(cart, sell, factory):
	customer = factory.customer()
	sale = sell("invoice", pay={}, customer={"name": customer}, **TAXES, **CARTS[cart])
	total = fresh("Sales Invoice", sale.invoices[0]).grand_total
	given = 0.0
	for body in ({"lines": one(1)}, {"lines": one(1)}, {"lines": one(1, "2")}, {}):
		made = sale.refund(method="Cash", **body)
		ledger(made.notes[0].name)
		given = round(given - made.notes[0].grand_total, 2)
	assert (given, owed_by(customer)) == (total, 0)
	sale.refused(409, "state_conflict", [""])


@pytest.mark.parametrize("cart", CARTS, ids=str)
def test_everything_at_once(cart, sell, factory):
	customer = factory.customer()
	sale = sell("invoice", pay={}, customer={"name": customer}, **TAXES, **CARTS[cart])
	invoice = fresh("Sales Invoice", sale.invoices[0])
	made = sale.refund(method="Cash")
	(note,) = made.notes
	assert (note.grand_total, note.net_total) == (-invoice.grand_total, -invoice.net_total)
	assert ledger(note.name) == sorted(
		(account, credit, debit) for account, debit, credit in ledger(invoice.name)
	)
	assert owed_by(customer) == 0


def test_lines_for_a_smaller_amount(sell, accounts):
	"""A restocking fee: the goods come back, less than their worth is given back."""
	sale = sell("fulfill", "invoice", pay={})
	problem = sale.refused(422, "amount_exceeds_open", ["/amount"], lines=one(2), amount="20.01")
	assert problem["open"] == 20
	made = sale.refund(lines=one(2), amount="15.55", method="Cash")
	(note,) = made.notes
	assert (note.grand_total, made.payment.paid_amount, len(made.returns)) == (-15.55, 15.55, 1)
	assert ledger(note.name) == sorted([(accounts.income, 15.55, 0), (accounts.receivable, 0, 15.55)])
	assert sale.line("1")[:2] == (1, 2)
	made = sale.refund(method="Cash")
	assert made.notes[0].grand_total == -15


def test_charges(sell, masters, accounts):
	sale = sell("fulfill", "invoice", pay={}, charges=SHIPPING)
	made = sale.refund(charges=[{"code": "shipping", "amount": 4}], method="Cash")
	(note,) = made.notes
	assert (note.grand_total, made.returns, made.payment.paid_amount) == (-4, [], 4)
	assert ledger(note.name) == sorted([(masters.charge, 4, 0), (accounts.receivable, 0, 4)])
	problem = sale.refused(
		422,
		"amount_exceeds_open",
		["/charges/0/amount"],
		charges=[{"code": "shipping", "amount": "6.01"}],
	)
	assert problem["open"] == 6
	sale.refused(422, "charge_not_mapped", ["/charges/0/code"], charges=[{"code": "nope"}])
	made = sale.refund(lines=one(1), charges=[{"code": "shipping"}], method="Cash")
	assert (made.notes[0].grand_total, made.payment.paid_amount) == (-16, 16)
	sale.refused(409, "state_conflict", ["/charges/0"], charges=[{"code": "shipping"}])
	assert sale.refund(method="Cash").payment.paid_amount == 25


def test_a_charge_the_invoice_does_not_have(sell):
	sale = sell("fulfill", "invoice", pay={}, charges=SHIPPING)
	for charges in ([{"code": "gateway"}], [{"code": "shipping"}, {"code": "gateway"}]):
		at = f"/charges/{len(charges) - 1}/code"
		problem = sale.refused(409, "state_conflict", [at], charges=charges)
		assert problem["documents"] == [{"doctype": "Sales Invoice", "name": sale.invoices[0]}]


def fixed_of(doc) -> list[float]:
	"""Return the amounts of the rows of taxes and charges."""
	return [row.tax_amount for row in doc.taxes]


FIXED = {
	"taxes": [{"code": "vat", "amount": 10}],
	"charges": [{"code": "shipping", "amount": 6}, {"code": "shipping", "amount": 4}],
}


def test_a_fixed_tax_after_part_of_it_went_by_amount(sell, factory):
	"""Of 35 + tax 10, 18 by amount takes 4 of the tax; a line of 10 reaches 2.86 of it, so takes no more."""
	customer = factory.customer()
	sale = sell("invoice", pay={}, customer={"name": customer}, taxes=FIXED["taxes"])
	by_amount = sale.refund(amount=18, method="Cash").notes[0]
	assert (fixed_of(by_amount), by_amount.grand_total) == ([-4], -18)
	by_line = sale.refund(lines=one(1), method="Cash").notes[0]
	assert (fixed_of(by_line), by_line.grand_total) == ([0], -10)
	rest = sale.refund(method="Cash").notes[0]
	assert (fixed_of(rest), rest.net_total, rest.grand_total) == ([-6], -11, -17)
	assert owed_by(customer) == 0


def test_two_charges_of_one_code(sell, factory):
	customer = factory.customer()
	sale = sell("invoice", pay={}, customer={"name": customer}, **FIXED)
	invoice = fresh("Sales Invoice", sale.invoices[0])
	assert (fixed_of(invoice), invoice.grand_total) == ([10, 6, 4], 55)
	first = sale.refund(charges=[{"code": "shipping", "amount": 7}], method="Cash").notes[0]
	assert (fixed_of(first), first.grand_total) == ([0, -6, -1], -7)
	problem = sale.refused(
		422,
		"amount_exceeds_open",
		["/charges/1/amount"],
		charges=[{"code": "shipping", "amount": 2}, {"code": "shipping", "amount": "1.01"}],
	)
	assert problem["open"] == 1
	sale.refused(409, "state_conflict", ["/charges/1"], charges=[{"code": "shipping"}] * 2)
	second = sale.refund(lines=one(1, "2"), charges=[{"code": "shipping"}], method="Cash").notes[0]
	assert (fixed_of(second), second.grand_total) == ([-1.43, 0, -3], -9.43)
	rest = sale.refund(method="Cash").notes[0]
	assert (fixed_of(rest), rest.grand_total) == ([-8.57, 0, 0], -38.57)
	assert owed_by(customer) == 0


def test_charges_of_two_codes_on_one_account(sell, systems, masters, accounts):
	shared = [{"charge_code": code, "account": masters.charge} for code in ("shipping", "handling")]
	sale = sell(
		"invoice",
		http=systems.like(charge_map=shared).http,
		charges=[{"code": "shipping", "amount": 6}, {"code": "handling", "title": "Care", "amount": 4}],
	)
	note = sale.refund(charges=[{"code": "handling"}]).notes[0]
	assert (fixed_of(note), [row.hub_code for row in note.taxes]) == ([0, -4], ["shipping", "handling"])
	assert ledger(note.name) == sorted([(masters.charge, 4, 0), (accounts.receivable, 0, 4)])
	sale.refused(409, "state_conflict", ["/charges/0"], charges=[{"code": "handling"}])
	note = sale.refund(charges=[{"code": "shipping"}]).notes[0]
	assert (fixed_of(note), note.grand_total) == ([-6, 0], -6)


@pytest.fixture
def in_two(sell, factory):
	"""An order with a charge, billed by two invoices: of 20, and of 15."""

	def make(**values) -> Sale:
		customer = factory.customer()
		sale = sell(customer={"name": customer}, **values)
		for lines in (one(2), None):
			body = {"external_id": unique("I"), "order": sale.target, **({"lines": lines} if lines else {})}
			answer = sale.http.post("sales.invoice", body)
			assert answer.status == 201, answer
			sale.invoices.append(answer.message["invoices"][0]["name"])
		sale.customer = customer
		return sale

	return make


def test_two_charges_over_two_invoices(in_two):
	sale = in_two(charges=[{"code": "shipping", "amount": 5}, {"code": "shipping", "amount": 3}])
	assert [fixed_of(fresh("Sales Invoice", name)) for name in sale.invoices] == [[2.86, 1.71], [2.14, 1.29]]
	made = sale.refund(charges=[{"code": "shipping", "amount": 6}])
	assert [(note.return_against, fixed_of(note)) for note in made.notes] == [
		(sale.invoices[0], [-2.86, -1.71]),
		(sale.invoices[1], [-1.43, 0]),
	]
	problem = sale.refused(
		422,
		"amount_exceeds_open",
		["/charges/0/amount"],
		charges=[{"code": "shipping", "amount": "2.01"}],
	)
	assert problem["open"] == 2
	sale.refused(
		422, "amount_exceeds_open", ["/charges/0/amount"], charges=[{"code": "shipping", "amount": 9}]
	)
	made = sale.refund(charges=[{"code": "shipping"}])
	assert [(note.return_against, fixed_of(note)) for note in made.notes] == [
		(sale.invoices[1], [-0.71, -1.29])
	]
	sale.refund()
	assert owed_by(sale.customer) == 0


def test_all_of_a_charge_over_two_invoices(in_two):
	sale = in_two(charges=SHIPPING)
	made = sale.refund(charges=[{"code": "shipping"}])
	assert [(note.return_against, note.grand_total) for note in made.notes] == [
		(sale.invoices[0], -5.71),
		(sale.invoices[1], -4.29),
	]
	sale.refund()
	assert owed_by(sale.customer) == 0


def test_charges_for_a_smaller_amount(sell, masters, accounts):
	"""A discount takes nothing off a charge, so the charges themselves are less."""
	sale = sell("invoice", pay={}, **FIXED)
	body = {"charges": [{"code": "shipping"}], "method": "Cash"}
	sale.refused(422, "amount_exceeds_open", ["/amount"], amount="10.01", **body)
	made = sale.refund(amount="3.33", **body)
	(note,) = made.notes
	assert (fixed_of(note), note.grand_total, made.payment.paid_amount) == ([0, -2, -1.33], -3.33, 3.33)
	assert ledger(note.name) == sorted([(masters.charge, 3.33, 0), (accounts.receivable, 0, 3.33)])


def test_lines_and_charges_for_a_smaller_amount(sell):
	"""Less than the charges alone: 10 of goods, 2.86 of the tax and 10 of charges come to 5.72, a quarter of it."""
	sale = sell("invoice", pay={}, **FIXED)
	made = sale.refund(lines=one(1), charges=[{"code": "shipping"}], amount="5.72", method="Cash")
	(note,) = made.notes
	assert (fixed_of(note), note.net_total, note.grand_total) == ([-0.72, -1.5, -1], -2.5, -5.72)
	assert (note.discount_amount, made.payment.paid_amount) == (-7.5, 5.72)
	ledger(note.name)


def test_a_charge_when_amounts_left_less_than_it(sell, factory):
	"""A charge has no more to give than its invoice."""
	customer = factory.customer()
	sale = sell("invoice", pay={}, customer={"name": customer}, charges=SHIPPING)
	# Lines and charge in their proportion: 7.78 of the 10.
	by_amount = sale.refund(amount=35, method="Cash").notes[0]
	assert fixed_of(by_amount) == [-7.78]
	sale.refund(lines=one(3), amount=8, method="Cash")
	problem = sale.refused(
		422,
		"amount_exceeds_open",
		["/charges/0/amount"],
		charges=[{"code": "shipping", "amount": "2.01"}],
	)
	assert problem["open"] == 2
	note = sale.refund(charges=[{"code": "shipping"}], method="Cash").notes[0]
	assert (fixed_of(note), owed_by(customer)) == ([-2], 0)


def test_a_charge_with_more_decimals_than_money_has(sell):
	sale = sell("invoice", charges=SHIPPING)
	charges = [{"code": "shipping", "amount": "0.001"}]
	sale.refused(422, "validation_failed", ["/charges/0/amount"], charges=charges)


# -- never more than was sold -----------------------------------------------------------------------------------------


def test_more_than_was_sold(sell):
	sale = sell("fulfill", "invoice", pay={})
	problem = sale.refused(422, "quantity_exceeds_open", ["/lines/0/quantity"], lines=one(4), method="Cash")
	assert problem["open"] == 3
	sale.refund(lines=one(2), method="Cash")
	problem = sale.refused(422, "quantity_exceeds_open", ["/lines/0/quantity"], lines=one(2))
	assert problem["open"] == 1
	documents = [
		{"doctype": "Delivery Note", "name": sale.deliveries[0]},
		{"doctype": "Sales Invoice", "name": sale.invoices[0]},
	]
	assert problem["documents"] == documents
	# Twice in one call is no way around it.
	sale.refused(422, "quantity_exceeds_open", ["/lines/1/quantity"], lines=[*one(1, "2"), *one(2)])
	sale.refund(method="Cash")
	for body in ({}, {"lines": one(1)}, {"lines": [{"external_id": "2"}]}):
		problem = sale.refused(409, "state_conflict", None, **body)
		assert problem["documents"] == documents


@pytest.mark.parametrize(
	("body", "code", "pointer"),
	[
		({"lines": [{"external_id": "9"}]}, "unknown_line", "/lines/0/external_id"),
		({"lines": [{"item_code": "9"}]}, "unknown_line", "/lines/0/item_code"),
		({"lines": one("0.5")}, "quantity_not_whole", "/lines/0/quantity"),
		({"lines": one(1), "method": "Barter"}, "payment_method_not_mapped", "/method"),
		({"amount": "0.001"}, "validation_failed", "/amount"),
		({"lines": one(1), "amount": "0.001"}, "validation_failed", "/amount"),
		({"lines": one(1, warehouse="nowhere")}, "unknown_warehouse", "/lines/0/warehouse"),
	],
	ids=repr,
)
def test_refunds_that_cannot_be_given(body, code, pointer, sell):
	sell("fulfill", "invoice", pay={}).refused(422, code, [pointer], **body)


def test_two_refunds_race(sell, factory):
	customer = factory.customer()
	sale = sell("fulfill", "invoice", pay={}, customer={"name": customer})
	bodies = [
		{"external_id": unique("R"), "order": sale.target, "lines": one(2), "method": "Cash"}
		for _number in range(4)
	]
	with ThreadPoolExecutor(len(bodies)) as pool:
		answers = list(pool.map(lambda body: _raw(sale.http, body), bodies))
	assert sorted(answer.status for answer in answers) == [201, 422, 422, 422]
	assert {answer.code for answer in answers if answer.status == 422} == {"quantity_exceeds_open"}
	assert (sale.line("1"), owed_by(customer)) == ((1, 2, 30), 0)


def _raw(http, body):
	"""Call from a thread: the test's own connection stays out of it."""
	from integration_hub.tests.stack import Http

	return Http(http.stack, http.token).post("sales.refund", body)


# -- the same again ------------------------------------------------------------------------------------------------


def test_the_same_refund_again(sell):
	sale = sell("fulfill", "invoice", pay={}, charges=SHIPPING)
	body = {"external_id": unique("RMA"), "lines": one(2), "method": "Cash", "reason": "Too small"}
	first = sale.refund(**body).answer
	body["order"] = sale.target
	with expect.nothing_made():
		same_key = sale.http.post("sales.refund", body)
		other_key = sale.http.post("sales.refund", body, key=unique("k"))
	assert (same_key.status, same_key.content) == (201, first.content)
	assert other_key.status == 200, other_key
	for kind in ("invoices", "fulfillments", "payments"):
		names = [doc["name"] for doc in first.message[kind]]
		assert len(names) == 1
		assert [doc["name"] for doc in other_key.message[kind]] == names
	books.refused(
		lambda: sale.http.post("sales.refund", {**body, "lines": one(1)}, key=unique("k")),
		409,
		"external_id_conflict",
		["/external_id"],
	)


def test_ids_that_look_alike(sell):
	"""A refund's own further documents are found again, another refund's are not."""
	first, other = sell("fulfill", "invoice", pay={}), sell("fulfill", "invoice", pay={})
	stem = unique("RMA")
	names = {}
	for sale, external_id in ((first, stem), (other, f"{stem}#2"), (other, f"{stem}1"), (other, f"{stem}_")):
		made = (
			sale.refund(external_id=external_id, lines=one(1, "1"), method="Cash")
			if (sale is first or external_id != f"{stem}_")
			else sale.refund(external_id=external_id, lines=one(1, "2"))
		)
		names[external_id] = {doc.name for doc in (*made.notes, *made.returns, made.payment) if doc}
	body = {"external_id": stem, "order": first.target, "lines": one(1, "1"), "method": "Cash"}
	again = first.http.post("sales.refund", body, key=unique("k"))
	assert again.status == 200, again
	found = {doc["name"] for kind in ("invoices", "fulfillments", "payments") for doc in again.message[kind]}
	assert found == names[stem]


# -- serial numbers, batches, bundles ---------------------------------------------------------------------------------


def test_serial_numbers_come_back(hub, factory, masters):
	stem = unique("SN")
	serials = [f"{stem}-{number}" for number in range(3)]
	item = factory.item(has_serial_no=1)
	factory.stock(item, masters.warehouse, 3, serial_no="\n".join(serials))
	sale = _sold_with(hub, item, 3, {"serials": serials})
	sale.refused(422, "serial_required", ["/lines/0/serials"], lines=one(1))
	made = sale.refund(lines=one(1, serials=[serials[1]]), method="Cash")
	assert books.packed(made.returns[0].name) == [(serials[1], None, masters.warehouse, 1)]
	assert moved(made.returns[0].name) == [(item, masters.warehouse, 1)]
	assert _where(serials) == [None, masters.warehouse, None]
	# It came back already.
	problem = books.refused(
		lambda: sale.ask(lines=one(1, serials=[serials[1]])),
		422,
		"serial_not_available",
		["/lines/0/serials/0"],
	)
	assert serials[1] in problem["detail"]
	sale.refused(422, "serial_required", ["/lines/0/serials"], lines=one(2, serials=[serials[0]]))
	made = sale.refund(method="Cash")
	assert books.packed(made.returns[0].name) == [
		(serials[0], None, masters.warehouse, 1),
		(serials[2], None, masters.warehouse, 1),
	]
	assert _where(serials) == [masters.warehouse] * 3


def _where(serials: list[str]) -> list[str | None]:
	site.refresh()
	return [frappe.db.get_value("Serial No", serial, "warehouse") or None for serial in serials]


def _sold_with(http, item: str, quantity: float, moves: dict, update_stock: bool = False) -> Sale:
	line = {"external_id": "1", "quantity": quantity, **moves}
	parts = (
		{"invoice": {"update_stock": True, "lines": [line]}}
		if update_stock
		else {"fulfill": {"lines": [line]}, "invoice": {}}
	)
	body = {
		"order": order(lines=[f.line(external_id="1", item_code=item, quantity=quantity)]),
		**parts,
		"pay": {"method": "Cash"},
	}
	answer = http.post("sales.run", body)
	assert answer.status == 201, answer
	return Sale(http, answer)


@pytest.mark.parametrize("update_stock", [False, True])
def test_batches_come_back(update_stock, hub, factory, masters):
	item = factory.item(has_batch_no=1)
	batch = factory.make("Batch", batch_id=unique("B"), item=item).name
	factory.stock(item, masters.warehouse, 5, batch_no=batch)
	sale = _sold_with(hub, item, 3, {"batch": batch}, update_stock)
	for lines in (one(1), one(2, batch=batch)):
		made = sale.refund(lines=lines, method="Cash")
		mover = made.notes[0] if update_stock else made.returns[0]
		quantity = lines[0]["quantity"]
		assert books.packed(mover.name) == [(None, batch, masters.warehouse, quantity)]
	assert bin_of(item, masters.warehouse)[0] == 5


def test_a_product_bundle_comes_back(hub, factory, masters):
	parts = [factory.item(), factory.item()]
	for part in parts:
		factory.stock(part, masters.warehouse, 20)
	bundle = factory.item(is_stock_item=0)
	factory.make(
		"Product Bundle",
		new_item_code=bundle,
		items=[{"item_code": part, "qty": quantity} for part, quantity in zip(parts, (1, 2), strict=True)],
	)
	sale = _sold_with(hub, bundle, 3, {})
	assert [bin_of(part, masters.warehouse)[0] for part in parts] == [17, 14]
	made = sale.refund(lines=one(1), method="Cash")
	assert moved(made.returns[0].name) == sorted(
		[(parts[0], masters.warehouse, 1), (parts[1], masters.warehouse, 2)]
	)
	assert made.payment.paid_amount == 10
	sale.refund(method="Cash")
	assert [bin_of(part, masters.warehouse)[0] for part in parts] == [20, 20]


# -- where goods come back to ---------------------------------------------------------------------------------------


def test_another_warehouse(sell, item, masters):
	sale = sell("fulfill", "invoice", pay={})
	made = sale.refund(lines=one(1, warehouse="east"))
	assert moved(made.returns[0].name) == [(item, masters.second_warehouse, 1)]


def test_the_companys_warehouse_for_returns(sell, item, masters, factory):
	sale = sell("fulfill", "invoice", pay={})
	company = fresh("Company", masters.company)
	before = company.default_warehouse_for_sales_return
	_set_company(masters.company, masters.second_warehouse)
	try:
		made = sale.refund(lines=one(1))
		assert moved(made.returns[0].name) == [(item, masters.second_warehouse, 1)]
		made = sale.refund(lines=one(1, warehouse=masters.warehouse))
		assert moved(made.returns[0].name) == [(item, masters.warehouse, 1)]
	finally:
		_set_company(masters.company, before)


def _set_company(company: str, warehouse: str | None) -> None:
	frappe.db.set_value("Company", company, "default_warehouse_for_sales_return", warehouse)
	frappe.db.commit()
	frappe.clear_document_cache("Company", company)


# -- several deliveries and invoices, and invoices as targets -----------------------------------------------------------


@pytest.fixture
def spread(hub, item, sell):
	"""An order of three, delivered in two parcels, billed in two other portions, paid."""

	def make() -> Sale:
		sale = sell()
		for verb, portions, kept in (
			("sales.fulfill", (1, 2), sale.deliveries),
			("sales.invoice", (2, 1), sale.invoices),
		):
			for quantity in portions:
				answer = hub.post(
					verb, {"external_id": unique("X"), "order": sale.target, "lines": one(quantity)}
				)
				assert answer.status == 201, answer
				made = answer.message["fulfillments" if verb == "sales.fulfill" else "invoices"]
				kept.append(made[0]["name"])
		answer = hub.post(
			"sales.pay", {"external_id": unique("X"), "order": sale.target, "method": "Cash", "amount": 30}
		)
		assert answer.status == 201, answer
		return sale

	return make


def test_several_deliveries_and_invoices(spread, item):
	sale = spread()
	made = sale.refund(lines=one(3), method="Cash")
	assert [(doc.return_against, rows_of(doc)) for doc in made.notes] == [
		(sale.invoices[0], [(item, -2)]),
		(sale.invoices[1], [(item, -1)]),
	]
	assert [(doc.return_against, rows_of(doc)) for doc in made.returns] == [
		(sale.deliveries[0], [(item, -1)]),
		(sale.deliveries[1], [(item, -2)]),
	]
	assert (made.payment.paid_amount, sale.line("1")) == (30, (0, 3, 30))
	assert [open_of(doc.name) for doc in made.notes] == [0, 0]
	other = spread()
	problem = other.refused(422, "amount_exceeds_open", ["/amount"], lines=one(3), amount=5)
	assert "2" in problem["detail"]


def test_an_amount_over_several_invoices(spread):
	sale = spread()
	made = sale.refund(amount=25, method="Cash")
	assert [(doc.return_against, doc.grand_total) for doc in made.notes] == [
		(sale.invoices[0], -20),
		(sale.invoices[1], -5),
	]
	assert made.payment.paid_amount == 25


def test_one_invoice_of_several(spread, item):
	sale = spread()
	target = {"name": sale.invoices[1]}
	sale.refused(422, "quantity_exceeds_open", ["/lines/0/quantity"], invoice=target, lines=one(2))
	sale.refused(422, "amount_exceeds_open", ["/amount"], invoice=target, amount="10.01")
	made = sale.refund(invoice=target, lines=one(1), method="Cash")
	assert [(doc.return_against, rows_of(doc)) for doc in made.notes] == [(sale.invoices[1], [(item, -1)])]
	assert (sum(row.qty for doc in made.returns for row in doc.items), made.payment.paid_amount) == (-1, 10)
	sale.refused(409, "state_conflict", None, invoice=target)


def by_hand(factory, masters, item, **values) -> str:
	"""Make an invoice as a person does in ERPNext, without an order."""
	return factory.make(
		"Sales Invoice",
		submit=True,
		company=masters.company,
		customer=factory.customer(),
		items=[{"item_code": item, "qty": 3, "rate": 10, "warehouse": masters.warehouse}],
		**values,
	).name


@pytest.mark.parametrize("update_stock", [0, 1])
def test_an_invoice_made_by_hand(update_stock, hub, factory, masters, item):
	name = by_hand(factory, masters, item, update_stock=update_stock)
	body = {"invoice": {"name": name}, "lines": [{"item_code": item, "quantity": 2}]}
	answer = hub.post("sales.refund", {"external_id": unique("R"), **body})
	assert answer.status == 201, answer
	assert (answer.message["order"], answer.message["fulfillments"]) == (None, [])
	(note,) = answer.message["invoices"]
	assert (note["grand_total"], note["updates_stock"]) == (-20, bool(update_stock))
	assert moved(note["name"]) == ([(item, masters.warehouse, 2)] if update_stock else [])
	assert open_of(name) == 10
	paid = hub.post("sales.pay", {"external_id": unique("P"), "invoice": {"name": name}, "method": "Cash"})
	assert paid.status == 201, paid
	rest = hub.post("sales.refund", {"external_id": unique("R"), "invoice": {"name": name}, "method": "Cash"})
	assert rest.status == 201, rest
	assert rest.message["payments"][0]["amount"] == 10
	books.refused(
		lambda: hub.post("sales.refund", {"external_id": unique("R"), "invoice": {"name": name}}),
		409,
		"state_conflict",
		[""],
	)


def test_a_line_named_by_its_item_on_two_lines(hub, factory, masters, item):
	row = {"item_code": item, "qty": 1, "rate": 10, "warehouse": masters.warehouse}
	name = factory.make(
		"Sales Invoice", submit=True, company=masters.company, customer=factory.customer(), items=[row, row]
	).name
	body = {"invoice": {"name": name}, "lines": [{"item_code": item, "quantity": 1}]}
	books.refused(
		lambda: hub.post("sales.refund", {"external_id": unique("R"), **body}),
		422,
		"unknown_line",
		["/lines/0/item_code"],
	)


# -- afterwards ----------------------------------------------------------------------------------------------------


def test_what_came_back_is_neither_delivered_nor_billed_again(sell):
	sale = sell("fulfill", "invoice", pay={})
	sale.refund(lines=one(2), method="Cash")
	for verb in ("sales.fulfill", "sales.invoice"):
		books.refused(
			lambda verb=verb: sale.http.post(verb, {"external_id": unique("X"), "order": sale.target}),
			409,
			"state_conflict",
			[""],
		)


def test_statuses_after_everything_came_back(sell):
	sale = sell("fulfill", "invoice", pay={}, charges=SHIPPING)
	sale.refund(lines=one(3), method="Cash")
	assert fresh("Delivery Note", sale.deliveries[0]).per_returned == 75
	sale.refund(method="Cash")
	delivery = fresh("Delivery Note", sale.deliveries[0])
	assert (delivery.status, delivery.per_returned) == ("Return Issued", 100)


# -- other currencies ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def euro(factory, masters, systems):
	"""A system with accounts in euros, and customers whose account is in euros or in dollars."""
	receivable = frappe.get_cached_value("Company", masters.company, "default_receivable_account")
	own = factory.make(
		"Account",
		account_name=unique("HT Debtors EUR"),
		parent_account=frappe.db.get_value("Account", receivable, "parent_account"),
		account_type="Receivable",
		account_currency="EUR",
		company=masters.company,
	).name
	methods = {
		"Euro": factory.account("HT Bank EUR", "Bank", account_currency="EUR"),
		"Dollar": masters.bank,
		"Pound": factory.account("HT Bank GBP", "Bank", account_currency="GBP"),
	}
	system = systems.new(
		payment_method_map=[
			{"payment_method": method, "mode_of_payment": "Credit Card", "account": account}
			for method, account in methods.items()
		]
	)
	# Without it ERPNext bills in the currency of the customer's account only.
	with site.settings("Accounts Settings", allow_multi_currency_invoices_against_single_party_account=1):
		yield frappe._dict(http=system.http, accounts=methods, receivables={"EUR": own, "USD": receivable})


@pytest.fixture
def in_euros(euro, sell, factory, masters):
	def make(*parts, party: str, **values) -> tuple[str, Sale]:
		accounts = [{"company": masters.company, "account": euro.receivables[party]}]
		customer = factory.customer(
			default_currency="EUR" if party == "EUR" else None, accounts=accounts if party == "EUR" else []
		)
		sale = sell(
			*parts,
			http=euro.http,
			customer={"name": customer},
			currency="EUR",
			exchange_rate="1.25",
			**values,
		)
		return customer, sale

	return make


@pytest.mark.parametrize("party", ["USD", "EUR"])
@pytest.mark.parametrize(("method", "left"), [("Euro", 20), ("Dollar", 25)])
def test_a_refund_in_euros(method, left, party, euro, in_euros):
	customer, sale = in_euros("fulfill", "invoice", party=party, pay={"method": method})
	made = sale.refund(lines=one(2), method=method)
	(note,), payment = made.notes, made.payment
	assert (note.grand_total, note.base_grand_total, note.conversion_rate) == (-20, -25, 1.25)
	assert (payment.paid_amount, payment.difference_amount) == (left, 0)
	assert ledger(payment.name) == sorted([(euro.accounts[method], 0, 25), (euro.receivables[party], 25, 0)])
	assert (open_of(note.name), owed_by(customer)) == (0, 0)


@pytest.mark.parametrize("party", ["USD", "EUR"])
def test_a_refund_in_euros_after_part_payment(party, in_euros):
	customer, sale = in_euros("fulfill", "invoice", party=party, pay={"method": "Euro", "amount": 20})
	made = sale.refund(amount="25.55", method="Euro")
	assert made.payment.paid_amount == 10.55
	assert (open_of(made.notes[0].name), open_of(sale.invoices[0]), owed_by(customer)) == (0, 0, 0)


@pytest.mark.parametrize("party", ["USD", "EUR"])
@pytest.mark.parametrize("rate", ["1.3", "1.2"])
def test_a_refund_of_what_was_paid_at_another_rate(rate, party, in_euros):
	customer, sale = in_euros(
		"fulfill", "invoice", party=party, pay={"method": "Euro", "exchange_rate": rate}
	)
	made = sale.refund(method="Euro")
	assert made.payment.paid_amount == 35
	assert (open_of(made.notes[0].name), owed_by(customer)) == (0, 0)


def test_a_method_in_a_third_currency(in_euros):
	_customer, sale = in_euros("fulfill", "invoice", party="EUR", pay={"method": "Euro"})
	sale.refused(422, "payment_not_bookable", ["/method"], lines=one(1), method="Pound")


# -- an advance ----------------------------------------------------------------------------------------------------


def advance_of(name: str) -> float:
	site.refresh()
	return frappe.db.get_value("Sales Order", name, "advance_paid")


def used_by_other_invoices(customer: str) -> float:
	"""Return what an invoice of the customer could take as an advance."""
	site.refresh()
	entries = frappe.get_all(
		"Payment Entry",
		filters={"party": customer, "docstatus": 1, "payment_type": "Receive"},
		fields=["name", "unallocated_amount"],
	)
	orders = frappe.get_all(
		"Payment Entry Reference",
		filters={"parent": ("in", [entry.name for entry in entries]), "reference_doctype": "Sales Order"},
		pluck="allocated_amount",
	)
	return sum(entry.unallocated_amount for entry in entries) + sum(orders)


@pytest.fixture
def prepaid(sell, factory):
	"""`prepaid(*amounts)`: a customer and an order of 35 for which these amounts were paid in advance."""

	def make(*amounts: float, parts=(), **values) -> tuple[str, Sale]:
		customer = factory.customer()
		payments = [{"method": "Cash", "amount": amount} for amount in amounts]
		return customer, sell(*parts, customer={"name": customer}, payments=payments, **values)

	return make


def test_an_order_is_given_up(prepaid, hub, shop, masters, accounts):
	customer, sale = prepaid(35)
	before = site.census()
	made = sale.refund(method="Card", reference="re_1", reason="Changed their mind")
	payment = made.payment
	assert site.grown(before) == {
		"Payment Entry": 1,
		"GL Entry": 2,
		"Payment Ledger Entry": 1,
		"Hub External Reference": 2,
	}
	assert (made.notes, made.returns) == ([], [])
	assert (payment.payment_type, payment.paid_amount, payment.unallocated_amount) == ("Pay", 35, 35)
	assert (payment.reference_no, payment.docstatus, payment.hub_system) == ("re_1", 1, shop.name)
	assert ledger(payment.name) == sorted([(accounts.receivable, 35, 0), (masters.bank, 0, 35)])
	assert (advance_of(sale.name), owed_by(customer), used_by_other_invoices(customer)) == (0, 0, 0)
	assert _open_payments(customer) == {}
	# Nothing is left for an invoice to take, whether of this order or another.
	answer = hub.post("sales.invoice", {"external_id": unique("I"), "order": sale.target})
	assert answer.message["invoices"][0]["outstanding"] == 35


def _open_payments(customer: str) -> dict[str, float]:
	"""Return what is open by the Payment Ledger, by voucher."""
	site.refresh()
	found: dict[str, float] = {}
	for row in frappe.get_all(
		"Payment Ledger Entry",
		filters={"party": customer, "delinked": 0},
		fields=["against_voucher_no", "amount_in_account_currency", "amount"],
	):
		found[row.against_voucher_no] = found.get(row.against_voucher_no, 0) + row.amount_in_account_currency
	return {name: round(amount, 2) for name, amount in found.items() if round(amount, 2)}


def test_the_order_can_be_cancelled_afterwards(prepaid, hub):
	customer, sale = prepaid(35)
	sale.refund(method="Cash")
	status = hub.get("sales.status", **sale.target).message
	assert [(one["type"], one["amount"]) for one in status["payments"]] == [("receive", 35), ("pay", 35)]
	assert status["totals"]["paid"] == 0
	answer = hub.post("orders.cancel", sale.target)
	assert answer.status == 200, answer
	assert fresh("Sales Order", sale.name).docstatus == 2
	assert (owed_by(customer), used_by_other_invoices(customer)) == (0, 0)


def test_part_of_an_advance(prepaid, hub):
	customer, sale = prepaid(30)
	made = sale.refund(method="Cash", amount="12.34")
	assert made.payment.paid_amount == 12.34
	assert (advance_of(sale.name), owed_by(customer)) == (17.66, -17.66)
	assert used_by_other_invoices(customer) == 17.66
	problem = sale.refused(422, "amount_exceeds_open", ["/amount"], method="Cash", amount="17.67")
	assert problem["open"] == 17.66
	# What is left is the order's: an invoice takes it, and nothing else.
	answer = hub.post("sales.invoice", {"external_id": unique("I"), "order": sale.target})
	assert answer.message["invoices"][0]["outstanding"] == 17.34
	assert _open_payments(customer) == {answer.message["invoices"][0]["name"]: 17.34}


def test_an_advance_of_several_payments(prepaid, hub):
	customer, sale = prepaid(20, 10, 5)
	made = sale.refund(method="Cash", amount=12)
	assert (advance_of(sale.name), owed_by(customer)) == (23, -23)
	last = sale.refund(method="Cash")
	assert (made.payment.paid_amount, last.payment.paid_amount) == (12, 23)
	assert (advance_of(sale.name), owed_by(customer), _open_payments(customer)) == (0, 0, {})
	problem = sale.refused(409, "state_conflict", ["/method"], method="Cash")
	assert problem["documents"] == [{"doctype": "Sales Order", "name": sale.name}]
	# It can be paid in advance again.
	answer = hub.post("sales.pay", {"external_id": unique("P"), "order": sale.target, "method": "Cash"})
	assert answer.message["payments"][0]["amount"] == 35
	assert advance_of(sale.name) == 35


def test_goods_and_advance_together(prepaid, item):
	"""Delivered, never billed, paid in advance: everything goes back."""
	customer, sale = prepaid(35, parts=("fulfill",))
	made = sale.refund(method="Cash")
	assert (len(made.returns), made.payment.paid_amount, made.notes) == (1, 35, [])
	assert (sale.line("1"), advance_of(sale.name), owed_by(customer)) == ((0, 3, 0), 0, 0)


def test_too_much_of_an_advance_stays_what_it_is(prepaid):
	"""What the customer paid beyond the order was never the order's."""
	customer, sale = prepaid(40)
	sale.refused(422, "amount_exceeds_open", ["/amount"], method="Cash", amount="35.01")
	sale.refund(method="Cash")
	assert (advance_of(sale.name), owed_by(customer), used_by_other_invoices(customer)) == (0, -5, 5)


def test_the_same_payback_again(prepaid):
	_customer, sale = prepaid(35)
	body = {"external_id": unique("R"), "order": sale.target, "method": "Cash", "amount": 5}
	first = sale.http.post("sales.refund", body)
	with expect.nothing_made():
		again = sale.http.post("sales.refund", body, key=unique("k"))
	assert (first.status, again.status) == (201, 200)
	assert [one["name"] for one in again.message["payments"]] == [
		one["name"] for one in first.message["payments"]
	]


def test_paybacks_race(prepaid):
	customer, sale = prepaid(20, 15)
	bodies = [
		{"external_id": unique("R"), "order": sale.target, "method": "Cash", "amount": 20}
		for _number in range(4)
	]
	with ThreadPoolExecutor(len(bodies)) as pool:
		answers = list(pool.map(lambda body: _raw(sale.http, body), bodies))
	assert sorted(answer.status for answer in answers) == [201, 422, 422, 422]
	assert {answer.code for answer in answers if answer.status == 422} == {"amount_exceeds_open"}
	assert (advance_of(sale.name), owed_by(customer)) == (15, -15)


@pytest.mark.parametrize("party", ["USD", "EUR"])
@pytest.mark.parametrize(("method", "left"), [("Euro", 20), ("Dollar", 25)])
def test_an_advance_in_euros(method, left, party, euro, in_euros):
	customer, sale = in_euros(party=party, pay={"method": "Euro"})
	made = sale.refund(method=method, amount=20)
	assert (made.payment.paid_amount, made.payment.difference_amount) == (left, 0)
	assert ledger(made.payment.name) == sorted(
		[(euro.accounts[method], 0, 25), (euro.receivables[party], 25, 0)]
	)
	assert advance_of(sale.name) == {"EUR": 15, "USD": 18.75}[party]
	sale.refund(method=method)
	assert (advance_of(sale.name), owed_by(customer), _open_payments(customer)) == (0, 0, {})


@pytest.mark.parametrize("party", ["USD", "EUR"])
def test_an_advance_in_euros_that_came_at_other_rates(party, euro, in_euros):
	customer, sale = in_euros(party=party, pay={"method": "Euro", "amount": 15, "exchange_rate": "1.3"})
	answer = sale.http.post(
		"sales.pay",
		{
			"external_id": unique("P"),
			"order": sale.target,
			"method": "Euro",
			"amount": 20,
			"exchange_rate": "1.21",
		},
	)
	assert answer.status == 201, answer
	made = sale.refund(method="Euro")
	assert (made.payment.paid_amount, made.payment.difference_amount) == (35, 0)
	assert (advance_of(sale.name), owed_by(customer), _open_payments(customer)) == (0, 0, {})


def test_an_advance_on_an_account_of_its_own(prepaid, factory, masters):
	"""With "Book Advance Payments in Separate Party Account" the advance is a liability until it is billed."""
	account = factory.make(
		"Account",
		account_name=unique("HT Advances"),
		parent_account=frappe.db.get_value(
			"Account",
			{
				"company": masters.company,
				"is_group": 1,
				"root_type": "Liability",
				"parent_account": ("is", "set"),
			},
		),
		account_type="Receivable",
		company=masters.company,
	).name
	own = {"book_advance_payments_in_separate_party_account": 1, "default_advance_received_account": account}
	before = frappe.db.get_value("Company", masters.company, list(own), as_dict=True)
	_change_company(masters.company, own)
	try:
		customer, sale = prepaid(35)
		sale.refused(422, "payment_not_bookable", ["/amount"], method="Cash", amount=10)
		made = sale.refund(method="Cash")
		assert ledger(made.payment.name) == sorted([(account, 35, 0), (masters.cash, 0, 35)])
		assert (advance_of(sale.name), owed_by(customer), _open_payments(customer)) == (0, 0, {})
	finally:
		_change_company(masters.company, before)


def _change_company(company: str, values: dict) -> None:
	frappe.db.set_value("Company", company, values)
	frappe.db.commit()
	frappe.clear_document_cache("Company", company)
