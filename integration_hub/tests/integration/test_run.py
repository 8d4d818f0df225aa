"""`sales.run`: an order and what follows it in one call. What it makes, finds, refuses and answers."""

import pytest

import frappe

from integration_hub.tests import expect
from integration_hub.tests import factories as f
from integration_hub.tests import site as the_site
from integration_hub.tests.factories import order, placed, unique
from integration_hub.tests.systems import all_scopes


@pytest.fixture(scope="module")
def item(factory, masters):
	"""A stock item of which there is plenty."""
	code = factory.item()
	factory.stock(code, masters.warehouse, 1000)
	return code


@pytest.fixture
def cart(item):
	"""`cart(**parts)`: a call that places an order of 3 at 12.34; with parts of its own."""

	def make(**parts) -> dict:
		line = f.line(external_id="1", item_code=item, quantity=3, unit_price="12.34")
		return {"order": order(lines=[line]), **parts}

	return make


def run(http, body: dict, **options):
	"""Send a call, see that it was done, and return the answer."""
	answer = http.post("sales.run", body, **options)
	assert answer.status == 201, answer
	return answer


def steps_of(http, request: str) -> list[tuple]:
	answer = http.get("requests.get", id=request)
	assert answer.status == 200, answer
	return [(row["step"], row["status"], row["name"]) for row in answer.message["steps"]]


def request_of(http, body: dict, system: str):
	(row,) = the_site.request_of(system, body["order"]["external_id"], "sales.run")
	return row


MODES = pytest.mark.parametrize("mode", ["atomic", "staged"])
WHOLE = {"fulfill": {}, "invoice": {}, "pay": {"method": "Cash"}}


# -- what it makes ---------------------------------------------------------------------------------------------------


@MODES
def test_from_order_to_refund(mode, hub, cart, shop):
	body = cart(mode=mode, **WHOLE, refund={"lines": [{"external_id": "1", "quantity": 1}], "method": "Cash"})
	the_site.let_workers_end()
	before = the_site.census()

	answer = run(hub, body)

	message, external_id = answer.message, body["order"]["external_id"]
	made = the_site.grown(before)
	assert {doctype: made[doctype] for doctype in made if not doctype.endswith("Entry")} == {
		"Sales Order": 1,
		"Delivery Note": 2,
		"Sales Invoice": 2,
		"Hub External Reference": 8,
	}
	assert made["Payment Entry"] == 2
	assert [row["external_id"] for row in message["fulfillments"]] == [f"{external_id}/fulfill/1"]
	assert [row["grand_total"] for row in message["invoices"]] == [37.02, -12.34]
	assert [row["external_id"] for row in message["invoices"]] == [
		f"{external_id}/invoice/1",
		f"{external_id}/refund/1",
	]
	assert [(row["external_id"], row["amount"]) for row in message["payments"]] == [
		(f"{external_id}/pay/1", 37.02)
	]
	documents = {
		"order": answer.order["name"],
		"fulfill": message["fulfillments"][0]["name"],
		"invoice": message["invoices"][0]["name"],
		"pay": message["payments"][0]["name"],
		"refund": message["invoices"][1]["name"],
	}
	assert steps_of(hub, message["id"]) == [(step, "Completed", name) for step, name in documents.items()]
	(row,) = the_site.log_rows(shop.name, hub_request=message["id"])
	assert (row.status, row.hub_http_status, row.hub_external_id) == ("Completed", 201, external_id)


@MODES
def test_parts_may_be_lists(mode, hub, cart):
	body = cart(
		mode=mode,
		fulfill=[{"lines": [{"external_id": "1", "quantity": number}]} for number in (1, 2)],
		invoice=[{"lines": [{"external_id": "1", "quantity": 2}]}, {}],
		pay=[{"method": "Cash", "amount": 30}, {"method": "Card", "external_id": unique("ch")}],
	)
	message = run(hub, body).message
	assert [row["lines"][0]["quantity"] for row in message["fulfillments"]] == [1, 2]
	assert [row["grand_total"] for row in message["invoices"]] == [24.68, 12.34]
	assert [row["amount"] for row in message["payments"]] == [30, 7.02]
	assert [step for step, _status, _name in steps_of(hub, message["id"])] == [
		"order",
		"fulfill",
		"fulfill/2",
		"invoice",
		"invoice/2",
		"pay",
		"pay/2",
	]
	assert message["order"]["status"] == "Completed"


