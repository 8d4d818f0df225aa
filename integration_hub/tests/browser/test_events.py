"""Webhooks, events and deliveries as a person sees them in the Desk."""

import json
import re

import pytest
from playwright.sync_api import expect
from standardwebhooks.webhooks import Webhook

import frappe

from integration_hub.constants.roles import MANAGER, USER
from integration_hub.tests.browser.desk import PATIENCE_MS
from integration_hub.tests.events import Listening
from integration_hub.tests.factories import order, unique
from integration_hub.tests.receivers import Answer, Receiver

ALERT = "#alert-container, .desk-alert"
BROKEN = Answer(500, {"Content-Type": "text/plain"}, b"The shop is <b>closed</b>.")


@pytest.fixture
def receiver():
	with Receiver() as receiver:
		yield receiver


@pytest.fixture
def listen(systems, site):
	with Listening(systems) as listening:
		yield listening
		mine = {"system": ("in", [system.name for system in systems.made])}
		# What a worker is about to send or record cannot be removed beside it.
		under_way = {**mine, "status": ("in", ("Pending", "Sending"))}
		site.wait_for("deliveries at rest", lambda: not frappe.db.exists("Hub Event Delivery", under_way))


def row_of(doctype: str, name: str, *fields: str):
	frappe.db.rollback()
	return frappe.db.get_value(doctype, name, fields, as_dict=True)


def placed(ear) -> str:
	"""Place an order as the system does and return its Sales Order."""
	answer = ear.http.post("orders.create", order())
	assert answer.status == 201, answer
	return answer.order["name"]


def fill_url(desk, url: str) -> None:
	"""Fill in an address, after one that Hub Settings do not allow, which is said before anybody saves."""
	field, refused = desk.form.locator("[data-fieldname=url] input"), desk.form.locator(".hub-refused")
	field.fill("http://127.0.0.1:1/hook")
	desk.page.keyboard.press("Tab")
	expect(refused).to_contain_text("Port 1 is not open")
	expect(desk.form.get_by_role("link", name="Hub Settings")).to_be_visible()
	field.fill(url)
	desk.page.keyboard.press("Tab")
	expect(refused).to_have_count(0)


def fill_webhook(desk, system: str, url: str, event: str) -> None:
	"""Fill the form of a new webhook as a person does: by typing, and by choosing from the lists."""
	desk.open("hub-webhook/new")
	desk.page.wait_for_function(
		"window.cur_frm && cur_frm.doctype === 'Hub Webhook' && cur_frm.is_new() && cur_frm.fields_dict.events.grid"
		" && cur_frm.fields_dict.events.grid.get_docfield('event').options?.length > 20"
	)
	desk.says("shown once")
	desk.form.locator("[data-fieldname=title] input").first.fill("Shop & Co")
	desk.set(system=system)
	fill_url(desk, url)
	cell = desk.form.locator(".grid-body [data-fieldname=event]:visible").first
	cell.click()
	cell.locator("input").press_sequentially(event)
	offered = desk.page.locator("[role=listbox] li:visible", has_text="An order was placed")
	expect(offered).to_be_visible()
	offered.click()
	desk.page.wait_for_function("event => cur_frm.doc.events[0].event === event", arg=event)


def test_a_webhook_is_made_its_secret_shown_once_and_tried(desk, listen, systems, receiver):
	system = listen.made_elsewhere(systems.new())
	listen.open_for(receiver.port)
	fill_webhook(desk, system.name, receiver.url + "/hook", "order.submitted")
	desk.page.keyboard.press("Control+s")
	secret = desk.dialog.locator(".hub-secret").inner_text()
	assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{32,}={0,2}", secret)
	expect(desk.dialog.locator(".hub-python")).to_contain_text(f'Webhook("{secret}").verify(')
	desk.dialog.get_by_role("button", name="I have stored the secret").click()
	desk.says("Nothing was sent yet")
	desk.page.reload()
	desk.wait_for_form()
	desk.says("Nothing was sent yet")
	assert secret not in desk.page.content()

	desk.button("Send Test Event").click()
	expect(desk.dialog).to_contain_text("Delivered: it answered 200 after")
	receiver.wait(1)
	(request,) = receiver.requests
	assert Webhook(secret).verify(request.body, request.headers)["type"] == "webhook.test"
	desk.page.keyboard.press("Escape")
	desk.says("All is well. Last delivered:")
	expect(desk.form.locator(".hub-counts [data-status=Delivered]")).to_have_text("1 Delivered")


