"""Who calls: Connected Systems, made with their user and credentials as the button in the Desk makes them, and people."""

from dataclasses import dataclass, field

import frappe

from integration_hub.constants.scopes import SCOPES
from integration_hub.core import credentials
from integration_hub.tests.factories import unique
from integration_hub.tests.stack import Http, Stack


@dataclass
class System:
	"""A Connected System and a client that calls as it."""

	name: str
	user: str
	token: str = field(repr=False)
	http: Http = field(repr=False)

	@property
	def doc(self):
		frappe.db.rollback()
		return frappe.get_doc("Hub Connected System", self.name)

	def change(self, **values) -> None:
		"""Change its settings as a person would in the Desk."""
		doc = self.doc
		doc.update(values)
		doc.save()
		frappe.db.commit()


class Systems:
	"""Makes systems; `like` gives tests that change nothing one system for the same settings."""

	def __init__(self, stack: Stack, defaults: dict, between):
		self.stack = stack
		self.defaults = defaults
		self.made: list[System] = []
		self._between = between
		self._shared: dict[str, System] = {}

	def new(self, **values) -> System:
		"""Make a system of its own, for a test that changes it or counts its calls."""
		slug = unique("ht").lower()
		doc = frappe.get_doc(
			{
				"doctype": "Hub Connected System",
				"slug": slug,
				"title": f"Test {slug}",
				**self.defaults,
				**values,
			}
		).insert()
		made = credentials.create_user(doc.name)
		frappe.db.commit()
		token = f"{made.api_key}:{made.api_secret}"
		system = System(doc.name, made.user, token, Http(self.stack, token, self._between))
		self.made.append(system)
		return system

	def like(self, **values) -> System:
		"""Return a system with these settings, shared by all tests that ask for the same."""
		key = repr(sorted(values.items()))
		if key not in self._shared:
			self._shared[key] = self.new(**values)
		return self._shared[key]


def all_scopes(*without: str) -> list[dict]:
	return [{"scope": scope} for scope in SCOPES if scope not in without]


@dataclass
class Person:
	"""A user of the Desk and a client that calls as this person."""

	name: str
	http: Http = field(repr=False)


class People:
	"""Makes people."""

	def __init__(self, stack: Stack, between):
		self.stack = stack
		self.made: list[Person] = []
		self._between = between

	def new(self, *roles: str) -> Person:
		"""Make a user of the Desk with just these roles."""
		user = frappe.get_doc(
			{
				"doctype": "User",
				"email": f"{unique('hub-tests').lower()}@example.com",
				"first_name": "Hub Tests",
				"last_name": "Person",
				"send_welcome_email": 0,
				"user_type": "System User",
				"api_key": frappe.generate_hash(length=15),
				"api_secret": frappe.generate_hash(length=15),
			}
		)
		user.append_roles(*roles)
		secret = user.api_secret
		user.insert()
		frappe.db.commit()
		person = Person(user.name, Http(self.stack, f"{user.api_key}:{secret}", self._between))
		self.made.append(person)
		return person
