"""Who an order is for: every way to name a customer, new ones, and external ids bound to them."""

import pytest

import frappe

from integration_hub.core import references
from integration_hub.tests import expect, factories
from integration_hub.tests.factories import CUSTOMER, made_order, order, placed, unique


@pytest.fixture(scope="module")
def creator(systems):
	"""A system that makes unknown customers."""
	return systems.like(unknown_customer_policy="Create")


def email() -> str:
	return f"{unique('jane').lower()}@example.com"


def phone() -> str:
	return f"+1 555 {int(frappe.generate_hash(length=8), 16) % 10**8:08d}"


def contact(factory, *customers: str, **values) -> str:
	"""Make a Contact of these customers."""
	links = [{"link_doctype": "Customer", "link_name": name} for name in customers]
	return factory.make("Contact", first_name=unique("HT"), links=links, **values).name


def bound(system, external_id: str) -> str | None:
	frappe.db.rollback()
	return references.live_document(system.name, "customer", external_id, "Customer")


def ordered_for(http, **customer) -> str:
	return made_order(placed(http, customer=customer)).customer


# -- known ---------------------------------------------------------------------------------------------------------


def test_by_document_name(hub, site):
	before = site.census()
	assert ordered_for(hub, name=CUSTOMER) == CUSTOMER
	assert site.grown(before) == {"Sales Order": 1, "Hub External Reference": 1}


def test_by_the_name_people_call_it(factory, hub):
	"""The document's name may be another, where a namesake exists or a series names customers."""
	name = factory.customer()
	called = unique("HT Called")
	frappe.db.set_value("Customer", name, "customer_name", called)
	frappe.db.commit()
	assert ordered_for(hub, name=called) == name


def test_the_exact_document_name_wins_over_namesakes(factory, hub):
	name = factory.customer()
	frappe.db.set_value("Customer", factory.customer(), "customer_name", name)
	frappe.db.commit()
	assert ordered_for(hub, name=name) == name


def test_names_are_exact(factory, hub):
	name = factory.customer()
	answer = hub.post("orders.create", order(customer={"name": name.lower()}))
	expect.problem(answer, 422, "unknown_customer", ["/customer/name"])


def test_a_name_of_two_customers_is_ambiguous(factory, hub):
	called, names = unique("HT Called"), sorted(factory.customer() for _ in range(2))
	frappe.db.set_value("Customer", {"name": ("in", names)}, "customer_name", called)
	frappe.db.commit()
	with expect.nothing_made():
		answer = hub.post("orders.create", order(customer={"name": called}))
	expect.problem(answer, 422, "customer_ambiguous", ["/customer/name"])
	assert ", ".join(names) in answer.body["detail"]


@pytest.mark.parametrize("kind", ["email", "phone"])
@pytest.mark.parametrize("by", ["customer", "contact"])
def test_by_email_or_phone(kind, by, factory, hub, site):
	value = email() if kind == "email" else phone()
	if by == "customer":
		name = factory.customer(**{"email_id" if kind == "email" else "mobile_no": value})
	elif kind == "email":
		contact(factory, name := factory.customer(), email_ids=[{"email_id": value}])
	else:
		contact(factory, name := factory.customer(), phone_nos=[{"phone": value}])
	before = site.census()
	# The name of an order with an e-mail is not asked, however right or wrong it is.
	assert ordered_for(hub, **{kind: value}, name=CUSTOMER) == name
	assert site.grown(before) == {"Sales Order": 1, "Hub External Reference": 1}


def test_the_email_goes_before_the_phone(factory, hub):
	mine, theirs = email(), phone()
	name = factory.customer(email_id=mine)
	factory.customer(mobile_no=theirs)
	assert ordered_for(hub, email=mine, phone=theirs) == name


@pytest.mark.parametrize("kind", ["email", "phone"])
def test_an_email_or_phone_of_two_customers_is_ambiguous(kind, factory, hub):
	value = email() if kind == "email" else phone()
	values = {"email_ids": [{"email_id": value}]} if kind == "email" else {"phone_nos": [{"phone": value}]}
	contact(factory, factory.customer(), factory.customer(), **values)
	with expect.nothing_made():
		answer = hub.post("orders.create", order(customer={kind: value}))
	expect.problem(answer, 422, "customer_ambiguous", [f"/customer/{kind}"])


def test_one_customer_with_two_contacts_of_one_email_is_one(factory, hub):
	value, name = email(), factory.customer()
	for _ in range(2):
		contact(factory, name, email_ids=[{"email_id": value}])
	assert ordered_for(hub, email=value) == name


# -- external ids --------------------------------------------------------------------------------------------------


