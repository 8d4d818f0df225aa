"""Other apps' code in doc events does what it must not: the work is one transaction all the same, or a person is told."""

import pytest

import frappe

from integration_hub.constants.roles import MANAGER
from integration_hub.tests import factories as f
from integration_hub.tests import site
from integration_hub.tests.faults import invariants
from integration_hub.tests.faults.server import DIED, bench, sweep


@pytest.mark.parametrize(
	"fault",
	[
		"swallow-deadlock@on-submit",
		"swallow-deadlock-before-commit@on-submit",
		"rollback@on-submit",
		"commit@on-submit",
		"fail-after-commit@on-submit",
	],
)
def test_the_order_is_whole(server, faulty, store, fault):
	body = f.order(customer={"name": f.unique("Fresh Customer")}, shipping_address=f.address())
	before = server.fired(fault)

	answer = faulty.order(body, fault)

	assert server.fired(fault) == before + 1
	assert answer.status == 201, answer
	assert invariants.order_once(store.name, body["external_id"]) == answer.order["name"]
	assert answer.order["status"] == "To Deliver and Bill"
	order = site.order_of(store.name, body["external_id"])
	assert order.customer == body["customer"]["name"]
	assert frappe.db.exists("Address", order.shipping_address_name)
	again = faulty.order(body)
	assert (again.status, again.content) == (201, answer.content)


@pytest.mark.parametrize(
	"fault",
	["swallow-deadlock@on-submit*3", "swallow-deadlock-before-commit@on-submit*3", "rollback@on-submit*3"],
)
def test_what_undoes_the_work_again_and_again_leaves_nothing_and_says_so(server, faulty, store, fault):
	body = f.order(customer={"name": f.unique("Fresh Customer")})
	before = server.fired(fault)

	answer = faulty.order(body, fault)

	assert server.fired(fault) == before + 3
	assert answer.status == 503, answer
	invariants.no_order(store.name, body["external_id"])
	assert not frappe.db.exists("Customer", body["customer"]["name"])
	assert [row.status for row in site.request_of(store.name, body["external_id"])] == ["Retry Scheduled"]
	assert faulty.order(body).status == 201
	invariants.order_once(store.name, body["external_id"])


def test_a_stray_commit_commits_nothing(server, faulty, store):
	"""It is ignored, not merely survived: a worker that dies right after it leaves nothing behind."""
	body = f.order(customer={"name": f.unique("Fresh Customer")})

	assert faulty.order(body, "commit-then-kill@on-submit") is DIED

	assert server.fired("commit-then-kill@on-submit") == 1
	invariants.no_order(store.name, body["external_id"])
	assert not frappe.db.exists("Customer", body["customer"]["name"])
	assert faulty.until_answered(body).status == 201
	invariants.order_once(store.name, body["external_id"])


@pytest.mark.parametrize("fault", ["ddl@on-submit", "raw-ddl@on-submit"])
def test_ddl_is_refused(server, faulty, store, fault):
	body = f.order(customer={"name": f.unique("Fresh Customer")})
	before = server.fired(fault)

	answer = faulty.order(body, fault)

	assert server.fired(fault) == before + 1
	assert answer.status >= 400, answer
	invariants.no_order(store.name, body["external_id"])
	assert not frappe.db.exists("Customer", body["customer"]["name"])
	assert [row.status for row in site.request_of(store.name, body["external_id"])] == ["Failed"]
	# The worker's next call commits as always.
	assert faulty.order(body).status == 201
	invariants.order_once(store.name, body["external_id"])


def test_a_callback_before_the_commit_that_fails_leaves_nothing(server, faulty, store):
	"""And what waits for the commit does not run: it would tell the world of an order that is not there."""
	body, fault = f.order(), "fail-before-commit@on-submit*3"
	before = server.fired("ran-after-commit")

	answer = faulty.order(body, fault)

	assert server.fired(fault) > 0
	assert answer.status in (500, 503), answer
	assert server.fired("ran-after-commit") == before
	invariants.no_order(store.name, body["external_id"])


@pytest.fixture(params=["raw-commit@on-submit", "raw-commit-then-refuse@on-submit"])
def split(server, faulty, store, manager, request):
	"""A body whose work somebody's `COMMIT` split, and the answer it got."""
	body = f.order()
	before = server.fired(request.param)
	answer = faulty.order(body, request.param)
	assert server.fired(request.param) == before + 1
	return body, answer


@pytest.fixture(scope="module")
def manager(site, factory):
	"""A person who is to be told."""
	if not frappe.db.exists("Has Role", {"parent": frappe.session.user, "role": MANAGER}):
		frappe.get_doc("User", frappe.session.user).add_roles(MANAGER)
		frappe.db.commit()
	return frappe.session.user


def test_split_work_fails_and_keeps_a_second_order_out(split, faulty, store):
	body, answer = split
	assert (answer.status, answer.code) == (500, "work_split"), answer
	(request,) = site.request_of(store.name, body["external_id"])
	assert (request.status, request.error_code) == ("Failed", "work_split")
	assert not request.next_attempt_at
	for key in (None, f.unique("key")):
		again = faulty.order(body, key=key)
		assert (again.status, again.code) == (409, "external_id_conflict"), again
	sweep(faulty.stack)
	site.refresh()
	orders = frappe.get_all("Sales Order", filters={"hub_external_id": body["external_id"]}, pluck="name")
	assert len(orders) <= 1, orders


def test_people_are_told_of_split_work(split, stack, store, manager):
	body, _answer = split
	(request,) = site.request_of(store.name, body["external_id"])
	bench(stack, "worker", "--burst", "--queue", "default,short")
	site.refresh()
	alerts = frappe.get_all(
		"Notification Log",
		filters={"document_type": "Hub Request", "document_name": request.name, "for_user": manager},
		fields=["type", "subject"],
	)
	assert [alert.type for alert in alerts] == ["Alert"], alerts
	assert body["external_id"] in alerts[0].subject
