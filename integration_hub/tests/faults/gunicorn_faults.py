"""Gunicorn's configuration of the server the fault tests start: the product as it is, with points at which a call can fail.

Each worker gets the points when it starts; one call triggers them by its header X-Fault (see `points.py`). The tests say
by the environment where to listen and where fired faults are noted.
"""

import os

bind = os.environ["HUB_FAULTS_BIND"]
workers = int(os.environ.get("HUB_FAULTS_WORKERS", "4"))
worker_class = "sync"
preload_app = True
timeout = 120
graceful_timeout = 5


def post_worker_init(worker):
	from integration_hub.tests.faults import points

	points.install()
