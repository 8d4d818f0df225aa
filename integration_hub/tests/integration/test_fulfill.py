"""`sales.fulfill`: what a delivery makes and writes, for every way to ask for one, and every reason to refuse it."""

import pytest

import frappe
from frappe.utils import add_days, nowdate

from integration_hub.exceptions import QuantityExceedsOpen
from integration_hub.inbound.fulfillments import _spread
from integration_hub.inbound.lines import Wanted
from integration_hub.schemas.sales import LineTarget
from integration_hub.tests import expect
from integration_hub.tests import factories as f
from integration_hub.tests.books import bin_of, fresh, ledger, moved, packed, refused
from integration_hub.tests.factories import unique
from integration_hub.tests.trade import (
	PICKS,
	Trade,
	bought,
	closed_period,
	frozen_books,
	frozen_stock,
)

STOCK, COST = "Stock In Hand", "Cost of Goods Sold"


@pytest.fixture(scope="module")
def trade(factory, masters):
	return Trade(factory, masters.warehouse)


def parcel(order, **values) -> dict:
	"""Return the body of a delivery for the order of an answer; a value of `...` leaves its field out."""
	body = {
		"external_id": unique("PARCEL"),
		"order": {"external_id": order.order["external_id"]},
		**values,
	}
	return {name: value for name, value in body.items() if value is not ...}


def delivered(http, order, **values):
	"""Deliver, see that it was done, and return the Delivery Note."""
	answer = http.post("sales.fulfill", parcel(order, **values))
	assert answer.status == 201, answer
	return fresh("Delivery Note", answer.message["fulfillments"][0]["name"])


def refuse(http, order, status: int, code: str, pointers: list[str] | None, **values) -> dict:
	"""Deliver, and see that it is refused and nothing happened."""
	return refused(lambda: http.post("sales.fulfill", parcel(order, **values)), status, code, pointers)


def rows_of(note) -> list[tuple]:
	return [(row.item_code, row.qty, row.rate, row.warehouse) for row in note.items]


def order_of(answer):
	return fresh("Sales Order", answer.order["name"])


# -- which lines, and how much -------------------------------------------------------------------------------------


def test_all_of_an_order(shop, hub, masters, trade, site):
	first, second = trade.goods(), trade.goods()
	sold = bought(
		hub,
		{"item_code": first, "quantity": 3, "unit_price": "12.34"},
		{"item_code": second, "quantity": 2, "unit_price": 5},
	)
	order = order_of(sold)
	assert (bin_of(first, masters.warehouse), bin_of(second, masters.warehouse)) == ((100, 3), (100, 2))
	before = site.census()
	body = parcel(
		sold, carrier="DHL", tracking_number="0034", tracking_url="https://track.example/0034?a=1&b=2"
	)
	answer = hub.post("sales.fulfill", body)
	assert answer.status == 201, answer
	assert site.grown(before) == {
		"Delivery Note": 1,
		"GL Entry": 2,
		"Stock Ledger Entry": 2,
		"Hub External Reference": 1,
	}
	[part] = answer.message["fulfillments"]
	note = fresh("Delivery Note", part["name"])
	expected = {
		"docstatus": 1,
		"status": "To Bill",
		"is_return": 0,
		"customer": order.customer,
		"company": masters.company,
		"grand_total": 47.02,
		"base_grand_total": 47.02,
		"hub_system": shop.name,
		"hub_external_id": body["external_id"],
		"hub_carrier": "DHL",
		"hub_tracking_number": "0034",
		"hub_tracking_url": "https://track.example/0034?a=1&b=2",
		"owner": shop.user,
	}
	assert {field: note.get(field) for field in expected} == expected
	assert str(note.posting_date) == nowdate()
	assert rows_of(note) == [(first, 3, 12.34, masters.warehouse), (second, 2, 5, masters.warehouse)]
	assert [(row.against_sales_order, row.so_detail) for row in note.items] == [
		(order.name, row.name) for row in order.items
	]
	assert ledger(note.name) == [(trade.account(COST), 20, 0), (trade.account(STOCK), 0, 20)]
	assert moved(note.name) == sorted([(first, masters.warehouse, -3), (second, masters.warehouse, -2)])
	assert (bin_of(first, masters.warehouse), bin_of(second, masters.warehouse)) == ((97, 0), (98, 0))
	order.reload()
	assert (order.status, order.per_delivered, order.per_billed) == ("To Bill", 100, 0)
	assert [(row.delivered_qty, row.billed_amt) for row in order.items] == [(3, 0), (2, 0)]


def test_the_answer(hub, masters, trade):
	item = trade.goods()
	sold = bought(hub, {"item_code": item, "quantity": 3})
	body = parcel(
		sold, carrier="DHL", tracking_number="0034", tracking_url="https://track.example/0034?a=1&b=2"
	)
	answer = hub.post("sales.fulfill", body)
	assert answer.status == 201, answer
	[part] = answer.message["fulfillments"]
	note = fresh("Delivery Note", part["name"])
	assert part.pop("posted_at").startswith(f"{nowdate()}T")
	assert part.pop("url").endswith(f"/{note.name}")
	assert part == {
		"name": note.name,
		"external_id": body["external_id"],
		"docstatus": 1,
		"status": "To Bill",
		"is_return": False,
		"carrier": "DHL",
		"tracking_number": "0034",
		"tracking_url": "https://track.example/0034?a=1&b=2",
		"lines": [
			{
				"external_id": "1",
				"item_code": item,
				"quantity": 3,
				"warehouse": masters.warehouse,
				"batch": None,
				"serials": [],
			}
		],
	}
	assert (answer.message["invoices"], answer.message["payments"]) == ([], [])
	assert (answer.order["status"], answer.order["delivered_percent"]) == ("To Bill", 100)
	assert [line["delivered"] for line in answer.order["lines"]] == [3]