def test_a_failing_endpoint_is_seen_and_redelivered_after_mending(desk, listen, systems, receiver, site):
	receiver.behave = BROKEN
	ear = listen.push(receiver, "order.submitted", system=systems.new(), title="Picking", echo=True)
	placed(ear)
	delivery = site.wait_for("a failed attempt", lambda: ear.deliveries(status="Scheduled"))[0].name
	desk.open_form("hub-webhook", ear.webhook)
	desk.says("Failing since")
	desk.says("It answered 500.")
	desk.form.locator(".hub-counts [data-status=Scheduled]").click()
	desk.page.wait_for_function(
		"window.cur_list?.doctype === 'Hub Event Delivery' && cur_list.data.length === 1"
	)

	desk.open_form("hub-event-delivery", delivery)
	desk.says("Not delivered yet: It answered 500.")
	desk.says("tries again by itself")
	attempts = desk.form.locator(".hub-step[data-attempt]")
	expect(attempts.first).to_contain_text("Attempt 1")
	expect(attempts.first).to_contain_text("It answered 500.")
	answered = desk.form.locator(".hub-json", has_text="What it answered")
	expect(answered.locator("pre")).to_have_text("The shop is <b>closed</b>.")
	sent = desk.form.locator(".hub-json", has_text="What is sent")
	assert json.loads(sent.locator("pre").inner_text())["type"] == "order.submitted"

	receiver.behave = Answer(204)
	desk.button("Redeliver").click()
	desk.says("Delivered to Picking")
	desk.says("It answered 204")
	assert row_of("Hub Event Delivery", delivery, "status", "http_status") == {
		"status": "Delivered",
		"http_status": 204,
	}


def test_pausing_needs_a_reason_and_resuming_sends_what_was_kept(desk, listen, systems, receiver, site):
	ear = listen.push(receiver, "order.submitted", system=systems.new(), echo=True)
	desk.open_form("hub-webhook", ear.webhook)
	desk.button("Pause").click()
	desk.dialog.locator("textarea").fill("Stocktaking <today>")
	desk.dialog.get_by_role("button", name="Pause").click()
	desk.says("paused it. Stocktaking <today>")
	placed(ear)
	site.wait_for("a held delivery", lambda: ear.deliveries(status="Held"))
	assert receiver.count == 0
	desk.button("Resume").click()
	expect(desk.page.locator(ALERT).first).to_contain_text("Active again: 1 deliveries go on now.")
	desk.page.wait_for_function("cur_frm.doc.status === 'Active'")
	receiver.wait(1)


def test_many_are_redelivered_from_the_list(desk, listen, systems, receiver, site):
	ear = listen.push(receiver, "order.submitted", system=systems.new(), echo=True)
	for _order in range(3):
		placed(ear)
	site.wait_for("three deliveries", lambda: len(ear.deliveries(status="Delivered")) == 3)
	desk.open_list("hub-event-delivery", webhook=ear.webhook)
	expect(
		desk.form.locator(".list-row-container .indicator-pill:visible", has_text="Delivered")
	).to_have_count(3)
	desk.form.locator(".list-header-subject .list-check-all:visible").check()
	desk.choose_action("Redeliver")
	expect(desk.dialog).to_contain_text("Send 3 deliveries again?")
	desk.dialog.get_by_role("button", name="Yes").click()
	expect(desk.page.locator(ALERT).first).to_contain_text("3 deliveries go out again.")
	receiver.wait(6)
	ids = [request.headers["webhook-id"] for request in receiver.requests]
	assert sorted(ids) == sorted(2 * [row.event for row in ear.deliveries()])


def test_an_order_says_who_was_told_of_it(desk, listen, systems, receiver, site):
	title = unique("Picking")
	ear = listen.push(receiver, "order.submitted", system=systems.new(), title=title, echo=True)
	name = placed(ear)
	site.wait_for("the delivery", lambda: ear.deliveries(status="Delivered"))
	desk.open_form("sales-order", name)
	desk.form.locator(".page-head").get_by_role("button", name="View").click()
	desk.form.locator(".page-head .dropdown-menu:visible").get_by_text("Events", exact=True).click()
	# Other systems of the site may be told of it, too.
	line = desk.dialog.locator(".hub-events tbody tr", has_text=title)
	expect(line).to_have_count(1)
	expect(line).to_contain_text("order.submitted")
	expect(line.locator(".indicator-pill")).to_have_text("Delivered")
	line.get_by_role("link", name="order.submitted").click()
	desk.says(f"An order was placed: Sales Order {name}.")
	expect(desk.form.locator(".hub-deliveries tbody tr")).to_contain_text(title)
	desk.button("Deliver Again").click()
	expect(desk.page.locator(ALERT).first).to_contain_text("1 deliveries go out again, under the same id.")
	receiver.wait(2)


def test_without_the_role_an_order_shows_nothing_of_events(desk_of, person, listen, systems, receiver):
	name = placed(listen.push(receiver, "order.submitted", system=systems.new(), echo=True))
	desk = desk_of(*person("Sales User", "Accounts User", "Stock User"))
	asked = []
	desk.page.on("request", lambda request: asked.append(request.url + (request.post_data or "")))
	desk.open_form("sales-order", name)
	desk.page.wait_for_load_state("networkidle")
	assert desk.page.evaluate("Object.keys(cur_frm.custom_buttons).includes('Events')") is False
	expect(desk.page.locator(".modal.show")).to_have_count(0)
	assert not [one for one in asked if "Hub+Event" in one or "Hub%20Event" in one]