def test_a_known_email_with_a_new_external_id_binds_it(factory, shop, hub, site):
	value, external_id = email(), unique("C")
	name = factory.customer(email_id=value)
	before = site.census()
	answer = placed(hub, customer={"external_id": external_id, "email": value})
	assert answer.order["customer"] == {"name": name, "external_id": external_id}
	assert site.grown(before) == {"Sales Order": 1, "Hub External Reference": 2}
	assert bound(shop, external_id) == name
	# From now on the id decides, whatever else is sent.
	assert ordered_for(hub, external_id=external_id, email=email(), name=CUSTOMER) == name


def test_an_unbound_external_id_is_not_bound_to_a_namesake(hub):
	answer = hub.post("orders.create", order(customer={"external_id": unique("C"), "name": CUSTOMER}))
	expect.problem(answer, 422, "unknown_customer", ["/customer/external_id"])


def test_two_external_ids_of_one_customer(factory, shop, hub):
	value, ids = email(), [unique("C"), unique("C")]
	name = factory.customer(email_id=value)
	for external_id in ids:
		assert ordered_for(hub, external_id=external_id, email=value) == name
	assert [bound(shop, external_id) for external_id in ids] == [name, name]


def test_external_ids_are_exact(creator):
	external_id = unique("c")
	names = {
		ordered_for(creator.http, external_id=variant, name=unique("HT New"))
		for variant in (external_id, external_id.upper(), external_id + " ")
	}
	assert len(names) == 3


def test_external_ids_belong_to_one_system(factory, shop, systems, creator):
	value, external_id = email(), unique("C")
	name = factory.customer(email_id=value)
	assert ordered_for(shop.http, external_id=external_id, email=value) == name
	new = ordered_for(creator.http, external_id=external_id, name=unique("HT New"))
	assert new != name
	assert (bound(shop, external_id), bound(creator, external_id)) == (name, new)


def test_the_id_of_a_deleted_customer_is_bound_to_a_new_one(creator, site):
	external_id, name = unique("C"), unique("HT New")
	# A customer no order names, which can be deleted.
	doomed = frappe.get_doc(
		{
			"doctype": "Customer",
			"customer_name": unique("HT"),
			"customer_group": "Commercial",
			"territory": "United States",
		}
	).insert()
	references.add(creator.name, "customer", external_id, "Customer", doomed.name)
	frappe.db.commit()
	frappe.delete_doc("Customer", doomed.name)
	frappe.db.commit()
	assert references.find(creator.name, "customer", external_id).state == references.TOMBSTONE
	made = ordered_for(creator.http, external_id=external_id, name=name)
	assert (made, bound(creator, external_id)) == (name, name)
	assert references.find(creator.name, "customer", external_id).generation == 1
	assert ordered_for(creator.http, external_id=external_id) == name


def test_a_renamed_customer_keeps_its_id(factory, shop, hub):
	value, external_id = email(), unique("C")
	name = factory.customer(email_id=value)
	ordered_for(hub, external_id=external_id, email=value)
	frappe.db.rollback()
	renamed = frappe.rename_doc("Customer", name, unique("HT Renamed"), force=True)
	frappe.db.commit()
	assert ordered_for(hub, external_id=external_id) == renamed


# -- new -----------------------------------------------------------------------------------------------------------


def test_a_new_customer(creator, site):
	name, external_id, mail, number = unique("HT New"), unique("C"), email(), phone()
	before = site.census()
	sent = {"name": name, "external_id": external_id, "email": mail, "phone": number, "tax_id": "DE 1"}
	answer = placed(creator.http, customer=sent)
	assert answer.order["customer"] == {"name": name, "external_id": external_id}
	assert site.grown(before) == {
		"Sales Order": 1,
		"Customer": 1,
		"Contact": 1,
		# The order, the customer by its id and by its e-mail.
		"Hub External Reference": 3,
	}
	doc = frappe.get_doc("Customer", name)
	expected = {
		"customer_name": name,
		"customer_type": "Individual",
		"customer_group": "Individual",
		"territory": "United States",
		"tax_id": "DE 1",
		"email_id": mail,
		"mobile_no": number,
		"hub_system": creator.name,
		"hub_external_id": external_id,
		"owner": creator.user,
		"disabled": 0,
	}
	assert {field: doc.get(field) for field in expected} == expected
	person = frappe.get_doc("Contact", doc.customer_primary_contact)
	assert (person.email_id, person.mobile_no) == (mail, number)
	# Found again by each of the ways.
	for again in ({"external_id": external_id}, {"email": mail}, {"phone": number}, {"name": name}):
		assert ordered_for(creator.http, **again) == name


