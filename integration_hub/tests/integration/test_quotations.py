"""Orders from quotations: all of one at its prices, lines of one at the caller's, and what cannot be ordered."""

import pytest

import frappe
from frappe.utils import add_days, nowdate

from integration_hub.tests import factories as f
from integration_hub.tests.books import fresh, refused
from integration_hub.tests.factories import order, placed, unique


@pytest.fixture(scope="module")
def offer(factory, masters):
	"""`offer(**values)`: a submitted quotation to CUSTOMER: three of ITEM at 12.5 less 20 %, two of SECOND_ITEM at 5."""

	def make(submit: bool = True, **values):
		return factory.make(
			"Quotation",
			submit=submit,
			**{
				"quotation_to": "Customer",
				"party_name": f.CUSTOMER,
				"company": factory.company,
				"order_type": "Sales",
				"transaction_date": nowdate(),
				"valid_till": add_days(nowdate(), 30),
				"ignore_pricing_rule": 1,
				"items": [
					{
						"item_code": f.ITEM,
						"qty": 3,
						"uom": "Nos",
						"price_list_rate": 12.5,
						"discount_percentage": 20,
						"rate": 10,
					},
					{"item_code": f.SECOND_ITEM, "qty": 2, "uom": "Nos", "price_list_rate": 5, "rate": 5},
				],
				**values,
			},
		)

	return make


def whole(quotation, **values) -> dict:
	"""Return the body of an order of all that is on a quotation."""
	return order(customer=..., lines=..., quotation={"name": quotation.name}, **values)


def made(answer):
	assert answer.status == 201, answer
	return fresh("Sales Order", answer.order["name"])


def refuse(http, body: dict, code: str = "quotation_not_usable", pointer: str = "/quotation") -> dict:
	return refused(lambda: http.post("orders.create", body), 422, code, [pointer])


def rows_of(doc) -> list[tuple]:
	return [(row.item_code, row.qty, row.rate, row.prevdoc_docname, row.quotation_item) for row in doc.items]


def test_all_of_a_quotation_at_its_prices(hub, shop, masters, offer, site):
	quotation = offer(
		taxes=[
			{
				"charge_type": "On Net Total",
				"account_head": masters.tax,
				"description": "VAT",
				"rate": 10,
			}
		]
	)
	before = site.census("Quotation")
	body = whole(quotation, order_number="N-1")
	doc = made(hub.post("orders.create", body))
	assert site.grown(before) == {"Sales Order": 1, "Hub External Reference": 1}
	expected = {
		"docstatus": 1,
		"status": "To Deliver and Bill",
		"customer": quotation.party_name,
		"company": masters.company,
		"net_total": 40,
		"total_taxes_and_charges": 4,
		"grand_total": 44,
		"hub_system": shop.name,
		"hub_external_id": body["external_id"],
		"po_no": "N-1",
		"owner": shop.user,
	}
	assert {field: doc.get(field) for field in expected} == expected
	assert rows_of(doc) == [
		(f.ITEM, 3, 10, quotation.name, quotation.items[0].name),
		(f.SECOND_ITEM, 2, 5, quotation.name, quotation.items[1].name),
	]
	assert [row.warehouse for row in doc.items] == [row.warehouse for row in quotation.items]
	assert {str(row.delivery_date) for row in doc.items} == {str(doc.delivery_date)}
	assert fresh("Quotation", quotation.name).status == "Ordered"


def test_by_the_callers_id_of_it(hub, shop, offer, factory):
	quotation = offer()
	external_id = unique("Q")
	factory.make(
		"Hub External Reference",
		system=shop.name,
		object_type="quotation",
		external_id=external_id,
		document_type="Quotation",
		document_name=quotation.name,
	)
	body = {**whole(quotation), "quotation": {"external_id": external_id}}
	assert made(hub.post("orders.create", body)).grand_total == 40
	wrong = {**whole(quotation), "quotation": {"external_id": external_id.lower()}}
	refuse(hub, wrong, "unknown_quotation")


def test_its_taxes_unless_the_order_says_its_own(hub, masters, offer):
	taxes = [
		{"charge_type": "Actual", "account_head": masters.second_tax, "description": "City", "tax_amount": 3}
	]
	own = made(hub.post("orders.create", whole(offer(taxes=taxes))))
	assert [(row.account_head, row.tax_amount) for row in own.taxes] == [(masters.second_tax, 3)]
	said = made(hub.post("orders.create", whole(offer(taxes=taxes), taxes=[{"code": "vat", "rate": 20}])))
	assert [(row.account_head, row.tax_amount) for row in said.taxes] == [(masters.tax, 8)]
	none = made(hub.post("orders.create", whole(offer(taxes=taxes), taxes=[])))
	assert (none.taxes, none.grand_total) == ([], 40)
	more = whole(offer(taxes=taxes), charges=[{"code": "shipping", "amount": "4.95"}])
	assert made(hub.post("orders.create", more)).grand_total == 47.95


