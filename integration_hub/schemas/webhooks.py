"""Requests and answers of `webhooks.*`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from integration_hub.schemas.values import AnswerModel, ExternalId, Model, Name


def _of_documents(event: str) -> str:
	if not event.startswith("document."):
		raise PydanticCustomError(
			"not_a_document_event", "Name an event of documents, such as document.updated or document.*"
		)
	return event


def _of_business(event: str) -> str:
	if event.startswith("document."):
		raise PydanticCustomError(
			"not_a_business_event", "Name events of documents in documents, each with its document_type"
		)
	return event


_Event = Annotated[str, Field(min_length=1, max_length=140)]
EventName = Annotated[_Event, AfterValidator(_of_business)]
DocumentEventName = Annotated[_Event, AfterValidator(_of_documents)]


class DocumentPattern(Model):
	"""Events of any DocType the system's user may read."""

	event: DocumentEventName = Field(description="document.created, document.updated …, or document.*")
	document_type: Name
	fields: Annotated[list[Name], Field(max_length=500)] | None = Field(
		None, description="Default: all readable ones"
	)


class _Webhook(Model):
	title: Name | None = Field(None, description="For people; default: the URL's host")
	url: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
	events: Annotated[list[EventName], Field(max_length=100)] | None = Field(
		None, description="Names such as order.submitted, or patterns: order.*, or *"
	)
	documents: Annotated[list[DocumentPattern], Field(max_length=100)] | None = None
	condition: Annotated[str, Field(max_length=1000)] | None = Field(
		None, description="JMESPath over the event's data; only events for which it is true are sent"
	)
	format: Literal["standard", "cloudevents"] | None = None
	content: Literal["full", "thin"] | None = None
	field_map: Name | None = Field(None, description="A Hub Field Map that reshapes the data")
	ordered: bool | None = Field(None, description="For each document, one event waits for the one before it")
	echo: bool | None = Field(None, description="Also what the system's own calls caused")
	concurrency: Annotated[int, Field(ge=1, le=32)] | None = None


class WebhookCreate(_Webhook):
	"""A new endpoint of the calling system. The answer shows the secret, once."""

	external_id: ExternalId | None = Field(
		None,
		description="Your own id of it: the same call again finds the webhook instead of making a second",
	)
	mode: Literal["push", "pull"] = Field("push", description="pull: kept for events.list, sent nowhere")

	@model_validator(mode="after")
	def _complete(self):
		if not self.events and not self.documents:
			raise PydanticCustomError("nothing_wanted", "Name at least one event, in events or documents")
		if (self.mode == "push") != bool(self.url):
			raise PydanticCustomError(
				"url_and_mode", "A webhook that is pushed to needs a url; one to pull has none"
			)
		return self


class WebhookUpdate(_Webhook):
	"""What to change of a webhook; what is left out stays, null clears it."""

	id: Name
	status: Literal["active", "paused"] | None = Field(
		None, description="paused: events are kept and held; active: all that was held is sent"
	)


class WebhookId(Model):
	id: Name


class WebhookRotate(WebhookId):
	overlap_hours: Annotated[int, Field(ge=0, le=720)] = Field(
		24, description="How long the old secret signs as well"
	)


class NoQuery(Model):
	"""No parameters."""


class WebhookHealth(AnswerModel):
	"""Times in UTC."""

	last_success_at: str | None
	last_failure_at: str | None
	failing_since: str | None
	last_error: str | None
	suspended_until: str | None
	deliveries: dict[str, int] = Field(description="How many are in each state")


class WebhookAnswer(AnswerModel):
	id: str
	external_id: str | None
	title: str
	mode: Literal["push", "pull"]
	status: Literal["active", "paused", "disabled"]
	paused_because: str | None
	url: str | None
	events: list[str]
	documents: list[dict]
	condition: str | None
	format: Literal["standard", "cloudevents"]
	content: Literal["full", "thin"]
	field_map: str | None
	ordered: bool
	echo: bool
	concurrency: int
	health: WebhookHealth
	secret: str | None = Field(None, description="After creation and rotation only: shown once")


class WebhookList(AnswerModel):
	result: list[WebhookAnswer]
	next_cursor: str | None
	prev_cursor: str | None
	result_count: int


class WebhookDeleted(AnswerModel):
	id: str
	deleted: bool


class WebhookTested(AnswerModel):
	event: str = Field(description="Id of the test event")
	delivered: bool
	http_status: int | None
	error: str | None
	response: str | None = Field(description="The first 16 KiB of the answer")
	duration_ms: int


class WebhookReceive(BaseModel):
	"""What another platform sends, as it sends it. Needs no credentials: the platform's signature vouches for it.

	Set up in the Connected System, tab *Webhooks in*.
	"""

	model_config = ConfigDict(extra="allow")


class WebhookReceived(AnswerModel):
	"""`id` when it was kept, `ignored` when nothing was to be kept of it."""

	id: str | None = Field(None, description="The Hub Request; of several, the first")
	ignored: str | None = Field(None, description="Why nothing is kept, such as a topic without a line")
