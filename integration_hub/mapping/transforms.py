"""What a row of a field map may do to the value it found: a closed set, each a function of one value. Pure.

A transform takes a JSON value other than null, returns one (null: nothing is found after all), and raises BadValue with a
sentence when the value does not fit. To add one, write the function and its line in TRANSFORMS; the Desk's list is checked
against it.

There is none that splits a full name, or a street from its number: both take a guess ("Ludwig van Beethoven", "Straße des
17. Juni 135"), and what this app takes holds them in one piece.
"""

import html
import re
from collections.abc import Callable
from datetime import datetime as DateTime
from datetime import timedelta, timezone
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation
from html.entities import html5

from integration_hub.mapping.errors import BadValue
from integration_hub.mapping.values import MAX_DIGITS, Json, exact, is_number, number_of, plain, render

MAX_DECIMALS = 9
MAX_PHONE = 20

_TIME = re.compile(
	r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?",
	re.ASCII,
)
_TRUE = {"true", "yes", "1", "on"}
_FALSE = {"false", "no", "0", "off"}
_MONEY = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
# With the semicolon only: without it "R&regular" would lose its name.
_ENTITY = re.compile(r"&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});", re.ASCII)
_PHONE = re.compile(r"[0-9 +_\-,.*#()]+")
_PHONE_SIGNS = str.maketrans({"/": " ", "\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2014": "-"})
# Wide enough for all that fits; what does not is refused, never rounded.
_EXACTLY = Context(prec=400, traps=[Inexact, InvalidOperation, DivisionByZero])
_EPOCH = DateTime(1970, 1, 1, tzinfo=timezone.utc)


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
		raise BadValue(f"Takes a list, and got {kind_of(value)}.")
	return ", ".join(text(each) for each in value)


def money(value: Json) -> Decimal:
	"""An amount, every digit kept: "12.50" → 12.50. Signs for thousands ("1,250.00") are refused."""
	written = plain(value) if is_number(value) else _text(value)
	if len(written) > MAX_DIGITS or not _MONEY.fullmatch(written):
		raise BadValue(
			f"“{written[:40]}” is no amount. Amounts are written 1250 or 12.50, without signs for thousands."
		)
	return Decimal(written)


def sum_(value: Json) -> Decimal:
	"""A list of amounts added up: ["1.10", 2] → 3.10. Of an empty list, 0."""
	total = Decimal(0)
	for amount in _amounts(value):
		total = _EXACTLY.add(total, amount)
	return total


def difference(value: Json) -> Decimal:
	"""The first of a list of amounts less all others: ["5.00", 1, 2] → 2.00."""
	amounts = _amounts(value, at_least=1)
	return _EXACTLY.subtract(amounts[0], sum_(amounts[1:]))


def product(value: Json) -> Decimal:
	"""A list of amounts multiplied: ["0.06", 100] → 6.00."""
	total = Decimal(1)
	try:
		for amount in _amounts(value, at_least=1):
			total = _EXACTLY.multiply(total, amount)
	except Inexact as e:
		raise BadValue("The product has too many digits.") from e
	return total


def quotient(value: Json) -> Decimal:
	"""The first of two amounts divided by the second, when it comes out even: ["10.00", 4] → 2.50; ["10.00", 3] is refused."""
	amounts = _amounts(value, at_least=2)
	if len(amounts) > 2:
		raise BadValue(f"Takes two numbers, and got {len(amounts)}.")
	try:
		result = _EXACTLY.divide(*amounts)
	except (Inexact, InvalidOperation, DivisionByZero):
		result = None
	if result is None or -result.as_tuple().exponent > MAX_DECIMALS:
		raise BadValue(
			f"{plain(amounts[0])} divided by {plain(amounts[1])} does not come out even; nothing is rounded."
		)
	return result


def single(value: Json) -> Json:
	"""The one value of a list whose values are all the same; several different ones are refused, none is nothing."""
	if not isinstance(value, list):
		return value
	different = list(dict.fromkeys(render(each).decode() for each in value))
	if len(different) > 1:
		named = ", ".join(each[:40] for each in different[:5])
		raise BadValue(f"Takes one value, and got {len(different)} different ones: {named}.")
	return value[0] if value else None


def line(value: Json) -> str | None:
	"""One line of text: line breaks, tabs and runs of blanks become one blank. A blank text is nothing."""
	return " ".join(text(value).split()) or None


def unescape(value: Json) -> str | None:
	"""One line of text with its HTML entities as the signs they stand for: "Black &ndash; M" → "Black – M"."""
	return line(_ENTITY.sub(_entity, text(value)))


def phone(value: Json) -> str | None:
	"""A phone number as ERPNext takes it: "030/123 456" → "030 123 456". One without any digit is nothing."""
	number = line(text(value).translate(_PHONE_SIGNS))
	if not number or not any(sign.isdigit() for sign in number):
		return None
	if not _PHONE.fullmatch(number):
		raise BadValue(f"“{number[:40]}” is no phone number: digits, blanks and + - . , ( ) / make one.")
	return number if len(number) <= MAX_PHONE else number.replace(" ", "")


def utc(value: Json) -> str:
	"""A time in UTC: of an ISO 8601 time, which without offset is taken for UTC; or of seconds since 1970."""
	try:
		if is_number(value):
			moment = _EPOCH + timedelta(microseconds=int(exact(value) * 1_000_000))
		else:
			moment = _time(value)
			moment = moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
	except (OverflowError, ArithmeticError) as e:
		raise BadValue("The time is out of range.") from e
	return moment.isoformat()


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
	"money": money,
	"sum": sum_,
	"difference": difference,
	"product": product,
	"quotient": quotient,
	"single": single,
	"line": line,
	"unescape": unescape,
	"phone": phone,
	"utc": utc,
}


def _amounts(value: Json, at_least: int = 0) -> list[Decimal]:
	"""Return a list of amounts; a list within it counts as their sum."""
	if not isinstance(value, list):
		raise BadValue(f"Takes a list of numbers, and got {kind_of(value)}.")
	if len(value) < at_least:
		raise BadValue(f"Takes {at_least} numbers at least, and got {len(value)}.")
	return [sum_(each) if isinstance(each, list) else money(each) for each in value]


def _entity(found: re.Match) -> str:
	return html.unescape(found[0]) if found[1].startswith("#") else html5.get(found[1] + ";", found[0])


def _text(value: Json) -> str:
	if not isinstance(value, str):
		raise BadValue(f"Takes text, and got {kind_of(value)}.")
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


def kind_of(value: Json) -> str:
	"""Say what a value is, for people."""
	if value is None:
		return "null"
	if isinstance(value, bool):
		return "true or false"
	return "a number" if is_number(value) else {str: "text", list: "a list", dict: "an object"}[type(value)]
