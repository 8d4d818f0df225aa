"""The bytes of an event: Standard Webhooks or CloudEvents, full or thin. Pure.

Sources: the payload of the Standard Webhooks specification 1.0; the JSON event format of CloudEvents 1.0.2.
"""

import json
from dataclasses import dataclass
from decimal import Decimal

from integration_hub.mapping.values import render

MAX_BYTES = 256 * 1024

PLAIN = "Standard Webhooks"
CLOUD = "CloudEvents"

CONTENT_TYPES = {PLAIN: "application/json", CLOUD: "application/cloudevents+json"}


@dataclass(frozen=True)
class Subject:
	"""The document an event is about; None in both: about none."""

	doctype: str | None = None
	name: str | None = None
	external_id: str | None = None


@dataclass(frozen=True)
class Envelope:
	"""What every rendering of an event has: its id, its name, when it happened (ISO 8601, UTC), where (the site's URL)."""

	id: str
	type: str
	timestamp: str
	source: str
	subject: Subject

	def render(self, data: dict, format: str = PLAIN) -> str:
		"""Return the body; data too large for it give way to the thin ones, with `reduced`."""
		body = to_json(self._members(data, format))
		if len(body.encode()) > MAX_BYTES:
			body = to_json(self._members({**self.thin(), "reduced": True}, format))
		return body

	def thin(self) -> dict:
		"""Return the data of a thin event: which document, to be read through the API."""
		return {
			"doctype": self.subject.doctype,
			"name": self.subject.name,
			"external_id": self.subject.external_id,
		}

	def _members(self, data: dict, format: str) -> dict:
		if format == PLAIN:
			return {"type": self.type, "timestamp": self.timestamp, "data": data}
		event = {
			"specversion": "1.0",
			"id": self.id,
			"source": self.source,
			"type": self.type,
			"time": self.timestamp,
			"datacontenttype": "application/json",
			"data": data,
		}
		if self.subject.name:
			event["subject"] = f"{self.subject.doctype}/{self.subject.name}"
		return event


def to_json(value: dict) -> str:
	"""Return compact JSON; decimal numbers, which a field map may make, are written digit by digit."""
	try:
		return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_as_text, allow_nan=False)
	except _Exact:
		return render(value, 2 * MAX_BYTES).decode()


class _Exact(Exception):
	"""There is a number that a float would change."""


def _as_text(value: object) -> str:
	if isinstance(value, Decimal):
		raise _Exact
	return str(value)
