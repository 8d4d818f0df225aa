"""A receiver of Integration Hub's events: checks the signature, keeps the event once, answers at once.

pip install standardwebhooks
WEBHOOK_SECRET=whsec_… PORT=8080 INBOX=inbox python receiver.py
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET = os.environ["WEBHOOK_SECRET"]
INBOX = Path(os.environ.get("INBOX", "inbox"))
MAX_BYTES = 1024 * 1024


def is_genuine(headers: dict, body: bytes) -> bool:
	"""Whether the hub signed exactly these bytes, not more than five minutes ago."""
	try:
		Webhook(SECRET).verify(body, headers)
	except (WebhookVerificationError, ValueError):
		return False
	return True


def keep(event_id: str, body: bytes) -> None:
	"""Store an event under its id: delivered twice, it is there once. Work on it later, outside the request."""
	file = INBOX / f"{event_id}.json"
	if not file.exists():
		part = INBOX / f"{event_id}.part"
		part.write_bytes(body)
		part.rename(file)


class Receiver(BaseHTTPRequestHandler):
	protocol_version = "HTTP/1.1"
	timeout = 20

	def do_POST(self):
		length = int(self.headers.get("Content-Length") or 0)
		if length > MAX_BYTES:
			return self.answer(413)
		body = self.rfile.read(length)
		if not is_genuine(dict(self.headers), body):
			return self.answer(401)
		keep(self.headers["webhook-id"], body)
		self.answer(204)

	def answer(self, status: int) -> None:
		self.close_connection = status >= 400
		self.send_response(status)
		if status != 204:
			self.send_header("Content-Length", "0")
		self.end_headers()


if __name__ == "__main__":
	INBOX.mkdir(exist_ok=True)
	ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Receiver).serve_forever()
