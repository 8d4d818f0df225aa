"""Orders as platforms really send them, turned into ours field by field: to the cent, or refused with the figures."""

import html
import json
from pathlib import Path

import pytest

import frappe

from integration_hub.tests import expect
from integration_hub.tests.factories import RUN, made_order

PAYLOADS = Path(__file__).parent.parent / "fixtures" / "payloads"


def payload(name: str) -> dict:
	return json.loads((PAYLOADS / name).read_text())


def present(values: dict) -> dict:
	"""Leave out what a platform sends as an empty text."""
	return {name: value for name, value in values.items() if value not in ("", None)}


@pytest.fixture(scope="module")
def shop_of(systems, masters, year):
	"""A system that makes strangers and their items, and maps what the two platforms send."""
	return systems.new(
		unknown_customer_policy="Create",
		unknown_item_policy="Create",
		item_group="Products",
		stock_uom="Nos",
		charge_map=[
			{"charge_code": code, "account": masters.charge} for code in ("flat_rate", "Free Shipping")
		],
		tax_map=[{"tax_code": code, "account": masters.tax} for code in ("US-CA-STATE TAX", "State Tax")],
		payment_method_map=[{"payment_method": "bacs", "mode_of_payment": "Cash", "account": masters.bank}],
	)


# -- WooCommerce ---------------------------------------------------------------------------------------------------


def woo_address(given: dict) -> dict:
	return present(
		{
			"name": f"{given['first_name']} {given['last_name']}",
			"company": given["company"],
			"line1": given["address_1"],
			"line2": given["address_2"],
			"city": given["city"],
			"state": given["state"],
			"postal_code": given["postcode"],
			"country": given["country"],
		}
	)


def woo_line(given: dict) -> dict:
	# A product without a SKU goes by the platform's id. Names come with HTML entities; ours are plain text.
	identifier = (
		{"sku": f"{given['sku']}-{RUN}"}
		if given["sku"]
		else {"item_external_id": f"{given['product_id']}-{RUN}"}
	)
	return {
		"external_id": str(given["id"]),
		**identifier,
		"name": html.unescape(given["name"]),
		"quantity": given["quantity"],
		"unit_price": given["price"],
	}


def from_woocommerce(given: dict) -> dict:
	tax = float(given["total_tax"])
	return {
		"external_id": f"{given['id']}-{RUN}",
		"order_number": f"{given['number']}-{RUN}",
		"placed_at": given["date_created_gmt"] + "Z",
		"currency": given["currency"],
		"customer": {
			"name": f"{given['billing']['first_name']} {given['billing']['last_name']} {RUN}",
			"email": f"{RUN}.{given['billing']['email']}",
			"phone": given["billing"]["phone"],
		},
		"billing_address": woo_address(given["billing"]),
		"shipping_address": woo_address(given["shipping"]),
		"lines": [woo_line(line) for line in given["line_items"]],
		"charges": [
			{"code": line["method_id"], "title": line["method_title"], "amount": line["total"]}
			for line in given["shipping_lines"]
		],
		"taxes": [
			{"code": line["rate_code"], "title": line["label"], "amount": line["tax_total"]}
			for line in given["tax_lines"]
		],
		"totals": {
			"net": round(float(given["total"]) - tax - float(given["shipping_total"]), 2),
			"tax": given["total_tax"],
			"grand": given["total"],
		},
		"payments": [
			{
				"method": given["payment_method"],
				"amount": given["total"],
				"paid_at": given["date_paid_gmt"] + "Z",
			}
		],
	}


@pytest.fixture(scope="module")
def woo(shop_of):
	body = from_woocommerce(payload("woocommerce/order.json"))
	answer = shop_of.http.post("orders.create", body)
	assert answer.status == 201, answer
	return body, answer


def test_woocommerce_to_the_cent(woo):
	_body, answer = woo
	made = answer.order
	assert (made["net_total"], made["tax_total"], made["grand_total"]) == (18, 1.35, 29.35)
	assert (made["docstatus"], made["order_number"], made["currency"]) == (1, f"727-{RUN}", "USD")
	assert [(line["quantity"], line["unit_price"], line["amount"]) for line in made["lines"]] == [
		(2, 3, 6),
		(1, 12, 12),
	]


def test_woocommerce_document(woo, masters, shop_of):
	doc = made_order(woo[1])
	assert str(doc.transaction_date) == "2017-03-22"
	assert [row.item_name for row in doc.items] == [
		"Woo Single #1",
		"Ship Your Idea – Color: Black, Size: M Test",
	]
	assert [row.item_code for row in doc.items] == [f"{shop_of.name}-93-{RUN}", f"Bar3-{RUN}"]
	assert [(row.account_head, row.description, row.tax_amount) for row in doc.taxes] == [
		(masters.tax, "State Tax", 1.35),
		(masters.charge, "Flat Rate", 10),
	]
	assert doc.customer_name == f"John Doe {RUN}"
	assert doc.customer_address == doc.shipping_address_name
	assert doc.advance_paid == 29.35


