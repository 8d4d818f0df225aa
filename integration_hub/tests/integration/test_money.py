"""Currencies and exchange rates: given, stored, too old, missing; never from the network, never rounded away."""

import pytest

import frappe
from frappe.utils import add_days, getdate

from integration_hub.tests import expect
from integration_hub.tests.factories import line, lines_of, made_order, order, placed, unique


@pytest.fixture
def foreign(factory, site):
	"""A currency nobody has a rate for, and a function that stores one: `foreign.rate(days_ago, rate)`."""
	code = "".join(chr(ord("A") + int(digit, 16)) for digit in frappe.generate_hash(length=3))
	while frappe.db.exists("Currency", code):
		code = "".join(chr(ord("A") + int(digit, 16)) for digit in frappe.generate_hash(length=3))
	factory.make("Currency", currency_name=code, enabled=1, smallest_currency_fraction_value=0.01)

	def rate(days_ago: int, value: float, **values):
		factory.make(
			"Currency Exchange",
			date=add_days(getdate(), -days_ago),
			from_currency=code,
			to_currency=factory.currency,
			exchange_rate=value,
			**{"for_selling": 1, "for_buying": 0, **values},
		)

	return frappe._dict(code=code, rate=rate)


@pytest.fixture
def payer(factory, foreign):
	"""A customer without orders in another currency."""
	return {"name": factory.customer()}


def test_the_given_rate(foreign, payer, hub):
	foreign.rate(0, 3)
	answer = placed(
		hub,
		currency=foreign.code,
		exchange_rate="1.0875",
		customer=payer,
		**lines_of(quantity=3, unit_price="19.99"),
		charges=[{"code": "shipping", "amount": 5}],
		taxes=[{"code": "vat", "rate": 10}],
		totals={"net": "59.97", "tax": 6, "grand": "70.97"},
	)
	assert (answer.order["currency"], answer.order["grand_total"]) == (foreign.code, 70.97)
	doc = made_order(answer)
	assert (doc.currency, doc.conversion_rate) == (foreign.code, 1.0875)
	assert (doc.net_total, doc.grand_total, doc.base_net_total, doc.base_grand_total) == (
		59.97,
		70.97,
		65.22,
		77.18,
	)
	[row] = doc.items
	assert (row.rate, row.amount, row.base_rate, row.base_amount) == (19.99, 59.97, 21.74, 65.22)
	# The rate of an order is none of the site's stored rates.
	assert frappe.db.count("Currency Exchange", {"from_currency": foreign.code}) == 1


def test_the_newest_stored_rate_by_the_day_of_the_order(foreign, payer, hub):
	for days_ago, rate in ((30, 1.1), (10, 1.2), (-5, 1.9)):
		foreign.rate(days_ago, rate)
	today = getdate()
	for placed_at, rate in ((None, 1.2), (add_days(today, -10), 1.2), (add_days(today, -11), 1.1)):
		sent = {"placed_at": str(placed_at)} if placed_at else {}
		doc = made_order(placed(hub, currency=foreign.code, customer=payer, **sent))
		assert (doc.conversion_rate, doc.base_grand_total) == (rate, 10 * rate)


def test_a_rate_for_buying_is_none_for_selling(foreign, hub):
	foreign.rate(0, 1.5, for_selling=0, for_buying=1)
	answer = hub.post("orders.create", order(currency=foreign.code))
	expect.problem(answer, 422, "exchange_rate_missing", ["/exchange_rate"])


@pytest.mark.parametrize(
	("days_ago", "code"), [(6, None), (7, "exchange_rate_missing"), (30, "exchange_rate_missing")]
)
def test_stale_rates_are_not_taken_where_the_site_says_so(days_ago, code, foreign, payer, hub, site):
	foreign.rate(days_ago, 1.5)
	with site.settings("Accounts Settings", allow_stale=0, stale_days=7):
		answer = hub.post("orders.create", order(currency=foreign.code, customer=payer))
	assert (answer.status, answer.code) == ((422, code) if code else (201, None)), answer


def test_without_any_rate(foreign, hub, site):
	with expect.nothing_made():
		answer = hub.post("orders.create", order(currency=foreign.code))
	expect.problem(answer, 422, "exchange_rate_missing", ["/exchange_rate"])
	assert frappe.db.count("Currency Exchange", {"from_currency": foreign.code}) == 0


def test_a_rate_before_the_first_stored_one(foreign, hub):
	foreign.rate(5, 1.5)
	sent = {"currency": foreign.code, "placed_at": str(add_days(getdate(), -6))}
	expect.problem(hub.post("orders.create", order(**sent)), 422, "exchange_rate_missing", ["/exchange_rate"])


