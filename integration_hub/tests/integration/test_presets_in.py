"""Presets: installed by a button, and what the platforms really send becomes documents, or a refusal that names why."""

import json
import secrets
from pathlib import Path

import pytest

import frappe

from integration_hub.constants.roles import MANAGER, USER
from integration_hub.core import queue
from integration_hub.inbound import webhook_presets
from integration_hub.tests import expect, platforms
from integration_hub.tests.factories import unique
from integration_hub.tests.platforms import connect

PAYLOADS = Path(__file__).parent.parent / "fixtures" / "payloads"
FORM = "/api/method/integration_hub.integration_hub.doctype."


def payload(name: str):
	return json.loads((PAYLOADS / name).read_text())


@pytest.fixture
def installed(systems, anonymous, masters, year):
	"""`installed("shopify")`: a shop of that platform that makes strangers and their items."""

	def make(preset: str, scheme: str):
		shop = connect(
			systems,
			anonymous,
			scheme,
			unknown_customer_policy="Create",
			unknown_item_policy="Create",
			item_group="Products",
			stock_uom="Nos",
			charge_map=[{"charge_code": code, "account": masters.charge} for code in ("shipping", "fee")],
			tax_map=[
				*(
					{"tax_code": code, "account": masters.tax}
					for code in ("US-CA-STATE TAX", "State Tax", "MwSt")
				),
				# ERPNext keeps one rate an account.
				{"tax_code": "Shipping MwSt", "account": masters.second_tax},
			],
			payment_method_map=[
				{"payment_method": code, "mode_of_payment": "Cash", "account": masters.bank}
				for code in ("bacs", "authorize_net")
			],
		)
		assert webhook_presets.install(shop.system.doc, preset)["changed"] == []
		frappe.db.commit()
		return shop

	return make


def outcome(site, platform, topic: str, body: dict, **headers) -> dict[str, object]:
	"""Send a webhook, work it off, and return its requests by route."""
	answer = platform.send(topic, body, **headers)
	assert answer.status == 200, answer
	request_id = frappe.db.get_value("Hub Request", answer.message["id"], "request_id")
	under_way = {"request_id": request_id, "status": ("in", ("Queued", "Processing"))}

	def worked_off() -> bool:
		# A worker of the bench may have one of them, and the others wait for it.
		queue.drain(10)
		site.refresh()
		return not frappe.db.exists("Hub Request", under_way)

	site.wait_for("the end of it", worked_off, seconds=60)
	names = frappe.get_all("Hub Request", {"request_id": request_id, "system": platform.name}, pluck="name")
	return {(row := frappe.get_doc("Hub Request", name)).route: row for name in names}


def answer_of(row) -> dict:
	return json.loads(row.answer)["message"]


# -- WooCommerce ---------------------------------------------------------------------------------------------------


def test_an_order_of_woocommerce(installed, site):
	shop = installed("woocommerce", "WooCommerce")
	body = payload("woocommerce/order.json")
	rows = outcome(site, shop, "order.created", body)
	assert {route: row.status for route, row in rows.items()} == dict.fromkeys(
		("orders.create", "orders.update", "sales.pay"), "Completed"
	)
	made = site.order_of(shop.name, "727")
	assert (made.docstatus, made.currency, made.grand_total) == (1, "USD", float(body["total"]))
	assert made.advance_paid == float(body["total"])
	assert "ignored" in answer_of(rows["orders.update"])
	with expect.nothing_made():
		rows = outcome(site, shop, "order.updated", body)
	assert "known already" in answer_of(rows["orders.create"])["ignored"]
	assert site.order_of(shop.name, "727").advance_paid == float(body["total"])


def test_all_published_orders_of_woocommerce(installed, site):
	shop = installed("woocommerce", "WooCommerce")
	for body in payload("woocommerce/orders.json"):
		# Another shop's number and products, on a site that has those of the test before.
		body["number"] = unique("W")
		for line in body["line_items"]:
			line.update(product_id=secrets.randbelow(10**9), variation_id=0)
		rows = outcome(site, shop, "order.created", body)
		assert rows["orders.create"].status == "Completed", rows["orders.create"].error_message
		made = site.order_of(shop.name, str(body["id"]))
		assert (made.docstatus, made.grand_total) == (1, float(body["total"]))
		if body["refunds"]:
			# Nothing is billed yet: a credit note has nothing to credit, and people are told.
			assert rows["sales.run"].error_code == "state_conflict"
			assert made.name in rows["sales.run"].error_message


