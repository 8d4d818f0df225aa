"""Who works at something that one worker at a time may do: a row of Frappe's own table of series, locked."""

from integration_hub.core import sql

# Numbering the stream, looking at the stock, telling people.
STREAM, STOCK, ALERTS = "HUB-EVENT-", "HUB-STOCK-", "HUB-ALERT-"


def make() -> None:
	"""Make the rows, on install and on migrate."""
	for name in (STREAM, STOCK, ALERTS):
		sql.run("INSERT IGNORE INTO tabSeries (name, current) VALUES (%s, 0)", (name,))


def wait_for(name: str) -> int:
	"""Take the turn, held until the transaction ends, after whoever has it; return the counter."""
	return sql.run("SELECT current FROM tabSeries WHERE name = %s FOR UPDATE", (name,))[0][0]


def take(name: str) -> bool:
	"""Take the turn, held until the transaction ends; False: another worker has it."""
	return bool(sql.run("SELECT 1 FROM tabSeries WHERE name = %s FOR UPDATE SKIP LOCKED", (name,)))


def count(name: str, current: int) -> None:
	"""Set the counter, within the turn."""
	sql.run("UPDATE tabSeries SET current = %s WHERE name = %s", (current, name))
