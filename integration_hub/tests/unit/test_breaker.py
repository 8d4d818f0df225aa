"""The circuit breaker: every transition, and a day of an endpoint that fails for three hours."""

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest

from integration_hub.outbound.breaker import Breaker, after_calls, state

NOON = datetime(2026, 3, 1, 12, 0, 0)


def at(seconds: float) -> datetime:
	return NOON + timedelta(seconds=seconds)


def opened(openings: int = 1, pause: int = 60) -> Breaker:
	"""A breaker that opened at noon."""
	return Breaker(open_until=at(pause), openings=openings)


# --- states


def test_a_new_breaker_is_closed():
	assert Breaker() == Breaker(None, 0, 0, None, 0)
	assert state(Breaker(), NOON) == "closed"


@pytest.mark.parametrize(
	("seconds", "expected"),
	[
		(0, "open"),
		(59.999999, "open"),
		(60, "half_open"),
		(60.000001, "half_open"),
		(30 * 86_400, "half_open"),
	],
)
def test_open_until_its_end_and_then_half_open(seconds, expected):
	assert state(opened(), at(seconds)) == expected


def test_moments_may_have_a_zone():
	now = NOON.replace(tzinfo=timezone.utc)
	breaker = after_calls(after_calls(Breaker(), now, 5, 5), now + timedelta(minutes=1), 5, 5)
	assert breaker == Breaker(open_until=now + timedelta(minutes=2), openings=1)
	assert state(breaker, now) == "open"


# --- closed


def test_calls_are_counted_in_a_window():
	breaker = after_calls(Breaker(), NOON, 3, 1)
	assert breaker == Breaker(NOON, 3, 1)
	breaker = after_calls(breaker, at(200), 4, 2)
	assert breaker == Breaker(NOON, 7, 3)
	assert state(breaker, at(200)) == "closed"


@pytest.mark.parametrize(
	("calls", "failures", "opens"),
	[
		(1, 1, False),
		(9, 9, False),
		(10, 0, False),
		(10, 4, False),
		(10, 5, True),
		(10, 10, True),
		(11, 5, False),
		(11, 6, True),
		(1000, 499, False),
		(1000, 500, True),
	],
)
def test_ten_calls_and_half_of_them_failed(calls, failures, opens):
	breaker = after_calls(Breaker(), NOON, calls, failures)
	assert breaker == (Breaker(None, 0, 0, at(60), 1) if opens else Breaker(NOON, calls, failures))
	assert state(breaker, NOON) == ("open" if opens else "closed")


@pytest.mark.parametrize(
	"batches", [[(10, 5)], [(5, 0), (5, 5)], [(1, 0), (1, 1)] * 5, [(3, 2), (3, 2), (4, 1)]]
)
def test_the_size_of_batches_does_not_matter(batches):
	breaker = Breaker()
	for second, (calls, failures) in enumerate(batches):
		assert state(breaker, at(second)) == "closed"
		breaker = after_calls(breaker, at(second), calls, failures)
	assert breaker == Breaker(open_until=at(len(batches) - 1 + 60), openings=1)


@pytest.mark.parametrize(("seconds", "expected"), [(300, Breaker(NOON, 9, 9)), (300.000001, None)])
def test_a_window_older_than_five_minutes_starts_anew(seconds, expected):
	breaker = after_calls(after_calls(Breaker(), NOON, 8, 8), at(seconds), 1, 1)
	assert breaker == (expected or Breaker(at(seconds), 1, 1))


def test_failures_of_an_old_window_are_forgotten():
	breaker = after_calls(after_calls(Breaker(), NOON, 9, 9), at(301), 9, 9)
	assert breaker == Breaker(at(301), 9, 9)
	assert state(after_calls(breaker, at(302), 1, 0), at(302)) == "open"


@pytest.mark.parametrize("breaker", [Breaker(), Breaker(NOON, 9, 9), opened()])
@pytest.mark.parametrize("seconds", [0, 30, 60, 1000])
def test_an_empty_batch_changes_nothing(breaker, seconds):
	assert after_calls(breaker, at(seconds), 0, 0) == breaker


# --- open


@pytest.mark.parametrize(("calls", "failures"), [(1, 1), (1, 0), (50, 50), (50, 0), (50, 25)])
@pytest.mark.parametrize("openings", [1, 2, 5])
def test_calls_that_end_while_it_is_open_change_nothing(openings, calls, failures):
	"""They were under way when it opened: they neither close it nor count as another opening."""
	breaker = opened(openings)
	for second in (0, 15, 59.999):
		assert after_calls(breaker, at(second), calls, failures) == breaker


