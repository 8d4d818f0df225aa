"""What is ordered: items by each of their identifiers, unknown ones, units and warehouses."""

import pytest

import frappe

from integration_hub.core import references
from integration_hub.tests import expect
from integration_hub.tests.factories import (
	BARCODE,
	ITEM,
	SECOND_ITEM,
	line,
	lines_of,
	made_order,
	order,
	placed,
	unique,
)


def bare(**values) -> dict:
	"""A line without an identifier."""
	return {"quantity": 1, "unit_price": 10, **values}


def ordered(http, **values) -> str:
	"""Return the item of an order of one bare line."""
	return made_order(placed(http, lines=[bare(**values)])).items[0].item_code


def bind(system, object_type: str, external_id: str, item: str) -> None:
	frappe.db.rollback()
	references.add(system.name, object_type, external_id, "Item", item)
	frappe.db.commit()


def bound(system, object_type: str, external_id: str) -> str | None:
	frappe.db.rollback()
	return references.live_document(system.name, object_type, external_id, "Item")


# -- known ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	"sent", [{"item_code": ITEM}, {"sku": ITEM}, {"barcode": BARCODE}], ids=lambda sent: next(iter(sent))
)
def test_by_item_code_sku_or_barcode(sent, hub, site):
	before = site.census()
	assert ordered(hub, **sent) == ITEM
	assert site.grown(before) == {"Sales Order": 1, "Hub External Reference": 1}


@pytest.mark.parametrize(("object_type", "field"), [("item", "item_external_id"), ("sku", "sku")])
def test_by_a_reference(object_type, field, shop, hub):
	external_id = unique("X")
	bind(shop, object_type, external_id, SECOND_ITEM)
	assert ordered(hub, **{field: external_id}) == SECOND_ITEM


def test_a_skus_reference_goes_before_the_item_of_that_code(factory, shop, hub):
	code = factory.item()
	bind(shop, "sku", code, SECOND_ITEM)
	assert ordered(hub, sku=code) == SECOND_ITEM


def test_an_item_code_is_no_sku(factory, shop, hub):
	code = factory.item()
	bind(shop, "sku", code, SECOND_ITEM)
	assert ordered(hub, item_code=code) == code


def test_references_belong_to_one_system(systems, shop, hub):
	external_id = unique("X")
	bind(systems.like(lead_time_days=5), "item", external_id, ITEM)
	answer = hub.post("orders.create", order(lines=[bare(item_external_id=external_id)]))
	expect.problem(answer, 422, "unknown_item", ["/lines/0/item_external_id"])


def test_the_reference_of_a_deleted_item_leads_nowhere(factory, shop, hub):
	external_id, item = unique("X"), factory.item()
	bind(shop, "item", external_id, item)
	frappe.delete_doc("Item", item)
	frappe.db.commit()
	answer = hub.post("orders.create", order(lines=[bare(item_external_id=external_id)]))
	expect.problem(answer, 422, "unknown_item", ["/lines/0/item_external_id"])


def test_identifiers_that_agree_and_unknown_ones_beside_a_known(shop, hub):
	assert ordered(hub, item_code=ITEM, sku=ITEM, barcode=BARCODE) == ITEM
	assert ordered(hub, sku=unique("NOPE"), barcode=BARCODE) == ITEM


@pytest.mark.parametrize(
	"sent", [{"item_code": ITEM, "sku": SECOND_ITEM}, {"sku": SECOND_ITEM, "barcode": BARCODE}], ids=repr
)
def test_identifiers_of_two_items_are_ambiguous(sent, hub):
	with expect.nothing_made():
		answer = hub.post("orders.create", order(lines=[line(), bare(**sent)]))
	expect.problem(answer, 422, "item_ambiguous", ["/lines/1"])


@pytest.mark.parametrize("field", ["item_code", "sku", "barcode", "item_external_id"])
@pytest.mark.parametrize("change", [str.lower, lambda text: text + " "], ids=["case", "trailing space"])
def test_identifiers_are_exact(field, change, shop, hub):
	known = {"barcode": BARCODE.upper(), "item_external_id": unique("X")}.get(field, ITEM)
	if field == "item_external_id":
		bind(shop, "item", known, ITEM)
	answer = hub.post("orders.create", order(lines=[bare(**{field: change(known)})]))
	if field == "barcode" and change is str.lower:
		# The barcode of the tests has capitals: in small letters it is none.
		assert BARCODE != BARCODE.lower()
	expect.problem(answer, 422, "unknown_item", [f"/lines/0/{field}"])


