"""A staged `sales.run` that fails on its way: what stands, how it goes on, and what may change in between."""

from contextlib import contextmanager

import pytest

import frappe

from integration_hub import tasks
from integration_hub.constants.roles import MANAGER
from integration_hub.core import retention
from integration_hub.tests import expect
from integration_hub.tests import factories as f
from integration_hub.tests import site as the_site
from integration_hub.tests.factories import order, unique

PENDING = ("Pending", None)


@pytest.fixture(scope="module")
def item(factory, masters):
	"""A stock item of which there is plenty."""
	code = factory.item()
	factory.stock(code, masters.warehouse, 1000)
	return code


@pytest.fixture(scope="module")
def manager(people):
	return people.new(MANAGER)


class Staged:
	"""A staged call, what it was answered, and what its request says."""

	def __init__(self, system, body: dict):
		self.system = system
		self.http = system.http
		self.body = {"mode": "staged", **body}
		self.external_id = body["order"]["external_id"]
		self.answer = None

	def send(self, **changes):
		"""Send the call, with other parts (`...` leaves one out) under the same key, and return the answer."""
		self.body = {key: part for key, part in {**self.body, **changes}.items() if part is not ...}
		self.answer = self.http.post("sales.run", self.body, key=self.external_id)
		return self.answer

	@property
	def request(self):
		rows = the_site.request_of(self.system.name, self.external_id, "sales.run")
		(row,) = (row for row in rows if row.idempotency_key == self.external_id)
		return row

	@property
	def steps(self) -> dict[str, tuple]:
		answer = self.http.get("requests.get", id=self.request.name)
		return {row["step"]: (row["status"], row["name"]) for row in answer.message["steps"]}

	@property
	def errors(self) -> dict[str, str]:
		answer = self.http.get("requests.get", id=self.request.name)
		return {row["step"]: row["error"] for row in answer.message["steps"] if row["error"]}

	def is_done(self, *parts: str) -> dict[str, str]:
		"""Assert that every step is done, that each made what it made once, and return the documents by step."""
		assert self.request.status == "Completed"
		assert {status for status, _name in self.steps.values()} == {"Completed"}
		assert tuple(self.steps) == parts
		return {step: name for step, (_status, name) in self.steps.items()}


def line(item: str, **values) -> dict:
	return f.line(**{"external_id": "1", "item_code": item, "quantity": 2, "unit_price": "12.34", **values})


def count(order_name: str) -> tuple[int, int, int]:
	"""Return how many deliveries, invoices and payments an order has."""
	the_site.refresh()
	invoices = _parents("Sales Invoice Item", {"sales_order": order_name})
	return (
		len(_parents("Delivery Note Item", {"against_sales_order": order_name})),
		len(invoices),
		len(_parents("Payment Entry Reference", {"reference_name": ("in", [order_name, *invoices])})),
	)


def _parents(child: str, filters: dict) -> list[str]:
	return frappe.get_all(child, filters=filters, pluck="parent", distinct=True)


@pytest.fixture
def without_method(shop, item):
	"""Delivered one of two, billed one; its payment was refused."""
	part = {"lines": [{"external_id": "1", "quantity": 1}]}
	call = Staged(
		shop,
		{"order": order(lines=[line(item)]), "fulfill": part, "invoice": part, "pay": {"method": "Barter"}},
	)
	expect.problem(call.send(), 422, "payment_method_not_mapped", ["/pay/method"])
	return call


@pytest.fixture
def short(shop, factory):
	"""Two items, each in a parcel of its own; the second is not in stock, and nothing is billed yet."""

	def make(masters, http=None) -> Staged:
		there, missing = factory.item(), factory.item()
		factory.stock(there, masters.warehouse, 10)
		lines = [line(there), line(missing, external_id="2")]
		fulfill = [{"lines": [{"external_id": "1"}]}, {"lines": [{"external_id": "2"}]}]
		call = Staged(shop, {"order": order(lines=lines), "fulfill": fulfill, "invoice": {}})
		call.missing = missing
		expect.problem(call.send(), 422, "stock_short", ["/fulfill/1/lines/0"])
		return call

	return make


# -- what stands -------------------------------------------------------------------------------------------------------


