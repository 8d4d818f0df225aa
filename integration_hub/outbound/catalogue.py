"""Writes the catalogue of events, docs/event-catalogue.md, from the registry."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from integration_hub.outbound.registry import EVENTS, TEST_EVENT

# One event of each shape as it was really sent, from a site called https://erp.example.com.
EXAMPLES = Path(__file__).with_name("event_examples.json")

_HEAD = """# Event catalogue

Every event the hub tells of. Written from the registry in the code, so it is complete:
`bench --site S integration-hub events --out docs/event-catalogue.md`. How events are received: [events.md](events.md).

An event is sent to a system that holds the scope beside it, and whose user may read the document. Members may be added to
`data` in later versions; none is removed or changes its meaning.

A webhook names events one by one, or by a pattern: `order.*` for all of an area, `*` for all but `document.*`.
"""

_OTHER_SOURCES = {"request": "Hub Request", "document": "any DocType"}

_TYPES = {
	"string": "text",
	"number": "number",
	"integer": "whole number",
	"boolean": "true, false",
	"object": "object",
	"array": "list",
	"null": "null",
}


def markdown() -> str:
	"""Return the catalogue: all names, and for each shape of data its members and an example."""
	shapes = list(dict.fromkeys(event.data for event in (*EVENTS, TEST_EVENT)))
	return "\n".join([_HEAD, *_overview(), *(line for shape in shapes for line in _section(shape))])


def examples() -> dict[str, dict]:
	"""Return one payload of each shape, by the event's name."""
	return json.loads(EXAMPLES.read_text(encoding="utf-8"))


def _overview() -> Iterator[str]:
	yield "| Event | When | Raised from | Scope | `data` |"
	yield "|---|---|---|---|---|"
	for event in EVENTS:
		raised_from = ", ".join(event.sources) or _OTHER_SOURCES.get(event.name.split(".")[0], "")
		shape = f"[{_title(event.data)}](#{_anchor(event.data)})"
		yield f"| `{event.name}` | {event.summary} | {raised_from} | `{event.scope}` | {shape} |"
	yield ""
	yield (
		f"`{TEST_EVENT.name}` ([{_title(TEST_EVENT.data)}](#{_anchor(TEST_EVENT.data)})) is sent when somebody tries a webhook"
		" out; nobody has to ask for it."
	)
	yield ""


def _section(shape: type[BaseModel]) -> Iterator[str]:
	events = [event for event in (*EVENTS, TEST_EVENT) if event.data is shape]
	yield f"## {_title(shape)}"
	yield ""
	yield f"`data` of {', '.join(f'`{event.name}`' for event in events)}."
	yield ""
	yield "| Member of `data` | Type | Meaning |"
	yield "|---|---|---|"
	schema = shape.model_json_schema(mode="serialization")
	for path, kind, meaning in _members(schema, schema.get("$defs", {}), ""):
		yield f"| `{path}` | {kind} | {meaning} |".replace("|  |", "| |")
	name = next(event.name for event in events if event.name in examples())
	yield ""
	yield f"An example, `{name}`:"
	yield ""
	yield "```json"
	yield json.dumps(examples()[name], indent=2, ensure_ascii=False)
	yield "```"
	yield ""


def _title(shape: type[BaseModel]) -> str:
	return shape.__name__.removesuffix("Event")


def _anchor(shape: type[BaseModel]) -> str:
	return _title(shape).lower()


def _members(schema: dict, defs: dict, prefix: str) -> Iterator[tuple[str, str, str]]:
	"""Yield (path, type, meaning) of every member; in place of an object its members, after a list those of its entries."""
	for name, member in schema["properties"].items():
		kinds = [_resolved(kind, defs) for kind in member.get("anyOf", [member])]
		path = f"{prefix}{name}"
		if not any("properties" in kind for kind in kinds):
			yield path, " or ".join(_type(kind) for kind in kinds), member.get("description", "")
		for kind in kinds:
			inner = _resolved(kind.get("items", {}), defs)
			if "properties" in kind:
				yield from _members(kind, defs, f"{path}.")
			elif "properties" in inner:
				yield from _members(inner, defs, f"{path}[].")


def _resolved(schema: dict, defs: dict) -> dict:
	return defs[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _type(schema: dict) -> str:
	if "enum" in schema:
		return ", ".join(f"`{value}`" for value in schema["enum"])
	return _TYPES[schema["type"]]
