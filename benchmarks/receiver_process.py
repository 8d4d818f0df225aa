"""A receiver of webhooks in a process of its own, so that its work is not counted as the sender's."""

import multiprocessing
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from integration_hub.tests.receivers import Receiver

# Not forked: a fork would share the database connection.
PROCESSES = multiprocessing.get_context("spawn")


class ReceiverProcess:
	"""Answers 200 on the loopback for the time of a `with` block."""

	def __enter__(self) -> "ReceiverProcess":
		self._pipe, theirs = PROCESSES.Pipe()
		self._process = PROCESSES.Process(target=_serve, args=(theirs,), daemon=True)
		self._process.start()
		self.url: str = self._pipe.recv()
		return self

	def __exit__(self, *exc) -> None:
		self._pipe.send("end")
		self._process.join(10)

	def taken(self) -> tuple[list[float], Counter]:
		"""Return when requests came since the last time this was asked, and how often each `webhook-id` did."""
		self._pipe.send("taken")
		return self._pipe.recv()


def _serve(pipe) -> None:
	with Receiver() as receiver:
		pipe.send(receiver.url)
		while pipe.recv() == "taken":
			requests, receiver.requests = receiver.requests, []
			ids = Counter(request.headers.get("webhook-id") for request in requests)
			pipe.send(([request.time for request in requests], ids))
