"""The outbox: each event is written with its document, once, for the systems that may know of it, and for nobody else."""

import pytest

import frappe
from frappe.utils import nowdate

from erpnext.accounts.doctype.payment_entry.payment_entry import get_payment_entry
from erpnext.accounts.doctype.sales_invoice.sales_invoice import make_sales_return as make_credit_note
from erpnext.selling.doctype.sales_order.sales_order import make_delivery_note, make_sales_invoice
from erpnext.stock.doctype.delivery_note.delivery_note import make_sales_return as make_return

from integration_hub.outbound.registry import matching
from integration_hub.tests import factories as f
from integration_hub.tests.events import by_hand
from integration_hub.tests.factories import order, placed, unique
from integration_hub.tests.systems import all_scopes
from integration_hub.tests.trade import written


@pytest.fixture(scope="module")
def item(factory, masters):
	code = factory.item()
	factory.stock(code, masters.warehouse, 1000)
	return code


@pytest.fixture
def ear(listen, systems):
	"""A system that calls nothing and is told of everything, but for stock, which comes when a worker looks."""
	return listen.pull("*", system=systems.like(scopes=all_scopes("stock:read")))


@pytest.fixture
def sold(hub, item):
	"""`sold(**order)`: place an order of 3 × 10 and 1 × 5, and return what names it in other calls."""

	def make(http=hub, **overrides) -> dict:
		return {"external_id": placed(http, lines=cart(item), **overrides).order["external_id"]}

	return make


def cart(item: str) -> list[dict]:
	return [
		f.line(external_id="1", item_code=item, quantity=3),
		f.line(external_id="2", item_code=item, quantity=1, unit_price=5),
	]


def called(http, verb: str, **body) -> dict:
	"""Call a verb, see that it worked, and return the answer's message."""
	answer = http.post(verb, {"external_id": unique("X"), **body}, key=unique("K"))
	assert answer.status in (200, 201), answer
	return answer.message


def one(quantity: float = 1, line: str = "1") -> list[dict]:
	return [{"external_id": line, "quantity": quantity}]


# -- what the hub's own verbs raise ---------------------------------------------------------------------------------


def test_an_order_delivered_and_billed_in_parts(hub, ear, sold):
	target = sold()
	assert ear.heard() == ["order.submitted"]
	called(hub, "sales.fulfill", order=target, lines=one(2))
	assert ear.heard() == ["fulfillment.created", "order.partially_fulfilled"]
	called(hub, "sales.fulfill", order=target)
	assert ear.heard() == ["fulfillment.created", "order.fulfilled"]
	called(hub, "sales.invoice", order=target, lines=one(2))
	assert ear.heard() == ["invoice.submitted", "order.partially_billed"]
	called(hub, "sales.invoice", order=target)
	assert ear.heard() == ["invoice.submitted", "order.billed"]
	called(hub, "sales.pay", order=target, method="Cash", amount=10)
	assert ear.heard() == ["payment.received", "invoice.partially_paid"]
	called(hub, "sales.pay", order=target, method="Cash")
	assert ear.heard() == ["payment.received", "invoice.paid", "invoice.paid", "order.paid"]


def test_what_comes_back(hub, ear, sold):
	target = sold()
	for verb in ("fulfill", "invoice"):
		called(hub, f"sales.{verb}", order=target)
	called(hub, "sales.pay", order=target, method="Cash")
	assert ear.heard()[-3:] == ["payment.received", "invoice.paid", "order.paid"]
	called(hub, "sales.refund", order=target, lines=one(), method="Cash")
	part = ["credit_note.submitted", "fulfillment.returned", "order.partially_fulfilled", "payment.refunded"]
	assert ear.heard() == part
	called(hub, "sales.refund", order=target, lines=[{**one(2)[0], "restock": False}])
	assert ear.heard() == ["credit_note.submitted"]


def test_a_cancelled_order_takes_all_with_it(hub, ear, sold):
	target = sold()
	for verb in ("fulfill", "invoice"):
		called(hub, f"sales.{verb}", order=target)
	called(hub, "sales.pay", order=target, method="Cash")
	ear.heard()
	called(hub, "orders.cancel", **target, cascade=True)
	assert ear.heard() == [
		"payment.cancelled",
		"invoice.unpaid",
		"invoice.cancelled",
		"order.unbilled",
		"fulfillment.cancelled",
		"order.unfulfilled",
		"order.cancelled",
	]


def test_drafts(hub, ear, sold):
	target = sold(submit=False)
	assert ear.heard() == ["order.created"]
	called(hub, "orders.cancel", **target)
	assert ear.heard() == ["order.cancelled"]
	target = sold()
	ear.heard()
	called(hub, "sales.fulfill", order=target, submit=False)
	called(hub, "sales.invoice", order=target, submit=False)
	assert ear.heard() == []


