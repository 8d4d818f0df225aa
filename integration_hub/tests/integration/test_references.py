"""External References: where an id leads, through everything that happens to its document."""

import pytest

import frappe

from integration_hub.constants.roles import MANAGER
from integration_hub.core import references
from integration_hub.tests import expect
from integration_hub.tests.factories import CUSTOMER, order, unique

DOCTYPE = "Hub External Reference"


@pytest.fixture(scope="module")
def open_shop(systems):
	"""A system that creates unknown customers and submits."""
	return systems.like(unknown_customer_policy="Create")


def placed(shop, **values) -> dict:
	answer = shop.http.post("orders.create", order(**values))
	assert answer.status == 201, answer
	return answer.order


def new_customer(shop) -> tuple[str, str]:
	"""Let the shop make a customer; return the id and the name."""
	external_id = unique("C")
	made = placed(shop, customer={"external_id": external_id, "name": unique("HT Jane")})
	return external_id, made["customer"]["name"]


def leads_to(shop, object_type: str, external_id: str) -> tuple:
	frappe.db.rollback()
	found = references.find(shop.name, object_type, external_id)
	return found.document_type, found.document_name, found.state


def fields_of(doctype: str, name: str) -> tuple:
	frappe.db.rollback()
	return frappe.db.get_value(doctype, name, ["hub_system", "hub_external_id"])


def test_a_renamed_customer(open_shop):
	external_id, name = new_customer(open_shop)
	frappe.rename_doc("Customer", name, renamed := unique("HT Renamed"))
	frappe.db.commit()
	assert leads_to(open_shop, "customer", external_id) == ("Customer", renamed, "Live")
	assert placed(open_shop, customer={"external_id": external_id})["customer"]["name"] == renamed


def test_merged_customers(open_shop):
	(first_id, first), (second_id, second) = new_customer(open_shop), new_customer(open_shop)
	frappe.rename_doc("Customer", first, second, merge=True)
	frappe.db.commit()
	for external_id in (first_id, second_id):
		assert leads_to(open_shop, "customer", external_id) == ("Customer", second, "Live")
		assert placed(open_shop, customer={"external_id": external_id})["customer"]["name"] == second


def test_an_amended_order(open_shop):
	made = placed(open_shop)
	doc = frappe.get_doc("Sales Order", made["name"])
	doc.cancel()
	amended = frappe.copy_doc(doc)
	amended.amended_from = doc.name
	amended.docstatus = 0
	amended.insert().submit()
	frappe.db.commit()
	assert leads_to(open_shop, "order", made["external_id"]) == ("Sales Order", amended.name, "Live")
	assert fields_of("Sales Order", amended.name) == (open_shop.name, made["external_id"])
	read = open_shop.http.get("orders.get", external_id=made["external_id"]).order
	assert (read["name"], read["docstatus"]) == (amended.name, 1)


def test_a_cancelled_order(open_shop):
	made = placed(open_shop)
	frappe.get_doc("Sales Order", made["name"]).cancel()
	frappe.db.commit()
	assert leads_to(open_shop, "order", made["external_id"]) == ("Sales Order", made["name"], "Tombstone")


def test_a_deleted_order(open_shop):
	made = placed(open_shop, submit=False)
	frappe.delete_doc("Sales Order", made["name"])
	frappe.db.commit()
	# ERPNext may give the name to another order.
	assert leads_to(open_shop, "order", made["external_id"]) == ("Sales Order", None, "Tombstone")
	answer = open_shop.http.post("orders.create", order(external_id=made["external_id"]), key=unique("key"))
	problem = expect.problem(answer, 409, "external_id_conflict", ["/external_id"])
	assert "deleted" in problem["detail"]
	expect.problem(open_shop.http.get("orders.get", external_id=made["external_id"]), 404, "not_found")


def test_a_deleted_customer(shop, factory):
	external_id, name = unique("C"), factory.customer()
	references.add(shop.name, "customer", external_id, "Customer", name)
	frappe.db.commit()
	frappe.delete_doc("Customer", name)
	frappe.db.commit()
	assert leads_to(shop, "customer", external_id)[2] == "Tombstone"
	answer = shop.http.post("orders.create", order(customer={"external_id": external_id}))
	expect.problem(answer, 422, "unknown_customer", ["/customer/external_id"])


