"""Every integration test starts and ends without an open transaction; and who listens to events."""

import pytest

import frappe

from integration_hub.tests.factories import RUN


@pytest.fixture(autouse=True)
def _fresh(site):
	site.refresh()
	yield
	site.refresh()


@pytest.fixture
def listen(systems, site):
	"""Makes systems that are told of events: `listen.pull("order.*")`, `listen.push(receiver, "order.*")`."""
	# What earlier tests left to workers would be heard, too.
	site.let_workers_end()
	from integration_hub.tests.events import Listening

	with Listening(systems) as listening:
		yield listening


@pytest.fixture(scope="module")
def year(factory):
	"""The platforms' published orders are of 2008 and 2017, when few test sites kept books."""
	for number in (2008, 2017):
		first, last = f"{number}-01-01", f"{number}-12-31"
		if not frappe.db.exists(
			"Fiscal Year", {"year_start_date": ("<=", first), "year_end_date": (">=", last)}
		):
			factory.make("Fiscal Year", year=f"{number}-{RUN}", year_start_date=first, year_end_date=last)
	# ERPNext keeps the list of years in its cache, and does not drop it for a new one.
	frappe.clear_cache()