def test_what_was_done_before_the_failing_step_stands(short, masters):
	call = short(masters)
	problem = call.answer.body
	assert problem["step"] == "fulfill/2"
	assert problem["missing"] == [
		{"item_code": call.missing, "warehouse": masters.warehouse, "needed": 2, "available": 0}
	]
	steps, sold = call.steps, the_site.order_of(call.system.name, call.external_id)
	assert list(steps) == ["order", "fulfill", "fulfill/2", "invoice"]
	assert steps["order"] == ("Completed", sold.name)
	assert (steps["fulfill/2"], steps["invoice"]) == (("Failed", None), PENDING)
	assert call.errors == {"fulfill/2": problem["detail"]}
	status, delivery = steps["fulfill"]
	assert status == "Completed"
	row = frappe.get_doc("Delivery Note", delivery)
	assert (row.docstatus, [line.qty for line in row.items]) == (1, [2])
	assert count(sold.name) == (1, 0, 0)
	request = call.request
	assert (request.status, request.error_code, request.next_attempt_at) == ("Failed", "stock_short", None)
	documents = call.http.get("requests.get", id=request.name).message["documents"]
	assert [(row["doctype"], row["name"]) for row in documents] == [
		("Sales Order", sold.name),
		("Delivery Note", delivery),
	]


# -- how it goes on ----------------------------------------------------------------------------------------------------


def same_call(call: Staged, manager) -> None:
	assert call.send().status == 201, call.answer


def requests_retry(call: Staged, manager) -> None:
	answer = call.http.post("requests.retry", {"id": call.request.name})
	assert (answer.status, answer.message["status"]) == (200, "Completed"), answer


def button(call: Staged, manager) -> None:
	pressed = manager.http.press("Hub Request", call.request.name, "retry")
	assert pressed.status == 200, pressed
	tasks.sweep()
	request = the_site.wait_for_status(call.request.name, "Completed")
	assert request.retried_by == manager.name


@pytest.mark.parametrize("how", [same_call, requests_retry, button])
def test_it_goes_on_where_it_stopped_once_the_cause_is_gone(how, short, masters, factory, manager):
	call = short(masters)
	before, request = call.steps, call.request.name
	factory.stock(call.missing, masters.warehouse, 10)

	how(call, manager)

	steps = call.is_done("order", "fulfill", "fulfill/2", "invoice")
	assert (call.request.name, call.request.attempt_no) == (request, 2)
	assert (steps["order"], steps["fulfill"]) == (before["order"][1], before["fulfill"][1])
	assert count(steps["order"]) == (2, 1, 0)
	again = call.send()
	assert (again.status, again.headers["Idempotent-Replayed"]) == (201, "true")
	assert [row["name"] for row in again.message["fulfillments"]] == [steps["fulfill"], steps["fulfill/2"]]
	assert again.order["status"] == "Completed"
	rows = the_site.log_rows(call.system.name, hub_request=request)
	assert [(row.hub_attempt, row.hub_http_status) for row in rows] == [(1, 422), (2, 201)]


def test_it_goes_on_by_itself_after_a_transient_error(shop, item):
	call = Staged(
		shop, {"order": order(lines=[line(item)]), "fulfill": {}, "invoice": {}, "pay": {"method": "Cash"}}
	)
	with refused_by_the_database("Payment Entry", call.external_id):
		expect.problem(call.send(), 503, "temporarily_unavailable")
		request = call.request
		assert (request.status, call.answer.body["step"]) == ("Retry Scheduled", "pay")
		assert [status for status, _name in call.steps.values()] == ["Completed"] * 3 + ["Failed"]
	the_site.set_row("Hub Request", request.name, next_attempt_at=("UTC", -1))
	tasks.sweep()
	the_site.wait_for_status(request.name, "Completed")
	steps = call.is_done("order", "fulfill", "invoice", "pay")
	assert count(steps["order"]) == (1, 1, 1)


@contextmanager
def refused_by_the_database(doctype: str, order_id: str, errno: int = the_site.DEADLOCK):
	"""Let the database answer the INSERT of what follows one order with an error, for the time of a block."""
	trigger = f"hub_tests_{frappe.generate_hash(length=8)}"
	the_site.refresh()
	frappe.db.sql_ddl(
		f"""CREATE TRIGGER {trigger} BEFORE INSERT ON `tab{doctype}` FOR EACH ROW
		IF NEW.hub_external_id LIKE {frappe.db.escape(order_id + "/%", percent=False)} THEN
			SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {errno}, MESSAGE_TEXT = 'said by the tests';
		END IF"""
	)
	try:
		yield
	finally:
		the_site.refresh()
		frappe.db.sql_ddl(f"DROP TRIGGER {trigger}")


# -- a corrected payload under the same key ----------------------------------------------------------------------------