def test_parts_with_ids_of_their_own(hub, cart):
	ids = {kind: unique(kind) for kind in WHOLE}
	body = cart(**{kind: {**part, "external_id": ids[kind]} for kind, part in WHOLE.items()})
	message = run(hub, body).message
	kinds = {"fulfill": "fulfillments", "invoice": "invoices", "pay": "payments"}
	assert {kind: message[kinds[kind]][0]["external_id"] for kind in kinds} == ids


def test_a_quotation_is_ordered_and_delivered(hub, factory, item, masters):
	offer = factory.make(
		"Quotation",
		submit=True,
		quotation_to="Customer",
		party_name=f.CUSTOMER,
		company=factory.company,
		items=[{"item_code": item, "qty": 2, "rate": 8, "warehouse": masters.warehouse}],
	)
	body = {"order": {"external_id": unique("ORD"), "quotation": {"name": offer.name}}, **WHOLE}
	answer = run(hub, body)
	assert (answer.order["grand_total"], answer.order["status"]) == (16, "Completed")
	assert answer.message["fulfillments"][0]["lines"][0]["quantity"] == 2
	the_site.refresh()
	assert frappe.db.get_value("Quotation", offer.name, "status") == "Ordered"


# -- which order -------------------------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize("by", ["external_id", "name"])
def test_an_order_that_is_there(mode, by, hub, cart):
	sent = cart()["order"]
	name = placed(hub, **sent).order["name"]
	target = {"external_id": sent["external_id"]} if by == "external_id" else {"name": name}
	the_site.let_workers_end()
	before = the_site.census()
	answer = run(hub, {"mode": mode, "order": target, **WHOLE}, key=unique("key"))
	assert answer.order["name"] == name
	made = the_site.grown(before)
	assert "Sales Order" not in made
	assert [made[kind] for kind in ("Delivery Note", "Sales Invoice", "Payment Entry")] == [1, 1, 1]


@MODES
def test_an_order_placed_before_with_the_same_content_is_found(mode, hub, cart):
	body = cart(mode=mode, fulfill={})
	name = placed(hub, **body["order"]).order["name"]
	the_site.let_workers_end()
	before = the_site.census()
	assert run(hub, body).order["name"] == name
	made = the_site.grown(before)
	assert "Sales Order" not in made and made["Delivery Note"] == 1


def test_an_order_placed_by_a_run_is_found_by_create(hub, cart):
	body = cart()
	name = run(hub, body).order["name"]
	with expect.nothing_made():
		again = hub.post("orders.create", body["order"])
	assert (again.status, again.order["name"]) == (200, name)


@MODES
def test_an_order_placed_before_with_other_content(mode, hub, cart):
	body = cart(mode=mode, fulfill={})
	name = placed(hub, **{**body["order"], "order_number": unique("PO")}).order["name"]
	with expect.nothing_made():
		answer = hub.post("sales.run", body)
	problem = expect.problem(answer, 409, "external_id_conflict", ["/order/external_id"])
	assert problem["document"] == {"doctype": "Sales Order", "name": name}
	assert problem["step"] == "order"


def test_parts_made_before_by_calls_of_their_own_are_found(hub, cart):
	body = cart()
	placed(hub, **body["order"])
	target, parcel = {"external_id": body["order"]["external_id"]}, unique("PARCEL")
	part = {"external_id": parcel, "carrier": "DHL"}
	first = hub.post("sales.fulfill", {"order": target, **part})
	assert first.status == 201, first
	with expect.nothing_made():
		message = run(hub, {**body, "fulfill": part}).message
	assert message["fulfillments"][0]["name"] == first.message["fulfillments"][0]["name"]
	other = hub.post("sales.run", {**body, "fulfill": {**part, "carrier": "UPS"}}, key=unique("key"))
	expect.problem(other, 409, "external_id_conflict", ["/fulfill/external_id"])


