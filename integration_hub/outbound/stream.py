"""The stream of events in the order they were committed: numbered, read by cursor, replayed.

A number is given after the commit, one numbering at a time: whoever reads up to a number has seen all before it.
"""

import json

import frappe
from frappe import _

from integration_hub.core import sql
from integration_hub.core.context import Caller
from integration_hub.core.listing import listed
from integration_hub.core.operations import Operation
from integration_hub.exceptions import NotFound
from integration_hub.outbound import registry, replay, turns
from integration_hub.schemas.events import (
	EventAnswer,
	EventGet,
	EventList,
	EventsList,
	EventsReplay,
	ReplayAnswer,
)

EVENT = "Hub Event"
BATCH = 500


def number() -> int:
	"""Number the events committed since the last time and commit; return how many."""
	done = 0
	while numbered := _number_batch():
		done += numbered
		if numbered < BATCH:
			break
	return done


def _number_batch() -> int:
	frappe.db.rollback()
	if not sql.run("SELECT 1 FROM `tabHub Event` WHERE sequence IS NULL LIMIT 1"):
		return 0
	frappe.db.rollback()
	# First the lock, then the look: what the holder before us has numbered is seen.
	last = turns.wait_for(turns.STREAM)
	names = sql.run(
		"SELECT name FROM `tabHub Event` WHERE sequence IS NULL ORDER BY occurred_at, name LIMIT %s",
		(BATCH,),
		pluck=True,
	)
	if names:
		# By the primary key: by the index on `sequence`, the gap that every new event goes into would be locked.
		sql.run(
			f"""UPDATE `tabHub Event` FORCE INDEX (PRIMARY)
			SET sequence = %s + FIELD(name, {", ".join(["%s"] * len(names))})
			WHERE name IN %s AND sequence IS NULL""",
			(last, *names, names),
		)
		turns.count(turns.STREAM, last + len(names))
	sql.commit()
	return len(names)


def list_events(caller: Caller, query: EventsList) -> dict:
	"""Return a page of the caller's events, oldest first.

	Raises:
		ValidationFailed: the cursor is none of this list's, or there is no event of that name.
	"""
	registry.check_name(query.type, "?type")
	number()

	def fetch(key: list, backwards: bool, count: int) -> list[dict]:
		return _rows(caller.name, query.type, key, backwards, count)

	found = listed("events.list", fetch, query, {"sequence": int}, stream=True)
	return {**found, "result": [event_answer(row) for row in found["result"]]}


def _rows(system: str, event: str | None, key: list, backwards: bool, count: int) -> list[dict]:
	sign, order = ("<", "DESC") if backwards else (">", "ASC")
	edge = key[0] if key else (2**63 - 1 if backwards else 0)
	values = [system, edge]
	if event:
		values.append(event)
	# Left to itself MariaDB finds the system by its index and reads on to the place: seconds, in a long stream.
	index = "system_event_sequence_index" if event else "system_sequence_index"
	return sql.run(
		f"""SELECT name, event, payload, sequence FROM `tabHub Event` FORCE INDEX ({index})
		WHERE system = %s AND sequence {sign} %s {"AND event = %s" if event else ""}
		ORDER BY sequence {order} LIMIT %s""",
		(*values, count),
		as_dict=True,
	)


def event_answer(row) -> dict:
	"""Return an event in the shape of `schemas.events.EventAnswer`."""
	return {"id": row.name, **json.loads(row.payload)}


def get_event(caller: Caller, query: EventGet) -> dict:
	"""Return one of the caller's events.

	Raises:
		NotFound: there is none, or it is another system's.
	"""
	rows = sql.run(
		"SELECT name, event, payload FROM `tabHub Event` WHERE name = %s AND system = %s",
		(query.id, caller.name),
		as_dict=True,
	)
	if not rows or rows[0].name != query.id:
		raise NotFound(_("There is no event {0} of {1}.").format(query.id, caller.name))
	return event_answer(rows[0])


LIST = Operation(
	name="events.list",
	summary="Read what happened, by cursor",
	schema=EventsList,
	answer=EventList,
	handler=list_events,
	scope="events:read",
	example={"limit": 100},
)

GET = Operation(
	name="events.get",
	summary="Read one event",
	schema=EventGet,
	answer=EventAnswer,
	handler=get_event,
	scope="events:read",
	example={"id": "evt_0a1b2c3d4e5f6a7b8c9d0e1f"},
)

REPLAY = Operation(
	name="events.replay",
	summary="Deliver events again, under the ids they had",
	schema=EventsReplay,
	answer=ReplayAnswer,
	handler=replay.replay,
	scope="events:read",
	writes=True,
	example={"ids": ["evt_0a1b2c3d4e5f6a7b8c9d0e1f"]},
)
