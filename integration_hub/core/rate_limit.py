"""Counts calls per system and minute, in the site's cache. Without a cache there is no limit: orders go on."""

import time
from dataclasses import dataclass

import redis

import frappe
from frappe import _

from integration_hub.constants import headers
from integration_hub.core.context import Caller
from integration_hub.exceptions import RateLimited

WINDOW = 60


@dataclass(frozen=True)
class Usage:
	"""Calls in the current minute, for the X-RateLimit headers; `reset` in seconds."""

	limit: int
	used: int
	reset: int

	def as_headers(self) -> dict[str, str]:
		return {
			headers.RATE_LIMIT: str(self.limit),
			headers.RATE_REMAINING: str(max(0, self.limit - self.used)),
			headers.RATE_RESET: str(self.reset),
		}


def count_call(caller: Caller) -> Usage | None:
	"""Count one call of this system; None where the system has no limit."""
	limit = caller.system.rate_limit_per_minute
	if not limit:
		return None
	used = count(f"hub:calls:{caller.name}")
	return Usage(limit, used, WINDOW - int(time.time()) % WINDOW) if used else None


def check(usage: Usage | None) -> None:
	"""Raise RateLimited when the limit is passed."""
	if usage and usage.used > usage.limit:
		raise RateLimited(
			_("More than {0} calls in a minute. Try again in {1} seconds.").format(usage.limit, usage.reset),
			retry_after=usage.reset,
		)


def count(what: str, window: int = WINDOW) -> int:
	"""Add one to a counter of the current window and return it; 0 when the cache does not answer."""
	key = frappe.cache.make_key(f"{what}:{int(time.time()) // window}")
	try:
		used = frappe.cache.incr(key)
		if used == 1:
			frappe.cache.expire(key, 2 * window)
		return used
	except redis.exceptions.RedisError:
		return 0


def counted(what: str, window: int = WINDOW) -> int:
	"""Return how far a counter of the current window is; 0 when the cache does not answer."""
	try:
		return int(frappe.cache.get(frappe.cache.make_key(f"{what}:{int(time.time()) // window}")) or 0)
	except redis.exceptions.RedisError:
		return 0
