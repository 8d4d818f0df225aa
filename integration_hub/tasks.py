"""What the scheduler and the queue call; nothing else happens here."""

from integration_hub.core import queue, retention
from integration_hub.outbound import upkeep

# Of each half; Frappe ends such a job after 300, and what is under way needs a moment.
SWEEP_SECONDS = 110


def sweep() -> None:
	"""Every minute: work off what the doorbell missed and what dead workers left behind."""
	upkeep.sweep()
	queue.drain(seconds=SWEEP_SECONDS)
	queue.settle_batches()
	upkeep.deliver(seconds=SWEEP_SECONDS)
	upkeep.remove_forgotten()


def drain() -> None:
	"""Rung by the doorbell: requests."""
	queue.drain()


def deliver() -> None:
	"""Rung by the doorbell: deliveries."""
	upkeep.deliver()


def purge() -> None:
	"""Daily: empty old payloads and remove old finished requests."""
	retention.purge()
