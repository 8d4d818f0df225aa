#!/usr/bin/env python3
"""P1: an order sent to the hub against the recipe of two calls to Frappe's REST API. P3: a replay against ping.

How to run it: README.md beside this file.
"""

import itertools
import secrets
import sys
from datetime import date, timedelta

from measure import (
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

RUN = secrets.token_hex(4)
LINES = ((2, 19.9), (1, 7.5))
_numbers = itertools.count(1)


def hub_order(site: Site, items: tuple[str, str]) -> dict:
	"""Return the body of `orders.create`."""
	return {
		"external_id": f"benchmark-{RUN}-{next(_numbers)}",
		"customer": {"name": site.customer},
		"deliver_by": _delivery(),
		"submit": True,
		"lines": [
			{"external_id": str(index), "sku": item, "quantity": quantity, "unit_price": price}
			for index, (item, (quantity, price)) in enumerate(zip(items, LINES, strict=True))
		],
	}


def rest_order(site: Site, items: tuple[str, str]) -> dict:
	"""Return the same order as a client of `/api/resource/Sales Order` writes it."""
	return {
		"company": site.company,
		"customer": site.customer,
		"delivery_date": _delivery(),
		"items": [
			{"item_code": item, "qty": quantity, "rate": price, "warehouse": site.warehouse}
			for item, (quantity, price) in zip(items, LINES, strict=True)
		],
	}


def _delivery() -> str:
	return (date.today() + timedelta(days=3)).isoformat()


def send(site: Site, client: Client, items: tuple[str, str]) -> None:
	order = client.hub("orders.create", hub_order(site, items), expect=201).body["message"]["order"]
	if order["docstatus"] != 1:
		sys.exit(f"The hub did not submit: {order}")


def recipe(site: Site, client: Client, items: tuple[str, str]) -> None:
	made = client.resource("POST", "Sales Order", body=rest_order(site, items))
	submitted = client.resource("PUT", "Sales Order", made["name"], {"docstatus": 1})
	if submitted["docstatus"] != 1:
		sys.exit(f"Frappe did not submit {made['name']}")


def replay(site: Site, client: Client, items: tuple[str, str]):
	"""Return a function that sends one and the same order again."""
	body = hub_order(site, items)
	first = client.hub("orders.create", body, expect=201)

	def again() -> None:
		answer = client.hub("orders.create", body, expect=201)
		if answer.headers["Idempotent-Replayed"] != "true" or answer.content != first.content:
			sys.exit("The second answer is no replay of the first")

	return again


def main() -> int:
	options = arguments(__doc__).parse_args()
	site = site_from(options)
	with BenchmarkSystem(site) as client, BenchmarkItems(site) as items:
		comparisons = [
			Comparison(
				"P1 order",
				Side("orders.create, submitted", lambda: send(site, client, next(items))),
				Side("POST Sales Order + PUT docstatus 1", lambda: recipe(site, client, next(items))),
				0.55,
			),
			Comparison(
				"P3 replay",
				Side("orders.create, the same again", replay(site, client, next(items))),
				Side("system.ping", lambda: client.hub("system.ping")),
				2.5,
			),
		]
		for comparison in comparisons:
			comparison.run(options.rounds, options.warm_up)
	return report(comparisons)


if __name__ == "__main__":
	sys.exit(main())