def test_many_lines_of_many_identifiers(shop, hub):
	external_id = unique("X")
	bind(shop, "item", external_id, SECOND_ITEM)
	sent = [
		bare(sku=ITEM),
		bare(barcode=BARCODE),
		bare(item_external_id=external_id),
		bare(item_code=ITEM),
	] * 10
	doc = made_order(placed(hub, lines=sent))
	assert [row.item_code for row in doc.items] == [ITEM, ITEM, SECOND_ITEM, ITEM] * 10
	assert doc.grand_total == 400


def test_a_line_is_called_what_it_was_sold_as(hub):
	doc = made_order(placed(hub, lines=[line(name="Shirt – M & L", note="Gift wrap\nplease"), line()]))
	assert [(row.item_name, row.description) for row in doc.items] == [
		("Shirt – M & L", "Shirt – M & L"),
		(ITEM, ITEM),
	]
	assert [row.additional_notes for row in doc.items] == ["Gift wrap\nplease", None]
	assert frappe.db.get_value("Item", ITEM, "item_name") == ITEM


# -- not usable ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	("values", "code"),
	[
		({"disabled": 1}, "item_disabled"),
		({"is_sales_item": 0}, "item_not_sellable"),
		({"has_variants": 1}, "item_not_sellable"),
	],
	ids=repr,
)
@pytest.mark.parametrize("policy", ["Reject", "Create"])
def test_items_that_are_not_for_sale(policy, values, code, factory, systems):
	if values.get("has_variants"):
		colour = factory.make(
			"Item Attribute",
			attribute_name=unique("HT Colour"),
			item_attribute_values=[{"attribute_value": "Red", "abbr": "R"}],
		)
		values = values | {"attributes": [{"attribute": colour.name}]}
	item = factory.item(**values)
	http = systems.like(**creating() if policy == "Create" else {}).http
	with expect.nothing_made():
		answer = http.post("orders.create", order(lines=[line(), line(item_code=item)]))
	expect.problem(answer, 422, code, ["/lines/1"])


# -- unknown -------------------------------------------------------------------------------------------------------


def creating(**values) -> dict:
	return {"unknown_item_policy": "Create", "item_group": "Products", "stock_uom": "Nos", **values}


@pytest.fixture(scope="module")
def creator(systems):
	"""A system that makes unknown items."""
	return systems.like(**creating())


@pytest.mark.parametrize("field", ["item_code", "sku", "barcode", "item_external_id"])
def test_rejected(field, hub):
	with expect.nothing_made():
		answer = hub.post("orders.create", order(lines=[line(), bare(**{field: "No such thing"})]))
	expect.problem(answer, 422, "unknown_item", [f"/lines/1/{field}"])
	assert "No such thing" in answer.body["detail"]


def test_a_new_item(creator, site):
	sku, external_id, barcode = unique("NEW"), unique("X"), unique("BC")
	before = site.census("Item Barcode")
	sent = {"sku": sku, "item_external_id": external_id, "barcode": barcode, "name": "Shirt"}
	assert ordered(creator.http, **sent) == sku
	assert site.grown(before) == {
		"Sales Order": 1,
		"Item": 1,
		"Item Barcode": 1,
		# order, SKU, id
		"Hub External Reference": 3,
	}
	doc = frappe.get_doc("Item", sku)
	expected = {
		"item_name": "Shirt",
		"item_group": "Products",
		"stock_uom": "Nos",
		"is_stock_item": 1,
		"is_sales_item": 1,
		"hub_system": creator.name,
		"hub_external_id": sku,
		"owner": creator.user,
	}
	assert {field: doc.get(field) for field in expected} == expected
	# Found again by each of the ways.
	for again in ({"sku": sku}, {"item_code": sku}, {"item_external_id": external_id}, {"barcode": barcode}):
		assert ordered(creator.http, **again) == sku
	assert site.grown(before)["Item"] == 1