def test_prices_of_woocommerce_that_include_tax(installed, site, masters):
	"""Two pieces at 20.00 with 19 % in it, less a tenth by a coupon, and 5.00 for shipping."""
	shop = installed("woocommerce", "WooCommerce")
	body = payload("woocommerce/order.json")
	[line, *_others], [shipping], [tax] = body["line_items"], body["shipping_lines"], body["tax_lines"]
	line.update(quantity=2, subtotal="33.61", subtotal_tax="6.39", total="30.25", total_tax="5.75")
	shipping.update(total="4.20", total_tax="0.80")
	tax.update(rate_code="MwSt", rate_percent=19, tax_total="5.75", shipping_tax_total="0.80")
	body.update(
		id=secrets.randbelow(10**9),
		number=unique("W"),
		prices_include_tax=True,
		line_items=[line],
		discount_total="3.36",
		discount_tax="0.64",
		shipping_total="4.20",
		shipping_tax="0.80",
		cart_tax="5.75",
		total_tax="6.55",
		total="41.00",
	)
	rows = outcome(site, shop, "order.created", body)
	assert rows["orders.create"].status == "Completed", rows["orders.create"].error_message
	made = site.order_of(shop.name, str(body["id"]))
	assert (made.grand_total, made.discount_amount) == (41.0, 3.36)
	assert taxes_of(made) == {masters.tax: 5.75, masters.second_tax: 0.8, masters.charge: 4.2}


def taxes_of(order) -> dict[str, float]:
	return {row.account_head: row.tax_amount_after_discount_amount for row in order.taxes}


# -- Shopify -------------------------------------------------------------------------------------------------------


def test_prices_of_shopify_that_include_tax(installed, site, masters):
	"""Two pieces at 20.00 with 19 % in it, and 5.00 for shipping."""
	shop = installed("shopify", "Shopify")
	body = sound_order()
	[line, *_others] = body["line_items"]
	tax = {"title": "MwSt", "rate": 0.19}
	line.update(quantity=2, price="20.00", tax_lines=[{**tax, "price": "6.39"}])
	shipping = {"id": 1, "title": "DHL", "price": "5.00", "tax_lines": [{**tax, "price": "0.80"}]}
	body.update(
		id=secrets.randbelow(10**9),
		name=unique("S"),
		taxes_included=True,
		line_items=[line],
		shipping_lines=[shipping],
		tax_lines=[{**tax, "price": "7.19"}],
		subtotal_price="40.00",
		total_tax="7.19",
		total_price="45.00",
	)
	[row] = outcome(site, shop, "orders/create", body).values()
	assert row.status == "Completed", row.error_message
	made = site.order_of(shop.name, str(body["id"]))
	assert made.grand_total == 45.0
	assert taxes_of(made) == {masters.tax: 6.39, masters.second_tax: 0.8, masters.charge: 4.2}


def test_an_order_of_shopify_that_contradicts_itself(installed, site):
	"""Its lines add up to 597.00, its total says 398.00."""
	shop = installed("shopify", "Shopify")
	with expect.nothing_made():
		[row] = outcome(site, shop, "orders/create", payload("shopify/order.json")["order"]).values()
	assert (row.status, row.error_code) == ("Failed", "totals_differ")
	assert "398.00" in row.error_message and "597.00" in row.error_message


def sound_order() -> dict:
	"""The published order with the one line that its totals leave room for, paid."""
	body = payload("shopify/order.json")["order"]
	lines = body["line_items"]
	lines[:] = lines[:2]
	for line in lines:
		line["quantity"] = 1
	body["financial_status"] = "paid"
	# The PO number of the Sales Order: once a customer.
	body["name"] = unique("S")
	return body


def test_an_order_of_shopify_from_placed_to_paid(installed, site):
	shop = installed("shopify", "Shopify")
	body = sound_order()
	[row] = outcome(site, shop, "orders/create", body).values()
	assert row.status == "Completed", row.error_message
	made = site.order_of(shop.name, "450789469")
	assert (made.docstatus, made.grand_total) == (1, float(body["total_price"]))
	[row] = outcome(site, shop, "orders/paid", body).values()
	assert row.status == "Completed", row.error_message
	assert site.order_of(shop.name, "450789469").advance_paid == float(body["total_price"])


def test_what_shopify_says_of_unfinished_things_is_left_alone(installed, site):
	shop = installed("shopify", "Shopify")
	with expect.nothing_made():
		[row] = outcome(
			site, shop, "fulfillments/create", payload("shopify/fulfillment.json")["fulfillment"]
		).values()
	assert "has not left" in answer_of(row)["ignored"]


def test_an_order_without_lines_is_refused_by_the_row_that_needs_them(installed, site):
	shop = installed("shopify", "Shopify")
	[bare] = payload("shopify/orders.json")["orders"]
	[row] = outcome(site, shop, "orders/create", bare).values()
	assert (row.status, row.error_code) == ("Failed", "mapping_failed")
	assert "lines[]" in row.error_message


# -- the button ----------------------------------------------------------------------------------------------------


