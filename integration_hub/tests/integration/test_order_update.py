"""`orders.update`: what can be changed of an order, what of it ERPNext keeps in its Bins, and what stands in the way."""

import pytest

import frappe
from frappe.utils import add_days, nowdate

from integration_hub.tests import expect
from integration_hub.tests import factories as f
from integration_hub.tests.books import bin_of, fresh, refused
from integration_hub.tests.factories import address, unique
from integration_hub.tests.trade import Trade, bought


@pytest.fixture(scope="module")
def trade(factory, masters):
	return Trade(factory, masters.warehouse)


def change(http, order, **values):
	"""Send a change under a key of its own."""
	body = {"external_id": order.order["external_id"], **values}
	return http.post("orders.update", body, key=unique("K"))


def changed(http, order, **values):
	"""Change, see that it was done, and return the Sales Order."""
	answer = change(http, order, **values)
	assert answer.status == 200, answer
	doc = fresh("Sales Order", order.order["name"])
	assert (answer.order["grand_total"], answer.order["status"]) == (doc.grand_total, doc.status)
	return doc


def refuse(http, order, status: int, code: str, pointers: list[str] | None, **values) -> dict:
	return refused(lambda: change(http, order, **values), status, code, pointers)


def one(line: str = "1", **values) -> dict:
	return {"lines": [{"external_id": line, **values}]}


def rows_of(doc) -> list[tuple]:
	return [(row.hub_external_id, row.item_code, row.qty, row.rate, row.amount) for row in doc.items]


def cycle(http, verb: str, order, **values):
	"""Deliver or bill some of an order and return the document."""
	body = {"external_id": unique("DOC"), "order": {"external_id": order.order["external_id"]}, **values}
	answer = http.post(f"sales.{verb}", body)
	assert answer.status == 201, answer
	kind, doctype = {
		"fulfill": ("fulfillments", "Delivery Note"),
		"invoice": ("invoices", "Sales Invoice"),
	}[verb]
	return fresh(doctype, answer.message[kind][0]["name"])


def named(*documents) -> list[dict]:
	return [{"doctype": doc.doctype, "name": doc.name} for doc in documents]


# -- lines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", [7, 2])
def test_more_and_less_of_a_line(hub, masters, trade, quantity, site):
	item = trade.goods()
	sold = bought(hub, {"item_code": item, "quantity": 5}, {"quantity": 2})
	assert bin_of(item, masters.warehouse) == (100, 5)
	with expect.nothing_made():
		doc = changed(hub, sold, **one(quantity=quantity))
	assert rows_of(doc) == [("1", item, quantity, 10, quantity * 10), ("2", f.ITEM, 2, 10, 20)]
	assert (doc.docstatus, doc.grand_total) == (1, quantity * 10 + 20)
	assert bin_of(item, masters.warehouse) == (100, quantity)


@pytest.mark.parametrize("price", ["12.34", 3, 0])
def test_another_price(hub, price):
	sold = bought(hub, {"quantity": 3}, taxes=[{"code": "vat", "rate": 10}])
	doc = changed(hub, sold, **one(unit_price=price))
	amount = round(3 * float(price), 2)
	assert rows_of(doc) == [("1", f.ITEM, 3, float(price), amount)]
	assert doc.grand_total == round(amount * 1.1, 2)
	# It stays, too, when something else is changed.
	assert changed(hub, sold, **one(quantity=4)).items[0].rate == float(price)


def test_a_price_of_nothing_gets_one(hub):
	sold = bought(hub, {"quantity": 3, "unit_price": 0})
	assert changed(hub, sold, **one(quantity=2)).items[0].rate == 0
	assert rows_of(changed(hub, sold, **one(unit_price=4))) == [("1", f.ITEM, 2, 4, 8)]