def test_lines_by_their_id_and_quantity(hub, masters, trade):
	item = trade.goods()
	sold = bought(
		hub,
		{"item_code": item, "quantity": 5},
		{"item_code": item, "quantity": 4},
		{"item_code": item, "quantity": 3},
	)
	lines = [{"external_id": "3"}, {"external_id": "1", "quantity": 2}]
	note = delivered(hub, sold, lines=lines)
	assert rows_of(note) == [(item, 3, 10, masters.warehouse), (item, 2, 10, masters.warehouse)]
	order = order_of(sold)
	assert [row.delivered_qty for row in order.items] == [2, 0, 3]
	assert (order.status, round(order.per_delivered, 6)) == ("To Deliver and Bill", 41.666667)
	assert bin_of(item, masters.warehouse) == (95, 7)


def test_a_line_by_its_item(hub, masters, trade):
	first, second = trade.goods(), trade.goods()
	sold = bought(
		hub, {"external_id": None, "item_code": first, "quantity": 2}, {"item_code": second, "quantity": 2}
	)
	note = delivered(hub, sold, lines=[{"item_code": first}])
	assert rows_of(note) == [(first, 2, 10, masters.warehouse)]
	assert [row.delivered_qty for row in order_of(sold).items] == [2, 0]


@pytest.mark.parametrize(
	("line", "field"),
	[
		({"external_id": "9"}, "external_id"),
		({"external_id": "1 "}, "external_id"),
		({"item_code": "no such item"}, "item_code"),
		({"item_code": f.SECOND_ITEM}, "item_code"),
	],
)
def test_a_line_that_is_not_there(hub, line, field):
	sold = bought(hub, {}, {"quantity": 2})
	refuse(hub, sold, 422, "unknown_line", [f"/lines/0/{field}"], lines=[line])


def test_an_item_on_two_lines_names_neither(hub):
	sold = bought(hub, {}, {"quantity": 2})
	problem = refuse(hub, sold, 422, "unknown_line", ["/lines/0/item_code"], lines=[{"item_code": f.ITEM}])
	assert "external id" in problem["detail"]


def test_ids_of_lines_are_told_apart_by_case(hub, masters, trade):
	item = trade.goods()
	sold = bought(
		hub,
		{"external_id": "a", "item_code": item},
		{"external_id": "A", "item_code": item, "quantity": 2},
	)
	delivered(hub, sold, lines=[{"external_id": "A"}])
	assert [row.delivered_qty for row in order_of(sold).items] == [0, 2]


@pytest.mark.parametrize(("before", "asked", "left"), [(0, 4, 3), (2, 2, 1), (2, "1.000000001", 1)])
def test_more_than_is_open(hub, trade, before, asked, left):
	item = trade.goods(uoms=[], stock_uom="Kg")
	sold = bought(hub, {"item_code": item, "quantity": 3})
	notes = [delivered(hub, sold, lines=[{"external_id": "1", "quantity": before}])] if before else []
	code, pointers = "quantity_exceeds_open", ["/lines/0/quantity"]
	if asked == "1.000000001":
		# More decimals than the field keeps.
		code = "validation_failed"
	problem = refuse(hub, sold, 422, code, pointers, lines=[{"external_id": "1", "quantity": asked}])
	if code == "quantity_exceeds_open":
		assert problem["open"] == left
		assert problem["documents"] == [{"doctype": "Delivery Note", "name": note.name} for note in notes]


def test_more_than_is_open_in_two_lines_together(hub, trade):
	sold = bought(hub, {"item_code": trade.goods(), "quantity": 3})
	lines = [{"external_id": "1", "quantity": 2}, {"external_id": "1", "quantity": 2}]
	problem = refuse(hub, sold, 422, "quantity_exceeds_open", ["/lines/1/quantity"], lines=lines)
	assert problem["open"] == 1


def test_a_line_that_is_used_up_within_the_call(hub, trade):
	sold = bought(hub, {"item_code": trade.goods(), "quantity": 3})
	lines = [{"external_id": "1"}, {"external_id": "1"}]
	problem = refuse(hub, sold, 409, "state_conflict", ["/lines/1"], lines=lines)
	assert problem["documents"] == []


def test_a_second_parcel_later(hub, shop, masters, trade):
	item = trade.goods()
	sold = bought(hub, {"item_code": item, "quantity": 5})
	first = delivered(hub, sold, lines=[{"external_id": "1", "quantity": 2}], tracking_number="A")
	second = delivered(hub, sold, tracking_number="B")
	assert [row.qty for note in (first, second) for row in note.items] == [2, 3]
	assert [note.hub_tracking_number for note in (first, second)] == ["A", "B"]
	assert (order_of(sold).status, bin_of(item, masters.warehouse)) == ("To Bill", (95, 0))


def test_nothing_is_left(hub, trade):
	sold = bought(hub, {"item_code": trade.goods(), "quantity": 5}, {"item_code": trade.goods()})
	notes = [
		delivered(hub, sold, lines=[{"external_id": "1", "quantity": 2}]),
		delivered(hub, sold),
	]
	named = [{"doctype": "Delivery Note", "name": note.name} for note in notes]
	problem = refuse(hub, sold, 409, "state_conflict", [""])
	assert problem["documents"] == named
	assert all(note.name in problem["detail"] for note in notes)
	problem = refuse(hub, sold, 409, "state_conflict", ["/lines/0"], lines=[{"external_id": "2"}])
	assert problem["documents"] == named


def test_fractions_of_a_unit_that_has_them(hub, masters, trade):
	item = trade.goods(stock_uom="Kg")
	sold = bought(hub, {"item_code": item, "quantity": "1.1"})
	for quantity in ("0.333", "0.333", "0.334"):
		delivered(hub, sold, lines=[{"external_id": "1", "quantity": quantity}])
	last = delivered(hub, sold)
	assert last.items[0].qty == 0.1
	assert bin_of(item, masters.warehouse) == (98.9, 0)
	assert order_of(sold).status == "To Bill"


def test_fractions_of_a_whole_unit(hub, trade):
	sold = bought(hub, {"item_code": trade.goods(), "quantity": 3})
	lines = [{"external_id": "1", "quantity": 1.5}]
	refuse(hub, sold, 422, "quantity_not_whole", ["/lines/0/quantity"], lines=lines)


