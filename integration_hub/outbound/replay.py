"""Events delivered again, under the ids they had: by id, by time, to one endpoint or to all that want them."""

import json
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import frappe
from frappe import _
from frappe.utils import get_system_timezone

from integration_hub.core import sql
from integration_hub.core.context import Caller
from integration_hub.exceptions import Fault, NotFound, ValidationFailed
from integration_hub.outbound import outbox, subscriptions
from integration_hub.outbound.envelope import Envelope, Subject
from integration_hub.outbound.outbox import NewDelivery, NewEvent
from integration_hub.outbound.registry import DOCUMENT, check_name
from integration_hub.outbound.shaping import shape
from integration_hub.outbound.subscriptions import Subscription, Wanted
from integration_hub.schemas.events import EventsReplay

MAX_EVENTS = 10_000


def replay(caller: Caller, body: EventsReplay) -> dict:
	"""Make deliveries of the caller's events due again; events a webhook was not sent yet are sent if it wants them.

	Raises:
		NotFound: an id or the webhook is none of the caller's.
		ValidationFailed: neither ids nor since, what goes with the other, an unknown name, or more than 10,000 events.
	"""
	if (body.ids is None) == (body.since is None):
		raise _fault("", _("Send either ids or since."), "one_of")
	for name in ("until", "type"):
		if body.ids and getattr(body, name) is not None:
			raise _fault(f"/{name}", _("{0} goes with since, not with ids.").format(name), "one_of")
	check_name(body.type, "/type")
	webhooks = _webhooks(caller.name, body.webhook)
	events = _by_ids(caller.name, body.ids) if body.ids else _by_time(caller.name, body)
	return again(events, webhooks, frappe.session.user)


def again(events: list[str], webhooks: list[Subscription], by: str) -> dict:
	"""Make the deliveries of these events at these webhooks due again: {"replayed", "skipped"}."""
	names = [webhook.webhook for webhook in webhooks]
	there = sql.run(
		"SELECT name, event, webhook FROM `tabHub Event Delivery` WHERE event IN %s AND webhook IN %s ORDER BY occurred_at",
		(events or [""], names or [""]),
		as_dict=True,
	)
	due = redeliver([row.name for row in there], by)
	known = {(row.event, row.webhook) for row in there}
	added = _add_missing(events, [webhook for webhook in webhooks if webhook.push], known)
	return {"replayed": due + added, "skipped": len(there) - due}


def redeliver(names: list[str], by: str) -> int:
	"""Make deliveries due again and return how many; what a condition or map has held is shaped anew first."""
	held = {row.delivery: row for row in _with_fault(names)}
	webhooks = {one.webhook: one for one in subscriptions.current().all}
	ready = [name for name in names if name not in held]
	for name, row in held.items():
		new = _delivery(row, webhooks[row.webhook]) if row.webhook in webhooks else None
		if new is None:
			outbox.give_up(name, _("The webhook does not want this event any more."))
		elif outbox.shape_again(name, new.body, new.fault) and not new.fault:
			ready.append(name)
	return outbox.redeliver(ready, by)


def _with_fault(names: list[str]) -> list[frappe._dict]:
	return sql.run(
		"""SELECT delivery.name AS delivery, delivery.webhook, event.name, event.event, event.payload,
			event.reference_doctype, event.reference_name
		FROM `tabHub Event Delivery` delivery JOIN `tabHub Event` event ON event.name = delivery.event
		WHERE delivery.name IN %s AND delivery.fault IS NOT NULL""",
		(names or [""],),
		as_dict=True,
	)


def _add_missing(events: list[str], webhooks: list[Subscription], known: set[tuple[str, str]]) -> int:
	missing = [event for event in events if any((event, one.webhook) not in known for one in webhooks)]
	if not missing:
		return 0
	rows = sql.run(
		"""SELECT name, event, system, caused_by, payload, reference_doctype, reference_name, occurred_at,
			EXISTS (SELECT 1 FROM `tabHub Event Delivery` delivery WHERE delivery.event = event.name) AS sent
		FROM `tabHub Event` event FORCE INDEX (PRIMARY) WHERE name IN %s ORDER BY occurred_at LOCK IN SHARE MODE""",
		(missing,),
		as_dict=True,
	)
	wanted = [(_as_event(row), _deliveries(row, webhooks, known)) for row in rows]
	outbox.add_deliveries(wanted)
	return sum(len(new) for _event, new in wanted)


