"""A worker dies by SIGKILL at each point of the door: the same call again, or the sweep alone, brings exactly one order."""

import time

import pytest

import frappe

from integration_hub.core.idempotency import LEASE_SECONDS
from integration_hub.tests import factories as f
from integration_hub.tests import site
from integration_hub.tests.faults import invariants
from integration_hub.tests.faults.server import DIED, at_once, sweep

# point → what stands in the database when the worker is dead
POINTS = {
	"before-claim": None,
	"after-claim": "Processing",
	"mid-work": "Processing",
	"before-finish": "Processing",
	"before-commit": "Processing",
	"in-commit": "Processing",
	"committed": "Completed",
	"after-commit": "Completed",
}


class Killed:
	"""One order for each point, whose worker was killed there; all at once, so that their leases end together."""

	def __init__(self, server, client, system: str):
		self.bodies = {point: _order() for point in POINTS}
		before = {point: server.fired(f"kill@{point}") for point in POINTS}
		answers = at_once(
			[
				lambda point=point, body=body: client.order(body, f"kill@{point}")
				for point, body in self.bodies.items()
			],
			threads=4,
		)
		assert answers == [DIED] * len(POINTS), answers
		self.left = {}
		for point, body in self.bodies.items():
			assert server.fired(f"kill@{point}") == before[point] + 1, point
			rows = site.request_of(system, body["external_id"])
			self.left[point] = rows[0].status if rows else None


def _order() -> dict:
	"""Return an order that makes a customer and an address, too."""
	return f.order(customer={"name": f.unique("Fresh Customer")}, shipping_address=f.address())


@pytest.fixture(scope="module", autouse=True)
def _no_help(site):
	"""The tests say who works, and when."""
	with site.no_help():
		yield


@pytest.fixture(scope="module")
def killed(server, faulty, store):
	return Killed(server, faulty, store.name)


def test_what_a_killed_worker_leaves(killed, store):
	assert killed.left == POINTS
	for point, body in killed.bodies.items():
		if POINTS[point] != "Completed":
			invariants.no_order(store.name, body["external_id"])
			assert frappe.get_all("Customer", filters={"customer_name": body["customer"]["name"]}) == []


def test_the_same_call_again_brings_one_order(killed, faulty, store):
	# However long the kills took on a busy machine.
	_lease(killed, store.name, 3 * LEASE_SECONDS)
	calls = [lambda body=body: faulty.order(body) for body in killed.bodies.values()]
	within_lease = dict(zip(killed.bodies, at_once(calls, threads=4), strict=True))
	_lease(killed, store.name, 1)

	for point, answer in within_lease.items():
		if POINTS[point] == "Processing":
			assert (answer.status, answer.code) == (409, "request_in_progress"), (point, answer)
			assert int(answer.headers["Retry-After"]) > 0
		else:
			assert answer.status == 201, (point, answer)
			assert ("Idempotent-Replayed" in answer.headers) == (POINTS[point] == "Completed")
	finals = at_once(
		[lambda body=body: faulty.until_answered(body) for body in killed.bodies.values()], threads=4
	)
	for (point, body), answer in zip(killed.bodies.items(), finals, strict=True):
		assert answer.status == 201, (point, answer)
		assert invariants.order_once(store.name, body["external_id"]) == answer.order["name"]
		again = faulty.order(body)
		assert (again.status, again.content) == (201, answer.content)
		customers = frappe.get_all("Customer", filters={"customer_name": body["customer"]["name"]})
		assert len(customers) == 1, (point, customers)
		(request,) = site.request_of(store.name, body["external_id"])
		assert request.attempt_no == (2 if POINTS[point] == "Processing" else 1), point


def _lease(killed: Killed, system: str, seconds: int) -> None:
	"""Let the leases of the dead workers end in so many seconds."""
	for point, body in killed.bodies.items():
		if POINTS[point] == "Processing":
			(request,) = site.request_of(system, body["external_id"])
			site.set_row("Hub Request", request.name, lease_until=("UTC", seconds))


def test_the_sweep_alone_brings_one_order(server, faulty, store):
	killed = Killed(server, faulty, store.name)
	_wait_for_leases(store.name)

	sweep(server.stack)

	for point, body in killed.bodies.items():
		if POINTS[point] is None:
			invariants.no_order(store.name, body["external_id"])
			continue
		name = invariants.order_once(store.name, body["external_id"])
		answer = faulty.order(body)
		assert (answer.status, answer.order["name"]) == (201, name), (point, answer)
		assert answer.headers["Idempotent-Replayed"] == "true"


def _wait_for_leases(system: str) -> None:
	deadline = time.monotonic() + 2 * LEASE_SECONDS
	while _leases(system):
		assert time.monotonic() < deadline, "leases do not end"
		time.sleep(0.2)


def _leases(system: str) -> int:
	site.refresh()
	return frappe.db.sql(
		"SELECT count(*) FROM `tabHub Request` WHERE `system` = %s AND lease_until >= UTC_TIMESTAMP(6)",
		(system,),
	)[0][0]
