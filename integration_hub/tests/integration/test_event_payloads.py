"""What an event carries: the shapes the API answers with, as its system may see them, in the form its webhook wants."""

import json
import re
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest

import frappe
from frappe.custom.doctype.property_setter.property_setter import make_property_setter

from erpnext.selling.doctype.sales_order.sales_order import make_delivery_note, make_sales_invoice

from integration_hub import tasks
from integration_hub.outbound import endpoints
from integration_hub.outbound.registry import BY_NAME
from integration_hub.tests import expect
from integration_hub.tests import factories as f
from integration_hub.tests.events import Desk, Ear, by_hand, new_request
from integration_hub.tests.factories import placed, unique
from integration_hub.tests.receivers import Receiver
from integration_hub.tests.systems import all_scopes

KIB = 1024
# All but what a worker tells of when it looks, and of calls themselves.
SALES = ("order.*", "fulfillment.*", "invoice.*", "credit_note.*", "payment.*")


@pytest.fixture(scope="module")
def item(factory, masters):
	code = factory.item()
	factory.stock(code, masters.warehouse, 1000)
	return code


@pytest.fixture
def desk(masters, item):
	return Desk(masters, item)


@pytest.fixture
def caller(systems):
	return systems.like(title="A caller")


@pytest.fixture
def echo(listen, caller):
	"""A system that is told of what its own calls do."""
	return listen.pull(*SALES, system=caller, echo=True)


@pytest.fixture
def stranger(listen, systems):
	"""Another system, which sees the same documents and has no ids of its own for them."""
	return listen.pull(*SALES, system=systems.like(title="A stranger"))


@pytest.fixture
def receiver():
	with Receiver() as made:
		yield made


def shapes_of(rows) -> dict[str, dict]:
	"""Return the data of events by their names, once each of them has the shape it is declared with, and no more."""
	for row in rows:
		said = BY_NAME[row.event].data.model_validate(row.data).model_dump(mode="json", exclude_unset=True)
		assert said == row.data, row.event
	assert len({row.event for row in rows}) == len(rows)
	return {row.event: row.data for row in rows}


def news_of(ear: Ear) -> dict[str, dict]:
	return shapes_of(ear.news())


def called(http, verb: str, **body) -> dict:
	answer = http.post(verb, {"external_id": unique("X"), **body}, key=unique("K"))
	assert answer.status in (200, 201), answer
	return answer.message


def status_of(http, order: str) -> dict:
	answer = http.get("sales.status", name=order)
	assert answer.status == 200, answer
	return answer.message


def order_of(http, order: str) -> dict:
	answer = http.get("orders.get", name=order)
	assert answer.status == 200, answer
	return answer.order


# -- what the API says at the same moment ---------------------------------------------------------------------------


class Sale:
	"""An order of a system, what its next calls make, and what is told of them."""

	def __init__(self, echo: Ear, stranger: Ear, item: str):
		self.echo, self.stranger, self.http = echo, stranger, echo.http
		lines = [f.line(external_id="1", item_code=item, quantity=3, unit_price="12.34")]
		self.answer = placed(self.http, lines=lines, taxes=[{"code": "vat", "rate": 10}])
		self.name = self.answer.order["name"]
		self.target = {"external_id": self.answer.order["external_id"]}

	def then(self, verb: str, **body) -> tuple[dict, dict]:
		"""Call a verb of the order; return its answer, and the data of the events by name."""
		news_of(self.echo)
		return called(self.http, verb, order=self.target, **body), news_of(self.echo)

	@property
	def status(self) -> dict:
		return status_of(self.http, self.name)


@pytest.fixture
def sale(echo, stranger, item):
	return Sale(echo, stranger, item)


def test_an_order_as_the_api_answers_it(sale):
	told = news_of(sale.echo)
	assert told == {"order.submitted": {"order": sale.answer.order}}
	order = told["order.submitted"]["order"]
	assert order == order_of(sale.http, sale.name)
	assert (order["status"], order["docstatus"]) == ("To Deliver and Bill", 1)
	assert (order["net_total"], order["tax_total"], order["grand_total"]) == (37.02, 3.7, 40.72)
	assert [line["external_id"] for line in order["lines"]] == ["1"]


