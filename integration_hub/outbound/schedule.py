"""When a failed delivery is tried again. Pure.

Source: the example schedule of Standard Webhooks, "Deliverability and reliability".
"""

import random as random_source
import re
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

MINUTE, HOUR = 60, 60 * 60
# Seconds between an attempt and the one before it; the first is made at once.
WAITS = (0, 5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
JITTER = 0.2
# The least wait after 429 or a timeout: the receiver has too much to do already.
RELIEF = 60
LONGEST_RETRY_AFTER = 24 * HOUR


def next_attempt_in(
	attempt_no: int,
	reply_status: int | None,
	timed_out: bool,
	retry_after: str | None,
	now: datetime,
	random: Callable[[float, float], float] = random_source.uniform,
) -> float | None:
	"""Return the seconds from `now` to the attempt after number `attempt_no`, which failed; None: none is left.

	`Retry-After` of any failing answer can only lengthen the wait, up to 24 h; a shorter one, rubbish and a date
	in the past change nothing. Jitter is ±20 % on the schedule, but 0 to +20 % on `Retry-After` and on the minute
	after 429 or a timeout: these are never undercut, and those sent away together do not come back together.

	Args:
		attempt_no: 1 for the first attempt.
		reply_status: HTTP status of the answer; None: there was none.
		timed_out: whether the attempt ended by one of our time limits.
		retry_after: the header as it came.
		now: in UTC, with or without its zone.
		random: `random(low, high)`.
	"""
	if attempt_no >= len(WAITS):
		return None
	relief = RELIEF if timed_out or reply_status == 429 else 0
	asked = max(relief, parse_retry_after(retry_after, now) or 0)
	spread = random(-JITTER, JITTER)
	return max(WAITS[attempt_no] * (1 + spread), min(asked * (1 + abs(spread)), LONGEST_RETRY_AFTER))


def parse_retry_after(value: str | None, now: datetime) -> float | None:
	"""Return the seconds a `Retry-After` header asks for; None: there is none, it is in the past, or cannot be read.

	Source: RFC 9110, sections 10.2.3 (whole seconds or a date) and 5.6.7 (three forms of a date, all of them GMT).

	Args:
		now: in UTC, with or without its zone.
	"""
	value = (value or "").strip()
	if re.fullmatch("[0-9]+", value):
		return float(value)
	try:
		seconds = (_in_utc(parsedate_to_datetime(value)) - _in_utc(now)).total_seconds()
	except (ValueError, OverflowError):
		return None
	return seconds if seconds >= 0 else None


def _in_utc(moment: datetime) -> datetime:
	return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