@pytest.mark.parametrize("target", [{"external_id": "NOBODY"}, {"name": "NOBODY"}])
def test_an_unknown_order(target, hub):
	with expect.nothing_made():
		answer = hub.post("sales.run", {"order": target, "fulfill": {}}, key=unique("key"))
	expect.problem(answer, 404, "not_found", ["/order"])


# -- the key -----------------------------------------------------------------------------------------------------------


@MODES
def test_the_same_call_again_gets_the_first_answer(mode, hub, cart):
	body = cart(mode=mode, **WHOLE)
	first = run(hub, body)
	with expect.nothing_made():
		again = run(hub, body)
	assert again.content == first.content
	assert again.headers["Idempotent-Replayed"] == "true"


def test_another_payload_under_the_same_key(hub, cart):
	body, key = cart(fulfill={}), unique("key")
	run(hub, body, key=key)
	with expect.nothing_made():
		answer = hub.post("sales.run", {**body, "invoice": {}}, key=key)
	expect.problem(answer, 422, "idempotency_key_reused")


def test_the_key_of_an_order_that_is_placed_comes_from_the_order_alone(hub, cart):
	body = cart()
	run(hub, body)
	# Whatever else the call says: it has succeeded, and more comes as a call that names the order.
	for more in ({"pay": {"method": "Cash", "amount": 5, "external_id": unique("PAY")}}, {"fulfill": {}}):
		with expect.nothing_made():
			answer = hub.post("sales.run", {**body, **more})
		expect.problem(answer, 422, "idempotency_key_reused")


def test_a_corrected_id_of_a_part_goes_on_where_the_call_stopped(hub, cart):
	line = cart()["order"]["lines"][0]["external_id"]
	first = run(hub, cart())
	taken = unique("PAY")
	target = {"external_id": first.message["order"]["external_id"]}
	assert (
		hub.post("sales.pay", {"order": target, "method": "Cash", "amount": 1, "external_id": taken}).status
		== 201
	)
	body = {**cart(), "mode": "staged", "fulfill": {"lines": [{"external_id": line, "quantity": 1}]}}
	pay = {"method": "Cash", "amount": 1, "external_id": taken}
	expect.problem(
		hub.post("sales.run", {**body, "pay": pay}), 409, "external_id_conflict", ["/pay/external_id"]
	)
	again = run(hub, {**body, "pay": {**pay, "external_id": unique("PAY")}})
	assert again.message["order"]["lines"][0]["delivered"] == 1
	assert len(again.message["fulfillments"]) == len(again.message["payments"]) == 1


def test_a_call_that_gives_no_id_needs_a_key(hub, cart):
	body = cart()
	placed(hub, **body["order"])
	target = {"external_id": body["order"]["external_id"]}
	with expect.nothing_made():
		answer = hub.post("sales.run", {"order": target, "fulfill": {}})
	expect.problem(answer, 400, "idempotency_key_required")
	parcel = unique("PARCEL")
	run(hub, {"order": target, "fulfill": {"external_id": parcel}})
	again = run(hub, {"order": target, "fulfill": {"external_id": parcel}})
	assert again.headers["Idempotent-Replayed"] == "true"


# -- rehearsed ---------------------------------------------------------------------------------------------------------


@MODES
def test_a_rehearsal_makes_nothing_and_says_what_would_be(mode, hub, cart):
	body = cart(mode=mode, **WHOLE, validate_only=True)
	with expect.nothing_made("Hub Request", "Hub Request Step"):
		answer = hub.post("sales.run", body)
	assert answer.status == 200, answer
	message = answer.message
	assert (message["id"], message["validated"]) == (None, True)
	assert (answer.order["name"], answer.order["grand_total"]) == (None, 37.02)
	for kind in ("fulfillments", "invoices", "payments"):
		assert [(row["name"], row["url"]) for row in message[kind]] == [(None, None)], kind
	assert run(hub, {**body, "validate_only": False}).order["grand_total"] == 37.02


