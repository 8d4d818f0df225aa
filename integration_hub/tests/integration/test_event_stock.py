"""`stock.changed`: each level that changed, once, however often it changed and whoever looks."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import pytest

import frappe
from frappe.utils import add_to_date

from integration_hub.outbound import stock, turns
from integration_hub.outbound.registry import BY_NAME
from integration_hub.tests import factories as f
from integration_hub.tests import site as the_site
from integration_hub.tests.events import Desk, Ear, new_request
from integration_hub.tests.factories import placed, unique
from integration_hub.tests.systems import all_scopes


@pytest.fixture
def goods(factory, masters):
	"""`goods(quantity)`: an item, and so many of it in the systems' warehouse."""

	def make(quantity: float = 10) -> str:
		item = factory.item()
		if quantity:
			factory.stock(item, masters.warehouse, quantity)
		return item

	return make


@pytest.fixture
def ear(listen):
	return listen.pull("stock.changed")


def look() -> None:
	"""Look for changed stock, after whoever is looking just now, and wait for who may look next."""
	for _turn in range(2):
		the_site.refresh()
		turns.wait_for(turns.STOCK)
		the_site.refresh()
		new_request()
		stock.look()
	turns.wait_for(turns.STOCK)
	the_site.refresh()


def told(ear: Ear, *items: str) -> list[tuple]:
	"""Look, and return (item, warehouse, actual, reserved, available) of each event since the last look."""
	look()
	levels = [row.data["stock"] for row in ear.news()]
	keys = ("item_code", "warehouse", "actual", "reserved", "available")
	found = [tuple(level[key] for key in keys) for level in levels]
	assert {level[0] for level in found} <= set(items)
	return found


@contextmanager
def nobody_looks():
	"""Keep the workers of the bench from looking while a test makes several changes."""
	connection = frappe.db.get_connection()
	cursor = connection.cursor()
	cursor.execute("BEGIN")
	cursor.execute("SELECT current FROM tabSeries WHERE name = %s FOR UPDATE", (turns.STOCK,))
	try:
		yield
	finally:
		connection.rollback()
		connection.close()


# -- what changes a level -------------------------------------------------------------------------------------------


def test_a_receipt(ear, goods, masters, factory):
	item = goods(10)
	look()
	(row,) = ear.news()
	name = frappe.db.get_value("Bin", {"item_code": item, "warehouse": masters.warehouse})
	assert (row.event, row.reference_doctype, row.reference_name) == ("stock.changed", "Bin", name)
	level = {"item_code": item, "warehouse": masters.warehouse, "unit": "Nos"}
	assert row.data == {"stock": {**level, "actual": 10, "reserved": 0, "available": 10}}
	assert BY_NAME[row.event].data.model_validate(row.data)
	assert row.caused_by is None
	factory.stock(item, masters.second_warehouse, 3)
	assert told(ear, item) == [(item, masters.second_warehouse, 3, 0, 3)]


def test_an_order_reserves_and_a_delivery_takes(ear, hub, goods, masters):
	item = goods(10)
	assert told(ear, item) == [(item, masters.warehouse, 10, 0, 10)]
	order = placed(hub, lines=[f.line(external_id="1", item_code=item, quantity=4)]).order
	assert told(ear, item) == [(item, masters.warehouse, 10, 4, 6)]
	target = {"external_id": order["external_id"]}
	sent = {"order": target, "lines": [{"external_id": "1", "quantity": 3}], "external_id": unique("X")}
	assert hub.post("sales.fulfill", sent).status == 201
	assert told(ear, item) == [(item, masters.warehouse, 7, 1, 6)]
	assert hub.post("orders.cancel", {**target, "cascade": True}).status == 200
	assert told(ear, item) == [(item, masters.warehouse, 10, 0, 10)]


def test_more_promised_than_there_is(ear, hub, goods, masters):
	item = goods(2)
	assert told(ear, item) == [(item, masters.warehouse, 2, 0, 2)]
	placed(hub, lines=[f.line(item_code=item, quantity=5)])
	assert told(ear, item) == [(item, masters.warehouse, 2, 5, -3)]


def test_drafts_change_nothing(ear, hub, goods):
	item = goods(10)
	look()
	ear.news()
	placed(hub, lines=[f.line(item_code=item)], submit=False)
	assert told(ear, item) == []


def test_who_caused_it_is_told_as_well(listen, systems, goods, masters):
	"""How much is left is news to him, too: others may have taken of it at the same time."""
	ear = listen.pull("stock.changed", system=systems.new())
	item = goods(10)
	look()
	ear.news()
	placed(ear.http, lines=[f.line(item_code=item, quantity=4)])
	assert told(ear, item) == [(item, masters.warehouse, 10, 4, 6)]


def test_a_worker_looks_once_goods_move(ear, goods, masters, site):
	"""Nobody looks here: the bell is rung by the document, and a worker of the bench hears it."""
	item = goods(10)
	site.wait_for("the level to be told", lambda: ear.events())
	(row,) = ear.events()
	assert (row.data["stock"]["item_code"], row.data["stock"]["available"]) == (item, 10)


