"""`sales.invoice`: what an invoice makes and writes, for every way to ask for one, and every reason to refuse it."""

import pytest

import frappe
from frappe.utils import add_days, nowdate

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
	written,
)

RECEIVABLE, INCOME = "Debtors", "Sales"
STOCK, COST = "Stock In Hand", "Cost of Goods Sold"


@pytest.fixture(scope="module")
def trade(factory, masters):
	return Trade(factory, masters.warehouse)


@pytest.fixture(scope="module")
def terms(factory):
	"""Payment terms: half at once, half after 30 days."""
	rows = [
		{
			"invoice_portion": 50,
			"due_date_based_on": "Day(s) after invoice date",
			"credit_days": days,
		}
		for days in (0, 30)
	]
	return factory.make("Payment Terms Template", template_name=unique("HT Terms"), terms=rows).name


def bill(order, **values) -> dict:
	"""Return the body of an invoice for the order of an answer; a value of `...` leaves its field out."""
	body = {"external_id": unique("INV"), "order": {"external_id": order.order["external_id"]}, **values}
	return {name: value for name, value in body.items() if value is not ...}


def billed(http, order, **values):
	"""Bill, see that it was done, and return the Sales Invoice."""
	answer = http.post("sales.invoice", bill(order, **values))
	assert answer.status == 201, answer
	return fresh("Sales Invoice", answer.message["invoices"][0]["name"])


def delivered(http, order, **values):
	body = {"external_id": unique("PARCEL"), "order": {"external_id": order.order["external_id"]}, **values}
	answer = http.post("sales.fulfill", body)
	assert answer.status == 201, answer
	return fresh("Delivery Note", answer.message["fulfillments"][0]["name"])


def refuse(http, order, status: int, code: str, pointers: list[str] | None, **values) -> dict:
	return refused(lambda: http.post("sales.invoice", bill(order, **values)), status, code, pointers)


def order_of(answer):
	return fresh("Sales Order", answer.order["name"])


def named(*invoices) -> list[dict]:
	return [{"doctype": doc.doctype, "name": doc.name} for doc in invoices]


def one(quantity: float = 1, line: str = "1") -> list[dict]:
	return [{"external_id": line, "quantity": quantity}]


# -- which lines, and how much -------------------------------------------------------------------------------------


def test_all_of_an_order(shop, hub, masters, trade, site):
	sold = bought(
		hub,
		{"quantity": 3, "unit_price": "12.34"},
		{"item_code": f.SECOND_ITEM, "quantity": 2, "unit_price": 5},
		taxes=[{"code": "vat", "rate": 10}],
		charges=[{"code": "shipping", "amount": "4.95"}],
	)
	order = order_of(sold)
	before = site.census()
	body = bill(sold)
	answer = hub.post("sales.invoice", body)
	assert answer.status == 201, answer
	assert site.grown(before) == {
		"Sales Invoice": 1,
		"GL Entry": 4,
		"Payment Ledger Entry": 1,
		"Hub External Reference": 1,
	}
	[part] = answer.message["invoices"]
	invoice = fresh("Sales Invoice", part["name"])
	expected = {
		"docstatus": 1,
		"status": "Unpaid",
		"is_return": 0,
		"update_stock": 0,
		"customer": order.customer,
		"company": masters.company,
		"net_total": 47.02,
		"grand_total": 56.67,
		"outstanding_amount": 56.67,
		"disable_rounded_total": 1,
		"hub_system": shop.name,
		"hub_external_id": body["external_id"],
		"owner": shop.user,
	}
	assert {field: invoice.get(field) for field in expected} == expected
	assert (str(invoice.posting_date), str(invoice.due_date)) == (nowdate(), nowdate())
	assert [(row.item_code, row.qty, row.rate, row.sales_order, row.so_detail) for row in invoice.items] == [
		(row.item_code, row.qty, row.rate, order.name, row.name) for row in order.items
	]
	assert ledger(invoice.name) == sorted(
		[
			(trade.account(RECEIVABLE), 56.67, 0),
			(trade.account(INCOME), 0, 47.02),
			(masters.tax, 0, 4.7),
			(masters.charge, 0, 4.95),
		]
	)
	order.reload()
	assert (order.status, order.per_delivered, order.per_billed) == ("To Deliver", 0, 100)
	assert [row.billed_amt for row in order.items] == [37.02, 10]


