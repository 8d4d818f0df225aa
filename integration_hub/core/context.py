"""Who calls: the Connected System behind the user of this request, and what it may do."""

import ipaddress
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import get_datetime

from integration_hub import compat
from integration_hub.core import prefetch
from integration_hub.exceptions import (
	AddressNotAllowed,
	NotAuthenticated,
	Paused,
	ScopeMissing,
	SystemNotConnected,
)

DOCTYPE = "Hub Connected System"
# How long several calls of one system share what Frappe keeps in memory for a request.
FRESH_SECONDS = 1.0


@dataclass(frozen=True)
class Caller:
	"""A Connected System at work.

	`system` is its cached document: read it, never change it.
	"""

	system: Document
	scopes: frozenset[str] = field(default_factory=frozenset)

	@property
	def name(self) -> str:
		return self.system.name

	@property
	def user(self) -> str:
		return self.system.user

	def require(self, scope: str | None, pointer: str | None = None) -> None:
		"""Raise ScopeMissing unless the system holds `scope`."""
		if scope and scope not in self.scopes:
			raise ScopeMissing(
				_("This call needs the scope {0}. Add it to the Connected System {1}.").format(
					scope, self.name
				),
				pointer=pointer,
			)


def from_system(name: str, modified: datetime | None = None) -> Caller:
	"""Return the caller for a Connected System's name.

	Args:
		modified: when it was saved last; by default the database is asked. Somebody who began before that may have put
			the system as it was into the cache, where it would stay.
	"""
	modified = modified or frappe.db.get_value(DOCTYPE, name, "modified")
	prefetch.prefetch(name)
	system = frappe.get_cached_doc(DOCTYPE, name)
	if get_datetime(system.modified) != modified:
		frappe.clear_document_cache(DOCTYPE, name)
		system = frappe.get_cached_doc(DOCTYPE, name)
	return Caller(system, frozenset(row.scope for row in system.scopes))


def identify() -> Caller:
	"""Return the caller of the current request; it may be disabled.

	Raises:
		NotAuthenticated: no user.
		SystemNotConnected: the user belongs to no Connected System.
	"""
	user = frappe.session.user
	if user in ("Guest", "", None):
		raise NotAuthenticated(_("Send the header: Authorization: token <api key>:<api secret>."))
	found = frappe.db.get_value(DOCTYPE, {"user": user}, ["name", "modified"])
	if not found:
		raise SystemNotConnected(
			_(
				"User {0} belongs to no Connected System. Use the credentials that Integration Hub made."
			).format(user)
		)
	return from_system(*found)


def check_enabled(caller: Caller) -> None:
	"""Raise SystemNotConnected when the system is switched off."""
	if not caller.system.enabled:
		raise SystemNotConnected(_("The Connected System {0} is disabled.").format(caller.name))


def system_of(user: str) -> str | None:
	"""Return the name of the Connected System whose user this is."""
	return frappe.db.get_value(DOCTYPE, {"user": user}, "name")


def check_address(caller: Caller) -> None:
	"""Raise AddressNotAllowed unless the peer's address is on the system's list (an empty list allows all)."""
	allowed = (caller.system.allowed_addresses or "").split()
	if not allowed:
		return
	address = peer_address()
	if not _in_networks(address, allowed):
		raise AddressNotAllowed(_("Calls from {0} are not allowed for {1}.").format(address, caller.name))


def peer_address() -> str:
	"""Return the caller's IP address: the peer's, or what a configured proxy says about it."""
	peer = frappe.request.remote_addr or ""
	proxies = (frappe.get_cached_doc("Hub Settings").trusted_proxies or "").split()
	hops = [
		hop.strip() for hop in frappe.request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()
	]
	# From the nearest hop outwards: the first that is no proxy of ours is the caller.
	while hops and proxies and _in_networks(peer, proxies):
		peer = hops.pop()
	return peer


def _in_networks(address: str, networks: list[str]) -> bool:
	try:
		ip = ipaddress.ip_address(address)
	except ValueError:
		return False
	ip = getattr(ip, "ipv4_mapped", None) or ip
	return any(ip in ipaddress.ip_network(network, strict=False) for network in networks)


def check_not_paused(caller: Caller) -> None:
	"""Raise Paused while the site or this system is paused for maintenance."""
	settings = frappe.get_cached_doc("Hub Settings")
	if settings.paused:
		raise Paused(
			settings.pause_message or _("Integration Hub is paused for maintenance. Try again later."),
			retry_after=60,
		)
	if caller.system.paused:
		raise Paused(_("{0} is paused for maintenance. Try again later.").format(caller.name), retry_after=60)


@contextmanager
def worker():
	"""Be whoever `act_for` says inside, and nobody but oneself afterwards."""
	before = frappe.session.user
	try:
		yield
	finally:
		frappe.set_user(before)


def act_for(system: str) -> None:
	"""Take on a system's user within `worker`.

	What Frappe keeps in memory for a request, several calls of one system share for a moment; a try that is rolled back
	forgets it by itself. Who wants to be told of what is asked for each.
	"""
	prefetch.forget()
	user, now = from_system(system).user or "Guest", time.monotonic()
	if frappe.session.user != user or now > getattr(frappe.local, "hub_fresh_until", 0.0):
		frappe.set_user(user)
		compat.forget_request()
		frappe.local.hub_fresh_until = now + FRESH_SECONDS


@contextmanager
def acting_as(caller: Caller):
	"""Take on the system's user, for work that no request of its own brought: queued, retried, from the Desk."""
	before, user = frappe.session.user, caller.user or "Guest"
	if before == user:
		yield
		return
	frappe.set_user(user)
	try:
		yield
	finally:
		frappe.set_user(before)
