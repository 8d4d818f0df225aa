"""Many calls at once on one order, to several worker processes, over real HTTP: never more than was sold."""

import pytest

import frappe

from integration_hub.tests import factories as f
from integration_hub.tests import site
from integration_hub.tests.factories import unique
from integration_hub.tests.faults import invariants
from integration_hub.tests.faults.server import at_once
from integration_hub.tests.stack import Http

HOW_MANY = pytest.mark.parametrize("calls", [2, 8, 20])
# Nothing is left, or less than asked for; or somebody else is at it: come again.
LOST = {"state_conflict", "quantity_exceeds_open", "amount_exceeds_open"}
AGAIN = {"request_in_progress", "temporarily_unavailable"}


@pytest.fixture(scope="module")
def item(factory, masters):
	"""A stock item of which there is plenty."""
	code = factory.item()
	factory.stock(code, masters.warehouse, 100_000)
	return code


class Sold:
	"""An order of 10 at 10, as far as it is asked to be."""

	def __init__(self, http, item: str, **parts):
		lines = [f.line(external_id="1", item_code=item, quantity=10, unit_price=10)]
		self.http, self.item = http, item
		self.body = {"order": f.order(lines=lines), **parts}
		self.target = {"external_id": self.body["order"]["external_id"]}
		answer = http.post("sales.run", self.body)
		assert answer.status == 201, answer
		self.name = answer.order["name"]

	def at_once(self, verb: str, bodies: list[dict]) -> list:
		"""Send these bodies to a verb in parallel, each under a key of its own; return their final answers."""
		calls = [({"order": self.target, **body}, unique("key")) for body in bodies]
		return at_once([lambda body=body, key=key: self.call(verb, body, key) for body, key in calls])

	def call(self, verb: str, body: dict, key: str):
		return self.http.until_answered(body, key=key, verb=verb)

	@property
	def made(self) -> dict[str, list[str]]:
		site.refresh()
		return invariants.documents_of(self.name)

	def in_balance(self) -> None:
		"""Assert that ledgers, Bin, order and References agree."""
		made = self.made
		invariants.books_balance(made)
		invariants.stock_agrees(self.item)
		invariants.nothing_half_done(
			frappe.db.get_value("Sales Order", self.name, "hub_system"), self.target["external_id"]
		)
		sold = frappe.get_doc("Sales Order", self.name)
		deliveries = [name for kind in ("fulfill", "return") for name in made[kind]]
		delivered = sum(_standing("Delivery Note", deliveries, "total_qty"))
		assert sold.items[0].delivered_qty == delivered
		assert sold.per_delivered == 10 * delivered
		assert 0 <= delivered <= 10
		billed = sum(_standing("Sales Invoice", made["invoice"], "grand_total"))
		credited = -sum(_standing("Sales Invoice", made["credit_note"], "grand_total"))
		assert credited <= billed <= 100
		received = sum(_standing("Payment Entry", made["pay"], "total_allocated_amount"))
		assert received <= 100


def _standing(doctype: str, names: list[str], field: str) -> list[float]:
	return frappe.get_all(doctype, filters={"name": ("in", names), "docstatus": 1}, pluck=field)


def split(answers: list) -> tuple[list, list]:
	"""Return the answers that made something, and those that lost; there must be no others."""
	won = [answer for answer in answers if answer.status in (200, 201)]
	lost = [answer for answer in answers if answer.status not in (200, 201)]
	assert {answer.code for answer in lost} <= LOST, lost
	assert {answer.status for answer in lost} <= {409, 422}, lost
	return won, lost


def ids(verb: str, bodies: int, **part) -> list[dict]:
	return [{"external_id": unique(verb), **part} for _number in range(bodies)]


PIECE = {"lines": [{"external_id": "1", "quantity": 3}]}


@HOW_MANY
def test_fulfilling_at_once(calls, faulty, item):
	"""3 of 10 each: three calls at most, and nothing beyond."""
	sold = Sold(faulty, item)
	won, lost = split(sold.at_once("sales.fulfill", ids("P", calls, **PIECE)))
	assert (len(won), len(lost)) == (min(calls, 3), calls - min(calls, 3))
	assert sum(_standing("Delivery Note", sold.made["fulfill"], "total_qty")) == 3 * len(won)
	sold.in_balance()


@HOW_MANY
def test_invoicing_at_once(calls, faulty, item):
	sold = Sold(faulty, item)
	won, _lost = split(sold.at_once("sales.invoice", ids("I", calls, **PIECE)))
	assert len(won) == min(calls, 3)
	assert _standing("Sales Invoice", sold.made["invoice"], "grand_total") == [30] * len(won)
	sold.in_balance()


