"""One HTTP call: what it brings (headers, body, correlation id) and how it is answered."""

import json
import re
import time
from dataclasses import dataclass, field

from werkzeug.wrappers import Request, Response

import frappe
from frappe import _
from frappe.utils import cint

from integration_hub.constants import headers
from integration_hub.core.context import Caller
from integration_hub.core.operations import Operation
from integration_hub.core.problem import CONTENT_TYPE, problem, with_frappe_members
from integration_hub.core.rate_limit import Usage
from integration_hub.exceptions import HubError, IdempotencyKeyMalformed, NotAuthenticated, PayloadTooLarge

REQUESTS_GET = "/api/method/integration_hub.api.v1.requests.get?id="

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')


@dataclass
class Call:
	"""State of one HTTP call on its way through the door."""

	operation: Operation
	request: Request
	request_id: str
	started: float = field(default_factory=time.monotonic)
	caller: Caller | None = None
	usage: Usage | None = None
	hub_request: str | None = None

	@property
	def duration_ms(self) -> int:
		return round((time.monotonic() - self.started) * 1000)

	@property
	def url(self) -> str:
		return self.request.path

	@property
	def prefers_async(self) -> bool:
		"""Whether the caller asks for 202 and work later (RFC 7240: `Prefer: respond-async`, among others, in any case)."""
		said = self.request.headers.getlist(headers.PREFER)
		preferences = [each.partition(";")[0].strip().lower() for line in said for each in line.split(",")]
		return "respond-async" in preferences

	def body(self) -> bytes:
		"""Return the raw body.

		Raises:
			PayloadTooLarge: it is larger than the site allows.
		"""
		raw = self.request.get_data(cache=True)
		limit = cint(frappe.get_cached_doc("Hub Settings").max_payload_kib) * 1024
		if limit and len(raw) > limit:
			raise PayloadTooLarge(
				_("The body has {0} bytes; this site takes {1} at most. Send less in one call.").format(
					len(raw), limit
				)
			)
		return raw

	def idempotency_key(self) -> str | None:
		"""Return the Idempotency-Key, without its quotes; None when the header is absent.

		Source: draft-ietf-httpapi-idempotency-key-header (a quoted string); bare keys are taken as well.

		Raises:
			IdempotencyKeyMalformed
		"""
		value = self.request.headers.get(headers.IDEMPOTENCY_KEY)
		if value is None:
			return None
		value = value.strip()
		if quoted := _QUOTED.fullmatch(value):
			value = re.sub(r"\\(.)", r"\1", quoted[1])
		if not _VISIBLE.fullmatch(value):
			raise IdempotencyKeyMalformed(_("Idempotency-Key takes 1 to 255 visible ASCII characters."))
		return value

	def answer(
		self, body: str, status: int, *, content_type: str = "application/json", **extra: str
	) -> Response:
		"""Return an HTTP answer with the headers that every answer has."""
		response = Response(body, status=status, content_type=content_type)
		response.headers[headers.REQUEST_ID] = self.request_id
		if self.usage:
			response.headers.update(self.usage.as_headers())
		response.headers.update({name.replace("_", "-"): value for name, value in extra.items()})
		return response

	def refuse(self, error: HubError) -> Response:
		"""Return the problem answer for an error."""
		location = REQUESTS_GET + self.hub_request if self.hub_request else None
		document = problem(error, request_id=self.request_id, instance=location or self.url)
		body = json.dumps({**with_frappe_members(document)}, ensure_ascii=False)
		response = self.answer(body, error.http_status, content_type=CONTENT_TYPE)
		if error.retry_after is not None:
			response.headers["Retry-After"] = str(error.retry_after)
		if location and error.http_status == 503:
			response.headers["Location"] = location
		if isinstance(error, NotAuthenticated):
			response.headers["WWW-Authenticate"] = 'token realm="Integration Hub"'
		return response


def request_id_of(request: Request) -> str:
	"""Return the caller's correlation id where it is a sane one, else a new one."""
	given = request.headers.get(headers.REQUEST_ID, "")
	return given if _VISIBLE.fullmatch(given) and len(given) <= 140 else frappe.generate_hash(length=20)
