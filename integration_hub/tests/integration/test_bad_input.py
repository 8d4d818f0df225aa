"""Bad input over real HTTP: the right refusal, on record, and nothing changed.

Each row is one case. `turned_away` rows are refused before they become a request: a log row and no Hub Request. `failed`
rows are refused by the work: a Hub Request that people see, and its log row.
"""

import json
from dataclasses import dataclass, field

import pytest

import frappe

from integration_hub.tests import expect, factories
from integration_hub.tests.factories import line, order

MARKER = "marker-of-the-payload"


@dataclass(frozen=True)
class Case:
	name: str
	body: object
	status: int = 422
	code: str = "validation_failed"
	pointers: list[str] | None = field(default_factory=list)
	fault: str | None = None

	def __repr__(self) -> str:
		return self.name


def deep(levels: int) -> bytes:
	"""Return an object that is nested `levels` deep, itself counted."""
	return b'{"note": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def malformed(name: str, body: bytes) -> Case:
	return Case(name, body, 400, "malformed_json")


MALFORMED = [
	malformed("empty body", b""),
	malformed("blank body", b" \n\t "),
	malformed("not JSON", b"{external_id: 1}"),
	malformed("cut off", b'{"external_id": "A"'),
	malformed("two objects", b"{}{}"),
	malformed("comment", b"{} // order"),
	malformed("XML", b"<order/>"),
	malformed("array", json.dumps([order()]).encode()),
	malformed("empty array", b"[]"),
	malformed("number", b"1"),
	malformed("string", b'"order"'),
	malformed("null", b"null"),
	malformed("true", b"true"),
	malformed("33 levels", deep(33)),
	malformed("100,000 levels", deep(100_000)),
	malformed("NUL byte", b'{"note": "a\x00b"}'),
	malformed("NUL escaped", b'{"note": "a\\u0000b"}'),
	malformed("NUL in a name", b'{"a\\u0000b": 1}'),
	malformed("Latin-1", '{"note": "Müller"}'.encode("latin-1")),
	malformed("overlong UTF-8", b'{"note": "\xc0\xaf"}'),
	malformed("UTF-16", '{"note": "a"}'.encode("utf-16")),
	malformed("byte order mark", b"\xef\xbb\xbf{}"),
	malformed("half a surrogate pair", b'{"note": "\\ud83d"}'),
	malformed("NaN", b'{"lines": [{"quantity": NaN}]}'),
	malformed("Infinity", b'{"lines": [{"quantity": Infinity}]}'),
	malformed("-Infinity", b'{"lines": [{"quantity": -Infinity}]}'),
	malformed("absurd exponent", b'{"lines": [{"quantity": 1e999999}]}'),
	malformed("integer of 5,000 digits", b'{"lines": [{"quantity": ' + b"9" * 5000 + b"}]}"),
	malformed("a name twice", b'{"external_id": "A", "external_id": "B"}'),
]

TOO_LARGE = [
	Case("10 MB", json.dumps({"note": "x" * 10_000_000}).encode(), 413, "payload_too_large"),
	Case("one byte over 5 MiB", b"{" + b" " * (5 * 1024 * 1024 - 1) + b"}", 413, "payload_too_large"),
]


def external_id(name: str, value, fault: str) -> Case:
	return Case(f"external id {name}", order(external_id=value), pointers=["/external_id"], fault=fault)


def quantity(value, fault: str) -> Case:
	return Case(
		f"quantity {value!r}",
		order(lines=[line(quantity=value)]),
		pointers=["/lines/0/quantity"],
		fault=fault,
	)


def price(value, fault: str) -> Case:
	return Case(
		f"price {value!r}",
		order(lines=[line(unit_price=value)]),
		pointers=["/lines/0/unit_price"],
		fault=fault,
	)


def when(name: str, value, fault: str) -> Case:
	return Case(f"{name} {value!r}", order(**{name: value}), pointers=[f"/{name}"], fault=fault)


