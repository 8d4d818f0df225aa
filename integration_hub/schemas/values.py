"""Value types of requests: money, quantities, texts, ids, times. What Frappe would change when storing is refused.

Bounds follow MariaDB's decimal(21,9): twelve digits before the point, nine after.
"""

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from frappe.utils.html_utils import sanitize_html

MAX_AMOUNT = Decimal("999999999999.999999999")
MAX_DECIMALS = 9
EARLIEST, LATEST = date(1970, 1, 1), date(2999, 12, 31)

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


class Model(BaseModel):
	"""Base of every schema: unknown fields are refused, texts are kept as they come."""

	model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


class AnswerModel(BaseModel):
	"""Base of every answer: clients must bear members that a later release adds."""

	model_config = ConfigDict(frozen=True)


class WriteModel(Model):
	"""Base of the body of every write."""

	validate_only: bool = Field(False, description="Run everything, answer, and roll back: nothing is kept.")


def _decimal(value: Any) -> Decimal:
	if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
		raise PydanticCustomError("not_a_number", "Send a JSON number or a decimal string")
	if isinstance(value, str) and not _NUMBER.fullmatch(value):
		raise PydanticCustomError("not_a_number", "Send a JSON number or a decimal string such as 12.50")
	try:
		number = Decimal(str(value))
	except InvalidOperation as e:
		raise PydanticCustomError("not_a_number", "Send a JSON number or a decimal string") from e
	if not number.is_finite():
		raise PydanticCustomError("not_a_number", "Send a finite number")
	if abs(number.adjusted()) > 30 and number:
		raise PydanticCustomError(
			"out_of_range", "The number is out of range (at most twelve digits before the point)"
		)
	if abs(number) > MAX_AMOUNT:
		raise PydanticCustomError(
			"out_of_range", "The number is out of range (at most twelve digits before the point)"
		)
	if _decimals(number) > MAX_DECIMALS:
		raise PydanticCustomError(
			"too_many_decimals", "At most nine decimals can be kept; nothing is rounded away"
		)
	return number


def _decimals(number: Decimal) -> int:
	"""Count the decimals, trailing zeros aside; `normalize` would round to 28 digits first."""
	return len(format(number, "f").partition(".")[2].rstrip("0"))


def _positive(number: Decimal) -> Decimal:
	if number <= 0:
		raise PydanticCustomError("not_positive", "Must be greater than 0")
	return number


def _not_negative(number: Decimal) -> Decimal:
	if number < 0:
		raise PydanticCustomError("negative", "Must not be negative")
	return number


def storable(text: str) -> str:
	"""Refuse text that Frappe would change when storing it: HTML and control characters."""
	if _CONTROL.search(text):
		raise PydanticCustomError("text_not_storable", "Control characters cannot be stored; remove them")
	if "<" in text and sanitize_html(text) != text:
		raise PydanticCustomError("text_not_storable", "HTML cannot be stored unchanged; send plain text")
	return text


def _one_line(text: str) -> str:
	if "\n" in text or "\r" in text or "\t" in text:
		raise PydanticCustomError(
			"text_not_storable", "Line breaks and tabs cannot be stored here; send one line"
		)
	return storable(text)


def _name(text: str) -> str:
	text = _one_line(text)
	if not text.strip():
		raise PydanticCustomError("blank", "Must not be blank")
	if text != text.strip():
		raise PydanticCustomError("text_not_storable", "Remove the spaces at the beginning or end")
	return text


def _identifier(text: str) -> str:
	if _CONTROL.search(text) or "\n" in text or "\r" in text or "\t" in text:
		raise PydanticCustomError("text_not_storable", "An id takes no control characters")
	if "<" in text and sanitize_html(text) != text:
		raise PydanticCustomError("text_not_storable", "An id takes no HTML")
	if not text.strip():
		raise PydanticCustomError("blank", "An id must not be blank")
	return text


def _tag(text: str) -> str:
	if "," in text:
		raise PydanticCustomError("text_not_storable", "A tag takes no comma")
	return _name(text)


def _time(value: Any) -> Any:
	if not isinstance(value, str):
		raise PydanticCustomError("not_a_time", "Send an ISO 8601 time such as 2026-03-01T12:30:00+01:00")
	try:
		return datetime.fromisoformat(value.replace("Z", "+00:00") if value.endswith("Z") else value)
	except ValueError as e:
		raise PydanticCustomError(
			"not_a_time", "Send an ISO 8601 time such as 2026-03-01T12:30:00+01:00"
		) from e


def _in_range(value: datetime) -> datetime:
	if not EARLIEST <= value.date() <= LATEST:
		raise PydanticCustomError("date_out_of_range", "Dates go from 1970-01-01 to 2999-12-31")
	return value


def _email(text: str) -> str:
	if not re.fullmatch(r"[^@\s<>\"',;()]+@[^@\s<>\"',;()]+\.[^@\s<>\"',;().]{2,}", text):
		raise PydanticCustomError("not_an_email", "Send one e-mail address such as jane@example.com")
	return text


def _currency(text: str) -> str:
	if not re.fullmatch(r"[A-Z]{3}", text):
		raise PydanticCustomError(
			"not_a_currency", "Send a currency code of three capital letters, such as USD"
		)
	return text


def _phone(text: str) -> str:
	# What frappe.utils.validate_phone_number lets through.
	if not re.fullmatch(r"([0-9 +_\-,.*#()]){1,20}", text) or len(re.findall(r"[0-9]", text)) < 3:
		raise PydanticCustomError(
			"not_a_phone", "Send a phone number: digits, spaces and + - . ( ), 20 at most"
		)
	return text


def _scalar(value: Any) -> Any:
	if isinstance(value, (dict, list)):
		raise PydanticCustomError("not_a_scalar", "Send text, a number, true, false or null")
	return storable(value) if isinstance(value, str) else value


Number = Annotated[Decimal, BeforeValidator(_decimal, json_schema_input_type=float | str)]
Quantity = Annotated[Number, AfterValidator(_positive)]
Amount = Annotated[Number, AfterValidator(_not_negative)]
SignedAmount = Number
Percent = Annotated[Amount, Field(le=100)]

ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=140), AfterValidator(_identifier)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=140), AfterValidator(_name)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=140), AfterValidator(_tag)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=140), AfterValidator(_identifier)]
Line = Annotated[str, StringConstraints(max_length=140), AfterValidator(_one_line)]
Text = Annotated[str, StringConstraints(max_length=5_000), AfterValidator(storable)]
Email = Annotated[str, StringConstraints(max_length=140), AfterValidator(_email)]
Phone = Annotated[str, StringConstraints(max_length=20), AfterValidator(_phone)]
Currency = Annotated[str, AfterValidator(_currency), Field(json_schema_extra={"pattern": "^[A-Z]{3}$"})]
Time = Annotated[
	datetime,
	BeforeValidator(_time, json_schema_input_type=str),
	AfterValidator(_in_range),
	Field(description="ISO 8601; without an offset: the site's time zone"),
]
Scalar = Annotated[
	Any, BeforeValidator(_scalar), Field(json_schema_extra={"type": ["string", "number", "boolean", "null"]})
]
