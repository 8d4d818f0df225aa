"""What is kept how long, what may be deleted, and who is told when an endpoint needs people."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from email import message_from_string
from email.message import Message

import pytest

import frappe

from integration_hub.constants.roles import MANAGER, USER
from integration_hub.integration_hub.doctype.hub_event.hub_event import HubEvent
from integration_hub.outbound import alerts, endpoints, outbox, upkeep
from integration_hub.outbound.endpoints import Ended
from integration_hub.outbound.envelope import Envelope, Subject
from integration_hub.outbound.outbox import NewDelivery, NewEvent
from integration_hub.schemas.events import utc
from integration_hub.tests.events import by_hand
from integration_hub.tests.factories import placed, unique
from integration_hub.tests.receivers import Receiver

DAY = 86400
# Older than anything else on the site.
AGES = 20 * 365


@pytest.fixture(scope="module", autouse=True)
def _no_help(site):
	"""Nobody numbers or delivers what the tests have just written."""
	with site.no_help():
		yield


@pytest.fixture
def receiver():
	with Receiver() as made:
		yield made


@pytest.fixture
def ear(listen, receiver):
	"""A webhook whose deliveries nobody makes: it is paused."""
	made = listen.push(receiver, "order.*")
	made.update(status="paused")
	return made


def write(ear, count: int = 1, days: float = 0, commit: bool = True) -> list[str]:
	"""Write events of an age, each with a delivery, and commit; return their ids."""
	found = []
	for _number in range(count):
		event_id = f"evt_{frappe.generate_hash(length=24)}"
		now = utc(datetime.now(timezone.utc).replace(tzinfo=None))
		envelope = Envelope(event_id, "order.updated", now, "http://x", Subject())
		found.append(
			NewEvent(
				event_id,
				"order.updated",
				ear.system.name,
				None,
				Subject(),
				envelope.render({"n": 1}),
				[NewDelivery(ear.webhook)],
			)
		)
	outbox.add(found)
	for one in found if days else ():
		frappe.db.sql(
			"UPDATE `tabHub Event` SET occurred_at = occurred_at - INTERVAL %s SECOND WHERE name = %s",
			(round(days * DAY), one.id),
		)
	if commit:
		frappe.db.commit()
	return [one.id for one in found]


def put(site, ear, event: str, **values) -> None:
	(row,) = ear.deliveries(event=event)
	site.set_row("Hub Event Delivery", row.name, **values)


def kept(ear) -> list[str]:
	return [row.name for row in ear.events()]


# -- retention ----------------------------------------------------------------------------------------------------


def test_log_settings_know_events(site):
	"""As the daily job of Frappe does it."""
	from frappe.core.doctype.log_settings.log_settings import _supports_log_clearing

	assert _supports_log_clearing("Hub Event")
	doc = frappe.get_doc("Log Settings")
	doc.add_default_logtypes()
	assert [row.days for row in doc.logs_to_clear if row.ref_doctype == "Hub Event"] == [90]


def test_old_events_go_with_their_deliveries(ear, site):
	old, exhausted, edge, young = (write(ear, days=AGES + days)[0] for days in (2, 1, -1, -AGES))
	put(site, ear, old, status="Delivered", due_at=None)
	put(site, ear, exhausted, status="Exhausted", due_at=None)
	put(site, ear, edge, status="Delivered", due_at=None)
	put(site, ear, young, status="Delivered", due_at=None)
	HubEvent.clear_old_logs(AGES)
	assert set(kept(ear)) == {edge, young}
	assert {row.event for row in ear.deliveries()} == {edge, young}


def test_a_long_backlog_of_a_deleted_webhook_goes_later(ear):
	"""Nobody waits for it: the call removes a thousand, and each sweep some more."""
	events = write(ear, outbox.BATCH + 2)
	assert ear.http.post("webhooks.delete", {"id": ear.webhook}).status == 200
	assert len(ear.deliveries()) == 2
	assert outbox.forgotten_webhooks() == [ear.webhook]
	upkeep.remove_forgotten()
	assert (ear.deliveries(), outbox.forgotten_webhooks()) == ([], [])
	assert set(kept(ear)) == set(events)


@pytest.mark.parametrize("status", ["Pending", "Sending", "Scheduled", "Held"])
def test_an_event_stays_while_a_delivery_is_open(status, ear, site, listen):
	"""Also when another delivery of it is done; neither goes."""
	done, open_one = write(ear, 2, days=AGES + 1)
	put(site, ear, done, status="Delivered", due_at=None)
	put(site, ear, open_one, status=status, due_at=None)
	with Receiver() as receiver:
		second = listen.push(receiver, "order.*", system=ear.system)
		second.update(status="paused")
		frappe.db.sql(
			"""INSERT INTO `tabHub Event Delivery` (name, event, webhook, `system`, status, attempt_no, creation, modified)
			VALUES (%s, %s, %s, %s, 'Delivered', 1, now(), now())""",
			(frappe.generate_hash(length=16), open_one, second.webhook, ear.system.name),
		)
		frappe.db.commit()
		HubEvent.clear_old_logs(AGES)
		assert kept(ear) == [open_one]
		assert [row.status for row in ear.deliveries()] == [status]
		assert len(second.deliveries()) == 1
	put(site, ear, open_one, status="Delivered")
	HubEvent.clear_old_logs(AGES)
	assert (kept(ear), ear.deliveries()) == ([], [])


def test_events_without_deliveries_go_too(listen):
	ear = listen.pull("order.*")
	write(ear, 1, days=AGES + 1)
	frappe.db.sql("DELETE FROM `tabHub Event Delivery` WHERE `system` = %s", (ear.system.name,))
	frappe.db.commit()
	HubEvent.clear_old_logs(AGES)
	assert kept(ear) == []


def test_batches_are_committed_one_by_one(ear, site):
	"""Of 2,500 old events, whoever looks meanwhile finds a thousand fewer each time."""
	for _batch in range(5):
		write(ear, 500, days=AGES + 1)
	frappe.db.sql(
		"UPDATE `tabHub Event Delivery` SET status = 'Delivered', due_at = NULL WHERE webhook = %s",
		(ear.webhook,),
	)
	frappe.db.commit()
	counts, commit = [], frappe.db.commit

	def counting() -> None:
		commit()
		counts.append(frappe.db.count("Hub Event", {"system": ear.system.name}))

	frappe.db.commit = counting
	try:
		HubEvent.clear_old_logs(AGES)
	finally:
		del frappe.db.commit
	assert sorted(set(counts), reverse=True) == [2500, 1500, 500, 0]
	assert ear.deliveries() == []


def test_log_settings_days_are_minded(ear, site):
	"""The whole way: the job of Frappe, with the days a person has chosen."""
	write(ear, days=AGES + 1)
	put(site, ear, kept(ear)[0], status="Delivered", due_at=None)
	(young,) = write(ear, days=AGES - 1)
	put(site, ear, young, status="Delivered", due_at=None)
	doc = frappe.get_doc("Log Settings")
	doc.logs_to_clear = []
	doc.append("logs_to_clear", {"ref_doctype": "Hub Event", "days": AGES})
	doc.clear_logs()
	assert kept(ear) == [young]


def writing(stack, ear, stop: threading.Event) -> int:
	"""Write events, several a transaction as documents do, on a connection of its own until told to stop; return how many."""
	frappe.init(stack.site, sites_path=".")
	frappe.connect()
	frappe.set_user("Administrator")
	count = 0
	try:
		while not stop.is_set():
			count += len(write(ear, 3, commit=False))
			count += len(write(ear, 3))
		return count
	finally:
		frappe.db.rollback()
		frappe.destroy()


def busy(stack, ear, work) -> int:
	"""Do some work while two others write events; return how many they wrote. Whoever meets a deadlock fails."""
	stop = threading.Event()
	with ThreadPoolExecutor(2) as pool:
		futures = [pool.submit(writing, stack, ear, stop) for _one in range(2)]
		try:
			work()
		finally:
			stop.set()
		return sum(future.result(60) for future in futures)


def test_documents_are_saved_while_old_events_are_removed(ear, site, stack):
	for _batch in range(8):
		write(ear, 500, days=AGES + 1)
	frappe.db.sql(
		"UPDATE `tabHub Event Delivery` SET status = 'Delivered', due_at = NULL WHERE webhook = %s",
		(ear.webhook,),
	)
	frappe.db.commit()
	written = busy(stack, ear, lambda: HubEvent.clear_old_logs(AGES))
	assert written > 0
	assert len(kept(ear)) == len(ear.deliveries()) == written


def test_documents_are_saved_while_a_webhook_is_deleted(ear, listen, receiver, site, stack):
	other = listen.push(receiver, "order.*", system=ear.system)
	other.update(status="paused")
	for _batch in range(4):
		write(other, 500)

	def delete() -> None:
		other.http.post("webhooks.delete", {"id": other.webhook})
		upkeep.remove_forgotten()

	written = busy(stack, ear, delete)
	assert written > 0
	assert (len(ear.deliveries()), other.deliveries()) == (written, [])


# -- what may be deleted ------------------------------------------------------------------------------------------


def test_an_order_with_events_can_be_deleted(listen, masters):
	with Receiver() as receiver:
		ear = listen.push(receiver, "order.*", echo=True)
		ear.update(status="paused")
		answer = placed(ear.http, submit=False)
		name = answer.order["name"]
		assert ear.heard() == ["order.created"]
		with by_hand():
			frappe.delete_doc("Sales Order", name)
		assert not frappe.db.exists("Sales Order", name)
		assert ear.heard() == ["order.deleted"]
		assert {row.reference_name for row in ear.deliveries()} == {name}


def test_a_system_with_webhooks_cannot_be_deleted(ear):
	frappe.db.rollback()
	with pytest.raises(frappe.ValidationError):
		frappe.delete_doc("Hub Connected System", ear.system.name)
	frappe.db.rollback()
	assert frappe.db.exists("Hub Webhook", ear.webhook)


def test_a_field_map_in_use_cannot_be_deleted(listen):
	fields = frappe.get_doc(
		{
			"doctype": "Hub Field Map",
			"title": unique("HT map"),
			"direction": "Out",
			"rows": [{"target": "a", "source": "b"}],
		}
	).insert()
	frappe.db.commit()
	ear = listen.pull("order.*", field_map=fields.name)
	frappe.db.rollback()
	with pytest.raises(frappe.LinkExistsError, match=ear.webhook):
		frappe.delete_doc("Hub Field Map", fields.name)
	frappe.db.rollback()
	ear.update(field_map=None)
	frappe.db.rollback()
	frappe.delete_doc("Hub Field Map", fields.name)
	frappe.db.commit()
	assert not frappe.db.exists("Hub Field Map", fields.name)


# -- alerts -------------------------------------------------------------------------------------------------------


class Post:
	"""What the managers were told since the test began."""

	def __init__(self, manager: str, others: list[str]):
		self.manager, self.others = manager, others

	def notices(self, user: str | None = None) -> list[dict]:
		frappe.db.rollback()
		return frappe.get_all(
			"Notification Log",
			filters={"for_user": user or self.manager, "document_type": "Hub Webhook"},
			fields=["type", "subject", "email_content", "document_name"],
			order_by="creation asc",
		)

	def letters(self) -> list[Message]:
		"""Return the messages queued for the manager, as they would be sent."""
		frappe.db.rollback()
		names = frappe.get_all("Email Queue Recipient", {"recipient": self.manager}, pluck="parent")
		return [message_from_string(frappe.db.get_value("Email Queue", name, "message")) for name in names]


@pytest.fixture
def post(people, site):
	"""A manager and two who are none; nobody has been told of anything within the hour."""
	manager, others = people.new(MANAGER), [people.new(USER).name, people.new("System Manager").name]

	def forget() -> None:
		frappe.db.rollback()
		frappe.db.sql("DELETE FROM tabSingles WHERE doctype = 'Hub Settings' AND field = 'alerted_at'")
		frappe.db.commit()

	forget()
	# Letters are queued for a server that nobody asks to send them.
	with site.configured(mail_server="127.0.0.1", auto_email_id="hub@example.com", mute_emails=1):
		frappe.local.outgoing_email_account = {}
		yield Post(manager.name, others)
	queued = frappe.get_all("Email Queue Recipient", {"recipient": manager.name}, pluck="parent")
	for table, column in (("tabEmail Queue Recipient", "parent"), ("tabEmail Queue", "name")):
		frappe.db.sql(f"DELETE FROM `{table}` WHERE `{column}` IN %s", (queued or [""],))
	frappe.db.commit()
	frappe.local.outgoing_email_account = {}
	forget()


def told(ear) -> datetime | None:
	frappe.db.rollback()
	return frappe.db.get_value("Hub Webhook", ear.webhook, "alerted_at")


def later(minutes: int) -> None:
	"""Let the last notice be so many minutes old."""
	frappe.db.sql(
		"""UPDATE tabSingles SET value = UTC_TIMESTAMP() - INTERVAL %s MINUTE
		WHERE doctype = 'Hub Settings' AND field = 'alerted_at'""",
		(minutes,),
	)
	frappe.db.commit()


@pytest.fixture
def two(listen):
	"""Two endpoints, both active; nothing is sent to them."""
	with Receiver() as receiver:
		yield listen.push(receiver, "order.*", title="Alpha"), listen.push(receiver, "order.*", title="Beta")


def test_one_notice_for_all_that_came_up(two, post):
	alpha, beta = two
	endpoints.stop(alpha.webhook, endpoints.DISABLED, "It answered 410: it is gone for good.")
	endpoints.stop(beta.webhook, endpoints.PAUSED, "Every call failed for five days.")
	frappe.db.commit()
	alerts.tell()
	(notice,) = post.notices()
	assert (notice.type, notice.subject) == ("Alert", "Integration Hub: 2 webhooks need you")
	assert notice.document_name == alpha.webhook
	assert "Alpha is Disabled. It answered 410: it is gone for good." in notice.email_content
	assert "Beta is Paused. Every call failed for five days." in notice.email_content
	(letter,) = post.letters()
	assert letter["Subject"] == "Integration Hub: 2 webhooks need you"
	assert [post.notices(other) for other in post.others] == [[], []]

	alerts.tell()
	later(61)
	alerts.tell()
	assert (len(post.notices()), len(post.letters())) == (1, 1)


def test_at_most_one_notice_an_hour(two, post):
	alpha, beta = two
	endpoints.stop(alpha.webhook, endpoints.PAUSED, "First")
	frappe.db.commit()
	alerts.tell()
	endpoints.stop(beta.webhook, endpoints.PAUSED, "Second")
	frappe.db.commit()
	alerts.tell()
	later(59)
	alerts.tell()
	assert [notice.document_name for notice in post.notices()] == [alpha.webhook]
	assert told(beta) is None
	later(61)
	alerts.tell()
	assert [notice.document_name for notice in post.notices()] == [alpha.webhook, beta.webhook]
	assert len(post.letters()) == 2


def test_exhausted_deliveries_are_told_once(two, post, site):
	alpha, _beta = two
	write(alpha, 2)
	for row in alpha.deliveries():
		site.set_row(
			"Hub Event Delivery", row.name, status="Exhausted", due_at=None, last_attempt_at=("UTC", -5)
		)
	alerts.tell()
	(notice,) = post.notices()
	assert notice.subject == "Integration Hub: Alpha needs you"
	assert "2 deliveries to Alpha are exhausted." in notice.email_content
	later(61)
	alerts.tell()
	assert len(post.notices()) == 1
	(third,) = write(alpha)
	put(site, alpha, third, status="Exhausted", due_at=None, last_attempt_at=("UTC", 0))
	alerts.tell()
	assert "1 deliveries to Alpha are exhausted." in post.notices()[1].email_content


def test_the_breaker_of_patience_alerts_and_a_person_does_not(two, post, site, people):
	"""Who pauses an endpoint needs no letter about it; one that is stopped by itself is told of, every time."""
	alpha, beta = two
	alpha.update(status="paused")
	manager = people.new(MANAGER)
	assert manager.http.press("Hub Webhook", beta.webhook, "pause", reason="Holidays").status == 200
	alerts.tell()
	assert (post.notices(), post.letters()) == ([], [])

	assert manager.http.press("Hub Webhook", beta.webhook, "resume").status == 200
	site.set_row("Hub Webhook", beta.webhook, failing_since=("UTC", -5 * DAY - 60))
	assert endpoints.note(beta.webhook, Ended(1, 1, "It answered 500.")) is True
	frappe.db.commit()
	alerts.tell()
	(notice,) = post.notices()
	assert "Beta is Paused. Every call failed for five days. The last time: It answered 500." in (
		notice.email_content
	)


def test_what_a_receiver_says_is_shown_as_text(two, post):
	"""Titles and errors come from outside; they make no link and no script in a manager's inbox."""
	alpha, _beta = two
	title = '<a href="https://evil.example">Click</a>'
	frappe.db.set_value("Hub Webhook", alpha.webhook, "title", title)
	endpoints.stop(alpha.webhook, endpoints.PAUSED, '<img src=x onerror="alert(1)">')
	frappe.db.commit()
	alerts.tell()
	(notice,) = post.notices()
	for text in (notice.subject, notice.email_content):
		assert '<a href="https://evil' not in text
		assert "<img" not in text
	assert "&lt;img" in notice.email_content
	(letter,) = post.letters()
	(html,) = (part for part in letter.walk() if part.get_content_type() == "text/html")
	text = html.get_payload(decode=True).decode()
	assert "&lt;img" in text
	assert "&lt;a href=" in text
	assert "<img src=x" not in text
	assert '<a href="https://evil' not in text


