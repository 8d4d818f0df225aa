"""Times from outside → the site's zone, where Frappe keeps all its times."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from frappe import _
from frappe.utils import get_system_timezone

from integration_hub.exceptions import Fault, ValidationFailed
from integration_hub.schemas.values import EARLIEST, LATEST


def site_time(value: datetime) -> datetime:
	"""Return a naive datetime in the site's zone; a value without an offset is in that zone already."""
	return value.astimezone(ZoneInfo(get_system_timezone())).replace(tzinfo=None) if value.tzinfo else value


def site_date(value: datetime, pointer: str) -> date:
	"""Return the day of a time in the site's zone; a time without an offset is in that zone already.

	Raises:
		ValidationFailed: the conversion moved it out of the years that can be stored.
	"""
	try:
		day = site_time(value).date()
	except OverflowError:
		day = date.max
	if not EARLIEST <= day <= LATEST:
		message = _("In the site's time zone this is {0}; dates go from {1} to {2}.").format(
			day, EARLIEST, LATEST
		)
		raise ValidationFailed(message, errors=[Fault(pointer, message, "date_out_of_range")])
	return day
