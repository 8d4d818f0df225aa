"""Cursors are opaque and strict; pages give each row once, there and back again."""

import base64
import json
import string
from datetime import datetime

import pytest

from integration_hub.core.cursor import MAX_LENGTH, NotACursor, decode, encode, page

COLUMNS = {"creation": str, "name": str}


def raw(text: str | bytes) -> str:
	"""Return a cursor somebody wrote by hand."""
	data = text if isinstance(text, bytes) else text.encode()
	return base64.urlsafe_b64encode(data).decode().rstrip("=")


# --- cursors


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
	"values",
	[
		[],
		["2026-03-01 12:30:00.000001", "0a1b2c3d"],
		["", " ", "ORD-1a ", "ord-1A"],
		["Żółć/+?&=%\"\\'\n\x00 🧾"],
		[0, -1, 2**63 - 1, 0.0, -0.5, 1e-300, 12.5],
		["x" * 140, "ł" * 140],
	],
)
def test_what_is_written_is_read(values, backwards):
	cursor = encode("events", values, backwards)
	read, direction = decode(cursor, "events")
	assert (read, direction) == (values, backwards)
	assert [type(value) for value in read] == [type(value) for value in values]
	assert set(cursor) <= set(string.ascii_letters + string.digits + "-_")


def test_a_cursor_as_it_is_written():
	assert encode("events", ["a", 1]) == raw('["events",0,"a",1]') == "WyJldmVudHMiLDAsImEiLDFd"
	assert encode("events", ["a", 1], backwards=True) == raw('["events",1,"a",1]')


GOOD = raw('["events",0,"a","b"]')


@pytest.mark.parametrize(
	"cursor",
	[
		"",
		"garbage",
		"!",
		"ą",
		"\x00",
		"a" * 4,
		"a" * 5,
		GOOD + "=",
		GOOD + "\n",
		" " + GOOD,
		GOOD[:-1],
		GOOD[:8] + "*" + GOOD[8:],
		GOOD[:8] + "\n" + GOOD[8:],
		raw('["events",0,"a", "b"]'),
		raw('["events",false,"a"]'),
		raw('["events",2,"a"]'),
		raw('["events","0","a"]'),
		raw('["events",null]'),
		raw('["events"]'),
		raw("[]"),
		raw("{}"),
		raw('{"events":0,"x":1}'),
		raw('"events"'),
		raw("7"),
		raw("null"),
		raw("not json"),
		raw('["requests",0,"a","b"]'),
		raw('["Events",0,"a","b"]'),
		raw('[["events"],0,"a"]'),
		raw('["events",0,["a"]]'),
		raw('["events",0,{"a":1}]'),
		raw('["events",0,null]'),
		raw('["events",0,true]'),
		raw('["events",0,NaN]'),
		raw('["events",0,Infinity]'),
		raw('["events",0,1e999]'),
		raw('["events",0,1.00]'),
		raw('["events",0,"\\ud800"]'),
		raw('["events",0,"\\u0061"]'),
		raw(b'["events",0,"\xff"]'),
		raw("\ufeff" + '["events",0,"a"]'),
		raw('["events",0,"a"]'.encode("utf-16")),
		raw("[" * 760),
		raw('["events",0,' + "[" * 370 + "]" * 370 + "]"),
		raw('["events",0,"' + "a" * 1000 + '"]'),
		"W" * 100_000,
	],
)
def test_everything_else_is_refused(cursor):
	with pytest.raises(ValueError):
		decode(cursor, "events")


def test_every_changed_letter_is_refused_or_another_key():
	"""No two texts mean one place: the last letter has loose bits, which count too."""
	for place in range(len(GOOD)):
		for letter in string.ascii_letters + string.digits + "-_":
			changed = GOOD[:place] + letter + GOOD[place + 1 :]
			try:
				values, backwards = decode(changed, "events")
			except NotACursor:
				continue
			assert encode("events", values, backwards) == changed


def test_deep_nesting_is_refused_wherever_the_stack_stands():
	def at(depth):
		if depth:
			return at(depth - 1)
		with pytest.raises(NotACursor):
			decode(raw("[" * 760), "events")

	at(800)


