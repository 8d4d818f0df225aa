"""What events carry, and the requests and answers of `events.*`."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from integration_hub.schemas.orders import OrderAnswer
from integration_hub.schemas.requests import RequestAnswer
from integration_hub.schemas.sales import FulfillmentAnswer, InvoiceAnswer, SalesPaymentAnswer
from integration_hub.schemas.values import AnswerModel, Model, Name, Time


class DocumentId(AnswerModel):
	"""A document, by its name here and by the system's own id of it."""

	name: str
	external_id: str | None


class OrderEvent(AnswerModel):
	order: OrderAnswer


class FulfillmentEvent(AnswerModel):
	fulfillment: FulfillmentAnswer
	orders: list[DocumentId] = Field(description="What it delivers, or takes back")


class InvoiceEvent(AnswerModel):
	invoice: InvoiceAnswer
	orders: list[DocumentId] = Field(description="What it bills, or credits")


class PaymentEvent(AnswerModel):
	payment: SalesPaymentAnswer


class StockLevel(AnswerModel):
	item_code: str
	warehouse: str
	actual: float = Field(description="What is there, in the item's stock unit")
	reserved: float = Field(description="What submitted orders have promised of it")
	available: float = Field(description="Available to promise: actual − reserved; negative when oversold")
	unit: str | None = Field(description="The item's stock unit")


class StockEvent(AnswerModel):
	stock: StockLevel


class RequestEvent(AnswerModel):
	request: RequestAnswer


class ChangedDocument(AnswerModel):
	doctype: str
	name: str
	docstatus: int
	old_name: str | None = Field(None, description="After a rename: what it was called before")
	fields: dict[str, Any] = Field(description="The chosen fields the system's user may read")


class DocumentEvent(AnswerModel):
	document: ChangedDocument


class TestEvent(AnswerModel):
	message: str


class EventAnswer(AnswerModel):
	"""An event as it is sent, with its id."""

	id: str = Field(description="The same in every delivery: the header `webhook-id`")
	type: str
	timestamp: str = Field(description="When it happened, in UTC")
	data: dict[str, Any]


class EventList(AnswerModel):
	"""A page of the stream of events, in the order they were committed."""

	result: list[EventAnswer]
	next_cursor: str | None = Field(description="Keep it: it goes on where this page ends, also later")
	prev_cursor: str | None
	result_count: int


class EventsList(Model):
	"""Query: events of the calling system, oldest first."""

	cursor: Annotated[str, Field(max_length=1000)] | None = Field(
		None, description="`next_cursor` of the page before; absent: from the oldest event kept"
	)
	limit: Annotated[int, Field(ge=1, le=500)] = 100
	type: Name | None = Field(None, description="Only events of this name, such as order.submitted")


class EventGet(Model):
	"""Query: an event by its id."""

	id: Name


class EventsReplay(Model):
	"""Deliver events again, under the ids they had: by id, or all of a time, or both at one webhook."""

	ids: Annotated[list[Name], Field(min_length=1, max_length=1000)] | None = None
	since: Time | None = Field(None, description="Events from this moment on")
	until: Time | None = Field(None, description="Events before this moment; default: now")
	webhook: Name | None = Field(None, description="Only to this webhook; default: to all that want them")
	type: Name | None = Field(None, description="Only events of this name")


class ReplayAnswer(AnswerModel):
	replayed: int = Field(description="Deliveries that are due again")
	skipped: int = Field(description="Deliveries under way at this moment; they are not started twice")


def utc(moment: datetime) -> str:
	"""Return a naive UTC datetime as ISO 8601 with Z and microseconds."""
	return f"{moment.isoformat(timespec='microseconds')}Z"
