"""How tests reach the real stack: the site's database from this process, and the hub over HTTP from outside.

The environment says where the stack is (set by `scripts/test`):

HUB_TEST_SITE       the site's name; tests run from the bench's `sites` directory
HUB_TEST_BASE_URL   where its web servers listen
HUB_TEST_HOST       value of the Host header, if not the site's name
HUB_TEST_BENCH      path of the bench
HUB_TEST_PLAIN_SITE a dump of a site with ERPNext alone; without it such a site is made where one is needed
HUB_DB_ROOT_USER, HUB_DB_ROOT_PASSWORD   a MariaDB account that may create sites
"""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import requests

NEEDED = ("HUB_TEST_SITE", "HUB_TEST_BASE_URL", "HUB_TEST_BENCH")
TIMEOUT = 180
STARTS_WITHIN = 240


@dataclass(frozen=True)
class Stack:
	"""A running bench with one site for tests."""

	site: str
	base_url: str
	host: str
	bench: Path
	db_root_user: str | None
	db_root_password: str | None

	@classmethod
	def from_environment(cls) -> "Stack":
		"""Return the stack the environment names.

		Raises:
			LookupError: with a sentence that says what is missing.
		"""
		missing = [name for name in NEEDED if not os.environ.get(name)]
		if missing:
			raise LookupError(
				f"Integration tests need a running site; {', '.join(missing)} is not set. Run scripts/test, "
				"or only the tests that need no site: pytest integration_hub/tests/unit"
			)
		return cls(
			site=os.environ["HUB_TEST_SITE"],
			base_url=os.environ["HUB_TEST_BASE_URL"].rstrip("/"),
			host=os.environ.get("HUB_TEST_HOST") or os.environ["HUB_TEST_SITE"],
			bench=Path(os.environ["HUB_TEST_BENCH"]),
			db_root_user=os.environ.get("HUB_DB_ROOT_USER"),
			db_root_password=os.environ.get("HUB_DB_ROOT_PASSWORD"),
		)

	def start(self, *arguments: str, site: str | None = None) -> subprocess.Popen:
		"""Start a command of Frappe (`execute`, `migrate`, …) for a site; what it prints is kept.

		It is what `bench` itself runs for `bench --site S …`.
		"""
		command = [sys.executable, "-W", "ignore", "-m", "frappe.utils.bench_helper", "frappe"]
		if site:
			command += ["--site", site]
		return subprocess.Popen(
			[*command, *arguments],
			cwd=self.bench / "sites",
			stdin=subprocess.DEVNULL,
			stdout=subprocess.PIPE,
			stderr=subprocess.STDOUT,
			text=True,
		)

	def run(self, *arguments: str, site: str | None = None, timeout: int = 180) -> str:
		"""Run a command of Frappe to its end and return what it printed.

		Raises:
			AssertionError: it failed.
		"""
		return finish(self.start(*arguments, site=site), timeout)

	def run_python(self, code: str, site: str, timeout: int = 120) -> str:
		"""Run code in a process connected to a site and return what it printed.

		Raises:
			AssertionError: it failed.
		"""
		connected = f"import frappe\nfrappe.init({site!r}, sites_path='.')\nfrappe.connect()\n{code}"
		process = subprocess.Popen(
			[sys.executable, "-W", "ignore", "-c", connected],
			cwd=self.bench / "sites",
			stdout=subprocess.PIPE,
			stderr=subprocess.STDOUT,
			text=True,
		)
		return finish(process, timeout)

	@contextmanager
	def server(self, **environment: str):
		"""Start a web server of its own for the block, in another environment; yield the Stack with its address."""
		port = free_port()
		command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
		process = subprocess.Popen(
			[*command, "--workers", "1", "frappe.app:application"],
			cwd=self.bench / "sites",
			env={**os.environ, **environment},
			stdout=subprocess.DEVNULL,
			stderr=subprocess.DEVNULL,
		)
		try:
			yield self._once_it_answers(f"http://127.0.0.1:{port}")
		finally:
			process.terminate()
			process.wait(TIMEOUT)

	def _once_it_answers(self, base_url: str) -> "Stack":
		deadline = time.monotonic() + STARTS_WITHIN
		while True:
			try:
				requests.get(f"{base_url}/api/method/ping", headers={"Host": self.host}, timeout=TIMEOUT)
				return replace(self, base_url=base_url)
			except requests.ConnectionError:
				assert time.monotonic() < deadline, "the server did not start"
				time.sleep(0.1)


