"""Deadlocks, lock timeouts, snapshot conflicts and lost connections in the work: one order, and nothing half done."""

import pytest

from integration_hub.tests import factories as f
from integration_hub.tests import site
from integration_hub.tests.faults import invariants

# Tries inside the door; a fault in all of them is left to the hub's own retry.
ALL_TRIES = 3


@pytest.mark.parametrize("fault", ["deadlock", "lock-timeout", "snapshot-conflict", "disconnect"])
def test_a_transient_fault_is_survived_within_the_call(server, faulty, store, fault):
	body = f.order()
	fault = f"{fault}@on-submit"
	before = server.fired(fault)

	answer = faulty.order(body, fault)

	assert server.fired(fault) == before + 1
	assert answer.status == 201, answer
	assert invariants.order_once(store.name, body["external_id"]) == answer.order["name"]
	(request,) = site.request_of(store.name, body["external_id"])
	assert request.attempt_no == 1
	again = faulty.order(body)
	assert (again.status, again.content) == (201, answer.content)


@pytest.mark.parametrize("fault", ["deadlock", "lock-timeout", "snapshot-conflict", "disconnect"])
def test_a_lasting_fault_is_answered_503_and_the_same_call_again_gives_the_order(
	server, faulty, store, fault
):
	body = f.order()
	fault = f"{fault}@on-submit*{ALL_TRIES}"
	before = server.fired(fault)

	answer = faulty.order(body, fault)

	assert server.fired(fault) == before + ALL_TRIES
	assert (answer.status, answer.code) == (503, "temporarily_unavailable"), answer
	assert int(answer.headers["Retry-After"]) > 0
	(request,) = site.request_of(store.name, body["external_id"])
	assert answer.headers["Location"].endswith(f"requests.get?id={request.name}")
	assert (request.status, request.attempt_no) == ("Retry Scheduled", 1)
	assert request.next_attempt_at
	invariants.no_order(store.name, body["external_id"])
	(row,) = invariants.log_rows(request.name)
	assert (row.status, row.hub_http_status) == ("Failed", 503)

	again = faulty.order(body)

	assert again.status == 201, again
	assert invariants.order_once(store.name, body["external_id"]) == again.order["name"]


@pytest.mark.parametrize("fault", ["disconnect@in-commit", "disconnect-and-notice@committed"])
def test_a_connection_lost_in_the_commit_leaves_one_order(server, faulty, store, fault):
	"""Before the database took the commit, and after, when only its answer was lost: the row says which."""
	body = f.order()
	before = server.fired(fault)

	answer = faulty.order(body, fault)

	assert server.fired(fault) == before + 1
	assert answer.status == 201 or (
		answer.status == 503 and "Retry-After" in answer.headers and "Location" in answer.headers
	), answer
	final = faulty.until_answered(body, first=answer)
	assert final.status == 201, final
	assert invariants.order_once(store.name, body["external_id"]) == final.order["name"]
	again = faulty.order(body)
	assert (again.status, again.content) == (201, final.content)
