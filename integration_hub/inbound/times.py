"""Times from outside → the site's zone, where Frappe keeps all its times."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from frappe import _
from frappe.utils import get_system_timezone

from integration_hub.exceptions import Fault, ValidationFailed
from integration_hub.schemas.values import EARLIEST, LATEST


def site_date(value: datetime, pointer: str) -> date:
	"""Return the day of a time in the site's zone; a time without an offset is in that zone already.

	Raises:
		ValidationFailed: the conversion moved it out of the years that can be stored.
	"""
	if value.tzinfo is None:
		return value.date()
	try:
		day = value.astimezone(ZoneInfo(get_system_timezone())).date()
	except OverflowError:
		day = date.max
	if not EARLIEST <= day <= LATEST:
		message = _("In the site's time zone this is {0}; dates go from {1} to {2}.").format(
			day, EARLIEST, LATEST
		)
		raise ValidationFailed(message, errors=[Fault(pointer, message, "date_out_of_range")])
	return day