@MODES
def test_a_rehearsal_says_what_would_stand_in_the_way(mode, hub, cart):
	body = cart(mode=mode, fulfill={}, pay={"method": "Barter"}, validate_only=True)
	with expect.nothing_made("Hub Request", "Hub Request Step"):
		answer = hub.post("sales.run", body)
	expect.problem(answer, 422, "payment_method_not_mapped", ["/pay/method"])


# -- what stands in the way --------------------------------------------------------------------------------------------


def test_an_atomic_call_that_fails_in_its_last_step_leaves_nothing(hub, cart, shop, item):
	body = cart(fulfill={}, invoice={}, pay={"method": "Barter"})
	actual = bin_of(item)
	with expect.nothing_made():
		answer = hub.post("sales.run", body)
	problem = expect.problem(answer, 422, "payment_method_not_mapped", ["/pay/method"])
	assert problem["step"] == "pay"
	assert bin_of(item) == actual
	request = request_of(hub, body, shop.name)
	assert (request.status, request.error_code) == ("Failed", "payment_method_not_mapped")
	assert steps_of(hub, request.name) == [
		("order", "Pending", None),
		("fulfill", "Pending", None),
		("invoice", "Pending", None),
		("pay", "Failed", None),
	]
	read = hub.get("requests.get", id=request.name).message
	assert [row["error"] for row in read["steps"]] == [None, None, None, problem["detail"]]
	assert (read["error"]["code"], read["error"]["step"]) == ("payment_method_not_mapped", "pay")
	assert [row.hub_error_code for row in the_site.log_rows(shop.name, hub_request=request.name)] == [
		"payment_method_not_mapped"
	]

	corrected = run(hub, {**body, "pay": {"method": "Card"}})

	assert corrected.message["id"] == request.name
	assert [status for _step, status, _name in steps_of(hub, request.name)] == ["Completed"] * 4
	assert corrected.order["status"] == "Completed"


def bin_of(item: str) -> dict:
	the_site.refresh()
	fields = ["actual_qty", "reserved_qty", "projected_qty", "stock_value"]
	return frappe.get_all("Bin", filters={"item_code": item}, fields=fields)


FAULTY_PARTS = {
	"no quantity": (
		{"fulfill": {"lines": [{"external_id": "1", "quantity": 0}]}},
		"/fulfill/lines/0/quantity",
	),
	"no method": ({"pay": [{"method": "Cash"}, {}]}, "/pay/1/method"),
	"unknown field": ({"invoice": {"due": "2026-01-01"}}, "/invoice/due"),
	"one id twice": ({"pay": [{"method": "Cash", "external_id": "A"}] * 2}, ""),
	"unknown mode": ({"mode": "later"}, "/mode"),
	"no parts": ({"fulfill": []}, "/fulfill"),
}


@pytest.mark.parametrize("fault", FAULTY_PARTS)
def test_what_the_schema_refuses(fault, hub, cart):
	parts, pointer = FAULTY_PARTS[fault]
	with expect.nothing_made("Hub Request"):
		answer = hub.post("sales.run", cart(**parts))
	expect.problem(answer, 422, "validation_failed", [pointer])


def test_an_order_that_the_schema_refuses(hub, item):
	body = {"order": order(lines=[{**f.line(item_code=item), "quantity": 0}]), "fulfill": {}}
	expect.problem(hub.post("sales.run", body), 422, "validation_failed", ["/order/lines/0/quantity"])