def test_ids_are_those_of_the_system_that_is_told(sale):
	(mine, theirs) = (news_of(ear)["order.submitted"]["order"] for ear in (sale.echo, sale.stranger))
	assert mine["external_id"] == sale.target["external_id"]
	lines = [{**line, "external_id": None} for line in mine["lines"]]
	assert theirs == {**mine, "external_id": None, "lines": lines}


def test_a_delivery_as_the_api_answers_it(sale):
	answer, told = sale.then(
		"sales.fulfill", lines=[{"external_id": "1", "quantity": 2}], tracking_number="1Z"
	)
	assert told == {
		"fulfillment.created": {
			"fulfillment": answer["fulfillments"][0],
			"orders": [{"name": sale.name, **sale.target}],
		},
		"order.partially_fulfilled": {"order": answer["order"]},
	}
	delivery = told["fulfillment.created"]["fulfillment"]
	assert [delivery] == sale.status["fulfillments"]
	assert (delivery["status"], delivery["docstatus"]) == ("To Bill", 1)
	assert (delivery["tracking_number"], delivery["lines"][0]["external_id"]) == ("1Z", "1")
	assert answer["order"]["delivered_percent"] == pytest.approx(66.667, abs=0.001)
	theirs = news_of(sale.stranger)["fulfillment.created"]
	assert theirs["orders"] == [{"name": sale.name, "external_id": None}]
	lines = [{**delivery["lines"][0], "external_id": None}]
	assert theirs["fulfillment"] == {**delivery, "external_id": None, "lines": lines}


def test_an_invoice_as_the_api_answers_it(sale):
	answer, told = sale.then("sales.invoice")
	invoice, orders = answer["invoices"][0], [{"name": sale.name, **sale.target}]
	assert told == {
		"invoice.submitted": {"invoice": invoice, "orders": orders},
		"order.billed": {"order": answer["order"]},
	}
	assert [invoice] == sale.status["invoices"]
	assert (invoice["status"], invoice["outstanding"], invoice["tax_total"]) == ("Unpaid", 40.72, 3.7)
	answer, told = sale.then("sales.pay", method="Cash", amount=40)
	assert set(told) == {"payment.received", "invoice.partially_paid"}
	assert told["payment.received"] == {"payment": answer["payments"][0]}
	assert told["invoice.partially_paid"] == {"invoice": sale.status["invoices"][0], "orders": orders}
	assert told["invoice.partially_paid"]["invoice"]["outstanding"] == 0.72
	answer, told = sale.then("sales.pay", method="Card")
	assert told["invoice.paid"] == {"invoice": sale.status["invoices"][0], "orders": orders}
	assert (told["invoice.paid"]["invoice"]["status"], told["invoice.paid"]["invoice"]["outstanding"]) == (
		"Paid",
		0,
	)
	assert told["order.paid"] == {"order": order_of(sale.http, sale.name)}


def test_a_refund_as_the_api_answers_it(sale):
	for verb in ("fulfill", "invoice"):
		sale.then(f"sales.{verb}")
	sale.then("sales.pay", method="Cash")
	answer, told = sale.then("sales.refund", lines=[{"external_id": "1", "quantity": 1}], method="Cash")
	orders = [{"name": sale.name, **sale.target}]
	assert told == {
		"credit_note.submitted": {"invoice": credit_before_payment(answer["invoices"][0]), "orders": orders},
		"fulfillment.returned": {"fulfillment": answer["fulfillments"][0], "orders": orders},
		"order.partially_fulfilled": {"order": answer["order"]},
		"payment.refunded": {"payment": answer["payments"][0]},
	}
	assert answer["payments"][0]["type"] == "pay"
	assert told["fulfillment.returned"]["fulfillment"]["lines"][0]["quantity"] == -1


