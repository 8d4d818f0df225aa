"""Sends WooCommerce's example order to the demo, twice, and takes it from order to money, as a small shop connector would.

The second call shows that an order sent again is the same order; the third delivers, bills and pays it in one go, each
step kept as soon as it is done. Meanwhile a receiver on this machine is told of what happens.
"""

import argparse
import html
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from demo_receiver import Receiver, name_of_document

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


def to_cycle(woo: dict) -> dict:
	"""Return what happens to the order once it is packed: one parcel, one invoice, one payment."""
	number = str(woo["id"])
	return {
		"mode": "staged",
		"order": {"external_id": number},
		"fulfill": {
			"external_id": f"{number}-parcel-1",
			"carrier": "DHL",
			"tracking_number": "00340434161094042557",
			"tracking_url": "https://www.dhl.com/global-en/home/tracking.html?tracking-id=00340434161094042557",
		},
		"invoice": {"external_id": f"{number}-invoice"},
		"pay": {"external_id": woo["transaction_id"] or f"{number}-payment", "method": "Card"},
	}


def send(demo: dict, verb: str, body: dict | None = None) -> tuple[int, str | None, dict]:
	"""Return status, the header `Idempotent-Replayed` and the body of a call; without a body it is a read."""
	request = urllib.request.Request(
		f"{demo['base_url']}/api/method/integration_hub.api.v1.{verb}",
		data=None if body is None else json.dumps(body).encode(),
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
		answer = json.loads(text)
	except ValueError:
		answer = {"not JSON": text[:500]}
	return response.status, response.headers.get("Idempotent-Replayed"), answer


# What the demo's receiver asks for, and what it is called.
EVENTS = ["order.*", "fulfillment.*", "invoice.*", "payment.*"]
RECEIVER = "Receiver of scripts/demo"
LONGEST_WAIT = 300


class Refused(Exception):
	"""A call that should have gone through."""


def accepted(what: str, call: tuple[int, str | None, dict]) -> dict:
	"""Return the `message` of an answer.

	Raises:
		Refused: with the whole answer.
	"""
	status, _replayed, body = call
	if status not in (200, 201):
		raise Refused(f"{what} was refused with status {status}:\n{json.dumps(body, indent=1)}")
	return body["message"]


def place_twice(demo: dict, order: dict) -> dict:
	"""Send an order twice and return what was made of it."""
	first, second = send(demo, "orders.create", order), send(demo, "orders.create", order)
	for call, sent in (("sent", first), ("sent again", second)):
		made = accepted("The order", sent)["order"]
		print(
			f"Order {order['external_id']} {call}: {sent[0]}, {made['name']}, {made['status']}, "
			f"{made['grand_total']:.2f} {made['currency']}{', the first answer again' if sent[1] else ''}"
		)
	if first[2] != second[2] or second[1] != "true":
		raise Refused("The second answer is not the first one again.")
	return made


def run_cycle(demo: dict, cycle: dict) -> set[str]:
	"""Deliver, bill and pay the order in one call, and print its steps and where the order stands then.

	Return the names of the documents.
	"""
	done = send(demo, "sales.run", cycle)
	answer = accepted("The cycle", done)
	again = ", the first answer again" if done[1] else ""
	print(f"From order to money: {done[0]}{again}")
	steps = accepted("The request", send(demo, f"requests.get?id={answer['id']}"))["steps"]
	for step in steps:
		print(f"  {step['step']:<8} {step['status']:<10} {step['doctype']} {step['name']}")
	status = accepted("The status", send(demo, f"sales.status?external_id={cycle['order']['external_id']}"))
	totals = status["totals"]
	print(
		f"  The order is {status['order']['status']}: ordered {totals['ordered']:.2f}, billed {totals['billed']:.2f}, "
		f"paid {totals['paid']:.2f}, outstanding {totals['outstanding']:.2f}"
	)
	return {step["name"] for step in steps}


def ask_for_events(demo: dict, receiver: Receiver) -> str:
	"""Make a webhook for the receiver and return its id; the system is told of what its own calls do, too."""
	stop_asking(demo)
	body = {"title": RECEIVER, "url": receiver.url, "events": EVENTS, "echo": True}
	webhook = accepted("The webhook", send(demo, "webhooks.create", body))
	receiver.secret = webhook["secret"]
	return webhook["id"]


def stop_asking(demo: dict) -> None:
	"""Delete the webhook, also one that an interrupted run has left."""
	for webhook in accepted("The list of webhooks", send(demo, "webhooks.list"))["result"]:
		if webhook["title"] == RECEIVER:
			accepted("The end of the webhook", send(demo, "webhooks.delete", {"id": webhook["id"]}))


def show_events(demo: dict, receiver: Receiver, webhook: str, documents: set[str]) -> None:
	"""Print what arrived. Where nothing has happened this time, what happened before is delivered again."""
	health = wait_for_deliveries(demo, webhook)
	again = not health["deliveries"]
	if again:
		tell_again(demo, webhook, documents)
		health = wait_for_deliveries(demo, webhook)
	print(f"Events told to a receiver on this machine{', replayed from the first run' if again else ''}:")
	for event in sorted(receiver.arrived, key=lambda event: event.timestamp):
		print(f"  {event.type:<26} {event.document:<20} verified: {'yes' if event.genuine else 'NO'}")
	if set(health["deliveries"]) - {"Delivered"} or not all(event.genuine for event in receiver.arrived):
		raise Refused(f"Not every event was delivered: {json.dumps(health, indent=1)}")


def tell_again(demo: dict, webhook: str, documents: set[str]) -> None:
	"""Replay the events of these documents; an order from before there were events has none, so try the webhook out."""
	if ids := ids_of_events_about(demo, documents):
		accepted("The replay", send(demo, "events.replay", {"ids": ids, "webhook": webhook}))
	else:
		accepted("The test event", send(demo, "webhooks.test", {"id": webhook}))


def ids_of_events_about(demo: dict, documents: set[str]) -> list[str]:
	"""Return the ids of the events about these documents; a demo's own order is among its first 500."""
	events = accepted("The list of events", send(demo, "events.list?limit=500"))["result"]
	return [event["id"] for event in events if name_of_document(event["data"]) in documents]


def wait_for_deliveries(demo: dict, webhook: str) -> dict:
	"""Return the webhook's health once nothing is under way to it."""
	deadline = time.monotonic() + LONGEST_WAIT
	while True:
		webhooks = accepted("The list of webhooks", send(demo, "webhooks.list"))["result"]
		[health] = [one["health"] for one in webhooks if one["id"] == webhook]
		if not set(health["deliveries"]) & {"Pending", "Sending", "Scheduled"} or time.monotonic() > deadline:
			return health
		time.sleep(0.2)


def main() -> int:
	parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
	parser.add_argument("description", type=Path, help="file written by demo_site.py")
	options = parser.parse_args()

	demo = json.loads(options.description.read_text())
	woo = json.loads(PAYLOAD.read_text())
	try:
		with Receiver(demo["receiver_port"]) as receiver:
			webhook = ask_for_events(demo, receiver)
			try:
				made = place_twice(demo, to_order(woo))
				documents = run_cycle(demo, to_cycle(woo))
				show_events(demo, receiver, webhook, documents)
			finally:
				stop_asking(demo)
	except Refused as refusal:
		print(refusal, file=sys.stderr)
		return 1
	# The stored answer keeps the address it was given with; the demo may have moved to another port since.
	print(f"Sales Order: {demo['base_url']}{urlsplit(made['url']).path}")
	return 0


if __name__ == "__main__":
	sys.exit(main())
