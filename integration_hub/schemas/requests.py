"""Requests and answers of `requests.*` and `system.*`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from integration_hub.schemas.values import AnswerModel, ExternalId, Model, Name


class RequestGet(Model):
	"""Query: a request by its id."""

	id: Name = Field(description="`id` of an answer, or of a Location header")


class RequestRetry(Model):
	"""A failed or waiting request to be tried again."""

	id: Name


class RequestCancel(Model):
	"""A request that has not begun, or a batch, to be taken out of the queue."""

	id: Name


Status = Literal["Queued", "Processing", "Retry Scheduled", "Completed", "Failed", "Cancelled"]


class RequestsList(Model):
	"""Query: requests of the calling system, the newest first."""

	cursor: Annotated[str, Field(max_length=1000)] | None = Field(
		None, description="`next_cursor` of the page before; absent: from the newest"
	)
	limit: Annotated[int, Field(ge=1, le=500)] = 100
	status: Status | None = None
	external_id: ExternalId | None = Field(None, description="Only requests of this id")
	batch: Name | None = Field(None, description="Only requests that came with this batch")


class DocumentAnswer(AnswerModel):
	doctype: str
	name: str
	role: str


class MadeDocument(AnswerModel):
	doctype: str
	name: str


class StepAnswer(AnswerModel):
	step: str
	status: str
	doctype: str | None
	name: str | None
	error: str | None


class ItemAnswer(AnswerModel):
	"""What became of one item of a batch."""

	index: int = Field(description="Its place in the batch, from 0")
	external_id: str | None
	request: str | None = Field(description="The request it became; null where it was refused at once")
	status: Status
	http_status: int | None
	document: MadeDocument | None
	error: dict[str, Any] | None = Field(description="The problem document of the last failure")


class Progress(AnswerModel):
	"""How many items of a batch are in which state; what is refused counts as failed."""

	total: int
	completed: int
	failed: int
	cancelled: int
	waiting: int = Field(description="Not begun, under way, or to be tried again")


class BatchAnswer(AnswerModel):
	"""A batch all of whose items have come to rest; `requests.get` has the outcome of each."""

	id: str
	progress: Progress


class Accepted(AnswerModel):
	"""202: the work follows; `requests.get` tells how it goes."""

	id: str
	status: Status


class _Request(AnswerModel):
	"""What every answer tells of a Hub Request; times in UTC."""

	id: str
	operation: str
	topic: str | None = Field(description="Of a webhook that came: what it tells")
	route: str | None = Field(description="Of a webhook that came: the call it becomes")
	status: Status
	http_status: int | None
	external_id: str | None
	batch: str | None = Field(description="The batch it came with")
	attempts: int
	next_attempt_at: str | None
	created_at: str
	completed_at: str | None


class RequestSummary(_Request):
	"""A Hub Request in a list."""

	error_code: str | None
	error_message: str | None
	document: MadeDocument | None


class RequestPage(AnswerModel):
	"""A page of requests, the newest first."""

	result: list[RequestSummary]
	next_cursor: str | None = Field(description="Older ones; null: there are none")
	prev_cursor: str | None = Field(description="Newer ones")
	result_count: int


class RequestAnswer(_Request):
	"""A Hub Request."""

	error: dict[str, Any] | None = Field(description="The problem document of the last failure")
	answer: dict[str, Any] | None = Field(description="`message` of the answer, once completed")
	documents: list[DocumentAnswer]
	steps: list[StepAnswer]
	progress: Progress | None = Field(description="Of a batch")
	items: list[ItemAnswer] | None = Field(description="Of a batch: one outcome each, as they were sent")


class Nothing(Model):
	"""No parameters."""


class Ping(AnswerModel):
	system: str
	app_version: str
	frappe_version: str
	time: str = Field(description="Now, in the site's time zone")
