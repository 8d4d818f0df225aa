"""The outbox: each event is written with its document, once, for the systems that may know of it, and for nobody else."""

import sys
import time
import timeit
from collections import Counter
from contextlib import contextmanager

import pytest

import frappe
from frappe.utils import nowdate

from erpnext.accounts.doctype.sales_invoice.sales_invoice import make_sales_return as make_credit_note
from erpnext.selling.doctype.sales_order.sales_order import make_delivery_note, make_sales_invoice
from erpnext.stock.doctype.delivery_note.delivery_note import make_sales_return as make_return

from integration_hub import tasks
from integration_hub.core import context
from integration_hub.outbound import capture, subscriptions
from integration_hub.outbound.registry import matching
from integration_hub.tests import expect
from integration_hub.tests import factories as f
from integration_hub.tests.events import Desk, by_hand, new_request
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


def test_money_set_against_an_invoice_later(ear, desk, factory, masters):
	"""By Payment Reconciliation, which is no document, and taken off again by Unreconcile Payment."""
	invoice = desk.invoice(4, 10, customer=factory.customer())
	first, second = (desk.payment_on_account(invoice.customer, amount) for amount in (30, 10))
	assert ear.heard() == ["invoice.submitted", "payment.received", "payment.received"]
	desk.reconcile(invoice, first)
	assert ear.heard() == ["invoice.partially_paid"]
	desk.reconcile(invoice, second)
	assert ear.heard() == ["invoice.paid"]
	undone = {"voucher_type": "Payment Entry", "voucher_no": second.name, "company": masters.company}
	undo = frappe.get_doc({"doctype": "Unreconcile Payment", **undone})
	undo.add_references()
	desk.saved(undo)
	assert ear.heard() == ["invoice.partially_paid"]
	with by_hand():
		first.reload()
		first.save()
	assert ear.heard() == []


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
		frappe.db.value_cache.clear()
		invoice = desk.invoice(4, 10.1, disable_rounded_total=0)
		assert (invoice.grand_total, invoice.rounded_total) == (40.4, 40)
		assert ear.heard() == ["invoice.submitted"]
		payment = desk.payment(invoice.name)
		assert ear.heard() == ["payment.received", "invoice.paid"]
		desk.cancel(payment)
		assert ear.heard() == ["payment.cancelled", "invoice.unpaid"]
	frappe.db.value_cache.clear()


# -- nothing that was rolled back ----------------------------------------------------------------------------------


def test_what_is_rolled_back_did_not_happen(ear, desk):
	draft = desk.order(submit=False)
	ear.heard()
	with by_hand():
		draft.submit()
		frappe.db.rollback()
	assert ear.heard() == []
	assert frappe.db.get_value("Sales Order", draft.name, "docstatus") == 0


def test_what_is_rolled_back_to_a_savepoint_did_not_happen(ear, desk):
	draft, kept = desk.order(submit=False), desk.order(submit=False)
	ear.heard()
	with by_hand():
		frappe.db.savepoint("hub_tests")
		draft.submit()
		frappe.db.rollback(save_point="hub_tests")
		kept.submit()
	assert [(row.event, row.reference_name) for row in ear.news()] == [("order.submitted", kept.name)]


def failing_run(item: str, mode: str, **parts) -> dict:
	body = {"order": order(lines=cart(item)), "mode": mode, "fulfill": {}, "invoice": {}}
	return {**body, "pay": {"method": "Shells"}, **parts}


def test_an_atomic_run_that_fails_in_its_last_step(hub, ear, item):
	with expect.nothing_made():
		expect.problem(hub.post("sales.run", failing_run(item, "atomic")), 422, "payment_method_not_mapped")
	assert ear.heard() == []


def test_a_staged_run_tells_of_the_steps_that_are_done(hub, ear, item):
	body = failing_run(item, "staged", invoice={"terms": "No such terms"})
	answer = hub.post("sales.run", body)
	assert answer.status == 422, answer
	assert ear.heard() == ["order.submitted", "fulfillment.created", "order.fulfilled"]
	done = hub.post("sales.run", {**body, "invoice": {}, "pay": {"method": "Cash"}})
	assert done.status == 201, done
	rest = ["invoice.submitted", "order.billed", "payment.received", "invoice.paid", "order.paid"]
	assert ear.heard() == rest


def test_a_rehearsal_and_a_refusal_tell_nothing(hub, ear, item):
	answer = hub.post("orders.create", order(lines=cart(item), validate_only=True))
	assert answer.status == 200, answer
	assert hub.post("orders.create", order(lines=[f.line(item_code="No such item")])).status == 422
	assert ear.heard() == []


