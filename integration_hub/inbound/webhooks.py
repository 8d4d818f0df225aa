"""`webhooks.receive`: what other platforms send, kept before it is answered, and worked off as calls of the API.

Open to guests; a signature vouches for each call. One webhook makes a Hub Request for each line of its topic whose
condition holds; what the line's field map makes of the body is decided anew at each attempt, so that a corrected map and
Retry are enough.
"""

import json

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response

import frappe
from frappe import _

from integration_hub.constants.statuses import CANCELLED, COMPLETED
from integration_hub.core import context, idempotency, intake, operations, queue, rate_limit, references
from integration_hub.core.call import Call
from integration_hub.core.idempotency import NewRequest
from integration_hub.core.operations import Operation
from integration_hub.core.payload import digest, fingerprint, parse
from integration_hub.core.signatures import GENERIC, SignatureError, Verified
from integration_hub.core.work import Result, Work
from integration_hub.exceptions import (
	MappingFailed,
	NotFound,
	PayloadTooLarge,
	RateLimited,
	SignatureInvalid,
)
from integration_hub.inbound import webhook_maps, webhook_senders, webhook_topics
from integration_hub.inbound.webhook_senders import Sender
from integration_hub.inbound.webhook_topics import Line
from integration_hub.mapping.errors import MapFaults
from integration_hub.mapping.presets import Reading
from integration_hub.schemas.webhooks import WebhookReceive, WebhookReceived

NAME = "webhooks.receive"
# Of one address, beyond which it is told to slow down.
REFUSED_PER_MINUTE = 60
LONGEST_TOPIC = 140


def receive(call: Call) -> Response:
	"""Answer the platform: 200 once the webhook is kept, or nothing is to be kept of it.

	Raises:
		PayloadTooLarge, SignatureInvalid, RateLimited, Paused, MalformedJson
	"""
	# Of our own making: all that one call becomes is known by it.
	call.request_id = frappe.generate_hash(length=20)
	raw = _body(call)
	if webhook_senders.is_any_ping(raw):
		return _ignored(call, "ping")
	sender, verified = _verified(call, raw)
	caller = call.caller = context.from_system(sender.system)
	context.check_not_paused(caller)
	body = parse(raw)
	topic = _topic(call.request.args.get("topic"), verified)
	lines = webhook_topics.lines_of(caller.system, topic)
	if not lines:
		intake.note(call, 200, topic)
		return _ignored(call, _("{0} has no line for the topic {1}.").format(caller.name, topic or "?"))
	with context.acting_as(caller):
		rows = intake.keep(_requests(call, sender, verified, lines, body, raw))
	queue.ring()
	return _answer(call, {"id": rows[0].name})


def _topic(of_address: str | None, verified: Verified) -> str:
	"""Return what the webhook tells: what is signed goes before what the address says, and that before a header."""
	signed = verified.topic if "topic" in verified.signed else None
	return (signed or of_address or verified.topic or "")[:LONGEST_TOPIC]


def _body(call: Call) -> bytes:
	try:
		return call.body()
	except RequestEntityTooLarge as e:
		raise PayloadTooLarge(_("The body is too large; send less in one call.")) from e


def _verified(call: Call, raw: bytes) -> tuple[Sender, Verified]:
	"""Return who vouches for the call.

	Raises:
		SignatureInvalid: nobody, whatever the reason.
		RateLimited: likewise, and there were many such calls from this address. Genuine ones are never limited so.
	"""
	try:
		return webhook_senders.check(call.request.args.get("system", ""), call.request.headers, raw)
	except SignatureError as e:
		refused = rate_limit.count(f"hub:unsigned:{context.peer_address()}")
		if refused > REFUSED_PER_MINUTE:
			raise RateLimited(
				_("Too many calls without a valid signature. Try again in a minute."),
				retry_after=rate_limit.WINDOW,
			) from e
		raise SignatureInvalid(
			_("No signature of this call was made with a secret that is valid here.")
		) from e


def _requests(
	call: Call, sender: Sender, verified: Verified, lines: list[Line], body: dict, raw: bytes
) -> list[NewRequest]:
	"""Return a request for each line whose condition holds; where none does, for the first, which will say so."""
	found = [(line, webhook_topics.facts(line, body)) for line in lines]
	taken = [(line, facts) for line, facts in found if facts.applies] or found[:1]
	requests = []
	for line, facts in taken:
		event_id = facts.event_id or _event_id(sender, verified)
		requests.append(
			NewRequest(
				system=sender.system,
				operation=NAME,
				key_hash=idempotency.key_hash(sender.system, NAME, None, [line.topic, event_id, line.route]),
				fingerprint=fingerprint(body, NAME),
				payload=raw.decode(),
				idempotency_key=event_id,
				external_id=facts.subject,
				request_id=call.request_id,
				subject=digest([facts.subject]) if facts.subject else None,
				topic=line.topic,
				route=line.route,
			)
		)
	return requests


