"""How tests reach the real stack: the site's database from this process, and the hub over HTTP from outside.

The environment says where the stack is (set by `scripts/test`):

HUB_TEST_SITE       the site's name; tests run from the bench's `sites` directory
HUB_TEST_BASE_URL   where its web servers listen
HUB_TEST_HOST       value of the Host header, if not the site's name
HUB_TEST_BENCH      path of the bench
HUB_DB_ROOT_USER, HUB_DB_ROOT_PASSWORD   a MariaDB account that may create sites
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import requests

NEEDED = ("HUB_TEST_SITE", "HUB_TEST_BASE_URL", "HUB_TEST_BENCH")
TIMEOUT = 60


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

	@staticmethod
	def _headers(key: str | None, headers: dict[str, str]) -> dict[str, str]:
		sent = {"Content-Type": "application/json"}
		if key is not None:
			sent["Idempotency-Key"] = key
		return sent | {name.replace("_", "-"): value for name, value in headers.items()}


def path_of(verb: str) -> str:
	return f"/api/method/integration_hub.api.v1.{verb}"
