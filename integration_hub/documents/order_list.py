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
# As long as ERPNext's web server lets a request run: a change may be overtaken by one that was begun before and is
# committed after it.
LAG = timedelta(minutes=2)
_INDEX = "company_modified_name_index"
_EARLIEST = "1000-01-01"
_LATEST = "9999-12-31"
# The order of the list; and until when nothing can have been overtaken, as it was when the reader began at the start
# or where it had caught up: there it comes back to.
_COLUMNS = {"modified": str, "name": str, "until": str}


def list_orders(caller: Caller, query: OrdersList) -> dict:
	"""Return a page of orders, those changed longest ago first.

	Raises:
		ValidationFailed: the cursor is none of this list's.
	"""
	zone = ZoneInfo(get_system_timezone())
	bounds = (_naive(query.modified_after, zone), _naive(query.modified_before, zone))

	def fetch(key: list, backwards: bool, count: int) -> list[dict]:
		until = (key and key[2]) or str(settled_until(datetime.now(timezone.utc), zone))
		rows = _readable(caller, bounds, key[:2], backwards, count)
		return [{**row, "until": until} for row in rows]

	found = listed("orders.list", fetch, query, _COLUMNS, stream=True, caught_up=_before_the_young)
	return {
		**found,
		"result": [order_answer(load(DOCTYPE, row["name"]), caller.name) for row in found["result"]],
	}


def _before_the_young(key: list[str]) -> list[str]:
	"""Return where a reader goes on that has read all: before what may still be overtaken, which it reads again."""
	modified, name, until = key
	return [until, "", ""] if until and modified >= until else [modified, name, ""]


def settled_until(now: datetime, zone: ZoneInfo) -> datetime:
	"""Return the site's time before which no change can be written any more. Pure.

	`modified` is the site's own time, of which one hour comes twice in autumn: as long as it lasts, all its changes count as
	young, for the second time a reader would be past them.

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


def _naive(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
	return moment.astimezone(zone).replace(tzinfo=None) if moment and moment.tzinfo else moment


def _readable(
	caller: Caller, bounds: tuple[datetime | None, datetime | None], key: list, backwards: bool, count: int
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
	caller: Caller, bounds: tuple[datetime | None, datetime | None], key: list, backwards: bool, count: int
) -> list[dict]:
	after, before = bounds[0] or _EARLIEST, bounds[1] or _LATEST
	sign, order = ("<", "DESC") if backwards else (">", "ASC")
	moment, name = key or ((before, "") if backwards else (after, ""))
	return sql.run(
		f"""SELECT name, modified FROM `tabSales Order` FORCE INDEX ({_INDEX})
		WHERE company = %s AND modified {sign}= %s AND (modified {sign} %s OR name {sign} %s)
			AND modified >= %s AND modified < %s AND coalesce(hub_system, '') IN ('', %s)
		ORDER BY modified {order}, name {order} LIMIT %s""",
		(
			caller.system.company,
			*(moment, moment, name),
			*(after, before),
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
