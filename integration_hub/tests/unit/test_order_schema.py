"""The order as a whole: what goes together and what does not."""

from decimal import Decimal

import pytest

from integration_hub.core.validation import validate
from integration_hub.exceptions import ValidationFailed
from integration_hub.schemas import orders, requests, values
from integration_hub.schemas.orders import OrderCancel, OrderCreate, OrderGet

LINE = {"sku": "S", "quantity": 1, "unit_price": 10}
ORDER = {"external_id": "A", "customer": {"name": "Jane"}, "lines": [LINE]}
ADDRESS = {"line1": "1 Road", "city": "Bonn", "country": "DE"}


def fault(given: dict, schema=OrderCreate) -> tuple[str, str]:
	with pytest.raises(ValidationFailed) as refused:
		validate(schema, {**ORDER, **given} if schema is OrderCreate else given)
	[one] = refused.value.errors
	return one.pointer, one.code


def line(**given) -> dict:
	return {"lines": [{**LINE, **given}]}


@pytest.mark.parametrize(
	("given", "where", "code"),
	[
		({"customer": {}}, "/customer", "one_of"),
		({"customer": {"type": "Company"}}, "/customer", "one_of"),
		({"customer": {"name": "J", "type": "Person"}}, "/customer/type", "literal_error"),
		({"customer": {"name": "J", "contact": {}}}, "/customer/contact/first_name", "missing"),
		({"billing_address": {**ADDRESS, "line1": ""}}, "/billing_address/line1", "too_short"),
		({"billing_address": {"city": "B", "country": "DE"}}, "/billing_address/line1", "missing"),
		({"lines": [{"quantity": 1, "unit_price": 1}]}, "/lines/0", "one_of"),
		(line(discount={}), "/lines/0/discount", "one_of"),
		(line(discount={"percent": 1, "amount": 1}), "/lines/0/discount", "one_of"),
		(line(discount={"amount": "10.01"}), "/lines/0", "discount_too_large"),
		(line(custom_fields={"a": []}), "/lines/0/custom_fields/a", "not_a_scalar"),
		({"lines": [{**LINE, "external_id": "1"}, {**LINE, "external_id": "1"}]}, "", "duplicate_line"),
		({"discounts": [{}]}, "/discounts/0", "one_of"),
		({"discounts": [{"amount": 1, "percent": 1}]}, "/discounts/0", "one_of"),
		({"charges": [{"code": "a"}]}, "/charges/0/amount", "missing"),
		({"charges": [{"amount": 1}]}, "/charges/0/code", "missing"),
		({"taxes": [{"code": "v"}]}, "/taxes/0", "one_of"),
		({"taxes": [{"code": "v", "rate": 1, "amount": 1}]}, "/taxes/0", "one_of"),
		({"taxes": [{"code": "v", "amount": 1, "included": True}]}, "/taxes/0", "included_tax_needs_rate"),
		({"taxes": [{"code": "v", "rate": 1, "included": 2}]}, "/taxes/0/included", "bool_parsing"),
		({"taxes": [], "tax_template": "T"}, "", "one_of"),
		({"payments": [{"amount": 1}]}, "/payments/0/method", "missing"),
		({"payments": [{"method": "c", "amount": 0}]}, "/payments/0/amount", "not_positive"),
		(
			{"payments": [{"method": "c", "amount": 1, "external_id": "P"}] * 2},
			"",
			"duplicate_payment",
		),
		(
			{"payments": [{"method": "c", "amount": 1, "fee": {"amount": 1}}]},
			"/payments/0/fee/code",
			"missing",
		),
		({"quotation": {}}, "/quotation", "one_of"),
		({"quotation": {"name": "Q", "external_id": "Q"}}, "/quotation", "one_of"),
		({"tags": ["a", "b,c"]}, "/tags/1", "text_not_storable"),
		({"tags": "a"}, "/tags", "list_type"),
		({"submit": "perhaps"}, "/submit", "bool_parsing"),
		({"validate_only": None}, "/validate_only", "bool_type"),
		({"totals": {"net": "x"}}, "/totals/net", "not_a_number"),
	],
)
def test_refused(given, where, code):
	assert fault(given) == (where, code)


@pytest.mark.parametrize(
	("field", "most"),
	[("lines", 1000), ("charges", 100), ("discounts", 100), ("taxes", 100), ("payments", 100), ("tags", 50)],
)
def test_how_many(field, most):
	one = {
		"lines": LINE,
		"charges": {"code": "a", "amount": 1},
		"discounts": {"amount": 1},
		"taxes": {"code": "a", "rate": 1},
		"payments": {"method": "c", "amount": 1},
		"tags": "a",
	}[field]
	assert len(getattr(validate(OrderCreate, {**ORDER, field: [one] * most}), field)) == most
	assert fault({field: [one] * (most + 1)}) == (f"/{field}", "too_long")


def test_the_smallest_order():
	order = validate(OrderCreate, ORDER)
	assert order.model_dump(exclude_defaults=True) == {
		"external_id": "A",
		"customer": {"name": "Jane"},
		"lines": [{"sku": "S", "quantity": Decimal(1), "unit_price": Decimal(10)}],
	}
	assert order.taxes is None and order.submit is None and order.validate_only is False


def test_a_discount_may_be_the_whole_price_and_a_price_nothing():
	assert validate(OrderCreate, {**ORDER, **line(discount={"amount": 10})})
	assert validate(OrderCreate, {**ORDER, **line(unit_price=0, discount={"amount": 0})})


def test_ids_that_differ_in_case_are_two():
	lines = [{**LINE, "external_id": i} for i in ("a", "A", "a ")]
	assert len(validate(OrderCreate, {**ORDER, "lines": lines}).lines) == 3


@pytest.mark.parametrize("schema", [OrderCancel, OrderGet])
def test_one_of_external_id_and_name(schema):
	assert fault({}, schema) == ("", "one_of")
	assert fault({"external_id": "A", "name": "B"}, schema) == ("", "one_of")
	assert validate(schema, {"name": "B"}).external_id is None


def test_no_schema_takes_unknown_fields_or_changes_after_validation():
	found = []
	for module in (orders, requests, values):
		for model in vars(module).values():
			if isinstance(model, type) and issubclass(model, values.Model):
				found.append(model.__name__)
				assert model.model_config["extra"] == "forbid", model
				assert model.model_config["frozen"] is True, model
	assert {"OrderCreate", "OrderLine", "RequestGet", "Problem"} - set(found) == {"Problem"}