def test_a_price_of_nothing_stays_whatever_the_price_list_says(hub, factory):
	item = factory.item()
	price_list = frappe.db.get_single_value("Selling Settings", "selling_price_list")
	factory.make("Item Price", item_code=item, price_list=price_list, price_list_rate=99)
	sold = bought(hub, {"item_code": item})
	assert changed(hub, sold, **one(unit_price=0)).grand_total == 0
	lines = [{"external_id": "n", "item_code": item, "quantity": 1, "unit_price": 0}]
	assert rows_of(changed(hub, sold, lines=lines)) == [("1", item, 1, 0, 0), ("n", item, 1, 0, 0)]


@pytest.mark.parametrize(("discount", "rate"), [({"percent": 25}, 15), ({"amount": "2.50"}, 17.5)])
def test_a_discount(hub, discount, rate):
	sold = bought(hub, {"quantity": 2})
	doc = changed(hub, sold, **one(unit_price=20, discount=discount))
	assert rows_of(doc) == [("1", f.ITEM, 2, rate, rate * 2)]
	# A new price is a price without the discount there was.
	assert rows_of(changed(hub, sold, **one(unit_price=20))) == [("1", f.ITEM, 2, 20, 40)]


@pytest.mark.parametrize("submit", [True, False])
def test_what_a_line_is_called(hub, submit):
	sold = bought(hub, {}, {"quantity": 2}, submit=submit)
	doc = changed(hub, sold, **one("2", name="Blue, large"))
	assert [(row.item_name, row.description) for row in doc.items] == [
		(f.ITEM, f.ITEM),
		("Blue, large", "Blue, large"),
	]


def test_a_line_is_added(hub, masters, trade, factory):
	first, boxed = trade.goods(), trade.goods(uoms=[{"uom": "Box", "conversion_factor": 12}])
	other = factory.warehouse()
	sold = bought(hub, {"item_code": first, "quantity": 2})
	lines = [
		{
			"external_id": "n1",
			"item_code": boxed,
			"uom": "Box",
			"quantity": 2,
			"unit_price": 30,
			"name": "Big box",
			"deliver_by": add_days(nowdate(), 60),
		},
		{"external_id": "n2", "item_code": boxed, "quantity": 3, "unit_price": 4, "warehouse": "east"},
		{"external_id": "n3", "item_code": boxed, "quantity": 1, "unit_price": 5, "warehouse": other},
	]
	doc = changed(hub, sold, lines=lines)
	assert rows_of(doc) == [
		("1", first, 2, 10, 20),
		("n1", boxed, 2, 30, 60),
		("n2", boxed, 3, 4, 12),
		("n3", boxed, 1, 5, 5),
	]
	assert [row.warehouse for row in doc.items] == [
		masters.warehouse,
		masters.warehouse,
		masters.second_warehouse,
		other,
	]
	row = doc.items[1]
	assert (row.uom, row.conversion_factor, row.stock_qty, row.item_name) == ("Box", 12, 24, "Big box")
	assert str(row.delivery_date) == add_days(nowdate(), 60)
	assert [row.idx for row in doc.items] == [1, 2, 3, 4]
	assert [row.docstatus for row in doc.items] == [1, 1, 1, 1]
	assert doc.set_warehouse is None
	assert doc.grand_total == 97
	assert [bin_of(boxed, name)[1] for name in (masters.warehouse, masters.second_warehouse, other)] == [
		24,
		3,
		1,
	]
	# What was added is delivered and billed as the rest.
	cycle(hub, "fulfill", sold, lines=[{"external_id": "n1", "quantity": 1}])
	assert bin_of(boxed, masters.warehouse) == (88, 12)


def test_a_line_is_dropped(hub, masters, trade):
	first, second = trade.goods(), trade.goods()
	sold = bought(hub, {"item_code": first, "quantity": 2}, {"item_code": second, "quantity": 3})
	doc = changed(hub, sold, **one(remove=True))
	assert rows_of(doc) == [("2", second, 3, 10, 30)]
	assert (doc.items[0].idx, doc.grand_total) == (1, 30)
	assert (bin_of(first, masters.warehouse), bin_of(second, masters.warehouse)) == ((100, 0), (100, 3))


