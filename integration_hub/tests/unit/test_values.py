"""Value types: bounds, decimals, texts, ids, times; exact, and nothing bent."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError

from integration_hub.schemas import values as v


def taken(kind, value):
	return TypeAdapter(kind).validate_python(value)


def refused(kind, value) -> str:
	"""Return the code of the one fault."""
	with pytest.raises(ValidationError) as error:
		taken(kind, value)
	[fault] = error.value.errors()
	return fault["type"]


@pytest.mark.parametrize(
	("given", "number"),
	[
		(1, "1"),
		("1", "1"),
		("1.50", "1.50"),
		(Decimal("0.1"), "0.1"),
		("0.000000001", "0.000000001"),
		("1.1000000000000", "1.1"),
		("999999999999.999999999", "999999999999.999999999"),
		("-999999999999.999999999", "-999999999999.999999999"),
		("1e3", "1000"),
		("1E-9", "0.000000001"),
		("+5", "5"),
		(".5", "0.5"),
		("5.", "5"),
		("-0", "0"),
		(0.1, "0.1"),
		(2.5, "2.5"),
	],
)
def test_numbers(given, number):
	assert taken(v.Number, given) == Decimal(number)


@pytest.mark.parametrize(
	("given", "fault"),
	[
		(True, "not_a_number"),
		(None, "not_a_number"),
		([], "not_a_number"),
		({}, "not_a_number"),
		("", "not_a_number"),
		(" 1", "not_a_number"),
		("1 ", "not_a_number"),
		("1\n", "not_a_number"),
		("1,5", "not_a_number"),
		("1_000", "not_a_number"),
		("1 000", "not_a_number"),
		("0x10", "not_a_number"),
		("NaN", "not_a_number"),
		("Infinity", "not_a_number"),
		("-inf", "not_a_number"),
		("١٢", "not_a_number"),
		("１", "not_a_number"),
		("1e", "not_a_number"),
		("1e9999", "not_a_number"),
		(".", "not_a_number"),
		("$1", "not_a_number"),
		(float("nan"), "not_a_number"),
		(float("inf"), "not_a_number"),
		(Decimal("NaN"), "not_a_number"),
		(1e300, "out_of_range"),
		(10**12, "out_of_range"),
		(-(10**12), "out_of_range"),
		("999999999999.9999999991", "out_of_range"),
		(int("9" * 4000), "out_of_range"),
		("1e-31", "out_of_range"),
		(Decimal("1e400"), "out_of_range"),
		("0.0000000001", "too_many_decimals"),
		("1.0000000001", "too_many_decimals"),
		(0.30000000000000004, "too_many_decimals"),
	],
)
def test_no_numbers(given, fault):
	assert refused(v.Number, given) == fault


@pytest.mark.parametrize(
	("kind", "given", "fault"),
	[
		(v.Quantity, 0, "not_positive"),
		(v.Quantity, "-0.000000001", "not_positive"),
		(v.Amount, "-0.000000001", "negative"),
		(v.Percent, "100.000000001", "less_than_equal"),
		(v.Percent, -1, "negative"),
	],
)
def test_signs(kind, given, fault):
	assert refused(kind, given) == fault


def test_smallest_and_largest_are_taken():
	assert taken(v.Quantity, "0.000000001") == Decimal("1e-9")
	assert taken(v.Amount, 0) == 0
	assert taken(v.Percent, 100) == 100
	assert taken(v.SignedAmount, "-1.5") == Decimal("-1.5")


@pytest.mark.parametrize("kind", [v.ExternalId, v.Code, v.Name, v.Line, v.Text, v.Tag])
@pytest.mark.parametrize(
	"text",
	[
		"<b>bold</b>",
		"<script>alert(1)</script>",
		"<img src=x onerror=alert(1)>",
		"<a href='javascript:alert(1)'>x</a>",
		"a <!-- b --> c",
		"<",
		"a < b",
		"a\x00b",
		"a\x07b",
		"a\x7fb",
		"a\x85b",
		"a\u2028b",
		"\ufeffa",
		"a\uffff",
	],
)
def test_what_frappe_would_change_is_refused_or_kept_by_frappe(kind, text):
	"""Either the hub refuses it, or Frappe's sanitizer leaves it as it is."""
	from frappe.utils.html_utils import sanitize_html

	try:
		kept = taken(kind, text)
	except ValidationError as error:
		assert [fault["type"] for fault in error.errors()] == ["text_not_storable"]
	else:
		assert kept == text == sanitize_html(text)


@pytest.mark.parametrize("kind", [v.ExternalId, v.Code, v.Name, v.Line, v.Text, v.Tag])
@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>"])
def test_html_is_refused(kind, text):
	assert refused(kind, text) == "text_not_storable"


@pytest.mark.parametrize("kind", [v.ExternalId, v.Code, v.Name, v.Line, v.Text, v.Tag])
@pytest.mark.parametrize(
	"text", ["Tom & Jerry", 'say "hi"', "it's", "a > b", "5 &amp; 6", "100 %", "😀 ü 日本", "a\\b", "{{ x }}"]
)
def test_ordinary_text_is_kept(kind, text):
	assert taken(kind, text) == text


