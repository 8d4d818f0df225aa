"""The problem document every error answers with (RFC 9457)."""

from pydantic import Field

from integration_hub.schemas.values import AnswerModel


class FaultAnswer(AnswerModel):
	pointer: str = Field(description="RFC 6901 JSON pointer into the body, or `?name` of a query parameter")
	message: str
	code: str


class Problem(AnswerModel):
	type: str = Field(description="Where the code is explained")
	title: str
	status: int
	detail: str = Field(description="What is wrong and what to do")
	instance: str | None = None
	code: str = Field(description="Stable; listed in docs/errors.md")
	retryable: bool = Field(description="Whether the same call, unchanged, may succeed later")
	errors: list[FaultAnswer]
	request_id: str
	exc_type: str
