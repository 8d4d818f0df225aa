"""The table of what the same key may do, and the keys themselves."""

import itertools

import pytest

from integration_hub.constants import statuses as S
from integration_hub.core.idempotency import Row, Verdict, decide, key_hash

RUN, REPLAY, REUSED = Verdict.RUN, Verdict.REPLAY, Verdict.REUSED
IN_PROGRESS, TAKE_OVER = Verdict.IN_PROGRESS, Verdict.TAKE_OVER

# (status, lease expired) → (same payload, other payload)
TABLE = {
	(S.QUEUED, False): (IN_PROGRESS, REUSED),
	(S.QUEUED, True): (IN_PROGRESS, REUSED),
	(S.PROCESSING, False): (IN_PROGRESS, REUSED),
	(S.PROCESSING, True): (TAKE_OVER, REUSED),
	(S.RETRY_SCHEDULED, False): (RUN, REUSED),
	(S.RETRY_SCHEDULED, True): (RUN, REUSED),
	(S.FAILED, False): (RUN, RUN),
	(S.FAILED, True): (RUN, RUN),
	(S.CANCELLED, False): (RUN, RUN),
	(S.CANCELLED, True): (RUN, RUN),
	(S.COMPLETED, False): (REPLAY, REUSED),
	(S.COMPLETED, True): (REPLAY, REUSED),
}


@pytest.mark.parametrize(("state", "verdicts"), TABLE.items())
def test_decide(state, verdicts):
	status, expired = state
	assert decide(status, same_payload=True, lease_expired=expired) is verdicts[0]
	assert decide(status, same_payload=False, lease_expired=expired) is verdicts[1]


def test_the_table_names_every_status():
	known = {value for name, value in vars(S).items() if name.isupper() and isinstance(value, str)}
	assert {status for status, _expired in TABLE} == known
	assert set(S.UNFINISHED) == known - {S.COMPLETED, S.CANCELLED}


def test_a_row_compares_fingerprints():
	row = Row("r", S.COMPLETED, "f" * 64, 1, 201, "{}", None, True, False, False)
	assert row.verdict("f" * 64) is REPLAY
	assert row.verdict("e" * 64) is REUSED


def test_keys_never_collide():
	"""By system, operation, header or derived, and character for character."""
	keys = [
		key_hash("shop", "orders.create", "A", None),
		key_hash("shop", "orders.create", "a", None),
		key_hash("shop", "orders.create", "A ", None),
		key_hash("shop", "orders.cancel", "A", None),
		key_hash("shop2", "orders.create", "A", None),
		key_hash("shop", "orders.create", None, ["A"]),
		key_hash("shop", "orders.cancel", None, ["external_id", "A"]),
		key_hash("shop", "orders.cancel", None, ["name", "A"]),
		key_hash("shop", "orders.create", "derived", None),
		key_hash("shop", "orders.create", None, ["header", "A"]),
	]
	assert all(one != other for one, other in itertools.combinations(keys, 2))


def test_a_header_beats_a_derived_key():
	assert key_hash("s", "o", "A", ["B"]) == key_hash("s", "o", "A", None)
