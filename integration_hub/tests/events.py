"""Who listens to events in tests: systems with webhooks, and what the outbox holds for them.

def test_a_draft(listen, factory):
	ear = listen.pull("order.*")               # a system of its own, whose webhook keeps events and sends none
	…
	assert ear.heard() == ["order.created"]    # all since the last look, in order: nothing else may have happened

def test_a_call(listen):
	with Receiver() as receiver:
		ear = listen.push(receiver, "order.*", echo=True)   # Hub Settings are open for it until the test ends
		…
		receiver.wait(1)
"""

import json
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import frappe
from frappe import _dict
from frappe.utils import nowdate

from erpnext.accounts.doctype.payment_entry.payment_entry import get_payment_entry

from integration_hub.core import prefetch
from integration_hub.tests import site
from integration_hub.tests.factories import CUSTOMER
from integration_hub.tests.receivers import Receiver
from integration_hub.tests.systems import System, Systems


@dataclass
class Ear:
	"""A system, one of its webhooks, and the events it is told of.

	Attributes:
		webhook: the webhook's id.
		secret: what its deliveries are signed with; None: it is only pulled.
		made: the whole answer of `webhooks.create`.
	"""

	system: System
	webhook: str
	secret: str | None = field(repr=False)
	made: dict = field(repr=False)
	_seen: set[str] = field(default_factory=set, repr=False)

	@property
	def http(self):
		return self.system.http

	def events(self, *names: str) -> list[_dict]:
		"""Return the system's Hub Events (of these names) in the order they were written; see `events_of`."""
		return [row for row in events_of(self.system.name) if not names or row.event in names]

	def news(self) -> list[_dict]:
		"""Return the events since the last look, in the order they were written."""
		rows = [row for row in self.events() if row.name not in self._seen]
		self._seen.update(row.name for row in rows)
		return rows

	def heard(self) -> list[str]:
		"""Return the names of the events since the last look."""
		return [row.event for row in self.news()]

	def one(self, name: str | None = None) -> _dict:
		"""Return the only event since the last look (of this name; the others are looked at, too)."""
		rows = [row for row in self.news() if name in (None, row.event)]
		assert len(rows) == 1, [row.event for row in rows]
		return rows[0]

	def deliveries(self, **filters) -> list[_dict]:
		"""Return the Hub Event Deliveries of the webhook, in the order they were written."""
		site.refresh()
		return frappe.get_all(
			"Hub Event Delivery",
			filters={"webhook": self.webhook, **filters},
			fields=["*"],
			order_by="occurred_at asc, creation asc, name asc",
		)

	def update(self, **changes):
		"""Change the webhook through the API, as its system does, and return the answer."""
		answer = self.http.post("webhooks.update", {"id": self.webhook, **changes})
		assert answer.status == 200, answer
		new_request()
		return answer


class Listening:
	"""Makes systems that listen; on leaving, all they were told is removed and Hub Settings are as before."""

	def __init__(self, systems: Systems):
		self.systems = systems
		self._listening: set[str] = set()
		self._opened = ExitStack()

	def __enter__(self) -> "Listening":
		return self

	def __exit__(self, *_exc) -> None:
		site.refresh()
		for system in self._listening:
			forget(system)
		self._opened.close()

	def made_elsewhere(self, system: System) -> System:
		"""Have a system that gets its webhooks in another way, as in the Desk, cleaned up after as well."""
		self._listening.add(system.name)
		return system

	def pull(self, *events: str, system: System | None = None, **webhook) -> Ear:
		"""Make a webhook that keeps these events and patterns for events.list.

		Args:
			system: whose; by default one of its own, with every scope.
			webhook: more of `webhooks.create`: documents, condition, echo, content, format, field_map, external_id …
		"""
		return self._make(system, {"mode": "pull", "events": list(events), **webhook})

	def push(
		self, receiver: Receiver, *events: str, system: System | None = None, path: str = "/hook", **webhook
	) -> Ear:
		"""Make a webhook that sends to a receiver on the loopback, which Hub Settings allow while the test lasts."""
		self.open_for(receiver.port)
		return self._make(system, {"url": receiver.url + path, "events": list(events), **webhook})

	def open_for(self, *ports: int) -> None:
		"""Let webhooks reach plain HTTP at ports of the loopback, too, until the test ends."""
		known = (frappe.db.get_single_value("Hub Settings", "webhook_ports") or "").split()
		self._opened.enter_context(
			site.settings(
				"Hub Settings",
				webhook_allow_http=1,
				webhook_ports="\n".join([*known, *map(str, ports)]),
				webhook_allowed_networks="127.0.0.0/8",
			)
		)

	def _make(self, system: System | None, body: dict) -> Ear:
		system = system or self.systems.new()
		self._listening.add(system.name)
		answer = system.http.post("webhooks.create", body)
		assert answer.status == 201, answer
		new_request()
		return Ear(system, answer.message["id"], answer.message.get("secret"), answer.message)


