"""What "the same payload" means, and that no two different things share a hash."""

import hashlib

import pytest

from integration_hub.core.payload import canonical, digest, fingerprint, parse


def mark(raw: str) -> str:
	return fingerprint(parse(raw.encode()), "orders.create")


@pytest.mark.parametrize(
	("one", "other"),
	[
		('{"a": 1}', '{ "a" : 1 }\n'),
		('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
		('{"x": {"a": 1, "b": 2}}', '{"x": {"b": 2, "a": 1}}'),
		('{"a": 1}', '{"a": 1.0}'),
		('{"a": 1}', '{"a": 1.00}'),
		('{"a": 1}', '{"a": 1e0}'),
		('{"a": 100}', '{"a": 1e2}'),
		('{"a": 0.1}', '{"a": 0.10}'),
		('{"a": 0.1}', '{"a": 1e-1}'),
		('{"a": 0}', '{"a": -0.0}'),
		('{"a": "ü"}', '{"a": "\\u00fc"}'),
		('{"a": "/"}', '{"a": "\\/"}'),
	],
)
def test_the_same(one, other):
	assert mark(one) == mark(other)


@pytest.mark.parametrize(
	("one", "other"),
	[
		('{"a": 1}', '{"a": "1"}'),
		('{"a": 1}', '{"a": true}'),
		('{"a": 0}', '{"a": false}'),
		('{"a": 0}', '{"a": null}'),
		('{"a": 1.5}', '{"a": "1.5"}'),
		('{"a": 0.1}', '{"a": 0.1000000000000000055}'),
		('{"a": 12345678901234567.1}', '{"a": 12345678901234567.2}'),
		('{"a": null}', "{}"),
		('{"a": []}', '{"a": {}}'),
		('{"a": [1, 2]}', '{"a": [2, 1]}'),
		('{"a": "x"}', '{"a": "x "}'),
		('{"a": "x"}', '{"a": "X"}'),
		('{"a": "é"}', '{"a": "e\u0301"}'),
		('{"a": {"b": 1}}', '{"a": 1, "b": 1}'),
		('{"a": "1,\\"b\\":2"}', '{"a": 1, "b": 2}'),
	],
)
def test_different(one, other):
	assert mark(one) != mark(other)


def test_operation_and_version_count():
	body = {"a": 1}
	marks = {
		fingerprint(body, "orders.create"),
		fingerprint(body, "orders.cancel"),
		fingerprint(body, "orders.create", "v2"),
	}
	assert len(marks) == 3


def test_the_algorithm_is_what_stored_rows_were_made_with():
	"""Changing it would make every stored request a stranger to its own repetition."""
	body = parse(b'{"b": [1.50, 2.0, "\xc3\xbc"], "a": null}')
	text = '{"a":null,"b":[{"\\u0000decimal":"1.5"},2,"ü"]}'
	assert canonical(body) == text
	assert fingerprint(body, "orders.create") == digest(["v1", "orders.create", text])
	assert mark('{"a": 1}') == "6f98c304091c2d1cc933331da5e6d103f3eb95144e9653ef991ff0a7aa80bb6a"


@pytest.mark.parametrize(
	("one", "other"),
	[
		(["a", "b"], ["ab"]),
		(["a", "b"], ["a,b"]),
		(["a", "b"], ['a","b']),
		(["a", "b"], ["b", "a"]),
		(["a", None], ["a", "null"]),
		(["a"], ["a", ""]),
		(["ORD-1a"], ["ord-1A"]),
		(["ORD-1a"], ["ORD-1a "]),
		(["ä"], ["a\u0308"]),
	],
)
def test_digests_of_different_parts_differ(one, other):
	assert digest(one) != digest(other)


def test_a_digest_is_sha256_of_a_json_array():
	expected = hashlib.sha256(b'["shop","\\u00fc"]').hexdigest()
	assert digest(["shop", "ü"]) == expected
	assert len(expected) == 64 and expected == expected.lower()
