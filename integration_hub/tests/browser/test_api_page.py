"""The page /integration-hub, as a guest sees it."""

from urllib.parse import urlsplit

from playwright.sync_api import expect

from integration_hub.core import operations


def test_it_shows_every_operation_without_the_internet(page, site_url, site):
	asked = set()
	page.on("request", lambda request: asked.add(urlsplit(request.url).hostname))
	page.goto(f"{site_url}/integration-hub")
	expect(page.get_by_role("heading", name="Integration Hub API")).to_be_visible()
	for operation in operations.all_operations():
		expect(page.get_by_text(operation.summary, exact=True).first).to_be_visible()
	page.get_by_text(operations.get("orders.create").summary, exact=True).first.click()
	expect(page.get_by_text(operations.get("orders.create").path).last).to_be_visible()
	assert asked - {None, ""} == {urlsplit(site_url).hostname}


def test_it_names_no_data_of_the_site(page, site_url, masters, shop):
	page.goto(f"{site_url}/integration-hub")
	content = page.content()
	for name in (masters.company, masters.warehouse, shop.name, shop.user):
		assert name not in content


def test_its_first_call_works_as_copied(page, site_url, shop, stack):
	page.goto(f"{site_url}/integration-hub")
	command = page.locator("#ping").inner_text()
	assert site_url in command
	path = command.split(site_url)[1].split('"')[0]
	assert "Authorization: token $KEY:$SECRET" in command
	assert shop.http.raw("GET", path).status == 200
