"""The same call again: one order, and the answer the table in docs/api.md promises."""

import json

import pytest

import frappe

from integration_hub.tests import expect, factories
from integration_hub.tests.factories import line, order, unique

REPLAYED = "Idempotent-Replayed"


@pytest.fixture
def unknown():
	"""The code of an item that does not exist yet."""
	return unique("HT-LATER")


def assert_replay(first, again) -> None:
	assert (again.status, again.content) == (first.status, first.content)
	assert REPLAYED not in first.headers
	assert again.headers[REPLAYED] == "true"
	assert again.headers["Content-Type"] == first.headers["Content-Type"]


# -- a success is replayed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "a-key"], ids=["derived key", "key in the header"])
def test_a_repeated_order_gets_the_first_answer_byte_for_byte(key, shop, hub, site):
	body = order()
	key = key and unique(key)
	first = hub.post("orders.create", body, key=key)
	assert first.status == 201, first
	with expect.nothing_made("Hub Request", "Integration Request"):
		for _again in range(2):
			assert_replay(first, hub.post("orders.create", body, key=key))
	assert site.order_of(shop.name, body["external_id"]).name == first.order["name"]
	[request] = site.request_of(shop.name, body["external_id"])
	assert (request.status, request.attempt_no, request.replay_count) == ("Completed", 1, 2)
	assert request.answer == first.content.decode()


def test_the_first_answer_stays_whatever_happens_to_the_order(hub, site):
	body = order()
	first = hub.post("orders.create", body)
	frappe.get_doc("Sales Order", first.order["name"]).cancel()
	frappe.db.commit()
	assert_replay(first, hub.post("orders.create", body))
	assert hub.get("orders.get", external_id=body["external_id"]).order["docstatus"] == 2


def test_the_same_content_written_otherwise_is_the_same(hub):
	body = order(lines=[line(quantity=2, unit_price=10)], note="ä")
	first = hub.post("orders.create", body)
	turned = dict(reversed(body.items())) | {"lines": [{**body["lines"][0], "unit_price": 10.0}]}
	assert_replay(first, hub.post("orders.create", json.dumps(turned, indent=4).encode()))


def test_another_correlation_id_does_not_matter(hub):
	body = order()
	first = hub.post("orders.create", body, X_Request_Id="one")
	again = hub.post("orders.create", body, X_Request_Id="two")
	assert_replay(first, again)
	assert (first.headers["X-Request-Id"], again.headers["X-Request-Id"]) == ("one", "two")


# -- a key is for one payload ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "a-key"], ids=["derived key", "key in the header"])
def test_a_used_key_takes_no_other_payload(key, shop, hub, site):
	body = order()
	key = key and unique(key)
	first = hub.post("orders.create", body, key=key)
	with expect.nothing_made("Hub Request"):
		answer = hub.post("orders.create", body | {"lines": [line(quantity=2)]}, key=key)
	problem = expect.problem(answer, 422, "idempotency_key_reused")
	assert problem["request"] == first.message["id"]
	assert_replay(first, hub.post("orders.create", body, key=key))
	[request] = site.request_of(shop.name, body["external_id"])
	assert json.loads(request.payload) == body and request.superseded_payloads is None


def test_one_key_for_two_operations_is_two_keys(hub):
	body, key = order(), unique("key")
	created = hub.post("orders.create", body, key=key)
	cancelled = hub.post("orders.cancel", {"external_id": body["external_id"]}, key=key)
	assert (created.status, cancelled.status) == (201, 200)
	assert cancelled.order["docstatus"] == 2


def test_one_key_of_two_systems_is_two_keys(hub, systems):
	body, key = order(), unique("key")
	other = systems.like(totals_tolerance=0.001)
	answers = [client.post("orders.create", body, key=key) for client in (hub, other.http)]
	assert [answer.status for answer in answers] == [201, 201]
	assert answers[0].order["name"] != answers[1].order["name"]


def test_a_key_of_a_caller_and_a_derived_one_never_meet(hub):
	first, second, third = order(), order(), order()
	assert hub.post("orders.create", first).status == 201
	assert hub.post("orders.create", second, key=first["external_id"]).status == 201
	answer = hub.post("orders.create", third, key=json.dumps([third["external_id"]]).replace('"', "'"))
	assert answer.status == 201
	names = {
		hub.get("orders.get", external_id=body["external_id"]).order["name"]
		for body in (first, second, third)
	}
	assert len(names) == 3


