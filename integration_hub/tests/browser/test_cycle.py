"""The sales cycle in the Desk: where a call stopped, how it is put right, and what came of it."""

import pytest
from playwright.sync_api import expect

from integration_hub.tests.factories import line, order, unique

TRACKING = "https://track.example/?id=003404&lang=en"
DONE = ["Order", "Delivery", "Invoice", "Payment"]


@pytest.fixture
def stopped(site, factory, masters, systems):
	"""`stopped(mode)`: a sales.run that stops at its delivery for want of 3 pieces; its request."""

	def make(mode: str):
		item, system = factory.item(), systems.new()
		factory.stock(item, masters.warehouse, 2)
		body = order(lines=[line(item_code=item, quantity=5)])
		refused = system.http.post(
			"sales.run",
			{
				"mode": mode,
				"order": body,
				"fulfill": {"carrier": "DHL", "tracking_number": "003404", "tracking_url": TRACKING},
				"invoice": {},
				"pay": {"method": "Cash"},
			},
		)
		assert (refused.status, refused.code) == (422, "stock_short"), refused
		(request,) = site.request_of(system.name, body["external_id"], "sales.run")
		return request

	return make


def step(desk, name: str):
	"""A step of the open request's timeline."""
	return desk.form.locator(".hub-step").filter(has=desk.page.locator("b", has_text=name))


def states(desk) -> dict[str, str]:
	"""What the timeline says, in its order."""
	steps = desk.form.locator(".hub-step-head")
	return dict(one.inner_text().split("\n") for one in steps.all())


def retry(desk) -> None:
	desk.button("Retry").click()
	desk.dialog.get_by_role("button", name="Yes").click()


def receive(desk) -> None:
	"""Press the button that puts missing stock right, complete the form and submit it."""
	desk.form.locator(".page-head").get_by_role("button", name="Put right").click()
	desk.form.get_by_role("link", name="Receive stock").click()
	desk.page.wait_for_function(
		"window.cur_frm?.doctype === 'Stock Entry' && cur_frm.doc.items[0]?.qty === 3 && cur_frm.doc.items[0].uom"
	)
	desk.page.evaluate(
		"""async () => {
			const [row] = cur_frm.doc.items;
			await frappe.model.set_value(row.doctype, row.name, "basic_rate", 4);
			await cur_frm.save();
			await frappe.xcall("frappe.client.submit", {doc: cur_frm.doc});
		}"""
	)


def test_a_staged_call_is_put_right_and_goes_on(desk, site, masters, stopped):
	request = stopped("staged")
	made = request.steps[0].document_name
	desk.open_form("hub-request", request.name)
	desk.says("ERPNext did not take this delivery:")
	desk.says(f"Done and kept: Sales Order {made}.")
	assert states(desk) == {
		"Order": "Done",
		"Delivery": "Failed",
		"Invoice": "Not begun",
		"Payment": "Not begun",
	}
	expect(step(desk, "Delivery")).to_contain_text(request.steps[1].error)
	expect(step(desk, "Delivery")).to_contain_text("A retry goes on here; what is done is kept.")
	expect(desk.form.locator("[data-fieldname=steps_section]")).to_be_visible()
	expect(desk.form.locator("[data-fieldname=steps] .grid-body")).not_to_be_visible()

	receive(desk)
	(row,) = desk.page.evaluate("cur_frm.doc.items.map(({t_warehouse, qty}) => [t_warehouse, qty])")
	assert row == [masters.warehouse, 3]

	desk.open_form("hub-request", request.name)
	retry(desk)
	desk.says(f"Done: Sales Order {made}, Delivery Note ")
	assert states(desk) == dict.fromkeys(DONE, "Done")
	(request,) = site.request_of(request.system, request.external_id, "sales.run")
	for row in request.steps:
		link = desk.form.locator(f".hub-step[data-step={row.step}] a")
		expect(link).to_have_text(row.document_name)
	link = step(desk, "Delivery").get_by_role("link")
	link.click()
	desk.page.wait_for_function("window.cur_frm && cur_frm.doctype === 'Delivery Note'")
	assert desk.page.evaluate("cur_frm.docname") == request.steps[1].document_name


def test_the_page_follows_the_steps(desk, site, stopped):
	request = stopped("staged")
	site.set_row("Hub Request", request.name, status="Processing", lease_until=("UTC", 600))
	try:
		desk.open_form("hub-request", request.name)
		expect(step(desk, "Delivery")).to_contain_text("Failed last time")
		site.set_row("Hub Request Step", request.steps[1].name, status="Processing", error=None)
		site.set_row("Hub Request", request.name, lease_until=("UTC", 610))
		expect(step(desk, "Delivery")).to_contain_text("In progress")
		expect(desk.form.locator(".hub-steps")).to_contain_text("Each step is kept as soon as it is done.")
	finally:
		site.set_row("Hub Request", request.name, status="Failed", lease_until=None)


def test_an_atomic_call_keeps_nothing_and_says_so(desk, stopped):
	request = stopped("atomic")
	desk.open_form("hub-request", request.name)
	desk.says("Nothing was changed in ERPNext.")
	assert states(desk) == {
		"Order": "Undone",
		"Delivery": "Failed",
		"Invoice": "Not begun",
		"Payment": "Not begun",
	}
	expect(step(desk, "Delivery")).to_contain_text("All or nothing: nothing is kept.")
	expect(desk.form.locator(".hub-step a")).to_have_count(0)