def test_two_shops_may_have_the_same_id(systems):
	external_id = unique("X")
	shops = [systems.new(**creating()) for _shop in range(2)]
	codes = [ordered(shop.http, item_external_id=external_id, name="Shirt") for shop in shops]
	assert codes == [f"{shop.name}-{external_id}" for shop in shops]
	assert [bound(shop, "item", external_id) for shop in shops] == codes
	assert [ordered(shop.http, item_external_id=external_id) for shop in shops] == codes


@pytest.mark.parametrize("identifier", ["sku", "barcode"])
def test_another_item_has_the_code(identifier, creator, factory):
	"""Of a code that differs in case alone the database knows one; a barcode that is somebody's code is not its barcode."""
	there = factory.item(unique("MINE"))
	code = there.lower() if identifier == "sku" else there
	with expect.nothing_made():
		answer = creator.http.post("orders.create", order(lines=[line(), bare(**{identifier: code})]))
	assert there in expect.problem(answer, 422, "item_ambiguous", ["/lines/1"])["detail"]


def test_a_new_item_that_is_no_stock(systems):
	http = systems.like(**creating(new_items_are_stock=0)).http
	assert frappe.db.get_value("Item", ordered(http, sku=unique("SVC")), "is_stock_item") == 0


def test_one_new_item_in_several_lines_and_orders_is_made_once(creator, site):
	sku, before = unique("NEW"), site.census()
	doc = made_order(
		placed(creator.http, lines=[bare(sku=sku), bare(sku=sku, unit_price=5), bare(item_code=sku)])
	)
	assert [row.item_code for row in doc.items] == [sku] * 3
	assert ordered(creator.http, sku=sku) == sku
	assert site.grown(before)["Item"] == 1


def test_one_new_barcode_in_two_lines_is_one_item(creator, site):
	barcode, before = unique("BC"), site.census()
	doc = made_order(
		placed(creator.http, lines=[bare(sku=unique("NEW"), barcode=barcode), bare(barcode=barcode)])
	)
	assert len({row.item_code for row in doc.items}) == 1
	assert site.grown(before)["Item"] == 1


def test_a_refused_order_leaves_no_item_and_its_code_free(creator):
	sku = unique("NEW")
	with expect.nothing_made():
		answer = creator.http.post("orders.create", order(lines=[bare(sku=sku)], totals={"grand": 1}))
		expect.problem(answer, 422, "totals_differ")
	assert ordered(creator.http, sku=sku) == sku


def test_the_code_of_a_deleted_item_is_made_again(creator):
	sku = unique("NEW")
	draft = made_order(placed(creator.http, lines=[bare(sku=sku)], submit=False))
	draft.delete()
	frappe.delete_doc("Item", sku)
	frappe.db.commit()
	assert references.find(creator.name, "sku", sku).state == references.TOMBSTONE
	assert ordered(creator.http, sku=sku) == sku
	assert bound(creator, "sku", sku) == sku


def test_the_fallback_takes_unknown_items_only(factory, systems, site):
	fallback = factory.item()
	http = systems.like(unknown_item_policy="Use Fallback", fallback_item=fallback).http
	before = site.census()
	doc = made_order(placed(http, lines=[bare(sku="No such thing", name="Mystery box"), line()]))
	assert [(row.item_code, row.item_name) for row in doc.items] == [(fallback, "Mystery box"), (ITEM, ITEM)]
	assert site.grown(before) == {"Sales Order": 1, "Hub External Reference": 1}


# -- units ---------------------------------------------------------------------------------------------------------


def test_another_unit_with_its_conversion(factory, hub, masters):
	item = factory.item(uoms=[{"uom": "Box", "conversion_factor": 12}])
	[row] = made_order(placed(hub, lines=[line(item_code=item, uom="Box", quantity=2, unit_price=100)])).items
	assert (row.uom, row.stock_uom, row.conversion_factor, row.qty, row.stock_qty) == (
		"Box",
		"Nos",
		12,
		2,
		24,
	)
	assert (row.rate, row.amount) == (100, 200)
	reserved = frappe.db.get_value("Bin", {"item_code": item, "warehouse": masters.warehouse}, "reserved_qty")
	assert reserved == 24


@pytest.mark.parametrize(
	("stock_uom", "uom", "quantity", "factor", "stock_qty"),
	[
		("Gram", "Kg", "0.5", 1000, 500),
		("Kg", "Gram", 500, 0.001, 0.5),
	],
)
def test_a_conversion_every_item_has(stock_uom, uom, quantity, factor, stock_qty, factory, hub):
	"""Between units of weight ERPNext knows the factor itself, in both directions."""
	item = factory.item(stock_uom=stock_uom)
	[row] = made_order(placed(hub, lines=[line(item_code=item, uom=uom, quantity=quantity)])).items
	assert (row.uom, row.conversion_factor, row.stock_qty) == (uom, factor, stock_qty)


