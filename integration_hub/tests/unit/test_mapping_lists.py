"""Field maps that build lists and objects, look values up in tables, and calculate exactly."""

import time
from decimal import Decimal

import pytest

from integration_hub.mapping import engine, expressions, transforms
from integration_hub.mapping.budget import Budget
from integration_hub.mapping.engine import DEFAULT, Row, compile_map
from integration_hub.mapping.errors import BadExpression, BadValue, MapFaults

ORDER = {
	"id": 7,
	"restock": True,
	"address": {"street": " 969  Market ", "city": "San Francisco"},
	"empty": {},
	"lines": [
		{"sku": "A", "price": "12.50", "taxes": [{"rate": 7}, {"rate": 19}]},
		{"sku": "", "price": "3", "taxes": []},
	],
}


def applied(rows: list[Row], document=ORDER) -> dict:
	return compile_map(rows).apply(document)


def faults(rows: list[Row], document=ORDER) -> list[tuple]:
	with pytest.raises(MapFaults) as e:
		applied(rows, document)
	return [(fault.row, fault.target, fault.message) for fault in e.value.faults]


# Lists and objects


def test_a_list_is_built_element_by_element():
	assert applied(
		[
			Row("order.lines[]", "lines"),
			Row("order.lines[].code", "sku", transform="line"),
			Row("order.lines[].price", "price", transform="money"),
			Row("order.lines[].of", "root().id"),
			Row("order.lines[].taxes[]", "taxes"),
			Row("order.lines[].taxes[].percent", "rate"),
			Row("order.lines[].taxes[].deep.restock", "root().restock"),
			Row("order.id", "id"),
		]
	) == {
		"order": {
			"lines": [
				{
					"code": "A",
					"price": Decimal("12.50"),
					"of": 7,
					"taxes": [
						{"percent": 7, "deep": {"restock": True}},
						{"percent": 19, "deep": {"restock": True}},
					],
				},
				{"price": Decimal("3"), "of": 7, "taxes": []},
			],
			"id": 7,
		}
	}


def test_an_object_is_built_when_there_is_one():
	rows = [Row("to{}", "address"), Row("to{}.line1", "street", transform="line"), Row("to{}.name", "name")]
	assert applied(rows) == {"to": {"line1": "969 Market"}}
	assert applied(rows, {}) == {}
	assert applied([Row("to{}", "empty"), *rows[1:]]) == {"to": {}}
	assert applied([Row("to{}", "address[?x]"), *rows[1:]]) == {}


def test_an_empty_list_stays_and_a_missing_one_is_left_out():
	rows = [Row("a[]", "lines[1].taxes"), Row("b[]", "nothing"), Row("c[]", "lines[*].taxes[].none")]
	assert applied(rows) == {"a": [], "c": []}
	assert faults([Row("b[]", "nothing", required=True)]) == [
		(1, "b[]", "nothing finds nothing, and a value is required.")
	]


def test_faults_within_a_list_say_where():
	rows = [
		Row("lines[]", "lines"),
		Row("lines[].sku", "sku", transform="line", required=True),
		Row("lines[].taxes[]", "taxes"),
		Row("lines[].taxes[].rate", "rate", transform="line"),
		Row("lines[].taxes[].code", "code", required=True),
		Row("id", "name", required=True),
		Row("list[]", "id"),
		Row("object{}", "lines"),
	]
	assert faults(rows) == [
		(2, "lines[].sku", "Element 2 of lines: sku finds nothing, and a value is required."),
		(
			5,
			"lines[].taxes[].code",
			"Element 1 of lines, element 1 of taxes: code finds nothing, and a value is required.",
		),
		(
			5,
			"lines[].taxes[].code",
			"Element 1 of lines, element 2 of taxes: code finds nothing, and a value is required.",
		),
		(6, "id", "name finds nothing, and a value is required."),
		(7, "list[]", "id finds no list."),
		(8, "object{}", "lines finds no object."),
	]


def test_faults_are_bounded():
	rows = [Row("a[]", "@"), Row("a[].b", "b", required=True)]
	assert len(faults(rows, [{}] * 10_000)) == engine.MAX_FAULTS


