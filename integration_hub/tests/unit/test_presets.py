"""The connectors that are shipped: what the platforms really send becomes exactly this; what is unfit is refused by name."""

import copy
import json
import random
import shutil
import time
from decimal import Decimal
from pathlib import Path

import pytest

import integration_hub
from integration_hub.mapping import exchange, presets
from integration_hub.mapping.errors import BadPreset, BadValue, MapFaults
from integration_hub.mapping.values import parse, render
from integration_hub.schemas.orders import OrderCancel, OrderCreate, OrderUpdate
from integration_hub.schemas.sales import SalesFulfill, SalesInvoice, SalesPay, SalesRefund, SalesRun

ROOT = Path(integration_hub.__file__).parent
PRESETS = ROOT / "presets"
PAYLOADS = ROOT / "tests" / "fixtures" / "payloads"
SCHEMAS = {
	"orders.create": OrderCreate,
	"orders.update": OrderUpdate,
	"orders.cancel": OrderCancel,
	"sales.fulfill": SalesFulfill,
	"sales.invoice": SalesInvoice,
	"sales.pay": SalesPay,
	"sales.refund": SalesRefund,
	"sales.run": SalesRun,
}
SHIPPED = presets.load_all(PRESETS)
LONGEST_SECONDS = 2.5


def payload(name: str):
	return parse((PAYLOADS / name).read_text())


def bare(name: str):
	"""Return a payload of Shopify as its webhooks send it."""
	[document] = payload(name).values()
	return document


def read(preset: str, topic: str, body):
	return SHIPPED[preset].event(topic).read(body)


def calls(preset: str, topic: str, body) -> dict[str, dict]:
	"""Return body by operation of what a webhook becomes; each is what the operation takes."""
	reading = read(preset, topic, body)
	found = {route.operation: route.body(reading.document) for route in reading.routes}
	for operation, each in found.items():
		SCHEMAS[operation].model_validate(each)
		# As it is kept and read again.
		assert parse(render(each).decode()) == each
	return found


def call(preset: str, topic: str, body, operation: str) -> dict:
	return calls(preset, topic, body)[operation]


def refusals(preset: str, topic: str, body, operation: str) -> list[str]:
	"""Return what the operation's schema refuses: the pointers."""
	reading = read(preset, topic, body)
	made = next(route for route in reading.routes if route.operation == operation).body(reading.document)
	with pytest.raises(ValueError) as e:
		SCHEMAS[operation].model_validate(made)
	return ["/".join(map(str, error["loc"])) for error in e.value.errors()]


def faults(preset: str, topic: str, body, operation: str) -> list[str]:
	reading = read(preset, topic, body)
	route = next(route for route in reading.routes if route.operation == operation)
	with pytest.raises(MapFaults) as e:
		route.body(reading.document)
	return [str(fault) for fault in e.value.faults]


def ignored(preset: str, topic: str, body) -> tuple[str, ...]:
	reading = read(preset, topic, body)
	assert reading.routes == ()
	return reading.ignored


def exact(body) -> str:
	"""Return a body as JSON, so that 1.0 is not taken for 1.00, nor true for 1."""
	return render(body).decode()


def adds_up(body: dict) -> bool:
	"""Whether lines, discounts, charges and taxes come to the totals; of an order whose prices hold no tax."""

	def total(rows, name="amount"):
		return sum((Decimal(row[name]) for row in rows), Decimal(0))

	net = sum(
		line["quantity"] * (line["unit_price"] - line.get("discount", {}).get("amount", 0))
		for line in body["lines"]
	) - total(body.get("discounts", []))
	tax = total(body["taxes"])
	stated = body["totals"]
	return (stated["net"], stated["tax"], stated["grand"]) == (net, tax, net + tax + total(body["charges"]))


# The presets themselves


def test_the_presets_there_are():
	assert {name: (each.title, each.signature) for name, each in SHIPPED.items()} == {
		"shopify": ("Shopify", "Shopify"),
		"woocommerce": ("WooCommerce", "WooCommerce"),
	}
	assert {
		name: {topic: [route.operation for route in each.event(topic).routes] for topic in each.topics}
		for name, each in SHIPPED.items()
	} == {
		"shopify": {
			"orders/create": ["orders.create"],
			"orders/updated": ["orders.update"],
			"orders/cancelled": ["orders.cancel"],
			"orders/paid": ["sales.pay"],
			"order_transactions/create": ["sales.pay"],
			"fulfillments/create": ["sales.fulfill"],
			"fulfillments/update": ["sales.fulfill"],
			"refunds/create": ["sales.refund"],
		},
		"woocommerce": {
			"order.created": ["orders.create", "orders.update", "sales.pay", "sales.run", "orders.cancel"],
			"order.updated": ["orders.create", "orders.update", "sales.pay", "sales.run", "orders.cancel"],
			"refund.created": ["sales.refund"],
		},
	}


@pytest.mark.parametrize("name", SHIPPED)
def test_readmes_tell_every_topic_and_code(name):
	text = (PRESETS / name / "README.md").read_text()
	preset = SHIPPED[name]
	for word in (*preset.topics, *preset.codes["charges"]):
		assert f"`{word}`" in text, word


def test_operations_are_those_of_the_api():
	assert set(presets.OPERATIONS) == set(SCHEMAS)
	openapi = json.loads((ROOT.parent / "docs" / "openapi.json").read_text())
	paths = {path.rpartition("v1.")[2] for path in openapi["paths"]}
	assert set(presets.OPERATIONS) <= paths


def test_unknown_topics_are_none():
	assert SHIPPED["shopify"].event("products/create") is None


def test_only_what_overwrites_has_a_version():
	"""A payment, parcel or refund stays true, however old; a cancelled order of Shopify stays cancelled."""
	assert {
		name: {
			route.operation for event in preset.events for route in event.routes if route.version is not None
		}
		for name, preset in SHIPPED.items()
	} == {
		"shopify": {"orders.create", "orders.update"},
		"woocommerce": {"orders.create", "orders.update", "orders.cancel"},
	}


# Shopify: its own payloads

