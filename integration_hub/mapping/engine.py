"""Field maps: rows of target and source, compiled once, build a new JSON object from a document. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from integration_hub.core.payload import MAX_DEPTH
from integration_hub.mapping.budget import Budget
from integration_hub.mapping.errors import BadExpression, BadValue, MapFault, MapFaults, TooCostly
from integration_hub.mapping.expressions import Expression
from integration_hub.mapping.expressions import compile as compile_expression
from integration_hub.mapping.targets import LIST, Path, read, written
from integration_hub.mapping.transforms import TRANSFORMS, text
from integration_hub.mapping.values import Json, render

MAX_ROWS = 200
MAX_TABLE = 500
# What a document of many wrong lines tells of them.
MAX_FAULTS = 50
# The envelope of an event adds its own.
MAX_RESULT_LEVELS = MAX_DEPTH - 2

FAULT, DEFAULT = "fault", "default"


@dataclass(frozen=True)
class Row:
	"""One line of a field map.

	Args:
		target: where the value goes: names joined by dots, `customer.name`; a name with other signs in double quotes,
			`"first.name"`. A row whose target ends in `[]` makes a list, one object for each element of the list it finds;
			the rows after it whose targets go on from there (`lines[].sku`) look into the element, not into the document.
			Likewise `{}` makes one object of the object it finds, and none when it finds none (`address{}`, `address{}.city`).
		source: the JMESPath expression that finds it; root() is the whole document, also inside a list.
		required: finding nothing is a fault. Otherwise the target is left out.
		default: the value where nothing (or null) is found; neither transformed nor looked up.
		transform: a name in `transforms.TRANSFORMS`.
		table: found values as texts → values to write; looked up after the transform.
		unknown: what a value that is not in the table comes to: "fault", or "default" (the default; without one, nothing).
	"""

	target: str
	source: str
	required: bool = False
	default: Json = None
	transform: str | None = None
	table: Mapping[str, Json] | None = None
	unknown: str = FAULT


@dataclass
class _Run:
	"""One use of a map on one document: what it may still cost, and what went wrong."""

	root: Json
	budget: Budget
	faults: list[MapFault] = field(default_factory=list)

	def failed(self, number: int, target: str, where: str, error: ValueError) -> None:
		self.faults.append(MapFault(number, target, f"{where}: {error}" if where else str(error)))
		if isinstance(error, TooCostly) or len(self.faults) >= MAX_FAULTS:
			raise MapFaults(self.faults)


@dataclass(frozen=True)
class _CompiledRow:
	number: int
	row: Row
	path: Path
	expression: Expression
	# Of a row that makes a list or an object: the rows within it.
	inner: list["_CompiledRow"] = field(default_factory=list)

	@property
	def makes(self) -> str:
		return self.path[-1].kind

	def value(self, document: Json, run: _Run, where: str) -> Json:
		"""Return the value for the target, None when there is none to write.

		Raises:
			BadExpression, BadValue
		"""
		found = self.expression.search(document, run.budget, run.root)
		if self.makes:
			found = self._built(found, run, where)
		elif found is not None:
			found = self._converted(run.budget.copy(found))
		if found is not None:
			return found
		if self.row.required and self.row.default is None:
			raise BadValue(f"{self.row.source} finds nothing, and a value is required.")
		return run.budget.copy(self.row.default)

	def _converted(self, found: Json) -> Json:
		if self.row.transform:
			found = TRANSFORMS[self.row.transform](found)
		if self.row.table is None or found is None:
			return found
		key = text(found)
		if key in self.row.table:
			return self.row.table[key]
		if self.row.unknown == DEFAULT:
			return None
		raise BadValue(f"“{key[:40]}” is not in the table.")

	def _built(self, found: Json, run: _Run, where: str) -> Json:
		if found is None:
			return None
		if self.makes != LIST:
			if not isinstance(found, dict):
				raise BadValue(f"{self.row.source} finds no object.")
			return build(self.inner, found, run, where)
		if not isinstance(found, list):
			raise BadValue(f"{self.row.source} finds no list.")
		before = f"{where}, element" if where else "Element"
		name = self.path[-1].name
		return [
			build(self.inner, each, run, f"{before} {number} of {name}")
			for number, each in enumerate(found, start=1)
		]


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
			MapFaults: every row that fails on this document (50 faults at most), or the result is larger than 256 KiB of
				JSON or deeper than 30 levels.
		"""
		run = _Run(document, budget or Budget())
		result = build(self._rows, document, run, "")
		if run.faults:
			raise MapFaults(run.faults)
		return _checked(result)


