"""Who sees what of the hub."""

import frappe


def may_open_app() -> bool:
	"""Whether the hub is offered to the current user among the apps of the Desk."""
	return bool(frappe.has_permission("Hub Request"))