LOUISVILLE = {
	"name": "Bob Norman",
	"line1": "Chestnut Street 92",
	"city": "Louisville",
	"state": "KY",
	"postal_code": "40202",
	"country": "US",
	"phone": "555-625-1199",
}
SHOPIFY_TOTALS = {"net": Decimal("398.00"), "tax": Decimal("11.94"), "grand": Decimal("409.94")}
SHOPIFY_ORDER = {
	"external_id": "450789469",
	"order_number": "#1001",
	"placed_at": "2008-01-10T11:00:00-05:00",
	"currency": "USD",
	"customer": {"external_id": "207119551", "name": "Bob Norman", "email": "bob.norman@hostmail.com"},
	"billing_address": LOUISVILLE,
	"shipping_address": LOUISVILLE,
	"lines": [
		{
			"external_id": line,
			"sku": f"IPOD2008{colour.upper()}",
			"name": f"IPod Nano - 8gb - {colour}",
			"quantity": 1,
			"unit_price": Decimal("199.00"),
		}
		for line, colour in (("466157049", "green"), ("518995019", "red"), ("703073504", "black"))
	],
	"charges": [{"code": "shipping", "title": "Free Shipping", "amount": Decimal("0.00")}],
	"taxes": [{"code": "State Tax", "amount": Decimal("11.94")}],
	"totals": SHOPIFY_TOTALS,
}
SHOPIFY_REFUND = {
	"external_id": "509562969",
	"order": {"external_id": "450789469"},
	"lines": [
		{"external_id": "703073504", "quantity": 1, "restock": True},
		{"external_id": "466157049", "quantity": 1, "restock": True},
	],
	"amount": Decimal("209.00"),
	"method": "bogus",
	"reason": "it broke during shipping",
}


@pytest.mark.parametrize("document", [payload("shopify/order.json"), bare("shopify/order.json")])
def test_shopify_order(document):
	reading = read("shopify", "orders/create", document)
	[route] = reading.routes
	assert (reading.subject, reading.event_id) == ("450789469", None)
	assert route.version_of(reading.document) == "2008-01-10T16:00:00.000000+00:00"
	made = call("shopify", "orders/create", document, "orders.create")
	assert exact(made) == exact(SHOPIFY_ORDER)
	assert not adds_up(made), "it contradicts itself, and the totals gate must see it"


@pytest.mark.parametrize("document", [payload("shopify/order.json"), bare("shopify/order.json")])
def test_shopify_order_updated(document):
	assert exact(call("shopify", "orders/updated", document, "orders.update")) == exact(
		{
			"external_id": "450789469",
			"order_number": "#1001",
			"billing_address": LOUISVILLE,
			"shipping_address": LOUISVILLE,
			"totals": SHOPIFY_TOTALS,
		}
	)


def test_shopify_order_updated_after_it_was_cancelled():
	document = bare("shopify/order.json") | {"cancelled_at": "2008-01-11T11:00:00-05:00"}
	assert ignored("shopify", "orders/updated", document) == (
		"The order is cancelled; the topic orders/cancelled tells that.",
	)


@pytest.mark.parametrize("wrap", [dict, lambda document: {"order": document}])
def test_shopify_order_cancelled(wrap):
	document = bare("shopify/order.json")
	assert ignored("shopify", "orders/cancelled", wrap(document)) == (
		"The order has no time of cancellation, so it is not cancelled.",
	)
	document |= {"cancelled_at": "2008-01-11T11:00:00-05:00", "cancel_reason": "customer"}
	assert calls("shopify", "orders/cancelled", wrap(document)) == {
		"orders.cancel": {"external_id": "450789469", "reason": "customer"}
	}


@pytest.mark.parametrize("wrap", [dict, lambda document: {"order": document}])
def test_shopify_order_paid(wrap):
	document = bare("shopify/order.json")
	assert ignored("shopify", "orders/paid", wrap(document)) == (
		"Shopify does not call the order paid, or there is nothing to pay.",
	)
	document |= {"financial_status": "paid"}
	assert exact(call("shopify", "orders/paid", wrap(document), "sales.pay")) == exact(
		{
			"external_id": "450789469/paid",
			"order": {"external_id": "450789469"},
			"method": "authorize_net",
			"amount": Decimal("409.94"),
			"currency": "USD",
		}
	)


def test_shopify_pays_what_is_not_outstanding():
	document = bare("shopify/order.json") | {
		"financial_status": "paid",
		"total_outstanding": "9.94",
		"payment_gateway_names": ["paypal", "paypal"],
	}
	made = call("shopify", "orders/paid", document, "sales.pay")
	assert (str(made["amount"]), made["method"]) == ("400.00", "paypal")


def test_shopify_paid_by_two_gateways_is_refused():
	document = bare("shopify/order.json") | {
		"financial_status": "paid",
		"payment_gateway_names": ["gift_card", "shopify_payments"],
	}
	assert faults("shopify", "orders/paid", document, "sales.pay") == [
		'method: Takes one value, and got 2 different ones: "gift_card", "shopify_payments".'
	]


def test_shopify_orders_for_nothing_are_not_paid():
	document = bare("shopify/order.json") | {"financial_status": "paid", "total_price": "0.00"}
	assert ignored("shopify", "orders/paid", document)


def test_shopify_transactions():
	[authorization] = payload("shopify/transactions.json")
	assert ignored("shopify", "order_transactions/create", authorization) == (
		"No money came: the transaction is neither a sale nor a capture, or it did not succeed.",
	)
	capture = authorization | {"kind": "capture", "currency": "USD"}
	expected = {
		"external_id": "389404469",
		"order": {"external_id": "450789469"},
		"method": "bogus",
		"amount": Decimal("409.94"),
		"currency": "USD",
		"paid_at": "2005-08-01T11:57:11-04:00",
		"reference": "authorization-key",
	}
	for document in (capture, {"transaction": capture}):
		assert exact(call("shopify", "order_transactions/create", document, "sales.pay")) == exact(expected)
		assert read("shopify", "order_transactions/create", document).subject == "450789469"
	assert ignored("shopify", "order_transactions/create", capture | {"status": "failure"})


@pytest.mark.parametrize("topic", ["fulfillments/create", "fulfillments/update"])
@pytest.mark.parametrize("wrap", [dict, lambda document: {"fulfillment": document}])
def test_shopify_fulfillment(topic, wrap):
	document = bare("shopify/fulfillment.json")
	assert ignored("shopify", topic, wrap(document)) == (
		"The parcel has not left: its status is not success.",
	)
	document |= {"status": "success"}
	assert read("shopify", topic, wrap(document)).subject == "450789469"
	assert exact(call("shopify", topic, wrap(document), "sales.fulfill")) == exact(
		{
			"external_id": "255858046",
			"order": {"external_id": "450789469"},
			"lines": [{"external_id": "466157049", "quantity": 1}],
			"carrier": "null-company",
			"tracking_number": "1Z2345",
			"tracking_url": "http://www.google.com/search?q=1Z2345",
		}
	)


def test_shopify_fulfillments_without_lines_never_mean_everything():
	document = bare("shopify/fulfillment.json") | {"status": "success", "line_items": []}
	assert refusals("shopify", "fulfillments/create", document, "sales.fulfill") == ["lines"]
	del document["line_items"]
	assert faults("shopify", "fulfillments/create", document, "sales.fulfill") == [
		"lines[]: line_items finds nothing, and a value is required."
	]


