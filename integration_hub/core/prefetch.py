"""Asks the cache in one round trip for what every call reads: each by itself takes as long as all of them together.

Sole owner of the subscriptions' version in the cache: what tells a process that they were changed by another one.
"""

import pickle
import time
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

import frappe

# A call may take long; it looks again after so many seconds.
VERSION_SECONDS = 5
_VERSION_KEY = "hub_subscriptions_version"


@dataclass
class Look:
	"""A look at the version of the subscriptions; None: the cache does not know it, or does not answer.

	Attributes:
		at: when, in seconds of the monotonic clock.
		found: what was made of it, for whoever looks again while it counts.
	"""

	version: str | None
	at: float
	found: Any = None


def prefetch(system: str) -> None:
	"""Bring Hub Settings, a Connected System and the version of the subscriptions into memory, for this call.

	What the cache does not hold is read where it is needed; all of it from the database while the cache does not answer.
	"""
	documents = [("Hub Settings", "Hub Settings"), ("Hub Connected System", system)]
	keys = {frappe.cache.make_key(frappe.get_document_cache_key(*each)): each for each in documents}
	missing = [key for key in keys if frappe.local.cache.get(key) is None]
	if not missing and getattr(frappe.local, "hub_look", None):
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
	# Asked at each document event: no call more than needed.
	looked = getattr(frappe.local, "hub_look", None)
	if looked is None or time.monotonic() - looked.at > VERSION_SECONDS:
		return _keep(_ask())
	return looked


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
