"""Field maps: rows of target and source, compiled once, build a new JSON object from a document. Pure."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from integration_hub.core.payload import MAX_DEPTH
from integration_hub.mapping.budget import Budget
from integration_hub.mapping.errors import BadExpression, BadValue, MapFault, MapFaults, TooCostly
from integration_hub.mapping.expressions import Expression
from integration_hub.mapping.expressions import compile as compile_expression
from integration_hub.mapping.transforms import TRANSFORMS
from integration_hub.mapping.values import Json, render

MAX_ROWS = 200
MAX_LEVELS = 10
MAX_NAME = 140
# The envelope of an event adds its own.
MAX_RESULT_LEVELS = MAX_DEPTH - 2

_NAME = re.compile(r'([^\W\d][\w-]*)|("(?:[^"\\]|\\.)+")')
# They change the object itself, not a member of it, in a receiver that is careless in JavaScript.
_RESERVED = {"__proto__", "constructor", "prototype"}


@dataclass(frozen=True)
class Row:
	"""One line of a field map.

	Args:
		target: where the value goes: names joined by dots, `customer.name`; a name with other signs in double quotes,
			`"first.name"`.
		source: the JMESPath expression that finds it.
		required: finding nothing is a fault. Otherwise the target is left out.
		default: the value where nothing (or null) is found; it is not transformed.
		transform: a name in `transforms.TRANSFORMS`.
	"""

	target: str
	source: str
	required: bool = False
	default: Json = None
	transform: str | None = None


@dataclass(frozen=True)
class _CompiledRow:
	number: int
	row: Row
	path: tuple[str, ...]
	expression: Expression

	def value(self, document: Json, budget: Budget) -> Json:
		"""Return the value for the target, None when there is none to write.

		Raises:
			BadExpression, BadValue
		"""
		found = self.expression.search(document, budget)
		if found is None:
			if self.row.required and self.row.default is None:
				raise BadValue(f"{self.row.source} finds nothing, and a value is required.")
			return budget.copy(self.row.default)
		found = budget.copy(found)
		return TRANSFORMS[self.row.transform](found) if self.row.transform else found

	def fault(self, error: ValueError) -> MapFault:
		return MapFault(self.number, self.row.target, str(error))


@dataclass(frozen=True)
class FieldMap:
	"""A compiled field map. Make one with `compile_map`."""

	_rows: tuple[_CompiledRow, ...]

	def apply(self, document: Json, budget: Budget | None = None) -> dict:
		"""Return the new object; it shares nothing with `document`.

		Numbers come out as they went in (a Decimal as a Decimal: write the result with `values.render`). All rows
		together spend one budget (`budget.STEPS`, a quarter of a second at worst); five rows on an order of 20 lines
		take 0.4 ms.

		Raises:
			MapFaults: every row that fails on this document, or the result is larger than 256 KiB of JSON or deeper than
				30 levels.
		"""
		budget, result, faults = budget or Budget(), {}, []
		for row in self._rows:
			try:
				_place(result, row.path, row.value(document, budget))
			except TooCostly as e:
				faults.append(row.fault(e))
				break
			except (BadExpression, BadValue) as e:
				faults.append(row.fault(e))
		if faults:
			raise MapFaults(faults)
		return _checked(result)


def _place(result: dict, path: tuple[str, ...], value: Json) -> None:
	if value is None:
		return
	for name in path[:-1]:
		result = result.setdefault(name, {})
	result[path[-1]] = value


def _checked(result: dict) -> dict:
	try:
		render(result, levels=MAX_RESULT_LEVELS)
	except BadValue as e:
		raise MapFaults([MapFault(0, "", f"The result cannot be sent. {e}")]) from e
	return result


def compile_map(rows: Iterable[Row]) -> FieldMap:
	"""Return a field map ready for use.

	Raises:
		MapFaults: every fault of every row: no or too many rows, a target that is malformed, reserved, there twice or
			within another, an expression that is wrong, an unknown transform, a default that is no JSON.
	"""
	rows = list(rows)
	if not 0 < len(rows) <= MAX_ROWS:
		raise MapFaults([MapFault(0, "", f"A field map has 1 to {MAX_ROWS} rows; this one has {len(rows)}.")])
	compiled, faults, taken = [], [], {}
	for number, row in enumerate(rows, start=1):
		results = {}
		for part, check in (("path", _path), ("expression", _expression), ("", _refuse_rest)):
			try:
				results[part] = check(row)
			except ValueError as e:
				faults.append(MapFault(number, row.target, str(e)))
		if "path" in results:
			faults += [
				MapFault(number, row.target, clash) for clash in _clashes(results["path"], number, taken)
			]
		if {"path", "expression"} <= set(results):
			compiled.append(_CompiledRow(number, row, results["path"], results["expression"]))
	if faults:
		raise MapFaults(faults)
	return FieldMap(tuple(compiled))


def _expression(row: Row) -> Expression:
	return compile_expression(row.source or "")


def _refuse_rest(row: Row) -> None:
	if row.transform and row.transform not in TRANSFORMS:
		raise BadValue(f"There is no transform {row.transform}; there are {', '.join(TRANSFORMS)}.")
	render(row.default)


def _clashes(path: tuple[str, ...], number: int, taken: dict[tuple[str, ...], int]) -> list[str]:
	"""Return what is wrong with `path` beside the rows before it; and remember it."""
	clashes = []
	for other, row in taken.items():
		shorter = min(len(path), len(other))
		if path == other:
			clashes.append(f"Row {row} has this target too.")
		elif path[:shorter] == other[:shorter]:
			clashes.append(
				f"Row {row} has the target {'.'.join(other)}: one would lie inside the other's value."
			)
	taken.setdefault(path, number)
	return clashes


def _path(row: Row) -> tuple[str, ...]:
	"""Split a target into its names."""
	target, names, at = row.target or "", [], 0
	while True:
		found = _NAME.match(target, at)
		if not found:
			raise BadValue(
				f"At character {at + 1} of the target a name is expected: letters, digits, _ and -, or any text"
				" in double quotes; names are joined by dots."
			)
		names.append(_name(found))
		at = found.end()
		if at == len(target):
			break
		if target[at] != ".":
			raise BadValue(f"At character {at + 1} of the target a dot or its end is expected.")
		at += 1
	if len(names) > MAX_LEVELS:
		raise BadValue(f"A target has {MAX_LEVELS} names at most; this one has {len(names)}.")
	return tuple(names)


def _name(found: re.Match) -> str:
	try:
		name = json.loads(found[2]) if found[2] else found[1]
	except ValueError as e:
		raise BadValue(
			f'{found[2][:40]} is no JSON text; write \\" for a quote and \\\\ for a backslash.'
		) from e
	if name in _RESERVED:
		raise BadValue(f"The name {name} is reserved.")
	if len(name) > MAX_NAME:
		raise BadValue(f"A name has {MAX_NAME} characters at most.")
	render(name)
	return name
