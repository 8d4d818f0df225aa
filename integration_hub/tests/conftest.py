"""Fixtures of all tests. Only those that ask for `site`, or stand in integration/, need a running bench."""

import os
import secrets
import signal
from contextlib import contextmanager
from unittest import mock

import pytest

# Without a site Frappe has no folder for its log files.
os.environ.setdefault("FRAPPE_STREAM_LOGGING", "1")

# Their assertions, too, shall say what they compared.
pytest.register_assert_rewrite("integration_hub.tests.expect", "integration_hub.tests.site")


def pytest_configure(config):
	config.addinivalue_line("markers", "slow: takes more than ten seconds; run by default")
	signal.signal(signal.SIGTERM, _end_as_on_interrupt)


def _end_as_on_interrupt(*_) -> None:
	"""Say which test it was, and leave the site as it was found; once, for who sends it may send it twice."""
	signal.signal(signal.SIGTERM, signal.SIG_IGN)
	raise KeyboardInterrupt


@pytest.fixture(scope="session")
def stack():
	from integration_hub.tests.stack import Stack

	try:
		return Stack.from_environment()
	except LookupError as e:
		pytest.fail(str(e), pytrace=False)


@pytest.fixture(scope="session")
def site(stack):
	"""Connect to the site as a user of the tests' own who has every role; at the end all that is theirs is removed."""
	import frappe

	frappe.init(stack.site, sites_path=".")
	frappe.connect()
	from integration_hub.tests import cleanup, site

	user = _make_user(f"hub-tests-{secrets.token_hex(4)}@example.com")
	frappe.set_user(user)
	site.owners = [user]
	site.slugs = []
	# The suite is turned away more often in a minute than a site records.
	with (
		_no_jobs_for_new_users(),
		site.settings("Hub Settings", turned_away_rows_per_minute=1_000_000),
		# Frappe lets a site make 60 users an hour.
		site.configured(throttle_user_limit=1_000_000),
	):
		yield site
	frappe.set_user("Administrator")
	try:
		cleanup.remove_everything_of(site.owners, site.slugs)
	finally:
		frappe.destroy()


@contextmanager
def _no_jobs_for_new_users():
	"""Leave out what Frappe queues for each new user, a Contact and a look at gravatar.com: it takes as long as the tests."""
	import frappe

	enqueue = frappe.enqueue
	left_out = {f"frappe.core.doctype.user.user.{job}" for job in ("create_contact", "update_gravatar")}

	def enqueue_others(method, *args, **kwargs):
		return None if method in left_out else enqueue(method, *args, **kwargs)

	with mock.patch.object(frappe, "enqueue", enqueue_others):
		yield


def _make_user(name: str) -> str:
	import frappe

	frappe.set_user("Administrator")
	user = frappe.get_doc(
		{
			"doctype": "User",
			"email": name,
			"first_name": "Hub Tests",
			"send_welcome_email": 0,
			"enabled": 1,
			"user_type": "System User",
		}
	)
	roles = frappe.get_all(
		"Role", filters={"disabled": 0, "name": ("not in", ("Administrator", "Guest", "All"))}, pluck="name"
	)
	user.append_roles(*roles)
	user.flags.no_welcome_mail = True
	user.insert()
	frappe.db.commit()
	return name


@pytest.fixture(scope="session")
def factory(site):
	"""Makes documents, committed."""
	import frappe

	from integration_hub.tests.factories import Factory

	company = (
		frappe.db.get_single_value("Global Defaults", "default_company")
		or frappe.get_all("Company", order_by="creation asc", limit=1, pluck="name")[0]
	)
	return Factory(company)


@pytest.fixture(scope="session")
def masters(factory):
	"""What the bodies of `factories.order` name, and what systems are made with."""
	from frappe import _dict

	from integration_hub.tests import factories as f

	factory.item(f.ITEM, barcodes=[{"barcode": f.BARCODE}])
	factory.item(f.SECOND_ITEM)
	factory.customer(f.CUSTOMER)
	return _dict(
		company=factory.company,
		currency=factory.currency,
		warehouse=factory.warehouse(),
		second_warehouse=factory.warehouse(),
		tax=factory.account("HT Tax", "Tax"),
		second_tax=factory.account("HT Tax", "Tax"),
		charge=factory.account("HT Charge", "Chargeable"),
		fee=factory.account("HT Fee", "Expense Account"),
		difference=factory.account("HT Difference", "Round Off"),
		cash=factory.account("HT Cash", "Cash"),
		bank=factory.account("HT Bank", "Bank"),
	)


@pytest.fixture(scope="session")
def systems(site, stack, masters):
	"""Makes Connected Systems."""
	from integration_hub.tests.systems import Systems, all_scopes

	defaults = {
		"kind": "Shop",
		"company": masters.company,
		"customer_group": "Individual",
		"territory": "United States",
		"warehouse": masters.warehouse,
		"unknown_customer_policy": "Reject",
		"unknown_item_policy": "Reject",
		"totals_policy": "Reject",
		"scopes": all_scopes(),
		"charge_map": [
			{"charge_code": "shipping", "account": masters.charge},
			{"charge_code": "gateway", "account": masters.fee},
		],
		"tax_map": [
			{"tax_code": "vat", "account": masters.tax},
			{"tax_code": "city", "account": masters.second_tax},
		],
		"payment_method_map": [
			{"payment_method": "Cash", "mode_of_payment": "Cash", "account": masters.cash},
			{"payment_method": "Card", "mode_of_payment": "Credit Card", "account": masters.bank},
		],
		"warehouse_map": [{"external_warehouse": "east", "warehouse": masters.second_warehouse}],
	}
	made = Systems(stack, defaults, site.refresh)
	yield made
	site.owners += [system.user for system in made.made]
	site.slugs += [system.name for system in made.made]


@pytest.fixture(scope="session")
def shop(systems):
	"""A system with every scope that knows no stranger: nothing unknown is created, differing totals are refused."""
	return systems.like()


@pytest.fixture
def system(systems):
	"""`system(**settings)`: a Connected System of its own."""
	return systems.new


@pytest.fixture(scope="session")
def hub(shop):
	"""The client of `shop`."""
	return shop.http


@pytest.fixture(scope="session")
def people(site, stack):
	"""`people.new(*roles)`: a user of the Desk."""
	from integration_hub.tests.systems import People

	made = People(stack, site.refresh)
	yield made
	site.owners += [person.name for person in made.made]


@pytest.fixture(scope="session")
def anonymous(site, stack):
	"""A client without credentials."""
	from integration_hub.tests.stack import Http

	return Http(stack, None, site.refresh)
