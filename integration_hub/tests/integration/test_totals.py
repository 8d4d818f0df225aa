"""Discounts, charges and taxes of an order, and the gate that compares totals: every figure to the cent."""

import pytest

import frappe

from integration_hub.tests import expect
from integration_hub.tests.factories import ITEM, line, lines_of, made_order, order, placed, unique

SHIPPING = {"code": "shipping", "amount": "4.90"}
VAT = {"code": "vat", "rate": 19}


def answered(answer) -> tuple:
	return tuple(answer.order[name] for name in ("net_total", "tax_total", "grand_total"))


def tax_rows(doc, *fields: str) -> list[tuple]:
	return [tuple(row.get(field) for field in fields) for row in doc.taxes]


# -- discounts of lines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	("price", "quantity", "discount", "rate", "amount"),
	[
		("19.90", 3, {"percent": 10}, 17.91, 53.73),
		("19.99", 1, {"percent": "12.5"}, 17.49, 17.49),
		("0.03", 1, {"percent": 50}, 0.02, 0.02),
		("10", 1, {"percent": 0}, 10, 10),
		("10", 2, {"percent": 100}, 0, 0),
		("19.90", 3, {"amount": "1.99"}, 17.91, 53.73),
		("10", 2, {"amount": 10}, 0, 0),
		("10", 2, {"amount": 0}, 10, 20),
		("0", 2, {"percent": 10}, 0, 0),
		("0", 2, {"amount": 0}, 0, 0),
	],
)
def test_discounts_of_lines(price, quantity, discount, rate, amount, hub):
	sent = lines_of(unit_price=price, quantity=quantity, discount=discount)
	answer = placed(hub, **sent, totals={"net": str(amount)})
	doc = made_order(answer)
	[row] = doc.items
	assert (row.rate, row.amount, row.net_amount, row.price_list_rate) == (rate, amount, amount, float(price))
	assert row.discount_amount == pytest.approx(float(price) - rate, abs=0.005)
	assert answered(answer) == (amount, 0, amount)
	assert doc.discount_amount == 0


def test_a_line_discount_larger_than_its_price(hub):
	answer = hub.post("orders.create", order(**lines_of(discount={"amount": "10.01"})))
	problem = expect.problem(answer, 422, "validation_failed", ["/lines/0"])
	assert problem["errors"][0]["code"] == "discount_too_large"


# -- discounts of orders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	("discounts", "net", "tax", "grand"),
	[
		([{"amount": 10}], 90, 17.1, 107.1),
		([{"percent": 10}], 90, 17.1, 107.1),
		([{"percent": 10}, {"percent": 5}], 85, 16.15, 101.15),
		([{"amount": 10}, {"amount": "0.01"}], 89.99, 17.1, 107.09),
		([{"amount": 10}, {"percent": 10}], 80, 15.2, 95.2),
		([{"amount": 100}], 0, 0, 0),
		([{"percent": 100}], 0, 0, 0),
		([{"amount": 0}], 100, 19, 119),
	],
	ids=repr,
)
def test_discounts_before_tax(discounts, net, tax, grand, hub):
	answer = placed(
		hub,
		lines=[line(quantity=2, unit_price=30), line(quantity=1, unit_price=40)],
		discounts=discounts,
		taxes=[VAT],
		totals={"net": net, "tax": tax, "grand": grand},
	)
	assert answered(answer) == (net, tax, grand)
	doc = made_order(answer)
	assert (doc.total, doc.apply_discount_on) == (100, "Net Total")
	assert [row.rate for row in doc.items] == [30, 40]


@pytest.mark.parametrize(
	("discounts", "grand"),
	[([{"amount": 10}], 109), ([{"percent": 10}], 107.1), ([{"amount": 10}, {"amount": 9}], 100)],
	ids=repr,
)
def test_discounts_after_tax(discounts, grand, systems):
	http = systems.like(discount_on="Grand Total").http
	answer = placed(
		http, **lines_of(unit_price=100), discounts=discounts, taxes=[VAT], totals={"grand": grand}
	)
	doc = made_order(answer)
	assert (doc.grand_total, doc.apply_discount_on, doc.total) == (grand, "Grand Total", 100)


