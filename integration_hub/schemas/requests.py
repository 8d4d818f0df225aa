"""Requests and answers of `requests.*` and `system.*`."""

from typing import Any, Literal

from pydantic import Field

from integration_hub.schemas.values import AnswerModel, Model, Name


class RequestGet(Model):
	"""Query: a request by its id."""

	id: Name = Field(description="`id` of an answer, or of a Location header")


class RequestRetry(Model):
	"""A failed or waiting request to be tried again."""

	id: Name


class DocumentAnswer(AnswerModel):
	doctype: str
	name: str
	role: str


class StepAnswer(AnswerModel):
	step: str
	status: str
	doctype: str | None
	name: str | None
	error: str | None


class RequestAnswer(AnswerModel):
	"""A Hub Request; times in UTC."""

	id: str
	operation: str
	status: Literal["Queued", "Processing", "Retry Scheduled", "Completed", "Failed", "Cancelled"]
	http_status: int | None
	external_id: str | None
	attempts: int
	next_attempt_at: str | None
	created_at: str
	completed_at: str | None
	error: dict[str, Any] | None = Field(description="The problem document of the last failure")
	answer: dict[str, Any] | None = Field(description="`message` of the answer, once completed")
	documents: list[DocumentAnswer]
	steps: list[StepAnswer]


class Nothing(Model):
	"""No parameters."""


class Ping(AnswerModel):
	system: str
	app_version: str
	frappe_version: str
	time: str = Field(description="Now, in the site's time zone")
