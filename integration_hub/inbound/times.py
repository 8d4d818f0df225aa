"""Times from outside → the site's zone, where Frappe keeps all its times."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from frappe.utils import get_system_timezone


def site_time(value: datetime) -> datetime:
	"""Return a naive datetime in the site's zone; a value without an offset is in that zone already."""
	if value.tzinfo is None:
		return value
	return value.astimezone(ZoneInfo(get_system_timezone())).replace(tzinfo=None)


def site_date(value: datetime) -> date:
	"""Return the day of a time in the site's zone."""
	return site_time(value).date()