def test_a_reader_sees_a_webhook_but_cannot_act(desk_of, person, listen, systems, receiver):
	ear = listen.push(receiver, "order.submitted", system=systems.new(), echo=True)
	desk = desk_of(*person(USER))
	desk.open_form("hub-webhook", ear.webhook)
	desk.says("Nothing was sent yet")
	for action in ("Send Test Event", "Rotate Secret", "Pause"):
		expect(desk.button(action)).to_have_count(0)


def test_the_fields_of_a_document_are_chosen(desk, listen):
	ear = listen.pull(
		documents=[
			{"event": "document.updated", "document_type": "Item Group", "fields": ["image"]},
			{"event": "document.created", "document_type": "Customer"},
		]
	)
	desk.open_form("hub-webhook", ear.webhook)
	choose = desk.form.get_by_role("button", name="Choose Fields")
	choose.click()
	expect(desk.dialog.locator("select option")).to_have_text(
		["1: document.updated, Item Group", "2: document.created, Customer"]
	)
	desk.dialog.get_by_role("button", name="Submit").click()

	expect(desk.dialog.locator(".modal-title")).to_have_text("Fields of Item Group")
	ticked = desk.dialog.locator(".unit-checkbox:has(:checked)")
	expect(ticked).to_have_text(re.compile(r"\(image\)"))
	desk.dialog.locator("[data-fieldname=find] input").fill("group name")
	found = desk.dialog.locator(".unit-checkbox:visible")
	expect(found).to_have_count(1)
	found.locator("input").check()
	desk.dialog.get_by_role("button", name="Choose", exact=True).click()
	desk.page.wait_for_function("cur_frm.is_dirty()")
	desk.page.keyboard.press("Control+s")
	desk.wait_for_form()
	frappe.db.rollback()
	lines = frappe.get_doc("Hub Webhook", ear.webhook).events
	assert [(line.document_type, line.field_names or None) for line in lines] == [
		("Item Group", "image, item_group_name"),
		("Customer", None),
	]


def test_fields_that_would_never_be_sent_are_not_offered(desk, listen, site):
	ear = listen.pull(
		documents=[{"event": "document.updated", "document_type": "Sales Order", "fields": ["po_no"]}]
	)
	(line,) = frappe.get_doc("Hub Webhook", ear.webhook).events
	desk.open_form("hub-webhook", ear.webhook)
	desk.form.get_by_role("button", name="Choose Fields").click()
	expect(desk.dialog.locator(".unit-checkbox", has_text="(po_no)")).to_have_count(1)
	# Of permission level 1.
	expect(desk.dialog.locator(".unit-checkbox", has_text="(ignore_pricing_rule)")).to_have_count(0)
	# As after roles were taken away.
	site.set_row("Hub Webhook Event", line.name, document_type="Email Account")
	desk.open_form("hub-webhook", ear.webhook)
	desk.form.get_by_role("button", name="Choose Fields").click()
	expect(desk.dialog).to_contain_text("The user of this system may not read Email Account")


def test_a_manager_rotates_a_secret_and_tries_a_field_map(
	desk_of, person, listen, systems, receiver, factory
):
	ear = listen.push(receiver, "order.submitted", system=systems.new(), echo=True)
	desk = desk_of(*person(MANAGER))
	desk.open_form("hub-webhook", ear.webhook)
	desk.button("Rotate Secret").click()
	expect(desk.dialog).to_contain_text("The old secret works until")
	overlap = desk.dialog.locator("[data-fieldname=overlap] select")
	overlap.select_option("custom")
	desk.dialog.get_by_role("button", name="Rotate Secret").click()
	expect(desk.dialog).to_contain_text("The overlap is 0 to 720 hours.")
	desk.dialog.locator(".btn-modal-close").click()
	assert row_of("Hub Webhook", ear.webhook, "previous_secret_valid_until").popitem()[1] is None
	overlap.select_option("24")
	desk.dialog.get_by_role("button", name="Rotate Secret").click()
	fresh = desk.dialog.locator(".hub-secret").inner_text()
	assert fresh.startswith("whsec_") and fresh != ear.secret
	desk.dialog.get_by_role("button", name="I have stored the secret").click()

	name = factory.make(
		"Hub Field Map",
		title=unique("Map"),
		sample='{"order": {"name": "SO-1"}}',
		rows=[_row("id", "order.name")],
	).name
	desk.open_form("hub-field-map", name)
	desk.form.get_by_role("button", name="Try", exact=True).click()
	result = desk.form.locator("[data-fieldname=result] .hub-json pre")
	expect(result).to_be_visible(timeout=PATIENCE_MS)
	assert json.loads(result.inner_text()) == {"id": "SO-1"}
	assert result.evaluate("pre => getComputedStyle(pre).whiteSpace") == "pre-wrap"


def _row(target: str, source: str) -> dict:
	return {"target": target, "source": source}
