"""Rings a background worker: once the answer is out, never blocking, and allowed to fail, for the sweep comes anyway."""

import socket
import time
from urllib.parse import urlparse

from redis.exceptions import RedisError
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import JobStatus

import frappe
from frappe.utils.background_jobs import get_job_status

TIMEOUT = 0.3
PAUSE = 5
# Of a job, in any queue: it ends by itself before.
JOB_SECONDS = 300

_silent_until = 0.0


def queue() -> str:
	"""Return the queue the bell rings in: `hub_queue` of the site's configuration, else Frappe's "short"."""
	return frappe.conf.get("hub_queue") or "short"


def job_id(method: str, slot: int) -> str:
	"""Return RQ's id of a job, with its queue: one that is left where nobody listens any more must not silence the bell."""
	return f"{method}.{queue()}.{slot}"


def ring(method: str, slots: int = 1) -> None:
	"""Ask a worker to run `method`, unless one that has not begun yet is going to.

	Args:
		slots: how many workers may be at it at the same time. One that has begun may just be ending and not look again,
			so another is asked, beyond the last slot too: it finds nothing and ends, or what would have waited.
	"""
	request = getattr(frappe.local, "request", None)
	if request is not None and hasattr(request, "after_response"):
		request.after_response.add(lambda: _ring(method, slots))
	else:
		_ring(method, slots)


def _ring(method: str, slots: int) -> None:
	global _silent_until
	if time.monotonic() < _silent_until:
		return
	log = frappe.logger("integration_hub")
	try:
		_check_redis()
		_ask_a_worker(method, slots)
	except (OSError, RedisError):
		_silent_until = time.monotonic() + PAUSE
		log.warning("The queue's Redis does not answer; the sweep will do the work")
	except Exception:
		# RQ may forget a job while it is looked at: no reason to be silent the next time.
		log.exception("The bell was not heard; the sweep will do the work")


def _ask_a_worker(method: str, slots: int) -> None:
	for slot in range(slots + 1):
		name = job_id(method, slot)
		try:
			status = get_job_status(name)
			if status == JobStatus.QUEUED:
				return
			if status != JobStatus.STARTED:
				frappe.enqueue(method, queue=queue(), timeout=JOB_SECONDS, job_id=name, deduplicate=True)
				return
		except (NoSuchJobError, InvalidJobOperation):
			# It ended in this moment; the next slot will do.
			continue


def _check_redis() -> None:
	"""Raise where Redis is down: `frappe.enqueue` itself would block for seconds."""
	url = urlparse(frappe.conf.redis_queue or "")
	with socket.create_connection(
		(url.hostname or "127.0.0.1", url.port or 6379), timeout=TIMEOUT
	) as connection:
		connection.settimeout(TIMEOUT)
		connection.sendall(b"PING\r\n")
		if not connection.recv(16):
			raise ConnectionError("no answer")
