"""Problem documents (RFC 9457) from errors. Pure."""

from integration_hub.exceptions import HubError

CONTENT_TYPE = "application/problem+json"
DOCS = "https://github.com/integration-hub/integration_hub/blob/main/docs/errors.md"


def problem(error: HubError, *, request_id: str, instance: str | None = None) -> dict:
	"""Return the problem document for `error`: RFC 9457 members plus `code`, `retryable`, `errors`, `request_id`.

	Args:
		request_id: the correlation id of the call.
		instance: where the request can be read, or the path that was called.
	"""
	document = {
		"type": f"{DOCS}#{error.code}",
		"title": error.title,
		"status": error.http_status,
		"detail": error.message or error.title,
		"code": error.code,
		"retryable": error.retryable,
		"errors": [vars(fault) for fault in error.errors],
		"request_id": request_id,
	}
	if instance:
		document["instance"] = instance
	return {**error.details, **document}


def with_frappe_members(document: dict) -> dict:
	"""Add the members that existing Frappe clients read (`exc_type`, `_server_messages`)."""
	import json

	message = {"message": document["detail"], "title": document["title"], "indicator": "red"}
	return {
		**document,
		"exc_type": "".join(part.title() for part in document["code"].split("_")),
		"_server_messages": json.dumps([json.dumps(message)]),
	}
