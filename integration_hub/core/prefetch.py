"""Asks the cache in one round trip for what every call reads: each by itself takes as long as all of them together.

Sole owner of the subscriptions' version in the cache: what tells a process that they were changed by another one.
"""

import pickle
import time
from dataclasses import dataclass

from redis.exceptions import RedisError

import frappe

# A call may take long; it looks again after so many seconds.
VERSION_SECONDS = 5
_VERSION_KEY = "hub_subscriptions_version"


@dataclass(frozen=True)
class Look:
	"""A look at the version of the subscriptions; None: the cache does not know it, or does not answer."""

	version: str | None
	at: float

	@property
	def is_fresh(self) -> bool:
		return time.monotonic() - self.at < VERSION_SECONDS


def prefetch(system: str) -> None:
	"""Bring Hub Settings, a Connected System and the version of the subscriptions into memory, for this call.

	What the cache does not hold is read where it is needed; all of it from the database while the cache does not answer.
	"""
	documents = [("Hub Settings", "Hub Settings"), ("Hub Connected System", system)]
	keys = {frappe.cache.make_key(frappe.get_document_cache_key(*each)): each for each in documents}
	missing = [key for key in keys if frappe.local.cache.get(key) is None]
	if not missing and _looked():
		return
	try:
		# Frappe's own way to read a document from the cache, for several at a time.
		*found, version = frappe.cache.mget([*missing, frappe.cache.make_key(_VERSION_KEY)])
	except RedisError:
		version, found = None, [None] * len(missing)
		for key in missing:
			frappe.local.cache[key] = frappe.get_doc(*keys[key])
	for key, value in zip(missing, found, strict=True):
		if value:
			frappe.local.cache[key] = pickle.loads(value)
	_keep(version)


def look() -> Look:
	"""Return how the subscriptions' version was found in this call: the same object as long as it counts."""
	return _looked() or _keep(_ask())


def forget() -> None:
	"""Begin another call: what was looked at before does not count for it."""
	frappe.local.hub_look = None


def publish(version: str) -> None:
	"""Tell all processes the subscriptions' version.

	Raises:
		RedisError
	"""
	# The key is the site's own; Frappe's way keeps a copy in memory that a long job would go on reading.
	# nosemgrep: frappe-cache-breaks-multitenancy
	frappe.cache.set(frappe.cache.make_key(_VERSION_KEY), version)


def _looked() -> Look | None:
	looked = getattr(frappe.local, "hub_look", None)
	return looked if looked is not None and looked.is_fresh else None


def _ask() -> bytes | None:
	try:
		# The key is the site's own, and a copy in memory would hide that another process changed it.
		# nosemgrep: frappe-cache-breaks-multitenancy
		return frappe.cache.get(frappe.cache.make_key(_VERSION_KEY))
	except RedisError:
		return None


def _keep(version: bytes | None) -> Look:
	frappe.local.hub_look = Look(version.decode() if version else None, time.monotonic())
	return frappe.local.hub_look
