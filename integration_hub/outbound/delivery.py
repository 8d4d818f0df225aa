"""The delivery loop: claims what is due, sends it, records how it ended. As many loops may run as there are workers.

Threads do nothing but HTTP; the database belongs to the loop. Claims and outcomes are committed in batches, so that a
delivery costs little; what is claimed is sent at once, so that leases hold.
"""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TypeVar
from urllib.parse import urlsplit

import frappe
from frappe import _

from integration_hub import compat
from integration_hub.core import request_log, retry, signing, sql
from integration_hub.core.errors import as_hub_error
from integration_hub.core.http import Client, Reply
from integration_hub.core.redaction import redact
from integration_hub.outbound import endpoints, network, outbox, schedule
from integration_hub.outbound.endpoints import Ended, Endpoint
from integration_hub.outbound.envelope import CONTENT_TYPES
from integration_hub.outbound.outbox import Claimed, Outcome
from integration_hub.outbound.registry import TEST

THREADS = 128
# A job on Frappe's queue ends before the queue would kill it.
JOB_SECONDS = 230
# How long the loop waits for further calls to end, so that one commit records several.
GATHER_SECONDS = 0.005
POLL_SECONDS = 0.2
MAX_RESPONSE = 16 * 1024
GONE = 410

T = TypeVar("T")


@dataclass
class _Calls:
	"""What is under way, by endpoint."""

	futures: dict[Future, tuple[Endpoint, Claimed]] = field(default_factory=dict)

	def of(self, endpoint: Endpoint) -> int:
		return sum(other.name == endpoint.name for other, _claimed in self.futures.values())


