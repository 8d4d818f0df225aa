"""The whole way of a new user: connect a system, see an order fail, put it right, press Retry."""

from playwright.sync_api import expect

from integration_hub.tests.factories import CUSTOMER, order, unique
from integration_hub.tests.stack import Http


def test_connect_fail_put_right_retry(desk, site, stack, masters, factory):
	slug = connect(desk, site, masters)
	token = create_user(desk, site, slug)
	http = Http(stack, token, site.refresh)
	assert http.get("system.ping").message["system"] == slug

	sku, body = unique("SKU"), order(customer={"name": CUSTOMER})
	body["lines"] = [{"external_id": "1", "sku": sku, "quantity": 2, "unit_price": 5}]
	refused = http.post("orders.create", body)
	assert (refused.status, refused.code) == (422, "unknown_item"), refused

	open_failed(desk, slug, body["external_id"], sku)
	factory.item(sku)
	retry(desk)
	made = site.order_of(slug, body["external_id"])
	assert (made.docstatus, made.items[0].item_code, made.items[0].qty) == (1, sku, 2)
	follow_to_order(desk, made.name, body["external_id"])


def connect(desk, site, masters) -> str:
	"""Fill the form of a new Connected System, save it by keyboard, and return its slug."""
	desk.open("hub-connected-system/new")
	desk.page.wait_for_function(
		"window.cur_frm && cur_frm.doctype === 'Hub Connected System' && cur_frm.is_new()"
	)
	slug = unique("ht-desk").lower()
	desk.page.get_by_label("Title").or_(desk.form.locator("[data-fieldname=title] input")).first.fill(
		slug.upper()
	)
	desk.page.keyboard.press("Tab")
	desk.page.wait_for_function("cur_frm.doc.slug")
	desk.set(company=masters.company, warehouse=masters.warehouse)
	desk.form.get_by_role("button", name="All Scopes").click()
	site.slugs.append(slug)
	desk.page.keyboard.press("Control+s")
	desk.wait_for_form()
	assert desk.page.evaluate("cur_frm.docname") == slug
	desk.says("press Create User")
	return slug


def create_user(desk, site, slug: str) -> str:
	"""Press Create User and return the token the dialog shows."""
	desk.button("Create User").click()
	key = desk.dialog.locator(".hub-key").inner_text()
	secret = desk.dialog.locator(".hub-secret").inner_text()
	assert len(key) == 15 and len(secret) == 32
	expect(desk.dialog.locator(".hub-curl")).to_contain_text(f"token {key}:{secret}")
	expect(desk.dialog).to_contain_text("never shown again")
	desk.dialog.get_by_role("button", name="I have stored the secret").click()
	expect(desk.page.locator(".hub-secret")).not_to_be_visible()
	site.refresh()
	import frappe

	site.owners.append(frappe.db.get_value("Hub Connected System", slug, "user"))
	expect(desk.button("Create User")).to_have_count(0)
	expect(desk.button("Rotate Secret")).to_be_visible()
	return f"{key}:{secret}"


def open_failed(desk, slug: str, external_id: str, sku: str) -> None:
	"""Find the request in the list, with its reason, and open it."""
	desk.open_list("hub-request", system=slug)
	row = desk.row(external_id)
	expect(row).to_contain_text("Failed")
	expect(row).to_contain_text(f"No item has the sku {sku}")
	row.get_by_text(external_id, exact=True).click()
	desk.wait_for_form()
	desk.says(f"No item has the sku {sku}")
	desk.says("Nothing was changed in ERPNext")
	expect(desk.form.locator(".hub-faults")).to_contain_text("/lines/0/sku")
	expect(desk.form.locator(".hub-json").filter(has_text=external_id).first).to_contain_text(
		f'"sku": "{sku}"'
	)


def retry(desk) -> None:
	"""Press Retry, confirm, and wait until the page itself shows that it is done."""
	desk.button("Retry").click()
	desk.dialog.get_by_role("button", name="Yes").click()
	desk.says("Done: Sales Order")
	expect(desk.button("Retry")).to_have_count(0)


def follow_to_order(desk, name: str, external_id: str) -> None:
	"""From the request to its Sales Order, which says where it came from."""
	desk.headline.get_by_role("link", name=name).click()
	desk.page.wait_for_function("window.cur_frm && cur_frm.doctype === 'Sales Order'")
	origin = desk.form.locator(".hub-origin")
	expect(origin).to_contain_text(external_id)
	origin.get_by_role("link", name="Hub Request").click()
	desk.page.wait_for_function("window.cur_frm && cur_frm.doctype === 'Hub Request'")
	desk.says("Done: Sales Order")