# -- once ----------------------------------------------------------------------------------------------------------


def test_many_changes_are_told_as_one(ear, goods, factory, masters):
	with nobody_looks():
		item = goods(10)
		for _time in range(3):
			factory.stock(item, masters.warehouse, 5)
	assert told(ear, item) == [(item, masters.warehouse, 25, 0, 25)]
	assert told(ear) == []


def test_what_went_and_came_back_is_not_told(ear, hub, goods, masters):
	item = goods(10)
	assert told(ear, item) == [(item, masters.warehouse, 10, 0, 10)]
	with nobody_looks():
		order = placed(hub, lines=[f.line(item_code=item, quantity=4)]).order
		assert hub.post("orders.cancel", {"external_id": order["external_id"]}).status == 200
	assert told(ear, item) == []


def test_several_who_look_at_the_same_time_tell_it_once(ear, goods, masters, stack):
	with nobody_looks():
		items = [goods(quantity) for quantity in (1, 2, 3)]
	barrier = Barrier(4)

	def look_too(_number: int) -> int:
		frappe.init(stack.site, sites_path=".")
		frappe.connect()
		try:
			barrier.wait(30)
			return stock.look()
		finally:
			frappe.destroy()

	with ThreadPoolExecutor(4) as pool:
		list(pool.map(look_too, range(4)))
	levels = [(item, masters.warehouse, n, 0, n) for n, item in enumerate(items, 1)]
	assert sorted(told(ear, *items)) == sorted(levels)


def test_the_hour_that_autumn_repeats(ear, goods, factory, masters, site):
	"""After the clock is set back, Bins are modified earlier than those told last."""
	first, second = goods(1), goods(2)
	assert len(told(ear, first, second)) == 2
	(newest,) = frappe.db.sql("SELECT max(modified) FROM `tabHub Stock Level`")[0]
	with nobody_looks():
		factory.stock(first, masters.warehouse, 6)
		name = frappe.db.get_value("Bin", {"item_code": first, "warehouse": masters.warehouse})
		site.set_row("Bin", name, modified=add_to_date(newest, hours=-1))
	assert told(ear, first) == [(first, masters.warehouse, 7, 0, 7)]
	assert told(ear) == []


# -- who is told, and from when on ----------------------------------------------------------------------------------


def test_who_begins_to_listen_is_not_told_of_all_there_is(listen, goods, factory, masters):
	item = goods(10)
	ear = listen.pull("stock.*")
	assert told(ear) == []
	factory.stock(item, masters.warehouse, 1)
	assert told(ear, item) == [(item, masters.warehouse, 11, 0, 11)]
	assert ear.http.post("webhooks.delete", {"id": ear.webhook}).status == 200
	# While nobody listens.
	factory.stock(item, masters.warehouse, 1)
	later = listen.pull("stock.*")
	assert told(later) == []
	factory.stock(item, masters.warehouse, 1)
	assert told(later, item) == [(item, masters.warehouse, 13, 0, 13)]


def test_a_second_listener_takes_nothing_from_the_first(listen, ear, goods, masters):
	with nobody_looks():
		item = goods(10)
		second = listen.pull("stock.*")
	level = (item, masters.warehouse, 10, 0, 10)
	assert told(ear, item) == [level]
	assert [row.data["stock"]["available"] for row in second.news()] == [10]


def test_stock_of_another_company(listen, ear, systems, factory, masters, goods):
	other = factory.make(
		"Company",
		company_name=unique("HT Stock"),
		abbr=unique("S")[-8:],
		default_currency="USD",
		country="United States",
	).name
	maps = {name: [] for name in ("charge_map", "tax_map", "payment_method_map", "warehouse_map")}
	theirs = listen.pull("stock.*", system=systems.new(company=other, warehouse=None, **maps))
	item = goods(0)
	warehouse = frappe.db.get_value("Warehouse", {"company": other, "is_group": 0, "disabled": 0})
	row = {"item_code": item, "qty": 2, "rate": 10, "warehouse": warehouse}
	Desk(masters, item).order(company=other, items=[row])
	assert told(theirs, item) == [(item, warehouse, 0, 2, -2)]
	assert told(ear) == []


def test_stock_the_user_may_not_see(listen, ear, factory, masters, goods):
	store = listen.pull("stock.*")
	taken = listen.pull("stock.*")
	factory.make(
		"User Permission", user=store.system.user, allow="Warehouse", for_value=masters.second_warehouse
	)
	user = frappe.get_doc("User", taken.system.user)
	user.remove_roles(*[row.role for row in user.roles])
	frappe.db.commit()
	item = goods(10)
	factory.stock(item, masters.second_warehouse, 3)
	look()
	assert sorted(row.data["stock"]["actual"] for row in ear.news()) == [3, 10]
	assert [row.data["stock"]["actual"] for row in store.news()] == [3]
	assert taken.heard() == []


def test_without_the_scope(listen, systems, goods):
	ear = listen.pull("*", system=systems.new(scopes=all_scopes("stock:read")))
	other = listen.pull("stock.*")
	item = goods(10)
	assert len(told(other, item)) == 1
	assert ear.heard() == []