def test_elements_of_any_kind_are_looked_into():
	rows = [Row("a[]", "@"), Row("a[].b", "b"), Row("a[].self", "@")]
	assert applied(rows, [1, None, "x", {"b": 2}, [3]]) == {
		"a": [{"self": 1}, {}, {"self": "x"}, {"b": 2, "self": {"b": 2}}, {"self": [3]}]
	}


def test_targets_of_lists_and_objects_must_fit_together():
	assert faults(
		[
			Row("a[].b", "x"),
			Row("c[]", "x"),
			Row("c", "x"),
			Row("c{}", "x"),
			Row("c.d", "x"),
			Row("c[].d", "x"),
			Row("c[].d", "x"),
			Row("e{}", "x", transform="line"),
			Row("f[]", "x", default=[]),
			Row("g[].h{}.i", "x"),
			Row("k[]x", "x"),
			Row("[]", "x"),
		]
	) == [
		(1, "a[].b", "A row with the target a[] is needed before it."),
		(3, "c", "Row 2 has the target c[]: one would lie inside the other's value."),
		(4, "c{}", "Row 2 has the target c[]: one would lie inside the other's value."),
		(4, "c{}", "Row 3 has the target c: one would lie inside the other's value."),
		(5, "c.d", "Row 2 has the target c[]: one would lie inside the other's value."),
		(5, "c.d", "Row 3 has the target c: one would lie inside the other's value."),
		(5, "c.d", "Row 4 has the target c{}: one would lie inside the other's value."),
		(6, "c[].d", "Row 3 has the target c: one would lie inside the other's value."),
		(6, "c[].d", "Row 4 has the target c{}: one would lie inside the other's value."),
		(6, "c[].d", "Row 5 has the target c.d: one would lie inside the other's value."),
		(7, "c[].d", "Row 3 has the target c: one would lie inside the other's value."),
		(7, "c[].d", "Row 4 has the target c{}: one would lie inside the other's value."),
		(7, "c[].d", "Row 5 has the target c.d: one would lie inside the other's value."),
		(7, "c[].d", "Row 6 has this target too."),
		(8, "e{}", "A row that makes a list or an object takes no transform, table or default."),
		(9, "f[]", "A row that makes a list or an object takes no transform, table or default."),
		(10, "g[].h{}.i", "A row with the target g[] is needed before it."),
		(10, "g[].h{}.i", "A row with the target g[].h{} is needed before it."),
		(11, "k[]x", "At character 4 of the target a dot or its end is expected."),
		(
			12,
			"[]",
			"At character 1 of the target a name is expected: letters, digits, _ and -, or any text in double quotes;"
			" names are joined by dots.",
		),
	]


def test_lists_share_one_budget():
	document = [[{}] * 300] * 300
	rows = [Row("a[]", "@"), Row("a[].b[]", "@"), Row("a[].b[].c", "c")]
	started = time.process_time()
	assert [fault[2].partition(": ")[2] for fault in faults(rows, document)] == [
		"This takes too long on a document of this size. Choose fewer or smaller lists."
	]
	assert time.process_time() - started < 2.5


def test_a_list_of_nothing_costs_too():
	with pytest.raises(MapFaults):
		compile_map([Row("a[]", "@")]).apply([1] * 100, Budget(50))


# Functions of our own


@pytest.mark.parametrize(
	("expression", "value"),
	[
		("root().id", 7),
		("lines[*].{s: sku, id: root().id} | [1]", {"s": "", "id": 7}),
		("lines[?sku == root().lines[0].sku] | length(@)", 1),
		("last_part('https://example.com/wp-json/wc/v3/orders/723')", "723"),
		("last_part('gid://shopify/Order/450789469')", "450789469"),
	],
)
def test_functions_of_our_own(expression, value):
	assert expressions.compile(expression).search(ORDER) == value


@pytest.mark.parametrize(
	"address", ["723", "https://example.com/", "https://example.com/orders?id=1", "a/b c", ""]
)
def test_last_part_guesses_nothing(address):
	with pytest.raises(BadExpression) as e:
		expressions.compile("last_part(@)").search(address)
	assert str(e.value) == f"last_part(): “{address}” does not end in a slash and a name."


