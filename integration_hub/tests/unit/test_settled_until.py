"""Until when `orders.list` reads: never into an hour that comes twice while it lasts."""

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest

from integration_hub.documents.order_list import settled_until

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
	("utc", "site"),
	[
		("2026-07-01T12:02:05", "2026-07-01T14:00:05"),
		# On 25 October the clocks go from 03:00 back to 02:00: 00:00 to 02:00 UTC is 02:00 to 03:00, twice.
		("2026-10-25T00:01:59", "2026-10-25T01:59:59"),
		("2026-10-25T00:30:00", "2026-10-25T01:59:00"),
		("2026-10-25T01:30:00", "2026-10-25T01:59:00"),
		("2026-10-25T02:01:59", "2026-10-25T01:59:00"),
		("2026-10-25T02:02:00", "2026-10-25T03:00:00"),
		# In spring an hour is left out.
		("2026-03-29T01:02:01", "2026-03-29T03:00:01"),
	],
)
def test_a_change_within_the_lag_or_the_double_hour_is_young(utc, site):
	now = datetime.fromisoformat(utc).replace(tzinfo=timezone.utc)
	assert settled_until(now, BERLIN) == datetime.fromisoformat(site)


def test_without_summer_time():
	now = datetime(2026, 10, 25, 0, 30, 0, tzinfo=timezone.utc)
	assert settled_until(now, ZoneInfo("Asia/Kolkata")) == datetime(2026, 10, 25, 5, 58, 0)
