"""A test event, sent while somebody waits."""

from datetime import datetime, timezone

import frappe
from frappe import _

from integration_hub.constants import deliveries as D
from integration_hub.core import sql
from integration_hub.exceptions import NotFound, RequestInProgress, StateConflict
from integration_hub.outbound import delivery, outbox
from integration_hub.outbound.envelope import Envelope, Subject
from integration_hub.outbound.outbox import NewDelivery, NewEvent
from integration_hub.outbound.registry import TEST
from integration_hub.schemas.events import utc

# Of the whole call: somebody waits, and so does a web process.
TIMEOUT = 5


def send(webhook: str) -> dict:
	"""Send a test event to a webhook, whatever its state, and return `schemas.webhooks.WebhookTested`.

	Commits: the event is on record before it is sent.

	Raises:
		StateConflict: nothing is sent to it: its events are fetched.
		RequestInProgress: another test of the same system is under way.
		NotFound: it was deleted meanwhile.
	"""
	# A fresh look, after whoever of the same system is at it.
	frappe.db.rollback()
	_take_turn(webhook)
	doc = frappe.get_doc("Hub Webhook", webhook)
	if doc.mode != "Push":
		raise StateConflict(
			_("Nothing is sent to {0}: its events are fetched with events.list.").format(doc.title)
		)
	event_id = f"evt_{frappe.generate_hash(length=24)}"
	now = utc(datetime.now(timezone.utc).replace(tzinfo=None))
	envelope = Envelope(event_id, TEST, now, frappe.utils.get_url(), Subject())
	data = {"message": _("This is a test of Integration Hub. If you can verify its signature, all is well.")}
	body = envelope.render(data, doc.format)
	new = NewEvent(
		event_id, TEST, doc.system, None, Subject(), envelope.render(data), [NewDelivery(webhook, body)]
	)
	outbox.add([new])
	name = frappe.db.get_value("Hub Event Delivery", {"event": event_id}, "name")
	# Claimed before anybody else can see it.
	claimed = outbox.claim([name])[0]
	sql.commit()
	delivery.send_claimed(claimed, timeout=TIMEOUT)
	row = frappe.db.get_value(
		"Hub Event Delivery",
		name,
		["status", "http_status", "error", "response", "duration_ms"],
		as_dict=True,
	)
	if row is None:
		raise NotFound(_("The webhook was deleted meanwhile."), pointer="/id")
	return {
		"event": event_id,
		"delivered": row.status == "Delivered",
		"http_status": row.http_status or None,
		"error": row.error,
		"response": row.response,
		"duration_ms": row.duration_ms or 0,
	}


def _take_turn(webhook: str) -> None:
	"""Let a system have one test under way: receivers that hang must not take every web process."""
	system = sql.run(
		"""SELECT name FROM `tabHub Connected System`
		WHERE name = (SELECT system FROM `tabHub Webhook` WHERE name = %s) FOR UPDATE""",
		(webhook,),
		pluck=True,
	)
	busy = sql.run(
		"""SELECT 1 FROM `tabHub Webhook` webhook JOIN `tabHub Event Delivery` delivery
			ON delivery.webhook = webhook.name AND delivery.status = %s
		WHERE webhook.system = %s AND delivery.event_type = %s AND delivery.due_at > UTC_TIMESTAMP(6) LIMIT 1""",
		(D.SENDING, system[0] if system else None, TEST),
	)
	if busy:
		raise RequestInProgress(
			_("Another test is under way. Ask again in a few seconds."), retry_after=TIMEOUT
		)