def test_the_answer(hub, masters):
	sold = bought(hub, {"quantity": 3, "unit_price": "12.34"}, taxes=[{"code": "vat", "rate": 10}])
	body = bill(sold)
	answer = hub.post("sales.invoice", body)
	assert answer.status == 201, answer
	[part] = answer.message["invoices"]
	invoice = fresh("Sales Invoice", part["name"])
	assert part.pop("posted_at").startswith(f"{nowdate()}T")
	assert part.pop("url").endswith(f"/{invoice.name}")
	assert part == {
		"name": invoice.name,
		"external_id": body["external_id"],
		"docstatus": 1,
		"status": "Unpaid",
		"is_return": False,
		"due_date": nowdate(),
		"currency": masters.currency,
		"net_total": 37.02,
		"tax_total": 3.7,
		"grand_total": 40.72,
		"outstanding": 40.72,
		"updates_stock": False,
		"lines": [
			{"external_id": "1", "item_code": f.ITEM, "quantity": 3, "unit_price": 12.34, "amount": 37.02}
		],
	}
	assert (answer.order["status"], answer.order["billed_percent"]) == ("To Deliver", 100)
	assert (answer.message["fulfillments"], answer.message["payments"]) == ([], [])


def test_lines_by_id_item_and_quantity(hub, masters):
	sold = bought(
		hub,
		{"quantity": 5},
		{"quantity": 4, "unit_price": 3},
		{"item_code": f.SECOND_ITEM, "external_id": None, "quantity": 2},
	)
	first = billed(hub, sold, lines=[{"item_code": f.SECOND_ITEM}, {"external_id": "1", "quantity": 2}])
	assert [(row.item_code, row.qty, row.amount) for row in first.items] == [
		(f.SECOND_ITEM, 2, 20),
		(f.ITEM, 2, 20),
	]
	assert order_of(sold).per_billed == round(40 / 82 * 100, 6)
	rest = billed(hub, sold)
	assert [(row.item_code, row.qty, row.amount) for row in rest.items] == [(f.ITEM, 3, 30), (f.ITEM, 4, 12)]
	assert (order_of(sold).status, order_of(sold).per_billed) == ("To Deliver", 100)


def test_more_than_is_open(hub):
	sold = bought(hub, {"quantity": 3})
	problem = refuse(hub, sold, 422, "quantity_exceeds_open", ["/lines/0/quantity"], lines=one(4))
	assert (problem["open"], problem["documents"]) == (3, [])
	first = billed(hub, sold, lines=one(2))
	problem = refuse(hub, sold, 422, "quantity_exceeds_open", ["/lines/0/quantity"], lines=one(2))
	assert (problem["open"], problem["documents"]) == (1, named(first))
	refuse(hub, sold, 422, "unknown_line", ["/lines/0/external_id"], lines=one(1, "7"))
	refuse(hub, sold, 422, "quantity_not_whole", ["/lines/0/quantity"], lines=one(0.5))


def test_nothing_is_left(hub):
	sold = bought(hub, {"quantity": 3})
	invoices = [billed(hub, sold, lines=one()), billed(hub, sold)]
	problem = refuse(hub, sold, 409, "state_conflict", [""])
	assert problem["documents"] == named(*invoices)
	assert all(invoice.name in problem["detail"] for invoice in invoices)
	problem = refuse(hub, sold, 409, "state_conflict", ["/lines/0"], lines=one())
	assert problem["documents"] == named(*invoices)


def test_a_cancelled_invoice_frees_its_lines(hub):
	sold = bought(hub, {"quantity": 3})
	billed(hub, sold).cancel()
	frappe.db.commit()
	assert order_of(sold).per_billed == 0
	assert billed(hub, sold).grand_total == 30


def test_a_line_that_costs_nothing_is_billed_once(hub):
	sold = bought(hub, {"quantity": 2}, {"item_code": f.SECOND_ITEM, "quantity": 2, "unit_price": 0})
	first = billed(hub, sold, lines=one(1, "2"))
	assert (first.grand_total, first.items[0].rate, ledger(first.name)) == (0, 0, [])
	second = billed(hub, sold)
	assert [(row.item_code, row.qty, row.amount) for row in second.items] == [
		(f.ITEM, 2, 20),
		(f.SECOND_ITEM, 1, 0),
	]
	problem = refuse(hub, sold, 409, "state_conflict", [""])
	assert problem["documents"] == named(first, second)


def test_a_unit_with_a_conversion(hub, factory, trade):
	item = factory.item(uoms=[{"uom": "Box", "conversion_factor": 12}])
	sold = bought(hub, {"item_code": item, "quantity": 3, "uom": "Box", "unit_price": 100})
	invoice = billed(hub, sold, lines=one(2))
	row = invoice.items[0]
	assert (row.uom, row.qty, row.stock_qty, row.amount) == ("Box", 2, 24, 200)
	assert ledger(invoice.name) == [(trade.account(RECEIVABLE), 200, 0), (trade.account(INCOME), 0, 200)]


# -- parts that add up ---------------------------------------------------------------------------------------------

ADDED = {"charges": [{"code": "shipping", "amount": 10}], "taxes": [{"code": "vat", "amount": "1.00"}]}


def amounts(invoices, field: str) -> list[float]:
	return [invoice.get(field) for invoice in invoices]


