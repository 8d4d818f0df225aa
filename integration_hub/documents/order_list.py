"""`orders.list`: the orders a system may see, by when they were last changed."""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import frappe
from frappe.utils import get_system_timezone

from integration_hub.core import sql
from integration_hub.core.context import Caller
from integration_hub.core.listing import listed
from integration_hub.core.operations import Operation
from integration_hub.documents.events import load
from integration_hub.documents.orders import order_answer
from integration_hub.schemas.orders import OrderPage, OrdersList

DOCTYPE = "Sales Order"
# A change that is younger may be overtaken by one that was begun before and is committed after it.
LAG = timedelta(seconds=5)
_INDEX = "company_modified_name_index"
_EARLIEST = "1000-01-01"


def list_orders(caller: Caller, query: OrdersList) -> dict:
	"""Return a page of orders, those changed longest ago first.

	Raises:
		ValidationFailed: the cursor is none of this list's.
	"""
	zone = ZoneInfo(get_system_timezone())
	before = settled_until(datetime.now(timezone.utc), zone)
	if query.modified_before:
		before = min(before, _naive(query.modified_before, zone))
	after = _naive(query.modified_after, zone) if query.modified_after else None

	def fetch(key: list, backwards: bool, count: int) -> list[dict]:
		return _readable(caller, (after, before), key, backwards, count)

	found = listed("orders.list", fetch, query, {"modified": str, "name": str}, stream=True)
	return {
		**found,
		"result": [order_answer(load(DOCTYPE, row.name), caller.name) for row in found["result"]],
	}


def settled_until(now: datetime, zone: ZoneInfo) -> datetime:
	"""Return the site's time before which no change can be written any more. Pure.

	`modified` is the site's own time, of which one hour comes twice in autumn: as long as it lasts, its changes wait, for
	the second time a reader would be past them.

	Args:
		now: with an offset.
		zone: the site's.
	"""
	moment = (now - LAG).astimezone(zone).replace(tzinfo=None)
	while _comes_twice(moment, zone):
		moment = moment.replace(second=0, microsecond=0) - timedelta(minutes=1)
	return moment


def _comes_twice(moment: datetime, zone: ZoneInfo) -> bool:
	first, second = (moment.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
	return first > second


def _naive(moment: datetime, zone: ZoneInfo) -> datetime:
	return moment.astimezone(zone).replace(tzinfo=None) if moment.tzinfo else moment


def _readable(
	caller: Caller, bounds: tuple[datetime | None, datetime], key: list, backwards: bool, count: int
) -> list[dict]:
	"""Return up to `count` orders beyond `key` that the caller's user may read."""
	found: list[dict] = []
	while len(found) < count:
		rows = _rows(caller, bounds, key, backwards, count)
		found += [row for row in rows if frappe.has_permission(DOCTYPE, "read", row.name)]
		if len(rows) < count:
			break
		key = [str(rows[-1].modified), rows[-1].name]
	return found[:count]


def _rows(
	caller: Caller, bounds: tuple[datetime | None, datetime], key: list, backwards: bool, count: int
) -> list[dict]:
	after, before = bounds
	sign, order = ("<", "DESC") if backwards else (">", "ASC")
	moment, name = key or ((before, "") if backwards else (after or _EARLIEST, ""))
	return sql.run(
		f"""SELECT name, modified FROM `tabSales Order` FORCE INDEX ({_INDEX})
		WHERE company = %s AND modified {sign}= %s AND (modified {sign} %s OR name {sign} %s)
			AND modified >= %s AND modified < %s AND coalesce(hub_system, '') IN ('', %s)
		ORDER BY modified {order}, name {order} LIMIT %s""",
		(
			caller.system.company,
			*(moment, moment, name),
			*(after or _EARLIEST, before),
			caller.name,
			count,
		),
		as_dict=True,
	)


LIST = Operation(
	name="orders.list",
	summary="Read orders by cursor, those changed longest ago first",
	schema=OrdersList,
	answer=OrderPage,
	handler=list_orders,
	scope="orders:read",
	example={"modified_after": "2026-03-01T00:00:00+01:00", "limit": 100},
)