def test_installing_again_changes_nothing(installed, site):
	shop = installed("shopify", "Shopify")
	before = shop.system.doc.as_dict()
	maps = {row.name: row.version for row in frappe.get_all("Hub Field Map", ["name", "version"])}
	assert webhook_presets.install(shop.system.doc, "shopify")["changed"] == []
	frappe.db.commit()
	after = shop.system.doc.as_dict()
	facts = ("topic", "operation", "field_map", "document", "subject", "condition", "known", "version")
	assert [[row[name] for name in facts] for row in after.inbound_topics] == [
		[row[name] for name in facts] for row in before.inbound_topics
	]
	assert {row.name: row.version for row in frappe.get_all("Hub Field Map", ["name", "version"])} == maps


def test_what_people_changed_is_replaced_only_when_they_say_so(installed, site):
	shop = installed("shopify", "Shopify")
	title = f"Shopify: order placed ({shop.name})"
	doc = frappe.get_doc("Hub Field Map", title)
	doc.append("rows", {"target": "lines[].note", "source": "title"})
	doc.save()
	frappe.db.commit()
	assert doc.version == 2
	system = shop.system.doc
	paid = next(row for row in system.inbound_topics if row.topic == "orders/paid")
	paid.condition = "true"
	mine = {"topic": "mine", "operation": "orders.cancel", "field_map": title, "subject": "id"}
	system.append("inbound_topics", mine)
	system.save()
	frappe.db.commit()
	told = webhook_presets.install(shop.system.doc, "shopify")["changed"]
	assert len(told) == 2 and title in told[0] and "orders/paid" in told[1]
	assert frappe.get_doc("Hub Field Map", title).version == 2
	assert webhook_presets.install(shop.system.doc, "shopify", replace=True)["changed"] == []
	frappe.db.commit()
	after = shop.system.doc
	assert "mine" in {row.topic for row in after.inbound_topics}
	assert all(row.condition != "true" for row in after.inbound_topics)
	restored = frappe.get_doc("Hub Field Map", title)
	assert restored.version == 3 and "lines[].note" not in {row.target for row in restored.rows}


@pytest.mark.parametrize(
	("method", "arguments"),
	[
		("install_preset", {"preset": "shopify"}),
		("set_inbound_secret", {"secret": "abcdef"}),
	],
)
def test_only_managers_set_webhooks_up(systems, people, site, method, arguments):
	system = systems.new(inbound_scheme="Shopify")
	person = people.new(USER)
	answer = person.http.press("Hub Connected System", system.name, method, **arguments)
	assert answer.status == 403, answer
	site.refresh()
	assert system.doc.inbound_topics == [] and not system.doc.inbound_secret
	answer = people.new(MANAGER).http.press("Hub Connected System", system.name, method, **arguments)
	assert answer.status == 200, answer


def test_only_managers_read_presets_and_maps_in(people, site):
	person, manager = people.new(USER), people.new(MANAGER)
	for method, how, arguments in (
		("hub_connected_system.hub_connected_system.presets", "GET", None),
		("hub_field_map.hub_field_map.read_json", "POST", {"content": "{}"}),
	):
		assert person.http.send(how, FORM + method, arguments).status == 403
		assert manager.http.send(how, FORM + method, arguments).status in (200, 417)
	found = manager.http.send("GET", f"{FORM}hub_connected_system.hub_connected_system.presets").message
	assert [preset["name"] for preset in found] == ["shopify", "woocommerce"]


# -- the form ------------------------------------------------------------------------------------------------------


def test_lines_are_checked_when_they_are_saved(systems, factory, site):
	system = systems.new()
	outwards = factory.make(
		"Hub Field Map", title=unique("HT map"), direction="Out", rows=platforms.rows(("a", "b", ""))
	).name
	doc = system.doc
	doc.update(
		{
			"inbound_scheme": "Shopify",
			"inbound_topics": [
				{
					"topic": "t",
					"operation": "orders.create",
					"field_map": outwards,
					"subject": "id[",
					"condition": "status = 'x'",
				}
			],
		}
	)
	with pytest.raises(frappe.ValidationError) as e:
		doc.save()
	frappe.clear_messages()
	sentences = str(e.value)
	assert "direction In" in sentences and "Subject" in sentences and "Only when" in sentences


@pytest.mark.parametrize("header", ["", "not a header", "X\r\nY"])
def test_a_generic_scheme_needs_its_header(systems, header, site):
	doc = systems.new().doc
	doc.update({"inbound_scheme": "HMAC-SHA256 (hex)", "inbound_header": header})
	with pytest.raises(frappe.ValidationError):
		doc.save()
	frappe.clear_messages()