def test_the_companys_currency_has_the_rate_1(hub, factory):
	doc = made_order(placed(hub, currency=factory.currency, exchange_rate=3))
	assert (doc.conversion_rate, doc.base_grand_total) == (1, 10)


def test_the_systems_currency_where_none_is_sent(foreign, payer, systems, factory):
	foreign.rate(0, 2)
	http = systems.new(currency=foreign.code).http
	doc = made_order(placed(http, customer=payer))
	assert (doc.currency, doc.base_grand_total) == (foreign.code, 20)
	assert made_order(placed(http, currency=factory.currency)).currency == factory.currency


@pytest.mark.parametrize("enabled", [None, 0])
def test_a_currency_unknown_or_disabled(enabled, foreign, hub):
	frappe.db.set_value("Currency", foreign.code, "enabled", 0)
	frappe.db.commit()
	code = foreign.code if enabled == 0 else "XQQ"
	with expect.nothing_made():
		answer = hub.post("orders.create", order(currency=code, exchange_rate=1))
	expect.problem(answer, 422, "unknown_currency", ["/currency"])


def test_a_price_list_in_another_currency_changes_no_price(factory, foreign, systems, hub):
	foreign.rate(0, 2)
	item = factory.item()
	prices = factory.make(
		"Price List", price_list_name=unique("HT"), currency=foreign.code, selling=1, enabled=1
	)
	factory.make("Item Price", item_code=item, price_list=prices.name, price_list_rate=99)
	doc = made_order(
		placed(systems.like(price_list=prices.name).http, lines=[line(item_code=item, unit_price=7)])
	)
	assert (doc.currency, doc.conversion_rate, doc.items[0].rate, doc.grand_total) == (
		factory.currency,
		1,
		7,
		7,
	)


@pytest.mark.parametrize(
	("price", "quantity", "amount"),
	[
		("0.01", 1, 0.01),
		("999999.99", 1, 999999.99),
		("33.33", 3, 99.99),
		("19.99", 1000, 19990),
		("1e2", 1, 100),
		(0.1, 3, 0.3),
	],
)
def test_amounts_to_the_cent(price, quantity, amount, hub):
	answer = placed(hub, **lines_of(unit_price=price, quantity=quantity), totals={"grand": str(amount)})
	assert answer.order["grand_total"] == amount
	doc = made_order(answer)
	assert (doc.rounded_total, doc.rounding_adjustment, doc.disable_rounded_total) == (0, 0, 1)


def test_the_largest_amount_is_kept_to_the_cent(hub):
	answer = placed(hub, **lines_of(unit_price="499999999999.99"), totals={"grand": "499999999999.99"})
	assert answer.order["grand_total"] == 499999999999.99
	assert made_order(answer).grand_total == 499999999999.99


def test_the_rate_counts_for_what_fits(foreign, payer, hub):
	sent = {"currency": foreign.code, "exchange_rate": 1000, "customer": payer}
	answer = hub.post("orders.create", order(**lines_of(unit_price="500000001"), **sent))
	problem = expect.problem(answer, 422, "validation_failed", ["/lines/0"])
	assert problem["errors"][0]["code"] == "out_of_range"
	assert placed(hub, **lines_of(unit_price="499999999"), **sent).order["grand_total"] == 499999999


@pytest.mark.parametrize(
	("body", "pointer"),
	[
		(lines_of(unit_price="10.001"), "/lines/0/unit_price"),
		(lines_of(discount={"amount": "0.001"}), "/lines/0/discount/amount"),
		({"charges": [{"code": "shipping", "amount": "1.005"}]}, "/charges/0/amount"),
		({"taxes": [{"code": "vat", "amount": "1.005"}]}, "/taxes/0/amount"),
		({"discounts": [{"amount": "1.005"}]}, "/discounts"),
		({"payments": [{"method": "Cash", "amount": "1.005"}]}, "/payments/0/amount"),
		(
			{"payments": [{"method": "Cash", "amount": 5, "fee": {"code": "gateway", "amount": "0.005"}}]},
			"/payments/0/fee/amount",
		),
	],
	ids=repr,
)
def test_more_decimals_than_the_currency_has(body, pointer, hub):
	with expect.nothing_made():
		answer = hub.post("orders.create", order(**body))
	problem = expect.problem(answer, 422, "validation_failed", [pointer])
	assert problem["errors"][0]["code"] == "too_many_decimals"


@pytest.mark.parametrize("value", ["10.00", "10.000", 10, 10.0, "1E1", "+10"])
def test_the_same_number_in_other_words(value, hub):
	assert placed(hub, **lines_of(unit_price=value), totals={"grand": value}).order["grand_total"] == 10
