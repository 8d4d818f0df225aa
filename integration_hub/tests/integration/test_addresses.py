"""Addresses of orders: matched by content among the customer's own, never overwritten, never doubled."""

import pytest

import frappe

from integration_hub.tests import expect
from integration_hub.tests.factories import address, made_order, order, placed, unique


@pytest.fixture
def customer(factory):
	return factory.customer()


def place(hub, customer: str, **addresses):
	return made_order(placed(hub, customer={"name": customer}, **addresses))


def addresses_of(customer: str) -> list[str]:
	frappe.db.rollback()
	return frappe.get_all(
		"Dynamic Link",
		filters={"parenttype": "Address", "link_doctype": "Customer", "link_name": customer},
		pluck="parent",
	)


def test_a_new_address_as_it_was_sent(shop, hub, customer, site):
	before = site.census()
	sent = address(
		company="Doe & Sons",
		line2="Floor 3",
		email="jane@example.com",
		phone="+1 555 0100",
	)
	doc = place(hub, customer, shipping_address=sent)
	assert site.grown(before) == {"Sales Order": 1, "Address": 1, "Hub External Reference": 2}
	made = frappe.get_doc("Address", doc.shipping_address_name)
	expected = {
		"address_title": "Doe & Sons, Jane Doe",
		"address_type": "Shipping",
		"address_line1": "969 Market",
		"address_line2": "Floor 3",
		"city": "San Francisco",
		"state": "CA",
		"pincode": "94103",
		"country": "United States",
		"email_id": "jane@example.com",
		"phone": "+1 555 0100",
		"hub_system": shop.name,
		"owner": shop.user,
	}
	assert {field: made.get(field) for field in expected} == expected
	assert [(row.link_doctype, row.link_name) for row in made.links] == [("Customer", customer)]
	for part in ("969 Market", "Floor 3", "San Francisco", "94103"):
		assert part in doc.shipping_address


def test_billing_and_shipping_the_same_are_one(hub, customer, site):
	before = site.census()
	doc = place(hub, customer, billing_address=address(), shipping_address=address())
	assert site.grown(before)["Address"] == 1
	assert doc.customer_address == doc.shipping_address_name
	assert frappe.db.get_value("Address", doc.customer_address, "address_type") == "Billing"


def test_the_same_again_is_the_same(hub, customer, site):
	first = place(hub, customer, shipping_address=address())
	before = site.census()
	for sent in (address(), address(country="us"), address(country="United States")):
		assert (
			place(hub, customer, shipping_address=sent).shipping_address_name == first.shipping_address_name
		)
	assert site.grown(before) == {"Sales Order": 3, "Hub External Reference": 3}


@pytest.mark.parametrize(
	"other",
	[
		{"name": "John Doe"},
		{"company": "Doe Inc"},
		{"line1": "970 Market"},
		{"line2": "Floor 3"},
		{"city": "Oakland"},
		{"state": "NV"},
		{"postal_code": "94104"},
		{"country": "CA"},
		{"email": "other@example.com"},
		{"phone": "+1 555 0199"},
		{"line1": "969 market"},
	],
	ids=repr,
)
def test_another_content_is_another_address_and_changes_none(other, hub, customer):
	first = place(hub, customer, shipping_address=address()).shipping_address_name
	before = frappe.get_doc("Address", first).as_dict()
	second = place(hub, customer, shipping_address=address(**other)).shipping_address_name
	assert sorted(addresses_of(customer)) == sorted({first, second})
	assert first != second
	assert frappe.get_doc("Address", first).as_dict() == before


def test_an_address_made_by_hand_is_used(factory, hub, customer, site):
	by_hand = factory.make(
		"Address",
		address_title="Jane Doe",
		address_type="Office",
		address_line1="969 Market",
		city="San Francisco",
		state="CA",
		pincode="94103",
		country="United States",
		links=[{"link_doctype": "Customer", "link_name": customer}],
	)
	before = site.census()
	doc = place(hub, customer, billing_address=address(), shipping_address=address())
	assert (doc.customer_address, doc.shipping_address_name) == (by_hand.name, by_hand.name)
	assert site.grown(before) == {"Sales Order": 1, "Hub External Reference": 1}


def test_a_disabled_address_is_not_used(hub, customer):
	first = place(hub, customer, shipping_address=address()).shipping_address_name
	frappe.db.set_value("Address", first, "disabled", 1)
	frappe.db.commit()
	second = place(hub, customer, shipping_address=address()).shipping_address_name
	assert second != first
	assert place(hub, customer, shipping_address=address()).shipping_address_name == second


def test_an_address_somebody_corrected_stays_corrected(hub, customer):
	"""The old content comes again: it is another address than the corrected one."""
	first = place(hub, customer, shipping_address=address()).shipping_address_name
	frappe.db.set_value("Address", first, "city", "Sausalito")
	frappe.db.commit()
	second = place(hub, customer, shipping_address=address()).shipping_address_name
	assert second != first
	assert frappe.db.get_value("Address", first, "city") == "Sausalito"
	assert len(addresses_of(customer)) == 2


def test_another_customers_address_is_not_shared(factory, hub, customer):
	names = {
		place(hub, each, shipping_address=address()).shipping_address_name
		for each in (customer, factory.customer())
	}
	assert len(names) == 2


def test_a_deleted_address_is_made_again(hub, customer):
	draft = made_order(placed(hub, customer={"name": customer}, shipping_address=address(), submit=False))
	first = draft.shipping_address_name
	draft.delete()
	frappe.delete_doc("Address", first)
	frappe.db.commit()
	second = place(hub, customer, shipping_address=address()).shipping_address_name
	assert addresses_of(customer) == [second]


def test_the_least_an_address_has(hub, customer):
	doc = place(hub, customer, billing_address={"line1": "1 Road", "city": "Rome", "country": "IT"})
	made = frappe.get_doc("Address", doc.customer_address)
	assert (made.address_title, made.country, made.state or "", made.pincode or "") == (
		customer,
		"Italy",
		"",
		"",
	)


@pytest.mark.parametrize("country", ["ZZ", "Atlantis", "USA"])
@pytest.mark.parametrize("kind", ["billing_address", "shipping_address"])
def test_an_unknown_country(kind, country, hub, customer):
	with expect.nothing_made():
		answer = hub.post(
			"orders.create", order(customer={"name": customer}, **{kind: address(country=country)})
		)
	expect.problem(answer, 422, "unknown_country", [f"/{kind}/country"])


def test_a_refused_order_leaves_no_address(hub, customer):
	body = order(customer={"name": customer}, shipping_address=address(line1=unique("Road")))
	with expect.nothing_made():
		expect.problem(hub.post("orders.create", body | {"totals": {"grand": 1}}), 422, "totals_differ")
	assert addresses_of(customer) == []
