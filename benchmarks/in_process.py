"""The site in this very process, so that single functions can be timed and statements counted.

Needs the Python of the bench, started in its folder `sites`.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from measure import Answer, Client
from werkzeug.test import Client as WsgiClient

import frappe
import frappe.app
from frappe.database.database import Database

from integration_hub.core import doorbell, sql
from integration_hub.outbound import capture


class InProcess(Client):
	"""Calls Frappe's WSGI application as gunicorn does, without gunicorn.

	What happens after an answer, ringing a worker, is left out: the worker's load would meet the other side.
	"""

	def __init__(self, like: Client):
		self._headers = like._headers
		self._client = WsgiClient(frappe.app.application)
		self._connection = self
		doorbell._silent_until = float("inf")

	def request(self, method: str, path: str, data: bytes | None, headers: dict) -> None:
		response = self._client.open(path, method=method, data=data, headers=headers)
		self._answer = Answer(response.status_code, response.headers, response.get_data())
		# As a server does; Frappe ends the request with it.
		response.close()

	def getresponse(self) -> "InProcess":
		return self

	@property
	def status(self) -> int:
		return self._answer.status

	@property
	def headers(self):
		return self._answer.headers

	def read(self) -> bytes:
		return self._answer.content


@contextmanager
def connected(site: str) -> Iterator[None]:
	"""Be connected to a site as Administrator."""
	frappe.init(site, sites_path=".", force=True)
	frappe.connect()
	frappe.set_user("Administrator")
	assert_durable()
	try:
		yield
	finally:
		frappe.destroy()


def assert_durable() -> None:
	"""Raise SystemExit where a commit may be lost with the machine: half of the cost would be missing."""
	if sql.run("SELECT @@innodb_flush_log_at_trx_commit")[0][0] != 1:
		sys.exit("Set MariaDB's innodb_flush_log_at_trx_commit to 1")


class Meter:
	"""Counts the statements of all connections, and times `on_doc_event`, from `start` to `stop`.

	`statements` is how many there were; `texts` what they said; `events` the seconds of each doc event, with the
	statements it made.
	"""

	def __enter__(self) -> "Meter":
		self._sql, self._capture = Database.sql, capture.on_doc_event
		self.texts: list[str] = []
		self.events: list[tuple[float, int]] = []
		Database.sql = self._counted(Database.sql)
		capture.on_doc_event = self._timed(capture.on_doc_event)
		return self

	def __exit__(self, *exc) -> None:
		Database.sql, capture.on_doc_event = self._sql, self._capture

	@property
	def statements(self) -> int:
		return len(self.texts)

	def _counted(self, run):
		def sql(database, query, *args, **kwargs):
			self.texts.append(str(query))
			return run(database, query, *args, **kwargs)

		return sql

	def _timed(self, function):
		def on_doc_event(*args):
			before, started = len(self.texts), time.perf_counter()
			function(*args)
			self.events.append((time.perf_counter() - started, len(self.texts) - before))

		return on_doc_event
