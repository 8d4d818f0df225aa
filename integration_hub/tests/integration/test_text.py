"""HTML, script and control characters in every text of an order. The places are read from the schema: none is missed."""

from typing import Annotated, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

import frappe

from integration_hub.core.validation import pointer
from integration_hub.schemas.orders import OrderCreate
from integration_hub.tests import expect, factories
from integration_hub.tests.factories import CUSTOMER, ITEM, address, placed

SCRIPT = "<script>alert(1)</script>"


def texts(model: type[BaseModel], path: tuple = ()) -> list[tuple]:
	"""Return the path of every text in a schema; lists are entered at 0, dictionaries at "key"."""
	return [
		found
		for name, field in model.model_fields.items()
		for found in _texts(field.annotation, (*path, name))
	]


def _texts(annotation, path: tuple) -> list[tuple]:
	origin, inside = get_origin(annotation), get_args(annotation)
	if isinstance(annotation, type) and issubclass(annotation, BaseModel):
		return texts(annotation, path)
	if annotation is str:
		return [path]
	if origin is Literal:
		return []
	if origin is list:
		return _texts(inside[0], (*path, 0))
	if origin is dict:
		return [(*path, "key")]
	if origin is Annotated:
		return _texts(inside[0], path)
	if origin is Union or type(annotation).__name__ == "UnionType":
		return [found for each in inside for found in _texts(each, path)]
	return []


PATHS = sorted(set(texts(OrderCreate)), key=str)

# A body that has every place a text can stand in.
FULL = {
	"external_id": "X",
	"customer": {"name": CUSTOMER, "contact": {"first_name": "Ann"}},
	"billing_address": address(),
	"shipping_address": address(),
	"lines": [{"item_code": ITEM, "quantity": 1, "unit_price": 10, "custom_fields": {"key": "x"}}],
	"charges": [{"code": "shipping", "amount": 1}],
	"discounts": [{"amount": 1}],
	"taxes": [{"code": "vat", "rate": 1}],
	"payments": [{"method": "Cash", "amount": 1, "fee": {"code": "gateway", "amount": 0}}],
	"quotation": {},
	"tags": ["x"],
	"custom_fields": {"key": "x"},
}


def with_text(path: tuple, text: str) -> dict:
	"""Return the full body with `text` at one place."""

	def put(value, rest):
		if not rest:
			return text
		if isinstance(value, list):
			return [put(value[0] if value else {}, rest[1:])]
		return {**(value or {}), rest[0]: put((value or {}).get(rest[0]), rest[1:])}

	body = put(FULL, path)
	if path[0] != "quotation":
		body.pop("quotation")
	if path[0] == "tax_template":
		body.pop("taxes")
	return body


def test_the_places_are_those_of_the_schema():
	"""The walk finds what it should: if it found nothing, nothing would be tested."""
	assert len(PATHS) >= 55
	for place in (
		("external_id",),
		("note",),
		("tags", 0),
		("customer", "contact", "first_name"),
		("shipping_address", "line2"),
		("lines", 0, "note"),
		("lines", 0, "custom_fields", "key"),
		("payments", 0, "fee", "code"),
		("quotation", "name"),
		("custom_fields", "key"),
	):
		assert place in PATHS


@pytest.mark.parametrize(
	"text",
	[SCRIPT, "<img src=x onerror=alert(1)>", "<b onclick=alert(1)>bold</b>", "a\x07b", "a\u2028b"],
	ids=["script", "img", "bold", "bell", "line separator"],
)
@pytest.mark.parametrize("path", PATHS, ids=pointer)
def test_text_that_would_be_changed_is_refused(path, text, hub):
	with expect.nothing_made():
		answer = hub.post("orders.create", with_text(path, text))
	problem = expect.problem(answer, 422, "validation_failed", [pointer(path)])
	assert problem["errors"][0]["code"] in REFUSALS.get(path[-1], ("text_not_storable",))
	assert SCRIPT not in problem["detail"]


# What has a form of its own is refused for its form.
REFUSALS = {
	"email": ("not_an_email",),
	"phone": ("not_a_phone", "too_long"),
	"currency": ("not_a_currency",),
}

HARMLESS = ["Tom & Jerry", "5 > 3 and 2 < 4", "a < b", "O'Neil \"Bob\"", "&lt;b&gt;", "Ünïcødé 漢字 🎉", "{{ 7*7 }}", "%s %(x)s", "'; DROP TABLE x; --", "javascript:alert(1)"]  # fmt: skip


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_kept_as_it_came(text, hub):
	# Frappe names an address by its title, and takes no angle brackets in names.
	title = "Jane" if "<" in text or ">" in text else text
	answer = placed(
		hub,
		external_id=(external_id := f"{factories.unique('ORD')} {text}"),
		order_number=(number := f"{factories.unique('#')} {text}"),
		note=f"{text}\n{text}",
		lines=[factories.line(external_id=text, name=text, note=text)],
		charges=[{"code": "shipping", "title": text, "amount": 1}],
		taxes=[{"code": "vat", "title": text, "rate": 1}],
		discounts=[{"code": text, "title": text, "amount": 1}],
		shipping_address=address(
			name=title, company=title, line1=text, line2=text, city=text, state=text, postal_code=text
		),
	)
	doc = factories.made_order(answer)
	assert (answer.order["external_id"], doc.hub_external_id) == (external_id, external_id)
	assert (answer.order["order_number"], doc.po_no, doc.hub_order_number) == (number, number, number)
	assert doc.hub_note == f"{text}\n{text}"
	[row] = doc.items
	assert (row.hub_external_id, row.item_name, row.description, row.additional_notes) == (text,) * 4
	assert [row.description for row in doc.taxes] == [text, text]
	assert doc.hub_discounts == f"{text} {text}: 1"
	made = frappe.get_doc("Address", doc.shipping_address_name)
	assert made.address_title == f"{title}, {title}"
	for field in ("address_line1", "address_line2", "city", "state", "pincode"):
		assert made.get(field) == text, field
	assert hub.get("orders.get", external_id=external_id).order == answer.order


@pytest.mark.parametrize("field", ["name", "company"])
def test_angle_brackets_in_the_title_of_an_address_are_refused_with_their_place(field, hub):
	answer = hub.post("orders.create", factories.order(shipping_address=address(**{field: "a < b"})))
	expect.problem(answer, 422, "validation_failed", [f"/shipping_address/{field}"])