def test_parts_share_shipping_and_a_tax_sent_as_an_amount(hub, masters):
	sold = bought(hub, {"quantity": 3, "unit_price": "3.33"}, **ADDED)
	invoices = [billed(hub, sold, lines=one()) for _ in range(3)]
	assert [[row.tax_amount for row in doc.taxes] for doc in invoices] == [
		[0.33, 3.33],
		[0.34, 3.34],
		[0.33, 3.33],
	]
	assert amounts(invoices, "grand_total") == [6.99, 7.01, 6.99]
	assert round(sum(amounts(invoices, "grand_total")), 2) == order_of(sold).grand_total == 20.99
	booked = [dict((account, credit) for account, _debit, credit in ledger(doc.name)) for doc in invoices]
	assert [(row[masters.tax], row[masters.charge]) for row in booked] == [
		(0.33, 3.33),
		(0.34, 3.34),
		(0.33, 3.33),
	]


def test_parts_share_two_charges_and_two_taxes_of_one_code(hub):
	sold = bought(
		hub,
		{"quantity": 2, "unit_price": 10},
		charges=[{"code": "shipping", "amount": 5}, {"code": "shipping", "amount": 3}],
		taxes=[{"code": "vat", "amount": 1}, {"code": "vat", "amount": 1}],
	)
	invoices = [billed(hub, sold, lines=one()) for _ in range(2)]
	assert [[row.tax_amount for row in doc.taxes] for doc in invoices] == [[0.5, 0.5, 2.5, 1.5]] * 2
	assert [row.hub_code for row in invoices[1].taxes] == ["vat", "vat", "shipping", "shipping"]
	assert amounts(invoices, "grand_total") == [15, 15]


def test_parts_share_a_discount(hub):
	sold = bought(
		hub,
		{"quantity": 3, "unit_price": "3.33"},
		discounts=[{"amount": "1.00"}, {"code": "X", "amount": "0.01"}],
	)
	invoices = [billed(hub, sold, lines=one()) for _ in range(3)]
	assert amounts(invoices, "discount_amount") == [0.34, 0.33, 0.34]
	assert round(sum(amounts(invoices, "grand_total")), 2) == order_of(sold).grand_total == 8.98


def test_parts_share_a_discount_in_per_cent(hub):
	sold = bought(hub, {"quantity": 4, "unit_price": "2.50"}, discounts=[{"percent": 10}])
	invoices = [billed(hub, sold, lines=one(quantity)) for quantity in (1, 3)]
	assert amounts(invoices, "grand_total") == [2.25, 6.75]
	assert order_of(sold).grand_total == 9


@pytest.mark.parametrize("discount", [0, "1.01"])
def test_parts_of_prices_that_include_their_tax(systems, discount):
	# A discount off what the customer pays; one off the net would change the tax, which each invoice rounds for itself.
	http = systems.like(discount_on="Grand Total").http
	sold = bought(
		http,
		{"quantity": 3, "unit_price": "11.99"},
		taxes=[{"code": "vat", "rate": 19, "included": True}],
		charges=[{"code": "shipping", "amount": 5}],
		**({"discounts": [{"amount": discount}]} if discount else {}),
	)
	invoices = [billed(http, sold, lines=one()) for _ in range(3)]
	total = round(40.97 - float(discount), 2)
	assert round(sum(amounts(invoices, "grand_total")), 2) == order_of(sold).grand_total == total


def test_after_a_cancelled_part_the_shares_still_add_up(hub):
	sold = bought(hub, {"quantity": 3, "unit_price": "3.33"}, **ADDED)
	first = billed(hub, sold, lines=one())
	billed(hub, sold, lines=one()).cancel()
	frappe.db.commit()
	rest = billed(hub, sold)
	assert [row.tax_amount for row in rest.taxes] == [0.67, 6.67]
	assert round(first.grand_total + rest.grand_total, 2) == 20.99


def test_shipping_of_what_costs_nothing_is_billed_once(hub):
	sold = bought(hub, {"quantity": 2, "unit_price": 0}, charges=[{"code": "shipping", "amount": 5}])
	first, second = billed(hub, sold, lines=one()), billed(hub, sold)
	assert [doc.grand_total for doc in (first, second)] == [5, 0]


def test_shares_go_by_amount_and_not_by_line(hub):
	sold = bought(hub, {"unit_price": 90}, {"item_code": f.SECOND_ITEM, "unit_price": 10}, **ADDED)
	first, second = billed(hub, sold, lines=one(1, "2")), billed(hub, sold)
	assert [[row.tax_amount for row in doc.taxes] for doc in (first, second)] == [[0.1, 1], [0.9, 9]]


# -- from a delivery -----------------------------------------------------------------------------------------------


def of(note, **values) -> dict:
	return {"external_id": unique("INV"), "fulfillment": {"name": note.name}, **values}