def events_of(system: str) -> list[_dict]:
	"""Return a system's Hub Events as committed, in the order they were written, each also with its parsed `payload` as
	`body`, and its `data`."""
	site.refresh()
	rows = frappe.db.sql(
		"SELECT * FROM `tabHub Event` WHERE `system` = %s ORDER BY occurred_at, creation, name",
		(system,),
		as_dict=True,
	)
	for row in rows:
		row.body = json.loads(row.payload)
		row.data = row.body["data"]
	return rows


def new_request() -> None:
	"""Let this process look at the subscriptions again, as each web request does when it begins."""
	prefetch.forget()


@contextmanager
def by_hand(user: str | None = None):
	"""Save documents in this process as a person does in the Desk, in one request: committed at the end.

	Args:
		user: who; default: the tests' own user, who has every role.
	"""
	before = frappe.session.user
	site.refresh()
	new_request()
	if user:
		frappe.set_user(user)
	try:
		yield
		frappe.db.commit()
	finally:
		frappe.db.rollback()
		if user:
			frappe.set_user(before)


def forget(system: str) -> None:
	"""Remove a system's webhooks and what was captured for them."""
	frappe.db.rollback()
	for name in frappe.get_all("Hub Webhook", {"system": system}, pluck="name"):
		# Nobody begins anything with it any more, and what is under way ends.
		frappe.db.set_value("Hub Webhook", name, "status", "Disabled")
		frappe.db.commit()
		for last in (False, False, True):
			try:
				frappe.delete_doc("Hub Webhook", name, ignore_permissions=True, force=True)
				frappe.db.commit()
				break
			except frappe.QueryDeadlockError:
				frappe.db.rollback()
				if last:
					raise
				time.sleep(1)
	for table in ("tabHub Event Delivery", "tabHub Event"):
		frappe.db.sql(f"DELETE FROM `{table}` WHERE `system` = %s", (system,))
	if not frappe.db.count("Hub Webhook"):
		# The first to ask for stock again takes the levels of that day as told.
		frappe.db.sql("DELETE FROM `tabHub Stock Level`")
	frappe.db.commit()
	new_request()


class Desk:
	"""A person's documents, each saved in a request of its own."""

	def __init__(self, masters, item: str):
		self.masters, self.item = masters, item

	def order(self, quantity: float = 4, submit: bool = True, **values):
		row = {"item_code": self.item, "qty": quantity, "rate": 10, "warehouse": self.masters.warehouse}
		doc = frappe.get_doc(
			{
				"doctype": "Sales Order",
				"company": self.masters.company,
				"customer": CUSTOMER,
				"delivery_date": nowdate(),
				"items": [row],
				**values,
			}
		)
		return self.saved(doc, submit)

	def invoice(self, quantity: float, rate: float, **values):
		row = {"item_code": self.item, "qty": quantity, "rate": rate, "warehouse": self.masters.warehouse}
		head = {"company": self.masters.company, "customer": CUSTOMER, "items": [row], **values}
		return self.saved(frappe.get_doc({"doctype": "Sales Invoice", **head}))

	def saved(self, doc, submit: bool = True):
		with by_hand():
			doc.insert()
			if submit:
				doc.submit()
		return doc

	def journal(self, invoice, amount: float):
		receivable = {"account": invoice.debit_to, "party_type": "Customer", "party": invoice.customer}
		pays = {"reference_type": "Sales Invoice", "reference_name": invoice.name}
		rows = [
			{"account": self.masters.cash, "debit_in_account_currency": amount},
			{**receivable, **pays, "credit_in_account_currency": amount},
		]
		return self.saved(
			frappe.get_doc(
				{
					"doctype": "Journal Entry",
					"company": self.masters.company,
					"posting_date": nowdate(),
					"accounts": rows,
				}
			)
		)

	def payment_on_account(self, customer: str, amount: float):
		"""Take a customer's money without saying what for."""
		head = {
			"doctype": "Payment Entry",
			"payment_type": "Receive",
			"reference_no": "1",
			"reference_date": nowdate(),
		}
		money = {"paid_to": self.masters.cash, "paid_amount": amount, "received_amount": amount}
		party = {"party_type": "Customer", "party": customer, "company": self.masters.company}
		return self.saved(frappe.get_doc({**head, **money, **party}))

	def reconcile(self, invoice, payment) -> None:
		"""Set money taken before against an invoice, in ERPNext's tool for it."""
		tool = frappe.get_doc("Payment Reconciliation")
		party = {"party_type": "Customer", "party": invoice.customer, "company": invoice.company}
		tool.update({**party, "receivable_payable_account": invoice.debit_to})
		with by_hand():
			tool.get_unreconciled_entries()
			paid = [row.as_dict() for row in tool.payments if row.reference_name == payment.name]
			owed = [row.as_dict() for row in tool.invoices if row.invoice_number == invoice.name]
			tool.allocate_entries(frappe._dict(payments=paid, invoices=owed))
			tool.reconcile()

	def payment(self, invoice: str, submit: bool = True):
		entry = get_payment_entry("Sales Invoice", invoice)
		entry.update({"reference_no": "1", "reference_date": nowdate()})
		return self.saved(entry, submit)

	def cancel(self, doc) -> None:
		with by_hand():
			doc.reload()
			doc.cancel()
