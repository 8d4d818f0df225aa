"""An event as one webhook wants it: its condition, its field map, its format."""

import json
from contextlib import contextmanager
from dataclasses import dataclass

from integration_hub.mapping.budget import STEPS, Budget
from integration_hub.mapping.errors import BadExpression, MapFaults
from integration_hub.mapping.expressions import matches
from integration_hub.outbound.envelope import PLAIN, Envelope, to_json
from integration_hub.outbound.subscriptions import Subscription


@dataclass(frozen=True)
class Shaped:
	"""The body to send (None: the event's own payload), or the fault of a condition or map that did not work."""

	body: str | None = None
	fault: str | None = None


class Allowance:
	"""What all conditions and maps together may cost one document event: somebody waits while it is saved.

	A second or so at worst; a hundred ordinary conditions take a hundredth of it.
	"""

	def __init__(self, steps: int = 8 * STEPS):
		self._left = steps

	@contextmanager
	def budget(self):
		"""Yield the budget of one webhook, and take what it spent away."""
		budget = Budget(max(0, min(STEPS, self._left)))
		try:
			yield budget
		finally:
			self._left -= budget.spent


def shape(
	webhook: Subscription, envelope: Envelope, data: dict, allowance: Allowance | None = None
) -> Shaped | None:
	"""Return what the webhook is sent; None: its condition does not want it.

	Reduced data say only which document it is: no condition can be asked of them, and no map applied. A condition or map
	that fails on this event holds the delivery for a person: it is neither lost nor sent wrongly.
	"""
	if webhook.fault:
		return Shaped(fault=webhook.fault)
	reduced = bool(data.get("reduced"))
	if webhook.condition or webhook.field_map:
		# What the receiver sees: texts where Python has dates.
		data = json.loads(to_json(data))
	try:
		with (allowance or Allowance()).budget() as budget:
			if webhook.condition and not reduced and not matches(webhook.condition, data, budget):
				return None
			if webhook.field_map and not reduced:
				data = webhook.field_map.apply(data, budget)
	except (BadExpression, MapFaults) as e:
		return Shaped(fault=str(e))
	if webhook.thin and not webhook.field_map:
		data = envelope.thin()
	if webhook.format == PLAIN and not webhook.field_map and not webhook.thin:
		return Shaped()
	return Shaped(envelope.render(data, webhook.format))
