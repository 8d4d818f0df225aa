"""Webhooks of many orders, duplicated, shuffled and late, by several senders at once: the same end as the tidy sequence."""

import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import frappe

from integration_hub.core import queue
from integration_hub.tests import platforms
from integration_hub.tests.platforms import RECEIVE, connect, order, signed

ORDERS = int(os.environ.get("HUB_TEST_STORM", 24))
SENDERS = 3


@pytest.fixture(scope="module")
def topics(factory, masters):
	return platforms.topics(factory)


def story(number: int) -> list[tuple[str, dict]]:
	"""What a shop tells of one order: placed, changed three times; and paid, cancelled, or neither."""
	placed = order(id=f"STORM-{number}")
	changed = [
		{**placed, "remark": f"{number}, change {change}", "changed_at": f"2026-03-0{1 + change}T10:00:00Z"}
		for change in (1, 2, 3)
	]
	told = [("order.created", placed), *(("order.updated", each) for each in changed)]
	if number % 3 == 1:
		told.append(("order.paid", changed[-1]))
	if number % 3 == 2:
		# Nothing of what came before the cancellation is of use after it: the order's changes are not told here.
		told = [told[0], ("order.cancelled", placed)]
	return told


def events() -> list[tuple[str, str, dict]]:
	"""Return (event id, topic, payload) of all orders, in the order in which they happened."""
	return [
		(f"{payload['id']}-{place}", topic, payload)
		for number in range(ORDERS)
		for place, (topic, payload) in enumerate(story(number))
	]


def send(platform, told: tuple[str, str, dict]) -> int:
	event_id, topic, payload = told
	body = frappe.as_json(payload).encode()
	headers = signed(platform.scheme, platform.secret, body, event_id, topic)
	stack = platform.http.stack
	url = f"{stack.base_url}{RECEIVE}?system={platform.name}"
	while True:
		with requests.post(url, body, headers={**headers, "Host": stack.host}, timeout=60) as answer:
			# A repetition in the same moment: the platform tries again.
			if answer.status_code != 409:
				return answer.status_code


def finish(site, platform) -> None:
	"""Work off everything: what waits for something else is asked again as long as that changes anything."""

	def under_way() -> int:
		filters = {"system": platform.name, "status": ("not in", ("Completed", "Failed", "Cancelled"))}
		return frappe.db.count("Hub Request", filters)

	def ended() -> bool:
		queue.drain(30)
		site.refresh()
		return not under_way()

	site.wait_for("the end of the storm", ended, seconds=1800)


def state(site, platform) -> dict[str, tuple]:
	"""Return what the books say of each order, by its external id."""
	site.refresh()
	rows = frappe.get_all(
		"Sales Order",
		{"hub_system": platform.name},
		["hub_external_id", "docstatus", "status", "grand_total", "advance_paid", "hub_note"],
	)
	assert len(rows) == len({row.hub_external_id for row in rows})
	return {row.pop("hub_external_id"): tuple(row.values()) for row in rows}


def payments(platform) -> list[tuple]:
	rows = frappe.get_all(
		"Payment Entry", {"hub_system": platform.name, "docstatus": 1}, ["hub_external_id", "paid_amount"]
	)
	return sorted((row.hub_external_id, row.paid_amount) for row in rows)


@pytest.mark.slow
def test_a_storm_ends_as_the_tidy_sequence_does(systems, anonymous, site, topics):
	tidy = connect(systems, anonymous, inbound_topics=topics)
	storm = connect(systems, anonymous, inbound_topics=topics)
	told = events()
	for each in told:
		assert send(tidy, each) == 200
	finish(site, tidy)

	rng = random.Random(5)
	shuffled = rng.sample(told, len(told))
	late = {event_id for event_id, _topic, _payload in rng.sample(told, len(told) // 5)}
	first = [each for each in shuffled if each[0] not in late]
	again = rng.choices(told, k=len(told) // 2)
	with ThreadPoolExecutor(SENDERS) as pool:
		assert set(
			pool.map(lambda each: send(storm, each), [*first, *rng.sample(first, len(first) // 2)])
		) == {200}
	queue.drain(30)
	with ThreadPoolExecutor(SENDERS) as pool:
		assert set(
			pool.map(lambda each: send(storm, each), [*again, *(e for e in shuffled if e[0] in late)])
		) == {200}
	finish(site, storm)

	expected = state(site, tidy)
	assert len(expected) == ORDERS
	assert {each[1] for each in expected.values()} == {"To Deliver and Bill", "Cancelled"}
	assert state(site, storm) == expected
	assert payments(storm) == payments(tidy) and len(payments(tidy)) == len(range(1, ORDERS, 3))
	requests_made = frappe.get_all("Hub Request", {"system": storm.name}, ["status"])
	assert [row.status for row in requests_made] == ["Completed"] * len(told)
