"""An order as a whole: the document it becomes, the answer, and what the system's settings decide."""

from datetime import date

import pytest

import frappe
from frappe.utils import add_days, getdate

from integration_hub.tests import expect, factories
from integration_hub.tests.factories import CUSTOMER, ITEM, SECOND_ITEM, line, made_order, order, placed


@pytest.fixture(scope="module")
def creator(systems):
	"""A system that makes unknown customers and items."""
	return systems.new(
		unknown_customer_policy="Create", unknown_item_policy="Create", item_group="Products", stock_uom="Nos"
	)


def test_the_answer(creator):
	hub = creator.http
	customer, customer_id = factories.unique("HT New"), factories.unique("C")
	answer = placed(
		hub,
		external_id=(external_id := factories.unique("ORD")),
		order_number="#1001",
		customer={"name": customer, "external_id": customer_id},
		lines=[
			line(external_id="l1", quantity=3, unit_price="19.90", discount={"percent": 10}),
			line(item_code=SECOND_ITEM, unit_price=0),
		],
		charges=[{"code": "shipping", "amount": "4.90"}],
		taxes=[{"code": "vat", "rate": 19}],
		totals={"net": "53.73", "tax": "10.21", "grand": "68.84"},
	)
	made = answer.order
	assert made.pop("url").endswith(f"/sales-order/{made['name']}")
	assert set(answer.message) == {"id", "order"}
	assert made == ANSWER | {
		"name": made["name"],
		"external_id": external_id,
		"customer": {"name": customer, "external_id": customer_id},
	}
	for query in ({"external_id": external_id}, {"name": made["name"]}):
		read = hub.get("orders.get", **query).order
		read.pop("url")
		assert read == made


NOTHING_YET = {"delivered": 0, "billed": 0, "returned": 0}
ANSWER = {
	"name": None,
	"external_id": None,
	"order_number": "#1001",
	"docstatus": 1,
	"status": "To Deliver and Bill",
	"customer": None,
	"currency": "USD",
	"net_total": 53.73,
	"tax_total": 10.21,
	"grand_total": 68.84,
	"delivered_percent": 0,
	"billed_percent": 0,
	"held_because": None,
	"lines": [
		{
			"external_id": "l1",
			"item_code": ITEM,
			"quantity": 3,
			"unit_price": 17.91,
			"amount": 53.73,
			**NOTHING_YET,
		},
		{
			"external_id": None,
			"item_code": SECOND_ITEM,
			"quantity": 1,
			"unit_price": 0,
			"amount": 0,
			**NOTHING_YET,
		},
	],
}


def test_the_document(shop, hub, masters):
	answer = placed(hub)
	doc = made_order(answer)
	assert {field: doc.get(field) for field in DOCUMENT} == DOCUMENT | {
		"company": masters.company,
		"hub_system": shop.name,
		"transaction_date": getdate(),
		"delivery_date": getdate(),
		"owner": shop.user,
		"hub_external_id": doc.hub_external_id,
		"selling_price_list": doc.selling_price_list,
	}
	[row] = doc.items
	assert {field: row.get(field) for field in ROW} == ROW | {
		"warehouse": masters.warehouse,
		"delivery_date": getdate(),
	}
	assert doc.taxes == []


DOCUMENT = {
	"company": None,
	"customer": CUSTOMER,
	"order_type": "Sales",
	"transaction_date": None,
	"delivery_date": None,
	"currency": "USD",
	"conversion_rate": 1,
	"price_list_currency": "USD",
	"plc_conversion_rate": 1,
	"ignore_pricing_rule": 1,
	"disable_rounded_total": 1,
	"rounded_total": 0,
	"total": 10,
	"net_total": 10,
	"grand_total": 10,
	"base_grand_total": 10,
	"po_no": None,
	"docstatus": 1,
	"status": "To Deliver and Bill",
	"hub_system": None,
	"hub_external_id": None,
	"hub_order_number": None,
	"hub_note": None,
	"hub_held_because": None,
	"owner": None,
	"selling_price_list": None,
}
ROW = {
	"item_code": ITEM,
	"item_name": ITEM,
	"qty": 1,
	"stock_qty": 1,
	"uom": "Nos",
	"stock_uom": "Nos",
	"conversion_factor": 1,
	"rate": 10,
	"net_rate": 10,
	"price_list_rate": 10,
	"discount_percentage": 0,
	"discount_amount": 0,
	"amount": 10,
	"warehouse": None,
	"delivery_date": None,
	"hub_external_id": None,
}


