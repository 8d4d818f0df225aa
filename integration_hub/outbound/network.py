"""What Hub Settings allow webhooks to reach."""

import ipaddress

import frappe
from frappe import _

from integration_hub.core import addresses
from integration_hub.core.addresses import AddressRefused, Rules
from integration_hub.exceptions import AddressNotReachable


def rules() -> Rules:
	"""Return the site's rules for calls out."""
	settings = frappe.get_cached_doc("Hub Settings")
	return Rules(
		allow_http=bool(settings.webhook_allow_http),
		ports=frozenset(int(port) for port in (settings.webhook_ports or "").split()),
		allowed_networks=tuple(
			ipaddress.ip_network(network, strict=False)
			for network in (settings.webhook_allowed_networks or "").split()
		),
		proxy=settings.get_password("egress_proxy", raise_exception=False) or None,
	)


def check(url: str, pointer: str = "/url") -> None:
	"""Refuse a URL the hub would not call; its name is looked up as well.

	Raises:
		AddressNotReachable
	"""
	allowed = rules()
	try:
		target = addresses.check_url(url, allowed)
		addresses.resolve(target.host, target.port, allowed)
	except addresses.NameUnknown:
		# It may get one before the first delivery; each connect checks again.
		return
	except AddressRefused as e:
		raise AddressNotReachable(_(e.sentence).format(*e.values), pointer=pointer) from e