def schema(name: str, body: dict, pointers: list[str], fault: str) -> Case:
	return Case(name, body, pointers=pointers, fault=fault)


SCHEMA = [
	external_id("missing", ..., "missing"),
	external_id("null", None, "string_type"),
	external_id("empty", "", "too_short"),
	external_id("blank", "   ", "blank"),
	external_id("of 141 characters", "x" * 141, "too_long"),
	external_id("a number", 1001, "string_type"),
	external_id("an object", {"id": "A"}, "string_type"),
	external_id("with a line break", "A\nB", "text_not_storable"),
	schema("lines missing", order(lines=...), ["/lines"], "missing"),
	schema("no lines", order(lines=[]), ["/lines"], "too_short"),
	schema("lines null", order(lines=None), ["/lines"], "missing"),
	schema("lines an object", order(lines={}), ["/lines"], "list_type"),
	schema("a line that is a text", order(lines=["x"]), ["/lines/0"], "model_type"),
	schema("1,001 lines", order(lines=[line()] * 1001), ["/lines"], "too_long"),
	schema("line without item", order(lines=[{"quantity": 1, "unit_price": 1}]), ["/lines/0"], "one_of"),
	schema(
		"two lines with one id",
		order(lines=[line(external_id="1"), line(external_id="1")]),
		[""],
		"duplicate_line",
	),
	quantity(0, "not_positive"),
	quantity("0.00", "not_positive"),
	quantity(-1, "not_positive"),
	quantity("NaN", "not_a_number"),
	quantity("Infinity", "not_a_number"),
	quantity("-inf", "not_a_number"),
	quantity("1,5", "not_a_number"),
	quantity("1_000", "not_a_number"),
	quantity("", "not_a_number"),
	quantity("١٢", "not_a_number"),
	quantity(True, "not_a_number"),
	quantity(None, "not_a_number"),
	quantity([1], "not_a_number"),
	quantity(10**12, "out_of_range"),
	quantity(1e300, "out_of_range"),
	quantity("1e-40", "out_of_range"),
	quantity("1.0000000001", "too_many_decimals"),
	price(-0.01, "negative"),
	price(10**15, "out_of_range"),
	price("1e30", "out_of_range"),
	price("nan", "not_a_number"),
	price(False, "not_a_number"),
	price("0.1234567891", "too_many_decimals"),
	schema(
		"price missing", order(lines=[line() | {"unit_price": None}]), ["/lines/0/unit_price"], "not_a_number"
	),
	schema("currency in lower case", order(currency="usd"), ["/currency"], "not_a_currency"),
	schema("currency of four letters", order(currency="USDT"), ["/currency"], "not_a_currency"),
	schema("exchange rate 0", order(currency="EUR", exchange_rate=0), ["/exchange_rate"], "not_positive"),
	when("placed_at", "1969-12-31", "date_out_of_range"),
	when("placed_at", "1969-12-31T23:59:59Z", "date_out_of_range"),
	when("placed_at", "3000-01-01", "date_out_of_range"),
	when("placed_at", "9999-12-31T23:59:59Z", "date_out_of_range"),
	when("placed_at", "0001-01-01", "date_out_of_range"),
	when("placed_at", "2026-02-30", "not_a_time"),
	when("placed_at", "yesterday", "not_a_time"),
	when("placed_at", "", "not_a_time"),
	when("placed_at", 1_700_000_000, "not_a_time"),
	when("deliver_by", "3000-01-01", "date_out_of_range"),
	when("deliver_by", "1969-12-31", "date_out_of_range"),
	schema(
		"a line's date",
		order(lines=[line(deliver_by="3000-01-01")]),
		["/lines/0/deliver_by"],
		"date_out_of_range",
	),
	schema(
		"a payment's date",
		order(payments=[{"method": "Cash", "amount": 1, "paid_at": "1969-01-01"}]),
		["/payments/0/paid_at"],
		"date_out_of_range",
	),
	schema("customer missing", order(customer=...), ["/customer"], "missing"),
	schema("customer empty", order(customer={}), ["/customer"], "one_of"),
	schema("customer a text", order(customer="Jane"), ["/customer"], "model_type"),
	schema(
		"name with spaces around", order(customer={"name": " Jane "}), ["/customer/name"], "text_not_storable"
	),
	schema("no e-mail", order(customer={"email": "jane"}), ["/customer/email"], "not_an_email"),
	schema("no phone number", order(customer={"phone": "call me"}), ["/customer/phone"], "not_a_phone"),
	schema(
		"negative charge",
		order(charges=[{"code": "shipping", "amount": -1}]),
		["/charges/0/amount"],
		"negative",
	),
	schema("tax of 101 %", order(taxes=[{"code": "vat", "rate": 101}]), ["/taxes/0/rate"], "less_than_equal"),
	schema(
		"tax with rate and amount",
		order(taxes=[{"code": "vat", "rate": 1, "amount": 1}]),
		["/taxes/0"],
		"one_of",
	),
	schema("tax with neither", order(taxes=[{"code": "vat"}]), ["/taxes/0"], "one_of"),
	schema(
		"included tax without rate",
		order(taxes=[{"code": "vat", "amount": 1, "included": True}]),
		["/taxes/0"],
		"included_tax_needs_rate",
	),
	schema("taxes and template", order(taxes=[], tax_template="T"), [""], "one_of"),
	schema(
		"payment of nothing",
		order(payments=[{"method": "Cash", "amount": 0}]),
		["/payments/0/amount"],
		"not_positive",
	),
	schema(
		"discount above the price",
		order(lines=[line(discount={"amount": 11})]),
		["/lines/0"],
		"discount_too_large",
	),
	schema(
		"discount of 101 %",
		order(lines=[line(discount={"percent": 101})]),
		["/lines/0/discount/percent"],
		"less_than_equal",
	),
	schema("control character", order(note="a\x07b"), ["/note"], "text_not_storable"),
	schema("line break in a line", order(order_number="a\nb"), ["/order_number"], "text_not_storable"),
	schema("`cmd` in the body", order(cmd="frappe.client.get_list"), ["/cmd"], "unknown_field"),
	schema("`fn` in the body", order(fn="frappe.client.get_list"), ["/fn"], "unknown_field"),
	schema("`doctype` in the body", order(doctype="User"), ["/doctype"], "unknown_field"),
	schema("unknown field", order(shipping_adress={}), ["/shipping_adress"], "unknown_field"),
	schema("unknown field of a line", order(lines=[line(qantity=1)]), ["/lines/0/qantity"], "unknown_field"),
	schema("name with a slash", order(**{"a/b~c": 1}), ["/a~1b~0c"], "unknown_field"),
	schema("custom field an object", order(custom_fields={"x": {}}), ["/custom_fields/x"], "not_a_scalar"),
	schema("custom fields a list", order(custom_fields=[]), ["/custom_fields"], "dict_type"),
	schema(
		"all faults at once",
		order(external_id="", lines=[], tags="x"),
		["/external_id", "/lines", "/tags"],
		"too_short",
	),
]


