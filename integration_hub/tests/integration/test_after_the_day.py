"""What a person reads later: terms that have passed, credit notes without money, what of an order is paid."""

import pytest

import frappe
from frappe.utils import add_days, getdate, nowdate

from integration_hub.tests import factories as f
from integration_hub.tests.factories import order, unique


@pytest.fixture(scope="module")
def item(factory, masters):
	code = factory.item()
	factory.stock(code, masters.warehouse, 100)
	return code


@pytest.fixture
def billed(hub, item):
	"""An order of four at 10, delivered and billed; nothing is paid."""
	body = order(lines=[f.line(external_id="1", item_code=item, quantity=4, unit_price=10)], taxes=[])
	answer = hub.post("sales.run", {"order": body, "fulfill": {}, "invoice": {}})
	assert answer.status == 201, answer
	return {"external_id": body["external_id"]}


def refund(hub, target: dict, **part) -> dict:
	answer = hub.post("sales.refund", {"external_id": unique("R"), "order": target, **part})
	assert answer.status == 201, answer
	return answer.message


def test_a_quotation_is_ordered_days_after_it_was_made(hub, factory, masters):
	quotation = factory.make(
		"Quotation",
		submit=True,
		quotation_to="Customer",
		party_name=f.CUSTOMER,
		company=factory.company,
		transaction_date=add_days(nowdate(), -8),
		valid_till=add_days(nowdate(), 8),
		ignore_pricing_rule=1,
		items=[{"item_code": f.ITEM, "qty": 3, "rate": 10}],
	)
	assert [getdate(row.due_date) for row in quotation.payment_schedule] == [getdate(add_days(nowdate(), -8))]
	answer = hub.post("orders.create", {"external_id": unique("ORD"), "quotation": {"name": quotation.name}})
	assert answer.status == 201, answer
	made = frappe.get_doc("Sales Order", answer.order["name"])
	assert [(row.due_date, row.payment_amount) for row in made.payment_schedule] == [(getdate(), 30)]


def test_a_credit_note_of_an_unpaid_invoice_is_no_draft(hub, billed):
	note = refund(hub, billed, lines=[{"external_id": "1", "quantity": 1}])["invoices"][0]
	assert (note["docstatus"], note["status"], note["outstanding"]) == (1, "Return", 0)
	assert frappe.db.get_value("Sales Invoice", note["name"], "status") == "Return"


def test_a_credit_is_no_payment(hub, billed):
	refund(hub, billed, lines=[{"external_id": "1", "quantity": 1}])
	status = hub.get("sales.status", **billed).message
	line = status["lines"][0]
	assert (line["billed_amount"], line["paid_amount"], status["totals"]["paid"]) == (30, 0, 0)
	hub.post("sales.pay", {"external_id": unique("P"), "order": billed, "method": "Cash", "amount": 15})
	status = hub.get("sales.status", **billed).message
	line = status["lines"][0]
	assert (line["billed_amount"], line["paid_amount"], status["totals"]["paid"]) == (30, 15, 15)


def test_a_credit_note_is_answered_as_the_money_back_leaves_it(hub, billed):
	hub.post("sales.pay", {"external_id": unique("P"), "order": billed, "method": "Cash"})
	message = refund(hub, billed, lines=[{"external_id": "1", "quantity": 1}], method="Cash")
	assert (message["invoices"][0]["outstanding"], message["payments"][0]["amount"]) == (0, 10)
