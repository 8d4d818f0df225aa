"""Delays between attempts: doubling, bounded, spread."""

import pytest

from integration_hub.core.retry import IMMEDIATE_TRIES, delay_seconds, pause_before

MANY = 500


@pytest.mark.parametrize(
	("attempt", "middle"),
	[(1, 30), (2, 60), (3, 120), (4, 240), (7, 1920), (8, 3600), (31, 3600), (10_000, 3600)],
)
def test_delays_double_up_to_the_longest(attempt, middle):
	delays = [delay_seconds(attempt, 30, 3600) for _ in range(MANY)]
	assert min(delays) >= round(middle * 0.8) and max(delays) <= round(middle * 1.2)
	assert len(set(delays)) > 5, "no jitter"
	assert min(delays) < middle < max(delays)


def test_a_delay_is_whole_seconds_and_never_none():
	delays = {delay_seconds(1, 1, 1) for _ in range(MANY)}
	assert delays == {1}
	assert delay_seconds(1, 0, 0) == 1


@pytest.mark.parametrize(("try_no", "longest"), [(1, 0.1), (2, 0.2), (3, 0.4)])
def test_immediate_tries_wait_with_full_jitter(try_no, longest):
	pauses = [pause_before(try_no) for _ in range(MANY)]
	assert 0 <= min(pauses) < longest * 0.2
	assert longest * 0.8 < max(pauses) <= longest


def test_three_tries_take_less_than_a_lease():
	from integration_hub.core.idempotency import LEASE_SECONDS

	assert sum(0.05 * 2**n for n in range(1, IMMEDIATE_TRIES)) < LEASE_SECONDS
