"""Sends WooCommerce's example order to the demo, twice, as a small shop connector would.

Needs nothing but Python. The second call shows that an order sent again is the same order.
"""

import argparse
import html
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

PAYLOAD = (
	Path(__file__).parents[1]
	/ "integration_hub"
	/ "tests"
	/ "fixtures"
	/ "payloads"
	/ "woocommerce"
	/ "order.json"
)


def to_order(woo: dict) -> dict:
	"""Return a WooCommerce order in the hub's words. Amounts stay the strings WooCommerce sends."""
	lines = [to_line(item) for item in woo["line_items"]]
	net = sum(float(item["total"]) for item in woo["line_items"])
	return {
		"external_id": str(woo["id"]),
		"order_number": woo["number"],
		"placed_at": woo["date_created_gmt"] + "Z",
		"currency": woo["currency"],
		"customer": {"name": full_name(woo["billing"]), "email": woo["billing"]["email"]},
		"billing_address": to_address(woo["billing"]),
		"shipping_address": to_address(woo["shipping"]),
		"lines": lines,
		"charges": [
			{"code": line["method_id"], "title": line["method_title"], "amount": line["total"]}
			for line in woo["shipping_lines"]
		],
		"taxes": [
			{"code": line["rate_code"], "title": line["label"], "amount": line["tax_total"]}
			for line in woo["tax_lines"]
		],
		"totals": {"net": round(net, 2), "tax": woo["total_tax"], "grand": woo["total"]},
	}


def to_line(item: dict) -> dict:
	line = {
		"external_id": str(item["id"]),
		"name": html.unescape(item["name"]),
		"quantity": item["quantity"],
		"unit_price": item["price"],
	}
	# A product without a SKU is known by its number.
	return line | ({"sku": item["sku"]} if item["sku"] else {"item_external_id": str(item["product_id"])})


def to_address(address: dict) -> dict:
	fields = {
		"name": full_name(address),
		"company": address["company"],
		"line1": address["address_1"],
		"line2": address["address_2"],
		"city": address["city"],
		"state": address["state"],
		"postal_code": address["postcode"],
		"country": address["country"],
		"email": address.get("email"),
		"phone": address.get("phone"),
	}
	return {field: value for field, value in fields.items() if value}


def full_name(address: dict) -> str:
	return f"{address['first_name']} {address['last_name']}"


def send(demo: dict, order: dict) -> tuple[int, str | None, dict]:
	"""Return status, the header `Idempotent-Replayed` and the body."""
	request = urllib.request.Request(
		f"{demo['base_url']}/api/method/integration_hub.api.v1.orders.create",
		data=json.dumps(order).encode(),
		headers={
			"Authorization": f"token {demo['token']}",
			"Content-Type": "application/json",
			"Host": demo["host"],
		},
	)
	try:
		response = urllib.request.urlopen(request, timeout=60)
	except urllib.error.HTTPError as refusal:
		response = refusal
	text = response.read().decode()
	try:
		body = json.loads(text)
	except ValueError:
		body = {"not JSON": text[:500]}
	return response.status, response.headers.get("Idempotent-Replayed"), body


def main() -> int:
	parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
	parser.add_argument("description", type=Path, help="file written by demo_site.py")
	options = parser.parse_args()

	demo = json.loads(options.description.read_text())
	order = to_order(json.loads(PAYLOAD.read_text()))
	first, second = send(demo, order), send(demo, order)
	for call, (status, replayed, body) in (("sent", first), ("sent again", second)):
		if status not in (200, 201):
			print(
				f"The order was refused with status {status}:\n{json.dumps(body, indent=1)}", file=sys.stderr
			)
			return 1
		made = body["message"]["order"]
		print(
			f"Order {order['external_id']} {call}: {status}, {made['name']}, {made['status']}, "
			f"{made['grand_total']:.2f} {made['currency']}{', the first answer again' if replayed else ''}"
		)
	if first[2] != second[2] or second[1] != "true":
		print("The second answer is not the first one again.", file=sys.stderr)
		return 1
	# The stored answer keeps the address it was given with; the demo may have moved to another port since.
	print(f"Sales Order: {demo['base_url']}{urlsplit(made['url']).path}")
	return 0


if __name__ == "__main__":
	sys.exit(main())