def _as_event(row) -> NewEvent:
	subject = Subject(row.reference_doctype, row.reference_name)
	return NewEvent(row.name, row.event, row.system, None, subject, row.payload)


def _deliveries(row, webhooks: list[Subscription], known: set[tuple[str, str]]) -> list[NewDelivery]:
	if row.sent and row.event.startswith(DOCUMENT):
		# Each webhook has an event of its own of it, with the fields it chose.
		return []
	new = [
		_delivery(row, one)
		for one in webhooks
		if (row.name, one.webhook) not in known and (one.echo or not _is_echo(row))
	]
	return [delivery for delivery in new if delivery]


def _is_echo(row) -> bool:
	"""Whether the system's own call caused it; what became of a call is always told to its caller."""
	return row.caused_by == row.system and not row.event.startswith("request.")


def _delivery(row, webhook: Subscription) -> NewDelivery | None:
	"""Return what a webhook is sent of an event it was not sent before; None: it does not want it."""
	chosen = next(
		(
			wanted
			for wanted in webhook.documents
			if row.event in wanted.events and row.reference_doctype == wanted.doctype
		),
		None,
	)
	if row.event not in webhook.events and not chosen:
		return None
	payload = json.loads(row.payload)
	data = _only(chosen, payload["data"])
	subject = Subject(row.reference_doctype, row.reference_name, _external_id(data))
	envelope = Envelope(row.name, row.event, payload["timestamp"], frappe.utils.get_url(), subject)
	shaped = shape(webhook, envelope, data)
	if shaped is None:
		return None
	body = shaped.body
	if body is None and not shaped.fault and data != payload["data"]:
		body = envelope.render(data)
	return NewDelivery(webhook.webhook, body, shaped.fault)


def _only(chosen: Wanted | None, data: dict) -> dict:
	"""Return the data of a `document.*` event with the fields this webhook chose, of those another one was sent."""
	if not chosen or chosen.fields is None or "document" not in data:
		return data
	document = data["document"]
	fields = {field: document["fields"][field] for field in chosen.fields if field in document["fields"]}
	return {**data, "document": {**document, "fields": fields}}


def _external_id(data: dict) -> str | None:
	"""Return the system's own id of what a stored event is about, as its data shows it, reduced or not."""
	about = data if data.get("reduced") else next((one for one in data.values() if isinstance(one, dict)), {})
	return about.get("external_id")


def _webhooks(system: str, name: str | None) -> list[Subscription]:
	own = [one for one in subscriptions.current().all if one.system == system]
	chosen = [one for one in own if name in (None, one.webhook)]
	if name and not chosen:
		raise NotFound(_("There is no webhook {0} of {1}.").format(name, system), pointer="/webhook")
	return chosen


def _by_ids(system: str, ids: list[str]) -> list[str]:
	found = sql.run(
		"SELECT name FROM `tabHub Event` WHERE name IN %s AND system = %s", (ids, system), pluck=True
	)
	if missing := [one for one in ids if one not in found]:
		raise NotFound(
			_("There is no event {0} of {1}.").format(missing[0], system),
			pointer=f"/ids/{ids.index(missing[0])}",
		)
	return found


def _by_time(system: str, body: EventsReplay) -> list[str]:
	since, until = _utc(body.since), _utc(body.until) if body.until else None
	found = sql.run(
		f"""SELECT name FROM `tabHub Event` WHERE system = %s AND occurred_at >= %s
			{"AND occurred_at < %s" if until else ""} {"AND event = %s" if body.type else ""}
		ORDER BY occurred_at LIMIT %s""",
		tuple(value for value in (system, since, until, body.type, MAX_EVENTS + 1) if value is not None),
		pluck=True,
	)
	if len(found) > MAX_EVENTS:
		raise _fault(
			"/until",
			_("These are more than {0} events. Replay them in several calls, of shorter times.").format(
				MAX_EVENTS
			),
			"too_many",
		)
	return found


def _utc(moment: datetime) -> datetime:
	"""Return a naive datetime in UTC; a time without an offset is in the site's zone."""
	aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(get_system_timezone()))
	return aware.astimezone(timezone.utc).replace(tzinfo=None)


def _fault(pointer: str, message: str, code: str) -> ValidationFailed:
	return ValidationFailed(message, errors=[Fault(pointer, message, code)])
