"""Opaque cursors and keyset pages: every page costs what the first does. Pure.

A cursor is a place between two rows and a direction: it holds the key of the row that was last read. No key at
all is the edge: the start, or backwards the end. It is no secret and no permission: the query limits what is read.
"""

import base64
import json
from collections.abc import Callable

# A key of names (140 characters) and moments fits several times over.
MAX_LENGTH = 1024

Values = list[str | int | float]


class NotACursor(ValueError):
	"""What came was not written by `encode`, or for another list."""


def encode(kind: str, values: Values, backwards: bool = False) -> str:
	"""Return the cursor of list `kind` for the rows beyond key `values`: URL-safe base64 without padding.

	Raises:
		NotACursor: `decode` would refuse it: a value is neither text nor a finite number, or it is too long.
	"""
	_check(values)
	# NaN, infinity and half a surrogate pair are refused here; the database would be the next to refuse them.
	try:
		text = json.dumps(
			[kind, int(backwards), *values], separators=(",", ":"), ensure_ascii=False, allow_nan=False
		)
		cursor = base64.urlsafe_b64encode(text.encode("utf-8")).decode().rstrip("=")
	except ValueError as e:
		raise NotACursor(str(e)) from e
	if len(cursor) > MAX_LENGTH:
		raise NotACursor(f"a cursor has at most {MAX_LENGTH} characters")
	return cursor


def decode(cursor: str, kind: str, types: tuple[type, ...] | None = None) -> tuple[Values, bool]:
	"""Return (key, backwards) of a cursor that `encode` wrote for `kind`; an empty key is the edge of the list.

	Args:
		types: of the key's values, as `(str, str)`: a forged cursor must not compare a text column with a number,
			which no index serves. None: any.

	Raises:
		NotACursor: it is anything else, however little it differs.
	"""
	if len(cursor) > MAX_LENGTH:
		raise NotACursor(f"a cursor has at most {MAX_LENGTH} characters")
	try:
		_kind, backwards, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
	except (ValueError, TypeError, RecursionError) as e:
		raise NotACursor("this is no cursor") from e
	_check(values, types)
	# Another kind is not all that differs: Python reads blanks, other alphabets, loose bits and NaN, too.
	if encode(kind, values, bool(backwards)) != cursor:
		raise NotACursor("this cursor is of another list, or was changed")
	return values, bool(backwards)


def _check(values: Values, types: tuple[type, ...] | None = None) -> None:
	# By exact type: a bool is an int to Python and not to the database.
	found = tuple(type(value) for value in values)
	if not set(found) <= {str, int, float}:
		raise NotACursor("a cursor holds texts and numbers only")
	if types is not None and found not in ((), types):
		raise NotACursor("the cursor's key does not fit this list")


def page(
	fetch: Callable[[Values, bool, int], list],
	limit: int,
	*,
	kind: str,
	columns: dict[str, type],
	cursor: str | None = None,
	stream: bool = False,
	caught_up: Callable[[Values], Values] | None = None,
) -> dict:
	"""Return one page: {"result": rows in the list's order, "next_cursor", "prev_cursor", "result_count"}.

	A cursor is None where nothing is left on that side. A stream never ends: its `next_cursor` is always given, with
	an empty page and an empty stream too, and finds later what came since. Fewer rows than `limit` say that the
	reader has caught up.

	Args:
		fetch: `fetch(key, backwards, count)` returns up to `count` rows (mappings) after `key` in the list's order,
			or backwards those before it, nearest first; an empty key means from the start, backwards from the end.
			A stream's leaves out rows so young that older ones may still be committed, for a cursor would pass these over;
			or `caught_up` goes back before them.
		limit: rows on a page, at least 1.
		kind: name of the list, as `events`; one list does not take another's cursors.
		columns: what the list is ordered by, with the type in a cursor, as `{"creation": str, "name": str}`; together
			unique, none of them NULL.
		cursor: as it came; None or empty: the first page.
		stream: whether callers wait at its end for more.
		caught_up: `caught_up(key)` returns from where a stream's reader goes on that has read all up to `key`.

	Raises:
		NotACursor: `cursor` is not one of this list.
	"""
	key, backwards = decode(cursor, kind, tuple(columns.values())) if cursor else ([], False)
	rows = fetch(key, backwards, limit + 1)
	more = len(rows) > limit
	rows = rows[:limit]
	# Behind is where the reader comes from, ahead where the reading goes.
	behind, ahead = _place(rows, 0, columns, []), _place(rows, -1, columns, key)
	if caught_up and ahead and not backwards and len(rows) < limit:
		ahead = caught_up(ahead)
	ahead_cursor = encode(kind, ahead, backwards) if more or (stream and not backwards) else None
	behind_cursor = encode(kind, behind, not backwards) if key or (stream and backwards) else None
	return {
		"result": rows[::-1] if backwards else rows,
		"next_cursor": behind_cursor if backwards else ahead_cursor,
		"prev_cursor": ahead_cursor if backwards else behind_cursor,
		"result_count": len(rows),
	}


def _place(rows: list, index: int, columns: dict[str, type], otherwise: Values) -> Values:
	return [as_type(rows[index][name]) for name, as_type in columns.items()] if rows else otherwise
