"""Who wants to be told of what: kept in memory, so that a document nobody asks about costs no query.

Kept fresh across processes by a version in the cache, looked at once a request: by a call of the API along with what it
reads there anyway. With the cache gone, each request reads the database.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from redis.exceptions import RedisError

import frappe

from integration_hub import compat
from integration_hub.core import prefetch, sql
from integration_hub.mapping.engine import FieldMap
from integration_hub.mapping.errors import BadExpression, MapFaults
from integration_hub.mapping.expressions import Expression
from integration_hub.mapping.expressions import compile as compile_expression
from integration_hub.outbound.registry import BY_NAME, DOCUMENT, UNTOLD, matching


@dataclass(frozen=True)
class Wanted:
	"""One `document.*` line of a webhook: of which DocType, and which of its fields (None: all)."""

	events: frozenset[str]
	doctype: str
	fields: tuple[str, ...] | None


@dataclass(frozen=True)
class Subscription:
	"""A webhook as the capture needs it."""

	webhook: str
	system: str
	user: str
	company: str
	push: bool
	echo: bool
	format: str
	thin: bool
	events: frozenset[str]
	documents: tuple[Wanted, ...]
	condition: Expression | None
	field_map: FieldMap | None
	fault: str | None = None


@dataclass(frozen=True)
class Subscriptions:
	"""Everything that is wanted on this site."""

	version: str
	all: tuple[Subscription, ...] = ()
	systems: dict[str, str] = field(default_factory=dict)

	@cached_property
	def doctypes(self) -> frozenset[str]:
		"""DocTypes whose document events somebody wants."""
		of_business = {doctype for event in self.events for doctype in BY_NAME[event].sources}
		return frozenset(of_business | {wanted.doctype for one in self.all for wanted in one.documents})

	@cached_property
	def events(self) -> frozenset[str]:
		"""Business events somebody wants."""
		return frozenset(event for one in self.all for event in one.events)

	def to(self, event: str) -> list[Subscription]:
		"""Return the webhooks that want a business event."""
		return [one for one in self.all if event in one.events]

	def of_document(self, event: str, doctype: str) -> list[tuple[Subscription, Wanted]]:
		"""Return the webhooks that want a `document.*` event of a DocType, each with what it chose."""
		return [
			(one, wanted)
			for one in self.all
			for wanted in one.documents
			if wanted.doctype == doctype and event in wanted.events
		]

	@property
	def caller(self) -> str | None:
		"""The system whose user acts at this moment."""
		return self.systems.get(frappe.session.user)


_kept: dict[str, Subscriptions] = {}


def current() -> Subscriptions:
	"""Return what is wanted now."""
	look = prefetch.look()
	if look.found is not None:
		return look.found
	kept = _kept.get(frappe.local.site)
	if kept is None or look.version != kept.version:
		# Not published from here: this transaction may see an older state than the one that is published.
		kept = _kept[frappe.local.site] = _load_if_there()
	look.found = kept
	return kept


def changed() -> None:
	"""Let every process look again, once this transaction is committed; a webhook, its system or its map was changed."""
	forget()
	compat.after_commit_once(publish_version)


def forget() -> None:
	"""Look again at the next document event of this process."""
	prefetch.forget()
	_kept.pop(frappe.local.site, None)


def publish_version() -> None:
	"""Write the database's version into the cache; also by each sweep, for a cache that was away meanwhile."""
	with suppress(RedisError):
		prefetch.publish(_version())


def _version() -> str:
	"""Return what changes whenever something that is kept here does.

	Not the latest change: `modified` is local time, and an hour of it comes twice every autumn.
	"""
	rows = sql.run(
		"""SELECT 'webhook', count(*), bit_xor(crc32(concat(name, modified))) FROM `tabHub Webhook`
		UNION ALL SELECT 'system', count(*), bit_xor(crc32(concat(name, modified))) FROM `tabHub Connected System`
		UNION ALL SELECT 'map', count(*), bit_xor(crc32(concat(name, modified))) FROM `tabHub Field Map`"""
	)
	return "; ".join(f"{table} {count} {modified}" for table, count, modified in rows)


def _load_if_there() -> Subscriptions:
	try:
		return _load()
	except Exception as e:
		if not frappe.db.is_table_missing(e):
			raise
		# The app is newer than the site, which is about to be migrated.
		return Subscriptions("not migrated")


def _load() -> Subscriptions:
	version = _version()
	systems = _systems()
	webhooks = sql.run(
		"""SELECT name, system, mode, echo, format, content, `condition`, field_map FROM `tabHub Webhook`
		WHERE status <> 'Disabled' ORDER BY creation, name""",
		as_dict=True,
	)
	lines = _by_parent(
		sql.run(
			"SELECT parent, event, document_type, field_names FROM `tabHub Webhook Event` ORDER BY parent, idx",
			as_dict=True,
		)
	)
	found = tuple(
		_subscription(row, systems[row.system], lines.get(row.name, []))
		for row in webhooks
		if row.system in systems
	)
	return Subscriptions(version, found, {system.user: name for name, system in systems.items()})


def _systems() -> dict[str, frappe._dict]:
	"""Return the enabled systems that have a user; those that have a webhook with their scopes."""
	systems = sql.run(
		"""SELECT name, user, company FROM `tabHub Connected System`
		WHERE enabled = 1 AND coalesce(user, '') <> ''""",
		as_dict=True,
	)
	scopes = _by_parent(
		sql.run(
			"""SELECT parent, scope FROM `tabHub System Scope`
			WHERE parent IN (SELECT system FROM `tabHub Webhook`)""",
			as_dict=True,
		)
	)
	for system in systems:
		system.scopes = {row.scope for row in scopes.get(system.name, ())}
	return {system.name: system for system in systems}


def _by_parent(rows: list[frappe._dict]) -> dict[str, list[frappe._dict]]:
	found: dict[str, list[frappe._dict]] = {}
	for row in rows:
		found.setdefault(row.parent, []).append(row)
	return found


def _subscription(row, system, lines: list) -> Subscription:
	allowed = {event.name for event in BY_NAME.values() if event.scope in system.scopes}
	return Subscription(
		webhook=row.name,
		system=row.system,
		user=system.user,
		company=system.company,
		push=row.mode == "Push",
		echo=bool(row.echo),
		format=row.format,
		thin=row.content == "Thin",
		events=frozenset(
			event.name
			for line in lines
			for event in matching(line.event or "")
			if event.name in allowed and not event.name.startswith(DOCUMENT)
		),
		documents=tuple(wanted for line in lines if (wanted := _wanted(line, allowed))),
		**_compiled(row),
	)


def _wanted(line, allowed: set[str]) -> Wanted | None:
	events = {event.name for event in matching(line.event or "") if event.name.startswith(DOCUMENT)} & allowed
	if not events or not line.document_type or line.document_type in UNTOLD:
		return None
	names = [name.strip() for name in (line.field_names or "").split(",") if name.strip()]
	return Wanted(frozenset(events), line.document_type, tuple(names) or None)


def _compiled(row) -> dict:
	"""Return condition and field map; one that no longer compiles makes every delivery wait for a person."""
	try:
		return {
			"condition": compile_expression(row.condition) if (row.condition or "").strip() else None,
			"field_map": frappe.get_doc("Hub Field Map", row.field_map).field_map()
			if row.field_map
			else None,
		}
	except (BadExpression, MapFaults, frappe.DoesNotExistError) as e:
		return {"condition": None, "field_map": None, "fault": str(e)}