def test_discounts_before_tax_leave_charges_alone(hub):
	answer = placed(
		hub, **lines_of(unit_price=100), discounts=[{"percent": 10}], charges=[SHIPPING], taxes=[VAT]
	)
	assert answered(answer) == (90, 17.1, 112)


def test_names_of_discounts_are_kept(hub):
	doc = made_order(
		placed(hub, discounts=[{"code": "TENOFF", "title": "Ten off", "amount": 1}, {"percent": 10}])
	)
	assert doc.hub_discounts == "TENOFF Ten off: 1\nDiscount: 10 %"
	assert (doc.discount_amount, doc.grand_total) == (2, 8)


@pytest.mark.parametrize(
	("setting", "discounts", "code"),
	[
		("Net Total", [{"amount": "10.01"}], "discount_too_large"),
		("Net Total", [{"percent": 60}, {"percent": 41}], "discount_too_large"),
		("Net Total", [{"amount": 6}, {"percent": 50}], "discount_too_large"),
		("Net Total", [{"amount": "0.005"}], "too_many_decimals"),
		("Grand Total", [{"amount": 1}, {"percent": 10}], "discounts_mixed"),
	],
)
def test_discounts_that_are_refused(setting, discounts, code, systems):
	http = systems.like(discount_on=setting).http
	with expect.nothing_made():
		answer = http.post("orders.create", order(discounts=discounts))
	problem = expect.problem(answer, 422, "validation_failed", ["/discounts"])
	assert problem["errors"][0]["code"] == code


# -- charges and taxes ---------------------------------------------------------------------------------------------


def test_charges_are_no_taxes(hub, masters):
	charges = [
		{**SHIPPING, "title": "Standard, 2 days"},
		{"code": "shipping", "amount": 0},
		{"code": "gateway", "amount": 1},
	]
	answer = placed(hub, charges=charges, totals={"net": 10, "tax": 0, "grand": "15.90"})
	assert answered(answer) == (10, 0, 15.9)
	doc = made_order(answer)
	assert tax_rows(doc, "charge_type", "account_head", "description", "tax_amount", "hub_kind") == [
		("Actual", masters.charge, "Standard, 2 days", 4.9, "charge"),
		("Actual", masters.charge, "shipping", 0, "charge"),
		("Actual", masters.fee, "gateway", 1, "charge"),
	]
	assert {row.cost_center for row in doc.taxes} == {
		frappe.get_cached_value("Company", doc.company, "cost_center")
	}


def test_a_tax_by_rate(hub, masters):
	answer = placed(hub, taxes=[{**VAT, "title": "VAT 19 %"}], charges=[SHIPPING])
	assert answered(answer) == (10, 1.9, 16.8)
	assert tax_rows(
		made_order(answer), "charge_type", "account_head", "description", "rate", "tax_amount"
	) == [
		("On Net Total", masters.tax, "VAT 19 %", 19, 1.9),
		("Actual", masters.charge, "shipping", 0, 4.9),
	]


def test_a_tax_by_amount(hub, masters):
	answer = placed(hub, taxes=[{"code": "vat", "amount": "0.83"}, {"code": "city", "amount": 0}])
	assert answered(answer) == (10, 0.83, 10.83)
	assert tax_rows(made_order(answer), "charge_type", "account_head", "tax_amount", "hub_kind") == [
		("Actual", masters.tax, 0.83, "tax"),
		("Actual", masters.second_tax, 0, "tax"),
	]


def test_two_taxes_are_each_of_the_net_total(hub):
	answer = placed(hub, **lines_of(unit_price=100), taxes=[VAT, {"code": "city", "rate": "0.5"}])
	assert answered(answer) == (100, 19.5, 119.5)