def test_shopify_tracking():
	document = bare("shopify/fulfillment.json") | {
		"status": "success",
		"tracking_numbers": ["1Z1", "1Z2"],
		"tracking_url": "https://x.example/" + "x" * 140,
		"tracking_company": None,
	}
	made = call("shopify", "fulfillments/create", document, "sales.fulfill")
	assert made["tracking_number"] == "1Z1, 1Z2"
	assert "tracking_url" not in made and "carrier" not in made
	document |= {"tracking_numbers": [], "tracking_number": None}
	assert "tracking_number" not in call("shopify", "fulfillments/create", document, "sales.fulfill")


@pytest.mark.parametrize("document", [payload("shopify/refund.json"), bare("shopify/refund.json")])
def test_shopify_refund(document):
	assert read("shopify", "refunds/create", document).subject == "450789469"
	assert exact(call("shopify", "refunds/create", document, "sales.refund")) == exact(SHOPIFY_REFUND)


def test_shopify_orders_without_lines_are_refused():
	[document] = payload("shopify/orders.json")["orders"]
	assert faults("shopify", "orders/create", document, "orders.create") == [
		"lines[]: line_items finds nothing, and a value is required."
	]


@pytest.mark.parametrize("name", ["shopify/customer.json", "shopify/payouts.json", "shopify/orders.json"])
@pytest.mark.parametrize("topic", SHIPPED["shopify"].topics)
def test_what_is_something_else_has_no_subject(name, topic):
	document = payload(name)
	with pytest.raises(MapFaults) as e:
		read("shopify", topic, document)
	assert [(fault.target, fault.message) for fault in e.value.faults] == [
		("subject", f"{'order_id' if topic[0] != 'o' or 'transactions' in topic else 'id'} finds no id.")
	]


# Shopify: what its payloads of today hold besides


SHOPIFY_LINES = [
	{
		"id": 11,
		"sku": "SHIRT-M",
		"variant_id": 111,
		"product_id": 1,
		"name": "Shirt",
		"quantity": 3,
		"price": "19.90",
		"discount_allocations": [
			{"amount": "5.00", "discount_application_index": 0},
			{"amount": "0.97", "discount_application_index": 1},
		],
		"tax_lines": [{"title": "State Tax", "rate": Decimal("0.065"), "price": "3.49"}],
	},
	{
		"id": 12,
		"sku": "",
		"variant_id": 121,
		"product_id": 2,
		"name": "x" * 141,
		"quantity": 1,
		"price": "40.00",
		"discount_allocations": [{"amount": "4.00", "discount_application_index": 1}],
		"tax_lines": [{"title": "State Tax", "rate": Decimal("0.065"), "price": "2.34"}],
	},
]
SHOPIFY_SHIPPING = [
	{
		"title": "UPS",
		"code": "ups-standard",
		"price": "10.00",
		"discounted_price": "10.00",
		"discount_allocations": [{"amount": "2.50"}],
		"tax_lines": [{"title": "State Tax", "rate": Decimal("0.065"), "price": "0.49"}],
	},
	{"title": "Gone", "price": "99.00", "is_removed": True},
]


def shopify(**members) -> dict:
	"""Return an order that adds up: two lines, a discount of each kind, shipping, a tip and duties."""
	return {
		"id": 5678901234567,
		"name": "#2001",
		"created_at": "2026-03-01T12:30:00+01:00",
		"updated_at": "2026-03-01T12:30:05+01:00",
		"currency": "USD",
		"taxes_included": False,
		"customer": {"id": 1, "first_name": "Jane", "last_name": None, "email": "", "phone": "+16136120707"},
		"line_items": copy.deepcopy(SHOPIFY_LINES),
		"discount_codes": [{"code": "SPRING", "amount": "9.97", "type": "percentage"}],
		"discount_applications": [{"type": "automatic", "title": "Three for two"}],
		"shipping_lines": copy.deepcopy(SHOPIFY_SHIPPING),
		"tax_lines": [
			{"title": "State Tax", "rate": Decimal("0.065"), "price": "6.32"},
			{"title": "Pierce County Tax", "rate": Decimal("0.0"), "price": "0.00"},
		],
		"total_line_items_price": "99.70",
		"total_discounts": "12.47",
		"subtotal_price": "89.73",
		"total_tip_received": "3.00",
		"original_total_duties_set": {"shop_money": {"amount": "1.20", "currency_code": "USD"}},
		"total_tax": "6.32",
		"total_price": "107.75",
		"note": " Ring twice\nplease ",
		**members,
	}


def test_shopify_discounts_charges_and_taxes_to_the_cent():
	made = call("shopify", "orders/create", shopify(), "orders.create")
	assert exact(made) == exact(
		{
			"external_id": "5678901234567",
			"order_number": "#2001",
			"placed_at": "2026-03-01T12:30:00+01:00",
			"currency": "USD",
			"customer": {"external_id": "1", "name": "Jane", "phone": "+16136120707"},
			"lines": [
				{
					"external_id": "11",
					"sku": "SHIRT-M",
					"name": "Shirt",
					"quantity": 3,
					"unit_price": Decimal("19.90"),
				},
				{
					"external_id": "12",
					"item_external_id": "121",
					"quantity": 1,
					"unit_price": Decimal("40.00"),
					"discount": {"amount": Decimal("4.00")},
				},
			],
			"discounts": [{"title": "SPRING", "amount": Decimal("5.97")}],
			"charges": [
				{"code": "shipping", "title": "UPS", "amount": Decimal("7.50")},
				{"code": "tip", "title": "Tip", "amount": Decimal("3.00")},
				{"code": "duties", "title": "Duties", "amount": Decimal("1.20")},
			],
			"taxes": [{"code": "State Tax", "amount": Decimal("6.32")}],
			"totals": {"net": Decimal("89.73"), "tax": Decimal("6.32"), "grand": Decimal("107.75")},
			"note": "Ring twice\nplease",
		}
	)
	assert adds_up(made)


def test_shopify_prices_that_include_tax():
	"""180.00 of goods, 5.00 of shipping, and 19 % of both in the prices."""
	tax = {"title": "MwSt", "rate": Decimal("0.19")}
	line = {
		"id": 11,
		"sku": "A",
		"name": "A",
		"quantity": 2,
		"price": "119.00",
		"discount_allocations": [{"amount": "23.80"}],
		"tax_lines": [tax | {"price": "34.20"}],
	}
	document = shopify(
		taxes_included=True,
		line_items=[line],
		shipping_lines=[{"title": "DHL", "price": "5.95", "tax_lines": [tax | {"price": "0.95"}]}],
		tax_lines=[tax | {"price": "35.15"}],
		subtotal_price="214.20",
		total_tax="35.15",
		total_price="220.15",
		total_tip_received="0.00",
		original_total_duties_set=None,
		discount_codes=[],
	)
	made = call("shopify", "orders/create", document, "orders.create")
	assert exact(
		{name: made[name] for name in ("lines", "discounts", "charges", "taxes", "totals")}
	) == exact(
		{
			"lines": [
				{"external_id": "11", "sku": "A", "name": "A", "quantity": 2, "unit_price": Decimal("119.00")}
			],
			"discounts": [{"title": "Three for two", "amount": Decimal("23.80")}],
			"charges": [{"code": "shipping", "title": "DHL", "amount": Decimal("5.00")}],
			"taxes": [
				{"code": "MwSt", "rate": Decimal("19.00"), "included": True},
				{"code": "Shipping MwSt", "amount": Decimal("0.95")},
			],
			"totals": {"net": Decimal("180.00"), "tax": Decimal("35.15"), "grand": Decimal("220.15")},
		}
	)