def test_a_new_customer_with_contact_group_and_territory(creator, site):
	name, mail, number = unique("HT New"), email(), phone()
	before = site.census()
	person = {"first_name": "Ann", "last_name": "Lee", "email": mail, "phone": number}
	made = ordered_for(
		creator.http,
		name=name,
		type="Company",
		group="Commercial",
		territory="Rest Of The World",
		contact=person,
	)
	assert site.grown(before) == {
		"Sales Order": 1,
		"Customer": 1,
		"Contact": 1,
		"Hub External Reference": 2,
	}
	doc = frappe.get_doc("Customer", made)
	assert (doc.customer_type, doc.customer_group, doc.territory) == (
		"Company",
		"Commercial",
		"Rest Of The World",
	)
	linked = frappe.get_doc("Contact", doc.customer_primary_contact)
	assert (linked.first_name, linked.last_name, linked.email_id, linked.mobile_no) == (
		"Ann",
		"Lee",
		mail,
		number,
	)
	assert [(row.link_doctype, row.link_name) for row in linked.links] == [("Customer", made)]
	assert (doc.email_id, doc.mobile_no, linked.is_primary_contact) == (mail, number, 1)
	assert ordered_for(creator.http, email=mail) == made


def test_the_contact_of_an_order_carries_the_customers_email_where_it_has_none(creator):
	mail = email()
	made = ordered_for(creator.http, name=unique("HT New"), email=mail, contact={"first_name": "Ann"})
	doc = frappe.get_doc("Customer", made)
	assert frappe.db.get_value("Contact", doc.customer_primary_contact, ["first_name", "email_id"]) == (
		"Ann",
		mail,
	)


@pytest.mark.parametrize(("field", "value"), [("group", "Nobles"), ("territory", "Atlantis")])
def test_an_unknown_group_or_territory(field, value, creator):
	with expect.nothing_made():
		answer = creator.http.post("orders.create", order(customer={"name": unique("HT New"), field: value}))
	problem = expect.problem(answer, 422, "validation_failed", [f"/customer/{field}"])
	assert problem["errors"][0]["code"] == "unknown_group"


def test_a_new_customer_needs_a_name(creator):
	with expect.nothing_made():
		answer = creator.http.post("orders.create", order(customer={"email": email()}))
	problem = expect.problem(answer, 422, "validation_failed", ["/customer/name"])
	assert problem["errors"][0]["code"] == "missing"


def test_a_new_email_with_an_old_name_is_a_new_customer(creator):
	name = unique("HT Twin")
	first, second = (ordered_for(creator.http, name=name, email=email()) for _ in range(2))
	assert first == name and second != name
	assert frappe.db.get_value("Customer", second, "customer_name") == name


def test_the_same_new_customer_in_two_orders_is_made_once(creator, site):
	name = unique("HT New")
	before = site.census()
	assert [ordered_for(creator.http, name=name) for _ in range(2)] == [name, name]
	assert site.grown(before)["Customer"] == 1


def test_a_refused_order_leaves_no_customer_and_its_ids_free(creator):
	customer = {"name": unique("HT New"), "external_id": unique("C"), "email": email()}
	body = order(customer=customer, totals={"grand": 1})
	with expect.nothing_made():
		expect.problem(creator.http.post("orders.create", body), 422, "totals_differ")
	assert ordered_for(creator.http, **customer) == customer["name"]


# -- disabled, fallback --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["name", "email", "external_id"])
def test_disabled(by, factory, shop, hub):
	value = email()
	name = factory.customer(email_id=value, disabled=1)
	external_id = unique("C")
	references.add(shop.name, "customer", external_id, "Customer", name)
	frappe.db.commit()
	sent = {"name": name, "email": value, "external_id": external_id}[by]
	with expect.nothing_made():
		answer = hub.post("orders.create", order(customer={by: sent}))
	expect.problem(answer, 422, "customer_disabled", ["/customer"])


def test_the_fallback_takes_strangers_only(factory, systems, site):
	fallback = factory.customer(factories.unique("HT Walk-in"))
	system = systems.like(unknown_customer_policy="Use Fallback", fallback_customer=fallback)
	external_id = unique("C")
	before = site.census()
	assert ordered_for(system.http, external_id=external_id, name="Nobody", email=email()) == fallback
	assert ordered_for(system.http, name=CUSTOMER) == CUSTOMER
	assert site.grown(before) == {"Sales Order": 2, "Hub External Reference": 2}
	# The stranger's id is not the fallback's: once the customer is known, the id is free to be bound.
	assert bound(system, external_id) is None


def test_a_phone_without_digits_is_none(hub):
	answer = hub.post("orders.create", factories.order(customer={"name": "HT", "phone": "---"}))
	expect.problem(answer, 422, "validation_failed", ["/customer/phone"])
