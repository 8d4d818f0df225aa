"""When a failed delivery is tried again: the schedule, its jitter, and what receivers ask for."""

import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from integration_hub.outbound.schedule import WAITS, next_attempt_in, parse_retry_after

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc)
MINUTE, HOUR = 60, 3600
DAY = 24 * HOUR


def middle(_low, _high):
	return 0.0


def lowest(low, _high):
	return low


def highest(_low, high):
	return high


def wait(attempt_no, status=500, timed_out=False, retry_after=None, random=middle, now=NOW):
	return next_attempt_in(attempt_no, status, timed_out, retry_after, now, random=random)


@pytest.fixture
def far_from_utc(monkeypatch):
	"""The machine's own zone is nobody's business."""
	with monkeypatch.context() as patch:
		patch.setenv("TZ", "Asia/Tokyo")
		time.tzset()
		yield
	time.tzset()


def test_the_whole_schedule():
	assert [wait(number) for number in range(1, 11)] == [
		5,
		5 * MINUTE,
		30 * MINUTE,
		2 * HOUR,
		5 * HOUR,
		10 * HOUR,
		14 * HOUR,
		20 * HOUR,
		24 * HOUR,
		None,
	]
	assert len(WAITS) == 10
	# From the first attempt to the last, as the standard's table has it.
	assert sum(WAITS) == 75 * HOUR + 35 * MINUTE + 5


@pytest.mark.parametrize("number", [10, 11, 1000])
@pytest.mark.parametrize("more", [{}, {"status": 429}, {"timed_out": True}, {"retry_after": "5"}])
def test_after_the_last_there_is_none(number, more):
	assert wait(number, **more) is None


@pytest.mark.parametrize("number", range(1, 10))
def test_jitter_is_a_fifth_either_way(number):
	base = WAITS[number]
	assert wait(number, random=lowest) == pytest.approx(base * 0.8)
	assert wait(number, random=highest) == pytest.approx(base * 1.2)
	waits = [next_attempt_in(number, 500, False, None, NOW) for _ in range(300)]
	assert base * 0.8 <= min(waits) < base * 0.9 and base * 1.1 < max(waits) <= base * 1.2


@pytest.mark.parametrize("status", [None, 199, 301, 302, 400, 401, 403, 404, 408, 500, 502, 503, 504, 599])
def test_every_other_failure_follows_the_schedule(status):
	assert wait(1, status) == 5
	assert wait(2, status) == 300


@pytest.mark.parametrize(("status", "timed_out"), [(429, False), (None, True), (200, True), (429, True)])
def test_a_minute_at_least_after_429_or_a_timeout(status, timed_out):
	assert wait(1, status, timed_out) == 60
	assert wait(1, status, timed_out, random=lowest) == pytest.approx(72)
	assert wait(1, status, timed_out, random=highest) == pytest.approx(72)
	assert wait(2, status, timed_out) == 300
	assert wait(2, status, timed_out, random=lowest) == pytest.approx(240)
	waits = [next_attempt_in(1, status, timed_out, None, NOW) for _ in range(300)]
	assert 60 <= min(waits) < 63 and 69 < max(waits) <= 72, "spread, never under the minute"


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
def test_retry_after_lengthens_the_wait_for_any_status(status):
	assert wait(1, status, retry_after="120") == 120
	assert wait(1, status, retry_after="120", random=lowest) == pytest.approx(144)
	assert wait(4, status, retry_after="7201") == 7201


@pytest.mark.parametrize("retry_after", ["0", "1", "4", "299"])
def test_retry_after_never_shortens_it(retry_after):
	assert wait(2, 503, retry_after=retry_after) == 300
	assert wait(1, 429, retry_after=retry_after) == max(60, int(retry_after))
	assert wait(9, 503, retry_after=retry_after) == DAY


@pytest.mark.parametrize("retry_after", ["86400", "86401", "999999999", "9" * 400, "9" * 5000])
@pytest.mark.parametrize("random", [lowest, middle, highest])
def test_retry_after_lengthens_it_to_a_day_at_most(retry_after, random):
	assert wait(1, 503, retry_after=retry_after, random=random) == DAY


def test_retry_after_as_a_date():
	later = format_datetime(NOW + timedelta(minutes=10), usegmt=True)
	assert wait(1, 503, retry_after=later) == 600
	assert wait(1, 503, retry_after=format_datetime(NOW - timedelta(minutes=10), usegmt=True)) == 5
	assert wait(1, 503, retry_after=format_datetime(NOW + timedelta(days=400), usegmt=True)) == DAY


@pytest.mark.parametrize(
	("value", "seconds"),
	[
		("0", 0),
		("120", 120),
		(" 120\t", 120),
		("007", 7),
		("Sun, 01 Mar 2026 12:31:00 GMT", 60),
		("Sunday, 01-Mar-26 12:31:00 GMT", 60),
		("Sun Mar  1 12:31:00 2026", 60),
		("Sun, 01 Mar 2026 12:30:00 GMT", 0),
		("Sun, 01 Mar 2026 13:31:00 +0100", 60),
		("Sun, 01 Mar 2026 12:31:00 -0000", 60),
		("Fri, 31 Dec 9999 23:59:59 GMT", 251_629_932_599),
	],
)
@pytest.mark.parametrize("now", [NOW, NOW.replace(tzinfo=None), NOW.astimezone(timezone(timedelta(hours=9)))])
def test_what_can_be_read(far_from_utc, value, seconds, now):
	assert parse_retry_after(value, now) == seconds


@pytest.mark.parametrize(
	"value",
	[
		None,
		"",
		" ",
		"-1",
		"-120",
		"+5",
		"1.5",
		"1e3",
		"0x10",
		"1_000",
		"٣",
		"５",
		"²",
		"120, 130",
		"120 s",
		"5 minutes",
		"soon",
		"NaN",
		"inf",
		"\x00",
		"120\r\nX: y",
		"2026-03-01",
		"2026-03-01T12:31:00Z",
		"12:31",
		"Sun, 01 Mar 2026",
		"Sun, 32 Mar 2026 12:31:00 GMT",
		"Sun, 01 Mar 2026 25:61:00 GMT",
		"Sun, 01 Mar 99999 12:31:00 GMT",
		"Sun, 01 Mar 2026 12:31:00 +9999",
		"1 Mar 11111111111111111111 12:31:00 GMT",
		"Sun, 01 Mar 2026 12:29:59 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 01 Mar " + "9" * 5000 + " 12:31:00 GMT",
	],
)
def test_rubbish_and_the_past_are_ignored(value):
	assert parse_retry_after(value, NOW) is None
	assert wait(1, 503, retry_after=value) == 5
	assert wait(1, 429, retry_after=value) == 60