def test_shopify_orders_without_tax_say_so():
	assert call("shopify", "orders/create", shopify(tax_lines=[]), "orders.create")["taxes"] == []


def test_shopify_addresses_that_are_none():
	partial = {"name": "Jane", "country_code": "US", "city": "", "address1": None}
	document = shopify(billing_address=partial, shipping_address=None)
	made = call("shopify", "orders/create", document, "orders.create")
	assert "billing_address" not in made and "shipping_address" not in made


def test_shopify_people_without_a_name_are_named_by_their_address():
	document = shopify(customer=None, email="jane@example.com", billing_address=dict(name=" Jane  Doe "))
	made = call("shopify", "orders/create", document, "orders.create")
	assert made["customer"] == {"name": "Jane Doe", "email": "jane@example.com"}


def test_shopify_orders_of_nobody_are_refused():
	assert refusals("shopify", "orders/create", shopify(customer=None), "orders.create") == ["customer"]


def test_shopify_lines_of_nothing_are_refused():
	document = shopify()
	document["line_items"][1] |= {"variant_id": None, "product_id": None}
	assert refusals("shopify", "orders/create", document, "orders.create") == ["lines/1"]


def shopify_refund(**members) -> dict:
	"""Return a refund as Shopify sends it today: of a card, still on its way."""
	return {
		"id": 829190242433,
		"order_id": 4182097789057,
		"created_at": "2024-03-09T04:46:16-05:00",
		"note": "",
		"restock": True,
		"refund_line_items": [
			{
				"id": 1,
				"line_item_id": 11,
				"quantity": 2,
				"restock_type": "return",
				"subtotal": Decimal("40.0"),
				"total_tax": Decimal("2.6"),
				"subtotal_set": {"shop_money": {"amount": "40.00", "currency_code": "CAD"}},
			}
		],
		"refund_shipping_lines": [],
		"order_adjustments": [{"kind": "refund_discrepancy", "amount": "42.60", "tax_amount": "0.00"}],
		"transactions": [
			{
				"id": 5,
				"kind": "refund",
				"status": "pending",
				"gateway": "shopify_payments",
				"amount": "42.60",
				"currency": "CAD",
			}
		],
		**members,
	}


def test_shopify_refund_of_today():
	assert exact(call("shopify", "refunds/create", shopify_refund(), "sales.refund")) == exact(
		{
			"external_id": "829190242433",
			"order": {"external_id": "4182097789057"},
			"lines": [{"external_id": "11", "quantity": 2, "restock": True}],
			"amount": Decimal("42.60"),
			"method": "shopify_payments",
		}
	)


@pytest.mark.parametrize(
	("restock_type", "restock"),
	[("return", True), ("legacy_restock", True), ("no_restock", False)],
)
def test_shopify_restocks_as_it_says(restock_type, restock):
	document = shopify_refund()
	document["refund_line_items"][0]["restock_type"] = restock_type
	made = call("shopify", "refunds/create", document, "sales.refund")
	assert made["lines"][0]["restock"] is restock


def test_shopify_unknown_ways_of_restocking_are_refused():
	document = shopify_refund()
	document["refund_line_items"][0]["restock_type"] = "teleport"
	assert faults("shopify", "refunds/create", document, "sales.refund") == [
		"lines[].restock: Element 1 of lines: “teleport” is not in the table."
	]
	document["refund_line_items"][0]["restock_type"] = document["restock"] = None
	assert faults("shopify", "refunds/create", document, "sales.refund") == [
		"lines[].restock: Element 1 of lines: restock_type || root().restock finds nothing, and a value is required."
	]


def test_shopify_goods_that_had_not_left_are_no_lines():
	document = shopify_refund()
	document["refund_line_items"][0]["restock_type"] = "cancel"
	made = call("shopify", "refunds/create", document, "sales.refund")
	assert "lines" not in made and (made["amount"], made["method"]) == (Decimal("42.60"), "shopify_payments")
	document["refund_line_items"].append(
		{"line_item_id": 12, "quantity": 1, "restock_type": "no_restock", "subtotal": 1}
	)
	made = call("shopify", "refunds/create", document, "sales.refund")
	assert made["lines"] == [
		{"external_id": "11", "quantity": 2, "restock": False},
		{"external_id": "12", "quantity": 1, "restock": False},
	]


@pytest.mark.parametrize(
	"members",
	[
		{"refund_line_items": [], "transactions": []},
		{
			"refund_line_items": [{"line_item_id": 1, "quantity": 1, "restock_type": "cancel"}],
			"transactions": [],
		},
		{
			"refund_line_items": None,
			"transactions": [{"kind": "void", "status": "success", "amount": "5.00"}],
		},
		{
			"refund_line_items": [],
			"transactions": [{"kind": "refund", "status": "failure", "amount": "5.00"}],
		},
	],
)
def test_shopify_refunds_of_nothing_never_mean_everything(members):
	"""A refund of neither lines nor an amount would give back all that is left."""
	document = shopify_refund(**members)
	assert ignored("shopify", "refunds/create", document) == (
		"Neither delivered goods nor money come back. Where lines were taken off the order, take them off here, too.",
	)
	alone = SHIPPED["shopify"].maps["refund"].compiled()
	with pytest.raises(MapFaults) as e:
		alone.apply(document)
	assert [fault.target for fault in e.value.faults] == ["external_id"]


def test_shopify_shipping_refunded():
	old = shopify_refund(
		order_adjustments=[{"kind": "shipping_refund", "amount": "-8.00", "tax_amount": "0.00"}]
	)
	new = shopify_refund(
		refund_shipping_lines=[{"subtotal_amount_set": {"shop_money": {"amount": 8, "currency_code": "CAD"}}}]
	)
	for document, amount in ((old, Decimal("8.00")), (new, Decimal(8))):
		made = call("shopify", "refunds/create", document, "sales.refund")
		assert exact(made["charges"]) == exact([{"code": "shipping", "amount": amount}])


def test_shopify_refunds_in_another_currency_are_refused():
	document = shopify_refund()
	document["transactions"][0] |= {"amount": "31.60", "currency": "USD"}
	assert faults("shopify", "refunds/create", document, "sales.refund") == [
		"amount: “an amount in USD” is no amount. Amounts are written 1250 or 12.50, without signs for thousands."
	]


