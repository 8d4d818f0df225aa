"""Secrets of a Connected System, handled in the Desk."""

from playwright.sync_api import expect

from integration_hub.tests.stack import Http


def token_in(dialog) -> str:
	return f"{dialog.locator('.hub-key').inner_text()}:{dialog.locator('.hub-secret').inner_text()}"


def ping(stack, site, token: str) -> int:
	return Http(stack, token, site.refresh).get("system.ping").status


def test_rotating_keeps_the_old_secret_as_long_as_it_says(desk, systems, stack, site):
	system = systems.new()
	desk.open_form("hub-connected-system", system.name)
	desk.button("Rotate Secret").click()
	expect(desk.dialog).to_contain_text("The old secret works until")
	desk.dialog.get_by_role("button", name="Rotate Secret").click()
	expect(desk.dialog.locator(".hub-secret")).to_be_visible()
	fresh = token_in(desk.dialog)
	assert fresh != system.token
	assert (ping(stack, site, fresh), ping(stack, site, system.token)) == (200, 200)
	desk.dialog.get_by_role("button", name="I have stored the secret").click()
	desk.says("Two secrets are valid")


def test_rotating_without_overlap_ends_the_old_secret(desk, systems, stack, site):
	system = systems.new()
	desk.open_form("hub-connected-system", system.name)
	desk.button("Rotate Secret").click()
	desk.dialog.locator("select").select_option("0")
	expect(desk.dialog).to_contain_text("The old secret stops working at once.")
	desk.dialog.get_by_role("button", name="Rotate Secret").click()
	expect(desk.dialog.locator(".hub-secret")).to_be_visible()
	assert (ping(stack, site, token_in(desk.dialog)), ping(stack, site, system.token)) == (200, 401)


def test_revoking_ends_every_secret(desk, systems, stack, site):
	system = systems.new()
	desk.open_form("hub-connected-system", system.name)
	desk.button("Revoke").click()
	expect(desk.dialog).to_contain_text("refused from this moment on")
	desk.dialog.get_by_role("button", name="Revoke").click()
	desk.says("No secret")
	assert ping(stack, site, system.token) == 401
