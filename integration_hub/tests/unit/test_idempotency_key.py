"""The header Idempotency-Key: bare, or quoted as the IETF draft has it."""

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from integration_hub.core.call import Call, request_id_of
from integration_hub.exceptions import IdempotencyKeyMalformed


def call_with(**headers: str) -> Call:
	builder = EnvironBuilder(method="POST", headers={k.replace("_", "-"): v for k, v in headers.items()})
	return Call(None, Request(builder.get_environ()), "R")


@pytest.mark.parametrize(
	("sent", "key"),
	[
		("A", "A"),
		('"A"', "A"),
		("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
		('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
		("  A  ", "A"),
		("a/b:c=d,e;f", "a/b:c=d,e;f"),
		('"a\\"b"', 'a"b'),
		('"a\\\\b"', "a\\b"),
		('a"b', 'a"b'),
		('"a', '"a'),
		("'A'", "'A'"),
		("x" * 255, "x" * 255),
		('"' + "x" * 255 + '"', "x" * 255),
		("!", "!"),
		("~", "~"),
	],
)
def test_taken(sent, key):
	assert call_with(Idempotency_Key=sent).idempotency_key() == key


@pytest.mark.parametrize("sent", ["", "   ", '""', '" "', "a b", '"a b"', "a\tb", "ü", "x" * 256, "a\x7f"])
def test_malformed(sent):
	with pytest.raises(IdempotencyKeyMalformed) as refused:
		call_with(Idempotency_Key=sent).idempotency_key()
	assert (refused.value.http_status, refused.value.code) == (400, "idempotency_key_malformed")


def test_absent():
	assert call_with().idempotency_key() is None


@pytest.mark.parametrize(
	"sent", ["abc", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x" * 140]
)
def test_a_sane_request_id_is_kept(sent):
	assert request_id_of(call_with(X_Request_Id=sent).request) == sent


@pytest.mark.parametrize("sent", ["", "a b", "x" * 141, "ü"])
def test_any_other_request_id_is_replaced(sent):
	made = request_id_of(call_with(X_Request_Id=sent).request)
	assert made != sent and len(made) == 20 and made.isalnum()