def test_everything_hangs_together(shop, hub, site):
	"""Request, Reference, order and log row name each other."""
	answer = placed(hub)
	external_id, name = answer.order["external_id"], answer.order["name"]
	[request] = site.request_of(shop.name, external_id)
	assert request.name == answer.message["id"]
	assert (request.status, request.http_status, request.attempt_no) == ("Completed", 201, 1)
	assert (request.reference_doctype, request.reference_name) == ("Sales Order", name)
	references = frappe.get_all(
		"Hub External Reference",
		filters={"request": request.name},
		fields=["object_type", "external_id", "document_type", "document_name", "state"],
	)
	assert references == [
		{
			"object_type": "order",
			"external_id": external_id,
			"document_type": "Sales Order",
			"document_name": name,
			"state": "Live",
		}
	]
	[row] = site.log_rows(shop.name, hub_request=request.name)
	assert (row.status, row.hub_http_status, row.reference_docname) == ("Completed", 201, name)


# -- draft or submitted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	("setting", "sent", "docstatus"),
	[(1, ..., 1), (1, False, 0), (1, True, 1), (0, ..., 0), (0, True, 1), (0, False, 0), (1, None, 1)],
)
def test_draft_or_submitted(systems, factory, setting, sent, docstatus):
	system, item = systems.like(submit_orders=setting), factory.item()
	answer = placed(system.http, submit=sent, lines=[{"sku": item, "quantity": 3, "unit_price": 10}])
	doc = made_order(answer)
	assert (answer.order["docstatus"], doc.docstatus) == (docstatus, docstatus)
	status = "To Deliver and Bill" if docstatus else "Draft"
	assert (answer.order["status"], doc.status) == (status, status)
	reserved = frappe.db.get_value(
		"Bin", {"item_code": item, "warehouse": doc.items[0].warehouse}, "reserved_qty"
	)
	assert (reserved or 0) == doc.items[0].qty * docstatus


# -- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("as_po", "po_no"), [(1, "#7"), (0, None)])
def test_order_number(systems, as_po, po_no):
	system = systems.like(order_number_as_po=as_po)
	answer = placed(system.http, order_number="#7")
	doc = made_order(answer)
	assert (doc.po_no, doc.hub_order_number, answer.order["order_number"]) == (po_no, "#7", "#7")


def test_an_order_number_that_comes_twice(systems, hub):
	"""As the customer's PO number ERPNext refuses it, unless its own setting allows it."""
	number = factories.unique("#")
	without = systems.like(order_number_as_po=0).http
	assert (
		placed(without, order_number=number).order["name"]
		!= placed(without, order_number=number).order["name"]
	)
	placed(hub, order_number=number)
	answer = hub.post("orders.create", order(order_number=number))
	expect.problem(answer, 422, "business_rule", [])
	assert number in answer.body["detail"]


def series_of(prefix: str) -> int:
	frappe.db.rollback()
	return (frappe.db.sql("SELECT current FROM tabSeries WHERE name = %s", prefix, pluck=True) or [0])[0]


@pytest.fixture
def series(site):
	"""A naming series nobody else has."""
	prefix = factories.unique("HTS").upper() + "-"
	yield prefix
	site.refresh()
	frappe.db.sql("DELETE FROM tabSeries WHERE name = %s", prefix)
	frappe.db.commit()


@pytest.mark.parametrize("reserve", [1, 0])
def test_a_naming_series_of_its_own(system, series, reserve):
	http = system(naming_series=f"{series}.####", reserve_numbers=reserve).http
	names = [placed(http).order["name"] for _ in range(3)]
	assert names == [f"{series}0001", f"{series}0002", f"{series}0003"]
	assert series_of(series) == 3


def test_a_reserved_number_waits_for_the_next_attempt(system, series):
	"""A gap only where an order never comes: its request keeps the number."""
	http = system(naming_series=f"{series}.####", reserve_numbers=1).http
	late = order(customer={"name": "Nobody yet " + series})
	expect.problem(http.post("orders.create", late), 422, "unknown_customer")
	assert placed(http).order["name"] == f"{series}0002"
	again = http.post("orders.create", late | {"customer": {"name": CUSTOMER}})
	assert (again.status, again.order["name"]) == (201, f"{series}0001")
	assert series_of(series) == 2


def test_without_reserved_numbers_there_are_no_gaps(system, series):
	http = system(naming_series=f"{series}.####", reserve_numbers=0).http
	expect.problem(http.post("orders.create", order(customer={"name": "No"})), 422, "unknown_customer")
	assert placed(http).order["name"] == f"{series}0001"
	assert series_of(series) == 1