def test_all_at_once(hub, masters, trade):
	first, second, third = trade.goods(), trade.goods(), trade.goods()
	sold = bought(
		hub,
		{"item_code": first, "quantity": 2},
		{"item_code": second, "quantity": 3},
		taxes=[{"code": "vat", "rate": 10}],
		charges=[{"code": "shipping", "amount": 5}],
		discounts=[{"amount": 1}],
	)
	lines = [
		{"external_id": "1", "quantity": 4, "unit_price": 6},
		{"external_id": "2", "remove": True},
		{"external_id": "3", "item_code": third, "quantity": 1, "unit_price": 7},
	]
	doc = changed(hub, sold, lines=lines, totals={"net": 30, "tax": 3, "grand": 38})
	assert rows_of(doc) == [("1", first, 4, 6, 24), ("3", third, 1, 7, 7)]
	assert (doc.net_total, doc.grand_total) == (30, 38)
	assert [bin_of(item, masters.warehouse)[1] for item in (first, second, third)] == [4, 0, 1]


def test_every_line_is_replaced(hub, masters, trade):
	first, second = trade.goods(), trade.goods()
	sold = bought(hub, {"item_code": first, "quantity": 2})
	lines = [
		{"external_id": "1", "remove": True},
		{"external_id": "2", "item_code": second, "quantity": 3, "unit_price": 4},
	]
	assert rows_of(changed(hub, sold, lines=lines)) == [("2", second, 3, 4, 12)]
	assert (bin_of(first, masters.warehouse), bin_of(second, masters.warehouse)) == ((100, 0), (100, 3))


def test_not_every_line_can_go(hub):
	sold = bought(hub, {}, {"quantity": 2})
	lines = [{"external_id": number, "remove": True} for number in ("1", "2")]
	refuse(hub, sold, 409, "state_conflict", ["/lines"], lines=lines)


@pytest.mark.parametrize(
	"line",
	[
		{"quantity": 2},
		{"remove": True},
		{"item_code": f.ITEM, "quantity": 2},
		{"item_code": f.ITEM, "unit_price": 2},
		{"quantity": 2, "unit_price": 2},
	],
)
def test_a_line_that_is_not_there(hub, line):
	sold = bought(hub, {})
	lines = [{"external_id": "1", "quantity": 3}, {"external_id": "9", **line}]
	refuse(hub, sold, 422, "unknown_line", ["/lines/1/external_id"], lines=lines)


@pytest.mark.parametrize(
	("field", "value", "kept"),
	[
		("item_code", f.SECOND_ITEM, f.ITEM),
		("sku", "no such item", f.ITEM),
		("barcode", "no such barcode", f.ITEM),
		("uom", "Box", "Nos"),
		("warehouse", "{second_warehouse}", "{warehouse}"),
	],
)
def test_a_line_keeps_its_item(hub, masters, field, value, kept):
	sold = bought(hub, {})
	line = {field: value.format(**masters), "quantity": 1}
	problem = refuse(hub, sold, 409, "state_conflict", [f"/lines/0/{field}"], **one(**line))
	assert kept.format(**masters) in problem["detail"]


def test_a_line_may_be_sent_again_as_it_is(hub, masters):
	sold = bought(hub, {})
	line = {"sku": f.ITEM, "barcode": f.BARCODE, "uom": "Nos", "warehouse": masters.warehouse}
	doc = changed(hub, sold, **one(**line, quantity=3))
	assert [(row.item_code, row.qty) for row in doc.items] == [(f.ITEM, 3)]


