"""A platform is connected in the Desk: preset, address, secret; a map is tried, exported and imported."""

import json

from playwright.sync_api import expect

import frappe

from integration_hub.tests import platforms
from integration_hub.tests.factories import unique
from integration_hub.tests.platforms import Platform


def open_tab(desk, system) -> None:
	desk.open_form("hub-connected-system", system.name)
	desk.form.locator(".form-tabs .nav-link", has_text="Webhooks in").click()


def test_a_shop_is_connected_by_buttons(desk, systems, anonymous, site):
	system = systems.new()
	open_tab(desk, system)
	address = desk.form.locator(".hub-address")
	expect(address).to_contain_text(f"webhooks.receive?system={system.name}")
	expect(desk.form).to_contain_text("No secret yet: every call is refused.")
	desk.form.get_by_role("button", name="Install Preset").click()
	desk.dialog.locator("select").select_option("shopify")
	desk.dialog.get_by_role("button", name="Install", exact=True).click()
	expect(desk.dialog).to_contain_text("Preset installed")
	expect(desk.dialog).to_contain_text("shopify_payments")
	desk.page.keyboard.press("Escape")
	doc = system.doc
	assert (doc.inbound_scheme, len(doc.inbound_topics)) == ("Shopify", 8)

	open_tab(desk, system)
	desk.form.get_by_role("button", name="Enter Secret").click()
	expect(desk.dialog).to_contain_text(
		"the key the shop's admin shows under Settings, Notifications, Webhooks"
	)
	desk.dialog.locator("input[data-fieldname=secret]").fill("a-secret-of-shopify")
	desk.dialog.get_by_role("button", name="Enter Secret").click()
	expect(desk.form).to_contain_text("A secret is entered.")
	expect(desk.page.locator(".modal")).to_have_count(0)
	assert "a-secret-of-shopify" not in desk.page.content()
	shop = Platform(system, "Shopify", "a-secret-of-shopify", anonymous)
	assert "id" in shop.send("orders/create", {"id": 1}).message
	assert shop.send("orders/create", {"id": 1}, secret="another").status == 401

	open_tab(desk, system)
	expect(desk.form.locator(".hub-refusals")).to_contain_text("1: signed with another secret")


def test_replacing_what_was_changed_is_asked_for(desk, systems, site):
	from integration_hub.inbound import webhook_presets

	system = systems.new()
	webhook_presets.install(system.doc, "woocommerce")
	frappe.db.commit()
	doc = system.doc
	doc.inbound_topics[0].condition = "total"
	doc.save()
	frappe.db.commit()
	open_tab(desk, system)
	desk.form.get_by_role("button", name="Install Preset").click()
	desk.dialog.locator("select").select_option("woocommerce")
	desk.dialog.get_by_role("button", name="Install", exact=True).click()
	expect(desk.dialog).to_contain_text("The topic order.created has other lines.")
	assert system.doc.inbound_topics[0].condition == "total"
	desk.dialog.get_by_role("button", name="Replace").click()
	expect(desk.dialog).to_contain_text("Preset installed")
	assert system.doc.inbound_topics[0].condition != "total"


def test_a_map_is_tried_exported_and_imported(desk, factory, site):
	name = platforms.make_map(factory, platforms.ORDER_ROWS)
	doc = frappe.get_doc("Hub Field Map", name)
	items = [{"line": 1, "article": "A", "pieces": 0, "price": "1"}]
	doc.update({"sample": json.dumps(platforms.order(items=items)), "try_operation": "orders.create"})
	doc.save()
	frappe.db.commit()
	desk.open_form("hub-field-map", name)
	desk.form.get_by_role("button", name="Try", exact=True).click()
	expect(desk.form.locator("[data-fieldname=result]")).to_contain_text("/lines/0/quantity: Row 7")
	expect(desk.form.locator("[data-fieldname=result]")).to_contain_text('"item_code": "A"')
	with desk.page.expect_download() as download:
		desk.button("Export").click()
	exported = download.value.path().read_text()
	assert json.loads(exported)["title"] == name and "sample" not in exported

	other = platforms.make_map(factory, platforms.CANCEL_ROWS, description=unique("HT"))
	desk.open_form("hub-field-map", other)
	desk.button("Import").click()
	desk.page.wait_for_function("window.cur_dialog?.display")
	desk.page.evaluate("(content) => cur_dialog.set_value('content', content)", exported)
	desk.dialog.get_by_role("button", name="Import").click()
	desk.page.wait_for_function("cur_frm.is_dirty() && cur_frm.doc.rows.length === 9")
	desk.form.get_by_role("button", name="Save").click()
	desk.wait_for_form()
	site.refresh()
	saved = frappe.get_doc("Hub Field Map", other)
	assert (saved.version, len(saved.rows)) == (2, 9)
