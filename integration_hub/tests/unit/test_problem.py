"""Problem documents: RFC 9457, and what Frappe's own clients read."""

import json

import pytest

from integration_hub import exceptions
from integration_hub.core.problem import CONTENT_TYPE, DOCS, problem, with_frappe_members
from integration_hub.exceptions import Fault, HubError, RequestInProgress, TotalsDiffer, ValidationFailed
from integration_hub.schemas.problem import Problem


def all_errors() -> list[type[HubError]]:
	found, pending = [], [HubError]
	while pending:
		cls = pending.pop()
		found.append(cls)
		pending.extend(cls.__subclasses__())
	return found


def test_a_whole_problem():
	error = ValidationFailed("/lines: too short", errors=[Fault("/lines", "too short", "too_short")])
	assert problem(error, request_id="R", instance="/x") == {
		"type": f"{DOCS}#validation_failed",
		"title": "The input is not valid",
		"status": 422,
		"detail": "/lines: too short",
		"code": "validation_failed",
		"retryable": False,
		"errors": [{"pointer": "/lines", "message": "too short", "code": "too_short"}],
		"request_id": "R",
		"instance": "/x",
	}


def test_a_pointer_makes_one_fault_of_the_errors_own_code():
	error = TotalsDiffer("They differ", pointer="/totals/grand")
	assert problem(error, request_id="R")["errors"] == [
		{"pointer": "/totals/grand", "message": "They differ", "code": "totals_differ"}
	]


def test_without_a_message_the_title_tells():
	document = problem(RequestInProgress(), request_id="R")
	assert document["detail"] == document["title"] == "The first call is still running"
	assert "instance" not in document and document["errors"] == []


def test_details_never_overwrite_the_contract():
	error = TotalsDiffer("x", details={"totals": {"net": 1}, "status": 200, "code": "ok", "request_id": "Z"})
	document = problem(error, request_id="R")
	assert document["totals"] == {"net": 1}
	assert (document["status"], document["code"], document["request_id"]) == (422, "totals_differ", "R")


def test_members_for_frappes_clients():
	document = with_frappe_members(problem(TotalsDiffer("Sie «differieren»"), request_id="R"))
	assert document["exc_type"] == "TotalsDiffer"
	[message] = json.loads(document["_server_messages"])
	assert json.loads(message) == {
		"message": "Sie «differieren»",
		"title": "The totals differ",
		"indicator": "red",
	}


@pytest.mark.parametrize("cls", all_errors(), ids=lambda cls: cls.__name__)
def test_every_error_makes_a_document_of_the_schema(cls):
	document = with_frappe_members(problem(cls("m", pointer=""), request_id="R"))
	document.pop("_server_messages")
	Problem.model_validate(document)
	assert document["status"] == cls.http_status == cls("m").http_status_code
	assert document["code"] == cls.code
	assert (cls.title and cls.title != "Error") or cls in _INNER


# Nodes of the tree that are never raised themselves.
_INNER = (
	exceptions.HubError,
	exceptions.BadRequest,
	exceptions.Forbidden,
	exceptions.Conflict,
	exceptions.Unprocessable,
	exceptions.Unavailable,
)


def test_codes_and_statuses_are_those_of_the_contract():
	codes = exceptions.all_codes()
	assert {code: codes[code] for code in CONTRACT} == CONTRACT
	assert all(400 <= status < 600 for status in codes.values())


CONTRACT = {
	"malformed_json": 400,
	"idempotency_key_required": 400,
	"idempotency_key_malformed": 400,
	"not_authenticated": 401,
	"system_not_connected": 403,
	"scope_missing": 403,
	"address_not_allowed": 403,
	"permission_denied": 403,
	"not_found": 404,
	"request_in_progress": 409,
	"external_id_conflict": 409,
	"state_conflict": 409,
	"payload_too_large": 413,
	"idempotency_key_reused": 422,
	"validation_failed": 422,
	"totals_differ": 422,
	"rate_limited": 429,
	"internal_error": 500,
	"temporarily_unavailable": 503,
	"paused": 503,
}


def test_what_may_succeed_later_says_so():
	retryable = {cls.code for cls in all_errors() if cls.retryable and cls not in _INNER}
	assert retryable == {
		"request_in_progress",
		"rate_limited",
		"internal_error",
		"temporarily_unavailable",
		"paused",
	}
	transient = {cls.__name__ for cls in all_errors() if cls.transient}
	assert transient == {"ReferenceBusy", "TemporarilyUnavailable", "WorkUndone"}


def test_content_type():
	assert CONTENT_TYPE == "application/problem+json"