def test_a_delivery(hub, trade):
	sold = bought(
		hub, {"item_code": trade.goods(), "quantity": 5}, {"item_code": trade.goods(), "quantity": 2}, **ADDED
	)
	note = delivered(hub, sold, lines=[*one(2), *one(1, "2")])
	answer = hub.post("sales.invoice", of(note))
	assert answer.status == 201, answer
	invoice = fresh("Sales Invoice", answer.message["invoices"][0]["name"])
	assert [(row.qty, row.delivery_note, row.dn_detail) for row in invoice.items] == [
		(2, note.name, note.items[0].name),
		(1, note.name, note.items[1].name),
	]
	assert invoice.items[0].sales_order == sold.order["name"]
	assert [row.tax_amount for row in invoice.taxes] == [0.43, 4.29]
	note.reload()
	assert (note.status, note.per_billed) == ("Completed", 100)
	assert [row.billed_amt for row in order_of(sold).items] == [20, 10]
	problem = refused(lambda: hub.post("sales.invoice", of(note)), 409, "state_conflict", [""])
	assert problem["documents"] == named(invoice)
	rest = billed(hub, sold)
	assert [row.qty for row in rest.items] == [3, 1]
	assert round(invoice.grand_total + rest.grand_total, 2) == order_of(sold).grand_total


def test_lines_of_a_delivery_by_its_external_id(hub, trade):
	sold = bought(hub, {"item_code": trade.goods(), "quantity": 5}, {"item_code": trade.goods()})
	note = delivered(hub, sold, lines=one(3))
	target = {"external_id": note.hub_external_id}
	body = {"external_id": unique("INV"), "fulfillment": target}
	answer = hub.post("sales.invoice", {**body, "lines": one(2)})
	assert answer.status == 201, answer
	first = fresh("Sales Invoice", answer.message["invoices"][0]["name"])
	assert [(row.qty, row.dn_detail) for row in first.items] == [(2, note.items[0].name)]
	body = {"external_id": unique("INV"), "fulfillment": target}

	def call(lines: list[dict]):
		return hub.post("sales.invoice", {**body, "lines": lines})

	problem = refused(lambda: call(one(2)), 422, "quantity_exceeds_open", ["/lines/0/quantity"])
	assert (problem["open"], problem["documents"]) == (1, named(first))
	# What is not on the delivery is not open there.
	refused(lambda: call(one(1, "2")), 409, "state_conflict", ["/lines/0"])


def test_a_line_delivered_from_two_batches_is_billed_as_one(hub, trade):
	item, (first, second) = trade.batches(2, 5)
	sold = bought(hub, {"item_code": item, "quantity": 6})
	lines = [{"external_id": "1", "quantity": 2, "batch": first}, {"external_id": "1", "batch": second}]
	note = delivered(hub, sold, lines=lines)
	answer = hub.post("sales.invoice", of(note))
	assert answer.status == 201, answer
	invoice = fresh("Sales Invoice", answer.message["invoices"][0]["name"])
	assert [(row.qty, row.dn_detail) for row in invoice.items] == [
		(2, note.items[0].name),
		(4, note.items[1].name),
	]
	assert (invoice.grand_total, order_of(sold).per_billed) == (60, 100)


def test_deliveries_that_cannot_be_billed(hub, trade):
	item = trade.goods()
	sold = bought(hub, {"item_code": item, "quantity": 5})
	draft = delivered(hub, sold, lines=one(), submit=False)
	cancelled = delivered(hub, sold, lines=one())
	cancelled.cancel()
	frappe.db.commit()
	sent = delivered(hub, sold, lines=one(2))
	from erpnext.stock.doctype.delivery_note.delivery_note import make_sales_return

	# As the Desk does it: ERPNext decides when a document is constructed what a return updates.
	back = frappe.get_doc(make_sales_return(sent.name).as_dict()).insert()
	back.submit()
	frappe.db.commit()
	for note in (draft, cancelled, back):
		body = of(note)
		problem = refused(
			lambda body=body: hub.post("sales.invoice", body), 409, "state_conflict", ["/fulfillment"]
		)
		assert problem["documents"] == named(note)
	# All of it came back.
	refused(lambda: hub.post("sales.invoice", of(sent)), 409, "state_conflict", [""])


def test_a_delivery_that_is_not_there(hub, trade, systems):
	sold = bought(hub, {"item_code": trade.goods()})
	note = delivered(hub, sold)
	for target in ({"name": "none"}, {"external_id": "none"}):
		body = {"external_id": unique("INV"), "fulfillment": target}
		refused(lambda body=body: hub.post("sales.invoice", body), 404, "not_found", ["/fulfillment"])
	stranger = systems.like(order_number_as_po=0).http
	refused(lambda: stranger.post("sales.invoice", of(note)), 404, "not_found", ["/fulfillment"])


# -- an invoice that moves the goods itself ------------------------------------------------------------------------