def test_shopify_refunds_by_two_gateways_are_refused():
	document = shopify_refund()
	document["transactions"].append(document["transactions"][0] | {"gateway": "gift_card"})
	assert faults("shopify", "refunds/create", document, "sales.refund") == [
		'method: Takes one value, and got 2 different ones: "shopify_payments", "gift_card".'
	]


# WooCommerce

MARKET = {
	"name": "John Doe",
	"line1": "969 Market",
	"city": "San Francisco",
	"state": "CA",
	"postal_code": "94103",
	"country": "US",
}
PHONE = {"phone": "(555) 555-5555"}
WOO_TOTALS = {"net": Decimal("18.00"), "tax": Decimal("1.35"), "grand": Decimal("29.35")}
WOO_ORDER = {
	"external_id": "727",
	"order_number": "727",
	"placed_at": "2017-03-22T19:28:02+00:00",
	"currency": "USD",
	"customer": {"name": "John Doe", "email": "john.doe@example.com", **PHONE},
	"billing_address": MARKET | PHONE,
	"shipping_address": MARKET,
	"lines": [
		{
			"external_id": "315",
			"item_external_id": "93",
			"name": "Woo Single #1",
			"quantity": 2,
			"unit_price": Decimal("3.00"),
		},
		{
			"external_id": "316",
			"sku": "Bar3",
			"name": "Ship Your Idea – Color: Black, Size: M Test",
			"quantity": 1,
			"unit_price": Decimal("12.00"),
		},
	],
	"charges": [{"code": "shipping", "title": "Flat Rate", "amount": Decimal("10.00")}],
	"taxes": [{"code": "US-CA-STATE TAX", "title": "State Tax", "amount": Decimal("1.35")}],
	"totals": WOO_TOTALS,
}
WOO_UPDATE = {
	name: WOO_ORDER[name]
	for name in ("external_id", "order_number", "billing_address", "shipping_address", "totals")
}
WOO_PAID = {
	"external_id": "727/paid",
	"order": {"external_id": "727"},
	"method": "bacs",
	"amount": Decimal("29.35"),
	"currency": "USD",
	"paid_at": "2017-03-22T19:28:08+00:00",
}


def woo(**members) -> dict:
	return payload("woocommerce/order.json") | members


@pytest.mark.parametrize("topic", ["order.created", "order.updated"])
@pytest.mark.parametrize("wrap", [dict, lambda document: {"order": document}])
def test_woocommerce_order(topic, wrap):
	reading = read("woocommerce", topic, wrap(woo()))
	assert (reading.subject, reading.event_id) == ("727", None)
	assert [
		(route.operation, route.known, route.version_of(reading.document)) for route in reading.routes
	] == [
		("orders.create", False, "2017-03-22T19:28:08.000000+00:00"),
		("orders.update", True, "2017-03-22T19:28:08.000000+00:00"),
		("sales.pay", None, None),
	]
	made = calls("woocommerce", topic, wrap(woo()))
	assert exact(made) == exact(
		{"orders.create": WOO_ORDER, "orders.update": WOO_UPDATE, "sales.pay": WOO_PAID}
	)
	assert adds_up(made["orders.create"])


def test_woocommerce_order_with_refunds():
	first, second = payload("woocommerce/orders.json")
	assert first["id"] == 727 and adds_up(calls("woocommerce", "order.updated", first)["orders.create"])
	made = calls("woocommerce", "order.updated", second)
	assert list(made) == ["orders.create", "orders.update", "sales.run"], "it is not paid"
	assert exact(made["sales.run"]) == exact(
		{
			"order": {"external_id": "723"},
			"refund": [
				{"external_id": "724", "amount": Decimal("9.00")},
				{"external_id": "726", "amount": Decimal("10.00")},
			],
		}
	)
	order = made["orders.create"]
	assert order["customer"] == {
		"external_id": "26",
		"name": "João Silva",
		"email": "joao.silva@example.com",
		"phone": "(11) 1111-1111",
	}
	assert exact(order["totals"]) == '{"net":29.00,"tax":0.00,"grand":39.00}'
	assert order["taxes"] == [] and adds_up(order)


def test_woocommerce_says_today_why():
	document = woo(refunds=[{"id": 9, "reason": "Scratched &amp; late", "total": "-1.00"}])
	assert calls("woocommerce", "order.updated", document)["sales.run"]["refund"] == [
		{"external_id": "9", "amount": Decimal("1.00"), "reason": "Scratched & late"}
	]


def test_woocommerce_refunds_that_add_are_refused():
	document = woo(refunds=[{"id": 9, "total": "1.00"}])
	assert refusals("woocommerce", "order.updated", document, "sales.run") == ["refund/<many>/0/amount"]


@pytest.mark.parametrize(
	("status", "operations"),
	[
		("pending", ["orders.create", "orders.update"]),
		("on-hold", ["orders.create", "orders.update"]),
		("processing", ["orders.create", "orders.update"]),
		("completed", ["orders.create", "orders.update"]),
		("a-status-of-a-plugin", ["orders.create", "orders.update"]),
		("refunded", ["orders.create"]),
		("cancelled", ["orders.cancel"]),
		("failed", []),
		("checkout-draft", []),
		("auto-draft", []),
		("trash", []),
		(None, []),
	],
)
def test_woocommerce_statuses(status, operations):
	document = woo(status=status, date_paid_gmt=None)
	for topic in ("order.created", "order.updated"):
		assert list(calls("woocommerce", topic, document)) == operations
	if not operations:
		assert ignored("woocommerce", "order.updated", document)[0] == (
			"The status says that there is no order to place or change: draft, trash, failed or cancelled."
		)


def test_woocommerce_cancelled():
	assert calls("woocommerce", "order.updated", woo(status="cancelled")) == {
		"orders.cancel": {"external_id": "727", "reason": "Cancelled in WooCommerce"}
	}


@pytest.mark.parametrize("status", ["pending", "on-hold"])
def test_woocommerce_lines_change_as_long_as_they_can_be_edited(status):
	made = calls("woocommerce", "order.updated", woo(status=status))["orders.update"]
	assert exact(made["lines"]) == exact(
		[
			{"external_id": "315", "quantity": 2, "unit_price": Decimal("3.00")},
			{"external_id": "316", "quantity": 1, "unit_price": Decimal("12.00")},
		]
	)


@pytest.mark.parametrize("members", [{"date_paid_gmt": None}, {"total": "0.00"}, {"status": "failed"}])
def test_woocommerce_not_paid(members):
	assert "sales.pay" not in calls("woocommerce", "order.updated", woo(**members))


def test_woocommerce_payments_carry_the_gateway_s_number():
	made = calls("woocommerce", "order.updated", woo(transaction_id=" ch_1 "))["sales.pay"]
	assert made == WOO_PAID | {"reference": "ch_1"}


