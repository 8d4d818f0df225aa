"""`sales.refund` of goods that are told apart: serial numbers, batches, bundles, and rows of several parcels."""

import pytest

import frappe

from integration_hub.tests import books, site
from integration_hub.tests.books import bin_of, fresh, moved, packed
from integration_hub.tests.factories import unique
from integration_hub.tests.trade import Trade, bought


@pytest.fixture(scope="module")
def trade(factory, masters):
	return Trade(factory, masters.warehouse)


def call(http, verb: str, sold, **values):
	body = {"external_id": unique("X"), "order": {"external_id": sold.order["external_id"]}, **values}
	return http.post(verb, body)


def done(http, verb: str, sold, **values):
	"""Call, see that it was done, and return the answer's message."""
	answer = call(http, verb, sold, **values)
	assert answer.status == 201, answer
	return answer.message


def refuse(http, sold, status: int, code: str, pointers: list[str], **values) -> dict:
	return books.refused(lambda: call(http, "sales.refund", sold, **values), status, code, pointers)


def one(quantity: float | None = None, external_id: str = "1", **values) -> dict:
	return {"external_id": external_id, **({"quantity": quantity} if quantity else {}), **values}


def where(serials: list[str]) -> list[str | None]:
	site.refresh()
	return [frappe.db.get_value("Serial No", serial, "warehouse") or None for serial in serials]


def came_back(message) -> list[list[str]]:
	"""Return the serial numbers of each document of a refund that moved goods."""
	documents = [*message["fulfillments"], *(row for row in message["invoices"] if row["updates_stock"])]
	return sorted([row[0] for row in packed(document["name"])] for document in documents)


@pytest.fixture
def two_parcels(hub, trade):
	"""An order of four serial numbers, delivered two by two, and billed."""
	item, serials = trade.serials(4)
	sold = bought(hub, {"item_code": item, "quantity": 4})
	for own in (serials[:2], serials[2:]):
		done(hub, "sales.fulfill", sold, lines=[one(2, serials=own)])
	done(hub, "sales.invoice", sold)
	return sold, serials


def test_serial_numbers_of_two_parcels(hub, masters, two_parcels):
	sold, (first, second, third, fourth) = two_parcels
	message = done(hub, "sales.refund", sold, lines=[one(2, serials=[fourth, first])])
	assert came_back(message) == sorted([[first], [fourth]])
	assert where([first, second, third, fourth]) == [masters.warehouse, None, None, masters.warehouse]
	message = done(hub, "sales.refund", sold)
	assert came_back(message) == sorted([[second], [third]])
	assert where([first, second, third, fourth]) == [masters.warehouse] * 4


def test_the_same_line_twice_with_other_serial_numbers(hub, masters, two_parcels):
	sold, (first, second, third, _fourth) = two_parcels
	lines = [
		one(1, serials=[second]),
		one(1, serials=[first], warehouse=masters.second_warehouse),
		one(1, serials=[third]),
	]
	message = done(hub, "sales.refund", sold, lines=lines)
	assert came_back(message) == sorted([sorted([first, second]), [third]])
	assert where([first, second, third]) == [
		masters.second_warehouse,
		masters.warehouse,
		masters.warehouse,
	]
	assert sum(row["grand_total"] for row in message["invoices"]) == -30


def test_serial_numbers_that_cannot_come_back(hub, trade, two_parcels):
	sold, serials = two_parcels
	item = sold.order["lines"][0]["item_code"]
	trade.factory.stock(item, trade.warehouse, 1, serial_no=(elsewhere := unique("SN")))
	other = bought(hub, {"item_code": item})
	done(hub, "sales.fulfill", other, lines=[one(serials=[elsewhere])])
	for wrong in ("no such serial", elsewhere, serials[1].lower()):
		lines = [one(2, serials=[serials[0], wrong])]
		refuse(hub, sold, 422, "serial_not_available", ["/lines/0/serials/1"], lines=lines)
	lines = [one(1, serials=[serials[0]]), one(1, serials=[serials[0]])]
	refuse(hub, sold, 422, "serial_not_available", ["/lines/1/serials/0"], lines=lines)
	lines = [one(1, serials=serials[:2])]
	refuse(hub, sold, 422, "serial_required", ["/lines/0/serials"], lines=lines)
	refuse(hub, sold, 422, "serial_required", ["/lines/0/serials"], lines=[one(1)])
	lines = [one(2, serials=[serials[0]] * 2)]
	problem = refuse(hub, sold, 422, "validation_failed", ["/lines/0"], lines=lines)
	assert [fault["code"] for fault in problem["errors"]] == ["duplicate_serial"]