def test_its_totals_pass_the_gate(hub, offer):
	quotation = offer()
	problem = refuse(hub, whole(quotation, totals={"grand": 39}), "totals_differ", "/totals/grand")
	assert problem["totals"] == {"grand": {"sent": 39, "computed": 40}}
	made(hub.post("orders.create", whole(quotation, totals={"grand": 40, "net": 40, "tax": 0})))


def test_what_costs_nothing_stays_free(hub, offer, factory, masters):
	item = factory.item()
	price_list = frappe.db.get_single_value("Selling Settings", "selling_price_list")
	factory.make("Item Price", item_code=item, price_list=price_list, price_list_rate=99)
	rows = [{"item_code": item, "qty": 1, "uom": "Nos", "rate": 0, "price_list_rate": 0}]
	doc = made(hub.post("orders.create", whole(offer(items=rows))))
	assert (doc.items[0].rate, doc.grand_total) == (0, 0)


def test_prices_stay_whatever_a_pricing_rule_says(hub, offer, factory):
	quotation = offer()
	rule = factory.make(
		"Pricing Rule",
		title=unique("HT Rule"),
		apply_on="Item Code",
		items=[{"item_code": f.ITEM}],
		selling=1,
		company=factory.company,
		rate_or_discount="Discount Percentage",
		discount_percentage=50,
		currency=factory.currency,
	)
	try:
		assert made(hub.post("orders.create", whole(quotation))).grand_total == 40
	finally:
		frappe.db.rollback()
		rule.delete()
		frappe.db.commit()


def test_lines_of_a_quotation_at_the_callers_prices(hub, offer):
	quotation = offer()
	lines = [f.line(external_id="a", quantity=3, unit_price=7), f.line(external_id="b", unit_price=1)]
	doc = made(hub.post("orders.create", order(quotation={"name": quotation.name}, lines=lines)))
	assert rows_of(doc) == [
		(f.ITEM, 3, 7, quotation.name, quotation.items[0].name),
		(f.ITEM, 1, 1, None, None),
	]
	assert fresh("Quotation", quotation.name).status == "Partially Ordered"


def test_the_rest_of_a_quotation(hub, offer):
	quotation = offer()
	lines = [f.line(external_id="a", quantity=1, unit_price=10)]
	placed(hub, quotation={"name": quotation.name}, lines=lines)
	assert fresh("Quotation", quotation.name).status == "Partially Ordered"
	doc = made(hub.post("orders.create", whole(quotation)))
	assert [(row.item_code, row.qty, row.rate) for row in doc.items] == [
		(f.ITEM, 2, 10),
		(f.SECOND_ITEM, 2, 5),
	]
	assert fresh("Quotation", quotation.name).status == "Ordered"
	refuse(hub, whole(quotation))


def test_a_cancelled_order_frees_its_quotation(hub, offer):
	quotation = offer()
	doc = made(hub.post("orders.create", whole(quotation)))
	doc.cancel()
	frappe.db.commit()
	assert fresh("Quotation", quotation.name).status == "Open"
	assert made(hub.post("orders.create", whole(quotation))).grand_total == 40


def test_a_draft_order_leaves_the_quotation_open(hub, offer):
	quotation = offer()
	assert made(hub.post("orders.create", whole(quotation, submit=False))).docstatus == 0
	assert fresh("Quotation", quotation.name).status == "Open"


def test_a_quotation_in_another_currency(hub, offer, factory):
	foreign = "EUR" if factory.currency != "EUR" else "USD"
	account = factory.account("HT Debtors", "Receivable", account_currency=foreign)
	customer = factory.customer(
		default_currency=foreign, accounts=[{"company": factory.company, "account": account}]
	)
	quotation = offer(party_name=customer, currency=foreign, conversion_rate=2, plc_conversion_rate=2)
	body = whole(quotation, exchange_rate=2)
	refuse(hub, {**body, "currency": factory.currency}, pointer="/currency")
	doc = made(hub.post("orders.create", body))
	assert (doc.currency, doc.conversion_rate, doc.grand_total, doc.base_grand_total) == (foreign, 2, 40, 80)