def test_a_duplicate_carries_no_id(open_shop, people):
	made = placed(open_shop)
	source = frappe.get_doc("Sales Order", made["name"])
	assert (source.hub_system, source.hub_external_id) == (open_shop.name, made["external_id"])
	copy = frappe.copy_doc(source).insert()
	values = {**source.as_dict(no_nulls=True), "docstatus": 0}
	for gone in ("name", "creation", "modified", "owner", "modified_by"):
		values.pop(gone)
	by_rest = frappe.get_doc(values)
	by_rest.set("__islocal", 1)
	by_rest.insert()
	frappe.db.commit()
	for doc in (copy, by_rest):
		assert fields_of("Sales Order", doc.name) == (None, None)
	assert leads_to(open_shop, "order", made["external_id"])[1] == made["name"]


@pytest.mark.parametrize("doctype", ["Customer", "Sales Order"])
def test_nobody_sets_the_ids_of_a_document_through_rest(doctype, open_shop, people):
	made = placed(open_shop, submit=False)
	name = made["name"] if doctype == "Sales Order" else CUSTOMER
	before = fields_of(doctype, name)
	person = people.new("Sales User", "Sales Manager", "Sales Master Manager")
	stolen = {"hub_system": open_shop.name, "hub_external_id": "STOLEN"}
	person.http.send("PUT", f"/api/resource/{doctype}/{name}", stolen)
	person.http.send(
		"POST",
		"/api/method/frappe.client.set_value",
		{"doctype": doctype, "name": name, "fieldname": stolen},
	)
	assert fields_of(doctype, name) == before


def test_nobody_makes_a_document_with_an_id_through_rest(open_shop, people):
	person = people.new("Sales User", "Sales Manager", "Sales Master Manager")
	answer = person.http.send(
		"POST",
		"/api/resource/Customer",
		{
			"customer_name": unique("HT Claim"),
			"hub_system": open_shop.name,
			"hub_external_id": "STOLEN",
		},
	)
	assert answer.status == 200, answer
	assert fields_of("Customer", answer.body["data"]["name"]) == (None, None)


@pytest.fixture(scope="module")
def manager(people):
	return people.new(MANAGER)


def bind(manager, shop, object_type, external_id, doctype, name):
	return manager.http.send(
		"POST",
		f"/api/resource/{DOCTYPE}",
		{
			"system": shop.name,
			"object_type": object_type,
			"external_id": external_id,
			"document_type": doctype,
			"document_name": name,
		},
	)


def test_a_person_ties_an_id_to_a_document(open_shop, manager, factory):
	sku, item = unique("sku"), factory.item()
	body = order(lines=[{"sku": sku, "quantity": 1, "unit_price": 1}])
	expect.problem(open_shop.http.post("orders.create", body), 422, "unknown_item")
	answer = bind(manager, open_shop, "sku", sku, "Item", item)
	assert answer.status == 200, answer
	assert answer.body["data"]["external_hash"] == references.hash_of(open_shop.name, "sku", sku)
	assert leads_to(open_shop, "sku", sku) == ("Item", item, "Live")
	assert open_shop.http.post("orders.create", body).order["lines"][0]["item_code"] == item


def test_a_second_reference_for_an_id_is_refused(open_shop, manager, factory):
	sku, first, second = unique("sku"), factory.item(), factory.item()
	assert bind(manager, open_shop, "sku", sku, "Item", first).status == 200
	answer = bind(manager, open_shop, "sku", sku, "Item", second)
	assert answer.status == 417 and first in answer.content.decode(), answer
	assert bind(manager, open_shop, "sku", sku.upper(), "Item", second).status == 200
	assert leads_to(open_shop, "sku", sku)[1] == first


@pytest.mark.parametrize("name", ["", "NOPE"])
def test_a_reference_needs_its_document(name, open_shop, manager):
	answer = bind(manager, open_shop, "sku", unique("sku"), "Item", name)
	assert answer.status == 417, answer


def test_references_are_kept(open_shop, manager, factory):
	answer = bind(manager, open_shop, "sku", unique("sku"), "Item", factory.item())
	path = f"/api/resource/{DOCTYPE}/{answer.body['data']['name']}"
	assert manager.http.send("DELETE", path).status == 403


def test_an_id_can_be_tied_to_another_document(open_shop, manager, factory):
	sku, second = unique("sku"), factory.item()
	made = bind(manager, open_shop, "sku", sku, "Item", factory.item()).body["data"]
	answer = manager.http.send("PUT", f"/api/resource/{DOCTYPE}/{made['name']}", {"document_name": second})
	assert answer.status == 200, answer
	lines = [{"sku": sku, "quantity": 1, "unit_price": 1}]
	assert placed(open_shop, lines=lines)["lines"][0]["item_code"] == second