@pytest.mark.parametrize("update_stock", [False, True])
def test_part_of_a_serial_item_without_restock(update_stock, hub, trade):
	item, serials = trade.serials(3)
	sold = bought(hub, {"item_code": item, "quantity": 3})
	lines = [one(3, serials=serials)]
	if update_stock:
		done(hub, "sales.invoice", sold, update_stock=True, lines=lines)
	else:
		done(hub, "sales.fulfill", sold, lines=lines)
		done(hub, "sales.invoice", sold)
	message = done(hub, "sales.refund", sold, lines=[one(1, restock=False)])
	(note,) = message["invoices"]
	assert (note["grand_total"], note["updates_stock"], message["fulfillments"]) == (-10, False, [])
	assert (moved(note["name"]), packed(note["name"])) == ([], [])
	assert where(serials) == [None] * 3
	message = done(hub, "sales.refund", sold, lines=[one(1, serials=[serials[1]])])
	assert came_back(message) == [[serials[1]]]
	assert where(serials) == [None, trade.warehouse, None]


def test_billed_and_not_delivered_serial_items(hub, trade):
	"""No goods move, so nobody is asked which."""
	item, _serials = trade.serials(3)
	sold = bought(hub, {"item_code": item, "quantity": 3})
	done(hub, "sales.invoice", sold)
	message = done(hub, "sales.refund", sold, lines=[one(1)])
	assert [row["grand_total"] for row in message["invoices"]] == [-10]
	assert message["fulfillments"] == []


def test_batches_of_one_parcel(hub, masters, trade):
	item, (first, second) = trade.batches(2, 5)
	sold = bought(hub, {"item_code": item, "quantity": 6})
	done(hub, "sales.fulfill", sold, lines=[one(2, batch=first), one(4, batch=second)])
	done(hub, "sales.invoice", sold)
	message = done(hub, "sales.refund", sold, lines=[one(3, batch=second)])
	(back,) = message["fulfillments"]
	assert moved(back["name"]) == [(item, masters.warehouse, 3)]


def test_a_row_that_came_back_leaves_the_others_to_bill(hub, trade):
	"""One delivery, two rows of one line: the first is billed, returned and credited, the second still to be billed."""
	item, (first, second) = trade.batches(2, 5)
	sold = bought(hub, {"item_code": item, "quantity": 6})
	message = done(hub, "sales.fulfill", sold, lines=[one(2, batch=first), one(4, batch=second)])
	delivery = {"name": message["fulfillments"][0]["name"]}

	def billed(**values) -> list[float]:
		answer = hub.post("sales.invoice", {"external_id": unique("X"), "fulfillment": delivery, **values})
		assert answer.status == 201, answer
		return [row["quantity"] for row in answer.message["invoices"][0]["lines"]]

	assert billed(lines=[one(2)]) == [2]
	message = done(hub, "sales.refund", sold, lines=[one(2, batch=first)])
	assert packed(message["fulfillments"][0]["name"]) == [(None, first, trade.warehouse, 2)]
	assert billed() == [4]
	order = fresh("Sales Order", sold.order["name"])
	assert [row.billed_amt for row in order.items] == [40]


