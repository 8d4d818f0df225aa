"""Platforms that send webhooks here: how each signs, and a small one of the tests' own, connected without code."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass

import frappe

from integration_hub.inbound import webhook_senders
from integration_hub.tests.factories import CUSTOMER, ITEM, unique
from integration_hub.tests.stack import Answer, Http, path_of

RECEIVE = path_of("webhooks.receive")
GENERIC = {
	"inbound_header": "X-Signature",
	"inbound_prefix": "sha256=",
	"inbound_event_id_header": "X-Event-Id",
	"inbound_topic_header": "X-Topic",
}


def new_secret(scheme: str) -> str:
	if scheme == "Standard Webhooks":
		return "whsec_" + base64.b64encode(frappe.generate_hash(length=24).encode()).decode()
	return frappe.generate_hash(length=32)


def _hex(secret: str, content: bytes) -> str:
	return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def _base64(secret: str, content: bytes) -> str:
	return base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()).decode()


def _standard(secret: str, body: bytes, event_id: str, at: int) -> dict:
	key = base64.b64decode(secret.removeprefix("whsec_"))
	content = f"{event_id}.{at}.".encode() + body
	signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
	return {"webhook-id": event_id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}


def signed(scheme: str, secret: str, body: bytes, event_id: str, topic: str, at: int | None = None) -> dict:
	"""Return the headers with which a platform of that scheme sends a body."""
	at = int(time.time()) if at is None else at
	if scheme == "Standard Webhooks":
		return _standard(secret, body, event_id, at)
	if scheme == "Stripe":
		signature = _hex(secret, f"{at}.".encode() + body)
		return {"Stripe-Signature": f"t={at},v1={signature}"}
	return {
		"Shopify": {
			"X-Shopify-Hmac-Sha256": _base64(secret, body),
			"X-Shopify-Webhook-Id": event_id,
			"X-Shopify-Topic": topic,
		},
		"WooCommerce": {
			"X-WC-Webhook-Signature": _base64(secret, body),
			"X-WC-Webhook-Delivery-ID": event_id,
			"X-WC-Webhook-Topic": topic,
		},
		"GitHub": {
			"X-Hub-Signature-256": f"sha256={_hex(secret, body)}",
			"X-GitHub-Delivery": event_id,
			"X-GitHub-Event": topic,
		},
		"HMAC-SHA256 (hex)": {
			"X-Signature": f"sha256={_hex(secret, body)}",
			"X-Event-Id": event_id,
			"X-Topic": topic,
		},
		"HMAC-SHA256 (base64)": {
			"X-Signature": f"sha256={_base64(secret, body)}",
			"X-Event-Id": event_id,
			"X-Topic": topic,
		},
	}[scheme]


@dataclass
class Platform:
	"""A system of the tests that sends webhooks."""

	system: object
	scheme: str
	secret: str
	http: Http

	@property
	def name(self) -> str:
		return self.system.name

	def send(
		self,
		topic: str,
		payload: dict | bytes,
		event_id: str | None = None,
		*,
		secret: str | None = None,
		at: int | None = None,
		content_type: str = "application/json",
		address: str = "",
		**headers: str | None,
	) -> Answer:
		"""Send one webhook; `address` is added to the query; a header named with None is left out."""
		body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
		sent = signed(self.scheme, secret or self.secret, body, event_id or unique("evt"), topic, at)
		sent |= {"Content-Type": content_type}
		sent |= {name.replace("_", "-"): value for name, value in headers.items()}
		return self.http.raw("POST", f"{RECEIVE}?system={self.name}{address}", body, sent)


def connect(systems, anonymous: Http, scheme: str = "HMAC-SHA256 (hex)", **values) -> Platform:
	"""Make a system that takes webhooks of a scheme, with its secret entered."""
	options = GENERIC if scheme.startswith("HMAC") else {}
	system = systems.new(inbound_scheme=scheme, **{**options, **values})
	secret = new_secret(scheme)
	webhook_senders.set_secret(system.doc, secret)
	frappe.db.commit()
	return Platform(system, scheme, secret, anonymous)


# -- a platform of the tests' own --------------------------------------------------------------------------------

ORDER_ROWS = (
	("external_id", "id", "text"),
	("customer.name", "buyer", ""),
	("note", "remark || `null`", ""),
	("lines[]", "items", ""),
	("lines[].external_id", "line", "text"),
	("lines[].item_code", "article", ""),
	("lines[].quantity", "pieces", "number"),
	("lines[].unit_price", "price", "money"),
	("totals.grand", "total", "money"),
)
UPDATE_ROWS = (("external_id", "id", "text"), ("note", "remark", ""))
PAY_ROWS = (
	("external_id", "join('/', [to_string(id), 'paid'])", ""),
	("order.external_id", "id", "text"),
	("method", "'Card'", ""),
	("amount", "total", "money"),
)
CANCEL_ROWS = (("external_id", "id", "text"),)


def rows(*given: tuple) -> list[dict]:
	return [
		{"target": target, "source": source, "transform": transform} for target, source, transform in given
	]


def make_map(factory, given: tuple, **values) -> str:
	title = unique("HT map")
	return factory.make("Hub Field Map", title=title, direction="In", rows=rows(*given), **values).name


def topics(factory) -> list[dict]:
	"""Return lines for created, updated, paid and cancelled orders of the tests' own platform, with their maps."""
	version = {"version": "changed_at"}
	lines = (
		("created", "orders.create", ORDER_ROWS, version),
		("updated", "orders.update", UPDATE_ROWS, version),
		("paid", "sales.pay", PAY_ROWS, {}),
		("cancelled", "orders.cancel", CANCEL_ROWS, {}),
	)
	return [
		{
			"topic": f"order.{topic}",
			"operation": operation,
			"field_map": make_map(factory, given),
			"enabled": 1,
			"subject": "id",
			**more,
		}
		for topic, operation, given, more in lines
	]


def order(**values) -> dict:
	"""Return an order as the tests' own platform tells it."""
	return {
		"id": unique("P"),
		"buyer": CUSTOMER,
		"items": [{"line": 1, "article": ITEM, "pieces": 2, "price": "10.00"}],
		"total": "20.00",
		"changed_at": "2026-03-01T10:00:00Z",
		**values,
	}
