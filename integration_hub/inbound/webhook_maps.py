"""A webhook's field map put to use: from its document to a valid body of the call, or every fault by its row."""

from pydantic import BaseModel

import frappe
from frappe import _

from integration_hub.core import operations
from integration_hub.core.operations import Operation
from integration_hub.core.payload import parse
from integration_hub.core.validation import validate
from integration_hub.exceptions import Fault, HubError, MappingFailed, ValidationFailed
from integration_hub.mapping import targets
from integration_hub.mapping.errors import BadValue, MapFaults
from integration_hub.mapping.values import Json, render


def body_of(map_name: str, document: Json, operation: Operation) -> tuple[dict, BaseModel]:
	"""Return the body of the call that a document becomes, and the same as the operation's schema.

	Raises:
		MappingFailed: with every fault, by row of the map.
	"""
	field_map = frappe.get_cached_doc("Hub Field Map", map_name)
	try:
		body = parse(render(field_map.field_map().apply(document)))
	except MapFaults as e:
		raise _failed(e, map_name) from e
	try:
		return body, validate(operation.schema, body)
	except ValidationFailed as e:
		faults = [_by_row(fault, field_map.rows) for fault in e.errors]
		raise MappingFailed(
			_("What the field map {0} makes is no {1}. {2}").format(map_name, operation.name, _first(faults)),
			errors=faults,
		) from e


def _failed(error: MapFaults, map_name: str) -> MappingFailed:
	faults = [Fault(_pointer(fault.target), _sentence(fault), MappingFailed.code) for fault in error.faults]
	return MappingFailed(
		_("The field map {0} does not fit what came. {1}").format(map_name, _first(faults)), errors=faults
	)


def topic_failed(error: MapFaults, topic: str) -> MappingFailed:
	"""Return the refusal of a document that an expression of its topic's line cannot work on."""
	meta = frappe.get_meta("Hub Inbound Topic")
	faults = []
	for fault in error.faults:
		label = meta.get_label("condition" if fault.target == "when" else fault.target)
		faults.append(Fault(f"/{fault.target}", f"{_(label)}: {fault.message}", MappingFailed.code))
	return MappingFailed(
		_("The line of the topic {0} does not fit what came. {1}").format(topic, _first(faults)),
		errors=faults,
	)


def check(operation: str, mapped: dict, rows: list) -> list[str]:
	"""Return what an operation would find wrong with a mapped result, a sentence each with the row it comes from."""
	try:
		validate(operations.get(operation).schema, parse(render(mapped)))
	except ValidationFailed as e:
		return [f"{fault.pointer or '/'}: {_by_row(fault, rows).message}" for fault in e.errors]
	except HubError as e:
		return [e.message]
	return []


def _first(faults: list[Fault]) -> str:
	more = len(faults) - 1
	return f"{faults[0].message} {_('({0} faults in all)').format(more + 1)}" if more else faults[0].message


def _sentence(fault) -> str:
	return _("Row {0}, {1}: {2}").format(fault.row, fault.target, fault.message) if fault.row else str(fault)


def _pointer(target: str) -> str:
	try:
		return "".join(f"/{step.name}" for step in targets.read(target))
	except BadValue:
		return ""


def _by_row(fault: Fault, rows: list) -> Fault:
	"""Return a fault of the mapped body that names the row it comes from: the one whose target is nearest."""
	names = [name for name in fault.pointer.split("/")[1:] if not name.isdigit()]
	near = [(len(path), row) for row in rows if (path := _names(row.target)) == names[: len(path)]]
	if near:
		_length, row = max(near, key=lambda each: each[0])
		message = _("Row {0}, {1}: {2}").format(row.idx, row.target, fault.message)
	else:
		message = _("No row has the target {0}: {1}").format(".".join(names) or "/", fault.message)
	return Fault(fault.pointer, message, fault.code)


def _names(target: str) -> list[str]:
	try:
		return [step.name for step in targets.read(target)]
	except BadValue:
		return [""]
