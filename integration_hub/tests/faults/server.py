"""The fault server: gunicorn on a free port, with workers that die when asked to, and callers that call in parallel."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import requests

from integration_hub.tests import site
from integration_hub.tests.faults.points import HEADER
from integration_hub.tests.stack import Answer, Http, Stack, free_port

CONFIG = Path(__file__).with_name("gunicorn_faults.py")
STARTS_WITHIN = 240
DIED = None


class FaultServer:
	"""Real worker processes that serve the tests' site with fault points in them."""

	def __init__(self, stack: Stack, workers: int = 4, **environment: str):
		self.folder = Path(tempfile.mkdtemp(prefix="hub-faults-"))
		port = free_port()
		self.stack = replace(stack, base_url=f"http://127.0.0.1:{port}")
		self._environment = {
			**os.environ,
			"HUB_FAULTS_BIND": f"127.0.0.1:{port}",
			"HUB_FAULTS_WORKERS": str(workers),
			"HUB_FAULTS_LOG": str(self.folder / "faults"),
			**environment,
		}
		self._process = None

	def __enter__(self) -> "FaultServer":
		with open(self.folder / "gunicorn.log", "w") as log:
			self._process = subprocess.Popen(
				[sys.executable, "-m", "gunicorn", "-c", CONFIG, "frappe.app:application"],
				cwd=self.stack.bench / "sites",
				env=self._environment,
				stdout=log,
				stderr=log,
				stdin=subprocess.DEVNULL,
			)
		deadline = time.monotonic() + STARTS_WITHIN
		while not self._answers():
			if self._process.poll() is not None or time.monotonic() > deadline:
				self._stop()
				raise AssertionError(f"The fault server did not start:\n{self.output[-3000:]}")
			time.sleep(0.1)
		return self

	def __exit__(self, *exc) -> None:
		self._stop()

	def _stop(self) -> None:
		self._process.terminate()
		try:
			self._process.wait(15)
		except subprocess.TimeoutExpired:
			self._process.kill()
			self._process.wait()

	def _answers(self) -> bool:
		try:
			return requests.get(
				f"{self.stack.base_url}/api/method/ping", headers={"Host": self.stack.host}, timeout=180
			).ok
		except requests.ConnectionError:
			return False

	@property
	def output(self) -> str:
		return (self.folder / "gunicorn.log").read_text()

	def fired(self, fault: str) -> int:
		"""Return how often a fault happened."""
		log = self.folder / "faults"
		return log.read_text().splitlines().count(fault) if log.exists() else 0

	def client(self, token: str | None) -> "FaultyHttp":
		return FaultyHttp(self.stack, token)


class FaultyHttp(Http):
	"""Calls to the fault server. Safe to use from several threads: it leaves the test's own transaction alone."""

	def call(self, verb: str, body: dict, fault: str | None = None, key: str | None = None) -> Answer | None:
		"""Send one call; DIED when the worker died under it."""
		headers = {HEADER: fault} if fault else {}
		try:
			return self.post(verb, body, key, **headers)
		except requests.ConnectionError:
			return DIED

	def order(self, body: dict, fault: str | None = None, key: str | None = None) -> Answer | None:
		"""Send one `orders.create`."""
		return self.call("orders.create", body, fault, key)

	def until_answered(
		self,
		body: dict,
		key: str | None = None,
		deadline: float = 180,
		first: Answer | None = DIED,
		verb: str = "orders.create",
	) -> Answer:
		"""Send the same call again, as its Retry-After says, until it is answered for good.

		Raises:
			AssertionError: an answer that says "again" does not say when, or the deadline passed.
		"""
		ends = time.monotonic() + deadline
		answer = first or self.call(verb, body, key=key)
		while answer is DIED or (answer.status in (409, 503) and "Retry-After" in answer.headers):
			assert time.monotonic() < ends, answer
			time.sleep(0.25 if answer is DIED else min(0.5, int(answer.headers["Retry-After"])))
			answer = self.call(verb, body, key=key)
		return answer


def at_once(calls: list[Callable], threads: int | None = None) -> list:
	"""Run functions in parallel and return what they return, in their order."""
	with ThreadPoolExecutor(threads or len(calls)) as pool:
		return [future.result() for future in [pool.submit(call) for call in calls]]


def sweep(stack: Stack) -> None:
	"""Run what the scheduler runs every minute, in a process of its own."""
	execute(stack, "integration_hub.tasks.sweep")


def execute(stack: Stack, method: str, environment: dict | None = None, **arguments) -> None:
	"""`bench --site SITE execute METHOD`."""
	bench(stack, "execute", method, "--kwargs", json.dumps(arguments), environment=environment)


def bench(stack: Stack, *command: str, environment: dict | None = None) -> str:
	"""Run a bench command for the site, as bench itself does, and return its output."""
	done = subprocess.run(
		[sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "--site", stack.site, *command],
		cwd=stack.bench / "sites",
		env={**os.environ, **(environment or {})},
		capture_output=True,
		text=True,
		timeout=300,
	)
	assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
	return done.stdout


@contextmanager
def redis_of_its_own():
	"""Run a Redis for one server; yield its URL and its process."""
	port = free_port()
	process = subprocess.Popen(
		["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL
	)
	try:
		site.wait_for("Redis", lambda: _listens(port))
		yield f"redis://127.0.0.1:{port}?socket_timeout=2", process
	finally:
		process.kill()
		process.wait(10)


def _listens(port: int) -> bool:
	with socket.socket() as probe:
		return probe.connect_ex(("127.0.0.1", port)) == 0
