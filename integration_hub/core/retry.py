"""When to try again. Pure."""

import random

# Tries inside the door, at once, before the request waits for the sweep.
IMMEDIATE_TRIES = 3


def pause_before(try_no: int) -> float:
	"""Seconds to wait before the next immediate try: full jitter, so that two deadlocked calls part ways.

	Source: "Exponential Backoff and Jitter", AWS Architecture Blog.
	"""
	return random.uniform(0, 0.05 * 2**try_no)


def delay_seconds(attempt_no: int, first: int, longest: int) -> int:
	"""Seconds until attempt `attempt_no + 1`: doubling from `first`, at most `longest`, jitter ±20 %."""
	delay = min(first * 2 ** min(attempt_no - 1, 30), longest)
	return max(1, round(delay * random.uniform(0.8, 1.2)))