def test_a_changed_order(hub, ear, sold):
	target = sold()
	ear.heard()
	called(hub, "orders.update", **target, order_number=unique("N"))
	assert ear.heard() == ["order.updated"]
	called(hub, "orders.update", **target, lines=[{"external_id": "1", "quantity": 7}])
	assert ear.heard() == ["order.updated"]


def test_an_invoice_that_moves_the_goods(hub, ear, sold):
	target = sold()
	ear.heard()
	called(hub, "sales.invoice", order=target, update_stock=True, lines=one(2))
	assert ear.heard() == ["invoice.submitted", "order.partially_billed", "order.partially_fulfilled"]
	called(hub, "sales.invoice", order=target, update_stock=True)
	assert ear.heard() == ["invoice.submitted", "order.billed", "order.fulfilled"]


def test_an_order_paid_in_advance(hub, ear, sold):
	target = sold()
	called(hub, "sales.pay", order=target, method="Cash", amount=20)
	assert ear.heard() == ["order.submitted", "payment.received"]
	called(hub, "sales.invoice", order=target, lines=one(3))
	assert ear.heard() == ["invoice.submitted", "order.partially_billed", "invoice.partially_paid"]
	target = sold()
	called(hub, "sales.pay", order=target, method="Cash")
	ear.heard()
	called(hub, "sales.invoice", order=target)
	assert ear.heard() == ["invoice.submitted", "order.billed", "invoice.paid", "order.paid"]


ALONE = [
	"order.submitted",
	"order.fulfilled",
	"order.billed",
	"order.paid",
	"invoice.paid",
	"payment.received",
]


@pytest.mark.parametrize("name", [*ALONE, "fulfillment.created", "invoice.submitted"])
def test_a_name_asked_for_alone(name, hub, listen, item):
	"""What nobody wants is not even looked for: that must not take with it what somebody does."""
	alone = listen.pull(name)
	run(hub, item)
	assert alone.heard() == [name]


@pytest.mark.parametrize("pattern", ["order.*", "invoice.*", "payment.*", "fulfillment.*"])
def test_patterns(pattern, hub, ear, listen, item):
	some = listen.pull(pattern)
	run(hub, item, refund={"lines": one()})
	every = ear.heard()
	names = {event.name for event in matching(pattern)}
	assert some.heard() == [name for name in every if name in names] != []


def run(http, item: str, mode: str = "atomic", **parts) -> dict:
	body = {"order": order(lines=cart(item)), "mode": mode, "fulfill": {}, "invoice": {}}
	answer = http.post("sales.run", {**body, "pay": {"method": "Cash"}, **parts})
	assert answer.status == 201, answer
	return answer.message


# -- what people do in ERPNext --------------------------------------------------------------------------------------


class Desk:
	"""A person's documents, each saved in a request of its own."""

	def __init__(self, masters, item: str):
		self.masters, self.item = masters, item

	def order(self, quantity: float = 4, submit: bool = True, **values):
		row = {"item_code": self.item, "qty": quantity, "rate": 10, "warehouse": self.masters.warehouse}
		doc = frappe.get_doc(
			{
				"doctype": "Sales Order",
				"company": self.masters.company,
				"customer": f.CUSTOMER,
				"delivery_date": nowdate(),
				"items": [row],
				**values,
			}
		)
		return self.saved(doc, submit)

	def invoice(self, quantity: float, rate: float, **values):
		row = {"item_code": self.item, "qty": quantity, "rate": rate, "warehouse": self.masters.warehouse}
		head = {"company": self.masters.company, "customer": f.CUSTOMER, "items": [row], **values}
		return self.saved(frappe.get_doc({"doctype": "Sales Invoice", **head}))

	def saved(self, doc, submit: bool = True):
		with by_hand():
			doc.insert()
			if submit:
				doc.submit()
		return doc

	def journal(self, invoice, amount: float):
		receivable = {"account": invoice.debit_to, "party_type": "Customer", "party": invoice.customer}
		pays = {"reference_type": "Sales Invoice", "reference_name": invoice.name}
		rows = [
			{"account": self.masters.cash, "debit_in_account_currency": amount},
			{**receivable, **pays, "credit_in_account_currency": amount},
		]
		return self.saved(
			frappe.get_doc(
				{
					"doctype": "Journal Entry",
					"company": self.masters.company,
					"posting_date": nowdate(),
					"accounts": rows,
				}
			)
		)

	def payment(self, invoice: str, submit: bool = True):
		entry = get_payment_entry("Sales Invoice", invoice)
		entry.update({"reference_no": "1", "reference_date": nowdate()})
		return self.saved(entry, submit)

	def cancel(self, doc) -> None:
		with by_hand():
			doc.reload()
			doc.cancel()


@pytest.fixture
def desk(masters, item):
	return Desk(masters, item)


