"""Fixtures of browser tests: Chromium on the real Desk of the site the other tests use.

HUB_CHROMIUM   path of a Chromium; without it /usr/bin/chromium, else the one Playwright has installed
"""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from integration_hub.tests.browser.desk import PATIENCE_MS, Desk

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
]


@pytest.fixture(scope="session")
def chromium(stack):
	from playwright.sync_api import expect, sync_playwright

	expect.set_options(timeout=PATIENCE_MS)
	path = os.environ.get("HUB_CHROMIUM") or (CHROMIUM if Path(CHROMIUM).exists() else None)
	address = urlsplit(stack.base_url).hostname
	with sync_playwright() as playwright:
		browser = playwright.chromium.launch(
			executable_path=path, args=[*FLAGS, f"--host-resolver-rules=MAP {stack.host} {address}"]
		)
		yield browser
		browser.close()


@pytest.fixture(scope="session")
def site_url(stack) -> str:
	"""Where the browser finds the site, by the name Frappe chooses it by."""
	return f"http://{stack.host}:{urlsplit(stack.base_url).port}"


@pytest.fixture
def page(chromium):
	"""A page that fails its test when a script on it fails."""
	context = chromium.new_context(viewport={"width": 1400, "height": 900})
	page = context.new_page()
	page.set_default_timeout(PATIENCE_MS)
	faults = []
	page.on("pageerror", lambda error: faults.append(str(error)))
	yield page
	context.close()
	assert not faults, faults


@pytest.fixture(scope="session")
def person(site):
	"""`person(*roles)`: a user with a password, removed at the end; without roles the tests' own user, who has all."""
	import frappe
	from frappe.utils.password import update_password

	password = secrets.token_urlsafe(16)

	def make(*roles: str) -> tuple[str, str]:
		name = _make_person(roles) if roles else frappe.session.user
		update_password(name, password)
		frappe.db.commit()
		site.owners.append(name)
		return name, password

	return make


def _make_person(roles: tuple[str, ...]) -> str:
	import frappe

	user = frappe.get_doc(
		{
			"doctype": "User",
			"email": f"hub-person-{secrets.token_hex(4)}@example.com",
			"first_name": "Person",
			"send_welcome_email": 0,
			"user_type": "System User",
		}
	)
	user.flags.no_welcome_mail = True
	user.append_roles(*roles)
	return user.insert().name


@pytest.fixture
def desk_of(page, site_url):
	"""`desk_of(user, password)`: the Desk with that person logged in."""

	def log_in(user: str, password: str) -> Desk:
		desk = Desk(page, site_url)
		desk.log_in(user, password)
		return desk

	return log_in


@pytest.fixture
def desk(desk_of, person):
	"""The Desk of somebody who may do everything."""
	return desk_of(*person())