def credit_before_payment(note: dict) -> dict:
	"""Return a credit note as it was when it was issued: the money is paid back after it, in the same call."""
	return {**note, "outstanding": note["grand_total"], "status": "Return"}


def test_a_cancellation_as_the_api_answers_it(sale):
	for verb in ("fulfill", "invoice"):
		sale.then(f"sales.{verb}")
	sale.then("sales.pay", method="Cash")
	called(sale.http, "orders.cancel", **sale.target, cascade=True)
	told, status = news_of(sale.echo), sale.status
	assert told["order.cancelled"] == {"order": status["order"]}
	assert told["order.cancelled"]["order"]["status"] == "Cancelled"
	assert told["payment.cancelled"] == {"payment": status["payments"][0]}
	assert told["fulfillment.cancelled"]["fulfillment"] == status["fulfillments"][0]
	assert told["invoice.cancelled"]["invoice"] == status["invoices"][0]
	assert told["order.unbilled"]["order"]["billed_percent"] == 0
	assert told["order.unfulfilled"]["order"]["delivered_percent"] == 0


def test_what_people_make_by_hand_as_the_api_answers_it(echo, desk):
	sales_order = desk.order(submit=False)
	assert news_of(echo) == {"order.created": {"order": order_of(echo.http, sales_order.name)}}
	with by_hand():
		sales_order.submit()
	assert news_of(echo) == {"order.submitted": {"order": order_of(echo.http, sales_order.name)}}
	note = desk.saved(make_delivery_note(sales_order.name))
	told, status = news_of(echo), status_of(echo.http, sales_order.name)
	assert told["fulfillment.created"]["fulfillment"] == status["fulfillments"][0]
	assert told["order.fulfilled"] == {"order": status["order"]}
	invoice = desk.saved(make_sales_invoice(sales_order.name))
	told, status = news_of(echo), status_of(echo.http, sales_order.name)
	assert told["invoice.submitted"]["invoice"] == status["invoices"][0]
	assert told["order.billed"] == {"order": status["order"]}
	payment = desk.payment(invoice.name)
	told, status = news_of(echo), status_of(echo.http, sales_order.name)
	assert told["payment.received"] == {"payment": status["payments"][0]}
	assert told["invoice.paid"]["invoice"] == status["invoices"][0]
	assert told["order.paid"] == {"order": status["order"]}
	for doc in (payment, invoice, note):
		desk.cancel(doc)
	assert (
		news_of(echo)["fulfillment.cancelled"]["fulfillment"]
		== status_of(echo.http, sales_order.name)["fulfillments"][0]
	)


def test_a_deleted_order_is_told_as_it_was(echo, desk):
	sales_order = desk.order(submit=False)
	was = news_of(echo)["order.created"]
	with by_hand():
		frappe.delete_doc("Sales Order", sales_order.name)
	assert news_of(echo) == {"order.deleted": was}


# -- the envelope --------------------------------------------------------------------------------------------------


def test_standard_webhooks(listen, caller, receiver, desk):
	ear = listen.push(receiver, "order.created", system=caller)
	desk.order(submit=False)
	told = ear.one()
	sent = sent_to(receiver)
	assert json.loads(sent.body) == told.body
	assert set(told.body) == {"type", "timestamp", "data"}
	assert told.body["type"] == sent_type(sent) == "order.created"
	assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", told.body["timestamp"])
	age = datetime.now(timezone.utc) - datetime.fromisoformat(told.body["timestamp"].replace("Z", "+00:00"))
	assert timedelta(0) < age < timedelta(minutes=1)
	assert sent.headers["webhook-id"] == told.name
	assert sent.headers["content-type"] == "application/json"
	assert re.fullmatch(r"evt_[0-9a-z]{24}", told.name)


def sent_to(receiver: Receiver, count: int = 1):
	"""Deliver what is due, wait for so many requests, see that there are no more, and return the last one."""
	tasks.deliver()
	receiver.wait(count)
	assert receiver.count == count
	return receiver.requests[-1]