def test_root_takes_nothing():
	with pytest.raises(BadExpression, match=r"root\(\) takes 0, not 1, in its brackets"):
		expressions.compile("root(id)")


# Tables

TABLE = {"return": True, "no": "none", "1": 10, "true": "yes"}


@pytest.mark.parametrize(
	("found", "written"), [("return", True), ("no", "none"), (1, 10), (Decimal("1"), 10), (True, "yes")]
)
def test_tables_look_values_up(found, written):
	assert applied([Row("v", "@", table=TABLE)], found) == {"v": written}


def test_unknown_values_are_a_fault_or_the_default():
	assert faults([Row("v", "id", table=TABLE)]) == [(1, "v", "“7” is not in the table.")]
	assert applied([Row("v", "id", table=TABLE, unknown=DEFAULT, default="other")]) == {"v": "other"}
	assert applied([Row("v", "id", table=TABLE, unknown=DEFAULT)]) == {}
	assert faults([Row("v", "id", table=TABLE, unknown=DEFAULT, required=True)]) == [
		(1, "v", "id finds nothing, and a value is required.")
	]
	assert applied([Row("v", "nothing", table=TABLE, default="d")]) == {"v": "d"}
	assert faults([Row("v", "lines", table=TABLE)]) == [(1, "v", "Takes text, and got a list.")]


def test_the_table_comes_after_the_transform():
	assert applied([Row("v", "@", transform="lower", table={"usd": "USD"})], "uSd") == {"v": "USD"}


def test_tables_that_are_none():
	assert faults(
		[
			Row("a", "x", table={}),
			Row("b", "x", table={"k": None}),
			Row("c", "x", table={"k": ["v"]}),
			Row("d", "x", table={str(at): 1 for at in range(engine.MAX_TABLE + 1)}),
			Row("e", "x", table=TABLE, unknown="keep"),
		]
	) == [
		(1, "a", "A table is an object of 1 to 500 members."),
		(2, "b", "The table has no text, number, true or false for k."),
		(3, "c", "The table has no text, number, true or false for k."),
		(4, "d", "A table is an object of 1 to 500 members."),
		(5, "e", "What is done with unknown values is fault or default."),
	]


# Transforms


@pytest.mark.parametrize(
	("transform", "value", "result"),
	[
		("money", "12.50", Decimal("12.50")),
		("money", 7, Decimal(7)),
		("money", 0.1, Decimal("0.1")),
		("money", Decimal("1E+2"), Decimal(100)),
		("money", "-10.00", Decimal("-10.00")),
		("money", "0.90000000000000000001", Decimal("0.90000000000000000001")),
		("sum", [], Decimal(0)),
		("sum", ["1.10", 2, ["0.01", "0.02"]], Decimal("3.13")),
		(
			"sum",
			["99999999999999999999999999.99", "0.000000001"],
			Decimal("99999999999999999999999999.990000001"),
		),
		("difference", ["5.00", 1, [2, "0.50"]], Decimal("1.50")),
		("difference", [0, "-10.00"], Decimal("10.00")),
		("difference", ["3.00"], Decimal("3.00")),
		("product", [Decimal("0.06"), 100], Decimal("6.00")),
		("product", [-1, "-8.00"], Decimal("8.00")),
		("quotient", ["29.97", 3], Decimal("9.99")),
		("quotient", [["25.18", "4.79"], "3"], Decimal("9.99")),
		("quotient", [100, 8], Decimal("12.5")),
		("quotient", [2000, 100], Decimal(20)),
		("single", ["a", "a"], "a"),
		("single", ["a"], "a"),
		("single", [], None),
		("single", "a", "a"),
		("single", [None, None], None),
		("line", " a\n\tb\u00a0 c ", "a b c"),
		("line", " \n", None),
		("line", 40202, "40202"),
		("unescape", "Ship Your Idea &ndash; Color: Black", "Ship Your Idea – Color: Black"),
		("unescape", "Jack &amp;amp; Jill &#8211; &#x41;&quot;", 'Jack &amp; Jill – A"'),
		("unescape", "R&regular &unknown; &copy AT&T", "R&regular &unknown; &copy AT&T"),
		("unescape", "&nbsp;", None),
		("phone", "030/123 456", "030 123 456"),
		("phone", "+49 (0) 30\u2013123", "+49 (0) 30-123"),
		("phone", "+49 (0) 30 / 1234 5678 90", "+49(0)301234567890"),
		("phone", 5551234567, "5551234567"),
		("phone", "-", None),
		("phone", " ", None),
		("utc", "2017-03-22T19:28:02", "2017-03-22T19:28:02+00:00"),
		("utc", "2008-01-10T11:00:00.5-05:00", "2008-01-10T16:00:00.500000+00:00"),
		("utc", 1234567890, "2009-02-13T23:31:30+00:00"),
		("utc", Decimal("1.5"), "1970-01-01T00:00:01.500000+00:00"),
	],
)
def test_transforms(transform, value, result):
	made = transforms.TRANSFORMS[transform](value)
	assert made == result and type(made) is type(result) and str(made) == str(result)


