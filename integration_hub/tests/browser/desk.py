"""The Desk as a person uses it: opened in Chromium, read by what it shows."""

import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

# A worker takes up a retried request within seconds; a slow machine needs its time for each page.
PATIENCE_MS = 60_000


@dataclass
class Desk:
	"""A browser page with a person logged in. v16 forwards /app to /desk."""

	page: Page
	base_url: str

	def log_in(self, user: str, password: str) -> None:
		self.page.goto(f"{self.base_url}/login")
		status = self.page.evaluate(
			"""async ([usr, pwd]) => (await fetch("/api/method/login", {
				method: "POST",
				headers: {"Content-Type": "application/json"},
				body: JSON.stringify({usr, pwd}),
			})).status""",
			[user, password],
		)
		assert status == 200, f"{user} could not log in: {status}"

	def open(self, route: str) -> None:
		self.page.goto(f"{self.base_url}/app/{route}", wait_until="domcontentloaded")
		self.page.wait_for_function("window.frappe && frappe.boot && frappe.get_route && frappe.get_route()")

	def open_list(self, doctype_route: str, **filters: str) -> None:
		"""Open a list and wait until it shows some rows, and only such as the filters let through.

		v15 shows all rows first; whoever ticks them too early acts on other people's.
		"""
		query = "&".join(f"{name}={value}" for name, value in filters.items())
		self.open(f"{doctype_route}?{query}")
		self.page.wait_for_function(
			"""(filters) => window.cur_list?.data?.length
				&& Object.entries(filters).every(([name, value]) =>
					cur_list.filter_area.get().some((set) => set[1] === name && set[3] === value)
					&& cur_list.data.every((row) => row[name] === value))
				&& document.querySelectorAll(".page-container:not([style*='display: none']) .list-row-checkbox").length
					=== cur_list.data.length""",
			arg=filters,
		)

	def tick(self, *external_ids: str) -> None:
		"""Tick rows of the open list, and nothing else."""
		for external_id in external_ids:
			self.row(external_id).locator(".list-row-checkbox").check()
		assert self.page.evaluate("cur_list.get_checked_items(true).length") == len(external_ids)

	def open_form(self, doctype_route: str, name: str) -> None:
		self.open(f"{doctype_route}/{name}")
		self.wait_for_form()

	def wait_for_form(self) -> None:
		self.page.wait_for_function(
			"window.cur_frm && cur_frm.doc && cur_frm.docname === frappe.get_route()[2] && !cur_frm.is_dirty()"
		)

	def set(self, **values) -> None:
		"""Fill fields of the open form, as choosing from their lists would."""
		self.page.evaluate("async (values) => { await cur_frm.set_value(values); }", values)

	@property
	def form(self) -> Locator:
		return self.page.locator(".page-container:visible")

	@property
	def headline(self) -> Locator:
		"""The sentence above the form."""
		return self.form.locator(".hub-headline")

	def button(self, name: str) -> Locator:
		"""A button of the open form's head."""
		return self.form.locator(".page-head").get_by_role("button", name=name, exact=True)

	@property
	def dialog(self) -> Locator:
		return self.page.locator(".modal.show").last

	def row(self, text: str) -> Locator:
		"""A row of the open list."""
		return self.form.locator(".list-row-container", has_text=re.compile(rf"\b{re.escape(text)}\b"))

	def choose_action(self, name: str) -> None:
		"""Choose from the list's Actions menu, shown while rows are ticked."""
		self.form.locator(".page-head .actions-btn-group button:visible").first.click()
		self.form.locator(
			".actions-btn-group .dropdown-menu a", has_text=re.compile(rf"^\s*{name}\s*$")
		).click()

	def says(self, text: str) -> None:
		"""Wait until the headline contains a text."""
		expect(self.headline).to_contain_text(text, timeout=PATIENCE_MS)