def sent_type(sent) -> str:
	return json.loads(sent.body)["type"]


def test_cloudevents(listen, caller, receiver, desk, site):
	"""The rules of CloudEvents 1.0.2, sections 3 (context attributes) and 4 (their types), and its JSON format."""
	ear = listen.push(receiver, "order.created", system=caller, format="cloudevents")
	sales_order = desk.order(submit=False)
	told, sent = ear.one(), sent_to(receiver)
	assert sent.headers["content-type"] == "application/cloudevents+json"
	event = json.loads(sent.body)
	assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in event)
	assert event == {
		"specversion": "1.0",
		"id": told.name,
		"source": frappe.utils.get_url(),
		"type": "order.created",
		"subject": f"Sales Order/{sales_order.name}",
		"time": told.body["timestamp"],
		"datacontenttype": "application/json",
		"data": told.data,
	}
	assert re.match(r"https?://[^/\s]+", event["source"])
	assert sent.headers["webhook-id"] == told.name


def test_thin_events_say_only_which_document(listen, caller, receiver, item):
	ear = listen.push(receiver, "order.submitted", system=caller, content="thin", echo=True)
	order = placed(ear.http, lines=[f.line(item_code=item)]).order
	thin = {"doctype": "Sales Order", "name": order["name"], "external_id": order["external_id"]}
	assert json.loads(sent_to(receiver).body)["data"] == thin
	assert ear.one().data == {"order": order}


def field_map(factory, *rows: dict):
	return factory.make("Hub Field Map", title=unique("HT Map"), direction="Out", rows=list(rows)).name


def test_a_field_map_reshapes_the_data(listen, caller, receiver, desk, factory):
	name = field_map(
		factory,
		{"target": "number", "source": "order.name"},
		{"target": "money.total", "source": "order.grand_total", "transform": "text"},
	)
	ear = listen.push(receiver, "order.created", system=caller, field_map=name)
	sales_order = desk.order(submit=False)
	sent, told = sent_to(receiver), ear.one()
	data = json.loads(sent.body)["data"]
	assert data["number"] == sales_order.name
	assert float(data["money"]["total"]) == 40 and isinstance(data["money"]["total"], str)
	assert set(data) == {"number", "money"}
	# The stream keeps the whole.
	assert told.data["order"]["name"] == sales_order.name


def test_a_field_map_that_fails_on_an_event_holds_it(listen, caller, receiver, desk, factory):
	name = field_map(factory, {"target": "number", "source": "order.held_because", "required": 1})
	ear = listen.push(receiver, "order.created", system=caller, field_map=name)
	desk.order(submit=False)
	assert held(ear, receiver)["error"].count("number") == 1


def held(ear: Ear, receiver: Receiver):
	"""Return the only delivery, once it is held for a person, its event kept, and nothing sent."""
	tasks.deliver()
	(event,), (delivery,) = ear.events(), ear.deliveries()
	assert (delivery.status, delivery.due_at, delivery.event) == ("Held", None, event.name)
	assert delivery.attempt_no == 0 and receiver.count == 0
	return delivery


# -- conditions, and who is away ------------------------------------------------------------------------------------


def test_a_condition(listen, caller, desk):
	ear = listen.pull("order.created", system=caller, condition="order.grand_total > `45`")
	desk.order(4, submit=False)
	large = desk.order(5, submit=False)
	assert [row.reference_name for row in ear.news()] == [large.name]


def test_a_condition_is_that_of_one_webhook(listen, caller, receiver, desk):
	some = listen.push(receiver, "order.created", system=caller, condition="order.grand_total > `45`")
	every = listen.push(receiver, "order.created", system=caller)
	small, large = desk.order(4, submit=False), desk.order(5, submit=False)
	assert [row.reference_name for row in some.deliveries()] == [large.name]
	assert [row.reference_name for row in every.deliveries()] == [small.name, large.name]
	assert [row.reference_name for row in every.events()] == [small.name, large.name]


