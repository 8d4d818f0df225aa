"""Leaves the site as the tests found it: removes every row that belongs to the tests' own users."""

import frappe


def remove_everything_of(owners: list[str], slugs: list[str]) -> None:
	"""Delete all rows these users own, in every table, and the users.

	Documents are deleted as rows, not cancelled first: whatever a document wrote (ledgers, Bins, versions, comments)
	was written by the same user and goes with it.
	"""
	frappe.db.rollback()
	for table in _tables_with("owner"):
		frappe.db.sql(f"DELETE FROM `{table}` WHERE owner IN %s", (owners,))
	frappe.db.sql("DELETE FROM `tabIntegration Request` WHERE hub_system IN %s", (slugs or [""],))
	_remove_users(owners)
	frappe.db.commit()
	frappe.clear_cache()


def _tables_with(column: str) -> list[str]:
	return frappe.db.sql(
		"""SELECT table_name FROM information_schema.columns
		WHERE table_schema = DATABASE() AND column_name = %s AND table_name LIKE 'tab%%' ORDER BY table_name""",
		(column,),
		pluck=True,
	)


def _remove_users(users: list[str]) -> None:
	for user in users:
		frappe.db.sql("DELETE FROM `__Auth` WHERE doctype = 'User' AND name = %s", (user,))
		for table, column in (
			("tabUser", "name"),
			("tabHas Role", "parent"),
			("tabBlock Module", "parent"),
			("tabUser Permission", "user"),
			("tabDefaultValue", "parent"),
			("tabNotification Settings", "name"),
			("tabNotification Log", "for_user"),
			("tabContact", "user"),
		):
			frappe.db.sql(f"DELETE FROM `{table}` WHERE `{column}` = %s", (user,))
