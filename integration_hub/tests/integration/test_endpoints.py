"""What belongs to an endpoint stays its own: secrets, health, faults; and who is served when many wait."""

import threading
from datetime import datetime, timedelta, timezone

import pytest

import frappe
from frappe.utils.password import get_decrypted_password, set_encrypted_password

from integration_hub.outbound import endpoints, outbox, replay, subscriptions
from integration_hub.outbound.delivery import Loop
from integration_hub.tests import site as hub_site
from integration_hub.tests.events import by_hand, new_request
from integration_hub.tests.faults.delivery_process import put, state, statuses
from integration_hub.tests.receivers import Answer, Receiver


@pytest.fixture(scope="module", autouse=True)
def _no_help(site):
	"""The tests say when it is delivered, and by whom."""
	with site.no_help():
		yield


@pytest.fixture
def receiver():
	with Receiver() as receiver:
		yield receiver


@pytest.fixture
def ear(listen, shop, receiver):
	return listen.push(receiver, "order.*", system=shop)


def deliver(seconds: float = 120, **options) -> int:
	hub_site.refresh()
	with Loop() as loop:
		return loop.run(seconds=seconds, **options)


def secret_of(webhook: str, field: str = "secret") -> str | None:
	hub_site.refresh()
	return get_decrypted_password("Hub Webhook", webhook, field, raise_exception=False)


def body_of(delivery: str) -> str | None:
	hub_site.refresh()
	return frappe.db.get_value("Hub Event Delivery", delivery, "body")


# -- what a form must not overwrite -------------------------------------------------------------------------------


def test_a_new_webhook_saved_again_at_once_keeps_its_secret(listen, shop, receiver):
	listen.open_for(receiver.port)
	with by_hand():
		doc = frappe.get_doc(
			{
				"doctype": "Hub Webhook",
				"title": "HT form",
				"system": shop.name,
				"url": receiver.url,
				"events": [{"event": "order.*"}],
				# Nobody brings his own.
				"status": "Disabled",
				"secret": "mine",
			}
		).insert()
		made = doc.flags.new_secret
		assert doc.status == "Active"
		doc.title = "HT form, corrected"
		doc.save()
	try:
		assert made.startswith("whsec_") and secret_of(doc.name) == made
		assert frappe.db.get_value("Hub Webhook", doc.name, "secret_rotated_at")
	finally:
		with by_hand():
			doc.delete()


def test_a_form_older_than_a_rotation_and_a_failure_changes_neither(ear):
	with by_hand():
		form = frappe.get_doc("Hub Webhook", ear.webhook)
		new = endpoints.rotate(ear.webhook)
		endpoints._set(ear.webhook, {"last_error": "It answered 500.", "window_calls": 7})
		form.title = "HT stale"
		form.save()
	assert (secret_of(ear.webhook), secret_of(ear.webhook, "previous_secret")) == (new, ear.secret)
	row = frappe.get_doc("Hub Webhook", ear.webhook)
	assert (row.title, row.last_error, row.window_calls) == ("HT stale", "It answered 500.", 7)
	assert row.previous_secret_valid_until > datetime.now(timezone.utc).replace(tzinfo=None)


def test_push_stays_push(ear):
	doc = frappe.get_doc("Hub Webhook", ear.webhook)
	doc.mode = "Pull"
	with pytest.raises(frappe.CannotChangeConstantError):
		doc.save()
	frappe.db.rollback()


def test_a_secret_that_cannot_be_read_fails_the_delivery_alone(ear):
	with by_hand():
		set_encrypted_password("Hub Webhook", ear.webhook, ear.secret, "secret")
		frappe.db.sql(
			"UPDATE `__Auth` SET password = 'rubbish' WHERE doctype = 'Hub Webhook' AND name = %s AND fieldname = 'secret'",
			ear.webhook,
		)
	(event,) = put(ear)
	assert deliver() == 1
	(row,) = ear.deliveries(event=event)
	assert (row.status, row.attempt_no) == ("Scheduled", 1)
	assert row.error == "not_signed: The webhook has no secret that can be read. Rotate it."


# -- faults -------------------------------------------------------------------------------------------------------


def test_redelivered_to_a_paused_endpoint_it_goes_on_with_the_others(ear, receiver):
	receiver.behave = Answer(500)
	(event,) = put(ear)
	deliver()
	(row,) = ear.deliveries(event=event)
	with by_hand():
		endpoints.stop(ear.webhook, endpoints.PAUSED, "HT", told=True)
		assert replay.redeliver([row.name], "Administrator") == 1
	deliver()
	assert state(ear).status == "Paused" and statuses(ear) == {"Held": 1}
	receiver.behave = Answer(204)
	with by_hand():
		assert endpoints.resume(ear.webhook) == 1
	deliver()
	assert statuses(ear) == {"Delivered": 1}