def finish(process: subprocess.Popen, timeout: int = 180) -> str:
	"""Wait for a started command and return what it printed.

	Raises:
		AssertionError: it failed.
	"""
	try:
		output, _ = process.communicate(timeout=timeout)
	finally:
		process.kill()
	assert process.returncode == 0, output[-4000:]
	return output


def free_port() -> int:
	"""Return a port nobody listens on at this moment."""
	with socket.socket() as probe:
		probe.bind(("127.0.0.1", 0))
		return probe.getsockname()[1]


class Answer:
	"""An HTTP answer, with what tests ask of it."""

	def __init__(self, response: requests.Response):
		self.status = response.status_code
		self.headers = response.headers
		self.content = response.content

	@property
	def body(self) -> dict:
		return json.loads(self.content)

	@property
	def message(self) -> dict:
		return self.body["message"]

	@property
	def order(self) -> dict:
		return self.message["order"]

	@property
	def code(self) -> str | None:
		"""The problem's code; None where the answer is none of the hub's problems."""
		try:
			return self.body.get("code")
		except ValueError:
			return None

	@property
	def pointers(self) -> list[str]:
		return [fault["pointer"] for fault in self.body["errors"]]

	def __repr__(self) -> str:
		return f"<{self.status} {self.content[:2000].decode(errors='replace')}>"


class Http:
	"""Calls to the site with one Authorization header.

	Every call ends the test's own transaction before and after: other processes commit, and an open snapshot would
	hide what they did, or hold locks that they wait for.
	"""

	def __init__(self, stack: Stack, token: str | None, between=lambda: None):
		self.stack = stack
		self.token = token
		self._between = between

	def raw(
		self,
		method: str,
		path: str,
		data: bytes | str | None = None,
		headers: dict[str, str] | None = None,
		**options,
	) -> Answer:
		"""Send one request; `headers` with the value None are left out."""
		sent = {"Host": self.stack.host, "Accept": "application/json"}
		if self.token:
			sent["Authorization"] = f"token {self.token}"
		sent.update(headers or {})
		self._between()
		try:
			return Answer(
				requests.request(
					method,
					self.stack.base_url + path,
					data=data,
					headers={name: value for name, value in sent.items() if value is not None},
					timeout=TIMEOUT,
					allow_redirects=False,
					**options,
				)
			)
		finally:
			self._between()

	def post(self, verb: str, body, key: str | None = None, **headers: str) -> Answer:
		"""Call a verb of the hub with a JSON body; header names are written with underscores."""
		data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
		return self.raw("POST", path_of(verb), data, self._headers(key, headers))

	def get(self, verb: str, headers: dict[str, str] | None = None, **parameters) -> Answer:
		"""Call a reading verb of the hub."""
		return self.raw("GET", path_of(verb), headers=headers, params=parameters)

	def send(self, method: str, path: str, body: dict | None = None, **options) -> Answer:
		"""Call any path with a JSON body, as a client of Frappe's own API does."""
		data = None if body is None else json.dumps(body)
		return self.raw(method, path, data, {"Content-Type": "application/json"}, **options)

	def press(self, doctype: str, name: str, method: str, **arguments) -> Answer:
		"""Call a method of a document, as a button in the Desk does."""
		return self.send(
			"POST",
			"/api/method/run_doc_method",
			{"dt": doctype, "dn": name, "method": method, "args": json.dumps(arguments)},
		)

	@staticmethod
	def _headers(key: str | None, headers: dict[str, str]) -> dict[str, str]:
		sent = {"Content-Type": "application/json"}
		if key is not None:
			sent["Idempotency-Key"] = key
		return sent | {name.replace("_", "-"): value for name, value in headers.items()}


def path_of(verb: str) -> str:
	return f"/api/method/integration_hub.api.v1.{verb}"