REFUSED = {
	"unknown line": (
		{"fulfill": {"lines": [{"external_id": "9"}]}},
		(422, "unknown_line", "/fulfill/lines/0/external_id"),
	),
	"more than ordered": (
		{"fulfill": [{"lines": [{"external_id": "1", "quantity": 2}]}] * 2},
		(422, "quantity_exceeds_open", "/fulfill/1/lines/0/quantity"),
	),
	"all billed": ({"invoice": [{}, {}]}, (409, "state_conflict", "/invoice/1")),
	"all paid": ({"pay": [{"method": "Cash"}, {"method": "Card"}]}, (409, "state_conflict", "/pay/1")),
	"fee not mapped": (
		{"pay": {"method": "Cash", "fee": {"amount": 1, "code": "nope"}}},
		(422, "charge_not_mapped", "/pay/fee/code"),
	),
	"nothing sold": ({"refund": {"method": "Cash"}}, (409, "state_conflict", "/refund/method")),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_a_part_is_refused_for(fault, hub, cart):
	parts, (status, code, pointer) = REFUSED[fault]
	with expect.nothing_made():
		answer = hub.post("sales.run", cart(**parts))
	expect.problem(answer, status, code, [pointer])


def test_what_the_order_is_refused_for(hub):
	body = {"order": order(lines=[{"sku": "NOPE", "quantity": 1, "unit_price": 10}]), "fulfill": {}}
	with expect.nothing_made():
		answer = hub.post("sales.run", body)
	expect.problem(answer, 422, "unknown_item", ["/order/lines/0/sku"])


# -- scopes ------------------------------------------------------------------------------------------------------------


def test_a_new_order_needs_the_scope_of_orders(systems, cart):
	system = systems.like(scopes=all_scopes("orders:write"))
	with expect.nothing_made():
		answer = system.http.post("sales.run", cart(fulfill={}))
	expect.problem(answer, 403, "scope_missing", ["/order"])


def test_an_order_that_is_there_needs_the_scope_of_sales_only(systems, cart):
	system = systems.new()
	body = cart()
	placed(system.http, **body["order"])
	system.change(scopes=all_scopes("orders:write"))
	call = {"order": {"external_id": body["order"]["external_id"]}, "fulfill": {"external_id": unique("P")}}
	assert run(system.http, call).order["status"] == "To Bill"


def test_a_system_without_the_scope_of_sales(systems, cart):
	system = systems.like(scopes=all_scopes("sales:write"))
	with expect.nothing_made("Hub Request"):
		answer = system.http.post("sales.run", cart(fulfill={}))
	expect.problem(answer, 403, "scope_missing")


# -- what is read of it ------------------------------------------------------------------------------------------------


def test_the_status_shows_the_steps_of_every_call(hub, cart):
	body = cart(fulfill={})
	first = run(hub, body).message["id"]
	target = {"external_id": body["order"]["external_id"]}
	second = run(
		hub, {"mode": "staged", "order": target, "invoice": {}, "pay": {"method": "Cash"}}, key=unique("key")
	).message["id"]
	refused = hub.post(
		"sales.run", {"mode": "staged", "order": target, "pay": {"method": "Cash"}}, unique("key")
	)
	assert (refused.status, refused.code) == (409, "state_conflict"), refused

	status = hub.get("sales.status", **target).message

	steps = [(row["request"], row["step"], row["status"], row["name"]) for row in status["steps"]]
	assert steps[:5] == [
		(first, "order", "Completed", status["order"]["name"]),
		(first, "fulfill", "Completed", status["fulfillments"][0]["name"]),
		(second, "order", "Completed", status["order"]["name"]),
		(second, "invoice", "Completed", status["invoices"][0]["name"]),
		(second, "pay", "Completed", status["payments"][0]["name"]),
	]
	assert [row[1:3] for row in steps[5:]] == [("order", "Completed"), ("pay", "Failed")]
	assert status["steps"][6]["error"] == refused.body["detail"]


@MODES
def test_money_that_came_with_the_order_is_in_the_answer(hub, cart, mode):
	body = cart(mode=mode, fulfill={}, invoice={})
	body["order"]["payments"] = [{"method": "Cash", "amount": "37.02", "external_id": unique("PAY")}]
	message = run(hub, body).message
	(payment,) = message["payments"]
	assert (payment["external_id"], payment["amount"]) == (body["order"]["payments"][0]["external_id"], 37.02)
	assert message["invoices"][0]["outstanding"] == 0
