"""Many calls at once, to several worker processes, over real HTTP: one order each."""

import pytest

import frappe

from integration_hub.tests import factories as f
from integration_hub.tests import site
from integration_hub.tests.faults import invariants
from integration_hub.tests.faults.server import at_once

CALLS = 50


def told_to_wait(answer) -> bool:
	"""A 409 or 503 that says when to come again."""
	return answer.status in (409, 503) and int(answer.headers["Retry-After"]) > 0


def test_one_key_makes_one_order(faulty, store):
	body, key = f.order(), f.unique("key")

	answers = at_once([lambda: faulty.order(body, key=key)] * CALLS)

	made = [answer for answer in answers if answer.status == 201]
	waiting = [answer for answer in answers if answer.status != 201]
	assert made and all(answer.status == 409 and told_to_wait(answer) for answer in waiting), answers
	assert {answer.code for answer in waiting} <= {"request_in_progress"}
	assert len({answer.content for answer in made}) == 1
	assert sum(answer.headers.get("Idempotent-Replayed") != "true" for answer in made) == 1
	again = faulty.order(body, key=key)
	assert (again.status, again.content) == (201, made[0].content)
	assert again.headers["Idempotent-Replayed"] == "true"
	assert invariants.order_once(store.name, body["external_id"]) == again.order["name"]
	assert len(site.request_of(store.name, body["external_id"])) == 1


def test_one_external_id_makes_one_order_whatever_the_keys(faulty, store):
	body = f.order()
	keys = [f.unique("key") for _ in range(CALLS)]

	answers = at_once([lambda key=key: faulty.order(body, key=key) for key in keys])

	assert all(answer.status in (200, 201) or told_to_wait(answer) for answer in answers), answers
	assert sum(answer.status == 201 for answer in answers) == 1
	finals = at_once(
		[
			lambda key=key, answer=answer: faulty.until_answered(body, key, first=answer)
			for key, answer in zip(keys, answers, strict=True)
		],
		threads=8,
	)
	assert sorted({answer.status for answer in finals}) == [200, 201]
	assert sum(answer.status == 201 for answer in finals) == 1
	name = invariants.order_once(store.name, body["external_id"])
	assert {answer.order["name"] for answer in finals} == {name}
	requests = site.request_of(store.name, body["external_id"])
	assert [row.status for row in requests] == ["Completed"] * CALLS


def test_another_payload_under_one_key_never_executes(faulty, store):
	body, key = f.order(), f.unique("key")
	bodies = [{**body, "lines": [f.line(quantity=number)]} for number in range(1, CALLS + 1)]

	answers = at_once([lambda mutated=mutated: faulty.order(mutated, key=key) for mutated in bodies])

	made = [answer for answer in answers if answer.status == 201]
	assert len(made) == 1, answers
	assert {answer.status for answer in answers} <= {201, 409, 422}, answers
	assert {answer.code for answer in answers if answer.status == 422} <= {"idempotency_key_reused"}
	invariants.order_once(store.name, body["external_id"])
	winner = bodies[answers.index(made[0])]
	for mutated in bodies[:5]:
		again = faulty.order(mutated, key=key)
		assert again.status == (201 if mutated == winner else 422), again
	invariants.order_once(store.name, body["external_id"])


def test_another_payload_under_one_external_id_never_executes(faulty, store):
	body = f.order()
	bodies = [{**body, "lines": [f.line(quantity=number)]} for number in range(1, CALLS + 1)]
	keys = [f.unique("key") for _ in bodies]

	answers = at_once(
		[
			lambda mutated=mutated, key=key: faulty.order(mutated, key=key)
			for mutated, key in zip(bodies, keys, strict=True)
		]
	)

	assert sum(answer.status == 201 for answer in answers) == 1, answers
	assert {answer.status for answer in answers} == {201, 409}, answers
	invariants.order_once(store.name, body["external_id"])
	winner = next(index for index, answer in enumerate(answers) if answer.status == 201)
	for index in range(3):
		again = faulty.order(bodies[index], key=f.unique("key"))
		expected = (200, None) if index == winner else (409, "external_id_conflict")
		assert (again.status, again.code) == expected, again
	invariants.order_once(store.name, body["external_id"])


def by_email():
	return {"name": f.unique("Fresh Customer"), "email": f"{f.unique('new').lower()}@example.com"}


def by_external_id():
	return {"name": f.unique("Fresh Customer"), "external_id": f.unique("C")}


def by_name():
	return {"name": f.unique("Fresh Customer")}


@pytest.mark.parametrize("identity", [by_email, by_external_id, by_name])
def test_orders_of_one_new_customer_make_one_customer_and_one_address(faulty, store, identity):
	customer, line1 = identity(), f.unique("Market Street")
	bodies = [f.order(customer=customer, shipping_address=f.address(line1=line1)) for _ in range(20)]

	answers = at_once([lambda body=body: faulty.order(body) for body in bodies])

	assert all(answer.status == 201 or told_to_wait(answer) for answer in answers), answers
	finals = at_once(
		[
			lambda body=body, answer=answer: faulty.until_answered(body, first=answer)
			for body, answer in zip(bodies, answers, strict=True)
		],
		threads=8,
	)
	assert {answer.status for answer in finals} == {201}, finals
	site.refresh()
	customers = frappe.get_all("Customer", filters={"customer_name": customer["name"]}, pluck="name")
	addresses = frappe.get_all("Address", filters={"address_line1": line1}, pluck="name")
	assert (len(customers), len(addresses)) == (1, 1), (customers, addresses)
	for body in bodies:
		invariants.order_once(store.name, body["external_id"])
		order = site.order_of(store.name, body["external_id"])
		assert (order.customer, order.shipping_address_name) == (customers[0], addresses[0])


@pytest.mark.parametrize("known", [True, False], ids=["with a Bin", "first of their items"])
def test_reserved_quantities_are_the_sum_of_the_orders(faulty, store, factory, known):
	items = [factory.item(), factory.item()]
	lines = [f.line(item_code=item, quantity=number) for number, item in enumerate(items, 1)]
	# Half of the orders name the items the other way round.
	bodies = [f.order(lines=lines if number % 2 else lines[::-1]) for number in range(20)]
	if known:
		assert faulty.order(f.order(lines=lines)).status == 201

	answers = at_once([lambda body=body: faulty.order(body) for body in bodies])

	assert all(answer.status == 201 or told_to_wait(answer) for answer in answers), answers
	finals = at_once(
		[
			lambda body=body, answer=answer: faulty.until_answered(body, first=answer)
			for body, answer in zip(bodies, answers, strict=True)
		],
		threads=4,
	)
	assert {answer.status for answer in finals} == {201}, finals
	orders = 20 + known
	site.refresh()
	reserved = dict(
		frappe.get_all(
			"Bin", filters={"item_code": ("in", items)}, fields=["item_code", "reserved_qty"], as_list=True
		)
	)
	assert reserved == {items[0]: orders, items[1]: 2 * orders}
	invariants.reserved_quantities(items)