def test_a_tax_the_prices_include(hub):
	taxes = [{**VAT, "included": True}]
	answer = placed(
		hub, **lines_of(unit_price=119), taxes=taxes, totals={"net": 100, "tax": 19, "grand": 119}
	)
	doc = made_order(answer)
	assert answered(answer) == (100, 19, 119)
	assert (doc.items[0].rate, doc.items[0].net_rate, doc.total) == (119, 100, 119)


def test_an_included_tax_with_discount_and_charge(hub):
	answer = placed(
		hub,
		**lines_of(quantity=2, unit_price="59.50", discount={"percent": 50}),
		taxes=[{**VAT, "included": True}],
		charges=[SHIPPING],
	)
	assert answered(answer) == (50, 9.5, 64.4)


@pytest.fixture(scope="module")
def template(factory, masters):
	row = {"charge_type": "On Net Total", "account_head": masters.tax, "rate": 5, "description": "Five"}
	return factory.make(
		"Sales Taxes and Charges Template", title=unique("HT Tax"), company=masters.company, taxes=[row]
	).name


def test_a_template_of_the_order(template, hub, masters):
	answer = placed(hub, tax_template=template, charges=[SHIPPING])
	assert answered(answer) == (10, 0.5, 15.4)
	doc = made_order(answer)
	assert doc.taxes_and_charges == template
	assert tax_rows(doc, "account_head", "rate", "hub_kind") == [
		(masters.tax, 5, "tax"),
		(masters.charge, 0, "charge"),
	]


def test_the_systems_template_where_no_taxes_are_sent(template, systems):
	http = systems.like(taxes_template=template).http
	assert answered(placed(http)) == (10, 0.5, 10.5)
	assert answered(placed(http, taxes=None)) == (10, 0.5, 10.5)
	assert answered(placed(http, taxes=[])) == (10, 0, 10)
	assert answered(placed(http, taxes=[VAT])) == (10, 1.9, 11.9)


def test_without_any_template_erpnext_decides(template, hub, site):
	"""Its default template, where the company has one."""
	assert answered(placed(hub)) == (10, 0, 10)
	site.refresh()
	frappe.db.set_value("Sales Taxes and Charges Template", template, "is_default", 1)
	frappe.db.commit()
	frappe.clear_cache()
	try:
		assert answered(placed(hub)) == (10, 0.5, 10.5)
		assert answered(placed(hub, taxes=[])) == (10, 0, 10)
		assert answered(placed(hub, taxes=[VAT])) == (10, 1.9, 11.9)
	finally:
		site.refresh()
		frappe.db.set_value("Sales Taxes and Charges Template", template, "is_default", 0)
		frappe.db.commit()
		frappe.clear_cache()


def test_an_item_tax_template_of_a_line(factory, hub, masters):
	seven = factory.make(
		"Item Tax Template",
		title=unique("HT Seven"),
		company=masters.company,
		taxes=[{"tax_type": masters.tax, "tax_rate": 7}],
	).name
	answer = placed(hub, lines=[line(unit_price=100, tax_template=seven), line(unit_price=100)], taxes=[VAT])
	assert answered(answer) == (200, 26, 226)


# -- the gate ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	"totals",
	[{"net": 10, "tax": "1.90", "grand": "16.80"}, {"grand": 16.8}, {"net": 10}, {"tax": 1.9}, {}, None, ...],
	ids=repr,
)
def test_totals_that_agree(totals, hub):
	assert placed(hub, taxes=[VAT], charges=[SHIPPING], totals=totals).order["docstatus"] == 1


@pytest.mark.parametrize("off", ["0.01", "-0.01", "0.001"])
@pytest.mark.parametrize("name", ["net", "tax", "grand"])
def test_totals_that_differ_are_rejected(name, off, hub):
	sent = {"net": 10, "tax": 1.9, "grand": 11.9}
	sent[name] = round(sent[name] + float(off), 3)
	with expect.nothing_made():
		answer = hub.post("orders.create", order(taxes=[VAT], totals=sent))
	problem = expect.problem(answer, 422, "totals_differ", [f"/totals/{name}"])
	computed = {"net": 10.0, "tax": 1.9, "grand": 11.9}[name]
	assert problem["totals"] == {name: {"sent": sent[name], "computed": computed}}


