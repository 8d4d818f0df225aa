"""Presets put to use: the field maps, the scheme and the topics of a platform, made for one Connected System.

Running it again changes nothing; what people changed meanwhile is replaced only when they say so.
"""

from pathlib import Path

import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.mapping import presets
from integration_hub.mapping.presets import Event, Preset, Route

FOLDER = Path(frappe.get_app_path("integration_hub")) / "presets"
MAP = "Hub Field Map"

_KNOWN = {True: "Known", False: "Not known", None: ""}
_LINE = (
	"operation",
	"field_map",
	"document",
	"subject",
	"event_id",
	"condition",
	"otherwise",
	"known",
	"version",
)


def offered() -> list[dict]:
	"""Return the presets there are: name, title, description."""
	return [
		{"name": preset.name, "title": preset.title, "description": preset.description}
		for preset in presets.load_all(FOLDER).values()
	]


def install(system: Document, name: str, *, replace: bool = False) -> dict:
	"""Make what a preset says for a system; save nothing when that would replace what people changed.

	Returns:
		{"changed": what would be replaced, a sentence each; empty when it is done,
		 "codes": the codes to map to accounts before the first order, by table}
	"""
	system.check_permission("write")
	preset = _preset(name)
	changed = _differences(system, preset)
	if changed and not replace:
		return {"changed": changed, "codes": {}}
	for map_name in preset.maps:
		_make_map(system, preset, map_name)
	system.update(
		{
			"inbound_scheme": preset.signature,
			"inbound_preset": _("{0}, version {1}").format(preset.title, preset.version),
		}
	)
	_set_lines(system, preset)
	system.save()
	return {"changed": [], "codes": {kind: dict(codes) for kind, codes in preset.codes.items()}}


def _preset(name: str) -> Preset:
	found = presets.load_all(FOLDER).get(name)
	if found is None:
		frappe.throw(_("There is no preset {0}.").format(name))
	return found


def _title(system: Document, preset: Preset, map_name: str) -> str:
	return f"{preset.maps[map_name].title} ({system.name})"


def _differences(system: Document, preset: Preset) -> list[str]:
	found = []
	scheme = preset.signature
	if system.inbound_scheme and system.inbound_scheme != scheme:
		found.append(_("The signature is {0}, not {1}.").format(system.inbound_scheme, scheme))
	for map_name, file in preset.maps.items():
		title = _title(system, preset, map_name)
		if frappe.db.exists(MAP, title) and frappe.get_doc(MAP, title).as_file().rows != file.rows:
			found.append(_("The field map {0} has other rows.").format(title))
	wanted = _lines(system, preset)
	for topic in preset.topics:
		there = [_told(row) for row in system.inbound_topics if row.topic == topic]
		if there and there != [_told(row) for row in wanted if row["topic"] == topic]:
			found.append(_("The topic {0} has other lines.").format(topic))
	return found


def _told(row) -> tuple:
	return tuple(row.get(fieldname) or "" for fieldname in _LINE)


def _lines(system: Document, preset: Preset) -> list[dict]:
	return [
		_line(topic, event, route, _title(system, preset, route.map_name))
		for event in preset.events
		for topic in event.topics
		for route in event.routes
	]


def _line(topic: str, event: Event, route: Route, map_title: str) -> dict:
	expressions = {
		"document": event.document,
		"subject": event.subject,
		"event_id": event.event_id,
		"condition": route.when,
		"version": route.version,
	}
	return {
		"topic": topic,
		"operation": route.operation,
		"field_map": map_title,
		"enabled": 1,
		"otherwise": route.otherwise,
		"known": _KNOWN[route.known],
		**{name: expression.text if expression else "" for name, expression in expressions.items()},
	}


def _set_lines(system: Document, preset: Preset) -> None:
	"""Put the preset's topics in place of what stands there of them; other topics stay, and so do those switched off."""
	off = {(row.topic, row.operation) for row in system.inbound_topics if not row.enabled}
	kept = [row.as_dict() for row in system.inbound_topics if row.topic not in preset.topics]
	system.set("inbound_topics", [])
	for line in _lines(system, preset):
		enabled = (line["topic"], line["operation"]) not in off
		system.append("inbound_topics", {**line, "enabled": int(enabled)})
	for line in kept:
		system.append("inbound_topics", line)


def _make_map(system: Document, preset: Preset, map_name: str) -> None:
	title, file = _title(system, preset, map_name), preset.maps[map_name]
	there = frappe.db.exists(MAP, title)
	doc = frappe.get_doc(MAP, title) if there else frappe.new_doc(MAP)
	if there and doc.as_file().rows == file.rows:
		return
	doc.title = title
	doc.take(file)
	doc.save()