class Loop:
	"""Delivers; keeps its connections and threads from run to run. A context manager."""

	def __init__(self):
		self.stopped = False
		self._deadline = 0.0
		self._settings, self._client = None, None
		self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hub-deliver")
		self._calls = _Calls()
		self._round, self._served = 0, {}
		self._signers: dict[str, tuple[datetime | None, float, list[str]]] = {}

	def __enter__(self) -> "Loop":
		return self

	def __exit__(self, *exc) -> None:
		self._threads.shutdown(wait=True)
		if self._calls.futures:
			# An outcome that is not recorded is a delivery sent twice.
			self._record(list(self._calls.futures))
		if self._client:
			self._client.close()

	def stop(self) -> None:
		"""Let calls under way end, and begin no more."""
		self.stopped = True

	def run(self, seconds: float, wait: bool = False) -> int:
		"""Deliver until nothing is due and return how many were tried.

		Args:
			seconds: no new calls after so long.
			wait: use up the time, waiting for what comes, and leave calls under way to the next run; never in one of
				Frappe's workers.
		"""
		tried, self._deadline = 0, time.monotonic() + seconds
		while True:
			if wait and self._over() and not self.stopped:
				return tried
			claimed = [] if self._over() else self._claim()
			for endpoint, delivery in claimed:
				self._send(endpoint, delivery)
			tried += len(claimed)
			if self._calls.futures:
				self._record(self._finished())
			elif self._over() or not (claimed or wait):
				return tried
			elif not claimed:
				time.sleep(POLL_SECONDS)

	def run_one(self, endpoint: Endpoint, claimed: Claimed, timeout: float) -> None:
		"""Send one delivery that is claimed already, within `timeout` seconds."""
		self._keep_to_rules()
		self._send(endpoint, claimed, timeout)
		while self._calls.futures:
			self._record(self._finished())

	def _over(self) -> bool:
		return self.stopped or time.monotonic() > self._deadline

	def _claim(self) -> list[tuple[Endpoint, Claimed]]:
		"""Claim what each endpoint has room for; hold what is for those that take nothing now."""
		return _in_database(self._claim_once)

	def _claim_once(self) -> list[tuple[Endpoint, Claimed]]:
		# Also what was read of Hub Settings, or a loop with nothing to do would never see them change.
		compat.forget_request()
		self._keep_to_rules()
		room: dict[str, Endpoint] = {}
		names: list[str] = []
		self._round += 1
		for endpoint in sorted(endpoints.all_push(), key=self._turn_of):
			# A thread for each: a lease would go on while its delivery waits for one.
			threads = THREADS - len(self._calls.futures) - len(names)
			free = min(endpoint.concurrency - self._calls.of(endpoint), threads)
			if not endpoint.takes:
				outbox.hold(endpoint.name, endpoint.open_until if endpoint.open_now else None)
			elif free > 0 and (due := self._due(endpoint, free)):
				names += due
				self._served[endpoint.name] = self._round
				room[endpoint.name] = endpoint
		claimed = outbox.claim(names)
		sql.commit()
		return [(room[delivery.webhook], delivery) for delivery in claimed]

	def _turn_of(self, endpoint: Endpoint) -> tuple[int, int]:
		"""Who has the fewest calls under way is served first, then who was served longest ago: the busy must not take every
		thread."""
		return self._calls.of(endpoint), self._served.get(endpoint.name, 0)

	def _keep_to_rules(self) -> None:
		"""Take what Hub Settings allow now; calls under way end under the rules they began with."""
		changed = frappe.get_cached_doc("Hub Settings").modified
		if changed != self._settings:
			self._settings, self._client = changed, Client(network.rules())

	def _due(self, endpoint: Endpoint, free: int) -> list[str]:
		due = outbox.due(endpoint.name, 1 if endpoint.open_until else free, endpoint.ordered)
		if due and endpoint.open_until and not endpoints.take_probe(endpoint.name):
			return []
		return due

	def _send(self, endpoint: Endpoint, claimed: Claimed, timeout: float | None = None) -> None:
		body = claimed.body.encode()
		try:
			headers = signing.sign(self._secrets(endpoint), claimed.event, datetime.now(timezone.utc), body)
		except ValueError:
			reply = Reply(
				error="not_signed", message="The webhook has no secret that can be read. Rotate it."
			)
			future: Future = Future()
			future.set_result(reply)
		else:
			limit = {"timeout": timeout} if timeout else {}
			headers |= {"Content-Type": CONTENT_TYPES[endpoint.format], "User-Agent": "Integration-Hub/1"}
			future = self._threads.submit(self._client.post, endpoint.url, body, headers, **limit)
		self._calls.futures[future] = (endpoint, claimed)

	def _secrets(self, endpoint: Endpoint) -> list[str]:
		"""Return what to sign with, looked up again when the webhook changes and each minute, for a rotation's end."""
		kept = self._signers.get(endpoint.name)
		if not kept or kept[0] != endpoint.secret_rotated_at or time.monotonic() - kept[1] > 60:
			kept = (endpoint.secret_rotated_at, time.monotonic(), _secrets_of(endpoint))
			self._signers[endpoint.name] = kept
		return kept[2]

	def _finished(self) -> list[Future]:
		"""Wait for a call to end, and a moment for others."""
		done, _rest = wait(self._calls.futures, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
		if done and len(done) < len(self._calls.futures):
			time.sleep(GATHER_SECONDS)
		return [future for future in self._calls.futures if future.done()]

	def _record(self, finished: list[Future]) -> None:
		"""Record outcomes, log rows and health in one transaction."""
		if not finished:
			return
		_in_database(lambda: self._record_once(finished))
		for future in finished:
			del self._calls.futures[future]

	def _record_once(self, finished: list[Future]) -> None:
		ended: dict[str, list[tuple[Claimed, Reply]]] = {}
		for future in finished:
			endpoint, claimed = self._calls.futures[future]
			ended.setdefault(endpoint.name, []).append((claimed, _reply(future)))
		urls = {endpoint.name: endpoint.url for endpoint, _claimed in self._calls.futures.values()}
		for webhook, results in sorted(ended.items()):
			record(webhook, urls[webhook], results)
		sql.commit()


def _reply(future: Future) -> Reply:
	"""Return how a call ended; a bug of ours fails this delivery, not the others that ended with it."""
	error = future.exception()
	if not error:
		return future.result()
	frappe.logger("integration_hub").error("A delivery could not be sent", exc_info=error)
	return Reply(error="internal_error", message="Something went wrong here; it is on record.")


def _secrets_of(endpoint: Endpoint) -> list[str]:
	"""Return what to sign with; nothing where it cannot be decrypted, as after a restore with another key."""
	try:
		return endpoints.secrets(endpoint.name)
	except frappe.ValidationError:
		return []


def _in_database(work: Callable[[], T]) -> T:
	"""Run a piece of work that commits, on a fresh transaction; a deadlock or a lost connection is tried again.

	An outcome that is not recorded is a delivery sent twice.
	"""
	for try_no in range(1, retry.IMMEDIATE_TRIES):
		try:
			frappe.db.rollback()
			return work()
		except Exception as e:
			if not as_hub_error(e).transient:
				raise
			time.sleep(retry.pause_before(try_no))
			if compat.lost_connection(e):
				compat.reconnect()
	frappe.db.rollback()
	return work()


def record(webhook: str, url: str, results: list[tuple[Claimed, Reply]]) -> None:
	"""Write how attempts of one endpoint ended; the caller commits.

	One that ended after its lease counts for nothing, but that an endpoint is gone is true whoever hears it.
	"""
	rows = []
	for claimed, reply in results:
		outcome = outcome_of(claimed, reply)
		if reply.status == GONE:
			stands = outbox.keep(claimed)
		else:
			stands = outbox.finish(claimed, outcome)
		if stands:
			rows.append(_log_row(claimed, outcome, url))
	request_log.write_out(rows)
	failed = [row["error"] for row in rows if row["error"]]
	gone = url if any(reply.status == GONE for _claimed, reply in results) else None
	endpoints.note(webhook, Ended(len(rows), len(failed), failed[-1] if failed else None, gone))


def outcome_of(claimed: Claimed, reply: Reply) -> Outcome:
	"""Return what an answer means for the delivery."""
	# The status is the receipt, also where the rest of the answer broke off: sending again would double it there.
	delivered = reply.status is not None and 200 <= reply.status < 300
	retry_in = None
	# Whoever tries a webhook out sees how it went, and tries again.
	if not delivered and claimed.event_type != TEST:
		retry_in = schedule.next_attempt_in(
			claimed.attempt_no,
			reply.status,
			reply.error == "timeout",
			reply.headers.get("retry-after"),
			datetime.now(timezone.utc),
		)
	response = redact(reply.body.decode("utf-8", "replace"))[:MAX_RESPONSE] if reply.body else None
	error = None if delivered else redact(_in_words(reply))
	return Outcome(delivered, reply.status, error, response, reply.duration_ms, retry_in)


def _in_words(reply: Reply) -> str:
	if reply.error:
		return f"{reply.error}: {reply.message}"
	if 300 <= (reply.status or 0) < 400:
		where = reply.headers.get("location", "")[:200]
		return _("It answered {0}, to {1}. Redirects are not followed: enter the final URL.").format(
			reply.status, where or "—"
		)
	if reply.status == GONE:
		return _("It answered 410: it is gone for good.")
	return _("It answered {0}.").format(reply.status)


def _origin(url: str) -> str:
	"""Return scheme, host and port: the path of many a receiver is its password."""
	parts = urlsplit(url)
	return f"{parts.scheme}://{parts.netloc}"


def _log_row(claimed: Claimed, outcome: Outcome, url: str) -> dict:
	return {
		"event": claimed.event_type,
		"event_id": claimed.event,
		"system": claimed.system,
		"http_status": outcome.http_status,
		"url": _origin(url),
		"delivery": claimed.name,
		"document": claimed.reference,
		"error": outcome.error,
		"attempt": claimed.attempt_no,
		"duration_ms": outcome.duration_ms,
	}


def send_claimed(claimed: Claimed, timeout: float) -> None:
	"""Send one delivery now, whatever its endpoint's state, for somebody who waits; how it went is on the row.

	Args:
		timeout: seconds for the whole call.
	"""
	endpoint = next((one for one in endpoints.all_push() if one.name == claimed.webhook), None)
	if endpoint:
		with Loop() as loop:
			loop.run_one(endpoint, claimed, timeout)
