"""Every integration test starts and ends without an open transaction."""

import pytest


@pytest.fixture(autouse=True)
def _fresh(site):
	site.refresh()
	yield
	site.refresh()
