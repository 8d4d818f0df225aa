"""Signatures of what is sent, as Standard Webhooks has them. Pure.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import secrets as random_source
from datetime import datetime, timezone
from math import floor

from standardwebhooks.webhooks import Webhook

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
	"""Return a fresh secret: `whsec_` and 32 random bytes in base64."""
	return PREFIX + base64.b64encode(random_source.token_bytes(SECRET_BYTES)).decode()


def sign(secrets: list[str], message_id: str, moment: datetime, body: bytes) -> dict[str, str]:
	"""Return the headers `webhook-id`, `webhook-timestamp` and `webhook-signature` of one attempt.

	Args:
		secrets: the valid ones, `whsec_…`; during a rotation the new and the old, and one signature for each.
		message_id: the same for every attempt of one event; without a full stop, which ends it in what is signed.
		moment: when this attempt is sent, with its zone; receivers refuse what is five minutes off.
		body: the bytes that are sent, UTF-8.

	Raises:
		ValueError: no secret or one that is not base64, a full stop in the id, a moment without a zone, a body that
			is not UTF-8.
	"""
	if not secrets:
		raise ValueError("nothing to sign with")
	if "." in message_id:
		raise ValueError("the id holds a full stop")
	if moment.tzinfo is None:
		raise ValueError("the moment has no zone")
	# The library writes UTC over whatever zone it is given.
	moment = moment.astimezone(timezone.utc)
	text = body.decode("utf-8")
	return {
		"webhook-id": message_id,
		"webhook-timestamp": str(floor(moment.timestamp())),
		"webhook-signature": " ".join(Webhook(secret).sign(message_id, moment, text) for secret in secrets),
	}