@pytest.mark.parametrize("case", [*MALFORMED, *TOO_LARGE, *SCHEMA], ids=repr)
def test_turned_away(case, shop, hub, site):
	before = len(site.log_rows(shop.name))
	with expect.nothing_made("Hub Request"):
		answer = hub.post("orders.create", case.body, X_Request_Id=MARKER)
	body = expect.problem(answer, case.status, case.code, case.pointers)
	if case.fault:
		assert body["errors"][0]["code"] == case.fault
	assert body["retryable"] is False
	row = expect.only_turned_away(shop.name, before, case.status, case.code)
	assert row.request_id == MARKER
	assert row.data is None and row.output is None and row.request_headers is None
	expect.free_of(row, shop.token.split(":")[1])


@pytest.mark.parametrize(
	("given", "pointer", "meant"),
	[
		({"externalid": "A"}, "/externalid", "external_id"),
		({"shipping_adress": {}}, "/shipping_adress", "shipping_address"),
		({"lines": [line(unitprice=1)]}, "/lines/0/unitprice", "unit_price"),
		({"customer": {"name": "A", "e_mail": "a@example.com"}}, "/customer/e_mail", "email"),
		({"billing_address": factories.address(postcode="1")}, "/billing_address/postcode", "postal_code"),
		({"lines": [line(discount={"procent": 1, "percent": 1})]}, "/lines/0/discount/procent", "percent"),
		(
			{"payments": [{"method": "Cash", "amount": 1, "fee": {"amount": 1, "code": "a", "codes": 1}}]},
			"/payments/0/fee/codes",
			"code",
		),
	],
)
def test_unknown_fields_name_the_nearest_known(given, pointer, meant, hub):
	answer = hub.post("orders.create", order(**given))
	body = expect.problem(answer, 422, "validation_failed", [pointer])
	assert f"Did you mean {meant}?" in body["errors"][0]["message"]


