"""Fixtures of the fault tests. They use the site, its masters and systems of the other tests."""

import pytest

from integration_hub.tests.faults import actions
from integration_hub.tests.faults.server import FaultServer


@pytest.fixture(autouse=True)
def _fresh(site):
	site.refresh()
	yield
	site.refresh()


@pytest.fixture(scope="session")
def rows_to_fight_over(site):
	"""A table in which faults make their deadlocks."""
	import frappe

	frappe.db.sql_ddl(f"DROP TABLE IF EXISTS {actions.TABLE}")
	frappe.db.sql_ddl(f"CREATE TABLE {actions.TABLE} (id INT PRIMARY KEY, value INT) ENGINE=InnoDB")
	frappe.db.sql(f"INSERT INTO {actions.TABLE} VALUES (1, 0), (2, 0)")
	frappe.db.commit()
	yield
	frappe.db.rollback()
	frappe.db.sql_ddl(f"DROP TABLE {actions.TABLE}")


@pytest.fixture(scope="session")
def server(stack, rows_to_fight_over):
	with FaultServer(stack) as server:
		yield server


@pytest.fixture(scope="session")
def store(systems):
	"""A system that creates unknown customers and submits."""
	return systems.like(unknown_customer_policy="Create")


@pytest.fixture(scope="session")
def faulty(server, store):
	"""The client of `store` at the fault server."""
	return server.client(store.token)