def test_a_condition_that_fails_on_an_event_holds_it(listen, caller, receiver, desk):
	ear = listen.push(
		receiver, "order.created", system=caller, condition="starts_with(order.held_because, 'x')"
	)
	sales_order = desk.order(submit=False)
	assert sales_order.docstatus == 0
	assert "starts_with" in held(ear, receiver)["error"]
	ear.update(status="paused")
	ear.update(status="active")
	# What waits for a person is not sent because the webhook goes on.
	held(ear, receiver)


def test_a_disabled_system_is_told_nothing(listen, systems, desk):
	ear = listen.pull("*", system=systems.new(scopes=all_scopes("stock:read")))
	ear.system.change(enabled=0)
	desk.order()
	assert ear.heard() == []
	ear.system.change(enabled=1)
	desk.order(submit=False)
	assert ear.heard() == ["order.created"]


def test_a_disabled_webhook_is_told_nothing(listen, caller, desk):
	ear, other = listen.pull("order.*", system=caller), listen.pull("order.created", system=caller)
	endpoints.stop(ear.webhook, endpoints.DISABLED, "Gone")
	frappe.db.commit()
	desk.order()
	assert other.heard() == ["order.created"]


def test_a_paused_webhook_has_its_events_kept(listen, caller, receiver, desk):
	ear = listen.push(receiver, "order.*", system=caller)
	ear.update(status="paused")
	desk.order()
	tasks.deliver()
	assert ear.heard() == ["order.created", "order.submitted"]
	assert [row.status in ("Pending", "Held") for row in ear.deliveries()] == [True, True]
	assert receiver.count == 0
	ear.update(status="active")
	sent_to(receiver, 2)


# -- who may not know, or not all of it -----------------------------------------------------------------------------


def test_documents_of_another_company(listen, systems, stranger, factory, desk, site):
	other = factory.make(
		"Company",
		company_name=unique("HT Other"),
		abbr=unique("O")[-8:],
		default_currency="USD",
		country="United States",
	).name
	maps = {name: [] for name in ("charge_map", "tax_map", "payment_method_map", "warehouse_map")}
	scopes = all_scopes("stock:read")
	ear = listen.pull("*", system=systems.new(company=other, warehouse=None, scopes=scopes, **maps))
	warehouse = frappe.db.get_value("Warehouse", {"company": other, "is_group": 0, "disabled": 0})
	row = {"item_code": desk.item, "qty": 1, "rate": 10, "warehouse": warehouse}
	desk.order(submit=False, company=other, items=[row])
	assert (ear.heard(), stranger.heard()) == (["order.created"], [])
	desk.order(submit=False)
	assert (ear.heard(), stranger.heard()) == ([], ["order.created"])


def test_documents_a_user_permission_hides(listen, systems, factory, desk):
	ear = listen.pull("order.*")
	customer = factory.customer()
	factory.make("User Permission", user=ear.system.user, allow="Customer", for_value=customer)
	desk.order(submit=False)
	assert ear.heard() == []
	desk.order(submit=False, customer=customer)
	assert ear.heard() == ["order.created"]


def test_a_system_is_told_what_its_scopes_allow(listen, systems, desk, item):
	ear = listen.pull("*", system=systems.new(scopes=all_scopes("stock:read", "sales:read")))
	sales_order = desk.order()
	desk.saved(make_delivery_note(sales_order.name))
	assert ear.heard() == ["order.created", "order.submitted", "order.fulfilled"]
	ear.system.change(scopes=all_scopes("stock:read", "orders:read"))
	desk.payment(desk.saved(make_sales_invoice(desk.order().name)).name)
	assert ear.heard() == ["invoice.submitted", "payment.received", "invoice.paid"]


def test_a_user_whose_roles_were_taken(listen, desk):
	ear = listen.pull("order.*")
	user = frappe.get_doc("User", ear.system.user)
	user.remove_roles(*[row.role for row in user.roles])
	frappe.db.commit()
	desk.order()
	assert ear.heard() == []