def test_a_replay_tells_nothing_again(hub, ear, item):
	body = order(lines=cart(item))
	for status in (201, 201):
		assert hub.post("orders.create", body).status == status
	assert ear.heard() == ["order.submitted"]


@pytest.fixture
def deadlock_at_the_log(site, shop):
	"""The database answers the first log row of `shop` with a deadlock: after the outbox is written, before the commit.

	Yield what counts how often that was.
	"""
	name = f"hub_tests_{frappe.generate_hash(length=8)}"
	site.refresh()
	# A table without transactions remembers what is rolled back.
	frappe.db.sql_ddl(f"CREATE TABLE {name} (n int) ENGINE = MyISAM")
	frappe.db.sql_ddl(
		f"""CREATE TRIGGER {name} BEFORE INSERT ON `tabIntegration Request` FOR EACH ROW
		IF NEW.hub_system = {frappe.db.escape(shop.name)} AND NOT EXISTS (SELECT 1 FROM {name}) THEN
			INSERT INTO {name} VALUES (1);
			SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'said by the tests';
		END IF"""
	)
	yield lambda: frappe.db.sql(f"SELECT count(*) FROM {name}")[0][0]
	site.refresh()
	frappe.db.sql_ddl(f"DROP TRIGGER {name}")
	frappe.db.sql_ddl(f"DROP TABLE {name}")


def test_once_although_the_door_tries_again_after_a_deadlock(hub, ear, sold, deadlock_at_the_log):
	target = sold()
	assert deadlock_at_the_log() == 1
	(told,) = ear.news()
	assert (told.event, told.data["order"]["name"]) == ("order.submitted", order_named(hub, target))


def order_named(http, target: dict) -> str:
	answer = http.get("orders.get", **target)
	assert answer.status == 200, answer
	return answer.order["name"]


# -- no echo -------------------------------------------------------------------------------------------------------


def test_nobody_hears_himself(listen, systems, ear, item, desk):
	caller = systems.new(scopes=all_scopes("stock:read"))
	silent = listen.pull("order.*", system=caller)
	placed(caller.http, lines=cart(item))
	assert silent.heard() == []
	(told,) = ear.news()
	assert (told.event, told.caused_by, told.owner) == ("order.submitted", caller.name, caller.user)
	desk.order()
	for one_of_two in (silent, ear):
		news = one_of_two.news()
		names = [("order.created", None), ("order.submitted", None)]
		assert [(row.event, row.caused_by) for row in news] == names


def test_unless_he_asks_for_it(listen, systems, ear, item):
	caller = systems.new(scopes=all_scopes("stock:read"))
	silent = listen.pull("order.*", system=caller)
	echo = listen.pull("order.*", system=caller, echo=True)
	placed(caller.http, lines=cart(item))
	(told,) = echo.news()
	assert (told.event, told.caused_by, told.system) == ("order.submitted", caller.name, caller.name)
	silent.update(echo=True)
	placed(caller.http, lines=cart(item))
	# An event is told to a system, not to a webhook: once.
	assert silent.heard() == ["order.submitted", "order.submitted"]
	assert ear.heard() == ["order.submitted", "order.submitted"]


# -- calls that were worked on later --------------------------------------------------------------------------------


def failed_order(system, site) -> tuple[str, str]:
	"""Let a system place an order for an item that is not there; return the item and the request."""
	item = unique("HT-LATER")
	body = order(lines=[f.line(item_code=item)])
	expect.problem(system.http.post("orders.create", body), 422, "unknown_item")
	return item, site.request_of(system.name, body["external_id"])[0].name


def pressed_retry(people, site, request: str, attempt: int) -> None:
	answer = people.new("Integration Hub Manager").http.press("Hub Request", request, "retry")
	assert answer.status == 200, answer
	tasks.drain()
	done = {"name": request, "attempt_no": attempt, "status": ("in", ("Completed", "Failed"))}
	site.wait_for("the next attempt", lambda: frappe.db.exists("Hub Request", done))


def test_a_call_that_is_answered_at_once_is_no_event(listen, site, item):
	silent, echo = listen.pull("request.*"), listen.pull("request.*", echo=True)
	for told in (silent, echo):
		placed(told.http, lines=cart(item))
		failed_order(told.system, site)
	assert silent.heard() == []
	assert echo.heard() == ["request.completed", "request.failed"]


