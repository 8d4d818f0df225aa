"""What the benchmarks share: a client, alternating measurement, the table. Standard library only."""

import argparse
import gc
import http.client
import itertools
import json
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

SYSTEM = "Hub Connected System"
# Settings of the demo's system that the benchmark's own system takes over.
NOT_COPIED = {
	"name", "slug", "title", "user", "api_key", "owner", "creation", "modified", "modified_by", "docstatus",
	"idx", "doctype", "previous_api_secret", "previous_secret_valid_until", "secret_rotated_on",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
	status: int
	headers: http.client.HTTPMessage
	content: bytes

	@property
	def body(self) -> dict:
		return json.loads(self.content)


class Client:
	"""Calls one site with one token. Keeps its connection where the server does."""

	def __init__(self, base_url: str, host: str, token: str):
		url = urlsplit(base_url)
		kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
		self._connection = kind(url.hostname, url.port, timeout=60)
		self._headers = {
			"Host": host or url.netloc,
			"Authorization": f"token {token}",
			"Content-Type": "application/json",
			"Accept": "application/json",
		}

	def call(self, method: str, path: str, body: bytes | dict | None = None, expect: int | None = None):
		"""Send one request and return its Answer.

		Raises:
			SystemExit: the answer has another status than `expect`; a measurement of errors says nothing.
		"""
		data = json.dumps(body).encode() if isinstance(body, dict) else body
		self._connection.request(method, path, data, self._headers)
		response = self._connection.getresponse()
		answer = Answer(response.status, response.headers, response.read())
		if expect is not None and answer.status != expect:
			text = answer.content[:1500].decode(errors="replace")
			sys.exit(f"{method} {path} answered {answer.status}, not {expect}: {text}")
		return answer

	def hub(self, verb: str, body: bytes | dict | None = None, expect: int | None = 200) -> Answer:
		"""Call a verb of the hub: POST with a body, GET without."""
		path = f"/api/method/integration_hub.api.v1.{verb}"
		return self.call("GET" if body is None else "POST", path, body, expect)

	def resource(
		self, method: str, doctype: str, name: str = "", body: dict | None = None, expect: int = 200
	):
		"""Call Frappe's own REST API and return its `data`."""
		path = f"/api/resource/{quote(doctype)}" + (f"/{quote(name)}" if name else "")
		return self.call(method, path, body, expect).body.get("data")


@dataclass(frozen=True)
class Site:
	"""Where to measure, and with what: the members of the last line of `scripts/demo --json`."""

	base_url: str
	host: str
	admin_token: str
	system: str
	company: str
	customer: str
	items: list[str]
	warehouse: str

	def client(self, token: str) -> Client:
		return Client(self.base_url, self.host, token)


def arguments(description: str) -> argparse.ArgumentParser:
	"""Return a parser with the options every benchmark has."""
	parser = argparse.ArgumentParser(description=description)
	parser.add_argument(
		"--demo", metavar="FILE", help="output of `scripts/demo --json`; - for standard input"
	)
	for name in ("base-url", "host", "admin-token", "system", "company", "customer", "warehouse"):
		parser.add_argument(f"--{name}", help="instead of what the demo says")
	parser.add_argument(
		"--items", nargs="+", metavar="ITEM", help="an item whose group and unit the benchmark's own get"
	)
	parser.add_argument("--rounds", type=int, default=200, help="measured rounds of each side (default 200)")
	parser.add_argument("--warm-up", type=int, default=20, help="rounds before that (default 20)")
	return parser


def site_from(options: argparse.Namespace) -> Site:
	"""Return the site the options name, with the demo's values where an option is absent.

	Raises:
		SystemExit: naming what is missing.
	"""
	known = {}
	if options.demo:
		with sys.stdin if options.demo == "-" else open(options.demo, encoding="utf-8") as lines:
			known = json.loads([line for line in lines if line.strip()][-1])
	values = {name: getattr(options, name) or known.get(name) for name in Site.__annotations__}
	missing = ["--" + name.replace("_", "-") for name, value in values.items() if not value]
	if missing:
		sys.exit(f"Missing: {', '.join(missing)}; or give --demo the output of `scripts/demo --json`.")
	return Site(**values)


class BenchmarkSystem:
	"""A Connected System like the demo's that may use Frappe's own API as well, so that one and the same user is
	measured on both sides. It exists for the time of a `with` block; its requests stay on record, so it is disabled then.
	"""

	def __init__(self, site: Site):
		self._site = site
		self._admin = site.client(site.admin_token)

	def __enter__(self) -> Client:
		like = self._admin.resource("GET", SYSTEM, self._site.system)
		settings = {name: value for name, value in like.items() if name not in NOT_COPIED}
		for rows in (value for value in settings.values() if isinstance(value, list)):
			rows[:] = [{k: v for k, v in row.items() if k not in NOT_COPIED | {"parent"}} for row in rows]
		self.name = f"benchmark-{secrets.token_hex(4)}"
		made = {**settings, "slug": self.name, "title": f"Benchmark {self.name}"}
		made |= {"allow_frappe_api": 1, "enabled": 1, "rate_limit_per_minute": 0, "submit_orders": 1}
		self._admin.resource("POST", SYSTEM, body=made)
		key = self._admin.resource("POST", SYSTEM, self.name, {"run_method": "create_user"})
		return self._site.client(f"{key['api_key']}:{key['api_secret']}")

	def __exit__(self, *exc) -> None:
		self._admin.resource("POST", SYSTEM, self.name, {"run_method": "revoke_secret"})
		self._admin.resource("PUT", SYSTEM, self.name, {"enabled": 0})


class BenchmarkItems:
	"""Pairs of new items, for the time of a `with` block, to be ordered in turns.

	ERPNext sums up all open orders of an item with each new one, so an item that hundreds of orders wait for makes
	both sides slower, by the same milliseconds. A few orders each is what a shop has.
	"""

	PAIRS = 20

	def __init__(self, site: Site):
		self._admin = site.client(site.admin_token)
		self._like = site.items[0]

	def __enter__(self) -> Iterator[tuple[str, str]]:
		like = self._admin.resource("GET", "Item", self._like)
		run = secrets.token_hex(4)
		self.codes = [f"BENCHMARK-{run}-{number}" for number in range(2 * self.PAIRS)]
		for code in self.codes:
			item = {"item_code": code, "item_group": like["item_group"], "stock_uom": like["stock_uom"]}
			self._admin.resource("POST", "Item", body={**item, "is_stock_item": 1})
		return itertools.cycle(zip(self.codes[::2], self.codes[1::2], strict=True))

	def __exit__(self, *exc) -> None:
		for code in self.codes:
			self._admin.resource("PUT", "Item", code, {"disabled": 1})


@dataclass
class Side:
	"""One side of a comparison: what it is called, what it does in one round, and how long that took, in ms."""

	name: str
	once: Callable[[], None]

	def __post_init__(self):
		self.times: list[float] = []

	def measure(self) -> None:
		started = time.perf_counter()
		self.once()
		self.times.append((time.perf_counter() - started) * 1000)

	@property
	def median(self) -> float:
		return statistics.median(self.times)

	@property
	def p95(self) -> float:
		return statistics.quantiles(self.times, n=20)[-1] if len(self.times) > 1 else self.times[0]


@dataclass
class Comparison:
	"""A against B: the ratio of their medians must be at most `target`; None: it is shown, and that is all."""

	label: str
	a: Side
	b: Side
	target: float | None

	def run(self, rounds: int, warm_up: int) -> None:
		"""Alternate A, B, B, A: whatever else the machine does meets both sides alike."""
		for _round in range(warm_up):
			self.a.once()
			self.b.once()
		gc.collect()
		gc.disable()
		for number in range(rounds):
			for side in (self.a, self.b) if number % 2 else (self.b, self.a):
				side.measure()
		gc.enable()

	@property
	def ratio(self) -> float:
		return self.a.median / self.b.median

	@property
	def met(self) -> bool:
		return self.target is None or self.ratio <= self.target


def table(comparisons: list[Comparison]) -> str:
	"""Return the comparisons as a Markdown table; times in ms."""
	rows = [("", "side", "n", "median ms", "p95 ms", "ratio", "target", "")]
	for comparison in comparisons:
		for side in (comparison.a, comparison.b):
			first = side is comparison.a
			rows.append(
				(
					comparison.label if first else "",
					side.name,
					str(len(side.times)),
					f"{side.median:.1f}",
					f"{side.p95:.1f}",
					f"{comparison.ratio:.2f}" if first else "",
					f"≤ {comparison.target}" if first and comparison.target else "",
					("met" if comparison.met else "MISSED") if first and comparison.target else "",
				)
			)
	widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
	lines = [
		"| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows
	]
	lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
	return "\n".join(lines)


def report(comparisons: list[Comparison]) -> int:
	"""Print the table and return the exit code: 0 when every target is met."""
	print(table(comparisons))
	return 0 if all(comparison.met for comparison in comparisons) else 1