def test_a_number_somebody_took_by_hand_is_stepped_over(system, series):
	http = system(naming_series=f"{series}.####", reserve_numbers=1).http
	first = placed(http).order["name"]
	frappe.db.rollback()
	# A person made the next number without the series, by an import for example.
	frappe.rename_doc("Sales Order", first, f"{series}0002", force=True)
	frappe.db.commit()
	assert placed(http).order["name"] == f"{series}0003"


# -- times ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	("sent", "day"),
	[
		("2026-03-01T12:30:00+01:00", date(2026, 3, 1)),
		("2026-03-01T23:30:00-08:00", date(2026, 3, 2)),
		("2026-03-01T04:30:00Z", date(2026, 2, 28)),
		("2026-03-01T05:00:00Z", date(2026, 3, 1)),
		("2026-07-01T03:59:59Z", date(2026, 6, 30)),
		("2026-07-01T04:00:00Z", date(2026, 7, 1)),
		("2026-03-01T23:59:59", date(2026, 3, 1)),
		("2026-03-01", date(2026, 3, 1)),
	],
)
def test_times_come_into_the_sites_zone(sent, day, hub):
	"""The site of the tests is in New York."""
	assert frappe.utils.get_system_timezone() == "America/New_York"
	doc = made_order(placed(hub, placed_at=sent, deliver_by="2026-12-31T23:30:00-12:00"))
	assert (doc.transaction_date, doc.delivery_date) == (day, date(2027, 1, 1))


def test_delivery_dates(systems, hub):
	system = systems.like(lead_time_days=5)
	doc = made_order(placed(system.http, placed_at="2026-03-01"))
	assert (doc.delivery_date, doc.items[0].delivery_date) == (date(2026, 3, 6), date(2026, 3, 6))
	doc = made_order(
		placed(
			system.http,
			placed_at="2026-03-01",
			deliver_by="2026-03-20",
			lines=[line(deliver_by="2026-03-10"), line(), line(deliver_by="2026-03-25")],
		)
	)
	assert [row.delivery_date.day for row in doc.items] == [10, 20, 25]
	assert doc.transaction_date == date(2026, 3, 1)


def test_no_date_means_today(hub):
	doc = made_order(placed(hub))
	assert doc.transaction_date == getdate()


# -- tags, note, custom fields -------------------------------------------------------------------------------------


def test_tags_and_note(hub):
	answer = placed(hub, tags=["VIP", "Ünïcode tag"], note="Ring twice.\nThen wait & see: 5 > 3")
	doc = made_order(answer)
	assert doc.hub_note == "Ring twice.\nThen wait & see: 5 > 3"
	assert sorted(frappe.db.get_value("Sales Order", doc.name, "_user_tags").strip(",").split(",")) == [
		"VIP",
		"Ünïcode tag",
	]
	tagged = frappe.get_all("Tag Link", filters={"document_name": doc.name}, pluck="tag")
	assert sorted(tagged) == ["VIP", "Ünïcode tag"]


FIELDS = {
	"ht_text": {"fieldtype": "Data"},
	"ht_long": {"fieldtype": "Small Text"},
	"ht_int": {"fieldtype": "Int"},
	"ht_float": {"fieldtype": "Float", "precision": "3"},
	"ht_money": {"fieldtype": "Currency"},
	"ht_check": {"fieldtype": "Check"},
	"ht_date": {"fieldtype": "Date"},
	"ht_time": {"fieldtype": "Datetime"},
	"ht_select": {"fieldtype": "Select", "options": "\nRed\nGreen"},
	"ht_link": {"fieldtype": "Link", "options": "Item"},
	"ht_closed": {"fieldtype": "Data"},
}
SETTABLE = [name for name in FIELDS if name != "ht_closed"]


@pytest.fixture(scope="module")
def fields(site, systems):
	"""Custom fields on orders and lines, and a system that may set all of them but one."""
	from frappe.custom.doctype.custom_field.custom_field import create_custom_fields

	site.refresh()
	made = [{"fieldname": name, "label": name, **values} for name, values in FIELDS.items()]
	create_custom_fields({"Sales Order": made, "Sales Order Item": made})
	frappe.db.commit()
	frappe.clear_cache()
	yield systems.new(
		settable_fields=[
			{"document_type": doctype, "fieldname": name}
			for doctype in ("Sales Order", "Sales Order Item")
			for name in SETTABLE
		]
	)
	site.refresh()
	for doctype in ("Sales Order", "Sales Order Item"):
		frappe.db.delete("Custom Field", {"dt": doctype, "fieldname": ("in", list(FIELDS))})
		for name in FIELDS:
			frappe.db.sql_ddl(f"ALTER TABLE `tab{doctype}` DROP COLUMN IF EXISTS `{name}`")
	frappe.db.commit()
	frappe.clear_cache()