def _event_id(sender: Sender, verified: Verified) -> str:
	"""Return the id of the event, if the signature covers it or only who set up the scheme knows what it is worth.

	Otherwise the body's digest, which no copy of the call can change: the bodies of the platforms hold their times.
	"""
	if verified.event_id and ("event_id" in verified.signed or sender.scheme.name in GENERIC):
		return verified.event_id
	return verified.body_hash


def _ignored(call: Call, reason: str) -> Response:
	return _answer(call, {"ignored": reason})


def _answer(call: Call, message: dict) -> Response:
	return call.answer(json.dumps({"message": message}, ensure_ascii=False), 200)


def resolve(work: Work) -> Work:
	"""Return the call that a kept webhook becomes by its line and map as they are now, or one that says why it becomes none.

	Raises:
		MappingFailed: line, expressions or map do not fit.
		ScopeMissing: the system may not make this call.
	"""
	row = frappe.db.get_value(idempotency.DOCTYPE, work.request, ["topic", "route", "subject"], as_dict=True)
	line = webhook_topics.find(work.caller.system, row.topic, row.route)
	if line is None:
		raise MappingFailed(
			_("{0} has no line any more that makes {1} of the topic {2}.").format(
				work.caller.name, row.route, row.topic
			)
		)
	try:
		reading = line.read(work.body)
		version = reading.routes[0].version_of(reading.document) if reading.routes else None
	except MapFaults as e:
		raise webhook_maps.topic_failed(e, line.topic) from e
	reason = _reason_to_leave(work, reading, row, version)
	if reason:
		return _like(work, IGNORED, {"ignored": reason}, work.payload)
	target = operations.get(line.operation)
	work.caller.require(target.scope)
	body, payload = webhook_maps.body_of(line.map_name, reading.document, target)
	resolved = _like(work, target, body, payload)
	resolved.version = version
	return resolved


def _like(work: Work, operation: Operation, body: dict, payload) -> Work:
	return Work(
		operation,
		work.caller,
		payload,
		body,
		fingerprint(body, operation.name),
		work.request_id,
		request=work.request,
		queued=work.queued,
		asynchronous=work.asynchronous,
		started=work.started,
	)


def _reason_to_leave(work: Work, reading: Reading, row, version: str | None) -> str | None:
	"""Return why nothing is to be done, in words for people; None: something is.

	Raises:
		NotFound: it cannot be told yet, for another line of the webhook has not placed the order.
	"""
	if not reading.routes:
		return reading.ignored[0]
	known = reading.routes[0].known
	if known is not None and known != _is_known(work, reading.subject):
		if known and _is_awaited(work, row.topic):
			raise NotFound(
				_("The order {0} is not placed yet: another call of the same webhook is to do it.").format(
					reading.subject
				)
			)
		if known:
			return _("The order {0} was not known before.").format(reading.subject)
		return _("The order {0} is known already.").format(reading.subject)
	newest = idempotency.newest_version(work.caller.name, row.subject) if version and row.subject else None
	if newest and version < newest:
		return _("It is older ({0}) than what was done last ({1}).").format(version, newest)
	return None


def _is_awaited(work: Work, topic: str) -> bool:
	"""Whether a line of the same webhook that places orders has not done so yet; this newer state must not be left out meanwhile."""
	lines = webhook_topics.lines_of(work.caller.system, topic)
	placing = [line.route for line in lines if any(route.known is False for route in line.event.routes)]
	same = {"request_id": work.request_id, "system": work.caller.name, "route": ("in", placing)}
	return bool(
		placing
		and frappe.db.exists(idempotency.DOCTYPE, {**same, "status": ("not in", (COMPLETED, CANCELLED))})
	)


def _is_known(work: Work, subject: str) -> bool:
	"""Whether the order was known before this webhook came: what a line of its own has made does not count."""
	bound = references.find(work.caller.name, "order", subject)
	if bound is None or not bound.document_name:
		return False
	made_by = bound.request and frappe.db.get_value(idempotency.DOCTYPE, bound.request, "request_id")
	return made_by != work.request_id


def _leave(work: Work) -> Result:
	return Result({"ignored": work.body["ignored"]})


IGNORED = Operation(
	name=NAME, summary="A webhook of which nothing comes", schema=WebhookReceive, handler=_leave
)

RECEIVE = Operation(
	name="webhooks.receive",
	summary="Take what another platform sends, vouched for by its signature",
	schema=WebhookReceive,
	answer=WebhookReceived,
	handler=receive,
	writes=True,
	guest=True,
	resolve=resolve,
)