def test_an_order_by_hand(ear, desk):
	sales_order = desk.order(submit=False)
	assert ear.heard() == ["order.created"]
	with by_hand():
		sales_order.po_no = unique("PO")
		sales_order.save()
	assert ear.heard() == ["order.updated"]
	with by_hand():
		sales_order.submit()
	assert ear.heard() == ["order.submitted"]
	with by_hand():
		sales_order.po_no = unique("PO")
		sales_order.save()
	assert ear.heard() == ["order.updated"]
	desk.cancel(sales_order)
	assert ear.heard() == ["order.cancelled"]
	amended = frappe.copy_doc(sales_order)
	amended.amended_from = sales_order.name
	desk.saved(amended)
	assert ear.heard() == ["order.created", "order.submitted"]
	desk.cancel(amended)
	with by_hand():
		frappe.delete_doc("Sales Order", amended.name)
	news = ear.news()
	assert [(row.event, row.reference_name) for row in news] == [
		("order.cancelled", amended.name),
		("order.deleted", amended.name),
	]


def test_a_delivery_by_hand(ear, desk):
	sales_order = desk.order()
	ear.heard()
	note = make_delivery_note(sales_order.name)
	note.items[0].qty = 1
	desk.saved(note, submit=False)
	assert ear.heard() == []
	with by_hand():
		note.save()
	assert ear.heard() == []
	with by_hand():
		note.submit()
	assert ear.heard() == ["fulfillment.created", "order.partially_fulfilled"]
	with by_hand():
		note.hub_tracking_number = "1Z"
		note.save()
	news = ear.news()
	assert [row.event for row in news] == ["fulfillment.updated"]
	assert news[0].data["fulfillment"]["tracking_number"] == "1Z"
	back = desk.saved(make_return(note.name))
	assert ear.heard() == ["fulfillment.returned", "order.unfulfilled"]
	desk.cancel(back)
	assert ear.heard() == ["fulfillment.cancelled", "order.partially_fulfilled"]
	desk.cancel(note)
	assert ear.heard() == ["fulfillment.cancelled", "order.unfulfilled"]


def test_an_invoice_paid_by_journal_and_payment(ear, desk):
	sales_order = desk.order()
	ear.heard()
	invoice = desk.saved(make_sales_invoice(sales_order.name), submit=False)
	assert ear.heard() == []
	with by_hand():
		invoice.submit()
	assert ear.heard() == ["invoice.submitted", "order.billed"]
	journal = desk.journal(invoice, 15)
	assert ear.heard() == ["invoice.partially_paid"]
	payment = desk.payment(invoice.name, submit=False)
	assert ear.heard() == []
	with by_hand():
		payment.submit()
	assert ear.heard() == ["payment.received", "invoice.paid", "order.paid"]
	desk.cancel(payment)
	assert ear.heard() == ["payment.cancelled", "invoice.partially_paid"]
	desk.cancel(journal)
	assert ear.heard() == ["invoice.unpaid"]
	desk.journal(invoice, 40)
	assert ear.heard() == ["invoice.paid", "order.paid"]


def test_credit_by_hand(ear, desk):
	sales_order = desk.order()
	invoice = desk.saved(make_sales_invoice(sales_order.name))
	ear.heard()
	note = desk.saved(make_credit_note(invoice.name))
	assert ear.heard() == ["credit_note.submitted"]
	desk.cancel(note)
	assert ear.heard() == ["invoice.cancelled"]
	counted = make_credit_note(invoice.name)
	counted.update_billed_amount_in_sales_order = 1
	desk.saved(counted)
	assert ear.heard() == ["credit_note.submitted", "order.unbilled"]
	desk.cancel(counted)
	assert ear.heard() == ["invoice.cancelled", "order.billed"]
	desk.cancel(invoice)
	assert ear.heard() == ["invoice.cancelled", "order.unbilled"]


def test_an_invoice_without_an_order(ear, desk):
	invoice = desk.invoice(2, 10, update_stock=1)
	assert ear.heard() == ["invoice.submitted"]
	desk.payment(invoice.name)
	assert ear.heard() == ["payment.received", "invoice.paid"]


def test_money_that_is_no_customers(ear, desk, masters):
	moved = {"payment_type": "Internal Transfer", "paid_from": masters.cash, "paid_to": masters.bank}
	entry = {"company": masters.company, "paid_amount": 5, "received_amount": 5, **moved}
	desk.saved(
		frappe.get_doc(
			{"doctype": "Payment Entry", "reference_no": "1", "reference_date": nowdate(), **entry}
		)
	)
	assert ear.heard() == []


def test_an_invoice_rounded_to_whole_units(ear, desk):
	"""Of 40.40, rounded to 40, a payment that is cancelled leaves all unpaid."""
	with written("Currency", "USD", "smallest_currency_fraction_value", 1):
		invoice = desk.invoice(4, 10.1, disable_rounded_total=0)
		assert (invoice.grand_total, invoice.rounded_total) == (40.4, 40)
		assert ear.heard() == ["invoice.submitted"]
		payment = desk.payment(invoice.name)
		assert ear.heard() == ["payment.received", "invoice.paid"]
		desk.cancel(payment)
		assert ear.heard() == ["payment.cancelled", "invoice.unpaid"]