def test_a_unit_with_a_conversion(hub, masters, trade):
	item = trade.goods(uoms=[{"uom": "Box", "conversion_factor": 12}])
	sold = bought(hub, {"item_code": item, "quantity": 3, "uom": "Box", "unit_price": 100})
	note = delivered(hub, sold, lines=[{"external_id": "1", "quantity": 2}])
	row = note.items[0]
	assert (row.uom, row.qty, row.conversion_factor, row.stock_qty, row.rate) == ("Box", 2, 12, 24, 100)
	assert moved(note.name) == [(item, masters.warehouse, -24)]
	assert ledger(note.name) == [(trade.account(COST), 96, 0), (trade.account(STOCK), 0, 96)]
	assert bin_of(item, masters.warehouse) == (76, 12)
	assert order_of(sold).items[0].delivered_qty == 2


def test_items_that_are_not_kept_in_stock(hub, factory, site):
	service = factory.item(is_stock_item=0)
	sold = bought(hub, {"item_code": service, "quantity": 2})
	before = site.census()
	note = delivered(hub, sold)
	assert site.grown(before) == {"Delivery Note": 1, "Hub External Reference": 1}
	assert [(row.item_code, row.qty) for row in note.items] == [(service, 2)]
	assert (ledger(note.name), moved(note.name)) == ([], [])
	assert order_of(sold).status == "To Bill"


def test_what_the_supplier_delivers_is_not_ours_to_deliver(hub, masters, trade, factory):
	item, theirs = trade.goods(), factory.item()
	supplier = factory.make("Supplier", supplier_name=unique("HT Supplier"), supplier_group="Services").name
	row = {"qty": 1, "rate": 10, "warehouse": masters.warehouse}
	order = factory.make(
		"Sales Order",
		submit=True,
		customer=f.CUSTOMER,
		company=factory.company,
		delivery_date=nowdate(),
		items=[
			{**row, "item_code": item},
			{**row, "item_code": theirs, "delivered_by_supplier": 1, "supplier": supplier},
		],
	)

	def deliver(**values):
		return hub.post("sales.fulfill", {"order": {"name": order.name}, **values}, key=unique("K"))

	refused(lambda: deliver(lines=[{"item_code": theirs}]), 422, "unknown_line", ["/lines/0/item_code"])
	answer = deliver()
	assert answer.status == 201, answer
	[part] = answer.message["fulfillments"]
	assert [line["item_code"] for line in part["lines"]] == [item]
	problem = refused(deliver, 409, "state_conflict", [""])
	assert problem["documents"] == [{"doctype": "Delivery Note", "name": part["name"]}]


def test_parcels_share_what_the_order_adds(hub, trade):
	"""Shipping, a tax sent as an amount and a discount: each parcel takes its share, all of them the whole, to the cent."""
	sold = bought(
		hub,
		{"item_code": trade.goods(), "quantity": 3, "unit_price": "3.33"},
		charges=[{"code": "shipping", "amount": 10}],
		taxes=[{"code": "vat", "amount": "1.00"}],
		discounts=[{"amount": "1.01"}],
	)
	order = order_of(sold)
	notes = [delivered(hub, sold, lines=[{"external_id": "1", "quantity": 1}]) for _ in range(3)]
	assert [[row.tax_amount for row in note.taxes] for note in notes] == [
		[0.33, 3.33],
		[0.34, 3.34],
		[0.33, 3.33],
	]
	assert [note.discount_amount for note in notes] == [0.34, 0.33, 0.34]
	assert round(sum(note.grand_total for note in notes), 2) == order.grand_total == 19.98


def test_shares_are_counted_at_the_prices_of_today(hub, trade):
	sold = bought(
		hub, {"item_code": trade.goods(), "quantity": 4}, charges=[{"code": "shipping", "amount": 10}]
	)
	one = [{"external_id": "1", "quantity": 1}]
	notes = [delivered(hub, sold, lines=one)]
	dearer = {"external_id": sold.order["external_id"], "lines": [{"external_id": "1", "unit_price": 30}]}
	assert hub.post("orders.update", dearer, key=unique("K")).status == 200
	notes += [delivered(hub, sold, lines=one), delivered(hub, sold)]
	assert [note.taxes[0].tax_amount for note in notes] == [2.5, 2.5, 5]


def test_what_came_back_goes_out_without_shipping(hub, trade):
	from erpnext.stock.doctype.delivery_note.delivery_note import make_sales_return

	sold = bought(
		hub, {"item_code": trade.goods(), "quantity": 3}, charges=[{"code": "shipping", "amount": 9}]
	)
	two = [{"external_id": "1", "quantity": 2}]
	first = delivered(hub, sold, lines=two)
	frappe.get_doc(make_sales_return(first.name).as_dict()).insert().submit()
	frappe.db.commit()
	again = delivered(hub, sold, lines=two)
	assert [note.taxes[0].tax_amount for note in (first, again)] == [6, 3]
	assert order_of(sold).items[0].delivered_qty == 2


# -- where from ----------------------------------------------------------------------------------------------------


def test_several_warehouses_in_one_order(hub, masters, trade, factory):
	item = trade.goods()
	factory.stock(item, masters.second_warehouse, 50)
	sold = bought(
		hub,
		{"item_code": item, "quantity": 2},
		{"item_code": item, "quantity": 3, "warehouse": masters.second_warehouse},
	)
	note = delivered(hub, sold)
	assert moved(note.name) == sorted([(item, masters.warehouse, -2), (item, masters.second_warehouse, -3)])
	assert (bin_of(item, masters.warehouse), bin_of(item, masters.second_warehouse)) == ((98, 0), (47, 0))