@pytest.mark.parametrize(
	("sent", "taken"), [("10.05", True), ("9.95", True), ("10.06", False), ("9.94", False)]
)
@pytest.mark.parametrize("policy", ["Reject", "Hold as Draft", "Book Difference"])
def test_the_tolerance(policy, sent, taken, systems, masters):
	http = systems.like(
		totals_policy=policy,
		totals_tolerance=0.05,
		difference_account=masters.difference,
		difference_limit=0.05,
	).http
	answer = http.post("orders.create", order(totals={"grand": sent}))
	if taken:
		# Within the tolerance ERPNext's figure stands: nothing is booked and nothing held.
		assert (answer.status, answer.order["grand_total"], answer.order["docstatus"]) == (201, 10, 1)
		assert made_order(answer).taxes == []
	elif policy == "Hold as Draft":
		assert (answer.status, answer.order["docstatus"]) == (201, 0)
	else:
		expect.problem(answer, 422, "totals_differ", ["/totals/grand"])


@pytest.mark.parametrize("submit", [..., True, False])
def test_held_as_draft(submit, systems, site):
	http = systems.like(totals_policy="Hold as Draft").http
	before = site.census()
	answer = placed(http, totals={"net": 10, "grand": "11.50"}, submit=submit)
	doc = made_order(answer)
	held = "The totals differ: grand: sent 11.50, ERPNext computes 10.00"
	assert (answer.order["held_because"], doc.hub_held_because) == (held, held)
	assert (doc.docstatus, answer.order["docstatus"], answer.order["grand_total"]) == (0, 0, 10)
	assert site.grown(before) == {"Sales Order": 1, "Hub External Reference": 1}


def test_a_held_order_is_not_held_when_its_totals_agree(systems):
	http = systems.like(totals_policy="Hold as Draft").http
	answer = placed(http, totals={"grand": 10})
	assert (answer.order["docstatus"], answer.order["held_because"]) == (1, None)
	assert made_order(answer).status == "To Deliver and Bill"


@pytest.fixture(scope="module")
def booking(systems, masters):
	"""A system that books differences of up to 1."""
	return systems.like(
		totals_policy="Book Difference", difference_account=masters.difference, difference_limit=1
	).http


@pytest.mark.parametrize(("sent", "difference"), [("11", 1), ("10.01", 0.01), ("9.99", -0.01), ("9", -1)])
def test_a_booked_difference(sent, difference, booking, masters):
	answer = placed(booking, totals={"net": 10, "tax": 0, "grand": sent})
	# The difference is no tax.
	assert answered(answer) == (10, 0, float(sent))
	doc = made_order(answer)
	assert (doc.docstatus, doc.status, doc.hub_held_because) == (1, "To Deliver and Bill", None)
	assert tax_rows(doc, "charge_type", "account_head", "tax_amount", "hub_kind") == [
		("Actual", masters.difference, difference, "difference")
	]


@pytest.mark.parametrize(
	("totals", "pointers"),
	[
		({"grand": "11.01"}, ["/totals/grand"]),
		({"grand": "8.99"}, ["/totals/grand"]),
		({"net": "10.50"}, ["/totals/net"]),
		({"tax": "0.50"}, ["/totals/tax"]),
		({"net": "10.50", "grand": "10.50"}, ["/totals/net"]),
	],
	ids=repr,
)
def test_differences_that_are_not_booked(totals, pointers, booking):
	"""Larger than the limit, or not one of the grand total."""
	with expect.nothing_made():
		answer = booking.post("orders.create", order(totals=totals))
	expect.problem(answer, 422, "totals_differ", pointers)