@contextmanager
def above_everybody(doctype: str, field: str):
	"""A field of permission level 1, which no role of a Connected System's user reads."""
	setter = make_property_setter(doctype, field, "permlevel", 1, "Int")
	frappe.db.commit()
	frappe.clear_cache(doctype=doctype)
	new_request()
	try:
		yield
	finally:
		frappe.db.rollback()
		setter.delete()
		frappe.db.commit()
		frappe.clear_cache(doctype=doctype)


@pytest.mark.parametrize("hidden", [("Sales Order", "po_no"), ("Sales Order Item", "amount")])
def test_who_may_not_see_all_is_told_only_which_document(hidden, listen, caller, desk):
	ear = listen.pull("order.created", system=caller)
	with above_everybody(*hidden):
		sales_order = desk.order(submit=False)
	thin = {"doctype": "Sales Order", "name": sales_order.name, "external_id": None}
	assert ear.one().data == {**thin, "reduced": True}


# -- events of any document -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thing(site):
	"""A DocType made on this site, with a child table, a password and a field above everybody, for Sales Users."""
	made = [doctype_of(unique("HT Part"), istable=1, fields=PART_FIELDS)]
	fields = [
		*THING_FIELDS,
		{"fieldname": "parts", "fieldtype": "Table", "options": made[0], "label": "Parts"},
	]
	made.append(
		doctype_of(
			unique("HT Thing"),
			fields=fields,
			is_submittable=1,
			allow_rename=1,
			autoname="prompt",
			permissions=[
				{"role": "Sales User", "read": 1},
				{
					"role": "System Manager",
					**dict.fromkeys(("read", "write", "create", "delete", "submit", "cancel"), 1),
				},
			],
		)
	)
	yield made[1]
	frappe.db.rollback()
	for name in reversed(made):
		frappe.delete_doc("DocType", name, force=True)
		frappe.db.sql_ddl(f"DROP TABLE IF EXISTS `tab{name}`")


THING_FIELDS = [
	{"fieldname": "title", "fieldtype": "Data", "label": "Title"},
	{"fieldname": "story", "fieldtype": "Long Text", "label": "Story", "allow_on_submit": 1},
	{"fieldname": "made_on", "fieldtype": "Date", "label": "Made on"},
	{"fieldname": "secret", "fieldtype": "Password", "label": "Secret"},
	{"fieldname": "margin", "fieldtype": "Float", "label": "Margin", "permlevel": 1},
]
PART_FIELDS = [
	{"fieldname": "part", "fieldtype": "Data", "label": "Part"},
	{"fieldname": "cost", "fieldtype": "Float", "label": "Cost", "permlevel": 1},
	{"fieldname": "pin", "fieldtype": "Password", "label": "Pin"},
]


def doctype_of(name: str, **values) -> str:
	return (
		frappe.get_doc({"doctype": "DocType", "name": name, "module": "Core", "custom": 1, **values})
		.insert()
		.name
	)


def make_thing(doctype: str, submit: bool = False, **values):
	doc = frappe.get_doc(
		{
			"doctype": doctype,
			"__newname": unique("T"),
			"title": "A thing",
			"made_on": "2026-02-03",
			"secret": "Sesame",
			"margin": 0.4,
			"parts": [{"part": "Leg", "cost": 3}],
			**values,
		}
	)
	doc.docstatus = int(submit)
	with by_hand():
		doc.insert()
	return doc


def all_of(thing: str, *fields: str) -> list[dict]:
	return [{"event": "document.*", "document_type": thing, **({"fields": list(fields)} if fields else {})}]