def test_another_warehouse_for_all_or_one_line(hub, masters, trade, factory):
	item = trade.goods()
	third = factory.warehouse()
	# ERPNext keeps the warehouses' accounts for the time of a request, and this process has been one.
	frappe.flags.pop("warehouse_account_map", None)
	factory.stock(item, masters.second_warehouse, 50)
	factory.stock(item, third, 50)
	sold = bought(hub, {"item_code": item, "quantity": 2}, {"item_code": item, "quantity": 3})
	lines = [{"external_id": "1"}, {"external_id": "2", "warehouse": third}]
	# "east" is what the system calls its second warehouse.
	note = delivered(hub, sold, warehouse="east", lines=lines)
	assert rows_of(note) == [(item, 2, 10, masters.second_warehouse), (item, 3, 10, third)]
	assert moved(note.name) == sorted([(item, masters.second_warehouse, -2), (item, third, -3)])
	assert [bin_of(item, name) for name in (masters.warehouse, masters.second_warehouse, third)] == [
		(100, 0),
		(48, 0),
		(47, 0),
	]


def test_one_line_from_two_warehouses(hub, masters, trade, factory):
	item = trade.goods(3)
	factory.stock(item, masters.second_warehouse, 3)
	sold = bought(hub, {"item_code": item, "quantity": 5})
	lines = [
		{"external_id": "1", "quantity": 3},
		{"external_id": "1", "warehouse": "east"},
	]
	note = delivered(hub, sold, lines=lines)
	assert rows_of(note) == [(item, 3, 10, masters.warehouse), (item, 2, 10, masters.second_warehouse)]
	assert len({row.name for row in note.items}) == 2
	assert [row.idx for row in note.items] == [1, 2]
	order = order_of(sold)
	assert [row.so_detail for row in note.items] == [order.items[0].name] * 2
	assert (order.items[0].delivered_qty, order.status) == (5, "To Bill")
	assert (bin_of(item, masters.warehouse), bin_of(item, masters.second_warehouse)) == ((0, 0), (1, 0))


@pytest.mark.parametrize("on_line", [False, True])
def test_a_warehouse_that_cannot_be_used(hub, trade, factory, on_line):
	sold = bought(hub, {"item_code": trade.goods()})
	disabled = factory.warehouse(disabled=1)

	def asked(name: str) -> dict:
		return {"lines": [{"external_id": "1", "warehouse": name}]} if on_line else {"warehouse": name}

	pointers = ["/lines/0/warehouse"] if on_line else ["/warehouse"]
	refuse(hub, sold, 422, "unknown_warehouse", pointers, **asked("nowhere"))
	refuse(hub, sold, 422, "warehouse_not_usable", pointers, **asked(disabled))
	refuse(hub, sold, 422, "warehouse_not_usable", pointers, **asked(f"All Warehouses - {factory.abbr}"))


# -- product bundles -----------------------------------------------------------------------------------------------


def test_a_bundle_takes_its_parts_out(hub, masters, trade):
	parent, first, second = trade.bundle()
	sold = bought(hub, {"item_code": parent, "quantity": 3, "unit_price": 20})
	note = delivered(hub, sold, lines=[{"external_id": "1", "quantity": 2}])
	assert [(row.item_code, row.qty) for row in note.items] == [(parent, 2)]
	assert [(row.parent_item, row.item_code, row.qty) for row in note.packed_items] == [
		(parent, first, 4),
		(parent, second, 2),
	]
	assert moved(note.name) == sorted([(first, masters.warehouse, -4), (second, masters.warehouse, -2)])
	assert ledger(note.name) == [(trade.account(COST), 24, 0), (trade.account(STOCK), 0, 24)]
	assert bin_of(first, masters.warehouse) == (96, 2)
	assert bin_of(second, masters.warehouse) == (98, 1)
	delivered(hub, sold)
	assert (bin_of(first, masters.warehouse), bin_of(second, masters.warehouse)) == ((94, 0), (97, 0))


def test_a_bundle_from_another_warehouse(hub, masters, trade, factory):
	parent, first, second = trade.bundle()
	for item in (first, second):
		factory.stock(item, masters.second_warehouse, 10)
	sold = bought(hub, {"item_code": parent, "quantity": 1})
	note = delivered(hub, sold, warehouse="east")
	assert moved(note.name) == sorted(
		[(first, masters.second_warehouse, -2), (second, masters.second_warehouse, -1)]
	)


def test_a_bundle_whose_parts_are_short(hub, masters, trade):
	parent, first, _second = trade.bundle(3)
	sold = bought(hub, {"item_code": parent, "quantity": 2})
	problem = refuse(hub, sold, 422, "stock_short", ["/lines"])
	assert problem["missing"] == [
		{"item_code": first, "warehouse": masters.warehouse, "needed": 4, "available": 3}
	]


def test_a_bundle_and_its_part_sold_alone_count_together(hub, masters, trade):
	parent, first, _second = trade.bundle(3)
	sold = bought(hub, {"item_code": parent, "quantity": 1}, {"item_code": first, "quantity": 2})
	problem = refuse(hub, sold, 422, "stock_short", None)
	assert problem["missing"] == [
		{"item_code": first, "warehouse": masters.warehouse, "needed": 4, "available": 3}
	]


# -- no stock ------------------------------------------------------------------------------------------------------


def test_too_little_stock(hub, masters, trade, factory):
	item = trade.goods(2)
	sold = bought(hub, {"item_code": item, "quantity": 3})
	body = parcel(sold)
	problem = refused(lambda: hub.post("sales.fulfill", body), 422, "stock_short", ["/lines"])
	assert problem["missing"] == [
		{"item_code": item, "warehouse": masters.warehouse, "needed": 3, "available": 2}
	]
	factory.stock(item, masters.warehouse, 1)
	again = hub.post("sales.fulfill", body)
	assert again.status == 201, again
	assert bin_of(item, masters.warehouse) == (0, 0)


def test_several_items_are_short(hub, masters, trade):
	plenty, none, few = trade.goods(), trade.goods(0), trade.goods(1)
	sold = bought(
		hub,
		{"item_code": plenty, "quantity": 2},
		{"item_code": none, "quantity": 2},
		{"item_code": few, "quantity": 1},
		{"item_code": few, "quantity": 1, "uom": "Nos"},
	)
	lines = [{"external_id": number} for number in ("1", "2", "3", "4")]
	problem = refuse(hub, sold, 422, "stock_short", ["/lines/1"], lines=lines)
	assert problem["missing"] == [
		{"item_code": none, "warehouse": masters.warehouse, "needed": 2, "available": 0},
		{"item_code": few, "warehouse": masters.warehouse, "needed": 2, "available": 1},
	]