def test_an_unknown_field_like_no_other_gets_no_guess(hub):
	body = expect.problem(hub.post("orders.create", order(zzzzzz=1)), 422, "validation_failed", ["/zzzzzz"])
	assert "Did you mean" not in body["errors"][0]["message"]


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", None])
def test_the_content_type_changes_nothing_about_a_refusal(content_type, hub, site):
	"""Frappe reads a form before any hook; the hub must neither guess nor crash."""
	with expect.nothing_made("Hub Request"):
		answer = hub.raw(
			"POST",
			"/api/method/integration_hub.api.v1.orders.create",
			b"external_id=A&cmd=frappe.ping",
			{"Content-Type": content_type},
		)
	expect.problem(answer, 400, "malformed_json", [])


def test_above_frappes_own_limit_frappe_answers(hub):
	with expect.nothing_made("Hub Request"):
		answer = hub.post("orders.create", b'{"note": "' + b"x" * 26 * 1024 * 1024 + b'"}')
	assert answer.status == 413


def test_cmd_in_the_body_is_not_called(hub, site):
	"""Frappe itself would call what `cmd` names instead of the URL's method."""
	body = order(cmd="frappe.client.insert", doc={"doctype": "ToDo", "description": MARKER})
	answer = hub.post("orders.create", body)
	expect.problem(answer, 422, "validation_failed", ["/cmd", "/doc"])
	site.refresh()
	assert not frappe.db.exists("ToDo", {"description": MARKER})


def test_malformed_json_is_the_same_for_every_write(hub):
	for verb in ("orders.create", "orders.cancel", "requests.retry"):
		expect.problem(hub.post(verb, b"{"), 400, "malformed_json", [])


def test_methods_and_verbs_that_do_not_exist(hub):
	expect.problem(hub.get("orders.create"), 405, "method_not_allowed")
	expect.problem(hub.post("orders.get", {}), 405, "method_not_allowed")
	expect.problem(hub.post("orders.destroy", {}), 404, "not_found")
	expect.problem(hub.get("nothing.here"), 404, "not_found")


def test_query_parameters_are_checked(hub):
	expect.problem(hub.get("orders.get"), 422, "validation_failed", [""])
	expect.problem(hub.get("orders.get", external_id="A", name="B"), 422, "validation_failed", [""])
	expect.problem(hub.get("orders.get", externl_id="A"), 422, "validation_failed")
	expect.problem(hub.get("requests.get"), 422, "validation_failed", ["?id"])
	expect.problem(hub.get("requests.get", id="x" * 141), 422, "validation_failed", ["?id"])


