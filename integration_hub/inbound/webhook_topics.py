"""What becomes of a webhook: the lines of a Connected System's table of topics, read and checked."""

from dataclasses import dataclass

import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.mapping.errors import BadExpression, MapFaults
from integration_hub.mapping.expressions import compile as compile_expression
from integration_hub.mapping.presets import OPERATIONS, Event, Reading, Route
from integration_hub.mapping.values import Json

KNOWN = {"Known": True, "Not known": False}
EXPRESSIONS = ("document", "subject", "event_id", "condition", "version")


@dataclass(frozen=True)
class Line:
	"""One line: a call that a topic becomes.

	`route` names the line among those of its topic, switched off or not: the operation, and from the second of the same on
	its number.
	"""

	topic: str
	route: str
	operation: str
	map_name: str
	event: Event

	def read(self, body: Json) -> Reading:
		"""Return what a webhook says.

		Raises:
			MapFaults: as `Event.read`.
		"""
		return self.event.read(body)


@dataclass(frozen=True)
class Facts:
	"""What a line finds in a webhook when it comes; what it does not find, whoever works on it will tell."""

	applies: bool
	subject: str | None = None
	event_id: str | None = None


def lines_of(system: Document, topic: str) -> list[Line]:
	"""Return a system's enabled lines for a topic, in their order."""
	found: list[Line] = []
	operations: list[str] = []
	for row in system.inbound_topics:
		if row.topic != topic:
			continue
		operations.append(row.operation)
		if row.enabled:
			found.append(_line(row, operations.count(row.operation)))
	return found


def find(system: Document, topic: str, route: str) -> Line | None:
	"""Return the line that a row in the queue was made by, as it is now."""
	return next((line for line in lines_of(system, topic) if line.route == route), None)


def facts(line: Line, body: Json) -> Facts:
	"""Return what must be known of a webhook before it is kept; nothing in it makes this fail."""
	try:
		reading = line.read(body)
	except MapFaults:
		return Facts(applies=True)
	return Facts(bool(reading.routes), reading.subject, reading.event_id)


def _line(row: Document, number: int) -> Line:
	found = {name: compile_expression(row.get(name)) if row.get(name) else None for name in EXPRESSIONS}
	# The map itself is compiled when it is used.
	route = Route(
		operation=row.operation,
		map_name=row.field_map,
		field_map=None,
		when=found["condition"],
		otherwise=row.otherwise or _("The condition of its topic does not hold."),
		known=KNOWN.get(row.known),
		version=found["version"],
	)
	event = Event((row.topic,), found["subject"], (route,), found["document"], found["event_id"])
	name = row.operation if number == 1 else f"{row.operation} {number}"
	return Line(row.topic, name, row.operation, row.field_map, event)


def faults(system: Document) -> list[str]:
	"""Return what is wrong with a system's lines, a sentence each."""
	sentences = []
	for row in system.inbound_topics:
		row.topic = (row.topic or "").strip()
		sentences += [_("Topics, row {0}: {1}").format(row.idx, each) for each in _faults_of(row)]
	return sentences


def _faults_of(row: Document) -> list[str]:
	found = []
	if row.operation not in OPERATIONS:
		found.append(_("There is no call {0}.").format(row.operation))
	if row.field_map and frappe.db.get_value("Hub Field Map", row.field_map, "direction") != "In":
		found.append(_("The field map {0} is not one of the direction In.").format(row.field_map))
	for name in EXPRESSIONS:
		if row.get(name) and (fault := _fault_of(row.get(name))):
			found.append(f"{_(row.meta.get_field(name).label)}: {fault}")
	return found


def _fault_of(expression: str) -> str | None:
	try:
		compile_expression(expression)
	except BadExpression as e:
		return str(e)
	return None