def test_the_whole_way_from_a_quotation(hub, offer, factory, masters):
	item = factory.item()
	factory.stock(item, masters.warehouse, 10)
	row = {"item_code": item, "qty": 3, "uom": "Nos", "rate": 10, "price_list_rate": 10}
	rows = [{**row, "warehouse": masters.warehouse}]
	quotation = offer(items=rows)
	answer = hub.post(
		"sales.run",
		{"order": whole(quotation), "fulfill": {}, "invoice": {}, "pay": {"method": "Cash"}},
	)
	doc = made(answer)
	assert (doc.status, doc.grand_total, rows_of(doc)[0][3]) == ("Completed", 30, quotation.name)
	assert fresh("Quotation", quotation.name).status == "Ordered"


# -- what cannot be ordered ----------------------------------------------------------------------------------------


def test_a_draft_and_a_cancelled_quotation(hub, offer):
	draft, cancelled = offer(submit=False), offer()
	cancelled.cancel()
	frappe.db.commit()
	for quotation in (draft, cancelled):
		refuse(hub, whole(quotation))


def test_a_lost_quotation(hub, offer):
	quotation = offer()
	quotation.declare_enquiry_lost([], [], "too dear")
	frappe.db.commit()
	assert fresh("Quotation", quotation.name).status == "Lost"
	problem = refuse(hub, whole(quotation))
	assert "Lost" in problem["detail"]


def test_an_expired_quotation(hub, offer, site):
	quotation = offer(transaction_date=add_days(nowdate(), -9), valid_till=add_days(nowdate(), -1))
	problem = refuse(hub, whole(quotation))
	assert add_days(nowdate(), -1) in problem["detail"]
	refuse(hub, order(quotation={"name": quotation.name}))
	# An order that was placed in time, and came late.
	site.set_row("Quotation", quotation.name, status="Expired")
	problem = refuse(hub, whole(quotation))
	assert "Expired" in problem["detail"]


def test_an_ordered_quotation(hub, offer):
	quotation = offer()
	first = hub.post("orders.create", whole(quotation))
	assert first.status == 201, first
	refuse(hub, whole(quotation))
	lines = [f.line()]
	refuse(hub, order(quotation={"name": quotation.name}, lines=lines))


def test_a_quotation_for_somebody_else(hub, offer, factory):
	quotation = offer()
	other = factory.customer()
	for body in (whole(quotation), order(quotation={"name": quotation.name})):
		refuse(hub, {**body, "customer": {"name": other}})


def test_a_quotation_for_a_lead(hub, offer, factory):
	lead = factory.make("Lead", first_name=unique("HT Lead"), company_name=unique("HT Lead")).name
	quotation = offer(quotation_to="Lead", party_name=lead)
	problem = refuse(hub, whole(quotation))
	assert "customer" in problem["detail"]


def test_lines_that_are_not_on_the_quotation(hub, offer, factory):
	quotation = offer()
	lines = [f.line(item_code=factory.item())]
	refuse(hub, order(quotation={"name": quotation.name}, lines=lines))


@pytest.mark.parametrize("target", [{"name": "no such quotation"}, {"external_id": "no such id"}])
def test_a_quotation_that_is_not_there(hub, target):
	refuse(hub, order(quotation=target), "unknown_quotation")
	refuse(hub, order(quotation=target, lines=..., customer=...), "unknown_quotation")


def test_another_systems_quotation(hub, offer, systems, site):
	quotation = offer()
	stranger = systems.like(order_number_as_po=0)
	site.set_row("Quotation", quotation.name, hub_system=stranger.name)
	refuse(hub, whole(quotation), "unknown_quotation")
	assert made(stranger.http.post("orders.create", whole(quotation))).grand_total == 40


def test_another_companys_quotation(hub, offer, factory):
	company = factory.make(
		"Company",
		company_name=unique("HT Company"),
		abbr=unique("H")[-5:].replace("-", ""),
		default_currency=factory.currency,
		country="United States",
		create_chart_of_accounts_based_on="Standard Template",
		chart_of_accounts="Standard",
	).name
	quotation = offer(company=company)
	# The system's user sees its own company only.
	refuse(hub, whole(quotation), "unknown_quotation")


@pytest.mark.parametrize("missing", ["customer", "lines"])
def test_without_a_quotation_an_order_needs_them(hub, missing):
	refuse(hub, order(**{missing: ...}), "validation_failed", f"/{missing}")