def build(rows: Iterable[_CompiledRow], document: Json, run: _Run, where: str) -> dict:
	"""Return the object that rows make of a document, or of a part of it that `where` tells; faults go to the run."""
	run.budget.spend(1)
	result: dict = {}
	for row in rows:
		try:
			_place(result, row.path, row.value(document, run, where))
		except (BadExpression, BadValue) as e:
			run.failed(row.number, row.row.target, where, e)
	return result


def _place(result: dict, path: Path, value: Json) -> None:
	if value is None:
		return
	for step in path[:-1]:
		result = result.setdefault(step.name, {})
	result[path[-1].name] = value


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
			within another, a list or object without its row, an expression that is wrong, an unknown transform, a default or
			table that is no JSON.
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
	return FieldMap(tuple(_nested(compiled)))


def _path(row: Row) -> Path:
	return read(row.target or "")


def _expression(row: Row) -> Expression:
	return compile_expression(row.source or "")


def _refuse_rest(row: Row) -> None:
	if row.transform and row.transform not in TRANSFORMS:
		raise BadValue(f"There is no transform {row.transform}; there are {', '.join(TRANSFORMS)}.")
	render(row.default)
	if (row.target or "").endswith(("[]", "{}")) and (row.transform or row.table or row.default is not None):
		raise BadValue("A row that makes a list or an object takes no transform, table or default.")
	if row.unknown not in (FAULT, DEFAULT):
		raise BadValue(f"What is done with unknown values is {FAULT} or {DEFAULT}.")
	if row.table is not None:
		_refuse_table(row.table)


def _refuse_table(table: Mapping[str, Json]) -> None:
	if not isinstance(table, Mapping) or not 0 < len(table) <= MAX_TABLE:
		raise BadValue(f"A table is an object of 1 to {MAX_TABLE} members.")
	for name, value in table.items():
		if isinstance(value, (dict, list)) or value is None:
			raise BadValue(f"The table has no text, number, true or false for {name[:40]}.")
		render({name: value})


def _clashes(path: Path, number: int, taken: dict[Path, int]) -> list[str]:
	"""Return what is wrong with `path` beside the rows before it; and remember it."""
	clashes = []
	for other, row in taken.items():
		shorter = min(len(path), len(other))
		if path == other:
			clashes.append(f"Row {row} has this target too.")
		elif _names(path[:shorter]) == _names(other[:shorter]) and not _goes_on(path, other):
			clashes.append(
				f"Row {row} has the target {written(other)}: one would lie inside the other's value."
			)
	for length in range(1, len(path)):
		if path[length - 1].kind and path[:length] not in taken:
			clashes.append(f"A row with the target {written(path[:length])} is needed before it.")
	taken.setdefault(path, number)
	return clashes


def _names(path: Path) -> list[str]:
	return [step.name for step in path]


def _goes_on(path: Path, other: Path) -> bool:
	"""Tell whether `path` lies in the list or object that `other` makes."""
	return bool(other[-1].kind) and len(path) > len(other) and path[: len(other)] == other


def _nested(rows: list[_CompiledRow]) -> list[_CompiledRow]:
	"""Return the rows of the document itself, the others each within the row that makes its list or object."""
	makers: dict[Path, _CompiledRow] = {}
	outermost = []
	for row in rows:
		depth = max((at for at in range(1, len(row.path)) if row.path[at - 1].kind), default=0)
		own = _CompiledRow(row.number, row.row, row.path[depth:], row.expression)
		(makers[row.path[:depth]].inner if depth else outermost).append(own)
		if own.makes:
			makers[row.path] = own
	return outermost