# -- how a key is written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	("written", "again"),
	[
		("{0}", '"{0}"'),
		('"{0}"', "{0}"),
		('"{0}\\"x"', '{0}"x'),
		('"{0}\\\\x"', "{0}\\x"),
		("{0}~!#$%&'()*+,-./:;<=>?@[]^_`{{|}}", '"{0}~!#$%&\'()*+,-./:;<=>?@[]^_`{{|}}"'),
	],
)
def test_a_key_may_be_quoted_or_bare(written, again, hub):
	key, body = unique("key"), order()
	first = hub.post("orders.create", body, key=written.format(key))
	assert first.status == 201, first
	assert_replay(first, hub.post("orders.create", body, key=again.format(key)))


def test_case_of_a_key_counts(hub):
	key = unique("Key")
	assert hub.post("orders.create", order(), key=key).status == 201
	assert hub.post("orders.create", order(), key=key.lower()).status == 201


def test_a_key_of_255_characters_is_kept(shop, hub, site):
	key, body = unique("key").ljust(255, "k"), order()
	assert hub.post("orders.create", body, key=f'"{key}"').status == 201
	[request] = site.request_of(shop.name, body["external_id"])
	assert request.idempotency_key == key


@pytest.mark.parametrize(
	"key",
	["", '""', "k" * 256, f'"{"k" * 256}"', "a b", '"a b"', "a\tb", "schlüssel", "ключ".encode(), "a\x7f"],
	ids=[
		"empty",
		"quoted empty",
		"256",
		"quoted 256",
		"space",
		"quoted space",
		"tab",
		"Latin-1",
		"UTF-8",
		"DEL",
	],
)
def test_a_malformed_key_is_refused(key, shop, hub, site):
	site.let_workers_end()
	before = len(site.log_rows(shop.name))
	with expect.nothing_made("Hub Request"):
		answer = hub.post("orders.create", order(), key=key)
	expect.problem(answer, 400, "idempotency_key_malformed", [])
	expect.only_turned_away(shop.name, before, 400, "idempotency_key_malformed")


# -- the second wall: one external id under several keys ------------------------------------------------------------


def test_another_key_with_the_same_content_gets_the_order_as_it_is_now(shop, hub, site):
	body = order()
	first = hub.post("orders.create", body, key=unique("key"))
	frappe.get_doc("Sales Order", first.order["name"]).update_status("On Hold")
	frappe.db.commit()
	key = unique("key")
	with expect.nothing_made():
		second = hub.post("orders.create", body, key=key)
	assert second.status == 200, second
	assert second.order == first.order | {"status": "On Hold"}
	assert second.message["id"] != first.message["id"]
	assert REPLAYED not in second.headers
	assert_replay(second, hub.post("orders.create", body, key=key))
	requests = site.request_of(shop.name, body["external_id"])
	assert [(row.status, row.http_status) for row in requests] == [("Completed", 201), ("Completed", 200)]
	assert {row.reference_name for row in requests} == {first.order["name"]}


def test_another_key_with_other_content_is_a_conflict_that_names_the_document(shop, hub, site):
	body = order()
	first = hub.post("orders.create", body)
	key = unique("key")
	with expect.nothing_made():
		answer = hub.post("orders.create", body | {"note": "changed"}, key=key)
	problem = expect.problem(answer, 409, "external_id_conflict", ["/external_id"])
	assert problem["document"] == {"doctype": "Sales Order", "name": first.order["name"]}
	assert first.order["name"] in problem["detail"]
	assert problem["retryable"] is False
	failed = site.request_of(shop.name, body["external_id"])[-1]
	assert (failed.status, failed.http_status, failed.error_code) == ("Failed", 409, "external_id_conflict")
	assert len(site.log_rows(shop.name, hub_request=failed.name)) == 1


def test_ids_that_the_database_takes_for_the_same_are_three_orders(shop, hub, site):
	stem = unique("ORD")
	ids = [f"{stem}a", f"{stem}A", f"{stem}a "]
	answers = [hub.post("orders.create", order(external_id=external_id)) for external_id in ids]
	assert [answer.status for answer in answers] == [201] * 3, answers
	assert len({answer.order["name"] for answer in answers}) == 3
	for external_id, answer in zip(ids, answers, strict=True):
		assert answer.order["external_id"] == external_id
		assert hub.get("orders.get", external_id=external_id).order["name"] == answer.order["name"]
		assert site.order_of(shop.name, external_id).name == answer.order["name"]
		assert_replay(answer, hub.post("orders.create", order(external_id=external_id)))


