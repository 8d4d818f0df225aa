"""Decides when an endpoint that keeps failing is left alone for a while. Pure.

```
closed ─10 calls or more in the window, half of them failed► open ─60 s, 120 s, … 15 min► half_open
half_open ─a success► closed          half_open ─failures only► open, twice as long
```

Source: M. Nygard, "Release It!", and its circuit breaker.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=5)
LEAST_CALLS = 10
# Longer than a whole call may take (15 s), so that calls under way at an opening have ended when the probe goes out.
FIRST_PAUSE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(minutes=15)


@dataclass(frozen=True)
class Breaker:
	"""What is remembered of an endpoint, as its Hub Webhook row holds it.

	Moments are in UTC, all with a zone or all without.

	Attributes:
		window_started: when the calls counted here began to be counted; None: none are.
		window_calls, window_failures: finished calls since then.
		open_until: end of the pause; None: closed.
		openings: pauses one after the other without a success between them.
	"""

	window_started: datetime | None = None
	window_calls: int = 0
	window_failures: int = 0
	open_until: datetime | None = None
	openings: int = 0


CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"


def state(breaker: Breaker, now: datetime) -> str:
	"""Return "closed": send; "open": send nothing; "half_open": send one, the caller sees to it that it is one."""
	if breaker.open_until is None:
		return CLOSED
	return OPEN if now < breaker.open_until else HALF_OPEN


def after_calls(breaker: Breaker, now: datetime, calls: int, failures: int) -> Breaker:
	"""Return the breaker after a batch of calls that ended: `calls` in all, `failures` of them failed.

	While it is open nothing changes it: what ends now was under way when it opened. A late failure is no news, and
	a late success would let everything through again to an endpoint that fails every second call.
	"""
	before = state(breaker, now)
	if not calls or before == OPEN:
		return breaker
	if before == HALF_OPEN:
		return Breaker() if failures < calls else _opened(breaker, now)
	counted = _counted(breaker, now, calls, failures)
	tripped = counted.window_calls >= LEAST_CALLS and 2 * counted.window_failures >= counted.window_calls
	return _opened(counted, now) if tripped else counted


def _counted(breaker: Breaker, now: datetime, calls: int, failures: int) -> Breaker:
	if breaker.window_started is None or now - breaker.window_started > WINDOW:
		return Breaker(now, calls, failures)
	return replace(
		breaker,
		window_calls=breaker.window_calls + calls,
		window_failures=breaker.window_failures + failures,
	)


def _opened(breaker: Breaker, now: datetime) -> Breaker:
	# The exponent is bounded: a pause is found for any number of openings.
	pause = min(FIRST_PAUSE * 2 ** min(breaker.openings, 30), LONGEST_PAUSE)
	return Breaker(open_until=now + pause, openings=breaker.openings + 1)