def test_stock_is_counted_in_its_own_unit(hub, masters, trade):
	item = trade.goods(23, uoms=[{"uom": "Box", "conversion_factor": 12}])
	sold = bought(hub, {"item_code": item, "quantity": 2, "uom": "Box"})
	problem = refuse(hub, sold, 422, "stock_short", ["/lines"])
	assert [(row["needed"], row["available"]) for row in problem["missing"]] == [(24, 23)]


def test_stock_that_came_after_the_day_of_delivery(hub, trade):
	"""There is enough now, but there was not then: ERPNext says so."""
	sold = bought(hub, {"item_code": trade.goods()}, placed_at="2026-03-01")
	refuse(hub, sold, 422, "stock_short", None, posting_at="2026-03-02T12:00:00")


def test_negative_stock_where_it_is_allowed(hub, masters, trade, site):
	item, single = trade.goods(1), trade.goods(1, allow_negative_stock=1)
	sold = bought(hub, {"item_code": single, "quantity": 3})
	delivered(hub, sold)
	assert bin_of(single, masters.warehouse) == (-2, 0)
	sold = bought(hub, {"item_code": item, "quantity": 3})
	refuse(hub, sold, 422, "stock_short", ["/lines"])
	with site.settings("Stock Settings", allow_negative_stock=1):
		delivered(hub, sold)
	assert bin_of(item, masters.warehouse) == (-2, 0)


# -- serial numbers ------------------------------------------------------------------------------------------------


def test_serial_numbers_as_given(hub, masters, trade):
	item, (first, second, third) = trade.serials()
	sold = bought(hub, {"item_code": item, "quantity": 3})
	note = delivered(hub, sold, lines=[{"external_id": "1", "quantity": 2, "serials": [third, first]}])
	assert packed(note.name) == sorted((name, None, masters.warehouse, -1) for name in (first, third))
	assert {name: frappe.db.get_value("Serial No", name, "warehouse") for name in (first, second, third)} == {
		first: None,
		second: masters.warehouse,
		third: None,
	}
	assert ledger(note.name) == [(trade.account(COST), 8, 0), (trade.account(STOCK), 0, 8)]
	answer = hub.get("sales.status", external_id=sold.order["external_id"])
	[line] = answer.message["fulfillments"][0]["lines"]
	assert sorted(line["serials"]) == sorted([first, third])
	assert bin_of(item, masters.warehouse) == (1, 1)


def test_serial_numbers_are_picked_when_none_are_given(hub, masters, trade):
	item, numbers = trade.serials()
	sold = bought(hub, {"item_code": item, "quantity": 2})
	note = delivered(hub, sold)
	assert packed(note.name) == sorted((name, None, masters.warehouse, -1) for name in numbers[:2])


def test_serial_numbers_are_needed_where_nothing_picks_them(hub, trade, site):
	item, _numbers = trade.serials()
	sold = bought(hub, {"item_code": item, "quantity": 2})
	with site.settings("Stock Settings", **{PICKS: 0}):
		refuse(hub, sold, 422, "serial_required", ["/lines"])
		refuse(hub, sold, 422, "serial_required", ["/lines/0/serials"], lines=[{"external_id": "1"}])


def test_the_wrong_number_of_serial_numbers(hub, trade):
	item, numbers = trade.serials()
	sold = bought(hub, {"item_code": item, "quantity": 2})
	for given in (numbers[:1], numbers):
		lines = [{"external_id": "1", "serials": given}]
		refuse(hub, sold, 422, "serial_required", ["/lines/0/serials"], lines=lines)


def test_serial_numbers_of_a_fraction_of_a_unit(hub, masters, trade):
	"""0.29 of a hundred: 29, though 0.29 x 100 is a little less as a float."""
	unit = trade.factory.make("UOM", uom_name=unique("Hundred")).name
	item = trade.factory.item(has_serial_no=1, stock_uom="Kg", uoms=[{"uom": unit, "conversion_factor": 100}])
	numbers = [unique("SN") for _ in range(30)]
	trade.factory.stock(item, masters.warehouse, 30, serial_no="\n".join(numbers))
	sold = bought(hub, {"item_code": item, "quantity": "0.29", "uom": unit})
	lines = [{"external_id": "1", "serials": numbers[:28]}]
	problem = refuse(hub, sold, 422, "serial_required", ["/lines/0/serials"], lines=lines)
	assert problem["detail"] == f"28 serial numbers for a quantity of 29 of {item}."
	note = delivered(hub, sold, lines=[{"external_id": "1", "serials": numbers[:29]}])
	assert [row[0] for row in packed(note.name)] == sorted(numbers[:29])
	assert bin_of(item, masters.warehouse) == (1, 0)


def test_serial_numbers_that_are_not_there(hub, masters, trade):
	item, (first, second, _third) = trade.serials()
	_other, [foreign] = trade.serials(1)
	sold = bought(hub, {"item_code": item, "quantity": 2})
	for wrong in ("no such serial", foreign, second.lower()):
		lines = [{"external_id": "1", "serials": [first, wrong]}]
		refuse(hub, sold, 422, "serial_not_available", ["/lines/0/serials/1"], lines=lines)


def test_a_serial_number_of_another_warehouse(hub, masters, trade):
	item, [number] = trade.serials(1, masters.second_warehouse)
	sold = bought(hub, {"item_code": item, "quantity": 1})
	lines = [{"external_id": "1", "serials": [number]}]
	problem = refuse(hub, sold, 422, "serial_not_available", ["/lines/0/serials/0"], lines=lines)
	assert masters.second_warehouse in problem["detail"]
	note = delivered(hub, sold, lines=lines, warehouse="east")
	assert packed(note.name) == [(number, None, masters.second_warehouse, -1)]


