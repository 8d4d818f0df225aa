"""Connectors as data: a folder that says what each webhook of a platform becomes here. Pure.

A folder holds README.md (for people), preset.json and maps/<name>.json (`exchange`). preset.json:

	{"format": "integration-hub/preset", "format_version": 1, "title", "description", "version": 1,
	 "signature": how the platform signs, a name in SIGNATURES,
	 "codes": {"charges": {code: what it is}, "taxes": {…}, "payment_methods": {…}},
	 "events": [{"topics": […], "document", "subject", "event_id", "routes": [
	   {"operation", "map", "when", "otherwise", "known", "version"}]}]}

`document`, `subject`, `event_id`, `when` and `version` are JMESPath expressions; what each is for: `Event` and `Route`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from integration_hub.core.payload import parse
from integration_hub.core.signatures import GENERIC, SCHEMES
from integration_hub.exceptions import MalformedJson
from integration_hub.mapping import exchange
from integration_hub.mapping.engine import FieldMap
from integration_hub.mapping.errors import BadExpression, BadPreset, BadValue, MapFault, MapFaults
from integration_hub.mapping.exchange import MapFile, is_version, unknown_members
from integration_hub.mapping.expressions import Expression, matches
from integration_hub.mapping.expressions import compile as compile_expression
from integration_hub.mapping.transforms import text, utc
from integration_hub.mapping.values import Json, is_number

FORMAT, FORMAT_VERSION = "integration-hub/preset", 1
MAX_BYTES = 256 * 1024
MAX_ID = 140

OPERATIONS = (
	"orders.create",
	"orders.update",
	"orders.cancel",
	"sales.fulfill",
	"sales.invoice",
	"sales.pay",
	"sales.refund",
	"sales.run",
)
# The others work by a header that a preset does not name.
SIGNATURES = tuple(name for name in SCHEMES if name not in GENERIC)
CODES = ("charges", "taxes", "payment_methods")

_HEAD = (
	"format",
	"format_version",
	"title",
	"description",
	"version",
	"signature",
	"codes",
	"events",
)
_EVENT = ("topics", "document", "subject", "event_id", "routes")
_ROUTE = ("operation", "map", "when", "otherwise", "known", "version")


@dataclass(frozen=True)
class Route:
	"""What a webhook becomes: one call of an operation, its body built by a field map.

	Args:
		operation: a name in OPERATIONS.
		map_name, field_map: what builds the body.
		when: the condition; None: always.
		otherwise: why a webhook that does not meet it is left alone; a sentence for people.
		known: only when the subject's order is known here (True), or is not (False); None: either, and a call that comes before
			its order waits for it. Whoever works the call decides it, for the answer changes while calls wait.
		version: tells older from newer states of the subject: a call older than the newest one done for it is left out. None: the
			webhook states a fact (a payment, a parcel), which none that is newer makes untrue.
	"""

	operation: str
	map_name: str
	field_map: FieldMap
	when: Expression | None = None
	otherwise: str = ""
	known: bool | None = None
	version: Expression | None = None

	def applies(self, document: Json) -> bool:
		"""Tell whether the condition holds.

		Raises:
			MapFaults
		"""
		if self.when is None:
			return True
		try:
			return matches(self.when, document)
		except BadExpression as e:
			raise _fault("when", e) from e

	def body(self, document: Json) -> dict:
		"""Return the body of the call; Decimals are exact numbers (`values.render` writes them).

		Raises:
			MapFaults
		"""
		return self.field_map.apply(document)

	def version_of(self, document: Json) -> str | None:
		"""Return the version as text that sorts as versions do: a time in UTC to the microsecond, or a number of 20 digits.

		Raises:
			MapFaults: there is none, or it is neither a time nor a whole number.
		"""
		if self.version is None:
			return None
		try:
			return sortable(self.version.search(document))
		except (BadExpression, BadValue) as e:
			raise _fault("version", e) from e


@dataclass(frozen=True)
class Reading:
	"""A webhook understood.

	Args:
		subject: what it is about, the platform's id of the order: webhooks of one subject are worked one after another.
		event_id: its own id, where the platform sends that in the body; None: it does not.
		document: what the maps of the routes look into.
		routes: what it becomes, in this order.
		ignored: why nothing comes of other routes.
	"""

	subject: str
	event_id: str | None
	document: Json
	routes: tuple[Route, ...]
	ignored: tuple[str, ...]


@dataclass(frozen=True)
class Event:
	"""What some topics of a platform are: of what, and what becomes of them.

	Args:
		topics: as the platform names them.
		document: what of the body all other expressions and the maps look into; None: all of it.
		subject, event_id: see Reading.
		routes: every one whose condition holds is taken.
	"""

	topics: tuple[str, ...]
	subject: Expression
	routes: tuple[Route, ...]
	document: Expression | None = None
	event_id: Expression | None = None

	def read(self, body: Json) -> Reading:
		"""Return what a webhook says.

		Raises:
			MapFaults: it names no subject, or an expression cannot work on it; targets are document, subject, event_id, when.
		"""
		document = body if self.document is None else _search(self.document, body, "document")
		subject = _id(self.subject, document, "subject")
		event_id = None if self.event_id is None else _id(self.event_id, document, "event_id")
		taken = tuple(route for route in self.routes if route.applies(document))
		ignored = tuple(dict.fromkeys(route.otherwise for route in self.routes if route not in taken))
		return Reading(subject, event_id, document, taken, ignored)


@dataclass(frozen=True)
class Preset:
	"""A connector.

	Args:
		name: of its folder.
		signature: a name in SIGNATURES.
		codes: charges, taxes and payment methods that people map to accounts before the first order: code → what it is.
		maps: by the name of their file.
	"""

	name: str
	title: str
	description: str
	version: int
	signature: str
	codes: Mapping[str, Mapping[str, str]]
	events: tuple[Event, ...]
	maps: Mapping[str, MapFile]

	@property
	def topics(self) -> tuple[str, ...]:
		return tuple(topic for event in self.events for topic in event.topics)

	def event(self, topic: str) -> Event | None:
		"""Return what a topic is; None: the preset knows no such topic."""
		return next((event for event in self.events if topic in event.topics), None)


def sortable(version: Json) -> str:
	"""Return a version as text that sorts as versions do. A time without an offset is taken for UTC.

	Raises:
		BadValue: it is neither a time nor a whole number.
	"""
	if is_number(version):
		if version != int(version) or not 0 <= version < 10**20:
			raise BadValue("A version is a time, or a whole number from 0.")
		return f"{int(version):020d}"
	if version is None:
		raise BadValue("The version is missing.")
	moment = utc(version)
	return moment if "." in moment else moment.replace("+00:00", ".000000+00:00")


def load(folder: Path) -> Preset:
	"""Read a preset and check all of it.

	Raises:
		BadPreset: everything that is wrong: files, members, maps, expressions, names of operations and maps.
	"""
	faults: list[str] = []
	head = _document(folder / "preset.json", faults)
	faults += [f"preset.json: {sentence}" for sentence in _faults_of_head(head)]
	maps = _maps(folder / "maps", faults)
	compiled = _compiled(maps, faults)
	events = []
	for number, given in enumerate(_list(head.get("events")), start=1):
		try:
			events.append(compile_event(given, compiled))
		except BadPreset as e:
			faults += [f"preset.json, event {number}: {sentence}" for sentence in e.faults]
	topics = [topic for event in events for topic in event.topics]
	faults += [f"preset.json: {topic} stands twice." for topic in set(topics) if topics.count(topic) > 1]
	used = {route.map_name for event in events for route in event.routes}
	if not faults:
		faults += [f"maps/{name}.json: no route uses it." for name in maps if name not in used]
	if faults:
		raise BadPreset(faults)
	said = {name: head[name] for name in ("title", "version", "signature")}
	return Preset(
		name=folder.name,
		description=head.get("description", ""),
		codes={kind: head["codes"].get(kind, {}) for kind in CODES},
		events=tuple(events),
		maps=maps,
		**said,
	)


def load_all(root: Path) -> dict[str, Preset]:
	"""Return the presets of a folder by name, in the order of their names.

	Raises:
		BadPreset
	"""
	return {path.parent.name: load(path.parent) for path in sorted(root.glob("*/preset.json"))}


def compile_event(given: Json, maps: Mapping[str, FieldMap]) -> Event:
	"""Return what one entry of `events` says, ready for use.

	Args:
		maps: compiled field maps by name.

	Raises:
		BadPreset: everything that is wrong with it.
	"""
	if not isinstance(given, dict):
		raise BadPreset(["An event is an object."])
	faults = unknown_members(given, _EVENT)
	topics = given.get("topics")
	if not _list(topics) or not all(isinstance(topic, str) and topic for topic in topics):
		faults.append("topics takes a list of texts.")
	found = {name: _expression(given, name, faults) for name in ("document", "subject", "event_id")}
	if found["subject"] is None:
		faults.append("subject is missing.")
	routes = []
	for number, route in enumerate(_list(given.get("routes")), start=1):
		try:
			routes.append(_route(route, maps))
		except BadPreset as e:
			faults += [f"route {number}: {sentence}" for sentence in e.faults]
	if not _list(given.get("routes")):
		faults.append("routes takes a list of at least one route.")
	if faults:
		raise BadPreset(faults)
	return Event(tuple(topics), routes=tuple(routes), **found)


def _route(given: Json, maps: Mapping[str, FieldMap]) -> Route:
	if not isinstance(given, dict):
		raise BadPreset(["A route is an object."])
	faults = unknown_members(given, _ROUTE)
	operation, name = given.get("operation"), given.get("map")
	if operation not in OPERATIONS:
		faults.append(f"There is no operation {operation}; there are {', '.join(OPERATIONS)}.")
	if not isinstance(name, str) or name not in maps:
		faults.append(f"There is no usable map {name}.")
	if not isinstance(given.get("known"), bool | None):
		faults.append("known takes true or false.")
	otherwise = given.get("otherwise", "")
	if not isinstance(otherwise, str) or bool(otherwise) != ("when" in given):
		faults.append("otherwise takes the sentence that says why; it goes with when.")
	when, version = (_expression(given, part, faults) for part in ("when", "version"))
	if faults:
		raise BadPreset(faults)
	return Route(operation, name, maps[name], when, otherwise, given.get("known"), version)


def _expression(given: dict, name: str, faults: list[str]) -> Expression | None:
	if name not in given:
		return None
	try:
		return compile_expression(given[name])
	except (BadExpression, TypeError) as e:
		faults.append(f"{name}: {e if isinstance(e, BadExpression) else 'takes text.'}")
		return None


def _list(value: Json) -> list:
	return value if isinstance(value, list) else []


def _document(path: Path, faults: list[str]) -> dict:
	try:
		content = path.read_bytes()
		if len(content) > MAX_BYTES:
			raise MalformedJson(f"It has more than {MAX_BYTES // 1024} KiB.")
		return parse(content)
	except (OSError, MalformedJson) as e:
		faults.append(f"{path.name}: {e}")
		return {}


def _faults_of_head(head: dict) -> list[str]:
	faults = unknown_members(head, _HEAD)
	if (head.get("format"), head.get("format_version")) != (FORMAT, FORMAT_VERSION):
		faults.append(f"format is to be {FORMAT}, format_version {FORMAT_VERSION}.")
	if not isinstance(head.get("title"), str) or not head["title"].strip():
		faults.append("title takes text.")
	if not isinstance(head.get("description", ""), str):
		faults.append("description takes text.")
	if not is_version(head.get("version")):
		faults.append("version takes a whole number from 1.")
	if head.get("signature") not in SIGNATURES:
		faults.append(f"signature is one of {', '.join(SIGNATURES)}.")
	codes = head.get("codes")
	if not isinstance(codes, dict) or not all(_is_codes(kind, each) for kind, each in codes.items()):
		faults.append(f"codes takes, for each of {', '.join(CODES)}, an object of texts.")
	if not _list(head.get("events")):
		faults.append("events takes a list of at least one event.")
	return faults


def _is_codes(kind: str, codes: Json) -> bool:
	return kind in CODES and isinstance(codes, dict) and all(isinstance(each, str) for each in codes.values())


def _maps(folder: Path, faults: list[str]) -> dict[str, MapFile]:
	maps = {}
	for path in sorted(folder.glob("*.json")):
		try:
			maps[path.stem] = exchange.read(path.read_bytes())
		except MapFaults as e:
			faults += _named(path.stem, e)
	return maps


def _compiled(maps: dict[str, MapFile], faults: list[str]) -> dict[str, FieldMap]:
	compiled = {}
	for name, each in maps.items():
		if each.direction != "In":
			faults.append(f"maps/{name}.json: direction is to be In.")
		try:
			compiled[name] = each.compiled()
		except MapFaults as e:
			faults += _named(name, e)
	return compiled


def _named(name: str, error: MapFaults) -> list[str]:
	return [f"maps/{name}.json, row {fault.row}, {fault}" for fault in error.faults]


def _fault(target: str, error: ValueError) -> MapFaults:
	return MapFaults([MapFault(0, target, str(error))])


def _search(expression: Expression, document: Json, target: str) -> Json:
	try:
		return expression.search(document)
	except BadExpression as e:
		raise _fault(target, e) from e


def _id(expression: Expression, document: Json, target: str) -> str:
	"""Return an id as text.

	Raises:
		MapFaults: there is none, or it is longer than 140 characters, or neither text nor a number.
	"""
	found = _search(expression, document, target)
	try:
		if found is None or isinstance(found, bool):
			raise BadValue(f"{expression.text} finds no id.")
		written = text(found)
		if not written.strip() or len(written) > MAX_ID:
			raise BadValue(f"An id has 1 to {MAX_ID} characters.")
	except BadValue as e:
		raise _fault(target, e) from e
	return written
