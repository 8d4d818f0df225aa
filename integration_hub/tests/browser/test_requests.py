"""What people may do with requests in the Desk, and what they see."""

import pytest
from playwright.sync_api import expect

from integration_hub.constants.roles import MANAGER, USER
from integration_hub.core import queue
from integration_hub.tests.factories import line, order, unique


@pytest.fixture
def failing(systems):
	"""`failing(n)`: a system of its own with n failed requests; returns it and their external ids."""

	def make(count: int):
		system = systems.new()
		bodies = [order(lines=[line(item_code=unique("NONE"))]) for _ in range(count)]
		for body in bodies:
			assert system.http.post("orders.create", body).code == "unknown_item"
		return system, [body["external_id"] for body in bodies]

	return make


def status_of(site, system, external_id: str) -> str:
	(request,) = site.request_of(system.name, external_id)
	return request.status


def test_dismissing_needs_a_reason_and_keeps_it(desk, site, failing):
	system, (external_id,) = failing(1)
	(request,) = site.request_of(system.name, external_id)
	desk.open_form("hub-request", request.name)
	desk.button("Dismiss").click()
	desk.dialog.get_by_role("button", name="Dismiss").click()
	assert status_of(site, system, external_id) == "Failed"
	desk.page.keyboard.press("Escape")
	desk.open_form("hub-request", request.name)
	desk.button("Dismiss").click()
	desk.dialog.locator("textarea").fill("Sold out <for good>")
	desk.dialog.get_by_role("button", name="Dismiss").click()
	desk.says("Sold out <for good>")
	(request,) = site.request_of(system.name, external_id)
	assert (request.status, request.dismiss_reason) == ("Cancelled", "Sold out <for good>")


def test_many_are_dismissed_and_the_rest_is_named(desk, site, failing):
	system, (first, second) = failing(2)
	done = system.http.post("orders.create", order())
	assert done.status == 201, done
	desk.open_list("hub-request", system=system.name)
	desk.tick(first, second, done.order["external_id"])
	desk.choose_action("Dismiss")
	desk.dialog.locator("textarea").fill("Test orders")
	desk.dialog.get_by_role("button", name="Dismiss").click()
	expect(desk.dialog).to_contain_text("2 dismissed.")
	expect(desk.dialog).to_contain_text(f"{done.order['external_id']}: it is Completed")
	assert {status_of(site, system, first), status_of(site, system, second)} == {"Cancelled"}


def test_many_are_tried_again(desk, site, failing):
	system, external_ids = failing(2)
	desk.open_list("hub-request", system=system.name)
	desk.tick(*external_ids)
	desk.choose_action("Retry")
	desk.dialog.get_by_role("button", name="Yes").click()
	expect(desk.page.locator("#alert-container, .desk-alert").first).to_contain_text("2 put into the queue.")
	for external_id in external_ids:
		desk.page.wait_for_function(
			"""async ([system, external_id]) => {
				const rows = await frappe.db.get_list("Hub Request", {
					filters: {system, external_id}, fields: ["status", "attempt_no"],
				});
				return rows[0].status === "Failed" && rows[0].attempt_no === 2;
			}""",
			arg=[system.name, external_id],
			polling=500,
		)


@pytest.fixture
def unhurried(site):
	"""What waits for something is not tried again by itself while people look at it."""
	with site.settings("Hub Settings", dependency_delay_seconds=3000):
		yield


@pytest.mark.usefixtures("unhurried")
def test_a_batch_is_seen_moving_and_what_waits_is_cancelled(desk_of, person, site, systems):
	system = systems.new()
	done, later = order(), order(lines=[line(item_code=unique("LATER"))])
	# The door reads the system from the cache, the workers read the row.
	assert system.http.get("system.ping").status == 200
	site.set_row("Hub Connected System", system.name, paused=1)
	batch = system.http.post(
		"orders.create_many", {"external_id": unique("BATCH"), "orders": [done, later, order(lines=[])]}
	)
	assert batch.status == 202, batch
	name = batch.message["id"]
	desk = desk_of(*person(MANAGER))
	desk.open_form("hub-request", name)
	desk.says("is paused for maintenance")
	site.set_row("Hub Connected System", system.name, paused=0)
	queue.drain(seconds=20)

	desk.says("1 of 3 done, 1 failed, 1 waiting.")
	bars = desk.form.locator(".progress-bar")
	widths = bars.evaluate_all("bars => bars.map((bar) => Math.round(parseFloat(bar.style.width)))")
	assert widths == [33, 33, 0]
	items = desk.form.locator(".hub-items tbody tr")
	expect(items).to_have_count(3)
	desk.form.locator("[data-kind=failed]").click()
	expect(items).to_have_count(1)
	expect(items).to_contain_text("Send 1 at least")
	desk.form.locator("[data-kind=waiting]").click()
	expect(items).to_contain_text(later["lines"][0]["item_code"])

	items.get_by_role("link", name=later["external_id"]).click()
	desk.says("It waits until that is there: the hub tries again by itself")
	desk.says("attempt 2 of 12.")
	desk.button("Cancel").click()
	desk.dialog.get_by_role("button", name="Yes").click()
	desk.says("while it waited.")
	assert status_of(site, system, later["external_id"]) == "Cancelled"
	desk.page.go_back()
	desk.says("1 of 3 done, 1 failed, 1 cancelled.")
	desk.form.get_by_role("link", name="As a list").click()
	desk.page.wait_for_function("window.cur_list?.doctype === 'Hub Request' && cur_list.data.length === 2")
	expect(desk.row(done["external_id"])).to_be_visible()
	expect(desk.row(later["external_id"])).to_be_visible()


def test_text_from_outside_is_shown_as_text(desk, site, systems):
	system = systems.new()
	external_id, key = f'{unique("A")} & "B" 5<6', "<img/src=x/onerror=window.hub_pwned=1>"
	assert system.http.post("orders.create", order(external_id=external_id), key).status == 201
	(request,) = site.request_of(system.name, external_id)
	desk.open_list("hub-request", system=system.name)
	expect(desk.row("New order")).to_contain_text(external_id)
	desk.open_form("hub-request", request.name)
	desk.form.get_by_text("Technical").click()
	expect(desk.form.get_by_text(key)).to_be_visible()
	desk.open_form("sales-order", site.order_of(system.name, external_id).name)
	expect(desk.form.locator(".hub-origin")).to_contain_text(external_id)
	assert desk.page.evaluate("window.hub_pwned") is None


def test_a_reader_sees_requests_but_cannot_act(desk_of, person, site, failing):
	system, (external_id,) = failing(1)
	desk = desk_of(*person(USER))
	(request,) = site.request_of(system.name, external_id)
	desk.open_form("hub-request", request.name)
	desk.says("Nothing was changed in ERPNext")
	expect(desk.button("Retry")).to_have_count(0)
	expect(desk.button("Dismiss")).to_have_count(0)


def test_without_the_role_nothing_is_shown(desk_of, person, site, failing):
	system, (external_id,) = failing(1)
	(request,) = site.request_of(system.name, external_id)
	desk = desk_of(*person("Sales User"))
	desk.open(f"hub-request/{request.name}")
	expect(desk.page.locator("body")).to_contain_text("permission", ignore_case=True)
	assert external_id not in desk.page.content()
	desk.open("")
	expect(desk.page.get_by_text("Integration Hub", exact=True)).to_have_count(0)
