"""A test event, sent while somebody waits."""

from datetime import datetime, timezone

import frappe
from frappe import _

from integration_hub.core import sql
from integration_hub.exceptions import StateConflict
from integration_hub.outbound import delivery, outbox
from integration_hub.outbound.envelope import Envelope, Subject
from integration_hub.outbound.outbox import NewDelivery, NewEvent
from integration_hub.outbound.registry import TEST
from integration_hub.schemas.events import utc


def send(webhook: str) -> dict:
	"""Send a test event to a webhook, whatever its state, and return `schemas.webhooks.WebhookTested`.

	Commits: the event is on record before it is sent.

	Raises:
		StateConflict: nothing is sent to it: its events are fetched.
	"""
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
	delivery.send_claimed(claimed)
	row = frappe.db.get_value(
		"Hub Event Delivery",
		name,
		["status", "http_status", "error", "response", "duration_ms"],
		as_dict=True,
	)
	return {
		"event": event_id,
		"delivered": row.status == "Delivered",
		"http_status": row.http_status or None,
		"error": row.error,
		"response": row.response,
		"duration_ms": row.duration_ms or 0,
	}