def test_woocommerce_ledger(woo, masters):
	[payment] = woo[1].message["payments"]
	rows = frappe.get_all(
		"GL Entry", filters={"voucher_no": payment["name"]}, fields=["account", "debit", "credit"]
	)
	debtors = frappe.get_cached_value("Company", masters.company, "default_receivable_account")
	assert sorted((row.account, row.debit, row.credit) for row in rows) == sorted(
		[(masters.bank, 29.35, 0), (debtors, 0, 29.35)]
	)


def test_woocommerce_again_is_the_same(woo, shop_of):
	body, first = woo
	with expect.nothing_made():
		again = shop_of.http.post("orders.create", body)
	assert (again.status, again.content) == (201, first.content)
	assert again.headers["Idempotent-Replayed"] == "true"


def test_woocommerce_with_its_entities_is_kept_as_it_is(shop_of):
	"""An entity is no HTML element: it is stored as the text it is."""
	given = payload("woocommerce/order.json")
	body = from_woocommerce(given) | {"external_id": f"entity-{RUN}", "order_number": None, "payments": []}
	body["lines"][1]["name"] = given["line_items"][1]["name"]
	answer = shop_of.http.post("orders.create", body)
	assert answer.status == 201, answer
	assert made_order(answer).items[1].item_name == "Ship Your Idea &ndash; Color: Black, Size: M Test"


# -- Shopify -------------------------------------------------------------------------------------------------------


def shopify_address(given: dict) -> dict:
	return present(
		{
			"name": given["name"],
			"company": given["company"],
			"line1": given["address1"],
			"line2": given["address2"],
			"city": given["city"],
			"state": given["province_code"],
			"postal_code": given["zip"],
			"country": given["country_code"],
			"phone": given["phone"],
		}
	)


def from_shopify(given: dict) -> dict:
	return {
		"external_id": f"{given['id']}-{RUN}",
		"order_number": f"{given['name']}-{RUN}",
		"placed_at": given["created_at"],
		"currency": given["currency"],
		"customer": {
			"external_id": f"{given['customer']['id']}-{RUN}",
			"name": f"{given['customer']['first_name']} {given['customer']['last_name']} {RUN}",
			"email": f"{RUN}.{given['customer']['email']}",
		},
		"billing_address": shopify_address(given["billing_address"]),
		"shipping_address": shopify_address(given["shipping_address"]),
		"lines": [
			{
				"external_id": str(line["id"]),
				"sku": f"{line['sku']}-{RUN}",
				"name": line["name"],
				"quantity": line["quantity"],
				"unit_price": line["price"],
			}
			for line in given["line_items"]
		],
		"charges": [
			{"code": line["code"], "title": line["title"], "amount": line["price"]}
			for line in given["shipping_lines"]
		],
		"taxes": [{"code": line["title"], "amount": line["price"]} for line in given["tax_lines"]],
		"totals": {"net": given["subtotal_price"], "tax": given["total_tax"], "grand": given["total_price"]},
	}


def test_shopify_is_refused_with_both_figures(shop_of):
	"""Its lines add up to 597.00 while the platform says 398.00."""
	with expect.nothing_made():
		answer = shop_of.http.post("orders.create", from_shopify(payload("shopify/order.json")["order"]))
	problem = expect.problem(answer, 422, "totals_differ", ["/totals/net", "/totals/grand"])
	assert problem["totals"] == {
		"net": {"sent": 398, "computed": 597},
		"grand": {"sent": 409.94, "computed": 608.94},
	}
	assert problem["retryable"] is False


def test_shopify_held_for_a_person(systems, shop_of):
	settings = {
		field: shop_of.doc.get(field)
		for field in ("unknown_customer_policy", "unknown_item_policy", "item_group", "stock_uom")
	}
	maps = {
		table: [{key: row.get(key) for key in keys} for row in shop_of.doc.get(table)]
		for table, keys in (("charge_map", ("charge_code", "account")), ("tax_map", ("tax_code", "account")))
	}
	held = systems.new(**settings, **maps, totals_policy="Hold as Draft", order_number_as_po=0)
	answer = held.http.post("orders.create", from_shopify(payload("shopify/order.json")["order"]))
	assert (answer.status, answer.order["docstatus"], answer.order["grand_total"]) == (201, 0, 608.94)
	assert answer.order["held_because"] == (
		"The totals differ: net: sent 398.00, ERPNext computes 597.00; grand: sent 409.94, ERPNext computes 608.94"
	)


def test_shopify_corrected_goes_through(shop_of):
	"""The same order, the same external id, with the totals of its lines."""
	body = from_shopify(payload("shopify/order.json")["order"])
	body["totals"] = {"net": 597, "tax": "11.94", "grand": "608.94"}
	answer = shop_of.http.post("orders.create", body)
	assert answer.status == 201, answer
	assert (answer.order["grand_total"], answer.order["customer"]["name"]) == (608.94, f"Bob Norman {RUN}")
	assert made_order(answer).grand_total == 608.94
