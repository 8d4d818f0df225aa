"""A worker dies by SIGKILL at each point of a cycle: a staged one goes on where it stopped, of an atomic one nothing stands."""

import os
import random

import pytest

import frappe

from integration_hub.core.idempotency import LEASE_SECONDS
from integration_hub.tests import factories as f
from integration_hub.tests import site
from integration_hub.tests.faults import invariants
from integration_hub.tests.faults.server import DIED, at_once, sweep

STEPS = ("order", "fulfill", "invoice", "pay", "refund")
# After the database took a commit it is the same whether the process has heard of it: by turns.
IN_STEP = {
	step: ("begin", "work", "done", "in-commit", ("committed", "after-commit")[number % 2])
	for number, step in enumerate(STEPS)
}
# The points of a staged call, in the order they are reached, and how many steps stand when a worker died there.
STAGED = {
	"after-claim": 0,
	"in-commit:plan": 0,
	"after-commit:plan": 0,
	**{
		f"{point}:{step}": number + (point in ("committed", "after-commit"))
		for number, step in enumerate(STEPS)
		for point in IN_STEP[step]
	},
	"before-finish": 5,
	"in-commit:answer": 5,
	"committed:answer": 5,
}
# Some of each kind, one for each step and the end.
SWEPT = [
	"after-commit:plan",
	"in-commit:order",
	"committed:order",
	"work:fulfill",
	"in-commit:invoice",
	"committed:pay",
	"work:refund",
	"before-finish",
]
ASKED = ("committed:order", "in-commit:invoice")
ATOMIC = ["begin:order", *(f"work:{step}" for step in STEPS), "in-commit:answer", "committed:answer"]
# Random ones; HUB_KILLS=1000 for a long run, HUB_KILLS_SEED to see one again.
KILLS = int(os.environ.get("HUB_KILLS", 12))
SEED = int(os.environ.get("HUB_KILLS_SEED", 20261121))
THREADS = 4


@pytest.fixture(scope="module", autouse=True)
def _no_help(site):
	"""The tests say who works, and when."""
	with site.no_help():
		yield


@pytest.fixture(scope="module")
def item(factory, masters):
	"""A stock item of which there is plenty."""
	code = factory.item()
	factory.stock(code, masters.warehouse, 100_000)
	return code


def cycle(item: str, mode: str) -> dict:
	"""Return a call from order to refund: 3 sold at 12.34, 1 given back."""
	lines = [f.line(external_id="1", item_code=item, quantity=3, unit_price="12.34")]
	return {
		"mode": mode,
		"order": f.order(lines=lines),
		"fulfill": {},
		"invoice": {},
		"pay": {"method": "Cash"},
		"refund": {"lines": [{"external_id": "1", "quantity": 1}], "method": "Cash"},
	}


def request_of(system: str, body: dict):
	"""Return the one request of a call; None before its claim."""
	rows = site.request_of(system, body["order"]["external_id"], "sales.run")
	assert len(rows) <= 1, rows
	return rows[0] if rows else None


def whole(system: str, body: dict) -> str:
	"""Assert that a cycle is done, once and in balance; return the order's name."""
	external_id = body["order"]["external_id"]
	order = site.order_of(system, external_id)
	assert (order.docstatus, order.per_delivered, order.per_billed) == (1, 66.666667, 100)
	made = invariants.documents_of(order.name)
	assert {kind: len(names) for kind, names in made.items()} == dict.fromkeys(made, 1), (external_id, made)
	for kind, names in made.items():
		assert frappe.db.get_value(invariants.DOCTYPES[kind], names[0], "docstatus") == 1, names
	quantities = [_quantity(made[kind][0]) for kind in ("fulfill", "return")]
	assert quantities == [3, -1]
	amounts = [
		frappe.db.get_value("Sales Invoice", made[kind][0], "grand_total")
		for kind in ("invoice", "credit_note")
	]
	assert amounts == [37.02, -12.34]
	paid = [
		frappe.db.get_value("Payment Entry", made[kind][0], "paid_amount")
		for kind in ("pay", "refund_payment")
	]
	assert paid == [37.02, 12.34]
	invariants.books_balance(made)
	invariants.references_are_single(system, order.name)
	invariants.nothing_half_done(system, external_id)
	request = request_of(system, body)
	assert (request.status, request.http_status) == ("Completed", 201)
	expected = [order.name, made["fulfill"][0], made["invoice"][0], made["pay"][0], made["credit_note"][0]]
	steps = [(row.step, row.status, row.document_name) for row in request.steps]
	assert steps == [(step, "Completed", name) for step, name in zip(STEPS, expected, strict=True)]
	assert len(invariants.log_rows(request.name, status="Completed")) == 1
	return order.name