@pytest.mark.parametrize(
	("transform", "value", "sentence"),
	[
		(
			"money",
			"1,250.00",
			"“1,250.00” is no amount. Amounts are written 1250 or 12.50, without signs for thousands.",
		),
		(
			"money",
			"1.250,00",
			"“1.250,00” is no amount. Amounts are written 1250 or 12.50, without signs for thousands.",
		),
		(
			"money",
			"1e3",
			"“1e3” is no amount. Amounts are written 1250 or 12.50, without signs for thousands.",
		),
		("money", " 5", "“ 5” is no amount. Amounts are written 1250 or 12.50, without signs for thousands."),
		("money", "", "“” is no amount. Amounts are written 1250 or 12.50, without signs for thousands."),
		("money", "٥", "“٥” is no amount. Amounts are written 1250 or 12.50, without signs for thousands."),
		(
			"money",
			10**100,
			f"“1{'0' * 39}” is no amount. Amounts are written 1250 or 12.50, without signs for thousands.",
		),
		("money", True, "Takes text, and got true or false."),
		("sum", "1", "Takes a list of numbers, and got text."),
		("sum", [None], "Takes text, and got null."),
		("sum", [{"a": 1}], "Takes text, and got an object."),
		("difference", [], "Takes 1 numbers at least, and got 0."),
		("product", ["9" * 100] * 5, "The product has too many digits."),
		("quotient", ["10.00", 3], "10.00 divided by 3 does not come out even; nothing is rounded."),
		("quotient", [1, 2**10], "1 divided by 1024 does not come out even; nothing is rounded."),
		("quotient", [1, 0], "1 divided by 0 does not come out even; nothing is rounded."),
		("quotient", [0, 0], "0 divided by 0 does not come out even; nothing is rounded."),
		("quotient", [1], "Takes 2 numbers at least, and got 1."),
		("quotient", [1, 2, 3], "Takes two numbers, and got 3."),
		(
			"single",
			["gift_card", "paypal"],
			'Takes one value, and got 2 different ones: "gift_card", "paypal".',
		),
		("line", ["a"], "Takes text, and got a list."),
		(
			"phone",
			"123 ext. 4",
			"“123 ext. 4” is no phone number: digits, blanks and + - . , ( ) / make one.",
		),
		("utc", 10**12, "The time is out of range."),
		("utc", "0001-01-01T00:00:00+14:00", "The time is out of range."),
		("utc", True, "Takes text, and got true or false."),
	],
)
def test_transforms_refuse(transform, value, sentence):
	with pytest.raises(BadValue) as e:
		transforms.TRANSFORMS[transform](value)
	assert str(e.value) == sentence


def test_nothing_after_a_transform_is_nothing_found():
	assert applied([Row("a", "lines[1].sku", transform="line")]) == {}
	assert applied([Row("a", "lines[1].sku", transform="line", default="none")]) == {"a": "none"}
	assert faults([Row("a", "lines[1].sku", transform="line", required=True)]) == [
		(1, "a", "lines[1].sku finds nothing, and a value is required.")
	]