@pytest.mark.parametrize(
	("kind", "longest"),
	[(v.ExternalId, 140), (v.Code, 140), (v.Name, 140), (v.Tag, 140), (v.Line, 140), (v.Text, 5000)],
)
def test_lengths_count_characters(kind, longest):
	assert taken(kind, "ü" * longest) == "ü" * longest
	assert taken(kind, "😀" * longest) == "😀" * longest
	assert refused(kind, "x" * (longest + 1)).endswith("too_long")


@pytest.mark.parametrize("kind", [v.ExternalId, v.Code, v.Name, v.Tag])
def test_what_must_not_be_empty(kind):
	assert refused(kind, "").endswith("too_short")
	assert refused(kind, "  ") == "blank"
	assert refused(kind, 1) == "string_type"
	assert refused(kind, None) == "string_type"


@pytest.mark.parametrize("kind", [v.ExternalId, v.Code])
@pytest.mark.parametrize("text", ["ORD-1a", "ord-1A", "ORD-1a ", " ORD-1a", "ORD\u00a01"])
def test_ids_are_kept_character_for_character(kind, text):
	assert taken(kind, text) == text


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\tb"])
def test_line_breaks_only_in_long_texts(text):
	for kind in (v.ExternalId, v.Code, v.Name, v.Line, v.Tag):
		assert refused(kind, text) == "text_not_storable"
	assert taken(v.Text, text) == text


def test_names_have_no_spaces_around():
	for kind in (v.Name, v.Tag):
		assert refused(kind, " a") == refused(kind, "a ") == "text_not_storable"
	assert refused(v.Tag, "a,b") == "text_not_storable"


CET = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
	("given", "time"),
	[
		("2026-03-01", datetime(2026, 3, 1)),
		("2026-03-01T12:30", datetime(2026, 3, 1, 12, 30)),
		("2026-03-01 12:30:00", datetime(2026, 3, 1, 12, 30)),
		("2026-03-01T12:30:00+01:00", datetime(2026, 3, 1, 12, 30, tzinfo=CET)),
		("2026-03-01T12:30:00Z", datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc)),
		("2026-03-01T12:30:00.123456Z", datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=timezone.utc)),
		("2026-03-01T12:30:00.123Z", datetime(2026, 3, 1, 12, 30, 0, 123000, tzinfo=timezone.utc)),
		("1970-01-01", datetime(1970, 1, 1)),
		("2999-12-31T23:59:59", datetime(2999, 12, 31, 23, 59, 59)),
	],
)
def test_times(given, time):
	assert taken(v.Time, given) == time
	assert taken(v.Time, given).tzinfo == time.tzinfo


@pytest.mark.parametrize(
	("given", "fault"),
	[
		("", "not_a_time"),
		("yesterday", "not_a_time"),
		("2026-02-30", "not_a_time"),
		("2026-13-01", "not_a_time"),
		("2026-03-01T25:00", "not_a_time"),
		("2026-03-01T12:30:00+25:00", "not_a_time"),
		("01.03.2026", "not_a_time"),
		("03/01/2026", "not_a_time"),
		(1_700_000_000, "not_a_time"),
		(None, "not_a_time"),
		(True, "not_a_time"),
		("2026-03-01T12:30:00ZZ", "not_a_time"),
		("1969-12-31", "date_out_of_range"),
		("1969-12-31T23:59:59Z", "date_out_of_range"),
		("3000-01-01", "date_out_of_range"),
		("0001-01-01", "date_out_of_range"),
		("9999-12-31T23:59:59Z", "date_out_of_range"),
	],
)
def test_no_times(given, fault):
	assert refused(v.Time, given) == fault


@pytest.mark.parametrize("text", ["jane@example.com", "o'brien+shop@mail.example.co.uk", "ü@bücher.example"])
def test_emails(text):
	if "'" in text:
		assert refused(v.Email, text) == "not_an_email"
	else:
		assert taken(v.Email, text) == text


@pytest.mark.parametrize(
	"text",
	[
		"",
		"jane",
		"jane@",
		"@example.com",
		"jane@example",
		"a@b.c",
		"a b@example.com",
		"a@b@example.com",
		"a@example.com, b@example.com",
		"Jane <jane@example.com>",
		"jane@example.com\n",
		" jane@example.com",
	],
)
def test_no_emails(text):
	assert refused(v.Email, text) == "not_an_email"


@pytest.mark.parametrize("text", ["(555) 555-5555", "+49 228 1234.5", "123", "#31#,2*"])
def test_phones(text):
	assert taken(v.Phone, text) == text


@pytest.mark.parametrize("text", ["", "call me", "+1 555 x 3", "123\n", "١٢٣"])
def test_no_phones(text):
	assert refused(v.Phone, text) == "not_a_phone"


@pytest.mark.parametrize(
	"given",
	["USD", "EUR"],
)
def test_currencies(given):
	assert taken(v.Currency, given) == given


@pytest.mark.parametrize("given", ["usd", "USDT", "US", "", "US1", "USD\n", " USD"])
def test_no_currencies(given):
	assert refused(v.Currency, given) == "not_a_currency"


@pytest.mark.parametrize("given", ["x", "", 1, Decimal("1.5"), True, None])
def test_scalars(given):
	assert taken(v.Scalar, given) is given


@pytest.mark.parametrize(
	("given", "fault"),
	[({}, "not_a_scalar"), ([], "not_a_scalar"), ("<script>x</script>", "text_not_storable")],
)
def test_no_scalars(given, fault):
	assert refused(v.Scalar, given) == fault
