#!/usr/bin/env python3
"""P2: from order to money in one call of the hub against the recipe of eleven calls to Frappe's own REST API.

How to run it: README.md beside this file.
"""

import secrets
import sys
from datetime import date
from pathlib import Path

from intake import hub_order, rest_order
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

sys.path.insert(0, str(Path(__file__).parents[1]))

# The very recipe whose ledgers the tests compare with the hub's.
from integration_hub.tests.recipe import Recipe

RUN = secrets.token_hex(4)
PLENTY = 10_000


def run(site: Site, client: Client, items: tuple[str, str], method: str, mode: str) -> None:
	"""Order, deliver, bill and pay in one call."""
	parts = {"fulfill": {}, "invoice": {}, "pay": {"method": method, "reference": RUN}}
	body = {"mode": mode, "order": hub_order(site, items), **parts}
	made = client.hub("sales.run", body, expect=201).body["message"]
	if made["order"]["status"] != "Completed" or made["invoices"][0]["outstanding"] or not made["payments"]:
		sys.exit(f"The hub did not come to the end: {made}")


def recipe(site: Site, client: Client, items: tuple[str, str], mapped: dict) -> None:
	"""The same in eleven calls; the recipe sees to it that each document is submitted."""
	by_hand = Recipe(lambda method, path, body: client.call(method, path, body, expect=200).body)
	payment = {
		"mode_of_payment": mapped["mode_of_payment"],
		"reference_no": RUN,
		"reference_date": date.today().isoformat(),
	}
	by_hand.play(rest_order(site, items), account=mapped["account"], payment=payment)


def receive(site: Site, items: list[str]) -> None:
	"""Put plenty of each item into the warehouse."""
	admin = site.client(site.admin_token)
	rows = [
		{"item_code": item, "qty": PLENTY, "t_warehouse": site.warehouse, "basic_rate": 4} for item in items
	]
	entry = {"stock_entry_type": "Material Receipt", "company": site.company, "items": rows, "docstatus": 1}
	admin.resource("POST", "Stock Entry", body=entry)


def main() -> int:
	options = arguments(__doc__).parse_args()
	site = site_from(options)
	# A method of payment as the demo's system has it.
	mapped = site.client(site.admin_token).resource("GET", SYSTEM, site.system)["payment_method_map"][0]
	goods = BenchmarkItems(site)
	with BenchmarkSystem(site) as client, goods as items:
		receive(site, goods.codes)

		def comparison(label: str, mode: str, target: float | None) -> Comparison:
			return Comparison(
				label,
				Side(
					f"sales.run, {mode}",
					lambda: run(site, client, next(items), mapped["payment_method"], mode),
				),
				Side("order to payment in 11 calls", lambda: recipe(site, client, next(items), mapped)),
				target,
			)

		comparisons = [comparison("P2 cycle", "atomic", 0.55), comparison("", "staged", None)]
		for each in comparisons:
			each.run(options.rounds, options.warm_up)
	return report(comparisons)


if __name__ == "__main__":
	sys.exit(main())
