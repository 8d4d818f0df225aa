"""A small receiver of webhooks on this machine, for the demo: verifies every event and remembers it."""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True)
class Arrived:
	"""One event that was delivered; `genuine`: its signature is that of the webhook's secret."""

	id: str
	type: str
	timestamp: str
	document: str
	genuine: bool


class Receiver:
	"""Listens on a port of this machine while its context lasts; set `secret` before anything is sent to it."""

	def __init__(self, port: int):
		self.secret = ""
		self.arrived: list[Arrived] = []
		self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_for(self))
		self.url = f"http://127.0.0.1:{port}/events"

	def __enter__(self) -> "Receiver":
		threading.Thread(target=self._server.serve_forever, daemon=True).start()
		return self

	def __exit__(self, *exc) -> None:
		self._server.shutdown()
		self._server.server_close()

	def take(self, headers: dict[str, str], body: bytes) -> bool:
		"""Remember a delivery; return whether it is genuine."""
		genuine = self._is_genuine(headers, body)
		event = json.loads(body)
		self.arrived.append(
			Arrived(
				headers["webhook-id"],
				event["type"],
				event["timestamp"],
				name_of_document(event["data"]),
				genuine,
			)
		)
		return genuine

	def _is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
		try:
			Webhook(self.secret).verify(body, headers)
		except (WebhookVerificationError, ValueError):
			return False
		return True


def name_of_document(data: dict) -> str:
	"""Return the name of what the event is about: {"order": {"name": …}} and the like."""
	return next((about.get("name", "") for about in data.values() if isinstance(about, dict)), "")


def _handler_for(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
	class Handler(BaseHTTPRequestHandler):
		def do_POST(self):
			body = self.rfile.read(int(self.headers["Content-Length"]))
			headers = {name.lower(): value for name, value in self.headers.items()}
			self.send_response(204 if receiver.take(headers, body) else 401)
			self.end_headers()

		def log_message(self, *args) -> None:
			"""The demo prints what arrived by itself."""

	return Handler
