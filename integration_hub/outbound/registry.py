"""The catalogue of events: every name a webhook can ask for, what it carries, and the documents it comes from."""

from dataclasses import dataclass

from pydantic import BaseModel

from frappe import _

from integration_hub.exceptions import Fault, ValidationFailed
from integration_hub.schemas.events import (
	DocumentEvent,
	FulfillmentEvent,
	InvoiceEvent,
	OrderEvent,
	PaymentEvent,
	RequestEvent,
	StockEvent,
	TestEvent,
)

ORDER, DELIVERY, INVOICE = "Sales Order", "Delivery Note", "Sales Invoice"
PAYMENT, JOURNAL, UNRECONCILED = "Payment Entry", "Journal Entry", "Unreconcile Payment"

# What moves or reserves goods: the levels are looked at once it is committed.
STOCK_SOURCES = ("Stock Ledger Entry", ORDER)

# Frappe's logs, and what holds keys to other doors: no `document.*` event tells of them.
UNTOLD = frozenset(
	{
		"Access Log",
		"Activity Log",
		"API Request Log",
		"Deleted Document",
		"Email Account",
		"Email Queue",
		"Error Log",
		"Integration Request",
		"Notification Log",
		"OAuth Authorization Code",
		"OAuth Bearer Token",
		"OAuth Client",
		"Permission Log",
		"Route History",
		"Scheduled Job Log",
		"Social Login Key",
		"Token Cache",
		"User Social Login",
		"Version",
		"View Log",
		"Webhook",
		"Webhook Request Log",
	}
)

DOCUMENT = "document."
STOCK = "stock.changed"
TEST = "webhook.test"


@dataclass(frozen=True)
class EventType:
	"""One name of the catalogue.

	Attributes:
		summary: when it is raised; in English, translated where it is shown.
		data: the shape of its `data`.
		scope: what a system needs to be told.
		sources: DocTypes whose document events can raise it.
	"""

	name: str
	summary: str
	data: type[BaseModel]
	scope: str
	sources: tuple[str, ...] = ()


_MOVES = (DELIVERY, INVOICE)
_PAYS = (PAYMENT, INVOICE, JOURNAL, UNRECONCILED)

