"""Faults: every one, with its RFC 6901 pointer, a stable code and the nearest known name."""

import pytest

from integration_hub.core.validation import MAX_FAULTS, fields_at, pointer, validate
from integration_hub.exceptions import ValidationFailed
from integration_hub.schemas.orders import OrderCreate, OrderGet
from integration_hub.schemas.requests import RequestGet

ORDER = {
	"external_id": "A",
	"customer": {"name": "Jane"},
	"lines": [{"sku": "S", "quantity": 1, "unit_price": 1}],
}


def faults(data: dict, schema=OrderCreate, **options) -> list:
	with pytest.raises(ValidationFailed) as refused:
		validate(schema, data, **options)
	assert refused.value.code == "validation_failed"
	return refused.value.errors


def only(data: dict, schema=OrderCreate, **options):
	[fault] = faults(data, schema, **options)
	return fault


@pytest.mark.parametrize(
	("loc", "text"),
	[
		((), ""),
		(("a",), "/a"),
		(("lines", 0, "sku"), "/lines/0/sku"),
		(("a/b",), "/a~1b"),
		(("a~b",), "/a~0b"),
		(("~1",), "/~01"),
		(("",), "/"),
		((0,), "/0"),
	],
)
def test_pointers(loc, text):
	assert pointer(loc) == text


@pytest.mark.parametrize(
	("loc", "some"),
	[
		((), "external_id"),
		(("customer",), "tax_id"),
		(("customer", "contact"), "first_name"),
		(("lines",), "unit_price"),
		(("lines", 7), "unit_price"),
		(("lines", 0, "discount"), "percent"),
		(("payments", 0, "fee"), "code"),
		(("totals",), "grand"),
		(("taxes", 3), "included"),
	],
)
def test_fields_at(loc, some):
	assert some in fields_at(OrderCreate, loc)


@pytest.mark.parametrize("loc", [("nope",), ("external_id",), ("custom_fields",), ("nope", 0, "x")])
def test_fields_where_there_are_none(loc):
	assert fields_at(OrderCreate, loc) == []


@pytest.mark.parametrize(
	("given", "where", "message"),
	[
		({"externalid": 1}, "/externalid", "Unknown field externalid. Did you mean external_id?"),
		({"line": []}, "/line", "Unknown field line. Did you mean lines?"),
		({"Currency": "USD"}, "/Currency", "Unknown field Currency. Did you mean currency?"),
		({"zzzzz": 1}, "/zzzzz", "Unknown field zzzzz."),
		({"a/b~c": 1}, "/a~1b~0c", "Unknown field a/b~c."),
		({"x" * 100: 1}, "/" + "x" * 100, f"Unknown field {'x' * 60}."),
		(
			{"lines": [{**ORDER["lines"][0], "qty": 1}]},
			"/lines/0/qty",
			"Unknown field qty. Did you mean quantity?",
		),
		(
			{"customer": {"name": "J", "mail": "x"}},
			"/customer/mail",
			"Unknown field mail. Did you mean email?",
		),
	],
)
def test_unknown_fields(given, where, message):
	fault = only({**ORDER, **given})
	assert (fault.pointer, fault.message, fault.code) == (where, message, "unknown_field")


def test_every_fault_at_once_in_the_order_of_the_schema():
	found = faults({"external_id": 1, "lines": [{"quantity": 0}], "nope": 1})
	assert [(fault.pointer, fault.code) for fault in found] == [
		("/external_id", "string_type"),
		("/customer", "missing"),
		("/lines/0/quantity", "not_positive"),
		("/lines/0/unit_price", "missing"),
		("/nope", "unknown_field"),
	]


def test_at_most_a_hundred_faults():
	assert len(faults({**ORDER, **{f"unknown_{n}": 1 for n in range(500)}})) == MAX_FAULTS == 100


def test_the_message_names_the_first_place_and_how_many():
	with pytest.raises(ValidationFailed) as refused:
		validate(OrderCreate, {"external_id": "A"})
	assert refused.value.message == "/customer: This field is required. (2 faults in all)"
	with pytest.raises(ValidationFailed) as refused:
		validate(RequestGet, {}, query=True)
	assert refused.value.message == "?id: This field is required."


def test_query_parameters_have_no_pointer():
	assert only({"id": ""}, RequestGet, query=True).pointer == "?id"
	assert only({"id": "A", "x": "1"}, RequestGet, query=True).pointer == "?x"
	assert only({}, OrderGet, query=True).code == "one_of"


def test_what_is_valid_comes_out_as_it_went_in():
	order = validate(OrderCreate, {**ORDER, "external_id": " A\u00a0ü "})
	assert order.external_id == " A\u00a0ü "
	assert order.model_dump(exclude_unset=True)["lines"] == [{"sku": "S", "quantity": 1, "unit_price": 1}]