def test_woocommerce_payments_by_nothing_are_refused():
	assert faults("woocommerce", "order.updated", woo(payment_method=""), "sales.pay") == [
		"method: payment_method finds nothing, and a value is required."
	]


def test_woocommerce_discounts_fees_and_tax_of_shipping():
	document = woo(
		discount_total="1.80",
		coupon_lines=[{"code": "spring"}, {"code": "friends"}],
		fee_lines=[{"name": "Gift wrap &amp; card", "total": "2.00", "total_tax": "0.15"}],
		tax_lines=[
			{"rate_code": "US-CA-1", "label": "State", "tax_total": "1.37", "shipping_tax_total": "0.75"},
			{"rate_code": "US-CA-2", "label": "City", "tax_total": "0.00", "shipping_tax_total": "0.00"},
		],
		total_tax="2.12",
		total="30.32",
	)
	document["line_items"][0]["total"], document["line_items"][1]["total"] = "5.40", "10.80"
	made = calls("woocommerce", "order.updated", document)["orders.create"]
	assert exact({name: made[name] for name in ("discounts", "charges", "taxes", "totals")}) == exact(
		{
			"discounts": [{"title": "spring, friends", "amount": Decimal("1.80")}],
			"charges": [
				{"code": "shipping", "title": "Flat Rate", "amount": Decimal("10.00")},
				{"code": "fee", "title": "Gift wrap & card", "amount": Decimal("2.00")},
			],
			"taxes": [{"code": "US-CA-1", "title": "State", "amount": Decimal("2.12")}],
			"totals": {"net": Decimal("16.20"), "tax": Decimal("2.12"), "grand": Decimal("30.32")},
		}
	)
	assert adds_up(made)


def test_woocommerce_prices_that_include_tax():
	"""Three at 9.99 with 19 % in it: WooCommerce itself sends 25.18 and 4.79."""
	line = {
		"id": 1,
		"name": "A",
		"sku": "A",
		"quantity": 3,
		"subtotal": "25.18",
		"subtotal_tax": "4.79",
		"total": "25.18",
		"total_tax": "4.79",
		"price": Decimal("8.394956"),
	}
	document = woo(
		prices_include_tax=True,
		line_items=[line],
		shipping_lines=[{"method_title": "DHL", "total": "4.12"}],
		tax_lines=[
			{
				"rate_code": "DE-MWST-1",
				"label": "MwSt.",
				"rate_percent": 19,
				"tax_total": "4.79",
				"shipping_tax_total": "0.78",
			}
		],
		total_tax="5.57",
		total="34.87",
	)
	made = calls("woocommerce", "order.updated", document)["orders.create"]
	assert exact({name: made[name] for name in ("lines", "charges", "taxes", "totals")}) == exact(
		{
			"lines": [
				{"external_id": "1", "sku": "A", "name": "A", "quantity": 3, "unit_price": Decimal("9.99")}
			],
			"charges": [{"code": "shipping", "title": "DHL", "amount": Decimal("4.12")}],
			"taxes": [
				{"code": "DE-MWST-1", "title": "MwSt.", "rate": Decimal(19), "included": True},
				{"code": "Shipping DE-MWST-1", "title": "MwSt.", "amount": Decimal("0.78")},
			],
			"totals": {"net": Decimal("25.18"), "tax": Decimal("5.57"), "grand": Decimal("34.87")},
		}
	)


def test_woocommerce_prices_that_do_not_come_out_even_are_refused():
	document = woo()
	document["line_items"][0] |= {"subtotal": "10.00", "quantity": 3}
	assert faults("woocommerce", "order.created", document, "orders.create") == [
		"lines[].unit_price: Element 1 of lines: 10.00 divided by 3 does not come out even; nothing is rounded."
	]


def test_woocommerce_fees_that_take_off_are_refused():
	document = woo(fee_lines=[{"name": "Store credit", "total": "-2.00"}])
	assert refusals("woocommerce", "order.created", document, "orders.create") == ["charges/1/amount"]


def test_woocommerce_phone_numbers_as_people_write_them():
	document = woo()
	document["billing"]["phone"] = "030/123 456"
	made = calls("woocommerce", "order.created", document)["orders.create"]
	assert made["customer"]["phone"] == made["billing_address"]["phone"] == "030 123 456"


def test_woocommerce_variations_and_products_of_no_more():
	document = woo()
	document["line_items"][1]["sku"] = ""
	lines = calls("woocommerce", "order.created", document)["orders.create"]["lines"]
	assert [line["item_external_id"] for line in lines] == ["93", "23"]
	document["line_items"][1] |= {"product_id": 0, "variation_id": 0}
	assert refusals("woocommerce", "order.created", document, "orders.create") == ["lines/1"]


def test_woocommerce_refund_of_its_rest_answer():
	document = payload("woocommerce/refund.json")
	assert read("woocommerce", "refund.created", document).subject == "723"
	assert exact(calls("woocommerce", "refund.created", document)) == exact(
		{"sales.refund": {"external_id": "726", "order": {"external_id": "723"}, "amount": Decimal("10.00")}}
	)


def test_woocommerce_refund_of_lines():
	document = payload("woocommerce/refund.json") | {
		"amount": "22.00",
		"reason": "Broken",
		"line_items": [
			{
				"id": 801,
				"quantity": -1,
				"total": "-12.00",
				"meta_data": [{"key": "_refunded_item_id", "value": "316"}],
			}
		],
		"shipping_lines": [{"total": "-10.00"}],
	}
	assert exact(calls("woocommerce", "refund.created", document)["sales.refund"]) == exact(
		{
			"external_id": "726",
			"order": {"external_id": "723"},
			"lines": [{"external_id": "316", "quantity": Decimal(1), "restock": False}],
			"charges": [{"code": "shipping", "amount": Decimal("10.00")}],
			"amount": Decimal("22.00"),
			"reason": "Broken",
		}
	)


def test_woocommerce_refunds_of_no_order_have_no_subject():
	document = payload("woocommerce/refund.json")
	for links in (None, {"up": [{"href": "https://example.com/?order=723"}]}, {"up": []}):
		with pytest.raises(MapFaults) as e:
			read("woocommerce", "refund.created", document | {"_links": links})
		assert [fault.target for fault in e.value.faults] == ["subject"]


# Versions


@pytest.mark.parametrize(
	("older", "newer"),
	[
		# The clocks went back in between: as texts they sort the other way round.
		("2026-11-01T01:59:59-04:00", "2026-11-01T01:00:00-05:00"),
		("2026-03-01T12:00:00", "2026-03-01T12:00:00.000001Z"),
		("2026-03-01T12:00:00.9Z", "2026-03-01T12:00:01Z"),
		(9, 10),
		(1234567890, 99999999999),
		(Decimal("1E+3"), 1001),
	],
)
def test_versions_sort(older, newer):
	assert presets.sortable(older) < presets.sortable(newer)