def test_what_is_not_wanted_any_more_is_never_sent_as_it_stands(ear, receiver):
	(event,) = put(ear)
	(row,) = ear.deliveries(event=event)
	with by_hand():
		outbox.shape_again(row.name, None, "HT fault")
		frappe.db.set_value("Hub Event Delivery", row.name, {"status": "Held", "due_at": None})
	ear.update(condition="number > `100`")
	for _time in range(2):
		with by_hand():
			assert replay.redeliver([row.name], "Administrator") == 0
		assert statuses(ear) == {"Exhausted": 1}
	deliver()
	assert receiver.count == 0
	ear.update(condition=None, content="thin")
	with by_hand():
		assert replay.redeliver([row.name], "Administrator") == 1
	assert '"data":{"doctype":"Sales Order"' in body_of(row.name)


def test_a_reduced_event_comes_whatever_the_condition_says(listen, shop, receiver, desk_order, site):
	ear = listen.push(receiver, "order.submitted", system=shop, condition="order.grand_total > `1000000`")
	desk_order()
	assert ear.heard() == []
	field = {"doc_type": "Sales Order", "field_name": "grand_total", "property": "permlevel", "value": "9"}
	with by_hand():
		setter = frappe.get_doc(
			{"doctype": "Property Setter", "doctype_or_field": "DocField", "property_type": "Int", **field}
		).insert()
	try:
		frappe.clear_cache(doctype="Sales Order")
		order = desk_order()
		assert ear.one("order.submitted").data == {
			"doctype": "Sales Order",
			"name": order.name,
			"external_id": None,
			"reduced": True,
		}
	finally:
		with by_hand():
			setter.delete()
		frappe.clear_cache(doctype="Sales Order")


@pytest.fixture
def desk_order(factory, masters):
	from integration_hub.tests.events import Desk

	return Desk(masters, factory.item()).order


# -- replays ------------------------------------------------------------------------------------------------------


def test_a_replay_is_no_echo_and_gives_each_webhook_its_own(listen, shop, receiver):
	own = listen.push(receiver, "order.submitted", system=shop, echo=True)
	other = listen.push(receiver, "order.submitted", system=shop, path="/other")
	(event,) = put(own)
	with by_hand():
		frappe.db.set_value("Hub Event", event, "caused_by", shop.name)
		frappe.db.set_value("Hub Event", event, "event", "order.submitted")
	answer = shop.http.post("events.replay", {"ids": [event]})
	assert answer.message == {"replayed": 1, "skipped": 0}
	assert other.deliveries(event=event) == []


# -- who is served ------------------------------------------------------------------------------------------------


def test_busy_endpoints_leave_threads_to_the_others(listen, shop, monkeypatch):
	monkeypatch.setattr("integration_hub.outbound.delivery.THREADS", 8)
	with Receiver(Answer(204, delay=0.1)) as slow, Receiver() as fast:
		busy = [
			listen.push(slow, "order.*", system=shop, path=f"/{number}", concurrency=8) for number in range(2)
		]
		last = listen.push(fast, "order.*", system=shop)
		for ear in (*busy, last):
			put(ear, 40)
		deliver()
		# Served last it would come with the last two rounds of all threads.
		assert (len(fast.requests), len(slow.requests)) == (40, 80)
		assert fast.requests[5].time < slow.requests[-16].time


def test_a_slow_call_does_not_hold_up_the_next_turn(listen, shop, receiver):
	let_go = threading.Event()

	def hold(_request) -> Answer:
		let_go.wait(14)
		return Answer(204)

	with Receiver(hold) as slow:
		waits = listen.push(slow, "order.*", system=shop, path="/slow")
		quick = listen.push(receiver, "order.*", system=shop)
		put(waits)
		hub_site.refresh()
		with Loop() as loop:
			loop.run(seconds=0.5, wait=True)
			assert statuses(waits) == {"Sending": 1}
			put(quick)

			def delivered() -> bool:
				loop.run(seconds=0.5, wait=True)
				return statuses(quick) == {"Delivered": 1}

			hub_site.wait_for("the quick one", delivered, 12)
			assert statuses(waits) == {"Sending": 1}
			let_go.set()
		assert statuses(waits) == {"Delivered": 1}


def test_a_change_with_an_earlier_time_is_a_change(ear):
	before = subscriptions._version()
	with by_hand():
		earlier = frappe.utils.now_datetime() - timedelta(hours=1)
		frappe.db.set_value("Hub Webhook", ear.webhook, "modified", earlier, update_modified=False)
	new_request()
	assert subscriptions._version() != before
