"""Empties old payloads and removes old requests; unfinished ones are never touched."""

import frappe
from frappe.utils import add_days, cint, now_datetime

from integration_hub.constants import statuses as S
from integration_hub.core import sql

BATCH = 1_000
# What a batch tells of goes with the batch.
_IN_NO_BATCH = (
	"NOT EXISTS (SELECT 1 FROM `tabHub Request Item` item WHERE item.request = `tabHub Request`.name)"
)


def purge() -> None:
	"""Apply the retention of Hub Settings, in batches of a thousand rows, each committed."""
	settings = frappe.get_cached_doc("Hub Settings")
	empty_payloads(cint(settings.payload_retention_days))
	remove_requests(cint(settings.request_retention_days))


def empty_payloads(days: int) -> None:
	"""Empty payload and superseded payloads of requests finished more than `days` ago; 0 keeps them."""
	while days and _batch(
		"""UPDATE `tabHub Request` SET payload = NULL, superseded_payloads = NULL
		WHERE status IN (%s, %s) AND modified < %s AND payload IS NOT NULL LIMIT %s""",
		days,
	):
		pass


def remove_requests(days: int) -> None:
	"""Remove requests finished more than `days` ago, and their steps; 0 keeps them. External References stay for ever."""
	while days and _remove_batch(add_days(now_datetime(), -days)):
		pass


def _remove_batch(before) -> int:
	old = (S.COMPLETED, S.CANCELLED, before)
	names = sql.run(
		f"SELECT name FROM `tabHub Request` WHERE status IN (%s, %s) AND modified < %s AND {_IN_NO_BATCH} LIMIT %s",
		(*old, BATCH),
		pluck=True,
	)
	if names:
		# Asked again: a person may just be retrying one.
		gone = sql.run(
			f"""DELETE FROM `tabHub Request` WHERE name IN %s AND status IN (%s, %s) AND modified < %s AND {_IN_NO_BATCH}
			RETURNING name""",
			(names, *old),
			pluck=True,
		)
		for child in ("Hub Request Step", "Hub Request Item"):
			sql.run(f"DELETE FROM `tab{child}` WHERE parent IN %s", (gone or [""],))
	sql.commit()
	return len(names)


def _batch(query: str, days: int) -> int:
	changed = sql.changes(query, (S.COMPLETED, S.CANCELLED, add_days(now_datetime(), -days), BATCH))
	sql.commit()
	return changed