def test_a_refund_names_all_it_made(desk, site, factory, masters, hub, shop):
	item, refund = factory.item(), unique("RMA")
	factory.stock(item, masters.warehouse, 5)
	body = order(lines=[line(item_code=item)])
	sold = hub.post("sales.run", {"order": body, "fulfill": {}, "invoice": {}, "pay": {"method": "Cash"}})
	assert sold.status == 201, sold
	answer = hub.post(
		"sales.refund",
		{"external_id": refund, "order": {"external_id": body["external_id"]}, "method": "Cash"},
	)
	assert answer.status == 201, answer
	(request,) = site.request_of(shop.name, refund, "sales.refund")
	desk.open_form("hub-request", request.name)
	made = [
		f"{doctype} {answer.message[kind][0]['name']}"
		for kind, doctype in (
			("fulfillments", "Delivery Note"),
			("invoices", "Sales Invoice"),
			("payments", "Payment Entry"),
		)
	]
	desk.says(f"Done: {', '.join(made)}.")


def test_a_request_without_steps_shows_none(desk, site, hub, shop):
	body = order()
	assert hub.post("orders.create", body).status == 201
	(request,) = site.request_of(shop.name, body["external_id"])
	desk.open_form("hub-request", request.name)
	desk.says("Done: Sales Order")
	expect(desk.form.locator("[data-fieldname=steps_section]")).not_to_be_visible()
	expect(desk.form.locator(".hub-steps")).to_have_count(0)


def test_a_delivery_leads_to_its_parcel(desk, factory, masters, hub):
	item = factory.item()
	factory.stock(item, masters.warehouse, 5)
	for url, target in ((TRACKING, TRACKING), (None, None)):
		parts = {"tracking_number": "003404", **({"tracking_url": url} if url else {})}
		answer = hub.post("sales.run", {"order": order(lines=[line(item_code=item)]), "fulfill": parts})
		assert answer.status == 201, answer
		(parcel,) = answer.message["fulfillments"]
		desk.open_form("delivery-note", parcel["name"])
		expect(desk.form.locator(".hub-origin")).to_contain_text(parcel["external_id"])
		expect(desk.form.locator(".hub-parcel")).to_contain_text("003404")
		link = desk.form.get_by_role("link", name="Track parcel")
		expect(link).to_have_count(1 if target else 0)
		if target:
			assert link.get_attribute("href") == target
			assert link.get_attribute("rel") == "noopener noreferrer"


def test_an_address_that_is_no_page_is_not_opened(desk, site, factory, masters, hub):
	item = factory.item()
	factory.stock(item, masters.warehouse, 5)
	answer = hub.post(
		"sales.run", {"order": order(lines=[line(item_code=item)]), "fulfill": {"carrier": "DHL"}}
	)
	(parcel,) = answer.message["fulfillments"]
	site.set_row("Delivery Note", parcel["name"], hub_tracking_url="javascript:window.hub_pwned=1//")
	desk.open_form("delivery-note", parcel["name"])
	expect(desk.form.locator(".hub-parcel")).to_contain_text("DHL")
	expect(desk.form.locator(".hub-parcel a")).to_have_count(0)


def test_an_unknown_method_leads_to_the_map(desk, site, systems):
	system, method, body = systems.new(), unique("METHOD"), order()
	placed = system.http.post("orders.create", body)
	assert placed.status == 201, placed
	parcel = unique("PAY")
	refused = system.http.post(
		"sales.pay",
		{"external_id": parcel, "order": {"external_id": body["external_id"]}, "method": method},
	)
	assert refused.code == "payment_method_not_mapped", refused
	(request,) = site.request_of(system.name, parcel, "sales.pay")
	desk.open_form("hub-request", request.name)
	desk.says("ERPNext did not take this payment:")
	desk.form.locator(".page-head").get_by_role("button", name="Put right").click()
	desk.form.get_by_role("link", name=f"Map {method} to an account").click()
	desk.page.wait_for_function("window.cur_frm?.doctype === 'Hub Connected System' && cur_frm.is_dirty()")
	rows = desk.page.evaluate("cur_frm.doc.payment_method_map.map((row) => row.payment_method)")
	assert rows == ["Cash", "Card", method]
	expect(desk.form.locator("[data-fieldname=payment_method_map] .grid-row").last).to_be_in_viewport()


def test_a_refusal_leads_to_the_documents_in_its_way(desk, site, factory, masters, hub, shop):
	item = factory.item()
	factory.stock(item, masters.warehouse, 5)
	body = order(lines=[line(item_code=item)])
	answer = hub.post("sales.run", {"order": body, "fulfill": {}})
	(parcel,) = answer.message["fulfillments"]
	refused = hub.post("orders.cancel", {"external_id": body["external_id"]})
	assert refused.code == "state_conflict", refused
	(request,) = site.request_of(shop.name, body["external_id"], "orders.cancel")
	desk.open_form("hub-request", request.name)
	desk.says("ERPNext did not cancel this order:")
	link = desk.form.locator(".hub-named").get_by_role("link", name=parcel["name"])
	link.click()
	desk.page.wait_for_function("window.cur_frm && cur_frm.doctype === 'Delivery Note'")
	assert desk.page.evaluate("cur_frm.docname") == parcel["name"]