def test_an_invoice_that_moves_the_goods(hub, masters, trade, site):
	item = trade.goods()
	sold = bought(hub, {"item_code": item, "quantity": 3})
	before = site.census()
	invoice = billed(hub, sold, update_stock=True)
	assert site.grown(before) == {
		"Sales Invoice": 1,
		"GL Entry": 4,
		"Payment Ledger Entry": 1,
		"Stock Ledger Entry": 1,
		"Hub External Reference": 1,
	}
	assert ledger(invoice.name) == sorted(
		[
			(trade.account(RECEIVABLE), 30, 0),
			(trade.account(INCOME), 0, 30),
			(trade.account(COST), 12, 0),
			(trade.account(STOCK), 0, 12),
		]
	)
	assert moved(invoice.name) == [(item, masters.warehouse, -3)]
	assert bin_of(item, masters.warehouse) == (97, 0)
	order = order_of(sold)
	assert (order.status, order.per_delivered, order.per_billed) == ("Completed", 100, 100)
	body = {"external_id": unique("PARCEL"), "order": {"external_id": sold.order["external_id"]}}
	refused(lambda: hub.post("sales.fulfill", body), 409, "state_conflict", [""])
	refuse(hub, sold, 409, "state_conflict", [""], update_stock=True)


def test_serial_numbers_batches_and_warehouses_of_an_invoice(hub, masters, trade, factory):
	item, (first, _second, third) = trade.serials()
	kept, (batch, _other) = trade.batches(5, 5)
	plain = trade.goods()
	factory.stock(plain, masters.second_warehouse, 10)
	sold = bought(
		hub,
		{"item_code": item, "quantity": 2},
		{"item_code": kept, "quantity": 3},
		{"item_code": plain, "quantity": 2},
	)
	lines = [
		{"external_id": "1", "serials": [third, first]},
		{"external_id": "2", "batch": batch},
		{"external_id": "3", "warehouse": "east"},
	]
	invoice = billed(hub, sold, update_stock=True, lines=lines)
	assert packed(invoice.name) == sorted(
		[
			(None, batch, masters.warehouse, -3),
			(first, None, masters.warehouse, -1),
			(third, None, masters.warehouse, -1),
		],
		key=lambda row: (row[0] or "", row[1] or ""),
	)
	assert moved(invoice.name) == sorted(
		[
			(item, masters.warehouse, -2),
			(kept, masters.warehouse, -3),
			(plain, masters.second_warehouse, -2),
		]
	)
	assert bin_of(plain, masters.second_warehouse) == (8, 0)
	assert order_of(sold).status == "Completed"


def test_what_an_invoice_moves_must_be_there(hub, masters, trade, site):
	none, (item, [serial]) = trade.goods(1), trade.serials(1)
	sold = bought(hub, {"item_code": none, "quantity": 2}, {"item_code": item})
	problem = refuse(hub, sold, 422, "stock_short", ["/lines/0"], update_stock=True, lines=one(2))
	assert problem["missing"] == [
		{"item_code": none, "warehouse": masters.warehouse, "needed": 2, "available": 1}
	]
	lines = [{"external_id": "2", "serials": [f"{serial}x"]}]
	pointers = ["/lines/0/serials/0"]
	refuse(hub, sold, 422, "serial_not_available", pointers, update_stock=True, lines=lines)
	with site.settings("Stock Settings", **{PICKS: 0}):
		lines = one(1, "2")
		pointers = ["/lines/0/serials"]
		refuse(hub, sold, 422, "serial_required", pointers, update_stock=True, lines=lines)
	lines = [{"external_id": "1", "warehouse": "nowhere"}]
	pointers = ["/lines/0/warehouse"]
	refuse(hub, sold, 422, "unknown_warehouse", pointers, update_stock=True, lines=lines)


def test_an_invoice_that_moves_bundles(hub, masters, trade):
	parent, first, second = trade.bundle()
	sold = bought(hub, {"item_code": parent, "quantity": 3})
	invoice = billed(hub, sold, update_stock=True, lines=one(2))
	assert moved(invoice.name) == sorted([(first, masters.warehouse, -4), (second, masters.warehouse, -2)])
	assert (bin_of(first, masters.warehouse), bin_of(second, masters.warehouse)) == ((96, 2), (98, 1))


def test_a_bundle_whose_parts_are_short_is_not_billed(hub, masters, trade):
	parent, first, _second = trade.bundle(3)
	sold = bought(hub, {"item_code": parent, "quantity": 2})
	problem = refuse(hub, sold, 422, "stock_short", ["/lines"], update_stock=True)
	assert problem["missing"] == [
		{"item_code": first, "warehouse": masters.warehouse, "needed": 4, "available": 3}
	]