# -- refused by the work -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def others(factory, masters, systems):
	"""Masters that must not be used, and what they are called in BUSINESS."""
	company = factory.make(
		"Company",
		company_name=factories.unique("HT Other"),
		abbr=factories.unique("H")[-8:],
		default_currency="EUR",
		country="Germany",
	)
	limited = factory.make(
		"Customer",
		customer_name=factories.unique("HT Limited"),
		customer_group="Commercial",
		territory="United States",
		credit_limits=[{"company": masters.company, "credit_limit": 5}],
	)
	template = factory.make(
		"Item Attribute",
		attribute_name=factories.unique("HT Colour"),
		item_attribute_values=[{"attribute_value": "Red", "abbr": "R"}],
	)
	return {
		"disabled item": factory.item(disabled=1),
		"template item": factory.item(has_variants=1, attributes=[{"attribute": template.name}]),
		"item not for sale": factory.item(is_sales_item=0),
		"item by weight": factory.item(stock_uom="Kg"),
		"disabled customer": factory.customer(disabled=1),
		"limited customer": limited.name,
		"foreign warehouse": frappe.db.get_value("Warehouse", {"company": company.name, "is_group": 0}),
		"disabled warehouse": factory.warehouse(disabled=1),
		"group warehouse": factory.warehouse(is_group=1),
		"foreign template": factory.make(
			"Sales Taxes and Charges Template", title=factories.unique("HT"), company=company.name
		).name,
	}


def lines(**values) -> dict:
	return {"lines": [line(**values)]}