@pytest.mark.parametrize(
	("line", "code", "field"),
	[
		({"item_code": "no such item"}, "unknown_item", "item_code"),
		({"item_code": f.ITEM, "warehouse": "nowhere"}, "unknown_warehouse", "warehouse"),
		({"item_code": f.ITEM, "uom": "no such unit"}, "unknown_uom", "uom"),
		({"item_code": f.ITEM, "quantity": 1.5}, "quantity_not_whole", "quantity"),
		({"item_code": f.ITEM, "unit_price": "1.2345678"}, "validation_failed", "unit_price"),
		({"item_code": f.ITEM, "deliver_by": "2001-01-01"}, "validation_failed", "deliver_by"),
	],
)
def test_a_line_that_cannot_be_added(hub, line, code, field):
	sold = bought(hub, {})
	lines = [
		{"external_id": "1", "quantity": 3},
		{"external_id": "2", "quantity": 1, "unit_price": 1, **line},
	]
	refuse(hub, sold, 422, code, [f"/lines/1/{field}"], lines=lines)


@pytest.mark.parametrize(
	("line", "code", "field"),
	[
		({"quantity": 1.5}, "quantity_not_whole", "quantity"),
		({"unit_price": "1.2345678"}, "validation_failed", "unit_price"),
		({"deliver_by": "2001-01-01"}, "validation_failed", "deliver_by"),
		({"quantity": "999999999", "unit_price": "99999999"}, "validation_failed", None),
	],
)
def test_a_change_that_cannot_be_stored(hub, line, code, field):
	sold = bought(hub, {})
	refuse(hub, sold, 422, code, [f"/lines/0/{field}" if field else "/lines/0"], **one(**line))


def test_bundles_are_listed_again(hub, masters, trade):
	parent, first, second = trade.bundle()
	sold = bought(hub, {"item_code": parent, "quantity": 2})
	doc = changed(hub, sold, **one(quantity=3))
	assert [(row.item_code, row.qty) for row in doc.packed_items] == [(first, 6), (second, 3)]
	assert (bin_of(first, masters.warehouse), bin_of(second, masters.warehouse)) == ((100, 6), (100, 3))


def test_a_unit_with_a_conversion(hub, masters, trade):
	item = trade.goods(uoms=[{"uom": "Box", "conversion_factor": 12}])
	sold = bought(hub, {"item_code": item, "quantity": 3, "uom": "Box", "unit_price": 100})
	row = changed(hub, sold, **one(quantity=2)).items[0]
	assert (row.uom, row.conversion_factor, row.stock_qty, row.amount) == ("Box", 12, 24, 200)
	assert bin_of(item, masters.warehouse) == (100, 24)


# -- the head ------------------------------------------------------------------------------------------------------


def test_number_note_and_dates(hub, shop):
	sold = bought(hub, {}, {"quantity": 2}, order_number=unique("N"), note="first")
	day, later = add_days(nowdate(), 20), add_days(nowdate(), 40)
	number = unique("N")
	doc = changed(hub, sold, order_number=number, note="second", deliver_by=day)
	assert (doc.hub_order_number, doc.po_no, doc.hub_note) == (number, number, "second")
	assert [str(value) for value in (doc.delivery_date, *(row.delivery_date for row in doc.items))] == [
		day
	] * 3
	doc = changed(hub, sold, **one("2", deliver_by=later))
	assert [str(row.delivery_date) for row in doc.items] == [day, later]
	# What is not said stays.
	assert (doc.hub_order_number, doc.hub_note, str(doc.items[0].delivery_date)) == (number, "second", day)
	assert (doc.docstatus, doc.grand_total, doc.modified_by) == (1, 30, shop.user)


def test_the_number_is_the_customers_only_where_the_system_says_so(systems):
	plain = systems.like(order_number_as_po=0).http
	doc = changed(plain, bought(plain, {}), order_number="N-2")
	assert (doc.hub_order_number, doc.po_no) == ("N-2", None)


def test_number_and_note_can_be_taken_away(hub):
	sold = bought(hub, {}, order_number=unique("N"), note="first")
	doc = changed(hub, sold, order_number=None, note=None)
	assert (doc.hub_order_number or None, doc.po_no or None, doc.hub_note or None) == (None, None, None)


def test_a_day_before_the_order(hub):
	day = add_days(nowdate(), -1)
	problem = refuse(hub, bought(hub, {}), 422, "validation_failed", ["/deliver_by"], deliver_by=day)
	assert problem["errors"][0]["code"] == "date_before_order"