@pytest.mark.parametrize("calls", [8])
def test_paying_what_is_open_at_once(calls, faulty, item):
	"""Without an amount each wants to pay all of it: one does."""
	sold = Sold(faulty, item, invoice={})
	won, lost = split(sold.at_once("sales.pay", ids("PAY", calls, method="Cash")))
	assert (len(won), len(lost)) == (1, calls - 1)
	assert _standing("Payment Entry", sold.made["pay"], "paid_amount") == [100]
	sold.in_balance()


@HOW_MANY
def test_paying_in_part_at_once(calls, faulty, item):
	"""Money that came is booked, whatever is open; what is allocated never exceeds the invoice."""
	sold = Sold(faulty, item, invoice={})
	won, _lost = split(sold.at_once("sales.pay", ids("PAY", calls, method="Cash", amount=30)))
	assert len(won) >= min(calls, 4)
	allocated = _standing("Payment Entry", sold.made["pay"], "total_allocated_amount")
	assert sum(allocated) == min(100, 30 * calls)
	invoice = sold.made["invoice"][0]
	assert frappe.db.get_value("Sales Invoice", invoice, "outstanding_amount") == 100 - min(100, 30 * calls)
	sold.in_balance()


@pytest.mark.parametrize("calls", [8])
def test_paying_in_advance_at_once(calls, faulty, item):
	sold = Sold(faulty, item)
	won, lost = split(sold.at_once("sales.pay", ids("PAY", calls, method="Cash")))
	assert (len(won), len(lost)) == (1, calls - 1)
	assert frappe.db.get_value("Sales Order", sold.name, "advance_paid") == 100
	sold.in_balance()


@HOW_MANY
def test_refunding_at_once(calls, faulty, item):
	sold = Sold(faulty, item, fulfill={}, invoice={}, pay={"method": "Cash"})
	won, _lost = split(sold.at_once("sales.refund", ids("R", calls, method="Cash", **PIECE)))
	assert len(won) == min(calls, 3)
	made = sold.made
	assert _standing("Sales Invoice", made["credit_note"], "grand_total") == [-30] * len(won)
	assert _standing("Delivery Note", made["return"], "total_qty") == [-3] * len(won)
	assert _standing("Payment Entry", made["refund_payment"], "paid_amount") == [30] * len(won)
	sold.in_balance()


@pytest.mark.parametrize("calls", [8])
def test_refunding_amounts_at_once(calls, faulty, item):
	sold = Sold(faulty, item, invoice={}, pay={"method": "Cash"})
	won, _lost = split(sold.at_once("sales.refund", ids("R", calls, method="Cash", amount=30)))
	assert len(won) == min(calls, 3)
	assert _standing("Sales Invoice", sold.made["credit_note"], "grand_total") == [-30] * len(won)
	assert _standing("Payment Entry", sold.made["refund_payment"], "paid_amount") == [30] * len(won)
	sold.in_balance()


VERBS = {
	"sales.fulfill": (PIECE, "fulfill", {}),
	"sales.invoice": (PIECE, "invoice", {}),
	"sales.pay": ({"method": "Cash", "amount": 30}, "pay", {"invoice": {}}),
	"sales.refund": (
		{"method": "Cash", **PIECE},
		"credit_note",
		{"fulfill": {}, "invoice": {}, "pay": {"method": "Cash"}},
	),
}


@pytest.mark.parametrize("verb", VERBS)
def test_one_external_id_makes_one_document(verb, faulty, item):
	part, kind, before = VERBS[verb]
	sold = Sold(faulty, item, **before)
	answers = sold.at_once(verb, [{"external_id": unique("ID"), **part}] * 8)
	assert sorted(answer.status for answer in answers) == [200] * 7 + [201], answers
	assert len(sold.made[kind]) == 1
	if verb == "sales.refund":
		assert [len(sold.made[kind]) for kind in ("return", "refund_payment")] == [1, 1]
	sold.in_balance()


WHOLE = {"fulfill": {}, "invoice": {}, "pay": {"method": "Cash"}}


@pytest.mark.parametrize("mode", ["atomic", "staged"])
def test_one_run_many_times_at_once(mode, faulty, item):
	lines = [f.line(external_id="1", item_code=item, quantity=10, unit_price=10)]
	body = {"mode": mode, "order": f.order(lines=lines), **WHOLE}
	answers = at_once([lambda: faulty.until_answered(body, verb="sales.run")] * 8)
	assert {(answer.status, answer.content) for answer in answers} == {(201, answers[0].content)}
	assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
	made = invariants.documents_of(answers[0].order["name"])
	assert [len(made[kind]) for kind in ("fulfill", "invoice", "pay")] == [1, 1, 1]
	invariants.books_balance(made)
	invariants.stock_agrees(item)


