"""JSON values with exact numbers: what was written 12.10 is still 12.10 at the end. Pure."""

import json
import math
import re
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring
from typing import TypeAlias

from integration_hub.core.payload import MAX_DEPTH
from integration_hub.mapping.errors import BadValue

Json: TypeAlias = bool | int | float | Decimal | str | list | dict | None

MAX_BYTES = 256 * 1024
MAX_DIGITS = 100
# What a double holds, about: receivers cannot read larger ones.
MAX_MAGNITUDE = 308

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)


def is_number(value: Json) -> bool:
	"""Tell numbers from everything else; true and false are none."""
	return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def exact(number: int | float | Decimal) -> Decimal:
	"""Return the decimal number a float stands for: 0.1, not the binary fraction beside it."""
	return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def plain(number: int | float | Decimal) -> str:
	"""Return the digits of a number without an exponent: 1e3 is 1000, 0.10 keeps its zero."""
	return format(exact(number), "f")


def number_of(text: str) -> int | Decimal:
	"""Return the number a decimal text stands for, every digit kept.

	Raises:
		BadValue: it is none, or longer than 100 characters.
	"""
	if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text):
		raise BadValue(f"“{text[:40]}” is no number. Numbers are written 1250 or 12.50.")
	return Decimal(text) if set(text) & set(".eE") else int(text)


def parse(text: str) -> Json:
	"""Parse JSON; numbers with a fraction or an exponent come as Decimal.

	Raises:
		BadValue: what is not JSON, and where.
	"""
	try:
		return json.loads(text, parse_float=_fraction, parse_int=_integer, parse_constant=_refuse_constant)
	except json.JSONDecodeError as e:
		raise BadValue(f"This is not JSON: {e.msg} (line {e.lineno}, column {e.colno}).") from e
	except RecursionError as e:
		raise BadValue(f"This is nested deeper than {MAX_DEPTH} levels.") from e


def _fraction(text: str) -> Decimal:
	try:
		number = Decimal(text)
	except InvalidOperation:
		number = Decimal("Infinity")
	if not number.is_finite() or abs(number.adjusted()) > MAX_MAGNITUDE:
		raise BadValue(f"The number {text[:40]} is out of range.")
	return number


def _integer(text: str) -> int:
	if len(text) > MAX_MAGNITUDE:
		raise BadValue(f"The number {text[:40]} is out of range.")
	return int(text)


def _refuse_constant(name: str):
	raise BadValue(f"{name} is no JSON number.")


def render(value: Json, limit: int = MAX_BYTES, levels: int = MAX_DEPTH) -> bytes:
	"""Return `value` as JSON in UTF-8, without spaces, Decimals as exact numbers.

	Raises:
		BadValue: it has more than `limit` bytes or `levels` levels, or something in it is no JSON.
	"""
	writer = _Writer(limit, levels)
	writer.write(value, 1)
	return "".join(writer.pieces).encode()


class _Writer:
	"""Collects pieces and stops at the limit, before a value that repeats itself fills the memory."""

	def __init__(self, limit: int, levels: int):
		self.pieces: list[str] = []
		self.levels = levels
		self.limit = self.left = limit

	def write(self, value: Json, depth: int) -> None:
		if isinstance(value, (dict, list)):
			if depth > self.levels:
				raise BadValue(f"This is nested deeper than {self.levels} levels.")
			(self._object if isinstance(value, dict) else self._list)(value, depth)
		else:
			self._add(scalar(value))

	def _list(self, values: list, depth: int) -> None:
		self._add("[")
		for place, value in enumerate(values):
			if place:
				self._add(",")
			self.write(value, depth + 1)
		self._add("]")

	def _object(self, members: dict, depth: int) -> None:
		self._add("{")
		for place, (name, value) in enumerate(members.items()):
			self._add(("," if place else "") + _text(name) + ":")
			self.write(value, depth + 1)
		self._add("}")

	def _add(self, piece: str) -> None:
		self.left -= len(piece) if piece.isascii() else len(piece.encode())
		if self.left < 0:
			raise BadValue(f"This has more than {self.limit // 1024} KiB.")
		self.pieces.append(piece)


def scalar(value: Json) -> str:
	"""Return the JSON text of one text, number, true, false or null.

	Raises:
		BadValue: it is nothing of the kind.
	"""
	if isinstance(value, str):
		return _text(value)
	if value is None or isinstance(value, bool):
		return {None: "null", True: "true", False: "false"}[value]
	if isinstance(value, int):
		return int.__repr__(value)
	if isinstance(value, (float, Decimal)):
		if not math.isfinite(value):
			raise BadValue(f"{value} is no JSON number.")
		return float.__repr__(value) if isinstance(value, float) else str(value)
	raise BadValue(f"A value of the kind {type(value).__name__} is no JSON.")


def _text(text: str) -> str:
	try:
		text.encode()
	except UnicodeEncodeError as e:
		raise BadValue("This holds half a surrogate pair, which is no character.") from e
	return encode_basestring(text)
