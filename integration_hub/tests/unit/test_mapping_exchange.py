"""Field maps as files: what is written is read back, and what is wrong is named by its row."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

import integration_hub
from integration_hub.mapping import exchange
from integration_hub.mapping.engine import DEFAULT, Row
from integration_hub.mapping.errors import BadValue, MapFaults
from integration_hub.mapping.exchange import MapFile

SHIPPED = sorted((Path(integration_hub.__file__).parent / "presets").glob("*/maps/*.json"))
HEAD = {
	"format": "integration-hub/field-map",
	"format_version": 1,
	"title": "Žofie’s map",
	"direction": "In",
	"rows": [{"target": "a", "source": "b"}],
}

ALL = MapFile(
	title="Žofie’s “map”",
	description="Two\nlines",
	direction="Out",
	version=7,
	rows=(
		Row("a", "b"),
		Row('"odd.name".c', "x[?y == 'z\"']", required=True),
		Row("d", "d", default=Decimal("1.10"), transform="money"),
		Row("e", "e", default={"k": [1, None, "ž", False]}),
		Row("f", "f", default="", table={"from": "to", "1": Decimal("2.50"), "t": True}, unknown=DEFAULT),
		Row("g[]", "g"),
		Row("g[].h", "h"),
	),
)

WRITTEN = """{
	"format": "integration-hub/field-map",
	"format_version": 1,
	"title": "Žofie’s “map”",
	"description": "Two\\nlines",
	"direction": "Out",
	"version": 7,
	"rows": [
		{"target": "a", "source": "b"},
		{"target": "\\"odd.name\\".c", "source": "x[?y == 'z\\"']", "required": true},
		{"target": "d", "source": "d", "default": 1.10, "transform": "money"},
		{"target": "e", "source": "e", "default": {"k":[1,null,"ž",false]}},
		{"target": "f", "source": "f", "default": "", "table": {"from":"to","1":2.50,"t":true}, "unknown": "default"},
		{"target": "g[]", "source": "g"},
		{"target": "g[].h", "source": "h"}
	]
}
"""


def test_a_map_is_written_a_row_a_line():
	assert exchange.write(ALL).decode() == WRITTEN


def test_what_is_written_is_read_back():
	again = exchange.read(WRITTEN.encode())
	assert again == ALL
	assert str(again.rows[2].default) == "1.10"
	assert exchange.write(again).decode() == WRITTEN
	assert again.compiled().apply({"g": [{"h": 1}], "f": "from", "x": [{"y": 'z"'}]})["g"] == [{"h": 1}]


def test_what_is_left_out_is_as_in_a_row():
	assert exchange.read(json.dumps(HEAD).encode()) == MapFile("Žofie’s map", (Row("a", "b"),))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_shipped_maps_are_written_as_the_desk_writes_them(path):
	content = path.read_bytes()
	assert exchange.write(exchange.read(content)) == content


def test_there_are_shipped_maps():
	assert len(SHIPPED) == 13


def refused(content: bytes) -> list[tuple]:
	with pytest.raises(MapFaults) as e:
		exchange.read(content)
	return [(fault.row, fault.target, fault.message) for fault in e.value.faults]


def test_every_fault_is_named_by_its_row():
	document = HEAD | {
		"format": "x",
		"format_version": 2,
		"title": " ",
		"direction": "in",
		"version": 0,
		"description": 5,
		"extra": 1,
		"rows": [
			{"target": "a", "source": "b"},
			{"target": "c", "sauce": "d"},
			"row",
			{"target": 1, "source": None, "required": 1, "transform": [], "table": [], "unknown": False},
			{},
		],
	}
	known = "target, source, required, default, transform, table, unknown"
	assert refused(json.dumps(document).encode()) == [
		(0, "", "Only format_version 1 can be read here."),
		(
			0,
			"",
			"There is no member extra; there are format, format_version, title, description, direction, version, rows.",
		),
		(0, "", "This is no field map: format is to be integration-hub/field-map."),
		(0, "", "description takes text."),
		(0, "", "direction is In or Out."),
		(0, "", "title takes text of 1 to 140 characters."),
		(0, "", "version takes a whole number from 1."),
		(2, "c", f"There is no member sauce; there are {known}."),
		(2, "c", "source is missing."),
		(3, "", "A row is an object, not text."),
		(4, "", "required takes true or false, and got a number."),
		(4, "", "source takes text, and got null."),
		(4, "", "table takes an object, and got a list."),
		(4, "", "target takes text, and got a number."),
		(4, "", "transform takes text, and got a list."),
		(4, "", "unknown takes text, and got true or false."),
		(5, "", "source is missing."),
		(5, "", "target is missing."),
	]


@pytest.mark.parametrize(
	("content", "sentence"),
	[
		(b"", "The body is empty; send a JSON object."),
		(b"[]", "The body must be a JSON object: { … }."),
		(b'{"a": 1, "a": 2}', "The body is not JSON: the name 'a' stands twice in one object."),
		(b'{"a": NaN}', "The body is not JSON: NaN is not a JSON number."),
		(b"\xff", "The body is not UTF-8 (byte 0)."),
		(b"[" * 100_000, "The body is nested deeper than 32 levels."),
		(b" " * (exchange.MAX_BYTES + 1), "A field map has 1024 KiB at most."),
	],
)
def test_what_is_no_json_is_one_fault(content, sentence):
	assert refused(content) == [(0, "", sentence)]


@pytest.mark.parametrize("rows", [None, {}, "x", 1])
def test_rows_are_a_list(rows):
	assert refused(json.dumps(HEAD | {"rows": rows}).encode()) == [(0, "", "rows takes a list.")]


def test_faults_of_the_rows_themselves_are_told_when_they_are_compiled():
	read = exchange.read(json.dumps(HEAD | {"rows": [{"target": "a b", "source": "c d"}]}).encode())
	with pytest.raises(MapFaults) as e:
		read.compiled()
	assert [fault.row for fault in e.value.faults] == [1, 1]


def test_what_is_no_json_is_not_written():
	with pytest.raises(BadValue):
		exchange.write(MapFile("t", (Row("a", "b", default=object()),)))