@pytest.mark.parametrize("mode", ["atomic", "staged"])
def test_runs_of_one_order_under_other_keys(mode, faulty, item):
	"""Each wants to do all of it: every document is made once, whichever call made it."""
	sold = Sold(faulty, item)
	won, lost = split(sold.at_once("sales.run", [{"mode": mode, **WHOLE}] * 8))
	if mode == "atomic":
		assert (len(won), len(lost)) == (1, 7)
	made = sold.made
	assert [len(made[kind]) for kind in ("fulfill", "invoice", "pay")] == [1, 1, 1]
	sold.in_balance()


@pytest.mark.parametrize("mode", ["atomic", "staged"])
def test_runs_that_place_one_order_under_other_keys(mode, faulty, item, store):
	lines = [f.line(external_id="1", item_code=item, quantity=10, unit_price=10)]
	body = {"mode": mode, "order": f.order(lines=lines), **WHOLE}
	keys = [unique("key") for _number in range(8)]
	split(at_once([lambda key=key: faulty.until_answered(body, key=key, verb="sales.run") for key in keys]))
	order = site.order_of(store.name, body["order"]["external_id"])
	made = invariants.documents_of(order.name)
	assert [len(made[kind]) for kind in ("fulfill", "invoice", "pay")] == [1, 1, 1]
	invariants.books_balance(made)
	invariants.stock_agrees(item)


@pytest.mark.parametrize(
	("verb", "part"), [("sales.fulfill", {}), ("sales.invoice", {}), ("sales.pay", {"method": "Cash"})]
)
def test_a_verb_and_the_cancellation_of_everything(verb, part, faulty, item):
	"""Whichever comes first: nothing of the order stands in the end, or all that was done before it was cancelled."""
	sold = Sold(faulty, item)
	before = invariants.stock_agrees(item)
	bodies = ids("X", 4, **part)

	answers = at_once(
		[
			*[
				lambda body=body: sold.call(verb, {"order": sold.target, **body}, unique("key"))
				for body in bodies[:2]
			],
			lambda: sold.call("orders.cancel", {**sold.target, "cascade": True}, unique("key")),
			*[
				lambda body=body: sold.call(verb, {"order": sold.target, **body}, unique("key"))
				for body in bodies[2:]
			],
		]
	)

	assert answers[2].status == 200, answers[2]
	split([answer for number, answer in enumerate(answers) if number != 2])
	made = sold.made
	assert frappe.db.get_value("Sales Order", sold.name, "docstatus") == 2
	for kind, names in made.items():
		for name in names:
			assert frappe.db.get_value(invariants.DOCTYPES[kind], name, "docstatus") == 2, (kind, name)
	invariants.books_balance(made)
	assert invariants.stock_agrees(item) == before


@pytest.mark.parametrize("turn", range(2))
def test_a_person_delivers_while_the_hub_does(turn, faulty, item, people):
	"""Both may be right: what the two deliver is what was ordered, no more."""
	person = people.new(
		"Sales User", "Stock User", "Sales Manager", "Stock Manager", "Accounts User", "System Manager"
	)
	sold = Sold(faulty, item)
	draft = faulty.post("sales.fulfill", {"order": sold.target, "external_id": unique("P"), "submit": False})
	assert draft.status == 201, draft
	name = draft.message["fulfillments"][0]["name"]
	bodies = ids("P", 3, **PIECE)

	answers = at_once(
		[
			*[
				lambda body=body: sold.call("sales.fulfill", {"order": sold.target, **body}, unique("key"))
				for body in bodies
			],
			lambda: Http(faulty.stack, person.http.token).send(
				"PUT", f"/api/resource/Delivery Note/{name}", {"docstatus": 1}
			),
		]
	)

	split(answers[:3])
	by_hand = answers[3]
	standing = _standing("Delivery Note", sold.made["fulfill"], "total_qty")
	assert sum(standing) <= 10, (standing, answers)
	assert (10 in standing) == (by_hand.status == 200), (standing, by_hand)
	sold.in_balance()


def test_many_orders_of_one_item_at_once(faulty, item):
	"""No receipt or delivery is lost between Bin and stock ledger."""
	before = invariants.stock_agrees(item)
	lines = [f.line(external_id="1", item_code=item, quantity=1, unit_price=10)]
	bodies = [
		{"mode": ("staged", "atomic")[n % 2], "order": f.order(lines=lines), **WHOLE} for n in range(12)
	]
	answers = at_once([lambda body=body: faulty.until_answered(body, verb="sales.run") for body in bodies])
	assert {answer.status for answer in answers} == {201}, answers
	assert invariants.stock_agrees(item) == before - 12
