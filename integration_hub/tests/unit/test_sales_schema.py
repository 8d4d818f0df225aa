"""The bodies of the sales cycle: what goes together, what does not, and what is meant when nothing is said."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from integration_hub.core.validation import validate
from integration_hub.exceptions import ValidationFailed
from integration_hub.schemas import sales
from integration_hub.schemas.orders import Order, OrderUpdate, Target
from integration_hub.schemas.sales import (
	SalesFulfill,
	SalesInvoice,
	SalesPay,
	SalesRefund,
	SalesRun,
	SalesStatus,
)

TARGET = {"external_id": "ORD-1"}
LINE = {"external_id": "1"}
NEW = {
	"external_id": "ORD-1",
	"customer": {"name": "Jane"},
	"lines": [{"sku": "S", "quantity": 1, "unit_price": 10}],
}
LEAST = {
	SalesFulfill: {"order": TARGET},
	SalesInvoice: {"order": TARGET},
	SalesPay: {"order": TARGET, "method": "card"},
	SalesRefund: {"order": TARGET},
	SalesRun: {"order": TARGET},
	SalesStatus: TARGET,
	OrderUpdate: TARGET,
}


def body(schema, given: dict) -> dict:
	return {name: value for name, value in {**LEAST[schema], **given}.items() if value is not ...}


def fault(schema, given: dict) -> tuple[str, str]:
	with pytest.raises(ValidationFailed) as refused:
		validate(schema, body(schema, given))
	[one] = refused.value.errors
	return one.pointer, one.code


def good(schema, **given):
	return validate(schema, body(schema, given))


@pytest.mark.parametrize("schema", list(LEAST), ids=lambda schema: schema.__name__)
def test_the_least(schema):
	assert validate(schema, LEAST[schema])


@pytest.mark.parametrize("schema", list(LEAST), ids=lambda schema: schema.__name__)
def test_unknown_fields_are_refused(schema):
	assert fault(schema, {"ordr": 1})[0] == "/ordr"


@pytest.mark.parametrize("target", [{}, {"external_id": "A", "name": "B"}, {"external_id": None}])
def test_a_target_has_one_name(target):
	assert fault(SalesFulfill, {"order": target}) == ("/order", "one_of")
	assert fault(SalesInvoice, {"order": ..., "fulfillment": target}) == ("/fulfillment", "one_of")
	assert fault(SalesPay, {"order": ..., "invoice": target}) == ("/invoice", "one_of")


# -- delivery ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	("given", "where", "code"),
	[
		({"order": ...}, "/order", "missing"),
		({"external_id": ""}, "/external_id", "too_short"),
		({"external_id": " "}, "/external_id", "blank"),
		({"external_id": "a" * 141}, "/external_id", "too_long"),
		({"lines": []}, "/lines", "too_short"),
		({"lines": [LINE] * 1001}, "/lines", "too_long"),
		({"lines": [{}]}, "/lines/0", "one_of"),
		({"lines": [{"external_id": "1", "item_code": "I"}]}, "/lines/0", "one_of"),
		({"lines": [LINE, {**LINE, "quantity": 0}]}, "/lines/1/quantity", "not_positive"),
		({"lines": [{**LINE, "quantity": -1}]}, "/lines/0/quantity", "not_positive"),
		({"lines": [{**LINE, "quantity": "1e13"}]}, "/lines/0/quantity", "out_of_range"),
		({"lines": [{**LINE, "serials": []}]}, "/lines/0/serials", "too_short"),
		({"lines": [{**LINE, "serials": ["A", "A"]}]}, "/lines/0", "duplicate_serial"),
		({"lines": [{**LINE, "serials": ["A", " B"]}]}, "/lines/0/serials/1", "text_not_storable"),
		({"lines": [{**LINE, "serials": ["A\nB"]}]}, "/lines/0/serials/0", "text_not_storable"),
		({"lines": [{**LINE, "serials": [str(n) for n in range(1001)]}]}, "/lines/0/serials", "too_long"),
		({"lines": [{**LINE, "batch": ""}]}, "/lines/0/batch", "too_short"),
		({"tracking_url": "track.example/1"}, "/tracking_url", "not_a_url"),
		({"tracking_url": "javascript:alert(1)"}, "/tracking_url", "not_a_url"),
		({"tracking_url": "https://x/ 1"}, "/tracking_url", "not_a_url"),
		({"carrier": "D\nHL"}, "/carrier", "text_not_storable"),
		({"posting_at": "yesterday"}, "/posting_at", "not_a_time"),
		({"posting_at": "1969-12-31"}, "/posting_at", "date_out_of_range"),
		({"submit": None}, "/submit", "bool_type"),
		({"submit": "perhaps"}, "/submit", "bool_parsing"),
	],
)
def test_a_delivery_refused(given, where, code):
	assert fault(SalesFulfill, given) == (where, code)


def test_a_delivery():
	part = good(
		SalesFulfill,
		lines=[{**LINE, "quantity": "1.5", "batch": "B", "serials": ["A", "a"], "warehouse": "W"}],
		posting_at="2026-03-01T12:30:00+01:00",
		tracking_url="http://x.example/?a=1&b=ü",
	)
	[line] = part.lines
	assert (line.quantity, line.serials) == (Decimal("1.5"), ["A", "a"])
	assert part.posting_at == datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=1)))
	assert part.tracking_url == "http://x.example/?a=1&b=ü"
	assert (part.submit, part.validate_only, part.external_id) == (True, False, None)


def test_a_line_may_come_twice():
	assert len(good(SalesFulfill, lines=[LINE, LINE]).lines) == 2


# -- invoice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	("given", "where", "code"),
	[
		({"order": ...}, "", "one_of"),
		({"fulfillment": {"name": "DN"}}, "", "one_of"),
		({"order": ..., "fulfillment": {"name": "DN"}, "update_stock": True}, "", "already_delivered"),
		({"due_date": "2026-04-01", "terms": "30 days"}, "", "one_of"),
		({"lines": [{**LINE, "batch": "B"}]}, "", "needs_update_stock"),
		({"lines": [{**LINE, "serials": ["A"]}]}, "", "needs_update_stock"),
		({"lines": [LINE, {**LINE, "warehouse": "W"}]}, "", "needs_update_stock"),
		({"due_date": "soon"}, "/due_date", "not_a_time"),
		({"terms": ""}, "/terms", "too_short"),
		({"update_stock": "perhaps"}, "/update_stock", "bool_parsing"),
	],
)
def test_an_invoice_refused(given, where, code):
	assert fault(SalesInvoice, given) == (where, code)


def test_an_invoice():
	part = good(SalesInvoice, update_stock=True, lines=[{**LINE, "batch": "B", "warehouse": "W"}])
	assert (part.update_stock, part.submit, part.fulfillment) == (True, True, None)
	part = good(SalesInvoice, order=..., fulfillment={"external_id": "PARCEL"}, due_date="2026-04-01")
	assert part.fulfillment == Target(external_id="PARCEL")


# -- payment and refund --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [SalesPay, SalesRefund])
@pytest.mark.parametrize("given", [{"order": ...}, {"invoice": {"name": "I"}}])
def test_money_is_for_an_order_or_an_invoice(schema, given):
	assert fault(schema, given) == ("", "one_of")


@pytest.mark.parametrize(
	("given", "where", "code"),
	[
		({"method": ...}, "/method", "missing"),
		({"amount": 0}, "/amount", "not_positive"),
		({"amount": "1,00"}, "/amount", "not_a_number"),
		({"amount": True}, "/amount", "not_a_number"),
		({"exchange_rate": 0}, "/exchange_rate", "not_positive"),
		({"fee": {"amount": 1}}, "/fee/code", "missing"),
		({"fee": {"amount": -1, "code": "f"}}, "/fee/amount", "negative"),
		({"paid_at": 1}, "/paid_at", "not_a_time"),
	],
)
def test_a_payment_refused(given, where, code):
	assert fault(SalesPay, given) == (where, code)


@pytest.mark.parametrize(
	("given", "where", "code"),
	[
		({"lines": []}, "/lines", "too_short"),
		({"lines": [{}]}, "/lines/0", "one_of"),
		({"lines": [{**LINE, "restock": "perhaps"}]}, "/lines/0/restock", "bool_parsing"),
		({"charges": []}, "/charges", "too_short"),
		({"charges": [{"amount": 1}]}, "/charges/0/code", "missing"),
		({"charges": [{"code": "s", "amount": 0}]}, "/charges/0/amount", "not_positive"),
		({"amount": 0}, "/amount", "not_positive"),
	],
)
def test_a_refund_refused(given, where, code):
	assert fault(SalesRefund, given) == (where, code)


# -- all in one ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	("given", "where", "code"),
	[
		({"order": ...}, "/order", "missing"),
		({"mode": "both"}, "/mode", "literal_error"),
		({"fulfill": []}, "/fulfill", "too_short"),
		({"fulfill": [{}] * 21}, "/fulfill", "too_long"),
		({"fulfill": {"lines": []}}, "/fulfill/lines", "too_short"),
		({"fulfill": [{}, {"lines": [{}]}]}, "/fulfill/1/lines/0", "one_of"),
		({"invoice": {"due_date": "2026-04-01", "terms": "T"}}, "/invoice", "one_of"),
		({"pay": {}}, "/pay/method", "missing"),
		({"pay": [{"method": "a"}, {"method": "b", "amount": 0}]}, "/pay/1/amount", "not_positive"),
		({"fulfill": [{"external_id": "A"}, {"external_id": "A"}]}, "", "duplicate_id"),
		({"refund": [{"external_id": "A"}, {"external_id": "A"}]}, "", "duplicate_id"),
		({"order": {**NEW, "lines": []}}, "/order/lines", "too_short"),
		({"order": {**NEW, "lines": [{"sku": "S", "quantity": 1}]}}, "/order/lines/0/unit_price", "missing"),
		({"fulfill": {"order": TARGET}}, "/fulfill/order", "unknown_field"),
		({"invoice": {"validate_only": True}}, "/invoice/validate_only", "unknown_field"),
	],
)
def test_a_run_refused(given, where, code):
	assert fault(SalesRun, given) == (where, code)


@pytest.mark.parametrize("parts", [{"carier": "DHL"}, [{"carier": "DHL"}]])
def test_a_misspelt_field_of_a_part_names_the_right_one(parts):
	with pytest.raises(ValidationFailed) as refused:
		validate(SalesRun, body(SalesRun, {"fulfill": parts}))
	assert "carrier" in refused.value.errors[0].message


def test_a_run_of_an_order_that_is_there_and_of_a_new_one():
	assert good(SalesRun).order == Target(external_id="ORD-1")
	assert good(SalesRun, order={"name": "SO-1"}).order == Target(name="SO-1")
	assert isinstance(good(SalesRun, order=NEW).order, Order)


def test_the_parts_of_a_run():
	run = good(SalesRun, fulfill={}, invoice=[{}, {"submit": False}], pay={"method": "card"})
	assert [len(run.parts(kind)) for kind in ("fulfill", "invoice", "pay", "refund")] == [1, 2, 1, 0]
	assert run.parts("invoice")[1].submit is False
	assert run.mode == "atomic"


def test_the_same_id_in_parts_of_different_kinds():
	run = good(SalesRun, fulfill={"external_id": "A"}, invoice={"external_id": "A"})
	assert [run.parts(kind)[0].external_id for kind in ("fulfill", "invoice")] == ["A", "A"]


# -- a changed order -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	("given", "where", "code"),
	[
		({"name": "SO-1"}, "", "one_of"),
		({"external_id": ...}, "", "one_of"),
		({"lines": []}, "/lines", "too_short"),
		({"lines": [{}]}, "/lines/0/external_id", "missing"),
		({"lines": [LINE, LINE]}, "", "duplicate_line"),
		({"lines": [{**LINE, "remove": True, "quantity": 1}]}, "/lines/0", "one_of"),
		({"lines": [{**LINE, "quantity": 0}]}, "/lines/0/quantity", "not_positive"),
		({"lines": [{**LINE, "unit_price": -1}]}, "/lines/0/unit_price", "negative"),
		({"lines": [{**LINE, "discount": {"percent": 5}}]}, "/lines/0", "missing"),
		(
			{"lines": [{**LINE, "unit_price": 1, "discount": {"amount": 2}}]},
			"/lines/0",
			"discount_too_large",
		),
		({"lines": [{**LINE, "unit_price": 1, "discount": {}}]}, "/lines/0/discount", "one_of"),
	],
)
def test_a_change_refused(given, where, code):
	assert fault(OrderUpdate, given) == (where, code)


def test_a_change():
	change = good(
		OrderUpdate, note=None, lines=[{**LINE, "unit_price": 0}, {"external_id": "2", "remove": True}]
	)
	assert change.model_fields_set == {"external_id", "note", "lines"}
	assert (change.lines[0].unit_price, change.lines[1].remove) == (Decimal(0), True)


def test_every_answer_bears_new_members():
	answers = [
		schema
		for name, schema in vars(sales).items()
		if name.endswith(("Answer", "Envelope", "StatusLine", "StatusTotals", "StatusStep"))
		and isinstance(schema, type)
	]
	assert len(answers) > 8
	assert {schema.model_config.get("extra") for schema in answers} == {None}