def test_after_a_delivery_an_invoice_moves_only_the_rest(hub, masters, trade):
	item, service = trade.goods(), trade.factory.item(is_stock_item=0)
	sold = bought(hub, {"item_code": item, "quantity": 5}, {"item_code": service, "quantity": 2})
	note = delivered(hub, sold, lines=one(2))
	invoice = billed(hub, sold, update_stock=True)
	assert [(row.item_code, row.qty) for row in invoice.items] == [(item, 3), (service, 2)]
	assert moved(invoice.name) == [(item, masters.warehouse, -3)]
	assert bin_of(item, masters.warehouse) == (95, 0)
	order = order_of(sold)
	assert (order.per_delivered, [row.billed_amt for row in order.items]) == (100, [30, 20])
	answer = hub.post("sales.invoice", of(note))
	assert answer.status == 201, answer
	assert (order_of(sold).status, order_of(sold).per_billed) == ("Completed", 100)


def test_nothing_of_it_is_left_to_move(hub, trade):
	sold = bought(hub, {"item_code": trade.goods(), "quantity": 2})
	delivered(hub, sold)
	refuse(hub, sold, 409, "state_conflict", [""], update_stock=True)
	assert billed(hub, sold).grand_total == 20


def test_what_was_billed_without_goods_is_delivered_later(hub, masters, trade):
	item = trade.goods()
	sold = bought(hub, {"item_code": item, "quantity": 2})
	invoice = billed(hub, sold)
	assert moved(invoice.name) == []
	delivered(hub, sold)
	assert (order_of(sold).status, bin_of(item, masters.warehouse)) == ("Completed", (98, 0))


# -- when it is due ------------------------------------------------------------------------------------------------


def schedule(invoice) -> list[tuple]:
	return [(str(row.due_date), row.payment_amount) for row in invoice.payment_schedule]


def test_a_due_date(hub):
	due = add_days(nowdate(), 14)
	invoice = billed(hub, bought(hub, {"quantity": 2}), due_date=due)
	assert (str(invoice.due_date), schedule(invoice)) == (due, [(due, 20)])


def test_a_due_date_before_the_invoice(hub):
	sold = bought(hub, {})
	problem = refuse(hub, sold, 422, "validation_failed", ["/due_date"], due_date=add_days(nowdate(), -1))
	assert problem["errors"][0]["code"] == "date_before_invoice"


def test_payment_terms(hub, terms):
	invoice = billed(hub, bought(hub, {"quantity": 2}), terms=terms)
	later = add_days(nowdate(), 30)
	assert invoice.payment_terms_template == terms
	assert (str(invoice.due_date), schedule(invoice)) == (later, [(nowdate(), 10), (later, 10)])


def test_payment_terms_and_a_day_in_the_past(hub, terms):
	sold = bought(hub, {"quantity": 2}, placed_at="2026-03-01")
	invoice = billed(hub, sold, terms=terms, posting_at="2026-03-02T10:00:00")
	assert schedule(invoice) == [("2026-03-02", 10), ("2026-04-01", 10)]


@pytest.mark.parametrize("name", ["no such terms", "lower"])
def test_unknown_payment_terms(hub, terms, name):
	sold = bought(hub, {})
	given = terms.lower() if name == "lower" else name
	refuse(hub, sold, 422, "unknown_payment_terms", ["/terms"], terms=given)


# -- days, drafts, rehearsals --------------------------------------------------------------------------------------


def test_a_day_in_the_past(hub):
	sold = bought(hub, {}, placed_at="2026-03-01")
	invoice = billed(hub, sold, posting_at="2026-03-03T02:00:00Z", due_date="2026-03-20")
	assert (str(invoice.posting_date), str(invoice.due_date)) == ("2026-03-02", "2026-03-20")
	days = frappe.get_all("GL Entry", filters={"voucher_no": invoice.name}, pluck="posting_date")
	assert {str(day) for day in days} == {"2026-03-02"}


def test_a_day_in_the_future(hub):
	moment = f"{add_days(nowdate(), 2)}T00:00:00"
	problem = refuse(hub, bought(hub, {}), 422, "validation_failed", ["/posting_at"], posting_at=moment)
	assert [fault["code"] for fault in problem["errors"]] == ["date_in_future"]


def test_closed_and_frozen_books(hub, factory, masters, trade):
	sold = bought(hub, {"item_code": trade.early()}, placed_at="2026-02-01")
	body = bill(sold, posting_at="2026-02-10T12:00:00", update_stock=True)
	for closed in (
		closed_period(factory, "Sales Invoice"),
		frozen_books(masters.company, "2026-02-28"),
		frozen_stock("2026-02-28"),
	):
		with closed:
			refused(lambda: hub.post("sales.invoice", body), 422, "period_closed", [])
	assert hub.post("sales.invoice", body).status == 201
	refuse(hub, sold, 409, "state_conflict", [""])


