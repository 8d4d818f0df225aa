"""One system never sees or touches what another one owns."""

import pytest

from integration_hub.tests import expect
from integration_hub.tests.factories import order


@pytest.fixture(scope="module")
def theirs(systems):
	"""Another system of the same company, its order and its failed request."""
	other = systems.new()
	placed = other.http.post("orders.create", order())
	assert placed.status == 201, placed
	failed = other.http.post("orders.create", order(customer={"name": "Nobody"}))
	return placed, failed.body["instance"].partition("id=")[2]


def test_its_order_by_external_id(theirs, hub):
	placed, _failed = theirs
	external_id = placed.order["external_id"]
	expect.problem(hub.get("orders.get", external_id=external_id), 404, "not_found")
	expect.problem(hub.post("orders.cancel", {"external_id": external_id}), 404, "not_found")


def test_its_order_by_name(theirs, hub):
	placed, _failed = theirs
	expect.problem(hub.get("orders.get", name=placed.order["name"]), 404, "not_found")


def test_its_order_is_not_cancelled_by_name(systems, hub, site):
	other = systems.new()
	placed = other.http.post("orders.create", order()).order
	answer = hub.post("orders.cancel", {"name": placed["name"]})
	assert site.order_of(other.name, placed["external_id"]).docstatus == 1
	expect.problem(answer, 404, "not_found")


def test_its_requests(theirs, hub):
	placed, failed = theirs
	for request in (placed.message["id"], failed):
		expect.problem(hub.get("requests.get", id=request), 404, "not_found")
		expect.problem(hub.post("requests.retry", {"id": request}), 404, "not_found")


def test_its_external_id_is_free_for_others(theirs, shop, hub, site):
	placed, _failed = theirs
	external_id = placed.order["external_id"]
	answer = hub.post("orders.create", order(external_id=external_id))
	assert answer.status == 201, answer
	assert answer.order["name"] != placed.order["name"]
	assert site.order_of(shop.name, external_id).name == answer.order["name"]