# Values `{…}` are names of `others`.
BUSINESS = [
	Case("unknown item code", lines(item_code="NOPE"), code="unknown_item", pointers=["/lines/0/item_code"]),
	Case("item code in other case", lines(item_code=factories.ITEM.lower()), code="unknown_item", pointers=["/lines/0/item_code"]),
	Case("unknown SKU", {"lines": [line(), {"sku": "NOPE", "quantity": 1, "unit_price": 1}]}, code="unknown_item", pointers=["/lines/1/sku"]),
	Case("unknown barcode", {"lines": [{"barcode": "NOPE", "quantity": 1, "unit_price": 1}]}, code="unknown_item", pointers=["/lines/0/barcode"]),
	Case("unknown item id", {"lines": [{"item_external_id": "NOPE", "quantity": 1, "unit_price": 1}]}, code="unknown_item", pointers=["/lines/0/item_external_id"]),
	Case("identifiers of two items", lines(sku=factories.SECOND_ITEM), code="item_ambiguous", pointers=["/lines/0"]),
	Case("disabled item", lines(item_code="{disabled item}"), code="item_disabled", pointers=["/lines/0"]),
	Case("template item", lines(item_code="{template item}"), code="item_not_sellable", pointers=["/lines/0"]),
	Case("item not for sale", lines(item_code="{item not for sale}"), code="item_not_sellable", pointers=["/lines/0"]),
	Case("unknown customer", {"customer": {"name": "Nobody at all"}}, code="unknown_customer", pointers=["/customer/name"]),
	Case("unknown customer id", {"customer": {"external_id": "C-404"}}, code="unknown_customer", pointers=["/customer/external_id"]),
	Case("unknown e-mail", {"customer": {"email": "nobody@example.com"}}, code="unknown_customer", pointers=["/customer/email"]),
	Case("unknown phone", {"customer": {"phone": "+1 555 000 0404"}}, code="unknown_customer", pointers=["/customer/phone"]),
	Case("disabled customer", {"customer": {"name": "{disabled customer}"}}, code="customer_disabled", pointers=["/customer"]),
	Case("credit limit", {"customer": {"name": "{limited customer}"}}, code="credit_limit_exceeded", pointers=["/customer"]),
	Case("unknown warehouse", lines(warehouse="NOPE"), code="unknown_warehouse", pointers=["/lines/0/warehouse"]),
	Case("warehouse of another company", lines(warehouse="{foreign warehouse}"), code="warehouse_not_usable", pointers=["/lines/0/warehouse"]),
	Case("disabled warehouse", lines(warehouse="{disabled warehouse}"), code="warehouse_not_usable", pointers=["/lines/0/warehouse"]),
	Case("group warehouse", lines(warehouse="{group warehouse}"), code="warehouse_not_usable", pointers=["/lines/0/warehouse"]),
	Case("unmapped charge", {"charges": [{"code": "shipping", "amount": 1}, {"code": "gift", "amount": 1}]}, code="charge_not_mapped", pointers=["/charges/1/code"]),
	Case("unmapped tax", {"taxes": [{"code": "gst", "rate": 5}]}, code="tax_not_mapped", pointers=["/taxes/0/code"]),
	Case("unknown tax template", {"tax_template": "NOPE"}, code="unknown_tax_template", pointers=["/tax_template"]),
	Case("tax template of another company", {"tax_template": "{foreign template}"}, code="unknown_tax_template", pointers=["/tax_template"]),
	Case("unknown item tax template", lines(tax_template="NOPE"), code="unknown_tax_template", pointers=["/lines/0/tax_template"]),
	Case("unmapped payment method", {"payments": [{"method": "Barter", "amount": 1}]}, code="payment_method_not_mapped", pointers=["/payments/0/method"]),
	Case("unmapped fee", {"payments": [{"method": "Card", "amount": 5, "fee": {"code": "nope", "amount": 1}}]}, code="charge_not_mapped", pointers=["/payments/0/fee/code"]),
	Case("fee as large as the payment", {"payments": [{"method": "Card", "amount": 5, "fee": {"code": "gateway", "amount": 5}}]}, pointers=["/payments/0/fee/amount"], fault="fee_too_large"),
	Case("unknown currency", {"currency": "XXQ"}, code="unknown_currency", pointers=["/currency"]),
	Case("exchange rate missing", {"currency": "CHF"}, code="exchange_rate_missing", pointers=["/exchange_rate"]),
	Case("unknown unit", lines(uom="Parsec-ish"), code="unknown_uom", pointers=["/lines/0/uom"]),
	Case("unit without conversion", lines(uom="Hour"), code="uom_not_convertible", pointers=["/lines/0/uom"]),
	Case("half a piece", {"lines": [line(), line(quantity=1.5)]}, code="quantity_not_whole", pointers=["/lines/1/quantity"]),
	Case("price with three decimals", lines(unit_price="10.001"), pointers=["/lines/0/unit_price"], fault="too_many_decimals"),
	Case("quantity with four decimals", lines(item_code="{item by weight}", quantity="1.0001"), pointers=["/lines/0/quantity"], fault="too_many_decimals"),
	Case("charge with three decimals", {"charges": [{"code": "shipping", "amount": "1.005"}]}, pointers=["/charges/0/amount"], fault="too_many_decimals"),
	Case("payment with three decimals", {"payments": [{"method": "Cash", "amount": "1.005"}]}, pointers=["/payments/0/amount"], fault="too_many_decimals"),
	Case("amount out of bounds", lines(quantity=999_999_999_999, unit_price=999_999_999_999), pointers=["/lines/0"], fault="out_of_range"),
	Case("discounts above the lines", {"discounts": [{"amount": 11}]}, pointers=["/discounts"], fault="discount_too_large"),
	Case("delivery before the order", {"placed_at": "2026-03-02", "deliver_by": "2026-03-01"}, pointers=["/deliver_by"], fault="date_before_order"),
	Case("unknown country", {"shipping_address": factories.address(country="ZZ")}, code="unknown_country", pointers=["/shipping_address/country"]),
	Case("unknown quotation", {"quotation": {"name": "NOPE"}}, code="unknown_quotation", pointers=["/quotation"]),
	Case("custom field that does not exist", {"custom_fields": {"nope": 1}}, code="custom_field_unknown", pointers=["/custom_fields/nope"]),
	Case("custom field with a slash", {"custom_fields": {"a/b": 1}}, code="custom_field_unknown", pointers=["/custom_fields/a~1b"]),
	Case("standard field as custom field", {"custom_fields": {"status": "Closed"}}, code="custom_field_unknown", pointers=["/custom_fields/status"]),
	Case("custom field of the hub", {"custom_fields": {"hub_external_id": "X"}}, code="custom_field_not_settable", pointers=["/custom_fields/hub_external_id"]),
	Case("custom field of a line", lines(custom_fields={"nope": 1}), code="custom_field_unknown", pointers=["/lines/0/custom_fields/nope"]),
	Case("totals", {"totals": {"grand": 11}}, code="totals_differ", pointers=["/totals/grand"]),
	Case("all totals", {"totals": {"net": 9, "tax": 1, "grand": 9}}, code="totals_differ", pointers=["/totals/net", "/totals/tax", "/totals/grand"]),
]  # fmt: skip


