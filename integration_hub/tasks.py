"""What the scheduler and the queue call; nothing else happens here."""

from integration_hub.core import queue, retention


def sweep() -> None:
	"""Every minute: work off what the doorbell missed and what dead workers left behind."""
	queue.drain()


def drain() -> None:
	"""Rung by the doorbell."""
	queue.drain()


def purge() -> None:
	"""Daily: empty old payloads and remove old finished requests."""
	retention.purge()