def _quantity(delivery: str) -> float:
	return frappe.db.get_value("Delivery Note Item", {"parent": delivery}, "qty")


def nothing(system: str, body: dict) -> None:
	"""Assert that nothing of a cycle stands, and that no step says otherwise."""
	invariants.no_order(system, body["order"]["external_id"])
	invariants.nothing_half_done(system, body["order"]["external_id"])
	request = request_of(system, body)
	assert [row.status for row in request.steps if row.status == "Completed"] == []


def stands(system: str, body: dict) -> int:
	"""Return how many documents of a staged call stand, and assert that its steps say the same."""
	request = request_of(system, body)
	done = [row.step for row in request.steps if row.status == "Completed"]
	assert tuple(done) == STEPS[: len(done)], done
	external_id = body["order"]["external_id"]
	orders = frappe.get_all("Sales Order", filters={"hub_external_id": external_id}, pluck="name")
	made = invariants.documents_of(orders[0]) if orders else {}
	refunded = {len(made.get(kind, [])) for kind in ("return", "credit_note", "refund_payment")}
	counts = [len(orders), *(len(made.get(step, [])) for step in STEPS[1:4])]
	assert len(refunded) == 1 and max([*counts, *refunded]) <= 1, (made, orders)
	assert [step for step, count in zip(STEPS, [*counts, *refunded], strict=True) if count] == done
	return len(done)


class Killed:
	"""One call for each point, whose worker was killed there; all at once, so that their leases end together."""

	def __init__(self, server, client, points: list[str], mode: str, item: str):
		self.bodies = {point: cycle(item, mode) for point in points}
		before = {point: server.fired(f"kill@{point}") for point in points}
		answers = at_once(
			[
				lambda point=point, body=body: client.call("sales.run", body, f"kill@{point}")
				for point, body in self.bodies.items()
			],
			threads=THREADS,
		)
		assert answers == [DIED] * len(points), answers
		for point in points:
			assert server.fired(f"kill@{point}") == before[point] + 1, point


def resume(client, bodies: list[dict]) -> list:
	"""Send the same calls again until they are answered for good."""
	return at_once(
		[lambda body=body: client.until_answered(body, verb="sales.run") for body in bodies],
		threads=THREADS,
	)


def replayed(client, body: dict, answer) -> None:
	again = client.call("sales.run", body)
	assert (again.status, again.content) == (201, answer.content)
	assert again.headers["Idempotent-Replayed"] == "true"


def wait_for_leases(system: str) -> None:
	site.wait_for(
		"the end of the leases",
		lambda: (
			not frappe.db.sql(
				"SELECT 1 FROM `tabHub Request` WHERE `system` = %s AND lease_until >= UTC_TIMESTAMP(6) LIMIT 1",
				(system,),
			)
		),
		2 * LEASE_SECONDS,
	)


def test_a_staged_call_goes_on_by_the_same_call(server, faulty, store, item):
	killed = Killed(server, faulty, list(STAGED), "staged", item)
	for point, body in killed.bodies.items():
		assert stands(store.name, body) == STAGED[point], point

	answers = resume(faulty, list(killed.bodies.values()))

	for (point, body), answer in zip(killed.bodies.items(), answers, strict=True):
		assert answer.status == 201, (point, answer)
		assert whole(store.name, body) == answer.order["name"], point
		replayed(faulty, body, answer)
		# More often where the database was busy.
		attempts = request_of(store.name, body).attempt_no
		assert attempts == 1 if point == "committed:answer" else attempts >= 2, (point, attempts)
	assert invariants.stock_agrees(item) == 100_000 - 2 * _delivered(item)