@pytest.mark.parametrize(
	"values", [[None], [True], [["a"]], [{}], [b"a"], [float("nan")], [float("inf")], ["\ud800"], ["a" * 760]]
)
def test_what_could_not_be_read_is_not_written(values):
	with pytest.raises(NotACursor):
		encode("events", values)


def test_the_longest_cursor():
	longest = "a" * (MAX_LENGTH // 4 * 3 - len('["events",0,""]'))
	cursor = encode("events", [longest])
	assert len(cursor) == MAX_LENGTH
	assert decode(cursor, "events") == ([longest], False)
	with pytest.raises(NotACursor):
		encode("events", [longest + "a"])


@pytest.mark.parametrize("values", [["a"], ["a", "b", "c"], ["a", 1], [1, "a"], [1.0, 2.0]])
def test_the_types_of_a_key(values):
	cursor = encode("events", values)
	assert decode(cursor, "events") == (values, False)
	assert decode(cursor, "events", tuple(map(type, values))) == (values, False)
	with pytest.raises(NotACursor):
		decode(cursor, "events", (str, str))
	assert decode(encode("events", []), "events", (str, str)) == ([], False)


# --- pages


class Table:
	"""Rows by (creation, name), and the query an operation would send."""

	def __init__(self, count: int):
		# Three rows share each moment, and names do not rise with them.
		self.rows = sorted((self._row(number) for number in range(count)), key=self.key)
		self.asked = []

	@staticmethod
	def _row(number: int) -> dict:
		return {"creation": f"2026-03-01 12:{number // 3:02}:00", "name": f"{number * 7919 % 1000:03}"}

	@staticmethod
	def key(row: dict) -> list:
		return [row["creation"], row["name"]]

	def fetch(self, key: list, backwards: bool, count: int) -> list[dict]:
		self.asked.append((key, backwards, count))
		if backwards:
			return [row for row in reversed(self.rows) if not key or self.key(row) < key][:count]
		return [row for row in self.rows if not key or self.key(row) > key][:count]

	def page(self, limit: int, cursor: str | None = None, stream: bool = False) -> dict:
		found = page(self.fetch, limit, kind="events", columns=COLUMNS, cursor=cursor, stream=stream)
		assert list(found) == ["result", "next_cursor", "prev_cursor", "result_count"]
		assert found["result_count"] == len(found["result"]) <= limit
		return found


def walk(table: Table, limit: int, side: str, cursor: str | None = None) -> list[dict]:
	"""Return the pages from `cursor` on, following `side` until it is None."""
	pages = [table.page(limit, cursor)]
	while pages[-1][side]:
		pages.append(table.page(limit, pages[-1][side]))
		assert len(pages) < 100
	return pages


def rows(pages: list[dict]) -> list[dict]:
	return [row for found in pages for row in found["result"]]


COUNTS = [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 25]
LIMITS = [1, 2, 3, 4, 6, 12, 13, 50]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("count", COUNTS)
def test_there_and_back_again(count, limit):
	table = Table(count)
	there = walk(table, limit, "next_cursor")
	assert rows(there) == table.rows
	assert len(there) == max(1, -(-count // limit)), "no empty page at the end"
	assert there[0]["prev_cursor"] is None and there[-1]["next_cursor"] is None

	back = [there[-1]]
	if there[-1]["prev_cursor"]:
		back += walk(table, limit, "prev_cursor", there[-1]["prev_cursor"])
	assert rows(back[::-1]) == table.rows
	assert [found["result"] for found in back[::-1]] == [found["result"] for found in there]
	assert back[-1]["prev_cursor"] is None

	again = walk(table, limit, "next_cursor", back[-1]["next_cursor"])
	assert rows(again) == (table.rows[limit:] if count > limit else table.rows)
	assert {asked for _key, _backwards, asked in table.asked} == {limit + 1}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("count", COUNTS)
def test_from_the_end(count, limit):
	"""A backwards cursor without a key begins at the end."""
	table = Table(count)
	back = walk(table, limit, "prev_cursor", encode("events", [], backwards=True))
	assert rows(back[::-1]) == table.rows
	assert back[0]["next_cursor"] is None and back[-1]["prev_cursor"] is None


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("count", COUNTS)
def test_a_stream_is_polled_for_ever(count, limit):
	table = Table(25)
	coming = table.rows[count:]
	table.rows = table.rows[:count]

	seen, cursor = [], None
	for _ in range(200):
		found = table.page(limit, cursor, stream=True)
		assert found["next_cursor"]
		if not found["result"]:
			assert found["next_cursor"] == (cursor or encode("events", [])), "an empty page stays where it is"
			table.rows = table.rows + coming[:2]
			coming = coming[2:]
		seen += found["result"]
		cursor = found["next_cursor"]
	assert coming == []
	assert seen == Table(25).rows


@pytest.mark.parametrize("limit", LIMITS)
def test_back_from_the_empty_end_of_a_stream(limit):
	"""The row the cursor stands on comes again, too."""
	table = Table(7)
	cursor = encode("events", Table.key(table.rows[-1]))
	end = table.page(limit, cursor, stream=True)
	assert (end["result"], end["next_cursor"]) == ([], cursor)
	back = walk(table, limit, "prev_cursor", end["prev_cursor"])
	assert rows(back[::-1]) == table.rows


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("count", COUNTS)
def test_a_stream_from_its_end(count, limit):
	"""Backwards it ends as any list does; forwards it can be polled from each page."""
	table, all_rows = Table(0), Table(26).rows
	table.rows = all_rows[:count]
	pages = [table.page(limit, encode("events", [], backwards=True), stream=True)]
	while pages[-1]["prev_cursor"]:
		pages.append(table.page(limit, pages[-1]["prev_cursor"], stream=True))
		assert len(pages) <= -(-count // limit)
	assert rows(pages[::-1]) == table.rows
	table.rows = all_rows[: count + 1]
	for newer, found in enumerate(pages):
		later = walk(table, limit, "next_cursor", found["next_cursor"])
		assert rows(later) == rows(pages[:newer][::-1]) + table.rows[count:]


def test_forward_again_from_an_empty_start():
	"""What stood before the cursor is gone: the way forward begins with the first row there is."""
	table = Table(7)
	start = table.page(3, encode("events", Table.key(table.rows[0]), backwards=True))
	assert (start["result"], start["prev_cursor"]) == ([], None)
	assert rows(walk(table, 3, "next_cursor", start["next_cursor"])) == table.rows


def test_rows_that_go_while_reading_hide_no_others():
	table = Table(12)
	expected = table.rows[:]
	first = table.page(4)
	# The very row the cursor stands on, and one that is still to come.
	table.rows = [row for row in table.rows if row not in (expected[3], expected[6])]
	rest = walk(table, 4, "next_cursor", first["next_cursor"])
	assert rows([first, *rest]) == expected[:6] + expected[7:]


def test_an_empty_list():
	nothing = {"result": [], "next_cursor": None, "prev_cursor": None, "result_count": 0}
	assert Table(0).page(10) == nothing
	assert Table(0).page(10, "") == nothing
	assert Table(0).page(10, stream=True) == {**nothing, "next_cursor": encode("events", [])}


@pytest.mark.parametrize(
	"cursor", [encode("requests", ["a", "b"]), encode("events", ["a"]), encode("events", ["a", 1]), "garbage"]
)
def test_a_wrong_cursor_asks_the_database_nothing(cursor):
	table = Table(3)
	with pytest.raises(NotACursor):
		table.page(2, cursor)
	assert table.asked == []


def test_a_cursor_holds_what_the_columns_say():
	"""Moments come from the database as objects and go into the cursor as text."""
	stored = [{"creation": datetime(2026, 3, 1, 12, 30, 0, 5), "name": "a", "seq": 7}, {}]
	found = page(lambda *_: stored, 1, kind="events", columns={"creation": str, "seq": int})
	assert found["result"] == stored[:1]
	values, backwards = decode(found["next_cursor"], "events", (str, int))
	assert (values, backwards) == (["2026-03-01 12:30:00.000005", 7], False)
	text = base64.urlsafe_b64decode(found["next_cursor"] + "==")
	assert json.loads(text) == ["events", 0, "2026-03-01 12:30:00.000005", 7]