def test_versions_are_equal_where_the_moment_is():
	assert presets.sortable("2026-03-01T12:00:00+01:00") == presets.sortable("2026-03-01T11:00:00.000Z")


@pytest.mark.parametrize("version", [None, "", "yesterday", -1, Decimal("1.5"), True, [], 10**20])
def test_what_is_no_version(version):
	with pytest.raises(BadValue):
		presets.sortable(version)


def test_a_state_without_its_version_is_refused():
	reading = read("shopify", "orders/updated", shopify(updated_at=None))
	with pytest.raises(MapFaults) as e:
		reading.routes[0].version_of(reading.document)
	assert [str(fault) for fault in e.value.faults] == ["version: The version is missing."]


# Hostile and broken documents

EVENTS = [
	("shopify", "orders/create", bare("shopify/order.json")),
	("shopify", "orders/create", shopify(taxes_included=True)),
	("shopify", "orders/updated", bare("shopify/order.json")),
	("shopify", "orders/cancelled", shopify(cancelled_at="2026-03-02T00:00:00Z", cancel_reason="fraud")),
	("shopify", "orders/paid", shopify(financial_status="paid", gateway="x")),
	("shopify", "order_transactions/create", payload("shopify/transactions.json")[0] | {"kind": "sale"}),
	("shopify", "fulfillments/create", bare("shopify/fulfillment.json") | {"status": "success"}),
	("shopify", "refunds/create", bare("shopify/refund.json")),
	("shopify", "refunds/create", shopify_refund()),
	("woocommerce", "order.updated", payload("woocommerce/orders.json")[1]),
	("woocommerce", "order.updated", woo(prices_include_tax=True, status="on-hold")),
	("woocommerce", "refund.created", payload("woocommerce/refund.json")),
]
IDS = [f"{topic}-{at}" for at, (_preset, topic, _document) in enumerate(EVENTS)]


def worked(preset: str, topic: str, document) -> list[dict]:
	"""Return the bodies a document becomes, and [] where it is refused; nothing but MapFaults may be raised."""
	try:
		reading = read(preset, topic, document)
	except MapFaults as e:
		assert all(fault.target for fault in e.faults)
		return []
	bodies = []
	for route in reading.routes:
		try:
			route.version_of(reading.document)
			bodies.append(route.body(reading.document))
		except MapFaults as e:
			assert e.faults and str(e)
	return bodies


def places(node, path=()):
	"""Yield the path of everything in a document."""
	yield path
	if isinstance(node, (dict, list)):
		for key, value in node.items() if isinstance(node, dict) else enumerate(node):
			yield from places(value, (*path, key))


def changed(document, path: tuple, value):
	copied = copy.deepcopy(document)
	if not path:
		return value
	node = copied
	for key in path[:-1]:
		node = node[key]
	if value is ...:
		del node[path[-1]]
	else:
		node[path[-1]] = value
	return copied


@pytest.mark.parametrize(("preset", "topic", "document"), EVENTS, ids=IDS)
def test_whatever_is_missing_nothing_else_is_raised(preset, topic, document):
	assert worked(preset, topic, document)
	for path in places(document):
		if path:
			worked(preset, topic, changed(document, path, ...))


WRONG = [
	None,
	True,
	-1,
	Decimal("1E+200"),
	"",
	"x",
	"1,000.00",
	"<b>x</b>",
	"\ud800",
	[],
	[[]],
	[None],
	{},
	{"a": {}},
]


@pytest.mark.parametrize(("preset", "topic", "document"), EVENTS, ids=IDS)
def test_whatever_is_wrong_nothing_else_is_raised(preset, topic, document):
	chosen = random.Random(5)
	for path in places(document):
		for value in chosen.sample(WRONG, 4):
			worked(preset, topic, changed(document, path, value))


def nested(levels: int):
	value = "x"
	for _level in range(levels):
		value = [value]
	return value


@pytest.mark.parametrize(("preset", "topic", "document"), EVENTS, ids=IDS)
@pytest.mark.parametrize(
	"hostile",
	[nested(40), nested(20_000), "x" * 2_000_000, [{}] * 200_000, {str(at): at for at in range(100_000)}],
	ids=["deep", "very deep", "long text", "long list", "large object"],
)
def test_huge_and_deep_documents_end_soon(preset, topic, document, hostile):
	members = [hostile, *(document | {name: hostile} for name in document)]
	chosen = random.Random(7).sample(members, min(6, len(members)))
	for each in chosen:
		started = time.process_time()
		worked(preset, topic, each)
		assert time.process_time() - started < LONGEST_SECONDS


def test_an_order_of_1000_lines_goes_through():
	"""As many as an order may have here, each as large as Shopify makes it."""
	line = bare("shopify/refund.json")["refund_line_items"][0]["line_item"]
	lines = [line | {"id": at, "extra": {"members": list(range(60))}} for at in range(1_000)]
	document = shopify(line_items=lines)
	assert len(render(document, limit=10_000_000)) > 700_000
	made = call("shopify", "orders/create", document, "orders.create")
	assert len(made["lines"]) == 1_000 and made["lines"][999]["external_id"] == "999"


# Broken presets


@pytest.fixture
def folder(tmp_path):
	shutil.copytree(PRESETS / "woocommerce", tmp_path / "own")
	return tmp_path / "own"


def broken(folder: Path, **members) -> list[str]:
	"""Change members of preset.json and return what is wrong with it then."""
	path = folder / "preset.json"
	path.write_text(json.dumps(json.loads(path.read_text()) | members))
	with pytest.raises(BadPreset) as e:
		presets.load(folder)
	return list(e.value.faults)


def test_a_copied_preset_loads(folder):
	assert presets.load(folder).name == "own"


def test_faults_of_the_head(folder):
	assert broken(
		folder,
		format="x",
		title="",
		description=None,
		version="1",
		signature="rot13",
		codes={"colours": {}},
		extra=1,
	) == [
		"preset.json: There is no member extra; there are format, format_version, title, description, version,"
		" signature, codes, events.",
		"preset.json: format is to be integration-hub/preset, format_version 1.",
		"preset.json: title takes text.",
		"preset.json: description takes text.",
		"preset.json: version takes a whole number from 1.",
		"preset.json: signature is one of Standard Webhooks, Shopify, WooCommerce, GitHub, Stripe.",
		"preset.json: codes takes, for each of charges, taxes, payment_methods, an object of texts.",
	]