def test_a_booked_difference_beside_taxes_and_charges(booking):
	answer = placed(booking, taxes=[VAT], charges=[SHIPPING], totals={"net": 10, "tax": "1.90", "grand": 17})
	assert answered(answer) == (10, 1.9, 17)
	assert [row.hub_kind for row in made_order(answer).taxes] == ["tax", "charge", "difference"]


# -- what was priced stays priced ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def priced(factory, site):
	"""An item with an Item Price of 99."""
	item = factory.item()
	price_list = frappe.db.get_value("Price List", {"selling": 1, "enabled": 1})
	factory.make("Item Price", item_code=item, price_list=price_list, price_list_rate=99, selling=1)
	return item


def rule(factory, **values):
	return factory.make(
		"Pricing Rule",
		title=unique("HT"),
		company=factory.company,
		currency=factory.currency,
		selling=1,
		**values,
	)


RULES = {
	"discount of an item": {"apply_on": "Item Code", "price_or_product_discount": "Price", "rate_or_discount": "Discount Percentage", "discount_percentage": 50},
	"rate of an item": {"apply_on": "Item Code", "price_or_product_discount": "Price", "rate_or_discount": "Rate", "rate": 1},
	"a product for free": {"apply_on": "Item Code", "price_or_product_discount": "Product", "same_item": 1, "free_qty": 1},
	"another product for free": {"apply_on": "Item Code", "price_or_product_discount": "Product", "free_item": ITEM, "free_qty": 1},
	"discount of the transaction": {"apply_on": "Transaction", "price_or_product_discount": "Price", "rate_or_discount": "Discount Percentage", "discount_percentage": 20, "apply_discount_on": "Grand Total"},
	"a product for the transaction": {"apply_on": "Transaction", "price_or_product_discount": "Product", "free_item": ITEM, "free_qty": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_a_pricing_rule_changes_nothing(name, priced, factory, hub, site):
	values = dict(RULES[name])
	if values["apply_on"] == "Item Code":
		values["items"] = [{"item_code": priced}]
	made = rule(factory, **values)
	try:
		for submit in (True, False):
			sent = [line(item_code=priced, quantity=2, unit_price=0), line(item_code=priced, unit_price=5)]
			doc = made_order(placed(hub, lines=sent, submit=submit, totals={"grand": 5}))
			assert [(row.rate, row.price_list_rate, row.is_free_item) for row in doc.items] == [
				(0, 0, 0),
				(5, 5, 0),
			]
			assert (doc.ignore_pricing_rule, doc.discount_amount, doc.grand_total) == (1, 0, 5)
			assert (doc.additional_discount_percentage, doc.pricing_rules) == (0, [])
	finally:
		site.refresh()
		made.db_set("disable", 1)
		frappe.db.commit()


def test_totals_of_many_small_lines(hub):
	"""A hundred lines of 0.01 with 19 per cent: tax of the sum, not the sum of taxes of nothing."""
	sent = [line(external_id=str(number), unit_price="0.01") for number in range(100)]
	answer = placed(hub, lines=sent, taxes=[VAT], totals={"net": 1, "tax": "0.19", "grand": "1.19"})
	assert answered(answer) == (1, 0.19, 1.19)
	assert len(made_order(answer).items) == 100


@pytest.mark.parametrize(
	"taxes",
	[
		[{"code": "one", "rate": 6}, {"code": "other", "rate": 2}],
		[{"code": "one", "rate": 6}, {"code": "other", "amount": 2}],
		[{"code": "other", "amount": 2}, {"code": "one", "rate": 6, "included": True}],
	],
	ids=repr,
)
def test_a_rate_shares_its_account_with_nothing(taxes, systems, masters):
	"""ERPNext 16 would take the last rate of the account for all of them."""
	system = systems.like(tax_map=[{"tax_code": code, "account": masters.tax} for code in ("one", "other")])
	answer = system.http.post("orders.create", order(taxes=taxes))
	expect.problem(answer, 422, "validation_failed", ["/taxes"])