def test_a_secret_that_could_verify_nothing_is_refused(systems, people, site):
	manager = people.new(MANAGER)
	system = systems.new(inbound_scheme="Standard Webhooks")
	for secret in ("", " ", "whsec_", "whsec_%%%"):
		answer = manager.http.press("Hub Connected System", system.name, "set_inbound_secret", secret=secret)
		assert answer.status == 417, answer
		assert "%%%" not in answer.content.decode()
	bare = systems.new()
	assert (
		manager.http.press("Hub Connected System", bare.name, "set_inbound_secret", secret="abc").status
		== 417
	)


def test_the_secret_is_nowhere(connected_shopify, people, site):
	shop = connected_shopify
	manager = people.new(MANAGER)
	fresh = frappe.generate_hash(length=40)
	answer = manager.http.press("Hub Connected System", shop.name, "set_inbound_secret", secret=fresh)
	assert answer.status == 200 and fresh not in answer.content.decode()
	shop.system.change(lead_time_days=2)
	body = platforms.order()
	shop.send("orders/create", body)
	form = manager.http.raw(
		"GET", f"/api/method/frappe.desk.form.load.getdoc?doctype=Hub+Connected+System&name={shop.name}"
	)
	resource = manager.http.raw("GET", f"/api/resource/Hub Connected System/{shop.name}")
	assert (form.status, resource.status) == (200, 200)
	for text in (form.content.decode(), resource.content.decode(), *_texts(shop.name)):
		assert fresh not in text and shop.secret not in text


def _texts(system: str) -> list[str]:
	frappe.db.rollback()
	tables = (
		"Version",
		"Error Log",
		"Integration Request",
		"Hub Request",
		"Hub Connected System",
		"Activity Log",
	)
	rows = [
		frappe.as_json(
			frappe.db.sql(f"SELECT * FROM `tab{table}` ORDER BY creation DESC LIMIT 200", as_dict=True)
		)
		for table in tables
	]
	return [*rows, frappe.as_json(frappe.get_doc("Hub Connected System", system).as_dict())]


@pytest.fixture
def connected_shopify(systems, anonymous):
	return connect(systems, anonymous, "Shopify")


def test_a_map_goes_to_another_site_and_back(factory, people, site):
	manager = people.new(MANAGER)
	name = platforms.make_map(factory, platforms.ORDER_ROWS, description="All of it")
	doc = frappe.get_doc("Hub Field Map", name)
	table = {
		"target": "tags",
		"source": "kind",
		"value_table": '{"a": "B"}',
		"unknown": "default",
		"default": '"C"',
	}
	doc.append("rows", table)
	doc.sample = '{"secret": "x"}'
	doc.save()
	frappe.db.commit()
	exported = manager.http.press("Hub Field Map", name, "export_json").message
	assert "secret" not in exported
	read = manager.http.send(
		"POST", f"{FORM}hub_field_map.hub_field_map.read_json", {"content": exported}
	).message
	assert (read["title"], read["direction"], read["description"]) == (name, "In", "All of it")
	copy = factory.make("Hub Field Map", **{**read, "title": unique("HT map")})
	assert copy.as_file().rows == doc.as_file().rows
	refused = manager.http.send(
		"POST", f"{FORM}hub_field_map.hub_field_map.read_json", {"content": '{"a": 1}'}
	)
	assert refused.status == 417, refused


def test_trying_a_map_shows_what_the_call_would_refuse(factory, people, site):
	manager = people.new(MANAGER)
	name = platforms.make_map(factory, platforms.ORDER_ROWS)
	doc = frappe.get_doc("Hub Field Map", name)
	items = [{"line": 1, "article": "A", "pieces": 0, "price": "1"}]
	doc.sample = json.dumps(platforms.order(id="A-1", buyer=7, items=items))
	doc.try_operation = "orders.create"
	doc.save()
	frappe.db.commit()
	tried = manager.http.press("Hub Field Map", name, "try_sample").message
	assert json.loads(tried["result"])["external_id"] == "A-1"
	assert [fault.split(": ")[0] for fault in tried["faults"]] == [
		"/customer/name",
		"/lines/0/quantity",
	]
	assert "Row 2, customer.name" in tried["faults"][0]


def test_the_desk_offers_every_scheme_and_call(site):
	from integration_hub.core.signatures import GENERIC, SCHEMES
	from integration_hub.mapping.presets import OPERATIONS, SIGNATURES

	def options(doctype: str, fieldname: str) -> list[str]:
		return [each for each in frappe.get_meta(doctype).get_field(fieldname).options.split("\n") if each]

	assert options("Hub Connected System", "inbound_scheme") == list(SCHEMES)
	assert options("Hub Inbound Topic", "operation") == list(OPERATIONS)
	assert options("Hub Field Map", "try_operation") == list(OPERATIONS)
	assert set(SIGNATURES) == set(SCHEMES) - GENERIC
