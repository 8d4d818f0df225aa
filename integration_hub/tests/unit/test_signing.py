"""Signatures, verified by the libraries receivers use."""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta, timezone

import pytest
import standardwebhooks.webhooks
import svix.webhooks
from standardwebhooks.webhooks import WebhookVerificationError

from integration_hub.core.signing import new_secret, sign

BODY = '{"type":"order.submitted","data":{"customer":"Żółć & Söhne 🧾","note":"価格","total":12.50}}'.encode()
ID = "evt_0a1b2c3d"


def now() -> datetime:
	return datetime.now(timezone.utc)


def by_standard_webhooks(secret, body, headers):
	assert standardwebhooks.webhooks.Webhook(secret).verify(body, headers) == json.loads(body)


def by_svix(secret, body, headers):
	"""svix prefers headers of its own and takes the standard's where these are missing."""
	svix.webhooks.Webhook(secret).verify(body, headers)
	own = {name.replace("webhook-", "svix-"): value for name, value in headers.items()}
	svix.webhooks.Webhook(secret).verify(body, own)


RECEIVERS = pytest.mark.parametrize("verify", [by_standard_webhooks, by_svix])


def refused(verify, secret, body, headers):
	with pytest.raises(WebhookVerificationError):
		verify(secret, body, headers)
	return True


def test_secrets_are_32_random_bytes():
	secrets = {new_secret() for _ in range(50)}
	assert len(secrets) == 50
	for secret in secrets:
		prefix, _, encoded = secret.partition("_")
		assert prefix == "whsec"
		assert len(base64.b64decode(encoded, validate=True)) == 32


def test_the_headers_are_the_standards():
	"""Computed by hand from the text of the standard: HMAC-SHA256 over id, timestamp and body."""
	secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
	moment = datetime(2026, 3, 1, 12, 30, 0, 999_999, tzinfo=timezone.utc)
	digest = hmac.new(b"k" * 32, b"evt_0a1b2c3d.1772368200." + BODY, hashlib.sha256).digest()
	assert sign([secret], ID, moment, BODY) == {
		"webhook-id": "evt_0a1b2c3d",
		"webhook-timestamp": "1772368200",
		"webhook-signature": "v1," + base64.b64encode(digest).decode(),
	}


def test_the_standards_own_example():
	"""Source: tests of the reference libraries of Standard Webhooks."""
	headers = sign(
		["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
		"msg_p5jXN8AQM9LWM0D4loKWxJek",
		datetime.fromtimestamp(1614265330, timezone.utc),
		b'{"test": 2432232314}',
	)
	assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@RECEIVERS
@pytest.mark.parametrize(
	"body", [BODY, b"{}", b"[]", b'"\\u0000"', b'{"a": "\xc3\xa9"}\r\n', b'"' + b"x" * 262_142 + b'"']
)
def test_receivers_accept(verify, body):
	secret = new_secret()
	verify(secret, body, sign([secret], ID, now(), body))


@RECEIVERS
def test_before_during_and_after_a_rotation(verify):
	old, new = new_secret(), new_secret()
	before = sign([old], ID, now(), BODY)
	during = sign([new, old], ID, now(), BODY)
	after = sign([new], ID, now(), BODY)

	assert [len(h["webhook-signature"].split(" ")) for h in (before, during, after)] == [1, 2, 1]
	assert all(part.startswith("v1,") for part in during["webhook-signature"].split(" "))

	verify(old, BODY, before)
	assert refused(verify, new, BODY, before)
	verify(old, BODY, during)
	verify(new, BODY, during)
	verify(new, BODY, after)
	assert refused(verify, old, BODY, after)
	assert refused(verify, new_secret(), BODY, during)


@RECEIVERS
@pytest.mark.parametrize(
	"changed", [BODY + b" ", BODY.replace(b"12.50", b"12.5"), BODY.replace(b"&", b"and")]
)
def test_changed_bytes_are_refused(verify, changed):
	secret = new_secret()
	headers = sign([secret], ID, now(), BODY)
	verify(secret, BODY, headers)
	assert refused(verify, secret, changed, headers)


@RECEIVERS
def test_another_id_or_moment_is_refused(verify):
	secret = new_secret()
	headers = sign([secret], ID, now(), BODY)
	assert refused(verify, secret, BODY, {**headers, "webhook-id": "evt_0a1b2c3e"})
	later = str(int(headers["webhook-timestamp"]) + 1)
	assert refused(verify, secret, BODY, {**headers, "webhook-timestamp": later})


@RECEIVERS
@pytest.mark.parametrize(("minutes", "accepted"), [(-6, False), (-4, True), (0, True), (4, True), (6, False)])
def test_stale_moments_are_refused(verify, minutes, accepted):
	secret = new_secret()
	headers = sign([secret], ID, now() + timedelta(minutes=minutes), BODY)
	if accepted:
		verify(secret, BODY, headers)
	else:
		assert refused(verify, secret, BODY, headers)


@RECEIVERS
@pytest.mark.parametrize("hours", [-11, -5.5, 1, 14])
def test_any_zone_is_one_moment(verify, hours):
	"""The library takes what it is given for UTC."""
	secret = new_secret()
	moment = now().astimezone(timezone(timedelta(hours=hours)))
	headers = sign([secret], ID, moment, BODY)
	assert headers == sign([secret], ID, moment.astimezone(timezone.utc), BODY)
	verify(secret, BODY, headers)


@pytest.mark.parametrize(
	("secrets", "message_id", "moment", "body"),
	[
		([], ID, now(), BODY),
		(["whsec_a"], ID, now(), BODY),
		([new_secret()], "evt.1", now(), BODY),
		([new_secret()], ID, datetime(2026, 3, 1), BODY),
		([new_secret()], ID, now(), b"\xff\xfe"),
	],
	ids=["no secret", "no base64", "full stop", "no zone", "not UTF-8"],
)
def test_what_cannot_be_signed(secrets, message_id, moment, body):
	with pytest.raises(ValueError):
		sign(secrets, message_id, moment, body)