def test_faults_of_events_and_routes(folder):
	route = {"operation": "orders.create", "map": "order-create"}
	operations = ", ".join(presets.OPERATIONS)
	assert broken(
		folder,
		events=[
			{"topics": ["a"], "subject": "id", "routes": [route]},
			{"topics": ["a"], "subject": "id", "routes": [route]},
			{"topics": [], "subjects": "id", "routes": []},
			{"topics": ["b"], "subject": "i d", "document": 5, "routes": [{**route, "version": "a ="}]},
			{
				"topics": ["c"],
				"subject": "id",
				"routes": [
					{"operation": "orders.delete", "map": "none", "extra": 1},
					{**route, "when": "status"},
					{**route, "otherwise": "Because."},
					{**route, "known": 1, "when": "a(", "otherwise": 5},
					"route",
				],
			},
			"event",
		],
	) == [
		"preset.json, event 3: There is no member subjects; there are topics, document, subject, event_id, routes.",
		"preset.json, event 3: topics takes a list of texts.",
		"preset.json, event 3: subject is missing.",
		"preset.json, event 3: routes takes a list of at least one route.",
		"preset.json, event 4: document: takes text.",
		"preset.json, event 4: subject: At character 3, “d”: the end or an operator such as . | == && || is expected.",
		"preset.json, event 4: subject is missing.",
		"preset.json, event 4: route 1: version: At character 3, “=”: comparing takes two signs, ==.",
		"preset.json, event 5: route 1: There is no member extra; there are operation, map, when, otherwise, known, version.",
		f"preset.json, event 5: route 1: There is no operation orders.delete; there are {operations}.",
		"preset.json, event 5: route 1: There is no usable map none.",
		"preset.json, event 5: route 2: otherwise takes the sentence that says why; it goes with when.",
		"preset.json, event 5: route 3: otherwise takes the sentence that says why; it goes with when.",
		"preset.json, event 5: route 4: known takes true or false.",
		"preset.json, event 5: route 4: otherwise takes the sentence that says why; it goes with when.",
		"preset.json, event 5: route 4: when: The expression ends early: ) is missing for the ( at character 2.",
		"preset.json, event 5: route 5: A route is an object.",
		"preset.json, event 6: An event is an object.",
		"preset.json: a stands twice.",
	]


def test_faults_of_maps(folder):
	maps = folder / "maps"
	(maps / "order-paid.json").write_text("{")
	wrong = exchange.read((maps / "refund.json").read_bytes())
	rows = (*wrong.rows, exchange.Row("x y", "id"))
	(maps / "refund.json").write_bytes(exchange.write(exchange.MapFile("t", rows, direction="Out")))
	assert broken(folder) == [
		"maps/order-paid.json, row 0, The body is not JSON: Expecting property name enclosed in double quotes at line 1, column 2.",
		"maps/refund.json: direction is to be In.",
		"maps/refund.json, row 12, x y: At character 2 of the target a dot or its end is expected.",
		"preset.json, event 1: route 3: There is no usable map order-paid.",
		"preset.json, event 2: route 1: There is no usable map refund.",
	]


def test_maps_that_nothing_uses_are_told(folder):
	shutil.copy(folder / "maps" / "refund.json", folder / "maps" / "other.json")
	assert broken(folder) == ["maps/other.json: no route uses it."]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1, "a": 2}', " " * (presets.MAX_BYTES + 1)])
def test_a_preset_that_is_no_json(folder, content):
	(folder / "preset.json").write_text(content)
	with pytest.raises(BadPreset, match=r"^preset\.json: "):
		presets.load(folder)


def test_a_folder_without_a_preset(tmp_path):
	with pytest.raises(BadPreset, match=r"preset\.json"):
		presets.load(tmp_path)
	assert presets.load_all(tmp_path) == {}


# A third platform, by data alone

STRIPE_MAP = b"""{
	"format": "integration-hub/field-map",
	"format_version": 1,
	"title": "Stripe: charge succeeded",
	"direction": "In",
	"version": 1,
	"rows": [
		{"target": "external_id", "source": "id", "required": true},
		{"target": "order.external_id", "source": "metadata.order_id", "required": true},
		{"target": "method", "source": "payment_method_details.type", "required": true},
		{"target": "amount", "source": "[amount_captured, `100`]", "required": true, "transform": "quotient"},
		{"target": "currency", "source": "currency", "required": true, "table": {"usd": "USD", "eur": "EUR"}},
		{"target": "paid_at", "source": "created", "transform": "utc"}
	]
}"""
STRIPE_EVENT = {
	"topics": ["charge.succeeded", "charge.captured"],
	"document": "data.object",
	"subject": "metadata.order_id",
	"routes": [
		{
			"operation": "sales.pay",
			"map": "charge",
			"when": "object == 'charge' && captured && status == 'succeeded'",
			"otherwise": "No money was taken: the charge is not captured, or did not succeed.",
		}
	],
}


def stripe(**members):
	"""Return Stripe's event, with the charge it publishes in it."""
	charge = payload("stripe/charge.json") | members
	return payload("stripe/event.json") | {"type": "charge.succeeded", "data": {"object": charge}}


@pytest.fixture(scope="module")
def charged():
	return presets.compile_event(STRIPE_EVENT, {"charge": exchange.read(STRIPE_MAP).compiled()})


def test_stripe_charges_that_are_not_captured_are_left_alone(charged):
	reading = charged.read(stripe(metadata={"order_id": "727"}))
	assert (reading.subject, reading.routes) == ("727", ())
	assert reading.ignored == ("No money was taken: the charge is not captured, or did not succeed.",)


def test_stripe_charges_are_payments(charged):
	reading = charged.read(stripe(metadata={"order_id": "727"}, captured=True, amount_captured=2935))
	[route] = reading.routes
	body = route.body(reading.document)
	assert exact(body) == exact(
		{
			"external_id": "ch_1PgafuB7WZ01zgkWXYmPNZs8",
			"order": {"external_id": "727"},
			"method": "card",
			"amount": Decimal("29.35"),
			"currency": "USD",
			"paid_at": "2009-02-13T23:31:30+00:00",
		}
	)
	SalesPay.model_validate(body)


def test_stripe_charges_of_no_order_and_in_unknown_currencies_are_refused(charged):
	with pytest.raises(MapFaults) as e:
		charged.read(stripe())
	assert [str(fault) for fault in e.value.faults] == ["subject: metadata.order_id finds no id."]
	reading = charged.read(
		stripe(metadata={"order_id": "1"}, captured=True, amount_captured=5, currency="jpy")
	)
	with pytest.raises(MapFaults) as e:
		reading.routes[0].body(reading.document)
	assert [str(fault) for fault in e.value.faults] == ["currency: “jpy” is not in the table."]


@pytest.mark.parametrize("path", sorted((PAYLOADS / "stripe").glob("*.json")), ids=lambda path: path.stem)
def test_whatever_stripe_sends_is_a_payment_or_left_alone(charged, path):
	document = {"data": {"object": parse(path.read_text()) | {"metadata": {"order_id": "1"}}}}
	assert charged.read(document).routes == ()
