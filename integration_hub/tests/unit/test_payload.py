"""Strict parsing: what is JSON, what is refused, and that nothing is guessed or lost."""

from decimal import Decimal

import pytest

from integration_hub.core.payload import MAX_DEPTH, parse
from integration_hub.exceptions import MalformedJson


def nested(levels: int) -> bytes:
	"""Return an object `levels` deep, itself counted."""
	return b'{"a": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize(
	("raw", "told"),
	[
		(b"", "The body is empty; send a JSON object."),
		(b" \r\n\t", "The body is empty; send a JSON object."),
		(b"[]", "The body must be a JSON object: { … }."),
		(b"[{}]", "The body must be a JSON object: { … }."),
		(b"1", "The body must be a JSON object: { … }."),
		(b'"a"', "The body must be a JSON object: { … }."),
		(b"null", "The body must be a JSON object: { … }."),
		(b"true", "The body must be a JSON object: { … }."),
		(b"{a: 1}", "at line 1, column 2."),
		(b"{'a': 1}", "at line 1, column 2."),
		(b'{"a": 1', "at line 1, column 8."),
		(b'{"a": 1,}', "at line 1, column"),
		(b"{}{}", "at line 1, column 3."),
		(b"{} //", "at line 1, column 4."),
		(b'{"a":\n 01}', "at line 2, column 3."),
		(b'{"a": +1}', "at line 1, column 7."),
		(b'{"a": .5}', "at line 1, column 7."),
		(b'{"a": 0x10}', "at line 1, column 8."),
		(b'{"a": "\n"}', "at line 1, column 8."),
		(b'{"a": "\\x"}', "at line 1, column 8."),
		(b"order=1", "at line 1, column 1."),
		(b"\xef\xbb\xbf{}", "BOM"),
		(b'{"a": "\xff"}', "The body is not UTF-8 (byte 7)."),
		(b'{"a": "M\xfcller"}', "The body is not UTF-8 (byte 8)."),
		(b'{"a": "\xc0\xaf"}', "The body is not UTF-8 (byte 7)."),
		(b'{"a": "\xed\xa0\xbd"}', "The body is not UTF-8 (byte 7)."),
		('{"a": 1}'.encode("utf-16"), "The body is not UTF-8 (byte 0)."),
		('{"a": 1}'.encode("utf-16-le"), "not JSON"),
		(b'{"a": "x\x00y"}', "not JSON"),
		(b'{"a": "x\\u0000y"}', "The body holds a NUL character; remove it."),
		(b'{"a\\u0000": 1}', "The body holds a NUL character; remove it."),
		(b'{"a": [{"b": ["\\u0000"]}]}', "The body holds a NUL character; remove it."),
		(b'{"a": "\\ud83d"}', "half a surrogate pair"),
		(b'{"a": "\\ude00\\ud83d"}', "half a surrogate pair"),
		(b'{"\\ud83d": 1}', "half a surrogate pair"),
		(b'{"a": NaN}', "NaN is not a JSON number."),
		(b'{"a": Infinity}', "Infinity is not a JSON number."),
		(b'{"a": -Infinity}', "-Infinity is not a JSON number."),
		(b'{"a": 1, "a": 1}', "the name 'a' stands twice in one object."),
		(b'{"x": [{"a": 1, "b": 2, "a": 3}]}', "the name 'a' stands twice in one object."),
		(b'{"a": 1, "\\u0061": 1}', "the name 'a' stands twice in one object."),
		(nested(33), "deeper than 32 levels."),
		(nested(100_000), "deeper than 32 levels."),
		(b"{" * 5 + b'"a"', "not JSON"),
		(b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
		(b'{"a": 1e401}', "the number 1e401 is out of range."),
		(b'{"a": 1e-401}', "the number 1e-401 is out of range."),
		(b'{"a": 1e999999999}', "the number 1e999999999 is out of range."),
		(b'{"a": 1e-999999999}', "the number 1e-999999999 is out of range."),
		(b'{"a": 1e99999999999999999999}', "out of range."),
		(b'{"a": 0.' + b"0" * 5000 + b"1}", "out of range."),
	],
	ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_refused(raw, told):
	with pytest.raises(MalformedJson) as refused:
		parse(raw)
	assert told in refused.value.message
	assert (refused.value.code, refused.value.http_status) == ("malformed_json", 400)
	assert len(refused.value.message) < 200


@pytest.mark.parametrize(
	("raw", "value"),
	[
		(b"{}", {}),
		(b" {} \n", {}),
		(b'{"a": 1}', {"a": 1}),
		(b'{"a": 0.1}', {"a": Decimal("0.1")}),
		(b'{"a": 0.30000000000000004}', {"a": Decimal("0.30000000000000004")}),
		(b'{"a": 1e308}', {"a": Decimal("1e308")}),
		(b'{"a": -0.0}', {"a": Decimal("-0.0")}),
		(b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
		(b'{"a": [true, false, null, "", [], {}]}', {"a": [True, False, None, "", [], {}]}),
		(b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
		('{"ä": "Müller 😀"}'.encode(), {"ä": "Müller 😀"}),
		(b'{"a": "\\u0001"}', {"a": "\x01"}),
		(b'{"a": {"a": {"a": 1}}}', {"a": {"a": {"a": 1}}}),
		(b'{"a": 1, "A": 2, "a ": 3}', {"a": 1, "A": 2, "a ": 3}),
	],
)
def test_taken(raw, value):
	parsed = parse(raw)
	assert parsed == value
	assert repr(parsed) == repr(value)


def test_32_levels_are_taken():
	value = parse(nested(MAX_DEPTH))
	depth = 0
	value = value["a"]
	while value:
		value, depth = value[0], depth + 1
	assert depth == MAX_DEPTH - 2


def test_numbers_a_double_reaches_are_taken_exactly():
	assert parse(b'{"a": ' + b"7" * 308 + b"}") == {"a": int("7" * 308)}


@pytest.mark.parametrize("number", [b"1e309", b"1.8e308", b"-1e400", b"7" * 309])
def test_numbers_beyond_a_double_are_refused(number):
	with pytest.raises(MalformedJson, match="out of range"):
		parse(b'{"a": ' + number + b"}")
