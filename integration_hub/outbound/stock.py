"""`stock.changed`: fed from Bins changed since the last look, one event for each item and warehouse that has another level."""

import frappe
from frappe.model.document import Document
from frappe.utils import get_datetime

from integration_hub.core import sql
from integration_hub.outbound import capture, subscriptions, turns
from integration_hub.outbound.registry import STOCK

# Bin's `modified` is the site's local time, written before the commit: a look goes back by the hour that autumn repeats,
# and by the longest transaction. What was told already is told once all the same.
OVERLAP_MINUTES = 90
BATCH = 500
# What a webhook that wants stock may have asked for.
_PATTERNS = ("*", "stock.*", STOCK)


def look() -> int:
	"""Tell of every level that changed, and commit; return how many. One worker looks at a time."""
	told = 0
	if STOCK not in subscriptions.current().events:
		return told
	while levels := _look_batch():
		told += levels
		if levels < BATCH:
			break
	return told


def begin_for(webhook: Document) -> None:
	"""Take today's levels as told when a webhook is the first to ask for stock: it is not told of all there is."""
	before = webhook.get_doc_before_save()
	if not _wants(webhook) or (before and _wants(before)) or _wanted_by_others(webhook.name):
		return
	sql.run(
		"""INSERT INTO `tabHub Stock Level` (name, creation, modified, actual_qty, reserved_qty)
		SELECT name, now(), modified, actual_qty, reserved_qty FROM tabBin
		ON DUPLICATE KEY UPDATE modified = VALUES(modified), actual_qty = VALUES(actual_qty),
			reserved_qty = VALUES(reserved_qty)"""
	)


def _wants(webhook: Document) -> bool:
	return any(row.event in _PATTERNS for row in webhook.events)


def _wanted_by_others(webhook: str) -> bool:
	return bool(
		sql.run(
			"""SELECT 1 FROM `tabHub Webhook Event` line JOIN `tabHub Webhook` other ON other.name = line.parent
			WHERE line.event IN %s AND other.name <> %s AND other.status <> 'Disabled' LIMIT 1""",
			(_PATTERNS, webhook),
		)
	)


def _look_batch() -> int:
	frappe.db.rollback()
	if not turns.take(turns.STOCK):
		frappe.db.rollback()
		return 0
	levels = _changed()
	if levels:
		capture.on_stock_changed(levels)
		sql.run(
			f"""INSERT INTO `tabHub Stock Level` (name, creation, modified, actual_qty, reserved_qty)
			VALUES {", ".join(["(%s, now(), %s, %s, %s)"] * len(levels))}
			ON DUPLICATE KEY UPDATE modified = VALUES(modified), actual_qty = VALUES(actual_qty),
				reserved_qty = VALUES(reserved_qty)""",
			tuple(
				value
				for row in levels
				for value in (row.name, row.modified, row.actual_qty, row.reserved_qty)
			),
		)
	sql.commit()
	return len(levels)


def _changed() -> list[frappe._dict]:
	newest = sql.run("SELECT max(modified) FROM `tabHub Stock Level`")[0][0]
	since = get_datetime(newest) if newest else get_datetime("1970-01-01")
	return sql.run(
		"""SELECT bin.name, bin.modified, bin.item_code, bin.warehouse, bin.actual_qty, bin.reserved_qty, bin.stock_uom,
			warehouse.company
		FROM tabBin bin JOIN tabWarehouse warehouse ON warehouse.name = bin.warehouse
		LEFT JOIN `tabHub Stock Level` told ON told.name = bin.name
		WHERE bin.modified >= %s - INTERVAL %s MINUTE
			AND (told.name IS NULL OR told.actual_qty <> bin.actual_qty OR told.reserved_qty <> bin.reserved_qty)
		ORDER BY bin.modified LIMIT %s""",
		(since, OVERLAP_MINUTES, BATCH),
		as_dict=True,
	)