@pytest.fixture
def changeable(site):
	"""Let submitted orders change their addresses, as Customize Form does where ERPNext does not by itself."""
	fields = [
		name
		for name in ("customer_address", "shipping_address_name")
		if not frappe.get_meta("Sales Order").get_field(name).allow_on_submit
	]
	setters = [
		frappe.get_doc(
			{
				"doctype": "Property Setter",
				"doctype_or_field": "DocField",
				"doc_type": "Sales Order",
				"field_name": name,
				"property": "allow_on_submit",
				"property_type": "Check",
				"value": "1",
			}
		).insert()
		for name in fields
	]
	frappe.db.commit()
	frappe.clear_cache(doctype="Sales Order")
	yield
	frappe.db.rollback()
	for setter in setters:
		setter.delete()
	frappe.db.commit()
	frappe.clear_cache(doctype="Sales Order")


def test_addresses(hub, changeable):
	sold = bought(hub, {}, billing_address=address(), shipping_address=address(line1="1 Old Street"))
	before = fresh("Sales Order", sold.order["name"])
	doc = changed(hub, sold, shipping_address=address(line1="2 New Street"))
	assert doc.customer_address == before.customer_address
	assert doc.shipping_address_name != before.shipping_address_name
	assert "2 New Street" in doc.shipping_address
	assert "1 Old Street" in fresh("Address", before.shipping_address_name).address_line1
	doc = changed(hub, sold, billing_address=address(line1="3 Other Street"))
	assert "3 Other Street" in doc.address_display


def test_addresses_of_a_submitted_order(hub):
	"""What v15 lets change and v16 does not."""
	sold = bought(hub, {}, billing_address=address(), shipping_address=address(line1="1 Old Street"))
	allowed = frappe.get_meta("Sales Order").get_field("shipping_address_name").allow_on_submit
	for kind in ("billing", "shipping"):
		values = {f"{kind}_address": address(line1=f"2 New Street {kind}")}
		if allowed:
			assert changed(hub, sold, **values).docstatus == 1
			continue
		problem = refuse(hub, sold, 409, "state_conflict", [f"/{kind}_address"], **values)
		assert problem["documents"] == [{"doctype": "Sales Order", "name": sold.order["name"]}]


def test_addresses_of_a_draft(hub):
	sold = bought(hub, {}, submit=False, shipping_address=address(line1="1 Old Street"))
	doc = changed(hub, sold, shipping_address=address(line1="2 New Street"))
	assert "2 New Street" in doc.shipping_address


# -- drafts --------------------------------------------------------------------------------------------------------


def test_a_draft(hub, masters, trade):
	first, second = trade.goods(), trade.goods()
	sold = bought(
		hub, {"item_code": first, "quantity": 2}, {"item_code": first}, submit=False, order_number=unique("N")
	)
	lines = [
		{"external_id": "1", "quantity": 4, "unit_price": 6, "discount": {"percent": 50}},
		{"external_id": "2", "remove": True},
		{"external_id": "3", "item_code": second, "quantity": 1, "unit_price": 0, "warehouse": "east"},
	]
	number = unique("N")
	doc = changed(hub, sold, lines=lines, order_number=number, deliver_by=add_days(nowdate(), 9))
	assert rows_of(doc) == [("1", first, 4, 3, 12), ("3", second, 1, 0, 0)]
	assert [row.idx for row in doc.items] == [1, 2]
	assert (doc.docstatus, doc.status, doc.grand_total, doc.po_no) == (0, "Draft", 12, number)
	assert doc.items[1].warehouse == masters.second_warehouse
	assert bin_of(first, masters.warehouse) == (100, 0)
	doc.submit()
	frappe.db.commit()
	assert bin_of(first, masters.warehouse) == (100, 4)


# -- the totals gate -----------------------------------------------------------------------------------------------


