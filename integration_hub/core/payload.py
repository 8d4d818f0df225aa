"""Bytes of a request body → JSON object, and its fingerprint. Pure; no guess, no repair."""

import hashlib
import json
from collections import Counter
from decimal import Decimal, InvalidOperation

from integration_hub.exceptions import MalformedJson

MAX_DEPTH = 32
# What a double holds; Frappe 16 refuses a larger number before we see it.
MAX_NUMBER = Decimal("1.7976931348623157e308")


def parse(raw: bytes) -> dict:
	"""Parse a body strictly: UTF-8, one JSON object, no NaN, no NUL, no duplicate names, at most 32 levels.

	Numbers with a fraction or exponent come as `Decimal`, so that 0.1 stays 0.1.

	Raises:
		MalformedJson: saying which of these it is.
	"""
	if not raw.strip():
		raise MalformedJson("The body is empty; send a JSON object.")
	try:
		text = raw.decode("utf-8")
	except UnicodeDecodeError as e:
		raise MalformedJson(f"The body is not UTF-8 (byte {e.start}).") from e
	try:
		value = json.loads(
			text,
			parse_float=_decimal,
			parse_int=_integer,
			parse_constant=_refuse_constant,
			object_pairs_hook=_object,
		)
	except RecursionError as e:
		raise MalformedJson(f"The body is nested deeper than {MAX_DEPTH} levels.") from e
	except json.JSONDecodeError as e:
		raise MalformedJson(f"The body is not JSON: {e.msg} at line {e.lineno}, column {e.colno}.") from e
	except ValueError as e:
		raise MalformedJson(f"The body is not JSON: {e}") from e
	if not isinstance(value, dict):
		raise MalformedJson("The body must be a JSON object: { … }.")
	_check(value)
	return value


def _decimal(text: str) -> Decimal:
	try:
		value = Decimal(text)
	except InvalidOperation:
		value = None
	if value is None or abs(value.adjusted()) > 400 or abs(value) > MAX_NUMBER:
		raise ValueError(f"the number {text[:40]} is out of range.")
	return value


def _integer(text: str) -> int:
	if len(text) > 308:
		raise ValueError(f"the number {text[:40]} is out of range.")
	return int(text)


def _refuse_constant(name: str):
	raise ValueError(f"{name} is not a JSON number.")


def _object(pairs: list[tuple]) -> dict:
	result = dict(pairs)
	if len(result) != len(pairs):
		twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
		raise ValueError(f"the name {twice[:60]!r} stands twice in one object.")
	return result


def _check(value) -> None:
	"""Walk without recursion: depth, NUL and lone surrogates."""
	pending = [(value, 1)]
	while pending:
		node, depth = pending.pop()
		if isinstance(node, str):
			_check_text(node)
		elif isinstance(node, (dict, list)):
			if depth > MAX_DEPTH:
				raise MalformedJson(f"The body is nested deeper than {MAX_DEPTH} levels.")
			children = [*node, *node.values()] if isinstance(node, dict) else node
			pending.extend((child, depth + 1) for child in children)


def _check_text(text: str) -> None:
	if "\x00" in text:
		raise MalformedJson("The body holds a NUL character; remove it.")
	try:
		text.encode("utf-8")
	except UnicodeEncodeError as e:
		raise MalformedJson("The body holds half a surrogate pair, which is no character.") from e


def dump(value) -> str:
	"""Return what `parse` read as JSON again, each number with the digits it came with."""
	if isinstance(value, dict):
		return "{" + ", ".join(f"{dump(name)}: {dump(each)}" for name, each in value.items()) + "}"
	if isinstance(value, list):
		return "[" + ", ".join(dump(each) for each in value) + "]"
	return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def canonical(value) -> str:
	"""Canonical JSON: sorted names, no spaces, numbers by value (1, 1.0 and 1.00 are one)."""
	return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_number)


def _number(value):
	if isinstance(value, Decimal):
		return int(value) if value == value.to_integral_value() and abs(value) < 10**30 else _normal(value)
	raise TypeError(f"{type(value)} is no JSON value")


def _normal(value: Decimal) -> dict:
	# A one-member object cannot be mistaken for a number or a string of the payload.
	return {"\x00decimal": str(value.normalize())}


def fingerprint(body: dict, operation: str, version: str = "v1") -> str:
	"""Return the sha256 (hex) of the canonical body with operation and version: what "the same payload" means."""
	return digest([version, operation, canonical(body)])


def digest(parts: list) -> str:
	"""Return the sha256 (hex) over a JSON array of parts, so that no two lists of parts collide."""
	return hashlib.sha256(json.dumps(parts, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()