def test_books_that_are_closed_for_good(hub, factory, masters):
	"""A Period Closing Voucher; without permission to look at it, its trace in ERPNext is all the hub has."""
	sold = bought(hub, {}, placed_at="2026-02-01")
	equity = frappe.db.get_value(
		"Account", {"company": masters.company, "root_type": "Equity", "is_group": 0}
	)
	voucher = factory.make(
		"Period Closing Voucher",
		submit=True,
		company=masters.company,
		transaction_date="2026-03-31",
		fiscal_year="2026",
		period_start_date="2026-01-01",
		period_end_date="2026-03-31",
		closing_account_head=equity,
		remarks="tests",
	)
	try:
		refuse(hub, sold, 422, "period_closed", [], posting_at="2026-02-10T12:00:00")
	finally:
		frappe.db.rollback()
		voucher.reload()
		voucher.cancel()
		frappe.db.commit()


def test_a_frozen_account(hub, masters, trade):
	sold = bought(hub, {}, charges=[{"code": "shipping", "amount": 5}])
	with written("Account", masters.charge, "freeze_account", "Yes"):
		problem = refuse(hub, sold, 422, "account_frozen", [])
		assert masters.charge in problem["detail"]
	assert billed(hub, sold).grand_total == 15


def test_a_frozen_customer(hub, factory):
	name = factory.customer()
	sold = bought(hub, {}, customer={"name": name})
	with written("Customer", name, "is_frozen", 1):
		refuse(hub, sold, 422, "account_frozen", [])


def test_a_draft(hub, trade, masters, site):
	item = trade.goods()
	sold = bought(hub, {"item_code": item, "quantity": 2})
	before = site.census()
	invoice = billed(hub, sold, submit=False, update_stock=True)
	assert site.grown(before) == {"Sales Invoice": 1, "Hub External Reference": 1}
	assert (invoice.docstatus, invoice.status, order_of(sold).per_billed) == (0, "Draft", 0)
	assert bin_of(item, masters.warehouse) == (100, 2)
	invoice.submit()
	frappe.db.commit()
	assert (order_of(sold).status, bin_of(item, masters.warehouse)) == ("Completed", (98, 0))


def test_a_rehearsal(hub):
	sold = bought(hub, {"quantity": 2})
	body = bill(sold, validate_only=True)
	with expect.nothing_made():
		answer = hub.post("sales.invoice", body)
	assert answer.status == 200, answer
	[part] = answer.message["invoices"]
	assert (answer.message["validated"], part["name"], part["url"], part["grand_total"]) == (
		True,
		None,
		None,
		20,
	)
	assert order_of(sold).per_billed == 0


@pytest.mark.parametrize(
	("given", "pointer", "code"),
	[
		({"due_date": "2026-12-01", "terms": "x"}, "", "one_of"),
		({"lines": [{"external_id": "1", "batch": "b"}]}, "", "needs_update_stock"),
		({"fulfillment": {"name": "x"}}, "", "one_of"),
		({"order": ..., "fulfillment": {"name": "x"}, "update_stock": True}, "", "already_delivered"),
		({"order": ...}, "", "one_of"),
	],
)
def test_what_does_not_go_together(hub, given, pointer, code):
	body = {**bill(bought(hub, {})), **given}
	body = {name: value for name, value in body.items() if value is not ...}
	problem = refused(lambda: hub.post("sales.invoice", body), 422, "validation_failed", [pointer])
	assert problem["errors"][0]["code"] == code


# -- money that was paid before ------------------------------------------------------------------------------------


def test_advances_are_set_against_the_invoice(hub, masters):
	sold = bought(
		hub,
		{"quantity": 3},
		payments=[{"method": "Cash", "amount": 4}, {"method": "Card", "amount": "5.50"}],
	)
	answer = hub.post("sales.invoice", bill(sold))
	assert answer.status == 201, answer
	[part] = answer.message["invoices"]
	assert (part["grand_total"], part["outstanding"], part["status"]) == (30, 20.5, "Partly Paid")
	invoice = fresh("Sales Invoice", part["name"])
	assert (invoice.total_advance, invoice.outstanding_amount) == (9.5, 20.5)
	entries = [row["name"] for row in sold.message["payments"]]
	for name, amount in zip(entries, (4, 5.5), strict=True):
		entry = fresh("Payment Entry", name)
		assert [
			(row.reference_doctype, row.reference_name, row.allocated_amount) for row in entry.references
		] == [("Sales Invoice", invoice.name, amount)]
		assert entry.unallocated_amount == 0
		assert sum(debit for _account, debit, _credit in ledger(name)) == amount
	open_amount = frappe.get_all(
		"Payment Ledger Entry",
		filters={"against_voucher_no": invoice.name, "delinked": 0},
		pluck="amount",
	)
	assert round(sum(open_amount), 2) == 20.5


