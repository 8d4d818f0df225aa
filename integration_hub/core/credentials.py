"""Sole owner of a Connected System's user and API secret: create, rotate, revoke, grant just the roles it needs."""

from dataclasses import dataclass

import frappe
from frappe import _
from frappe.utils.password import get_decrypted_password, remove_encrypted_password, set_encrypted_password

from integration_hub.constants.scopes import ITEM_CREATOR_ROLE, SCOPES
from integration_hub.core import sql
from integration_hub.exceptions import StateConflict

DOCTYPE = "Hub Connected System"
MAX_OVERLAP_HOURS = 24 * 30


@dataclass(frozen=True)
class Credentials:
	"""Shown once; the secret is stored encrypted."""

	user: str
	api_key: str
	api_secret: str


def create_user(system_name: str) -> Credentials:
	"""Make the system's dedicated user, restricted to its company, with just the roles its scopes need.

	Runs with the rights of the person who asks: only a System Manager may create users.

	Raises:
		StateConflict: it has a user.
	"""
	system = frappe.get_doc(DOCTYPE, system_name)
	system.check_permission("write")
	if not frappe.has_permission("User", "create"):
		frappe.throw(
			_("Only a System Manager can create users. Ask one to press Create User."), frappe.PermissionError
		)
	if system.user:
		raise StateConflict(
			_("{0} has its user {1} already. Rotate its secret instead.").format(system.title, system.user)
		)
	user = frappe.get_doc(
		{
			"doctype": "User",
			"email": f"{system.name}@integration-hub.invalid",
			"first_name": system.title,
			"last_name": "(Integration Hub)",
			"user_type": "System User",
			"send_welcome_email": 0,
			"enabled": 1,
		}
	)
	user.append_roles(*roles_for(system))
	user.insert()
	secret = _new_secret(user.name)
	key = frappe.generate_hash(length=15)
	user.db_set("api_key", key)
	_restrict(user.name, system.company)
	system.db_set({"user": user.name, "api_key": key, "secret_rotated_on": frappe.utils.now()})
	frappe.clear_document_cache(DOCTYPE, system.name)
	return Credentials(user.name, key, secret)


def rotate(system_name: str, overlap_hours: float = 24) -> Credentials:
	"""Make a new secret; the old one stays valid for `overlap_hours` (0 to 720)."""
	system = _with_user(system_name)
	if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
		frappe.throw(_("The overlap is 0 to {0} hours.").format(MAX_OVERLAP_HOURS))
	previous = get_decrypted_password("User", system.user, "api_secret", raise_exception=False)
	if previous and overlap_hours:
		_keep_secret(DOCTYPE, system.name, "previous_api_secret", previous)
	key = system.api_key or frappe.generate_hash(length=15)
	secret = _new_secret(system.user)
	frappe.db.set_value("User", system.user, "api_key", key)
	sql.run(
		"""UPDATE `tabHub Connected System` SET api_key = %s, secret_rotated_on = %s,
			previous_secret_valid_until = IF(%s, UTC_TIMESTAMP(6) + INTERVAL %s SECOND, NULL) WHERE name = %s""",
		(key, frappe.utils.now(), bool(previous and overlap_hours), int(overlap_hours * 3600), system.name),
	)
	_forget(system)
	return Credentials(system.user, key, secret)


def revoke(system_name: str) -> None:
	"""Make every secret of the system worthless at once. `rotate` makes a new one."""
	system = _with_user(system_name)
	_forget_secret("User", system.user, "api_secret")
	_forget_secret(DOCTYPE, system.name, "previous_api_secret")
	frappe.db.set_value("User", system.user, "api_key", None)
	system.db_set({"previous_secret_valid_until": None, "secret_rotated_on": None, "api_key": None})
	_forget(system)


def sync_roles(system) -> None:
	"""Give the system's user the roles its scopes and policies need now, and take away the hub's others."""
	if not system.user:
		return
	user = frappe.get_doc("User", system.user)
	wanted, has = set(roles_for(system)), {row.role for row in user.roles}
	managed = {role for _title, roles in SCOPES.values() for role in roles} | {ITEM_CREATOR_ROLE}
	surplus, missing = (has & managed) - wanted, wanted - has
	if (surplus or missing) and not user.has_permission("write"):
		frappe.throw(
			_("These scopes change what the user {0} may do, which only a System Manager can save.").format(
				user.name
			),
			frappe.PermissionError,
		)
	if surplus:
		user.remove_roles(*surplus)
	if missing:
		user.add_roles(*missing)


def sync_company(system) -> None:
	"""Move the user's restriction when the system's company changes."""
	if system.user:
		frappe.db.delete("User Permission", {"user": system.user, "allow": "Company"})
		_restrict(system.user, system.company)
		frappe.cache.hdel("user_permissions", system.user)


def roles_for(system) -> list[str]:
	"""Return the roles a system's scopes and policies need, sorted."""
	roles = {role for row in system.scopes for role in SCOPES[row.scope][1]}
	if system.unknown_item_policy == "Create" and "orders:write" in {row.scope for row in system.scopes}:
		roles.add(ITEM_CREATOR_ROLE)
	return sorted(roles)


def _with_user(system_name: str):
	system = frappe.get_doc(DOCTYPE, system_name)
	system.check_permission("write")
	if not system.user:
		raise StateConflict(_("{0} has no user yet. Create it first.").format(system.title))
	return system


def _new_secret(user: str) -> str:
	secret = frappe.generate_hash(length=32)
	_keep_secret("User", user, "api_secret", secret)
	return secret


def _keep_secret(doctype: str, name: str, fieldname: str, secret: str) -> None:
	"""Store a secret encrypted, and in its field the mask that tells Frappe there is one.

	Saving a document whose password field is empty would remove the secret.
	"""
	set_encrypted_password(doctype, name, secret, fieldname)
	frappe.db.set_value(doctype, name, fieldname, "*" * len(secret), update_modified=False)


def _forget_secret(doctype: str, name: str, fieldname: str) -> None:
	remove_encrypted_password(doctype, name, fieldname)
	frappe.db.set_value(doctype, name, fieldname, None, update_modified=False)


def _restrict(user: str, company: str) -> None:
	frappe.get_doc(
		{
			"doctype": "User Permission",
			"user": user,
			"allow": "Company",
			"for_value": company,
			"apply_to_all_doctypes": 1,
		}
	).insert(ignore_permissions=True)


def _forget(system) -> None:
	frappe.clear_document_cache(DOCTYPE, system.name)
	frappe.clear_document_cache("User", system.user)