# -- a failure is tried again ---------------------------------------------------------------------------------------


def test_a_failed_order_may_be_corrected(shop, hub, site, unknown):
	wrong = order(lines=[line(item_code=unknown)])
	expect.problem(hub.post("orders.create", wrong), 422, "unknown_item")
	[failed] = site.request_of(shop.name, wrong["external_id"])
	right = wrong | {"lines": [line()]}
	answer = hub.post("orders.create", right)
	assert answer.status == 201, answer
	assert answer.message["id"] == failed.name
	[request] = site.request_of(shop.name, wrong["external_id"])
	assert (request.status, request.attempt_no, request.error_code) == ("Completed", 2, None)
	assert json.loads(request.payload) == right
	[superseded] = json.loads(request.superseded_payloads)
	assert json.loads(superseded["payload"]) == wrong
	assert superseded["fingerprint"] == failed.fingerprint
	log = site.log_rows(shop.name, hub_request=request.name)
	assert [(row.hub_attempt, row.hub_http_status) for row in log] == [(1, 422), (2, 201)]
	assert_replay(answer, hub.post("orders.create", right))
	expect.problem(hub.post("orders.create", wrong), 422, "idempotency_key_reused")


def test_every_payload_that_failed_is_kept(shop, hub, site, unknown):
	bodies = [order(external_id=unknown, note=str(n), lines=[line(item_code=unknown)]) for n in range(3)]
	for body in bodies:
		expect.problem(hub.post("orders.create", body), 422, "unknown_item")
	[request] = site.request_of(shop.name, unknown)
	kept = [json.loads(row["payload"])["note"] for row in json.loads(request.superseded_payloads)]
	assert (kept, json.loads(request.payload)["note"]) == (["0", "1"], "2")


def test_a_failed_order_succeeds_unchanged_after_the_cure(shop, hub, site, factory, unknown):
	body = order(lines=[line(item_code=unknown)])
	expect.problem(hub.post("orders.create", body), 422, "unknown_item")
	expect.problem(hub.post("orders.create", body), 422, "unknown_item")
	factory.item(unknown)
	answer = hub.post("orders.create", body)
	assert answer.status == 201, answer
	[request] = site.request_of(shop.name, body["external_id"])
	assert (request.status, request.attempt_no, request.superseded_payloads) == ("Completed", 3, None)
	assert_replay(answer, hub.post("orders.create", body))


def test_a_dismissed_order_is_tried_when_it_is_sent_again(shop, hub, site, factory, people, unknown):
	body = order(lines=[line(item_code=unknown)])
	expect.problem(hub.post("orders.create", body), 422, "unknown_item")
	[request] = site.request_of(shop.name, body["external_id"])
	manager = people.new("Integration Hub Manager")
	assert manager.http.press("Hub Request", request.name, "dismiss", reason="Not ours").status == 200
	assert site.request_of(shop.name, body["external_id"])[0].status == "Cancelled"
	factory.item(unknown)
	assert hub.post("orders.create", body).status == 201
	[request] = site.request_of(shop.name, body["external_id"])
	assert (request.status, request.attempt_no) == ("Completed", 2)
	assert site.order_of(shop.name, body["external_id"]).docstatus == 1


def test_a_call_that_still_runs(shop, hub, site):
	"""A request whose lease is alive; the row is what a second process would see."""
	body = order()
	first = hub.post("orders.create", body)
	site.set_row("Hub Request", first.message["id"], status="Processing", lease_until=("UTC", 60))
	rows = len(site.log_rows(shop.name))
	answer = hub.post("orders.create", body)
	problem = expect.problem(answer, 409, "request_in_progress")
	assert (problem["retryable"], answer.headers["Retry-After"]) == (True, "1")
	assert problem["instance"].endswith(f"requests.get?id={first.message['id']}")
	expect.problem(hub.post("orders.create", body | {"note": "x"}), 422, "idempotency_key_reused")
	assert [row.hub_error_code for row in site.log_rows(shop.name)[rows:]] == ["idempotency_key_reused"]
	site.set_row("Hub Request", first.message["id"], status="Completed", lease_until=None)


# -- an external id after its order was cancelled -------------------------------------------------------------------


def cancelled(client) -> dict:
	body = order()
	assert client.post("orders.create", body).status == 201
	answer = client.post("orders.cancel", {"external_id": body["external_id"]})
	assert answer.order["docstatus"] == 2
	return body


