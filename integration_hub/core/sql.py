"""The hub's own SQL: guarded UPDATEs, SKIP LOCKED, lock waits and plain INSERTs that Frappe's query builder cannot say.

Values always go in as parameters. Transactions end here alone, so that a reader can find every caller.
"""

import frappe


def run(query: str, values: tuple = (), **options) -> list:
	"""Run one statement and return its rows; `options` are those of `frappe.db.sql` (as_dict, pluck)."""
	# What for: the module's docstring.
	# nosemgrep: frappe-using-db-sql
	return frappe.db.sql(query, values, **options)


def changes(query: str, values: tuple = ()) -> int:
	"""Run one statement and return how many rows it changed (changed ones, on both drivers, not matched ones)."""
	run(query, values)
	return frappe.db._cursor.rowcount


def commit() -> None:
	"""Commit; called by the door, the drain of waiting requests and retention, and by nobody else."""
	# The door owns its transactions.
	# nosemgrep: frappe-manual-commit
	frappe.db.commit()
