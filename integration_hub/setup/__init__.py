"""Roles, custom fields, defaults and indexes: made on install and on every migrate, removed on uninstall; idempotent."""

import frappe
from frappe.custom.doctype.custom_field.custom_field import create_custom_fields
from frappe.permissions import add_permission, reset_perms
from frappe.utils.password import get_encryption_key

from integration_hub.constants.custom_fields import CUSTOM_FIELDS, MODULE
from integration_hub.constants.roles import ROLES
from integration_hub.outbound import turns

LOG = "Integration Request"

# Indexes that the due look-up and retention need: table → columns of each.
INDEXES = {
	"Hub Request": (
		["system", "status", "next_attempt_at"],
		["system", "subject", "status"],
		["system", "received_at", "name"],
		["system", "status", "received_at", "name"],
		["batch", "status"],
		["status", "lease_until"],
		["status", "modified"],
	),
	"Hub Request Step": (["document_name"],),
	"Hub External Reference": (["document_type", "document_name"], ["request"]),
	"Hub Event": (
		["system", "sequence"],
		["system", "event", "sequence"],
		["sequence", "occurred_at"],
		["occurred_at"],
		["system", "occurred_at"],
		["reference_doctype", "reference_name"],
	),
	"Hub Event Delivery": (
		["webhook", "due_at", "occurred_at"],
		["webhook", "status", "last_attempt_at"],
		["webhook", "reference_name"],
	),
	"Hub Stock Level": (["modified"],),
	# What changed since the last look: version 16 has no such index.
	"Bin": (["modified"],),
	"Sales Order": (["company", "modified", "name"],),
}


def make() -> None:
	"""Bring the site to what this version of the app needs."""
	# Made at first use otherwise, by each web worker its own, and secrets written with the others would be lost.
	get_encryption_key()
	_make_roles()
	_make_custom_fields()
	_make_permissions()
	_make_defaults()
	for doctype, indexes in INDEXES.items():
		for columns in indexes:
			frappe.db.add_index(doctype, columns)
	frappe.db.add_unique("Hub Event Delivery", ["event", "webhook"])
	turns.make()


def remove() -> None:
	"""Take away what `make` made in other apps' places, and the users that were the hub's own."""
	for user in frappe.get_all("Hub Connected System", filters={"user": ("is", "set")}, pluck="user"):
		frappe.db.set_value("User", user, {"enabled": 0, "api_key": None})
	frappe.db.delete("Custom Field", {"module": MODULE})
	frappe.db.delete("Scheduled Job Type", {"method": ("like", "integration_hub.%")})
	for doctype in CUSTOM_FIELDS:
		frappe.clear_cache(doctype=doctype)
	_remove_permissions()
	for role in ROLES:
		frappe.delete_doc("Role", role, ignore_missing=True, force=True)


def _make_roles() -> None:
	for role in ROLES:
		if not frappe.db.exists("Role", role):
			frappe.get_doc({"doctype": "Role", "role_name": role, "desk_access": 1}).insert(
				ignore_permissions=True
			)


def _make_custom_fields() -> None:
	fields = {
		doctype: [{**field, "module": MODULE} for field in rows] for doctype, rows in CUSTOM_FIELDS.items()
	}
	create_custom_fields(fields, ignore_validate=True)


def _make_permissions() -> None:
	"""Let the people who use the hub read its log."""
	for role in ROLES:
		if not frappe.db.exists("Custom DocPerm", {"parent": LOG, "role": role}):
			add_permission(LOG, role)


def _remove_permissions() -> None:
	"""Take the roles' permissions away; where nothing but copies of the standard ones is left, those as well."""
	frappe.db.delete("Custom DocPerm", {"role": ("in", ROLES)})
	columns = [
		"role",
		"permlevel",
		"read",
		"write",
		"create",
		"delete",
		"report",
		"export",
		"share",
		"print",
		"email",
	]
	left = frappe.get_all("Custom DocPerm", filters={"parent": LOG}, fields=columns, order_by="role")
	standard = frappe.get_all("DocPerm", filters={"parent": LOG}, fields=columns, order_by="role")
	if left == standard:
		reset_perms(LOG)


def _make_defaults() -> None:
	"""Write the defaults of Hub Settings where none are stored: a Single has no row of its own."""
	stored = frappe.db.get_singles_dict("Hub Settings")
	for field in frappe.get_meta("Hub Settings").fields:
		if field.default and field.fieldname not in stored:
			frappe.db.set_single_value("Hub Settings", field.fieldname, field.default)