def test_the_life_of_a_document(listen, thing):
	ear = listen.pull(documents=all_of(thing))
	doc = make_thing(thing)
	assert ear.heard() == ["document.created"]
	with by_hand():
		doc.title = "Another"
		doc.save()
	assert ear.one().data["document"]["fields"]["title"] == "Another"
	with by_hand():
		doc.submit()
	assert ear.heard() == ["document.submitted"]
	with by_hand():
		doc.story = "Long"
		doc.save()
	assert ear.heard() == ["document.updated"]
	with by_hand():
		doc.cancel()
	assert ear.heard() == ["document.cancelled"]
	with by_hand():
		frappe.delete_doc(thing, doc.name)
	(gone,) = ear.news()
	assert (gone.event, gone.data["document"]["name"]) == ("document.deleted", doc.name)
	assert gone.data["document"]["docstatus"] == 2
	make_thing(thing, submit=True)
	assert ear.heard() == ["document.created", "document.submitted"]


def test_what_a_document_shows(listen, thing):
	ear = listen.pull(documents=all_of(thing))
	doc = make_thing(thing)
	told = ear.one()
	assert "Sesame" not in told.payload
	assert told.data == {
		"document": {
			"doctype": thing,
			"name": doc.name,
			"docstatus": 0,
			"fields": {
				"amended_from": None,
				"made_on": "2026-02-03",
				"parts": [{"name": doc.parts[0].name, "part": "Leg"}],
				"story": None,
				"title": "A thing",
			},
		}
	}
	assert BY_NAME["document.created"].data.model_validate(told.data)


def test_chosen_fields(listen, thing):
	ear = listen.pull(documents=all_of(thing, "title", "made_on"))
	make_thing(thing)
	assert ear.one().data["document"]["fields"] == {"title": "A thing", "made_on": "2026-02-03"}


@pytest.mark.parametrize("field", ["secret", "margin", "no_such"])
def test_a_field_the_system_may_not_read_cannot_be_chosen(field, caller, thing):
	body = {"mode": "pull", "documents": all_of(thing, "title", field)}
	expect.problem(
		caller.http.post("webhooks.create", body), 422, "validation_failed", ["/documents/0/fields/1"]
	)


@pytest.mark.parametrize("doctype", ["Sales Order Item", "Hub Event", "Hub Request", "Error Log"])
def test_what_raises_no_events(doctype, caller):
	body = {"mode": "pull", "documents": all_of(doctype)}
	expect.problem(
		caller.http.post("webhooks.create", body), 422, "validation_failed", ["/documents/0/document_type"]
	)


def test_renaming_and_merging(listen, thing):
	ear = listen.pull(documents=all_of(thing))
	first, second = make_thing(thing), make_thing(thing)
	ear.heard()
	name = unique("T")
	with by_hand():
		frappe.rename_doc(thing, first.name, name)
	told = ear.one()
	assert (told.event, told.reference_name) == ("document.renamed", name)
	assert (told.data["document"]["name"], told.data["document"]["old_name"]) == (name, first.name)
	with by_hand():
		frappe.rename_doc(thing, second.name, name, merge=True)
	merged, gone = ear.news()
	assert (merged.event, merged.reference_name) == ("document.renamed", name)
	assert merged.data["document"]["old_name"] == second.name
	assert (gone.event, gone.reference_name) == ("document.deleted", second.name)


def test_too_large_for_an_event(listen, thing):
	ear = listen.pull(documents=all_of(thing))
	doc = make_thing(thing, story="é" * 120 * KIB)
	assert len(ear.one().data["document"]["fields"]["story"]) == 120 * KIB
	doc = make_thing(thing, story="é" * 128 * KIB)
	thin = {"doctype": thing, "name": doc.name, "external_id": None}
	assert ear.one().data == {**thin, "reduced": True}


def test_an_echo_of_documents_is_asked_for(listen, caller, item):
	documents = [{"event": "document.*", "document_type": "Sales Order", "fields": ["grand_total"]}]
	silent, other = listen.pull(documents=documents, system=caller), listen.pull(documents=documents)
	placed(caller.http, lines=[f.line(item_code=item)])
	assert silent.heard() == []
	news = other.news()
	assert [(row.event, row.caused_by) for row in news] == [
		("document.created", caller.name),
		("document.submitted", caller.name),
	]
	assert [row.data["document"]["fields"] for row in news] == [{"grand_total": 10.0}] * 2