VALUES = {
	"ht_text": "Tom & Jerry",
	"ht_long": "a\nb",
	"ht_int": 7,
	"ht_float": 1.125,
	"ht_money": 12.5,
	"ht_check": 1,
	"ht_date": "2026-03-01",
	"ht_time": "2026-03-01 12:30:00",
	"ht_select": "Red",
	"ht_link": ITEM,
}


def test_custom_fields_are_set(fields):
	sent = VALUES | {"ht_check": True, "ht_int": 7.0, "ht_text": None}
	answer = placed(fields.http, custom_fields=VALUES, lines=[line(custom_fields=sent), line()])
	doc = made_order(answer)
	expected = VALUES | {
		"ht_date": date(2026, 3, 1),
		"ht_time": frappe.utils.get_datetime("2026-03-01 12:30:00"),
	}
	assert {name: doc.get(name) for name in VALUES} == expected
	assert {name: doc.items[0].get(name) for name in VALUES} == expected | {"ht_text": None}
	assert not any(doc.items[1].get(name) for name in VALUES)


@pytest.mark.parametrize(
	("name", "value", "code"),
	[
		("ht_closed", "x", "custom_field_not_settable"),
		("ht_nope", "x", "custom_field_unknown"),
		("customer_name", "x", "custom_field_unknown"),
		("rate", 1, "custom_field_unknown"),
		("hub_external_id", "x", "custom_field_not_settable"),
		("ht_text", 5, "custom_field_invalid"),
		("ht_text", True, "custom_field_invalid"),
		("ht_text", "x" * 141, "custom_field_invalid"),
		("ht_int", "7", "custom_field_invalid"),
		("ht_int", 7.5, "custom_field_invalid"),
		("ht_int", 10**12, "custom_field_invalid"),
		("ht_float", "1.5", "custom_field_invalid"),
		("ht_float", 1.0001, "custom_field_invalid"),
		("ht_float", 1e300, "custom_field_invalid"),
		("ht_float", True, "custom_field_invalid"),
		("ht_money", 12.505, "custom_field_invalid"),
		("ht_money", 10**15, "custom_field_invalid"),
		("ht_check", 2, "custom_field_invalid"),
		("ht_check", "yes", "custom_field_invalid"),
		("ht_date", "soon", "custom_field_invalid"),
		("ht_date", "2026-02-30", "custom_field_invalid"),
		("ht_date", 20260301, "custom_field_invalid"),
		("ht_time", "25:00", "custom_field_invalid"),
		("ht_select", "Blue", "custom_field_invalid"),
		("ht_select", "red", "custom_field_invalid"),
		("ht_link", "No such item", "custom_field_invalid"),
		("ht_link", ITEM.lower(), "custom_field_invalid"),
	],
)
@pytest.mark.parametrize("place", ["order", "line"])
def test_custom_fields_that_are_refused(place, name, value, code, fields):
	if place == "line" and name == "customer_name":
		name = "item_name"
	body = {name: value}
	sent = order(custom_fields=body) if place == "order" else order(lines=[line(), line(custom_fields=body)])
	where = "/custom_fields/" if place == "order" else "/lines/1/custom_fields/"
	with expect.nothing_made():
		answer = fields.http.post("orders.create", sent)
	expect.problem(answer, 422, code, [where + name])


# -- quotation -----------------------------------------------------------------------------------------------------


def quotation(factory, customer: str = CUSTOMER, **values):
	rows = values.pop("items", None) or [{"item_code": ITEM, "qty": 2, "rate": 10, "uom": "Nos"}]
	submit = values.pop("submit", True)
	return factory.make(
		"Quotation",
		submit=submit,
		quotation_to="Customer",
		party_name=customer,
		company=factory.company,
		order_type="Sales",
		valid_till=add_days(getdate(), 30),
		items=rows,
		**values,
	)


