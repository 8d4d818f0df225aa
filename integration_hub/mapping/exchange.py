"""Field maps as JSON files: what the Desk exports and imports, and what presets hold. Pure.

	{"format": "integration-hub/field-map", "format_version": 1, "title", "description", "direction": "In" | "Out",
	 "version": 1, "rows": [{"target", "source", "required", "default", "transform", "table", "unknown"}]}

Of a row, target and source are needed; what is left out is as in `engine.Row`.
"""

from dataclasses import MISSING, dataclass, fields

from integration_hub.core.payload import parse
from integration_hub.exceptions import MalformedJson
from integration_hub.mapping.engine import FieldMap, Row, compile_map
from integration_hub.mapping.errors import MapFault, MapFaults
from integration_hub.mapping.transforms import kind_of
from integration_hub.mapping.values import Json, is_number, render

FORMAT, FORMAT_VERSION = "integration-hub/field-map", 1
DIRECTIONS = ("In", "Out")
MAX_BYTES = 1024 * 1024
MAX_TITLE = 140

_HEAD = ("format", "format_version", "title", "description", "direction", "version", "rows")
_ROW = {each.name: each.default for each in fields(Row)}
_TEXTS = ("target", "source", "transform", "unknown")


@dataclass(frozen=True)
class MapFile:
	"""A field map as it is exchanged; `version` counts what people made of it."""

	title: str
	rows: tuple[Row, ...]
	direction: str = "In"
	description: str = ""
	version: int = 1

	def compiled(self) -> FieldMap:
		"""Return the map ready for use.

		Raises:
			MapFaults: every fault of every row.
		"""
		return compile_map(self.rows)


def read(content: bytes) -> MapFile:
	"""Read an exported field map; whether its rows work, `MapFile.compiled` tells.

	Raises:
		MapFaults: every fault, by row: no JSON, another format, members that are unknown, missing or of the wrong kind.
	"""
	try:
		if len(content) > MAX_BYTES:
			raise MalformedJson(f"A field map has {MAX_BYTES // 1024} KiB at most.")
		document = parse(content)
	except MalformedJson as e:
		raise MapFaults([MapFault(0, "", str(e))]) from e
	faults = [MapFault(0, "", sentence) for sentence in _faults_of_head(document)]
	rows = document.get("rows")
	for number, row in enumerate(rows if isinstance(rows, list) else [], start=1):
		target = row.get("target") if isinstance(row, dict) else None
		named = target if isinstance(target, str) else ""
		faults += [MapFault(number, named, sentence) for sentence in _faults_of_row(row)]
	if faults:
		raise MapFaults(faults)
	return MapFile(
		title=document["title"],
		rows=tuple(Row(**row) for row in rows),
		direction=document["direction"],
		description=document.get("description", ""),
		version=document.get("version", 1),
	)


def write(exported: MapFile) -> bytes:
	"""Return a field map as JSON, a row a line; `read` returns an equal one.

	Raises:
		BadValue: a default or table holds what is no JSON.
	"""
	head = {"format": FORMAT, "format_version": FORMAT_VERSION}
	head |= {name: getattr(exported, name) for name in ("title", "description", "direction", "version")}
	lines = [f"\t{_text(name)}: {_text(value)}," for name, value in head.items()]
	rows = ",\n".join(f"\t\t{{{_members(row)}}}" for row in exported.rows)
	return "\n".join(["{", *lines, '\t"rows": [', rows, "\t]", "}", ""]).encode()


def _members(row: Row) -> str:
	said = {name: getattr(row, name) for name in _ROW}
	return ", ".join(
		f"{_text(name)}: {_text(value)}"
		for name, value in said.items()
		if _ROW[name] is MISSING or value != _ROW[name]
	)


def _text(value: Json) -> str:
	return render(value).decode()


def _faults_of_head(document: dict) -> list[str]:
	faults = unknown_members(document, _HEAD)
	if document.get("format") != FORMAT:
		faults.append(f"This is no field map: format is to be {FORMAT}.")
	if document.get("format_version") != FORMAT_VERSION:
		faults.append(f"Only format_version {FORMAT_VERSION} can be read here.")
	title = document.get("title")
	if not isinstance(title, str) or not 0 < len(title.strip()) <= MAX_TITLE:
		faults.append(f"title takes text of 1 to {MAX_TITLE} characters.")
	if not isinstance(document.get("description", ""), str):
		faults.append("description takes text.")
	if document.get("direction") not in DIRECTIONS:
		faults.append(f"direction is {' or '.join(DIRECTIONS)}.")
	if not is_version(document.get("version", 1)):
		faults.append("version takes a whole number from 1.")
	if not isinstance(document.get("rows"), list):
		faults.append("rows takes a list.")
	return faults


def _faults_of_row(row: Json) -> list[str]:
	if not isinstance(row, dict):
		return [f"A row is an object, not {kind_of(row)}."]
	faults = unknown_members(row, tuple(_ROW))
	faults += [f"{name} is missing." for name in ("target", "source") if name not in row]
	faults += [
		f"{name} takes text, and got {kind_of(row[name])}."
		for name in _TEXTS
		if name in row and not isinstance(row[name], str)
	]
	if not isinstance(row.get("required", False), bool):
		faults.append(f"required takes true or false, and got {kind_of(row['required'])}.")
	if not isinstance(row.get("table", {}), dict):
		faults.append(f"table takes an object, and got {kind_of(row['table'])}.")
	return faults


def unknown_members(given: dict, known: tuple[str, ...]) -> list[str]:
	"""Return a sentence for each member of an object that is not known."""
	return [
		f"There is no member {name[:40]}; there are {', '.join(known)}."
		for name in given
		if name not in known
	]


def is_version(value: Json) -> bool:
	"""Tell whether a value counts versions: 1, 2 …"""
	return is_number(value) and isinstance(value, int) and 0 < value < 10**9
