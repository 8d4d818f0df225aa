"""`requests.get` and `requests.retry`: what a system sees of its own requests."""

from datetime import datetime, timezone

import pytest

import frappe

from integration_hub.tests import expect
from integration_hub.tests.factories import line, order, unique


@pytest.fixture
def failed(hub, site, shop):
	"""A failed request: its name, its body, and the code of the item it lacks."""
	code = unique("HT-LATER")
	body = order(lines=[line(item_code=code)])
	expect.problem(hub.post("orders.create", body), 422, "unknown_item")
	return site.request_of(shop.name, body["external_id"])[0].name, body, code


def test_a_completed_request(systems):
	hub = systems.like(unknown_customer_policy="Create").http
	body = order(customer={"name": unique("HT Jane"), "external_id": unique("C")})
	placed = hub.post("orders.create", body)
	assert placed.status == 201, placed
	told = hub.get("requests.get", id=placed.message["id"]).message
	for name in ("created_at", "completed_at"):
		at = datetime.fromisoformat(told.pop(name).replace("Z", "+00:00"))
		assert abs((datetime.now(timezone.utc) - at).total_seconds()) < 60
	documents = told.pop("documents")
	assert {"doctype": "Sales Order", "name": placed.order["name"], "role": "order"} in documents
	assert {(row["doctype"], row["role"]) for row in documents} == {
		("Sales Order", "order"),
		("Customer", "customer"),
	}
	assert told == {
		"id": placed.message["id"],
		"operation": "orders.create",
		"topic": None,
		"route": None,
		"status": "Completed",
		"http_status": 201,
		"external_id": body["external_id"],
		"attempts": 1,
		"next_attempt_at": None,
		"error": None,
		"answer": placed.message,
		"steps": [],
		"batch": None,
		"progress": None,
		"items": None,
	}


def test_a_failed_request(hub, failed):
	name, body, _code = failed
	told = hub.get("requests.get", id=name).message
	assert (told["status"], told["http_status"], told["attempts"]) == ("Failed", 422, 1)
	assert told["external_id"] == body["external_id"]
	assert told["answer"] is None and told["completed_at"] is None and told["documents"] == []
	assert told["error"]["code"] == "unknown_item"
	assert told["error"]["errors"][0]["pointer"] == "/lines/0/item_code"


@pytest.mark.parametrize(
	"change", [lambda name: f"X{name[1:]}", lambda name: name + " ", lambda name: "NOPE"]
)
def test_a_request_there_is_not(change, hub, failed):
	name = failed[0]
	for answer in (
		hub.get("requests.get", id=change(name)),
		hub.post("requests.retry", {"id": change(name)}),
	):
		assert answer.status in (404, 422), answer


def test_retry_after_the_cure(shop, hub, site, factory, failed):
	name, body, code = failed
	factory.item(code)
	answer = hub.post("requests.retry", {"id": name})
	assert answer.status == 200, answer
	assert (answer.message["status"], answer.message["http_status"], answer.message["attempts"]) == (
		"Completed",
		201,
		2,
	)
	made = site.order_of(shop.name, body["external_id"])
	assert answer.message["answer"]["order"]["name"] == made.name
	assert made.owner == shop.user
	again = hub.post("orders.create", body)
	assert (again.status, again.headers["Idempotent-Replayed"]) == (201, "true")
	assert again.message == answer.message["answer"]


def test_retry_that_fails_again_is_an_answer(hub, failed):
	answer = hub.post("requests.retry", {"id": failed[0]})
	assert answer.status == 200, answer
	assert (answer.message["status"], answer.message["attempts"]) == ("Failed", 2)
	assert answer.message["error"]["code"] == "unknown_item"


def test_a_completed_request_is_not_retried(hub):
	placed = hub.post("orders.create", order())
	with expect.nothing_made():
		answer = hub.post("requests.retry", {"id": placed.message["id"]})
	expect.problem(answer, 409, "state_conflict", [])
	assert hub.get("requests.get", id=placed.message["id"]).message["attempts"] == 1


def test_a_request_at_work_is_not_retried(hub, site, failed):
	site.set_row("Hub Request", failed[0], status="Processing", lease_until=("UTC", 60))
	expect.problem(hub.post("requests.retry", {"id": failed[0]}), 409, "state_conflict", [])
	site.set_row("Hub Request", failed[0], status="Failed", lease_until=None)


def test_a_dead_workers_request_is_taken_over_by_retry(hub, site, failed, factory):
	factory.item(failed[2])
	with site.no_help():
		site.set_row("Hub Request", failed[0], status="Processing", lease_until=("UTC", -1))
		answer = hub.post("requests.retry", {"id": failed[0]})
	assert (answer.message["status"], answer.message["attempts"]) == ("Completed", 2)


@pytest.mark.parametrize("status", ["Cancelled", "Queued", "Retry Scheduled"])
def test_what_rests_can_be_retried(status, hub, site, failed, factory):
	site.set_row("Hub Request", failed[0], status=status, next_attempt_at=("UTC", 600))
	factory.item(failed[2])
	answer = hub.post("requests.retry", {"id": failed[0]})
	assert answer.message["status"] == "Completed", answer


def test_a_dismissed_request_can_be_retried_only_as_itself(hub, failed):
	answer = hub.post("requests.retry", {"id": failed[0], "payload": {}})
	expect.problem(answer, 422, "validation_failed", ["/payload"])
	assert frappe.db.get_value("Hub Request", failed[0], "attempt_no") == 1