EVENTS: tuple[EventType, ...] = (
	EventType("order.created", "An order was saved as a draft", OrderEvent, "orders:read", (ORDER,)),
	EventType("order.submitted", "An order was placed", OrderEvent, "orders:read", (ORDER,)),
	EventType("order.updated", "An order was changed", OrderEvent, "orders:read", (ORDER,)),
	EventType("order.cancelled", "An order was cancelled", OrderEvent, "orders:read", (ORDER,)),
	EventType("order.deleted", "A draft or cancelled order was deleted", OrderEvent, "orders:read", (ORDER,)),
	EventType(
		"order.partially_fulfilled",
		"A part of an order is delivered, after a delivery, its return or cancellation",
		OrderEvent,
		"orders:read",
		_MOVES,
	),
	EventType("order.fulfilled", "All of an order is delivered", OrderEvent, "orders:read", _MOVES),
	EventType(
		"order.unfulfilled", "Nothing of an order is delivered any more", OrderEvent, "orders:read", _MOVES
	),
	EventType(
		"order.partially_billed",
		"A part of an order is billed, after an invoice or its cancellation",
		OrderEvent,
		"orders:read",
		(INVOICE,),
	),
	EventType("order.billed", "All of an order is billed", OrderEvent, "orders:read", (INVOICE,)),
	EventType(
		"order.unbilled", "Nothing of an order is billed any more", OrderEvent, "orders:read", (INVOICE,)
	),
	EventType(
		"order.paid", "All of an order is billed and its invoices are paid", OrderEvent, "orders:read", _PAYS
	),
	EventType("fulfillment.created", "Goods were delivered", FulfillmentEvent, "sales:read", (DELIVERY,)),
	EventType(
		"fulfillment.updated",
		"A delivery was changed, such as its tracking number",
		FulfillmentEvent,
		"sales:read",
		(DELIVERY,),
	),
	EventType(
		"fulfillment.returned", "Delivered goods came back", FulfillmentEvent, "sales:read", (DELIVERY,)
	),
	EventType(
		"fulfillment.cancelled",
		"A delivery or return was cancelled",
		FulfillmentEvent,
		"sales:read",
		(DELIVERY,),
	),
	EventType("invoice.submitted", "An invoice was issued", InvoiceEvent, "sales:read", (INVOICE,)),
	EventType("invoice.partially_paid", "A part of an invoice is paid", InvoiceEvent, "sales:read", _PAYS),
	EventType("invoice.paid", "Nothing of an invoice is owed any more", InvoiceEvent, "sales:read", _PAYS),
	EventType(
		"invoice.unpaid",
		"A payment of an invoice was cancelled or taken off it, and nothing of it is paid any more",
		InvoiceEvent,
		"sales:read",
		_PAYS,
	),
	EventType(
		"invoice.cancelled", "An invoice or credit note was cancelled", InvoiceEvent, "sales:read", (INVOICE,)
	),
	EventType("credit_note.submitted", "A credit note was issued", InvoiceEvent, "sales:read", (INVOICE,)),
	EventType("payment.received", "A customer's payment was booked", PaymentEvent, "sales:read", (PAYMENT,)),
	EventType(
		"payment.refunded", "Money was paid back to a customer", PaymentEvent, "sales:read", (PAYMENT,)
	),
	EventType(
		"payment.cancelled", "A payment or refund was cancelled", PaymentEvent, "sales:read", (PAYMENT,)
	),
	EventType(
		STOCK,
		"What is available of an item in a warehouse changed; several changes at once are one event",
		StockEvent,
		"stock:read",
		STOCK_SOURCES,
	),
	EventType(
		"request.completed",
		"A call that was accepted for later, or tried again by the hub, has succeeded",
		RequestEvent,
		"requests:read",
	),
	EventType(
		"request.failed",
		"A call that was accepted for later, or tried again by the hub, has failed for good",
		RequestEvent,
		"requests:read",
	),
	EventType("document.created", "A document was saved for the first time", DocumentEvent, "documents:read"),
	EventType("document.updated", "A document was changed", DocumentEvent, "documents:read"),
	EventType("document.submitted", "A document was submitted", DocumentEvent, "documents:read"),
	EventType("document.cancelled", "A document was cancelled", DocumentEvent, "documents:read"),
	EventType("document.deleted", "A document was deleted", DocumentEvent, "documents:read"),
	EventType("document.renamed", "A document was renamed or merged", DocumentEvent, "documents:read"),
)

BY_NAME = {event.name: event for event in EVENTS}
# Sent on request only, so nobody subscribes to it.
TEST_EVENT = EventType(TEST, "Somebody tried the webhook out", TestEvent, "webhooks:read")


def matching(pattern: str) -> list[EventType]:
	"""Return the events a pattern stands for: `order.submitted`, `order.*`, or `*` for all but document.*."""
	if pattern == "*":
		return [event for event in EVENTS if not event.name.startswith(DOCUMENT)]
	if pattern in BY_NAME:
		return [BY_NAME[pattern]]
	area, rest = pattern.partition(".")[::2]
	return [event for event in EVENTS if rest == "*" and event.name.startswith(f"{area}.")]


def unknown_event(name: str, pointer: str) -> Fault:
	"""Return the fault of a name that is none of the catalogue's."""
	message = _("There is no event {0}. docs/event-catalogue.md lists them all.").format(name)
	return Fault(pointer, message, "unknown_event")


def check_name(name: str | None, pointer: str) -> None:
	"""Refuse a name that is none of the catalogue's; None passes.

	Raises:
		ValidationFailed
	"""
	if name and name not in BY_NAME:
		fault = unknown_event(name, pointer)
		raise ValidationFailed(fault.message, errors=[fault])


def patterns() -> list[str]:
	"""Return every name and pattern a webhook can ask for."""
	areas = dict.fromkeys(f"{event.name.split('.')[0]}.*" for event in EVENTS)
	return ["*", *areas, *BY_NAME]
