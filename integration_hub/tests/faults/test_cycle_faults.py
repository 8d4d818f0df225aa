"""Deadlocks, lost connections and other apps' stray commits in a cycle: each document once, and nothing half done."""

import pytest

import frappe

from integration_hub.tests import factories as f
from integration_hub.tests import site
from integration_hub.tests.faults import invariants
from integration_hub.tests.faults.server import sweep

# Tries inside the door; a fault in all of them is left to the hub's own retry.
ALL_TRIES = 3
STEPS = ("order", "fulfill", "invoice", "pay")
BOTH = pytest.mark.parametrize("mode", ["staged", "atomic"])


@pytest.fixture(scope="module")
def item(factory, masters):
	"""A stock item of which there is plenty."""
	code = factory.item()
	factory.stock(code, masters.warehouse, 100_000)
	return code


@pytest.fixture
def call(server, faulty, store, item):
	return Call(server, faulty, store.name, item)


class Call:
	"""A call from order to money, sent with a fault."""

	def __init__(self, server, http, system: str, item: str):
		self.server, self.http, self.system, self.item = server, http, system, item
		lines = [f.line(external_id="1", item_code=item, quantity=5, unit_price="12.34")]
		# No ids on the parts, and more is open than they take: a second document would be possible.
		piece = {"lines": [{"external_id": "1", "quantity": 2}]}
		pay = {"method": "Cash", "amount": 10}
		self.body = {"order": f.order(lines=lines), "fulfill": piece, "invoice": piece, "pay": pay}
		self.external_id = self.body["order"]["external_id"]

	def send(self, mode: str, fault: str | None = None, times: int = 1):
		"""Send it, see that the fault came as often as it should, and return the answer."""
		self.body["mode"] = mode
		before = self.server.fired(fault) if fault else 0
		answer = self.http.call("sales.run", self.body, fault)
		assert not fault or self.server.fired(fault) == before + times, (fault, answer)
		return answer

	@property
	def request(self):
		(row,) = site.request_of(self.system, self.external_id, "sales.run")
		return row

	@property
	def steps(self) -> list[tuple[str, str]]:
		return [(row.step, row.status) for row in self.request.steps]

	def stands(self, number: int) -> None:
		"""Assert that the documents of the first so many steps stand, and no others."""
		site.refresh()
		orders = frappe.get_all("Sales Order", filters={"hub_external_id": self.external_id}, pluck="name")
		made = invariants.documents_of(orders[0]) if orders else {}
		counts = [len(orders), *(len(made.get(step, [])) for step in STEPS[1:])]
		assert counts == [1] * number + [0] * (4 - number), made
		invariants.books_balance(made)
		invariants.stock_agrees(self.item)
		invariants.nothing_half_done(self.system, self.external_id)

	def is_done(self, answer) -> None:
		"""Assert that all is done, once, and that the same call again gets the same answer."""
		assert answer.status == 201, answer
		assert self.steps == [(step, "Completed") for step in STEPS]
		self.stands(4)
		assert len(invariants.log_rows(self.request.name, status="Completed")) == 1
		again = self.send(self.body["mode"])
		assert (again.status, again.content) == (201, answer.content)


DATABASE_FAULTS = pytest.mark.parametrize(
	"fault", ["deadlock", "lock-timeout", "snapshot-conflict", "disconnect"]
)


@BOTH
@DATABASE_FAULTS
def test_a_transient_fault_is_survived_within_the_call(fault, mode, call):
	answer = call.send(mode, f"{fault}@work:invoice")
	call.is_done(answer)
	assert call.request.attempt_no == 1


@pytest.mark.parametrize(
	("fault", "mode"), [("deadlock", "staged"), ("disconnect", "staged"), ("lock-timeout", "atomic")]
)
def test_a_lasting_fault_leaves_what_was_done_before(fault, mode, call):
	answer = call.send(mode, f"{fault}@work:invoice*{ALL_TRIES}", ALL_TRIES)

	assert (answer.status, answer.code, answer.body["step"]) == (503, "temporarily_unavailable", "invoice")
	assert int(answer.headers["Retry-After"]) > 0
	done = ["Completed"] * 2 if mode == "staged" else ["Pending"] * 2
	assert [status for _step, status in call.steps] == [*done, "Failed", "Pending"]
	call.stands(2 if mode == "staged" else 0)
	assert call.request.status == "Retry Scheduled"

	site.set_row("Hub Request", call.request.name, next_attempt_at=("UTC", -1))
	sweep(call.server.stack)

	site.wait_for_status(call.request.name, "Completed")
	assert call.request.attempt_no == 2
	call.is_done(call.send(mode))