def test_totals_that_differ(hub):
	sold = bought(hub, {"quantity": 2})
	problem = refuse(
		hub, sold, 422, "totals_differ", ["/totals/grand"], **one(quantity=3), totals={"grand": 31}
	)
	assert problem["totals"] == {"grand": {"sent": 31, "computed": 30}}
	assert changed(hub, sold, **one(quantity=3), totals={"grand": 30}).grand_total == 30


def test_a_held_order_is_put_right(system):
	holding = system(totals_policy="Hold as Draft")
	sold = bought(holding.http, {"quantity": 2}, totals={"grand": 30})
	assert (sold.order["docstatus"], bool(sold.order["held_because"])) == (0, True)
	doc = changed(holding.http, sold, **one(quantity=3), totals={"grand": 30})
	assert (doc.hub_held_because, doc.grand_total, doc.docstatus) == (None, 30, 0)


# -- what stands in the way ----------------------------------------------------------------------------------------


def test_less_than_is_delivered(hub, masters, trade):
	item = trade.goods()
	sold = bought(hub, {"item_code": item, "quantity": 5}, {"quantity": 2})
	note = cycle(hub, "fulfill", sold, lines=[{"external_id": "1", "quantity": 3}])
	problem = refuse(hub, sold, 409, "state_conflict", ["/lines/0/quantity"], **one(quantity=2))
	assert problem["documents"] == named(note)
	assert note.name in problem["detail"]
	problem = refuse(hub, sold, 409, "state_conflict", ["/lines/0"], **one(remove=True))
	assert problem["documents"] == named(note)
	doc = changed(hub, sold, **one(quantity=3))
	assert bin_of(item, masters.warehouse) == (97, 0)
	assert (doc.status, round(doc.per_delivered, 6)) == ("To Deliver and Bill", 60)
	# More of what was delivered in full is open again.
	changed(hub, sold, **one(quantity=4))
	assert bin_of(item, masters.warehouse) == (97, 1)


def test_less_than_is_billed(hub):
	sold = bought(hub, {"quantity": 5}, {"quantity": 2})
	invoice = cycle(hub, "invoice", sold, lines=[{"external_id": "1", "quantity": 3}])
	for line, pointer in (
		({"quantity": 2}, "/lines/0"),
		({"unit_price": 5}, "/lines/0"),
		({"unit_price": 0}, "/lines/0"),
	):
		problem = refuse(hub, sold, 409, "state_conflict", [pointer], **one(**line))
		assert problem["documents"] == named(invoice)
		assert invoice.name in problem["detail"]
	problem = refuse(hub, sold, 409, "state_conflict", ["/lines/0"], **one(remove=True))
	assert problem["documents"] == named(invoice)
	doc = changed(hub, sold, **one(quantity=3))
	assert (doc.items[0].billed_amt, doc.per_billed) == (30, 60)


def test_a_line_in_a_draft_invoice_is_not_dropped(hub):
	sold = bought(hub, {"quantity": 5}, {"quantity": 2})
	invoice = cycle(hub, "invoice", sold, lines=[{"external_id": "1", "quantity": 3}], submit=False)
	problem = refuse(hub, sold, 409, "state_conflict", ["/lines/0"], **one(remove=True))
	assert problem["documents"] == named(invoice)


def test_less_than_is_paid_in_advance(hub):
	sold = bought(hub, {"quantity": 5}, {"quantity": 2}, payments=[{"method": "Cash", "amount": 65}])
	entry = {"doctype": "Payment Entry", "name": sold.message["payments"][0]["name"]}
	for line in ({"quantity": 4}, {"unit_price": 8}, {"remove": True}):
		problem = refuse(hub, sold, 409, "state_conflict", ["/lines"], **one(**line))
		assert problem["documents"] == [entry]
	lines = [
		{"external_id": "1", "quantity": 4},
		{"external_id": "3", "item_code": f.ITEM, "quantity": 1, "unit_price": 5},
	]
	doc = changed(hub, sold, lines=lines)
	assert (doc.grand_total, doc.advance_paid) == (65, 65)


