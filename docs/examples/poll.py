"""Fetches Integration Hub's events and keeps the place: run it every minute, or for ever.

pip install requests
HUB=https://erp.example.com/api/method/integration_hub.api.v1 TOKEN=key:secret python poll.py
"""

import os
from pathlib import Path

import requests

PLACE = Path("cursor.txt")


def pages(cursor: str | None):
	"""Yield each page of what came since the cursor, with the cursor after it."""
	while True:
		response = requests.get(
			f"{os.environ['HUB']}.events.list",
			params={"limit": 100} | ({"cursor": cursor} if cursor else {}),
			headers={"Authorization": f"token {os.environ['TOKEN']}"},
			timeout=(5, 60),
		)
		response.raise_for_status()
		page = response.json()["message"]
		cursor = page["next_cursor"]
		yield page["result"], cursor
		if page["result_count"] < 100:
			return


def work_on(event: dict) -> None:
	print(event["id"], event["type"])


for page, after in pages(PLACE.read_text() if PLACE.exists() else None):
	for event in page:
		work_on(event)
	# Only now: after a crash the page is read again, and each event has its id to be recognised by.
	PLACE.write_text(after)