def test_a_serial_number_that_is_delivered(hub, trade):
	item, (first, _second, _third) = trade.serials()
	sold = bought(hub, {"item_code": item, "quantity": 2})
	lines = [{"external_id": "1", "quantity": 1, "serials": [first]}]
	delivered(hub, sold, lines=lines)
	refuse(hub, sold, 422, "serial_not_available", ["/lines/0/serials/0"], lines=lines)


def test_a_serial_number_on_two_lines(hub, trade):
	item, (first, _second, _third) = trade.serials()
	sold = bought(hub, {"item_code": item}, {"item_code": item})
	lines = [{"external_id": number, "serials": [first]} for number in ("1", "2")]
	refuse(hub, sold, 422, "serial_not_available", ["/lines/1/serials/0"], lines=lines)


def test_serial_numbers_of_an_item_without(hub, trade):
	sold = bought(hub, {"item_code": trade.goods()})
	lines = [{"external_id": "1", "serials": ["A"]}]
	refuse(hub, sold, 422, "serial_not_available", ["/lines/0/serials"], lines=lines)


# -- batches -------------------------------------------------------------------------------------------------------


def test_a_batch_as_given(hub, masters, trade):
	item, (first, second) = trade.batches(5, 5)
	sold = bought(hub, {"item_code": item, "quantity": 3})
	note = delivered(hub, sold, lines=[{"external_id": "1", "batch": second}])
	assert packed(note.name) == [(None, second, masters.warehouse, -3)]
	answer = hub.get("sales.status", external_id=sold.order["external_id"])
	assert answer.message["fulfillments"][0]["lines"][0]["batch"] == second
	assert bin_of(item, masters.warehouse) == (7, 0)
	assert first


def test_a_batch_is_picked_when_none_is_given(hub, masters, trade):
	item, [batch] = trade.batches(5)
	sold = bought(hub, {"item_code": item, "quantity": 3})
	note = delivered(hub, sold)
	assert packed(note.name) == [(None, batch, masters.warehouse, -3)]


def test_a_line_of_two_batches(hub, masters, trade):
	item, (first, second) = trade.batches(2, 5)
	sold = bought(hub, {"item_code": item, "quantity": 6})
	lines = [{"external_id": "1", "quantity": 2, "batch": first}, {"external_id": "1", "batch": second}]
	note = delivered(hub, sold, lines=lines)
	assert [(row.qty, row.batch_no) for row in note.items] == [(2, first), (4, second)]
	assert packed(note.name) == sorted(
		[(None, first, masters.warehouse, -2), (None, second, masters.warehouse, -4)], key=lambda row: row[1]
	)
	assert order_of(sold).items[0].delivered_qty == 6
	assert bin_of(item, masters.warehouse) == (1, 0)


def test_rows_that_hold_less_than_is_asked_for():
	"""Nothing of it is left out in silence."""
	row = frappe._dict(item_code="Spread")
	first, second = frappe._dict(name="1"), frappe._dict(name="2")
	whole = Wanted(row, 3, LineTarget(external_id="1", quantity=3), "/lines/0")
	assert _spread([[first, 1], [second, 2]], whole) == [(first, 1), (second, 2)]
	for one, pointer in ((whole, "/lines/0/quantity"), (Wanted(row, 3, None, "/lines"), "/lines")):
		with pytest.raises(QuantityExceedsOpen) as refusal:
			_spread([[first, 1], [second, 1.5]], one)
		assert [fault.pointer for fault in refusal.value.errors] == [pointer]
		assert refusal.value.details == {"open": 2.5}
		assert str(refusal.value) == "3 asked for, 2.5 open of Spread."


def test_a_batch_is_needed_where_nothing_picks_it(hub, trade, site):
	item, _names = trade.batches(5)
	sold = bought(hub, {"item_code": item})
	with site.settings("Stock Settings", **{PICKS: 0}):
		refuse(hub, sold, 422, "batch_required", ["/lines"])
		refuse(hub, sold, 422, "batch_required", ["/lines/0/batch"], lines=[{"external_id": "1"}])


def test_batches_that_cannot_be_used(hub, trade):
	item, [batch] = trade.batches(5)
	_other, [foreign] = trade.batches(5)
	gone, [disabled] = trade.batches(5, disabled=1)
	old, [expired] = trade.batches(5, expiry_date=add_days(nowdate(), -1))
	code, pointers = "batch_not_available", ["/lines/0/batch"]
	for one, name in (
		(item, "no such batch"),
		(item, foreign),
		(item, batch.lower()),
		(gone, disabled),
		(old, expired),
		(trade.goods(), batch),
	):
		sold = bought(hub, {"item_code": one})
		refuse(hub, sold, 422, code, pointers, lines=[{"external_id": "1", "batch": name}])


def test_too_little_in_the_batch(hub, masters, trade):
	item, (first, _second) = trade.batches(2, 5)
	sold = bought(hub, {"item_code": item, "quantity": 4})
	lines = [{"external_id": "1", "batch": first}]
	problem = refuse(hub, sold, 422, "stock_short", ["/lines/0"], lines=lines)
	assert problem["missing"] == [
		{"item_code": item, "warehouse": masters.warehouse, "needed": 4, "available": 2, "batch": first}
	]


def test_too_little_in_the_batch_for_two_lines_together(hub, trade):
	item, (first, _second) = trade.batches(3, 5)
	sold = bought(hub, {"item_code": item, "quantity": 2}, {"item_code": item, "quantity": 2})
	lines = [{"external_id": number, "batch": first} for number in ("1", "2")]
	problem = refuse(hub, sold, 422, "stock_short", ["/lines/1"], lines=lines)
	assert [(row["batch"], row["needed"], row["available"]) for row in problem["missing"]] == [(first, 4, 3)]


def test_only_expired_batches_are_there(hub, trade):
	item, _names = trade.batches(5, expiry_date=add_days(nowdate(), -1))
	sold = bought(hub, {"item_code": item})
	refuse(hub, sold, 422, "batch_required", None)


# -- days ----------------------------------------------------------------------------------------------------------


