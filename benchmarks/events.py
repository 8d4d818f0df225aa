#!/usr/bin/env python3
"""P4: what events out cost the documents they come from. P7: pages of `events.list` at a depth of a million rows.

How to run it: README.md beside this file.
"""

import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cycle import receive, run
from in_process import InProcess, Meter, connected
from measure import (
	SYSTEM,
	BenchmarkItems,
	BenchmarkSystem,
	Client,
	Comparison,
	Side,
	Site,
	arguments,
	report,
	site_from,
)

from integration_hub.core import cursor, sql
from integration_hub.outbound import stream, subscriptions, turns
from integration_hub.outbound.subscriptions import Subscriptions

WEBHOOK = "Hub Webhook"
EVENT_MICROSECONDS = 10
STATEMENTS_AN_EVENT = 2
PAGE = 100
COUNTED = 20
FILLED_AT_ONCE = 50_000
RARE, COMMON = "order.cancelled", "order.submitted"


@contextmanager
def webhook_for_everything(site: Site, system: str) -> Iterator[str]:
	"""A webhook for `*`, paused: deliveries are written and held, so that their sending does not meet the other side."""
	admin = site.client(site.admin_token)
	url = "https://example.com/benchmark"
	values = {"title": system, "system": system, "mode": "Push", "url": url, "events": [{"event": "*"}]}
	name = admin.resource("POST", WEBHOOK, body=values)["name"]
	try:
		admin.resource("POST", WEBHOOK, name, {"run_method": "pause"})
		yield name
	finally:
		admin.call("DELETE", f"/api/resource/Hub%20Webhook/{name}", expect=202)


def sides(site: Site, webhook: str) -> tuple[Subscriptions, Subscriptions]:
	"""Return what a process keeps in memory with that one subscriber, and without any."""
	with connected(site.host):
		subscriptions.publish_version()
		found = subscriptions._load()
	return replace(found, all=tuple(one for one in found.all if one.webhook == webhook)), replace(
		found, all=()
	)


def counted(
	site: Site, cycle: Callable[[Subscriptions], None], one: Subscriptions, none: Subscriptions
) -> bool:
	"""Count statements and time doc events of cycles without and with a subscriber; print, and return if all is met."""
	means = []
	with Meter() as meter:
		for _number in range(COUNTED):
			done = len(meter.events)
			cycle(none)
			means.append(statistics.mean(seconds for seconds, _statements in meter.events[done:]) * 1e6)
	# Of cycles, not of events: the first of a call asks the cache, and whoever is preempted waits for milliseconds.
	mean, without = statistics.median(means), meter.statements / COUNTED
	queries = sum(statements for _seconds, statements in meter.events)
	print(
		f"Nobody listens: {len(meter.events) / COUNTED:.0f} doc events a cycle, {queries} statements, {mean:.1f} µs each; "
		f"target 0 and ≤ {EVENT_MICROSECONDS}"
	)
	before = events(site)
	with Meter() as meter:
		for _number in range(COUNTED):
			cycle(one)
	made, ours = events(site) - before, sum(statements for _seconds, statements in meter.events)
	more = meter.statements / COUNTED - without
	print(
		f"One listens to *: {made / COUNTED:.0f} events a cycle, {ours / made:.2f} statements each; {meter.statements / COUNTED:.0f} "
		f"statements a cycle against {without:.0f}, {more * COUNTED / made:.2f} each; target ≤ {STATEMENTS_AN_EVENT}"
	)
	return not queries and mean <= EVENT_MICROSECONDS and ours / made <= STATEMENTS_AN_EVENT


def events(site: Site) -> int:
	with connected(site.host):
		return sql.run("SELECT count(*) FROM `tabHub Event`")[0][0]


def captured(site: Site, rounds: int, warm_up: int) -> int:
	"""Measure P4; return the exit code."""
	mapped = site.client(site.admin_token).resource("GET", SYSTEM, site.system)["payment_method_map"][0]
	goods, listener = BenchmarkItems(site), BenchmarkSystem(site)
	with (
		BenchmarkSystem(site) as client,
		listener,
		goods as items,
		webhook_for_everything(site, listener.name) as webhook,
	):
		receive(site, goods.codes)
		one, none = sides(site, webhook)
		here = InProcess(client)

		cpu: dict[bool, list[float]] = {True: [], False: []}

		def cycle(kept: Subscriptions) -> None:
			subscriptions._kept[site.host] = kept
			started = time.process_time()
			run(site, here, next(items), mapped["payment_method"], "atomic")
			cpu[bool(kept.all)].append(time.process_time() - started)

		comparison = Comparison(
			"P4 cycle",
			Side("sales.run, one listens to *", lambda: cycle(one)),
			Side("sales.run, nobody listens", lambda: cycle(none)),
			1.05,
		)
		comparison.run(rounds, warm_up)
		# What other programs on the machine do shows less in this.
		ratio = statistics.median(cpu[True]) / statistics.median(cpu[False])
		print(f"Processor time of the cycle, without the database's: {ratio:.3f} of that when nobody listens")
		met = counted(site, cycle, one, none)
	return report([comparison]) or int(not met)