def test_an_id_stays_taken_after_its_order_was_cancelled(hub):
	body = cancelled(hub)
	with expect.nothing_made():
		same = hub.post("orders.create", body, key=unique("key"))
		other = hub.post("orders.create", body | {"note": "new"}, key=unique("key"))
	assert (same.status, same.order["docstatus"]) == (200, 2)
	expect.problem(other, 409, "external_id_conflict", ["/external_id"])


@pytest.mark.parametrize(
	("key", "note"),
	[("key", {}), ("key", {"note": "new"}), (None, {"note": "new"})],
	ids=["new key, same content", "new key, other content", "derived key, other content"],
)
def test_a_system_may_use_the_ids_of_cancelled_orders_again(key, note, systems, site):
	shop = systems.like(reuse_cancelled_ids=1)
	body = cancelled(shop.http)
	answer = shop.http.post("orders.create", body | note, key=key and unique(key))
	assert answer.status == 201, answer
	assert answer.order["docstatus"] == 1
	orders = frappe.get_all(
		"Sales Order",
		filters={"hub_system": shop.name, "hub_external_id": body["external_id"]},
		fields=["docstatus"],
		order_by="docstatus",
		pluck="docstatus",
	)
	assert orders == [1, 2]
	read = shop.http.get("orders.get", external_id=body["external_id"])
	assert read.order["name"] == answer.order["name"]


def test_a_late_repetition_of_a_cancelled_order_stays_a_replay(systems):
	"""Else a call that was sent twice, and came late, would place the order again."""
	shop = systems.like(reuse_cancelled_ids=1)
	body = order()
	first = shop.http.post("orders.create", body)
	assert shop.http.post("orders.cancel", {"external_id": body["external_id"]}).status == 200
	with expect.nothing_made():
		assert_replay(first, shop.http.post("orders.create", body))


def test_the_id_of_a_living_order_is_not_used_again(systems):
	shop = systems.like(reuse_cancelled_ids=1)
	body = order()
	assert shop.http.post("orders.create", body).status == 201
	with expect.nothing_made():
		answer = shop.http.post("orders.create", body | {"note": "new"}, key=unique("key"))
	expect.problem(answer, 409, "external_id_conflict", ["/external_id"])


# -- reserved numbers -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reserving(systems):
	return systems.new(reserve_numbers=1, naming_series=f"HT{factories.RUN}-.#####")


def test_a_reserved_number_is_kept_for_the_next_attempt(reserving, site, factory, unknown):
	body = order(lines=[line(item_code=unknown)])
	expect.problem(reserving.http.post("orders.create", body), 422, "unknown_item")
	[failed] = site.request_of(reserving.name, body["external_id"])
	assert failed.reserved_name.startswith(f"HT{factories.RUN}-")
	factory.item(unknown)
	answer = reserving.http.post("orders.create", body)
	assert (answer.status, answer.order["name"]) == (201, failed.reserved_name)


def test_a_reserved_number_that_somebody_took_by_hand(reserving, site, factory, masters, unknown):
	body = order(lines=[line(item_code=unknown)])
	expect.problem(reserving.http.post("orders.create", body), 422, "unknown_item")
	[failed] = site.request_of(reserving.name, body["external_id"])
	by_hand = frappe.get_doc(
		{
			"doctype": "Sales Order",
			"company": masters.company,
			"customer": factories.CUSTOMER,
			"delivery_date": frappe.utils.today(),
			"items": [
				{"item_code": factories.ITEM, "qty": 1, "rate": 1, "warehouse": masters.warehouse},
			],
		}
	).insert(set_name=failed.reserved_name)
	frappe.db.commit()
	assert by_hand.name == failed.reserved_name
	factory.item(unknown)
	answer = reserving.http.post("orders.create", body)
	assert answer.status == 201, answer
	assert answer.order["name"] != failed.reserved_name
	assert answer.order["name"].startswith(f"HT{factories.RUN}-")
	assert site.order_of(reserving.name, body["external_id"]).name == answer.order["name"]


# -- orders.cancel --------------------------------------------------------------------------------------------------


def placed(client, **values) -> dict:
	answer = client.post("orders.create", order(**values))
	assert answer.status == 201, answer
	return answer.order


