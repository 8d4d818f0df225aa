"""Secrets and card numbers never reach a log; everything else stays readable."""

import pytest

from integration_hub.core.redaction import MASK, redact, redact_all


@pytest.mark.parametrize(
	("text", "secret"),
	[
		("Authorization: token 1a2b3c4d5e:6f7a8b9c0d", "6f7a8b9c0d"),
		("authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l", "YWxhZGRpbjpvcGVuc2VzYW1l"),
		("Authorization: Bearer eyJhbGciOi.eyJzdWIi.SflKxw", "eyJhbGciOi"),
		("{'Authorization': 'token abc12345:def67890'}", "def67890"),
		('{"authorization": "token abc12345:def67890"}', "def67890"),
		("sent Bearer abcdefgh12345678 to it", "abcdefgh12345678"),
		("token abcdefgh:12345678 is wrong", "12345678"),
		("api_key=abcdef&api_secret=ghijkl", "ghijkl"),
		("api_key=abcdef&api_secret=ghijkl", "abcdef"),
		('"api-secret": "s3cr3t"', "s3cr3t"),
		("apiSecret: s3cr3t", "s3cr3t"),
		("password=hunter2", "hunter2"),
		('{"password": "hunter2", "user": "jane"}', "hunter2"),
		('{"password": "correct horse battery"}', "horse"),
		('{"token": "abcdefgh12345678"}', "abcdefgh12345678"),
		("passwd: hunter2", "hunter2"),
		("client_secret=abc123", "abc123"),
		("access_token=abc123; refresh_token=def456", "abc123"),
		("access_token=abc123; refresh_token=def456", "def456"),
		("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
		(
			"webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN",
			"K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN",
		),
		('{"cvv": "123", "cvc": "456"}', "123"),
		('{"cvv": "123", "cvc": "456"}', "456"),
	],
)
def test_secrets_are_masked(text, secret):
	masked = redact(text)
	assert secret not in masked
	assert MASK in masked


def test_what_stands_beside_a_secret_stays():
	assert redact('{"password": "hunter2", "user": "jane"}') == f'{{"password": "{MASK}", "user": "jane"}}'


@pytest.mark.parametrize(
	"number",
	[
		"4242424242424242",
		"4242 4242 4242 4242",
		"4242-4242-4242-4242",
		"378282246310005",
		"3782 822463 10005",
		"5555555555554444",
		"30569309025904",
		"6011111111111117",
		"4222222222222",
		"6304000000000000000",
	],
)
def test_card_numbers_are_masked(number):
	assert redact(f"paid with {number}, thanks") == f"paid with {MASK}, thanks"
	assert redact(number) == MASK
	assert redact(f'"{number}"') == f'"{MASK}"'


@pytest.mark.parametrize(
	"text",
	[
		"4242424242424241",
		"4242 4242 4242 4243",
		"order 1234567890123456 is late",
		"42424242424242424242424242",
		"0.4242424242424242",
		"123.4242424242424242",
		"424242424242",
		"2026-03-01 12:30:00",
		"SAL-ORD-2026-00001",
		"/lines/0/unit_price: Must not be negative",
		"The token is missing",
		"bearer of news",
		"",
	],
)
def test_everything_else_stays(text):
	assert redact(text) == text


def test_all_texts_of_a_value_and_it_stays_one():
	value = {
		"detail": 'no member token="x',
		"password": "hunter2",
		"details": [{"card": 4111111111111111, "count": 12, "at": None}, 'secret: abc"'],
	}
	assert redact_all(value) == {
		"detail": f'no member token="{MASK}"',
		"password": MASK,
		"details": [{"card": MASK, "count": 12, "at": None}, f'secret: {MASK}"'],
	}
