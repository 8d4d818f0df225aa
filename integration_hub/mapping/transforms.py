"""What a row of a field map may do to the value it found: a closed set, each a function of one value. Pure.

A transform takes a JSON value other than null, returns one, and raises BadValue with a sentence when the value does not fit.
To add one, write the function and its line in TRANSFORMS; the Desk's list is checked against it.
"""

import re
from collections.abc import Callable
from datetime import datetime as DateTime

from integration_hub.mapping.errors import BadValue
from integration_hub.mapping.values import Json, is_number, number_of, plain

_TIME = re.compile(
	r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?",
	re.ASCII,
)
_TRUE = {"true", "yes", "1", "on"}
_FALSE = {"false", "no", "0", "off"}


def text(value: Json) -> str:
	"""A number, true or false as text: 12.50 → "12.50", 1e3 → "1000". Text stays."""
	if isinstance(value, bool):
		return "true" if value else "false"
	if is_number(value):
		return plain(value)
	return _text(value)


def number(value: Json) -> Json:
	"""A decimal text as a number, every digit kept: "12.50" → 12.50. Numbers stay."""
	return value if is_number(value) else number_of(_text(value))


def boolean(value: Json) -> bool:
	"""True from true, yes, on, 1; false from false, no, off, 0; in any case, as text or number."""
	word = text(value).strip().lower()
	if word not in _TRUE | _FALSE:
		raise BadValue(f"“{word[:40]}” is neither true, yes, on, 1 nor false, no, off, 0.")
	return word in _TRUE


def upper(value: Json) -> str:
	"""Text in capital letters."""
	return _text(value).upper()


def lower(value: Json) -> str:
	"""Text in small letters."""
	return _text(value).lower()


def trim(value: Json) -> str:
	"""Text without the blanks and line breaks around it."""
	return _text(value).strip()


def date(value: Json) -> str:
	"""The day of an ISO 8601 date or time as it is written there: "2026-03-01T23:30:00-05:00" → "2026-03-01"."""
	return _time(value).date().isoformat()


def datetime(value: Json) -> str:
	"""An ISO 8601 time: "2026-03-01 12:30" → "2026-03-01T12:30:00". An offset stays, Z becomes +00:00; none is added."""
	return _time(value).isoformat()


def join(value: Json) -> str:
	"""A list of texts and numbers as one text: ["a", 2] → "a, 2"."""
	if not isinstance(value, list):
		raise BadValue(f"Takes a list, and got {_kind(value)}.")
	return ", ".join(text(each) for each in value)


TRANSFORMS: dict[str, Callable[[Json], Json]] = {
	"text": text,
	"number": number,
	"boolean": boolean,
	"upper": upper,
	"lower": lower,
	"trim": trim,
	"date": date,
	"datetime": datetime,
	"join": join,
}


def _text(value: Json) -> str:
	if not isinstance(value, str):
		raise BadValue(f"Takes text, and got {_kind(value)}.")
	return value


def _time(value: Json) -> DateTime:
	"""Read a time the same way on every Python; 3.10's `fromisoformat` knows neither Z nor short fractions."""
	found = _TIME.fullmatch(_text(value))
	try:
		day, minute, second, fraction, offset = found.groups()
		written = f"{day}T{minute or '00:00'}:{second or '00'}.{(fraction or '0')[:6]:0<6}{_offset(offset)}"
		return DateTime.fromisoformat(written)
	except (AttributeError, ValueError) as e:
		raise BadValue(
			f"“{value[:40]}” is no ISO 8601 date or time, such as 2026-03-01 or 2026-03-01T12:30:00+01:00."
		) from e


def _offset(written: str | None) -> str:
	if written in (None, "Z"):
		return "+00:00" if written else ""
	digits = written[1:].replace(":", "")
	return f"{written[0]}{digits[:2]}:{digits[2:] or '00'}"


def _kind(value: Json) -> str:
	if value is None:
		return "null"
	if isinstance(value, bool):
		return "true or false"
	return "a number" if is_number(value) else {str: "text", list: "a list", dict: "an object"}[type(value)]