# -- product bundles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("update_stock", [False, True])
@pytest.mark.parametrize("number", ["1", "2", "3"])
def test_one_of_several_lines_of_a_bundle(number, update_stock, hub, masters, trade, factory):
	"""The parts come back in the quantity of that line, to where it left from."""
	bundle, first, second = trade.bundle()
	stores = [masters.warehouse, masters.second_warehouse, masters.warehouse]
	for part in (first, second):
		factory.stock(part, masters.second_warehouse, 100)
	lines = [
		{"item_code": bundle, "quantity": quantity, "warehouse": store}
		for quantity, store in zip((2, 3, 5), stores, strict=True)
	]
	sold = bought(hub, *lines)
	if update_stock:
		message = done(hub, "sales.invoice", sold, update_stock=True)
	else:
		message = done(hub, "sales.fulfill", sold)
		done(hub, "sales.invoice", sold)
	mover = (message["invoices"] or message["fulfillments"])[0]["name"]
	assert moved(mover) == sorted(
		(part, store, -quantity * each)
		for quantity, store in zip((2, 3, 5), stores, strict=True)
		for part, each in ((first, 2), (second, 1))
	)
	message = done(hub, "sales.refund", sold, lines=[one(1, number)])
	back = (message["invoices"] if update_stock else message["fulfillments"])[0]["name"]
	store = stores[int(number) - 1]
	assert moved(back) == sorted([(first, store, 2), (second, store, 1)])
	done(hub, "sales.refund", sold)
	assert [bin_of(part, store)[0] for part in (first, second) for store in set(stores)] == [100] * 4


def test_a_bundle_comes_back_to_another_warehouse(hub, masters, trade):
	bundle, first, second = trade.bundle()
	sold = bought(hub, {"item_code": bundle, "quantity": 2})
	done(hub, "sales.fulfill", sold)
	message = done(hub, "sales.refund", sold, lines=[one(1, warehouse=masters.second_warehouse)])
	(back,) = message["fulfillments"]
	assert moved(back["name"]) == sorted(
		[(first, masters.second_warehouse, 2), (second, masters.second_warehouse, 1)]
	)


# -- days ----------------------------------------------------------------------------------------------------------


def test_a_return_in_the_future(hub, trade):
	moment = "2999-01-01T00:00:00"
	sold = bought(hub, {"item_code": trade.goods()})
	done(hub, "sales.fulfill", sold)
	problem = refuse(hub, sold, 422, "validation_failed", ["/posting_at"], posting_at=moment)
	assert [fault["code"] for fault in problem["errors"]] == ["date_in_future"]
	run = {"order": {"external_id": sold.order["external_id"]}, "refund": {"posting_at": moment}}
	books.refused(
		lambda: hub.post("sales.run", run, key=unique("K")), 422, "validation_failed", ["/refund/posting_at"]
	)


# -- advances on several accounts ------------------------------------------------------------------------------------


def test_advances_on_several_accounts(hub, factory, masters):
	"""They are refused by name; one that was taken off the order does not count."""
	from erpnext.accounts.doctype.payment_entry.payment_entry import get_payment_entry
	from erpnext.accounts.utils import unlink_ref_doc_from_payment_entries

	receivable = frappe.get_cached_value("Company", masters.company, "default_receivable_account")
	account = factory.make(
		"Account",
		account_name=unique("HT Debtors"),
		parent_account=frappe.db.get_value("Account", receivable, "parent_account"),
		account_type="Receivable",
		company=masters.company,
	).name
	sold = bought(hub, {}, customer={"name": factory.customer()})
	first = done(hub, "sales.pay", sold, method="Cash", amount=4)["payments"][0]["name"]
	entry = get_payment_entry("Sales Order", sold.order["name"], party_amount=3, bank_account=masters.cash)
	entry.update({"paid_from": account, "reference_no": "by hand", "reference_date": entry.posting_date})
	second = entry.insert().submit()
	frappe.db.commit()
	problem = refuse(hub, sold, 422, "payment_not_bookable", ["/method"], method="Cash")
	assert problem["documents"] == [
		{"doctype": "Payment Entry", "name": name} for name in sorted([first, second.name])
	]
	assert first in problem["detail"] and second.name in problem["detail"]
	unlink_ref_doc_from_payment_entries(fresh("Sales Order", sold.order["name"]), second.name)
	frappe.db.commit()
	message = done(hub, "sales.refund", sold, method="Cash")
	assert [(row["type"], row["amount"]) for row in message["payments"]] == [("pay", 4)]