def test_what_is_not_done_may_be_corrected(without_method):
	before = without_method.steps
	answer = without_method.send(pay={"method": "Card", "amount": 5})
	assert answer.status == 201, answer
	steps = without_method.is_done("order", "fulfill", "invoice", "pay")
	assert [steps[step] for step in ("order", "fulfill", "invoice")] == [
		before[step][1] for step in ("order", "fulfill", "invoice")
	]
	assert [row["amount"] for row in answer.message["payments"]] == [5]
	assert count(steps["order"]) == (1, 1, 1)
	assert len(frappe.parse_json(without_method.request.superseded_payloads)) == 1


def test_steps_may_be_added_and_dropped_after_what_is_done(without_method):
	answer = without_method.send(pay=..., refund={"lines": [{"external_id": "1", "quantity": 1}]})
	assert answer.status == 201, answer
	steps = without_method.is_done("order", "fulfill", "invoice", "refund")
	assert count(steps["order"]) == (2, 2, 0)


CHANGES = {
	"changed": ({"fulfill": {"lines": [{"external_id": "1", "quantity": 2}]}}, "fulfill"),
	"left out": ({"invoice": ...}, "invoice"),
	"another order": ({"order": {"external_id": "ANOTHER"}}, "order"),
}


@pytest.mark.parametrize("mode", ["staged", "atomic"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_done_may_not_change(change, mode, without_method):
	parts, step = CHANGES[change]
	(request, before) = without_method.request.name, without_method.steps
	with expect.nothing_made():
		answer = without_method.send(**parts, mode=mode, pay={"method": "Card"})
	problem = expect.problem(answer, 409, "state_conflict", [f"/{step}"])
	status, name = before[step]
	doctypes = {"order": "Sales Order", "fulfill": "Delivery Note", "invoice": "Sales Invoice"}
	assert problem["documents"] == [{"doctype": doctypes[step], "name": name}]
	assert name in problem["detail"]
	kept = frappe.get_all(
		"Hub Request Step",
		filters={"parent": request, "status": "Completed"},
		fields=["step", "document_name"],
	)
	assert {row.step: (status, row.document_name) for row in kept} == {
		step: value for step, value in before.items() if value[0] == "Completed"
	}


def test_what_is_done_stays_done_when_the_rest_becomes_atomic(without_method):
	"""The lines of one piece would be delivered again otherwise: there is a second piece."""
	before = without_method.steps
	answer = without_method.send(mode=..., pay={"method": "Card"})
	assert answer.status == 201, answer
	steps = without_method.is_done("order", "fulfill", "invoice", "pay")
	assert steps["fulfill"] == before["fulfill"][1]
	assert count(steps["order"]) == (1, 1, 1)
	assert [row["quantity"] for row in answer.message["fulfillments"][0]["lines"]] == [1]


def test_an_atomic_call_that_failed_may_become_staged(shop, item):
	call = Staged(shop, {"order": order(lines=[line(item)]), "fulfill": {}, "pay": {"method": "Barter"}})
	assert call.send(mode="atomic").status == 422
	assert [status for status, _name in call.steps.values()] == ["Pending", "Pending", "Failed"]
	assert call.send(mode="staged").status == 422
	assert [status for status, _name in call.steps.values()] == ["Completed", "Completed", "Failed"]
	assert call.send(pay={"method": "Cash"}).status == 201, call.answer
	assert count(call.is_done("order", "fulfill", "pay")["order"]) == (1, 0, 1)


# -- what people do in between -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["staged", "atomic"])
def test_an_invoice_cancelled_meanwhile(mode, without_method):
	name = without_method.steps["invoice"][1]
	frappe.get_doc("Sales Invoice", name).cancel()
	frappe.db.commit()
	with expect.nothing_made():
		answer = without_method.send(pay={"method": "Card"}, mode=mode)
	problem = expect.problem(answer, 409, "state_conflict", ["/invoice"])
	assert problem["documents"] == [{"doctype": "Sales Invoice", "name": name}]
	assert name in problem["detail"]
	assert without_method.request.status == "Failed"


def test_an_order_cancelled_meanwhile(shop, item):
	call = Staged(shop, {"order": order(lines=[line(item)]), "pay": {"method": "Barter"}})
	assert call.send().status == 422
	name = call.steps["order"][1]
	frappe.get_doc("Sales Order", name).cancel()
	frappe.db.commit()
	with expect.nothing_made():
		answer = call.send(pay={"method": "Card"})
	problem = expect.problem(answer, 409, "state_conflict", ["/order"])
	assert problem["documents"] == [{"doctype": "Sales Order", "name": name}]


def test_an_order_put_on_hold_meanwhile(without_method):
	name = without_method.steps["order"][1]
	frappe.get_doc("Sales Order", name).update_status("On Hold")
	frappe.db.commit()
	with expect.nothing_made():
		answer = without_method.send(pay={"method": "Card"})
	problem = expect.problem(answer, 409, "state_conflict")
	assert (problem["step"], problem["documents"]) == ("pay", [{"doctype": "Sales Order", "name": name}])
	frappe.get_doc("Sales Order", name).update_status("Draft")
	frappe.db.commit()
	assert without_method.send().status == 201, without_method.answer


def test_the_rest_done_by_hand(without_method):
	"""The invoice was paid in the Desk: what is left of the call has nothing to do."""
	from erpnext.accounts.doctype.payment_entry.payment_entry import get_payment_entry

	entry = get_payment_entry("Sales Invoice", without_method.steps["invoice"][1])
	entry.update({"reference_no": "BY-HAND", "reference_date": frappe.utils.nowdate()})
	entry.insert().submit()
	frappe.db.commit()
	# The other piece is ordered, not billed: its money is an advance.
	answer = without_method.send(pay={"method": "Card"})
	assert answer.status == 201, answer
	paid = answer.message["payments"]
	assert [(row["amount"], row["allocations"][0]["doctype"]) for row in paid] == [(12.34, "Sales Order")]


# -- dismissed, purged, given up ---------------------------------------------------------------------------------------


def test_without_its_payload_it_goes_on_by_the_same_call_only(without_method, manager):
	request, before = without_method.request.name, without_method.steps
	assert manager.http.press("Hub Request", request, "dismiss", reason="tests").status == 200
	the_site.set_row("Hub Request", request, modified="2020-01-01 00:00:00")
	retention.empty_payloads(30)
	assert without_method.request.payload is None

	answer = without_method.http.post("requests.retry", {"id": request})

	assert (answer.status, answer.message["status"]) == (200, "Failed"), answer
	assert answer.message["error"]["code"] == "state_conflict"
	assert without_method.steps == before
	assert without_method.send(pay={"method": "Card"}).status == 201, without_method.answer
	assert count(without_method.is_done("order", "fulfill", "invoice", "pay")["order"]) == (1, 1, 1)


def test_steps_go_with_their_request(without_method):
	request = without_method.request.name
	assert without_method.send(pay={"method": "Card"}).status == 201, without_method.answer
	the_site.set_row("Hub Request", request, modified="2020-01-01 00:00:00")
	retention.remove_requests(90)
	the_site.refresh()
	assert not frappe.db.exists("Hub Request", request)
	assert frappe.get_all("Hub Request Step", filters={"parent": request}) == []


def test_a_call_whose_workers_keep_dying_is_given_up(without_method):
	request = without_method.request.name
	left = {
		"status": "Processing",
		"attempt_no": 3,
		"died": 2,
		"lease_until": ("UTC", -1),
		"error_code": None,
	}
	step = frappe.db.get_value("Hub Request Step", {"parent": request, "step": "pay"})
	with the_site.no_help(), the_site.settings("Hub Settings", max_attempts=3):
		the_site.set_row("Hub Request Step", step, status="Processing", error=None)
		the_site.set_row("Hub Request", request, **left)
		tasks.sweep()
		row = the_site.wait_for_status(request, "Failed")
	assert (row.attempt_no, row.error_code) == (4, "internal_error")
	assert [status for status, _name in without_method.steps.values()] == ["Completed"] * 3 + ["Failed"]
	assert list(without_method.errors) == ["pay"]
	assert without_method.send(pay={"method": "Card"}).status == 201, without_method.answer


def test_another_call_meanwhile_takes_what_was_left(without_method):
	"""Two calls on one order: the second bills and pays; the first then finds nothing left to bill or pay."""
	target = {"external_id": without_method.external_id}
	body = {"order": target, "fulfill": {}, "invoice": {}, "pay": {"method": "Cash"}}
	other = without_method.http.post("sales.run", body, key=unique("key"))
	assert other.status == 201, other
	assert [row["amount"] for row in other.message["payments"]] == [24.68]
	with expect.nothing_made():
		answer = without_method.send(pay={"method": "Card"})
	problem = expect.problem(answer, 409, "state_conflict", ["/pay"])
	assert {"doctype": "Payment Entry", "name": other.message["payments"][0]["name"]} in problem["documents"]
	status = without_method.http.get("sales.status", **target).message
	requests = [row["request"] for row in status["steps"]]
	assert requests == [without_method.request.name] * 4 + [other.message["id"]] * 4