def test_a_day_in_the_past(hub, trade):
	sold = bought(hub, {"item_code": trade.early()}, placed_at="2026-03-01")
	# Two o'clock at night in UTC is the day before in New York, where the site is.
	note = delivered(hub, sold, posting_at="2026-03-03T02:00:00Z")
	assert (str(note.posting_date), str(note.posting_time)) == ("2026-03-02", "21:00:00")
	for doctype in ("GL Entry", "Stock Ledger Entry"):
		days = frappe.get_all(doctype, filters={"voucher_no": note.name}, pluck="posting_date")
		assert {str(day) for day in days} == {"2026-03-02"}


def test_a_day_in_the_future(hub, trade):
	sold = bought(hub, {"item_code": trade.early()})
	moment = f"{add_days(nowdate(), 2)}T00:00:00"
	problem = refuse(hub, sold, 422, "validation_failed", ["/posting_at"], posting_at=moment)
	assert [fault["code"] for fault in problem["errors"]] == ["date_in_future"]


def test_a_closed_period(hub, trade, factory):
	sold = bought(hub, {"item_code": trade.early()}, placed_at="2026-02-01")
	body = parcel(sold, posting_at="2026-02-10T12:00:00")
	with closed_period(factory, "Delivery Note"):
		refused(lambda: hub.post("sales.fulfill", body), 422, "period_closed")
		delivered(hub, sold, posting_at="2026-03-01T12:00:00", submit=False)
	assert hub.post("sales.fulfill", body).status == 201


def test_frozen_books_and_frozen_stock(hub, trade, masters):
	sold = bought(hub, {"item_code": trade.early()}, placed_at="2026-02-01")
	body = parcel(sold, posting_at="2026-02-10T12:00:00")
	with frozen_books(masters.company, "2026-02-28"):
		refused(lambda: hub.post("sales.fulfill", body), 422, "period_closed")
	with frozen_stock("2026-02-28"):
		refused(lambda: hub.post("sales.fulfill", body), 422, "period_closed")
	assert hub.post("sales.fulfill", body).status == 201


def test_a_year_that_is_not_open(hub, trade):
	sold = bought(hub, {"item_code": trade.early()}, placed_at="2025-06-01")
	refuse(hub, sold, 422, "period_closed", None, posting_at="2025-06-02T12:00:00")


# -- drafts, rehearsals, web addresses -----------------------------------------------------------------------------


def test_a_draft(hub, masters, trade, site):
	item = trade.goods()
	sold = bought(hub, {"item_code": item, "quantity": 2})
	before = site.census()
	note = delivered(hub, sold, submit=False)
	assert site.grown(before) == {"Delivery Note": 1, "Hub External Reference": 1}
	assert (note.docstatus, note.status) == (0, "Draft")
	order = order_of(sold)
	assert (order.status, order.items[0].delivered_qty) == ("To Deliver and Bill", 0)
	assert bin_of(item, masters.warehouse) == (100, 2)
	# A person submits it.
	note.submit()
	frappe.db.commit()
	assert (order_of(sold).status, bin_of(item, masters.warehouse)) == ("To Bill", (98, 0))


def test_a_draft_needs_no_stock(hub, trade):
	sold = bought(hub, {"item_code": trade.goods(0), "quantity": 2})
	assert delivered(hub, sold, submit=False).docstatus == 0


def test_a_rehearsal(hub, trade):
	sold = bought(hub, {"item_code": trade.goods(), "quantity": 2})
	body = parcel(sold, validate_only=True)
	with expect.nothing_made():
		answer = hub.post("sales.fulfill", body)
	assert answer.status == 200, answer
	assert (answer.message["validated"], answer.message["id"]) == (True, None)
	[part] = answer.message["fulfillments"]
	assert (part["name"], part["url"], part["docstatus"]) == (None, None, 1)
	assert part["lines"][0]["quantity"] == 2
	assert order_of(sold).per_delivered == 0
	made = hub.post("sales.fulfill", {**body, "validate_only": False})
	assert made.status == 201, made


def test_a_rehearsal_is_refused_as_the_real_call(hub, trade):
	sold = bought(hub, {"item_code": trade.goods(0)})
	refuse(hub, sold, 422, "stock_short", ["/lines"], validate_only=True)


@pytest.mark.parametrize("url", ["track.example/1", "javascript:alert(1)", "ftp://x/1", "https://x/ 1", ""])
def test_a_bad_tracking_address(hub, trade, url):
	sold = bought(hub, {"item_code": trade.goods(0)})
	refuse(hub, sold, 422, "validation_failed", ["/tracking_url"], tracking_url=url)


# -- the state of the order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["Closed", "On Hold"])
def test_an_order_that_is_closed_or_on_hold(hub, trade, state):
	sold = bought(hub, {"item_code": trade.goods()})
	order_of(sold).update_status(state)
	frappe.db.commit()
	body = parcel(sold)
	problem = refused(lambda: hub.post("sales.fulfill", body), 409, "state_conflict")
	assert state in problem["detail"]
	assert problem["documents"] == [{"doctype": "Sales Order", "name": sold.order["name"]}]
	order_of(sold).update_status("Draft")
	frappe.db.commit()
	assert hub.post("sales.fulfill", body).status == 201


def test_an_order_that_is_a_draft(hub, trade):
	sold = bought(hub, {"item_code": trade.goods()}, submit=False)
	problem = refuse(hub, sold, 409, "state_conflict", None)
	assert problem["documents"] == [{"doctype": "Sales Order", "name": sold.order["name"]}]
	assert "draft" in problem["detail"]


def test_an_order_that_is_cancelled(hub, trade):
	sold = bought(hub, {"item_code": trade.goods()})
	order_of(sold).cancel()
	frappe.db.commit()
	problem = refuse(hub, sold, 409, "state_conflict", None)
	assert problem["documents"] == [{"doctype": "Sales Order", "name": sold.order["name"]}]
	assert "cancelled" in problem["detail"]


def test_an_order_that_is_open_in_somebodys_hands(hub, trade):
	"""Locked by a background action of the Desk: the hub tries again later, by itself or when asked."""
	sold = bought(hub, {"item_code": trade.goods()})
	order = order_of(sold)
	body = parcel(sold)
	order.lock()
	try:
		problem = refused(lambda: hub.post("sales.fulfill", body), 503, "temporarily_unavailable")
		assert problem["retryable"] is True
	finally:
		order.unlock()
	done = hub.post("sales.fulfill", body)
	assert done.status == 201, done
	assert order_of(sold).per_delivered == 100