def test_an_advance_for_two_invoices(hub):
	sold = bought(hub, {"quantity": 3}, payments=[{"method": "Cash", "amount": 25}])
	first, second = billed(hub, sold, lines=one(2)), billed(hub, sold)
	assert [(doc.total_advance, doc.outstanding_amount, doc.status) for doc in (first, second)] == [
		(20, 0, "Paid"),
		(5, 5, "Partly Paid"),
	]
	entry = fresh("Payment Entry", sold.message["payments"][0]["name"])
	assert [(row.reference_name, row.allocated_amount) for row in entry.references] == [
		(first.name, 20),
		(second.name, 5),
	]


def test_other_credit_of_the_customer_stays_what_it_is(hub):
	"""Paid for another order, or more than its own order: not this invoice's."""
	other = bought(hub, {}, payments=[{"method": "Cash", "amount": 15}])
	sold = bought(hub, {"quantity": 2})
	invoice = billed(hub, sold)
	assert (invoice.total_advance, invoice.outstanding_amount) == (0, 20)
	entry = fresh("Payment Entry", other.message["payments"][0]["name"])
	assert entry.unallocated_amount == 5
	assert [row.reference_name for row in entry.references] == [other.order["name"]]


# -- the state of the order, and once only -------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["Closed", "On Hold", "draft", "cancelled"])
def test_orders_that_cannot_be_billed(hub, state):
	sold = bought(hub, {}, **({"submit": False} if state == "draft" else {}))
	order = order_of(sold)
	if state == "cancelled":
		order.cancel()
	elif state != "draft":
		order.update_status(state)
	frappe.db.commit()
	problem = refuse(hub, sold, 409, "state_conflict", None)
	assert state in problem["detail"]
	assert problem["documents"] == named(order)


def test_a_delivery_whose_order_is_on_hold(hub, trade):
	sold = bought(hub, {"item_code": trade.goods(), "quantity": 2})
	note = delivered(hub, sold, lines=one())
	order_of(sold).update_status("On Hold")
	frappe.db.commit()
	problem = refused(lambda: hub.post("sales.invoice", of(note)), 409, "state_conflict")
	assert problem["documents"] == named(order_of(sold))


def test_the_same_again_and_something_else(hub):
	sold = bought(hub, {"quantity": 3})
	body = bill(sold, lines=one())
	first = hub.post("sales.invoice", body)
	assert first.status == 201, first
	with expect.nothing_made():
		replayed = hub.post("sales.invoice", body)
		again = hub.post("sales.invoice", body, key=unique("K"))
	assert (replayed.status, replayed.content) == (201, first.content)
	assert again.status == 200, again
	assert again.message["invoices"] == first.message["invoices"]
	changed = {**body, "lines": one(2)}
	refused(
		lambda: hub.post("sales.invoice", changed, key=unique("K")),
		409,
		"external_id_conflict",
		["/external_id"],
	)


def test_without_an_id_it_gets_one_from_what_it_bills(hub, trade):
	sold = bought(hub, {"item_code": trade.goods(), "quantity": 3})
	body = bill(sold, external_id=..., lines=one())
	refused(lambda: hub.post("sales.invoice", body), 400, "idempotency_key_required")
	note = delivered(hub, sold, lines=one())
	ids = []
	for sent in (body, body, {"fulfillment": {"name": note.name}}):
		answer = hub.post("sales.invoice", sent, key=unique("K"))
		assert answer.status == 201, answer
		ids.append(answer.message["invoices"][0]["external_id"])
	stem = sold.order["external_id"]
	assert ids == [f"{stem}/invoice/1", f"{stem}/invoice/2", f"{note.hub_external_id}/invoice/1"]


def test_without_the_right(trade, system):
	weak = system()
	sold = bought(weak.http, {})
	user = frappe.get_doc("User", weak.user)
	user.remove_roles("Accounts User", "Accounts Manager")
	frappe.db.commit()
	problem = refuse(weak.http, sold, 403, "permission_denied", None)
	assert (problem["doctype"], problem["right"]) == ("Sales Invoice", "create")


def test_an_invoice_in_somebodys_hands_and_a_locked_order(hub):
	sold = bought(hub, {})
	order = order_of(sold)
	body = bill(sold)
	order.lock()
	try:
		refused(lambda: hub.post("sales.invoice", body), 503, "temporarily_unavailable")
	finally:
		order.unlock()
	assert hub.post("sales.invoice", body).status == 201


def test_a_line_that_became_cheaper_than_what_is_billed(hub):
	"""ERPNext counts by amount: as much as the order is worth is billed, though not every piece."""
	sold = bought(hub, {"quantity": 2})
	first = billed(hub, sold, lines=one())
	changed = hub.post(
		"orders.update",
		{
			"external_id": sold.order["external_id"],
			"lines": [{"external_id": "1", "unit_price": 5}],
		},
		key=unique("K"),
	)
	assert changed.status == 200, changed
	problem = refuse(hub, sold, 409, "state_conflict", None)
	assert problem["documents"] == named(first)