def test_without_e_mail_the_notice_is_in_the_desk(two, post, site):
	"""A site without an outgoing e-mail account, as new ones are."""
	alpha, _beta = two
	endpoints.stop(alpha.webhook, endpoints.PAUSED, "Gone")
	frappe.db.commit()
	logged = frappe.db.count("Error Log", {"method": ("like", "%managers could not be told%")})
	with site.configured(mail_server=None, auto_email_id=None, mute_emails=None):
		frappe.local.outgoing_email_account = {}
		alerts.tell()
	assert (len(post.notices()), post.letters()) == (1, [])
	now = frappe.db.count("Error Log", {"method": ("like", "%managers could not be told%")})
	assert now == logged + 1


def test_e_mail_can_be_switched_off(two, post, site):
	alpha, _beta = two
	endpoints.stop(alpha.webhook, endpoints.PAUSED, "Gone")
	frappe.db.commit()
	with site.settings("Hub Settings", alert_by_email=0):
		alerts.tell()
	assert (len(post.notices()), post.letters()) == (1, [])


def test_nobody_is_told_when_all_is_well(two, post):
	alerts.tell()
	assert (post.notices(), post.letters()) == ([], [])
	assert (
		frappe.db.sql("SELECT 1 FROM tabSingles WHERE doctype = 'Hub Settings' AND field = 'alerted_at'")
		== ()
	)
