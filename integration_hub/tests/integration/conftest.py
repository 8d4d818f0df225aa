"""Every integration test starts and ends without an open transaction; and who listens to events."""

import pytest


@pytest.fixture(autouse=True)
def _fresh(site):
	site.refresh()
	yield
	site.refresh()


@pytest.fixture
def listen(systems):
	"""Makes systems that are told of events: `listen.pull("order.*")`, `listen.push(receiver, "order.*")`."""
	from integration_hub.tests.events import Listening

	with Listening(systems) as listening:
		yield listening
