"""What a system may ask about the hub itself."""

from datetime import datetime
from zoneinfo import ZoneInfo

import frappe
from frappe.utils import get_system_timezone

from integration_hub import __version__
from integration_hub.core.context import Caller
from integration_hub.core.operations import Operation
from integration_hub.schemas.requests import Nothing, Ping


def ping(caller: Caller, query: Nothing) -> dict:
	"""Return who calls, what answers, and the time here."""
	return {
		"system": caller.name,
		"app_version": __version__,
		"frappe_version": frappe.__version__,
		"time": datetime.now(ZoneInfo(get_system_timezone())).isoformat(),
	}


PING = Operation(
	name="system.ping",
	summary="Who am I, and what time is it there?",
	schema=Nothing,
	answer=Ping,
	handler=ping,
)