# --- half open


@pytest.mark.parametrize(("calls", "failures"), [(1, 0), (2, 1), (50, 49)])
@pytest.mark.parametrize("openings", [1, 2, 40])
def test_a_success_closes_it(openings, calls, failures):
	breaker = after_calls(opened(openings), at(60), calls, failures)
	assert breaker == Breaker()
	assert state(breaker, at(60)) == "closed"


def test_a_failed_probe_opens_it_again_for_twice_as_long():
	breaker, pauses, second = after_calls(Breaker(), NOON, 10, 10), [], 0
	for openings in range(1, 9):
		assert breaker.openings == openings
		pauses.append((breaker.open_until - at(second)).total_seconds())
		second += pauses[-1] + 3
		assert state(breaker, at(second)) == "half_open"
		breaker = after_calls(breaker, at(second), 1, 1)
	assert pauses == [60, 120, 240, 480, 900, 900, 900, 900]


def test_two_probes_that_fail_count_once():
	"""Two workers that both let one through."""
	once = after_calls(opened(), at(61), 1, 1)
	assert once == Breaker(open_until=at(61 + 120), openings=2)
	assert after_calls(once, at(62), 1, 1) == once


def test_any_number_of_openings_has_a_pause():
	assert after_calls(opened(10**6), at(60), 1, 1) == Breaker(open_until=at(960), openings=10**6 + 1)


def test_after_a_success_the_doubling_begins_anew():
	breaker = after_calls(opened(5), at(60), 1, 0)
	breaker = after_calls(breaker, at(70), 9, 9)
	assert state(breaker, at(70)) == "closed", "ten calls are needed again"
	breaker = after_calls(breaker, at(80), 1, 1)
	assert breaker == Breaker(open_until=at(140), openings=1)


# --- a day


def day(fails, calls_a_tick: int = 2, tick: int = 10) -> list[tuple[int, str, int, int]]:
	"""Return (second, state, calls, failures) of each tick from midnight on, sending as the loop does."""
	breaker, log = Breaker(), []
	for second in range(0, 86_400, tick):
		before = state(breaker, at(second))
		calls = {"closed": calls_a_tick, "open": 0, "half_open": 1}[before]
		failures = sum(fails(second, number) for number in range(calls))
		breaker = after_calls(breaker, at(second), calls, failures)
		log.append((second, before, calls, failures))
	return log


def test_a_day_with_three_bad_hours():
	start, end = 8 * 3600, 11 * 3600
	log = day(lambda second, _number: start <= second < end)
	bad = [entry for entry in log if start <= entry[0] < end]

	# Windows begin every 310 s. The one at 28,520 s holds 56 good calls when the outage begins and ends before as
	# many failed; in the next, five ticks are enough.
	assert [second for second, was, _, _ in bad if was == "closed"] == list(range(28_800, 28_880, 10))
	probes = [second for second, was, calls, _ in bad if was == "half_open" and calls]
	first = 28_870
	assert probes[:5] == [first + n for n in (60, 180, 420, 900, 1800)]
	assert {later - one for one, later in pairwise(probes[4:])} == {900}
	assert sum(calls for _, _, calls, _ in bad) == 2 * 8 + len(probes) == 30, "of 2160"

	# The first probe after the end is at most a longest pause late, and from then on everything goes through.
	after = [entry for entry in log if entry[0] >= end]
	back = next(second for second, was, _, _ in after if was == "half_open")
	assert back == probes[-1] + 900 < end + 900
	assert {was for second, was, _, _ in after if second > back} == {"closed"}
	assert {was for second, was, _, _ in log if second < start} == {"closed"}
	assert sum(failures for *_, failures in log) == 30


@pytest.mark.parametrize(("every", "opens"), [(2, True), (3, False), (10, False)])
def test_a_day_of_an_endpoint_that_fails_now_and_then(every, opens):
	log = day(lambda second, number: (second // 10 * 2 + number) % every == 0)
	assert ("open" in {was for _, was, _, _ in log}) is opens
	if not opens:
		assert sum(calls for _, _, calls, _ in log) == 17_280


def test_a_quiet_endpoint_is_never_cut_off():
	"""Fewer than ten calls in five minutes prove nothing; each delivery's own schedule slows them down."""
	log = day(lambda *_: True, calls_a_tick=1, tick=40)
	assert {was for _, was, _, _ in log} == {"closed"}