@pytest.mark.parametrize("step", ["plan", *STEPS, "answer"])
@pytest.mark.parametrize("fault", ["disconnect@in-commit", "disconnect-and-notice@committed"])
def test_a_connection_lost_in_a_commit_of_a_staged_call(fault, step, call):
	"""Before the database took the commit, and after, when only its answer was lost: the rows say which."""
	answer = call.send("staged", f"{fault}:{step}")
	call.is_done(answer)
	assert call.request.attempt_no == 1


@pytest.mark.parametrize("fault", ["disconnect@in-commit:answer", "disconnect-and-notice@committed:answer"])
def test_a_connection_lost_in_the_commit_of_an_atomic_call(fault, call):
	call.is_done(call.send("atomic", fault))


@pytest.mark.parametrize("step", STEPS)
def test_a_commit_that_never_comes_through_names_its_step(step, call):
	answer = call.send("staged", f"disconnect@in-commit:{step}*{ALL_TRIES}", ALL_TRIES)
	assert (answer.status, answer.body["step"]) == (503, step), answer
	number = STEPS.index(step)
	assert [status for _step, status in call.steps] == ["Completed"] * number + ["Failed"] + ["Pending"] * (
		3 - number
	)
	call.stands(number)
	call.is_done(call.send("staged"))


STRAY = [
	"swallow-deadlock",
	"swallow-deadlock-before-commit",
	"rollback",
	"commit",
	"fail-after-commit",
]


@pytest.mark.parametrize("fault", STRAY)
@pytest.mark.parametrize(("step", "mode"), [("fulfill", "staged"), ("invoice", "atomic")])
def test_what_other_apps_do_in_doc_events_is_survived(step, fault, mode, call):
	call.is_done(call.send(mode, f"{fault}@work:{step}"))


@pytest.mark.parametrize(("fault", "mode"), [("swallow-deadlock", "staged"), ("rollback", "atomic")])
def test_what_undoes_a_step_again_and_again(fault, mode, call):
	answer = call.send(mode, f"{fault}@work:fulfill*{ALL_TRIES}", ALL_TRIES)
	assert answer.status == 503, answer
	call.stands(1 if mode == "staged" else 0)
	call.is_done(call.send(mode))


@BOTH
@pytest.mark.parametrize("fault", ["ddl", "raw-ddl", "fail-with-bug"])
def test_what_fails_a_step_leaves_what_was_done_before(fault, mode, call):
	answer = call.send(mode, f"{fault}@work:fulfill")
	assert answer.status >= 400 and answer.body["step"] == "fulfill", answer
	done = "Completed" if mode == "staged" else "Pending"
	assert call.steps == [("order", done), ("fulfill", "Failed"), ("invoice", "Pending"), ("pay", "Pending")]
	call.stands(1 if mode == "staged" else 0)
	assert call.request.status == "Failed"
	call.is_done(call.send(mode))


@BOTH
@pytest.mark.parametrize("fault", ["raw-commit", "raw-commit-then-refuse"])
@pytest.mark.parametrize("step", ["fulfill", "invoice"])
def test_split_work_waits_for_a_person(step, fault, mode, call):
	"""A part of the step stands: the same call again makes no second document, and nothing is retried by itself."""
	answer = call.send(mode, f"{fault}@work:{step}")

	assert (answer.status, answer.code) == (500, "work_split"), answer
	request = call.request
	assert (request.status, request.error_code, request.next_attempt_at) == ("Failed", "work_split", None)
	before = _counts(call)
	assert before == [1, 1, int(step == "invoice"), 0]

	again = call.send(mode)

	assert (again.status, again.code) == (409, "external_id_conflict"), again
	assert (again.body["step"], again.pointers) == (step, [f"/{step}"])
	assert request.name in again.body["detail"]
	assert dict(call.steps)[step] == "Failed"
	assert _counts(call) == before


def _counts(call: Call) -> list[int]:
	site.refresh()
	orders = frappe.get_all("Sales Order", filters={"hub_external_id": call.external_id}, pluck="name")
	made = invariants.documents_of(orders[0]) if orders else {}
	return [len(orders), *(len(made.get(step, [])) for step in STEPS[1:])]
