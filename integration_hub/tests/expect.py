"""What every refusal must look like, and that it left nothing behind."""

import json
from contextlib import contextmanager

from integration_hub.tests import site
from integration_hub.tests.stack import Answer

PROBLEM = "application/problem+json"


def problem(answer: Answer, status: int, code: str, pointers: list[str] | None = None) -> dict:
	"""Assert that an answer is this problem, whole and well formed, and return it.

	Args:
		pointers: the faulty places, all of them and in this order; None: not looked at.
	"""
	assert answer.status == status, answer
	assert answer.headers["Content-Type"].split(";")[0] == PROBLEM, answer
	body = answer.body
	assert body["code"] == code, answer
	assert body["status"] == status
	assert body["type"].endswith(f"/docs/errors.md#{code}")
	assert body["title"] and body["detail"]
	assert body["request_id"] == answer.headers["X-Request-Id"]
	assert json.loads(json.loads(body["_server_messages"])[0])["message"] == body["detail"]
	assert "Traceback" not in answer.content.decode()
	assert all(fault["message"] and fault["code"] for fault in body["errors"])
	if pointers is not None:
		assert answer.pointers == pointers, answer
	return body


@contextmanager
def nothing_made(*more: str):
	"""Assert that the block adds no document (and none of the DocTypes in `more`)."""
	site.let_workers_end()
	before = site.census(*more)
	yield
	assert site.grown(before) == {}


def only_turned_away(system: str, before: int, status: int, code: str) -> dict:
	"""Assert that exactly one log row was added since there were `before`, for a call that never became a request."""
	rows = site.log_rows(system)
	assert len(rows) == before + 1, [row.hub_error_code for row in rows[before:]]
	row = rows[-1]
	assert (row.status, row.hub_http_status, row.hub_error_code) == ("Failed", status, code)
	assert row.hub_request is None
	assert row.hub_direction == "In"
	return row


def free_of(row: dict, *secrets: str) -> None:
	"""Assert that no column of a row holds any of these texts."""
	text = json.dumps(row, default=str)
	for secret in secrets:
		assert secret not in text