def test_an_order_from_a_quotation(factory, hub):
	offer = quotation(factory)
	doc = made_order(
		placed(hub, quotation={"name": offer.name}, lines=[line(quantity=2), line(item_code=SECOND_ITEM)])
	)
	assert [(row.prevdoc_docname, row.quotation_item) for row in doc.items] == [
		(offer.name, offer.items[0].name),
		(None, None),
	]
	assert frappe.db.get_value("Quotation", offer.name, "status") == "Ordered"


def test_the_orders_prices_win_over_the_quotations(factory, hub):
	offer = quotation(factory)
	doc = made_order(placed(hub, quotation={"name": offer.name}, lines=[line(quantity=2, unit_price=7)]))
	assert (doc.items[0].rate, doc.grand_total) == (7, 14)


@pytest.mark.parametrize(
	("offer", "sent"),
	[
		({"submit": False}, {}),
		({}, {"lines": [line(item_code=SECOND_ITEM)]}),
		({"customer": "another"}, {}),
		({"valid_till": "past"}, {}),
		({"ordered": True}, {}),
	],
	ids=["draft", "other items", "other customer", "expired", "ordered before"],
)
def test_quotations_that_cannot_be_ordered(offer, sent, factory, hub):
	values = dict(offer)
	ordered = values.pop("ordered", False)
	if values.get("customer"):
		values["customer"] = factory.customer()
	past = values.pop("valid_till", None)
	doc = quotation(factory, **values)
	if past:
		frappe.db.set_value("Quotation", doc.name, {"valid_till": add_days(getdate(), -1)})
		frappe.db.commit()
	if ordered:
		placed(hub, quotation={"name": doc.name}, lines=[line(quantity=2)])
	with expect.nothing_made():
		answer = hub.post("orders.create", order(quotation={"name": doc.name}, **sent))
	expect.problem(answer, 422, "quotation_not_usable", ["/quotation"])


# -- ERPNext keeps its hands off ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def priced(factory, site):
	"""An item with an Item Price of 99 and pricing rules that would change any order of it."""
	item = factory.item()
	price_list = frappe.db.get_value("Price List", {"selling": 1, "enabled": 1})
	factory.make("Item Price", item_code=item, price_list=price_list, price_list_rate=99, selling=1)
	percent = {"price_or_product_discount": "Price", "rate_or_discount": "Discount Percentage"}
	on_item = {"apply_on": "Item Code", "items": [{"item_code": item}]}
	rules = [
		{**on_item, **percent, "discount_percentage": 50},
		{**on_item, "price_or_product_discount": "Product", "same_item": 1, "free_qty": 1},
		{"apply_on": "Transaction", **percent, "discount_percentage": 20, "apply_discount_on": "Grand Total"},
	]
	made = [
		factory.make(
			"Pricing Rule",
			title=factories.unique("HT"),
			company=factory.company,
			currency=factory.currency,
			selling=1,
			priority=str(number),
			**values,
		)
		for number, values in enumerate(rules, start=1)
	]
	yield item
	site.refresh()
	for rule in made:
		rule.db_set("disable", 1)
	frappe.db.commit()


@pytest.mark.parametrize("price", [0, "0.01", 98, 99, 100])
@pytest.mark.parametrize("submit", [True, False])
def test_a_price_stays_what_was_sent(price, submit, priced, hub):
	doc = made_order(placed(hub, submit=submit, lines=[line(item_code=priced, quantity=2, unit_price=price)]))
	[row] = doc.items
	price = float(price)
	assert (row.rate, row.price_list_rate, row.amount) == (price, price, 2 * price)
	assert (row.discount_percentage, row.discount_amount, row.margin_rate_or_amount) == (0, 0, 0)
	assert (doc.total, doc.grand_total, doc.discount_amount) == (2 * price, 2 * price, 0)
	assert (doc.pricing_rules, row.pricing_rules or "") == ([], "")


def test_free_and_paid_lines_of_one_item(priced, hub):
	lines = [line(item_code=priced, unit_price=0), line(item_code=priced, unit_price=5)]
	doc = made_order(placed(hub, lines=lines, totals={"grand": 5}))
	assert [row.rate for row in doc.items] == [0, 5]


def test_a_draft_that_is_saved_again_keeps_its_prices(priced, hub):
	doc = made_order(
		placed(hub, submit=False, lines=[line(item_code=priced, unit_price=0), line(unit_price=3)])
	)
	doc.save()
	doc.submit()
	frappe.db.commit()
	assert ([row.rate for row in doc.items], doc.grand_total) == ([0, 3], 3)


