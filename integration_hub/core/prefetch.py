"""Asks the cache in one round trip for what every call reads: each one by itself takes as long as all of them."""

import pickle
import time
from contextlib import suppress

from redis.exceptions import RedisError

import frappe

# What other processes are told of: it changes with what is subscribed to.
SUBSCRIPTIONS_VERSION = "hub_subscriptions_version"
# A look at the version that is older does not count.
FRESH_SECONDS = 5


def prefetch(system: str) -> None:
	"""Bring Hub Settings, a Connected System and the version of the subscriptions into this request's memory.

	What the cache does not hold, or not now, is read where it is needed.
	"""
	documents = [("Hub Settings", "Hub Settings"), ("Hub Connected System", system)]
	keys = [frappe.cache.make_key(frappe.get_document_cache_key(*each)) for each in documents]
	missing = [key for key in keys if frappe.local.cache.get(key) is None]
	if not missing:
		return
	with suppress(RedisError):
		# Frappe's own way to read a document from the cache, of several at a time.
		*found, version = frappe.cache.mget([*missing, frappe.cache.make_key(SUBSCRIPTIONS_VERSION)])
		frappe.local.cache.update(
			{key: pickle.loads(value) for key, value in zip(missing, found, strict=True) if value}
		)
		frappe.local.hub_subscriptions_version = (_text(version), time.monotonic())


def subscriptions_version() -> str | None:
	"""Return the version of the subscriptions: as prefetched a moment ago, else as the cache says now."""
	looked, frappe.local.hub_subscriptions_version = (
		getattr(frappe.local, "hub_subscriptions_version", None),
		None,
	)
	if looked and time.monotonic() - looked[1] < FRESH_SECONDS:
		return looked[0]
	try:
		# The key is the site's own, and a copy in memory would hide that another process changed it.
		# nosemgrep: frappe-cache-breaks-multitenancy
		return _text(frappe.cache.get(frappe.cache.make_key(SUBSCRIPTIONS_VERSION)))
	except RedisError:
		return None


def _text(value: bytes | None) -> str | None:
	return value.decode() if value else None