@pytest.mark.parametrize("state", ["Closed", "Cancelled"])
def test_orders_that_cannot_be_changed(hub, state):
	sold = bought(hub, {"quantity": 5})
	order = fresh("Sales Order", sold.order["name"])
	order.cancel() if state == "Cancelled" else order.update_status("Closed")
	frappe.db.commit()
	for values in (one(quantity=2), {"note": "late"}):
		problem = refuse(hub, sold, 409, "state_conflict", None, **values)
		assert problem["documents"] == named(order)
		assert state in problem["detail"]


def test_an_order_in_somebodys_hands(hub):
	sold = bought(hub, {"quantity": 5})
	order = fresh("Sales Order", sold.order["name"])
	order.lock()
	try:
		refuse(hub, sold, 503, "temporarily_unavailable", None, **one(quantity=2))
	finally:
		order.unlock()
	assert changed(hub, sold, **one(quantity=2)).grand_total == 20


def test_past_the_credit_limit(hub, factory, masters):
	customer = factory.customer(credit_limits=[{"company": masters.company, "credit_limit": 50}])
	sold = bought(hub, {"quantity": 4}, customer={"name": customer})
	refuse(hub, sold, 422, "credit_limit_exceeded", None, **one(quantity=6))
	assert changed(hub, sold, **one(quantity=5)).grand_total == 50


# -- who, and how often --------------------------------------------------------------------------------------------


def test_a_change_needs_a_key(hub):
	sold = bought(hub, {"quantity": 5})
	body = {"external_id": sold.order["external_id"], **one(quantity=2)}
	refused(lambda: hub.post("orders.update", body), 400, "idempotency_key_required")


def test_the_same_change_again_is_the_first_answer(hub):
	sold = bought(hub, {"quantity": 5})
	body, key = {"external_id": sold.order["external_id"], **one(quantity=2)}, unique("K")
	first = hub.post("orders.update", body, key=key)
	assert first.status == 200, first
	changed(hub, sold, **one(quantity=4))
	again = hub.post("orders.update", body, key=key)
	assert (again.status, again.content) == (200, first.content)
	assert fresh("Sales Order", sold.order["name"]).items[0].qty == 4


def test_a_rehearsal(hub, masters, trade):
	item = trade.goods()
	sold = bought(hub, {"item_code": item, "quantity": 5})
	answer = change(hub, sold, **one(quantity=2), validate_only=True)
	assert answer.status == 200, answer
	assert (answer.message["validated"], answer.order["grand_total"]) == (True, 20)
	assert fresh("Sales Order", sold.order["name"]).grand_total == 50
	assert bin_of(item, masters.warehouse) == (100, 5)


def test_by_name(hub):
	sold = bought(hub, {"quantity": 5})
	answer = hub.post("orders.update", {"name": sold.order["name"], **one(quantity=2)}, key=unique("K"))
	assert answer.status == 200, answer
	assert fresh("Sales Order", sold.order["name"]).grand_total == 20


def test_another_systems_order(hub, systems):
	sold = bought(hub, {})
	stranger = systems.like(order_number_as_po=0).http
	for target in ({"name": sold.order["name"]}, {"external_id": sold.order["external_id"]}):
		body = {**target, "note": "mine"}
		refused(lambda body=body: stranger.post("orders.update", body, key=unique("K")), 404, "not_found")


def test_without_the_scope_and_without_the_right(system):
	from integration_hub.tests.systems import all_scopes

	own = system()
	sold = bought(own.http, {"quantity": 5})
	own.change(scopes=all_scopes("orders:write"))
	refuse(own.http, sold, 403, "scope_missing", None, **one(quantity=2))
	own.change(scopes=all_scopes())
	user = frappe.get_doc("User", own.user)
	# With this role alone one reads orders.
	user.remove_roles(*(row.role for row in user.roles if row.role != "Accounts User"))
	frappe.db.commit()
	problem = refuse(own.http, sold, 403, "permission_denied", None, **one(quantity=2))
	assert (problem["doctype"], problem["right"]) == ("Sales Order", "write")