@pytest.mark.parametrize("case", BUSINESS, ids=repr)
def test_refused_by_the_work(case, others, shop, hub, site):
	body = order(**_filled(case.body, others), note=MARKER)
	with expect.nothing_made():
		answer = hub.post("orders.create", body)
	problem = expect.problem(answer, case.status, case.code, case.pointers)
	if case.fault:
		assert problem["errors"][0]["code"] == case.fault
	assert problem["retryable"] is False

	[request] = site.request_of(shop.name, body["external_id"])
	assert (request.status, request.http_status, request.error_code) == ("Failed", case.status, case.code)
	assert request.reference_name is None and request.answer is None and request.next_attempt_at is None
	assert json.loads(request.error)["code"] == case.code
	assert problem["instance"].endswith(f"requests.get?id={request.name}")
	[row] = site.log_rows(shop.name, hub_request=request.name)
	assert (row.status, row.hub_http_status, row.hub_error_code) == ("Failed", case.status, case.code)
	expect.free_of(row, MARKER, shop.token.split(":")[1])
	expect.free_of({"error": request.error, "message": request.error_message}, MARKER)


def _filled(value, names: dict):
	if isinstance(value, dict):
		return {key: _filled(child, names) for key, child in value.items()}
	if isinstance(value, list):
		return [_filled(child, names) for child in value]
	if isinstance(value, str) and value.startswith("{"):
		return names[value.strip("{}")]
	return value


def test_totals_that_differ_name_both_figures(hub):
	answer = hub.post("orders.create", order(taxes=[], totals={"grand": "11.50"}))
	body = expect.problem(answer, 422, "totals_differ", ["/totals/grand"])
	assert body["totals"] == {"grand": {"sent": 11.5, "computed": 10.0}}


@pytest.mark.parametrize("length", [0, 141])
def test_a_text_of_the_wrong_length_is_told_so_in_characters(length, hub):
	answer = hub.post("orders.create", order(external_id="x" * length))
	body = expect.problem(answer, 422, "validation_failed", ["/external_id"])
	assert "character" in body["errors"][0]["message"]


def test_an_external_id_of_140_characters_is_kept(shop, hub, site):
	external_id = factories.unique("x").ljust(140, "x")
	answer = hub.post("orders.create", order(external_id=external_id))
	assert answer.status == 201, answer
	assert site.order_of(shop.name, external_id).hub_external_id == external_id


def test_a_date_must_be_in_bounds_on_the_site_too(shop, hub, site):
	"""In the site's zone this is the year 3000."""
	answer = hub.post("orders.create", order(placed_at="2999-12-31T23:30:00-12:00"))
	expect.problem(answer, 422, "validation_failed", ["/placed_at"])


def test_disabled_currency(hub, site):
	"""A currency that exists and is switched off is as unknown as one that does not exist."""
	site.refresh()
	name = frappe.db.get_value("Currency", {"enabled": 0, "name": ("not in", ("CHF", "EUR", "USD"))})
	assert name
	expect.problem(hub.post("orders.create", order(currency=name)), 422, "unknown_currency", ["/currency"])
