"""Tells the Integration Hub Managers what needs them: stopped endpoints and exhausted deliveries, together, once an hour."""

from datetime import datetime, timedelta, timezone

import frappe
from frappe import _
from frappe.desk.doctype.notification_log.notification_log import make_notification_logs
from frappe.utils import escape_html, get_datetime, get_url_to_form
from frappe.utils.user import get_users_with_role

from integration_hub.constants import deliveries as D
from integration_hub.constants.roles import MANAGER
from integration_hub.core import sql
from integration_hub.outbound import turns
from integration_hub.outbound.endpoints import ACTIVE, DOCTYPE
from integration_hub.outbound.registry import TEST

PAUSE_MINUTES = 60


def tell() -> None:
	"""Send one notice about all that came up since the last one, and commit."""
	frappe.db.rollback()
	troubled = _troubled()
	if not troubled or not _take_turn():
		frappe.db.rollback()
		return
	_mark(troubled)
	sql.commit()
	# Each for itself: a site without an outgoing e-mail account shows the notice in the Desk all the same.
	for way in (_notify, _email):
		try:
			way(troubled)
			sql.commit()
		except Exception:
			# The webhooks say it themselves.
			frappe.db.rollback()
			frappe.log_error("Integration Hub: the managers could not be told")
			sql.commit()


def _troubled() -> list[frappe._dict]:
	"""Return webhooks people have not been told of: stopped ones, and those with newly exhausted deliveries."""
	return sql.run(
		"""SELECT webhook.name, webhook.title, webhook.status, webhook.paused_because, webhook.last_error, webhook.stop_told,
			(SELECT count(*) FROM `tabHub Event Delivery` delivery WHERE delivery.webhook = webhook.name
				AND delivery.status = %s AND delivery.event_type <> %s AND delivery.last_attempt_at > coalesce(webhook.alerted_at, '1970-01-01')) AS exhausted
		FROM `tabHub Webhook` webhook
		HAVING exhausted > 0 OR (status <> %s AND stop_told = 0)
		ORDER BY webhook.title""",
		(D.EXHAUSTED, TEST, ACTIVE),
		as_dict=True,
	)


def _take_turn() -> bool:
	"""Whether the last notice was an hour ago; two workers send one."""
	if not turns.take(turns.ALERTS):
		return False
	last = frappe.db.get_single_value("Hub Settings", "alerted_at", cache=False)
	now = datetime.now(timezone.utc).replace(tzinfo=None)
	if last and now - get_datetime(last) < timedelta(minutes=PAUSE_MINUTES):
		return False
	frappe.db.set_single_value("Hub Settings", "alerted_at", now, update_modified=False)
	return True


def _mark(troubled: list[frappe._dict]) -> None:
	sql.run(
		"UPDATE `tabHub Webhook` SET alerted_at = UTC_TIMESTAMP(6), stop_told = 1 WHERE name IN %s",
		([one.name for one in troubled],),
	)


def _notify(troubled: list[frappe._dict]) -> None:
	notice = {
		"type": "Alert",
		"document_type": DOCTYPE,
		"document_name": troubled[0].name,
		# It is shown as HTML.
		"subject": escape_html(_subject(troubled)),
		"email_content": "<br>".join(_line(one) for one in troubled),
	}
	make_notification_logs(frappe._dict(notice), _managers())


def _email(troubled: list[frappe._dict]) -> None:
	managers = _managers()
	if managers and frappe.get_cached_doc("Hub Settings").alert_by_email:
		frappe.sendmail(
			recipients=managers,
			subject=_subject(troubled),
			message="".join(f"<p>{_line(one)}</p>" for one in troubled),
		)


def _managers() -> list[str]:
	"""Return the addresses of the people who look after the hub."""
	users = get_users_with_role(MANAGER)
	return frappe.get_all("User", filters={"name": ("in", users), "email": ("is", "set")}, pluck="email")


def _subject(troubled: list[frappe._dict]) -> str:
	if len(troubled) == 1:
		return _("Integration Hub: {0} needs you").format(troubled[0].title)
	return _("Integration Hub: {0} webhooks need you").format(len(troubled))


def _line(one: frappe._dict) -> str:
	parts = []
	if one.status != ACTIVE:
		parts.append(_("{0} is {1}. {2}").format(one.title, _(one.status), one.paused_because or ""))
	if one.exhausted:
		parts.append(
			_("{0} deliveries to {1} are exhausted. The last error: {2}").format(
				one.exhausted, one.title, one.last_error or "—"
			)
		)
	link = f'<a href="{get_url_to_form(DOCTYPE, one.name)}">{_("Open")}</a>'
	return f"{escape_html(' '.join(parts))} {link}"