@pytest.mark.parametrize(
	("uom", "code"),
	[
		("Box", "uom_not_convertible"),
		("Hour", "uom_not_convertible"),
		("Parsec-ish", "unknown_uom"),
		("nos", "unknown_uom"),
	],
)
def test_units_that_cannot_be_taken(uom, code, hub):
	with expect.nothing_made():
		answer = hub.post("orders.create", order(**lines_of(uom=uom)))
	expect.problem(answer, 422, code, ["/lines/0/uom"])


@pytest.mark.parametrize("uom", ["Nos", "Box"])
def test_whole_units_take_no_fractions(uom, factory, hub):
	item = factory.item(uoms=[{"uom": "Box", "conversion_factor": 12}])
	with expect.nothing_made():
		answer = hub.post(
			"orders.create", order(lines=[line(), line(item_code=item, uom=uom, quantity="0.5")])
		)
	expect.problem(answer, 422, "quantity_not_whole", ["/lines/1/quantity"])


def test_measured_units_take_fractions(factory, hub):
	item = factory.item(stock_uom="Kg")
	[row] = made_order(placed(hub, lines=[line(item_code=item, quantity="0.125", unit_price=8)])).items
	assert (row.qty, row.stock_qty, row.amount) == (0.125, 0.125, 1)


# -- warehouses ----------------------------------------------------------------------------------------------------


def test_warehouses_by_map_by_name_and_by_default(factory, hub, masters):
	third = factory.warehouse()
	doc = made_order(placed(hub, lines=[line(warehouse="east"), line(warehouse=third), line()]))
	expected = [masters.second_warehouse, third, masters.warehouse]
	assert [row.warehouse for row in doc.items] == expected


def test_a_mapped_name_goes_before_a_warehouse_of_that_name(factory, systems, masters):
	named = factory.warehouse()
	system = systems.new(warehouse_map=[{"external_warehouse": named, "warehouse": masters.second_warehouse}])
	[row] = made_order(placed(system.http, lines=[line(warehouse=named)])).items
	assert row.warehouse == masters.second_warehouse


@pytest.mark.parametrize("kind", ["unknown", "other case", "disabled", "group", "foreign"])
def test_warehouses_that_cannot_be_used(kind, factory, hub, masters, foreign_warehouse):
	name, code = {
		"unknown": ("NOPE", "unknown_warehouse"),
		"other case": (masters.warehouse.lower(), "unknown_warehouse"),
		"disabled": (factory.warehouse(disabled=1), "warehouse_not_usable"),
		"group": (factory.warehouse(is_group=1), "warehouse_not_usable"),
		"foreign": (foreign_warehouse, "warehouse_not_usable"),
	}[kind]
	with expect.nothing_made():
		answer = hub.post("orders.create", order(lines=[line(), line(warehouse=name)]))
	expect.problem(answer, 422, code, ["/lines/1/warehouse"])


@pytest.fixture(scope="module")
def foreign_warehouse(factory):
	company = factory.make(
		"Company",
		company_name=unique("HT Other"),
		abbr=unique("H")[-8:],
		default_currency="EUR",
		country="Germany",
	)
	return frappe.db.get_value("Warehouse", {"company": company.name, "is_group": 0})


@pytest.fixture
def no_default_warehouse(site):
	"""Stock Settings hand their warehouse on to the site's defaults, where orders find it."""

	def change(warehouse):
		site.refresh()
		doc = frappe.get_doc("Stock Settings")
		before, doc.default_warehouse = doc.default_warehouse, warehouse
		doc.save()
		frappe.db.commit()
		frappe.clear_cache()
		return before

	before = change(None)
	yield
	change(before)


def test_without_any_warehouse_stock_items_are_refused(no_default_warehouse, factory, systems):
	http = systems.like(warehouse=None).http
	item = factory.item()
	with expect.nothing_made():
		answer = http.post("orders.create", order(lines=[line(item_code=item)]))
	expect.problem(answer, 422, "warehouse_required", ["/lines"])