# -- once and only once --------------------------------------------------------------------------------------------


def test_the_same_again(hub, trade, site):
	sold = bought(hub, {"item_code": trade.goods(), "quantity": 3})
	body = parcel(sold, lines=[{"external_id": "1", "quantity": 1}])
	first = hub.post("sales.fulfill", body)
	assert first.status == 201, first
	with expect.nothing_made():
		replayed = hub.post("sales.fulfill", body)
		under_another_key = hub.post("sales.fulfill", body, key=unique("K"))
	assert (replayed.status, replayed.content) == (201, first.content)
	assert replayed.headers["Idempotent-Replayed"] == "true"
	assert under_another_key.status == 200, under_another_key
	assert under_another_key.message["fulfillments"] == first.message["fulfillments"]


def test_the_same_id_for_something_else(hub, trade):
	sold, other = (
		bought(hub, {"item_code": trade.goods(), "quantity": 3}),
		bought(hub, {"item_code": trade.goods()}),
	)
	body = parcel(sold, lines=[{"external_id": "1", "quantity": 1}])
	assert hub.post("sales.fulfill", body).status == 201
	for changed in (
		{**body, "lines": [{"external_id": "1", "quantity": 2}]},
		{**body, "order": {"external_id": other.order["external_id"]}, "lines": [{"external_id": "1"}]},
	):
		refused(
			lambda changed=changed: hub.post("sales.fulfill", changed, key=unique("K")),
			409,
			"external_id_conflict",
			["/external_id"],
		)
	refused(lambda: hub.post("sales.fulfill", {**body, "carrier": "UPS"}), 422, "idempotency_key_reused")


def test_without_an_id_it_gets_one_from_the_order(hub, shop, trade):
	sold = bought(hub, {"item_code": trade.goods(), "quantity": 3})
	stem = sold.order["external_id"]
	line = [{"external_id": "1", "quantity": 1}]
	body = parcel(sold, external_id=..., lines=line)
	refused(lambda: hub.post("sales.fulfill", body), 400, "idempotency_key_required")
	ids = []
	for _ in range(2):
		answer = hub.post("sales.fulfill", body, key=unique("K"))
		assert answer.status == 201, answer
		ids.append(answer.message["fulfillments"][0]["external_id"])
	assert ids == [f"{stem}/fulfill/1", f"{stem}/fulfill/2"]
	bound = frappe.get_all(
		"Hub External Reference",
		filters={"system": shop.name, "object_type": "fulfillment", "external_id": ("in", ids)},
		fields=["external_id", "document_type"],
		order_by="external_id asc",
	)
	assert [(row.external_id, row.document_type) for row in bound] == [(i, "Delivery Note") for i in ids]


def test_an_order_that_came_from_the_desk(hub, trade, factory, masters):
	"""An order no system placed has no ids of its own: it is named, and its lines are named by their items."""
	item = trade.goods()
	order = factory.make(
		"Sales Order",
		submit=True,
		customer=f.CUSTOMER,
		company=factory.company,
		delivery_date=nowdate(),
		items=[{"item_code": item, "qty": 2, "rate": 10, "warehouse": masters.warehouse}],
	)
	body = {"order": {"name": order.name}, "lines": [{"item_code": item, "quantity": 1}]}
	answer = hub.post("sales.fulfill", body, key=unique("K"))
	assert answer.status == 201, answer
	assert answer.message["fulfillments"][0]["external_id"] == f"{order.name}/fulfill/1"
	assert answer.message["fulfillments"][0]["lines"][0]["external_id"] is None


# -- who may -------------------------------------------------------------------------------------------------------


def test_another_systems_order(hub, trade, systems):
	sold = bought(hub, {"item_code": trade.goods()})
	stranger = systems.like(order_number_as_po=0).http
	for target in ({"name": sold.order["name"]}, {"external_id": sold.order["external_id"]}):
		body = {**parcel(sold), "order": target}
		refused(lambda body=body: stranger.post("sales.fulfill", body), 404, "not_found", ["/order"])


@pytest.mark.parametrize("target", [{"name": "no such order"}, {"external_id": "no such order"}])
def test_an_order_that_is_not_there(hub, target):
	body = {"external_id": unique("PARCEL"), "order": target}
	refused(lambda: hub.post("sales.fulfill", body), 404, "not_found", ["/order"])


def test_without_the_scope(hub, trade, system):
	from integration_hub.tests.systems import all_scopes

	reader = system(scopes=all_scopes("sales:write"))
	sold = bought(reader.http, {"item_code": trade.goods()})
	problem = refuse(reader.http, sold, 403, "scope_missing", None)
	assert "sales:write" in problem["detail"]


def test_without_the_right(trade, system):
	weak = system()
	sold = bought(weak.http, {"item_code": trade.goods()})
	user = frappe.get_doc("User", weak.user)
	# With this role alone one reads orders and deliveries.
	user.remove_roles(*(row.role for row in user.roles if row.role != "Accounts User"))
	frappe.db.commit()
	problem = refuse(weak.http, sold, 403, "permission_denied", None)
	assert (problem["doctype"], problem["right"]) == ("Delivery Note", "create")


def test_refusals_are_recognised_in_any_language(hub, trade, factory):
	"""What ERPNext says is known by what raised it, not by its words."""
	sold = bought(hub, {"item_code": trade.early()}, placed_at="2026-02-01")
	factory.make(
		"Translation",
		language="de",
		source_text="You are not authorized to add or update entries before {0}",
		translated_text="Vor dem {0} wird nichts mehr gebucht",
	)
	body = parcel(sold, posting_at="2026-02-10T12:00:00")
	with frozen_books(factory.company, "2026-02-28"):
		problem = refused(
			lambda: hub.post("sales.fulfill", body, Accept_Language="de"), 422, "period_closed", []
		)
	assert problem["detail"].startswith("Vor dem ")