def _delivered(item: str) -> int:
	"""Return how many cycles sold the item."""
	return len(
		frappe.get_all(
			"Sales Order Item", filters={"item_code": item, "docstatus": 1}, pluck="parent", distinct=True
		)
	)


def test_a_staged_call_goes_on_by_the_sweep_or_when_asked_to(server, faulty, store, item):
	"""By requests.retry, which takes over from a dead worker as soon as its lease is over; the others by the sweep alone."""
	killed = Killed(server, faulty, SWEPT, "staged", item)
	asked = {point: request_of(store.name, killed.bodies[point]).name for point in ASKED}
	site.set_row("Hub Request", asked[ASKED[-1]], lease_until=("UTC", LEASE_SECONDS))
	early = faulty.post("requests.retry", {"id": asked[ASKED[-1]]})
	assert (early.status, early.code) == (409, "state_conflict"), early
	wait_for_leases(store.name)

	for point, request in asked.items():
		answer = faulty.post("requests.retry", {"id": request})
		assert (answer.status, answer.message["status"]) == (200, "Completed"), (point, answer)
		assert [row["status"] for row in answer.message["steps"]] == ["Completed"] * 5
	sweep(server.stack)

	for point, body in killed.bodies.items():
		# The sweep rings others to help it, who may be the last to end.
		site.wait_for_status(request_of(store.name, body).name, "Completed")
		order = whole(store.name, body)
		answer = faulty.call("sales.run", body)
		assert (answer.status, answer.order["name"]) == (201, order), (point, answer)
		assert answer.headers["Idempotent-Replayed"] == "true"
	invariants.stock_agrees(item)


def test_of_an_atomic_call_nothing_or_all_stands(server, faulty, store, item):
	killed = Killed(server, faulty, ATOMIC, "atomic", item)
	for point, body in killed.bodies.items():
		if point == "committed:answer":
			whole(store.name, body)
		else:
			nothing(store.name, body)

	answers = resume(faulty, list(killed.bodies.values()))

	for (point, body), answer in zip(killed.bodies.items(), answers, strict=True):
		assert answer.status == 201, (point, answer)
		assert whole(store.name, body) == answer.order["name"], point
		replayed(faulty, body, answer)
	invariants.stock_agrees(item)


def test_random_kills(server, faulty, store, item):
	"""At a random statement or moment: none or all of an atomic call, the first so many steps of a staged one."""
	chance = random.Random(SEED)
	kills = []
	for number in range(KILLS):
		point = (
			f"statement:{chance.randint(1, 900)}" if number % 4 < 2 else f"delay:{chance.randint(1, 1500)}"
		)
		kills.append((cycle(item, ("staged", "atomic")[number % 2]), f"kill@{point}"))

	at_once(
		[lambda body=body, fault=fault: faulty.call("sales.run", body, fault) for body, fault in kills],
		THREADS,
	)

	print(
		f"{KILLS} kills, seed {SEED}: {sum(server.fired(fault) > 0 for _body, fault in kills)} came in time"
	)
	for body, _fault in kills:
		if request_of(store.name, body) is None:
			invariants.no_order(store.name, body["order"]["external_id"])
		elif body["mode"] == "staged":
			stands(store.name, body)
		elif request_of(store.name, body).status == "Completed":
			whole(store.name, body)
		else:
			nothing(store.name, body)
	answers = resume(faulty, [body for body, _fault in kills])
	for (body, fault), answer in zip(kills, answers, strict=True):
		assert answer.status == 201, (fault, answer)
		assert whole(store.name, body) == answer.order["name"], fault
		replayed(faulty, body, answer)
	invariants.stock_agrees(item)