def fill(system: str, count: int) -> int:
	"""Write so many events of a system in the order of their numbers; return the number before the first."""
	first = turns.wait_for(turns.STREAM)
	run_id = secrets.token_hex(4)
	for start in range(1, count + 1, FILLED_AT_ONCE):
		last = min(start + FILLED_AT_ONCE - 1, count)
		sql.run(
			f"""INSERT INTO `tabHub Event` (name, creation, modified, owner, modified_by, event, `system`, reference_doctype,
				reference_name, occurred_at, sequence, payload)
			SELECT concat('evt_', %s, lpad(seq, 16, '0')), now(), now(), 'Administrator', 'Administrator',
				if(seq %% 10000 = 0, %s, if(seq %% 8, 'order.paid', %s)), %s, 'Sales Order', concat(%s, seq DIV 8),
				UTC_TIMESTAMP(6) - INTERVAL %s SECOND + INTERVAL seq SECOND, %s + seq,
				concat('{{"type":"order.paid","timestamp":"2026-01-01T00:00:00Z","data":{{"order":"', repeat('x', 400), '"}}}}')
			FROM seq_{start}_to_{last}""",
			(run_id, RARE, COMMON, system, run_id, count, first),
		)
		turns.count(turns.STREAM, first + last)
		sql.commit()
	sql.run("ANALYZE TABLE `tabHub Event`")
	return first


def remove(system: str) -> None:
	while sql.changes("DELETE FROM `tabHub Event` WHERE `system` = %s LIMIT 50000", (system,)):
		sql.commit()


def pages(client: Client, first: int, count: int) -> list[Comparison]:
	"""Return comparisons of pages of `events.list` at all depths with the first one, without a filter and with one."""
	places = {
		"in the middle": (first + count // 2, False),
		"the last one": (first + count - 2 * PAGE, False),
		"backwards from the middle": (first + count // 2, True),
	}
	comparisons = []
	for event, shown in ((None, "all"), (COMMON, "one of eight"), (RARE, "one of 10,000")):
		start = Side(f"first page, {shown}", page_reader(client, event, None))
		for place, (number, backwards) in places.items():
			at = cursor.encode("events", [number], backwards)
			deep = Side(place, page_reader(client, event, at))
			comparisons.append(Comparison(f"P7 {shown}", deep, replace(start), 1.2))
	return comparisons


def page_reader(client: Client, event: str | None, at: str | None) -> Callable[[], None]:
	query = f"limit={PAGE}" + (f"&type={event}" if event else "") + (f"&cursor={at}" if at else "")

	def read() -> None:
		client.hub(f"events.list?{query}")

	return read


def listed(site: Site, options) -> int:
	"""Measure P7, and print what numbering costs; return the exit code."""
	system = BenchmarkSystem(site)
	with system as client:
		with connected(site.host):
			first = fill(system.name, options.rows)
		try:
			comparisons = pages(client, first, options.rows)
			for comparison in comparisons:
				comparison.run(options.rounds, options.warm_up)
			with connected(site.host):
				numbering(system.name)
			return report(comparisons)
		finally:
			if not options.keep:
				with connected(site.host):
					remove(system.name)


def numbering(system: str, count: int = 5_000) -> None:
	"""Print what `stream.number` costs with nothing to do, and for each event."""
	idle = []
	for _number in range(200):
		started = time.perf_counter()
		stream.number()
		idle.append((time.perf_counter() - started) * 1000)
	sql.run(
		"UPDATE `tabHub Event` SET sequence = NULL WHERE `system` = %s ORDER BY sequence DESC LIMIT %s",
		(system, count),
	)
	sql.commit()
	started = time.perf_counter()
	numbered = stream.number()
	each = (time.perf_counter() - started) * 1000 / numbered
	print(f"stream.number: {statistics.median(idle):.2f} ms with nothing to do, {each:.3f} ms an event")


def main() -> int:
	parser = arguments(__doc__)
	parser.add_argument("--rows", type=int, default=1_000_000, help="events of P7 (default 1,000,000)")
	parser.add_argument("--keep", action="store_true", help="leave them there, to look at query plans")
	parser.add_argument("--only", choices=("P4", "P7"))
	options = parser.parse_args()
	site = site_from(options)
	failed = 0
	if options.only != "P7":
		failed += captured(site, options.rounds, options.warm_up)
	if options.only != "P4":
		failed += listed(site, options)
	return min(failed, 1)


if __name__ == "__main__":
	sys.exit(main())