def test_item_prices_are_not_changed_by_orders(factory, hub, site):
	"""ERPNext can insert or update Item Prices from orders; a shop's prices are not the price list."""
	item = factory.item()
	with site.settings("Stock Settings", auto_insert_price_list_rate_if_missing=1):
		placed(hub, lines=[line(item_code=item, unit_price=3)])
	site.refresh()
	assert frappe.get_all("Item Price", filters={"item_code": item}) == []


# -- validate_only -------------------------------------------------------------------------------------------------

# Who was here, and what background jobs write at any time: a new user's contact is made by one.
NOT_OURS = {
	"tabUser",
	"tabSessions",
	"tabActivity Log",
	"tabScheduled Job Log",
	"tabScheduled Job Type",
	"tabContact",
	"tabContact Email",
	"tabContact Phone",
}


def fingerprint_of_the_database() -> dict[str, int]:
	frappe.db.rollback()
	tables = [
		name
		for name in frappe.db.sql("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'", pluck=True)
		if name not in NOT_OURS
	]
	listed = ", ".join(f"`{name}`" for name in tables)
	return dict(frappe.db.sql(f"CHECKSUM TABLE {listed}"))


def changed(before: dict[str, int]) -> set[str]:
	now = fingerprint_of_the_database()
	return {table.partition(".")[2] for table in now if now[table] != before.get(table)}


def full_order(**overrides) -> dict:
	"""An order that would make everything an order can make."""
	return order(
		customer={
			"external_id": factories.unique("C"),
			"name": factories.unique("HT New"),
			"email": f"{factories.unique('new').lower()}@example.com",
			"contact": {"first_name": "Ann", "phone": "+1 555 0100"},
		},
		billing_address=factories.address(line1=factories.unique("Road")),
		shipping_address=factories.address(line1=factories.unique("Street")),
		lines=[line(), {"sku": factories.unique("NEW"), "quantity": 2, "unit_price": 5}],
		charges=[{"code": "shipping", "amount": 3}],
		taxes=[{"code": "vat", "rate": 10}],
		payments=[{"external_id": factories.unique("P"), "method": "Cash", "amount": 5}],
		tags=[factories.unique("tag")],
		**overrides,
	)


def test_a_rehearsal_leaves_nothing_at_all(creator):
	body = full_order(validate_only=True)
	before, contacts = fingerprint_of_the_database(), frappe.db.count("Contact", {"owner": creator.user})
	answer = creator.http.post("orders.create", body)
	assert changed(before) == set()
	assert frappe.db.count("Contact", {"owner": creator.user}) == contacts
	assert answer.status == 200, answer
	message = answer.message
	assert (message["id"], message["validated"]) == (None, True)
	assert (message["order"]["name"], message["order"]["url"]) == (None, None)
	assert (message["order"]["net_total"], message["order"]["grand_total"]) == (20, 25)

	# And all of it is still free.
	again = creator.http.post("orders.create", body | {"validate_only": False})
	assert again.status == 201, again
	assert again.order["grand_total"] == 25


def test_a_rehearsal_that_fails_says_why_and_makes_nothing(creator, site):
	body = full_order(validate_only=True, totals={"grand": 1})
	with expect.nothing_made("Hub Request", "Tag", "Contact"):
		expect.problem(creator.http.post("orders.create", body), 422, "totals_differ", ["/totals/grand"])


def test_a_rehearsal_of_what_exists_shows_it(shop, hub, site):
	body = order()
	name = hub.post("orders.create", body).order["name"]
	with expect.nothing_made("Hub Request"):
		answer = hub.post("orders.create", body | {"validate_only": True})
	# Another payload than the first one's, so the id is taken.
	expect.problem(answer, 409, "external_id_conflict", ["/external_id"])
	assert answer.body["document"] == {"doctype": "Sales Order", "name": name}


def test_everything_an_order_can_make_is_made(creator, site):
	before = site.census("Tag")
	answer = creator.http.post("orders.create", body := full_order())
	assert answer.status == 201, answer
	assert site.grown(before) == {
		"Sales Order": 1,
		"Customer": 1,
		"Item": 1,
		"Address": 2,
		"Contact": 1,
		"Payment Entry": 1,
		# order, customer by id and by e-mail, two addresses, item, payment
		"Hub External Reference": 7,
		"GL Entry": 2,
		"Payment Ledger Entry": 1,
		"Tag": 1,
	}
	assert answer.message["payments"] == [
		{
			"name": answer.message["payments"][0]["name"],
			"external_id": body["payments"][0]["external_id"],
			"amount": 5,
		}
	]