def test_a_call_that_the_hub_tried_again(listen, site, people, factory):
	ear = listen.pull("request.*")
	other = listen.pull("request.*")
	item, request = failed_order(ear.system, site)
	pressed_retry(people, site, request, 2)
	(failed,) = ear.news()
	assert (failed.event, failed.reference_name) == ("request.failed", request)
	said = failed.data["request"]
	assert (said["id"], said["status"]) == (request, "Failed")
	factory.item(item)
	pressed_retry(people, site, request, 3)
	(completed,) = ear.news()
	assert completed.event == "request.completed"
	assert completed.data["request"] == ear.http.get("requests.get", id=request).message
	assert other.heard() == []


# -- what it costs, and who hears of it -----------------------------------------------------------------------------


@contextmanager
def statements_of_capture():
	"""Yield a list of the first words of all statements that the hub's document event sends, in the block."""
	sent: list[str] = []
	send = frappe.db.sql

	def counting(query, *args, **kwargs):
		frame = sys._getframe(1)
		while frame:
			if frame.f_code is capture.on_doc_event.__code__:
				sent.append(str(query).split()[0].upper())
				break
			frame = frame.f_back
		return send(query, *args, **kwargs)

	frappe.db.sql = counting
	try:
		yield sent
	finally:
		del frappe.local.db.sql


def cycle_by_hand(desk) -> None:
	sales_order = desk.order()
	desk.saved(make_delivery_note(sales_order.name))
	desk.payment(desk.saved(make_sales_invoice(sales_order.name)).name)


def test_without_a_subscriber_it_costs_nothing(desk, site, listen):
	listen.pull("*").update(events=["request.failed"])
	subscriptions.publish_version()
	new_request()
	assert not subscriptions.current().doctypes, "another test has left a webhook"
	with statements_of_capture() as sent:
		cycle_by_hand(desk)
	assert sent == []
	doc = frappe.new_doc("ToDo")
	calls = 200
	best = min(
		timeit.repeat(
			lambda: capture.on_doc_event(doc, "on_update"), number=calls, repeat=50, timer=time.thread_time
		)
	)
	print(f"a document event nobody wants: {best / calls * 1e6:.1f} µs")
	assert best / calls < 10e-6


def test_with_a_subscriber_it_costs_two_statements_an_event(desk, ear):
	with by_hand():
		subscriptions.current()
	# What is read once a process: the DocTypes and the roles.
	cycle_by_hand(desk)
	ear.heard()
	with statements_of_capture() as sent:
		cycle_by_hand(desk)
	told = ear.heard()
	assert told == [
		*("order.created", "order.submitted"),
		*("fulfillment.created", "order.fulfilled"),
		*("invoice.submitted", "order.billed"),
		*("payment.received", "invoice.paid", "order.paid"),
	]
	kinds = Counter(sent)
	print(f"{len(told)} events: {dict(kinds)}, {len(sent) / len(told):.2f} statements an event")
	# One for each document event that tells something: what it tells is written together.
	assert kinds["INSERT"] == 5
	assert len(sent) <= 2 * len(told)


def test_a_webhook_is_seen_by_every_process_at_once(listen, hub, desk, item, site):
	ear = listen.pull("order.submitted")
	for _worker in range(6):
		placed(hub, lines=cart(item))
	desk.order()
	assert ear.heard() == ["order.submitted"] * 7
	assert ear.http.post("webhooks.delete", {"id": ear.webhook}).status == 200
	for _worker in range(6):
		placed(hub, lines=cart(item))
	desk.order()
	assert ear.heard() == []


def test_a_worker_looks_for_each_call_again(listen, shop, site):
	"""Between two calls that one worker does right after each other, somebody asks for the events."""
	listen.made_elsewhere(shop)
	with site.no_help(), context.worker():
		context.act_for(shop.name)
		subscriptions.current()
		body = {"mode": "pull", "events": ["order.submitted"], "echo": True}
		made = shop.http.post("webhooks.create", body)
		assert made.status == 201, made
		context.act_for(shop.name)
		assert made.message["id"] in {one.webhook for one in subscriptions.current().to("order.submitted")}


def test_a_flushed_cache_loses_nothing(listen, hub, desk, item, site):
	ear = listen.pull("order.submitted")
	for _time in range(2):
		frappe.cache.delete(frappe.cache.make_key("hub_subscriptions_version"))
		placed(hub, lines=cart(item))
		desk.order()
	assert ear.heard() == ["order.submitted"] * 4


def test_while_the_site_is_migrated_nothing_happens(ear, desk):
	frappe.flags.in_migrate = True
	try:
		desk.order()
	finally:
		frappe.flags.in_migrate = False
	assert ear.heard() == []
