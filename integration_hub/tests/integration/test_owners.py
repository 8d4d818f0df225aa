"""Whose a document is: numbers that ERPNext uses again, documents people made, invoices of several orders."""

import pytest

import frappe

from erpnext.selling.doctype.sales_order.sales_order import make_sales_invoice

from integration_hub.tests import expect, site
from integration_hub.tests.factories import line, placed, unique


@pytest.fixture(scope="module")
def service(factory):
	return factory.item(is_stock_item=0)


@pytest.fixture
def customer(factory):
	return factory.customer()


def order_of(http, service: str, customer: str, **overrides) -> dict:
	lines = [line(external_id="1", item_code=service, quantity=10)]
	return placed(http, customer={"name": customer}, lines=lines, **overrides).order


def billed_by_a_person(*orders: str):
	"""Bill orders on one invoice, as a person does in the Desk."""
	site.refresh()
	doc = None
	for order in orders:
		doc = make_sales_invoice(order, target_doc=doc)
	doc.submit()
	frappe.db.commit()
	return doc


def test_a_number_that_is_used_again_leads_nobody_elsewhere(systems, service, customer):
	ours, theirs = systems.new(reserve_numbers=0), systems.new(reserve_numbers=0)
	draft = order_of(ours.http, service, customer, submit=False)
	site.refresh()
	frappe.delete_doc("Sales Order", draft["name"])
	frappe.db.commit()
	again = order_of(theirs.http, service, customer)
	assert again["name"] == draft["name"], "ERPNext gave another number"
	target = {"external_id": draft["external_id"]}
	expect.problem(ours.http.get("orders.get", **target), 404, "not_found")
	with expect.nothing_made():
		answers = [
			ours.http.post("sales.invoice", {"order": target, "external_id": unique("INV")}),
			ours.http.post("sales.pay", {"order": target, "method": "Cash", "external_id": unique("PAY")}),
			ours.http.post("orders.cancel", {**target, "cascade": True}),
		]
	for answer in answers:
		expect.problem(answer, 404, "not_found")
	assert theirs.http.get("orders.get", external_id=again["external_id"]).order["docstatus"] == 1


def test_what_a_person_made_of_another_systems_order_is_theirs(hub, systems, service, customer):
	order = order_of(hub, service, customer)
	invoice = billed_by_a_person(order["name"])
	stranger = systems.new().http
	with expect.nothing_made():
		answers = [
			stranger.post(verb, {"invoice": {"name": invoice.name}, "external_id": unique("X"), **more})
			for verb, more in (("sales.pay", {"method": "Cash"}), ("sales.refund", {"amount": 1}))
		]
	for answer in answers:
		expect.problem(answer, 404, "not_found", ["/invoice"])
	paid = hub.post(
		"sales.pay", {"invoice": {"name": invoice.name}, "method": "Cash", "external_id": unique("PAY")}
	)
	assert paid.status == 201, paid


def test_an_invoice_of_two_orders_is_named(hub, service, customer):
	first, second = (order_of(hub, service, customer) for _ in range(2))
	invoice = billed_by_a_person(first["name"], second["name"])
	target = {"external_id": first["external_id"]}
	with expect.nothing_made():
		answers = [
			hub.post("sales.pay", {"order": target, "method": "Cash", "external_id": unique("PAY")}),
			hub.post("sales.refund", {"order": target, "amount": 150, "external_id": unique("R")}),
		]
	for answer in answers:
		problem = expect.problem(answer, 409, "state_conflict")
		assert {row["name"] for row in problem["documents"]} == {invoice.name, second["name"]}
	paid = hub.post(
		"sales.pay", {"invoice": {"name": invoice.name}, "method": "Cash", "external_id": unique("PAY")}
	)
	assert (paid.status, paid.message["payments"][0]["amount"]) == (201, 200)