def test_a_submitted_order_is_cancelled_once(shop, hub, site):
	made = placed(hub)
	body = {"external_id": made["external_id"], "reason": "Changed their mind"}
	first = hub.post("orders.cancel", body)
	assert first.status == 200, first
	assert (first.order["docstatus"], first.order["status"]) == (2, "Cancelled")
	assert_replay(first, hub.post("orders.cancel", body))
	site.refresh()
	comments = frappe.get_all(
		"Comment",
		filters={
			"reference_doctype": "Sales Order",
			"reference_name": made["name"],
			"comment_type": "Comment",
		},
		pluck="content",
	)
	assert comments == ["Changed their mind"]
	[reference] = frappe.get_all(
		"Hub External Reference", filters={"document_name": made["name"]}, fields=["state"]
	)
	assert reference.state == "Tombstone"
	[request] = site.request_of(shop.name, made["external_id"], "orders.cancel")
	assert (request.status, request.reference_name) == ("Completed", made["name"])


def test_a_draft_is_discarded(hub, site):
	made = placed(hub, submit=False)
	assert made["docstatus"] == 0
	answer = hub.post("orders.cancel", {"external_id": made["external_id"]})
	assert (answer.status, answer.order["docstatus"], answer.order["status"]) == (200, 2, "Cancelled")


def test_cancel_by_name(hub):
	made = placed(hub)
	answer = hub.post("orders.cancel", {"name": made["name"]})
	assert (answer.status, answer.order["docstatus"]) == (200, 2)


def test_an_order_that_is_cancelled_already(hub):
	made = placed(hub)
	assert hub.post("orders.cancel", {"external_id": made["external_id"]}).status == 200
	with expect.nothing_made():
		by_name = hub.post("orders.cancel", {"name": made["name"]})
		other_key = hub.post("orders.cancel", {"external_id": made["external_id"]}, key=unique("key"))
	for answer in (by_name, other_key):
		assert answer.status == 200, answer
		assert answer.order["docstatus"] == 2


def test_an_order_somebody_cancelled_in_the_desk(hub):
	made = placed(hub)
	frappe.get_doc("Sales Order", made["name"]).cancel()
	frappe.db.commit()
	answer = hub.post("orders.cancel", {"external_id": made["external_id"]})
	assert (answer.status, answer.order["docstatus"]) == (200, 2)


def test_unknown_orders_cannot_be_cancelled(shop, hub, site):
	external_id = unique("NOPE")
	expect.problem(hub.post("orders.cancel", {"external_id": external_id}), 404, "not_found")
	expect.problem(hub.post("orders.cancel", {"name": external_id}), 404, "not_found")
	[request] = site.request_of(shop.name, external_id, "orders.cancel")
	assert (request.status, request.http_status) == ("Failed", 404)


@pytest.mark.parametrize("body", [{}, {"external_id": "A", "name": "B"}], ids=["neither", "both"])
def test_cancel_needs_one_of_external_id_and_name(body, hub):
	expect.problem(hub.post("orders.cancel", body), 422, "validation_failed", [""])


def delivered(name: str):
	from erpnext.selling.doctype.sales_order.sales_order import make_delivery_note

	return make_delivery_note(name)


def billed(name: str):
	from erpnext.selling.doctype.sales_order.sales_order import make_sales_invoice

	return make_sales_invoice(name)


@pytest.mark.parametrize("submit", [False, True], ids=["draft", "submitted"])
@pytest.mark.parametrize("follow", [delivered, billed])
def test_what_follows_an_order_keeps_it_from_being_cancelled(follow, submit, hub, site, factory):
	service = factory.item(is_stock_item=0)
	made = placed(hub, lines=[line(item_code=service)])
	following = follow(made["name"]).insert()
	if submit:
		following.submit()
	frappe.db.commit()
	body = {"external_id": made["external_id"]}
	answer = hub.post("orders.cancel", body)
	problem = expect.problem(answer, 409, "state_conflict")
	assert problem["documents"] == [{"doctype": following.doctype, "name": following.name}]
	assert following.name in problem["detail"]
	site.refresh()
	assert frappe.db.get_value("Sales Order", made["name"], "docstatus") == 1
	following.reload()
	following.cancel() if submit else following.delete()
	frappe.db.commit()
	answer = hub.post("orders.cancel", body)
	assert (answer.status, answer.order["docstatus"]) == (200, 2)


def test_a_payment_keeps_an_order_from_being_cancelled(hub):
	made = hub.post("orders.create", order(payments=[{"method": "Cash", "amount": 5}]))
	assert made.status == 201, made
	answer = hub.post("orders.cancel", {"external_id": made.order["external_id"]})
	problem = expect.problem(answer, 409, "state_conflict")
	assert problem["documents"] == [{"doctype": "Payment Entry", "name": made.message["payments"][0]["name"]}]
