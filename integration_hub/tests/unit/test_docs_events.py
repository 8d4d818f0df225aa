"""The documentation of events: its receivers are run, its catalogue is the registry's, what it quotes is there."""

import base64
import http.client
import re
import shutil
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import integration_hub
from integration_hub.core.signing import new_secret, sign
from integration_hub.mapping.expressions import compile as compile_expression
from integration_hub.mapping.expressions import matches
from integration_hub.outbound import catalogue
from integration_hub.outbound.registry import BY_NAME, EVENTS, TEST_EVENT

DOCS = Path(integration_hub.__file__).parent.parent / "docs"
RECEIVERS = DOCS / "examples" / "receivers"
GUIDE = DOCS / "events.md"

PROGRAMS = {
	"receiver.py": lambda file, port: [sys.executable, file],
	"receiver.mjs": lambda file, port: ["node", file],
	"receiver.php": lambda file, port: ["php", "-S", f"127.0.0.1:{port}", file],
}
BODY = '{"type":"order.submitted","data":{"order":{"name":"SO-1","note":"Żółć 🧾","grand_total":12.50}}}'.encode()
EVENT = "evt_0a1b2c3d4e5f6a7b8c9d0e1f"
# While a secret is rotated the hub signs with the new one first.
SECRET, NEXT = new_secret(), new_secret()


class Receiver:
	"""One of the guide's programs, running."""

	def __init__(self, program: str, inbox: Path, secret: str = SECRET):
		self.inbox = inbox
		with socket.create_server(("127.0.0.1", 0)) as free:
			self.port = free.getsockname()[1]
		command = PROGRAMS[program](str(RECEIVERS / program), self.port)
		env = {"WEBHOOK_SECRET": secret, "PORT": str(self.port), "INBOX": str(inbox), "PATH": "/usr/bin:/bin"}
		self._process = subprocess.Popen(
			command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
		)

	def __enter__(self) -> "Receiver":
		deadline = time.monotonic() + 20
		while True:
			try:
				socket.create_connection(("127.0.0.1", self.port), 1).close()
				return self
			except OSError:
				assert self._process.poll() is None, "the program ended"
				assert time.monotonic() < deadline, "the program does not listen"
				time.sleep(0.05)

	def __exit__(self, *exc) -> None:
		self._process.terminate()
		self._process.wait(10)

	def post(self, headers: dict[str, str], body: bytes = BODY) -> int:
		connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
		try:
			connection.request("POST", "/hooks", body, {"Content-Type": "application/json", **headers})
			return connection.getresponse().status
		finally:
			connection.close()

	def kept(self) -> dict[str, bytes]:
		return {file.name: file.read_bytes() for file in self.inbox.iterdir()}


@pytest.fixture(scope="module", params=PROGRAMS)
def receiver(request, tmp_path_factory):
	runtime = PROGRAMS[request.param]("", 0)[0]
	if not shutil.which(runtime):
		# The project needs neither Node.js nor PHP to run: only who reads these examples does. Python's always runs.
		pytest.skip(f"no {runtime} on this machine")
	with Receiver(request.param, tmp_path_factory.mktemp("inbox")) as running:
		yield running


def signed(secrets=(SECRET,), event: str = EVENT, late: timedelta = timedelta(), body: bytes = BODY) -> dict:
	return sign(list(secrets), event, datetime.now(timezone.utc) - late, body)


def test_a_delivery_is_kept_once_as_it_was_sent(receiver):
	assert [receiver.post(signed()), receiver.post(signed())] == [204, 204]
	assert receiver.kept()[f"{EVENT}.json"] == BODY
	assert [name for name in receiver.kept() if EVENT in name] == [f"{EVENT}.json"]


@pytest.mark.parametrize("secrets", [(NEXT, SECRET), (SECRET, NEXT)])
def test_during_a_rotation_one_signature_that_fits_is_enough(receiver, secrets):
	event = f"{EVENT}{secrets.index(SECRET)}"
	assert receiver.post(signed(secrets, event)) == 204
	assert receiver.kept()[f"{event}.json"] == BODY


@pytest.mark.parametrize("late", [timedelta(minutes=4, seconds=50), timedelta(minutes=-4, seconds=-50)])
def test_clocks_may_differ_a_little(receiver, late):
	assert receiver.post(signed(late=late)) == 204


@pytest.mark.parametrize(
	"spoil",
	[
		pytest.param(lambda: (signed([NEXT]), BODY), id="another secret"),
		pytest.param(lambda: (signed(), BODY.replace(b"SO-1", b"SO-2")), id="another body"),
		pytest.param(lambda: (signed() | {"webhook-id": "evt_refused"}, BODY), id="another id"),
		pytest.param(lambda: (signed(late=timedelta(minutes=6)), BODY), id="stale"),
		pytest.param(lambda: (signed(late=timedelta(minutes=-6)), BODY), id="from the future"),
		pytest.param(lambda: (signed() | {"webhook-timestamp": "soon"}, BODY), id="no time"),
		pytest.param(lambda: (signed() | {"webhook-signature": ""}, BODY), id="no signature"),
		pytest.param(lambda: (signed() | {"webhook-signature": "v1"}, BODY), id="half a signature"),
		pytest.param(
			lambda: (signed() | {"webhook-signature": "v1," + base64.b64encode(b"x" * 32).decode()}, BODY),
			id="a made-up signature",
		),
		pytest.param(lambda: ({}, BODY), id="no headers"),
	],
)
def test_what_the_hub_did_not_sign_just_now_is_refused_and_not_kept(receiver, spoil):
	before = receiver.kept()
	assert receiver.post(*spoil()) == 401
	assert receiver.kept() == before


def quoted(language: str) -> list[str]:
	"""Return what the guide quotes as being in a language."""
	return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("program", [*(RECEIVERS / name for name in PROGRAMS), DOCS / "examples" / "poll.py"])
def test_the_guide_quotes_the_program_as_it_is(program):
	assert program.read_text() in quoted(r"\w+")


def test_the_delivery_in_the_guide_is_signed_with_the_secret_in_the_guide():
	head, body = quoted("http")[0].rstrip("\n").split("\n\n")
	headers = dict(line.split(": ", 1) for line in head.split("\n")[1:])
	[secret] = re.findall(r"whsec_[A-Za-z0-9+/=]+", quoted("json")[0])
	moment = datetime.fromtimestamp(int(headers["webhook-timestamp"]), timezone.utc)
	expected = sign([secret], headers["webhook-id"], moment, body.encode())
	assert {name: headers[name] for name in expected} == expected


def test_every_condition_of_the_guide_works_on_every_shape():
	section = GUIDE.read_text().split("### Conditions")[1].split("\n## ")[0]
	rows = re.findall(r"^\| (`+)(.+?)\1 \| [a-z]", section, re.MULTILINE)
	conditions = [compile_expression(text.strip().replace(r"\|", "|")) for _ticks, text in rows]
	assert len(conditions) == 9
	order = catalogue.examples()["order.submitted"]["data"]["order"]
	level = catalogue.examples()["stock.changed"]["data"]["stock"]
	others = [
		{"order": {**order, "currency": "EUR", "external_id": None}},
		{"order": {**order, "grand_total": 99.5}},
		{"stock": {**level, "available": 4.0}},
	]
	found = [example["data"] for example in catalogue.examples().values()] + others
	held = {one.text: sum(matches(one, data) for data in found) for one in conditions}
	assert [text for text, times in held.items() if not 0 < times < len(found)] == []


CATALOGUE = DOCS / "event-catalogue.md"


def test_the_catalogue_is_the_registrys():
	"""Written anew by `bench --site S integration-hub events --out docs/event-catalogue.md`."""
	assert CATALOGUE.read_text(encoding="utf-8") == catalogue.markdown()


def test_the_catalogue_names_every_event_and_pattern_once():
	rows = re.findall(
		r"^\| `([a-z_.]+)` \| .* \| .* \| `([a-z]+:[a-z]+)` \| \[", CATALOGUE.read_text(), re.MULTILINE
	)
	assert rows == [(event.name, event.scope) for event in EVENTS]


def test_there_is_one_example_of_each_shape():
	known = {**BY_NAME, TEST_EVENT.name: TEST_EVENT}
	shapes = [known[name].data for name in catalogue.examples()]
	assert len(shapes) == len(set(shapes))
	assert set(shapes) == {event.data for event in known.values()}


@pytest.mark.parametrize("name", catalogue.examples())
def test_each_example_is_the_shape_and_nothing_more(name):
	example = catalogue.examples()[name]
	shape = {**BY_NAME, TEST_EVENT.name: TEST_EVENT}[name].data
	assert set(example) == {"type", "timestamp", "data"}
	assert example["type"] == name
	assert (
		shape.model_validate(example["data"]).model_dump(mode="json", exclude_unset=True) == example["data"]
	)


PAGES = [
	*DOCS.glob("*.md"),
	*(DOCS.parent / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md")),
]


def without_code(page: Path) -> str:
	return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
	"""Return what can be linked to within a page, as GitHub makes it of headings."""
	text = without_code(page)
	headings = (
		re.sub(r"\[(.*?)\]\(.*?\)|[`*]", r"\1", one) for one in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
	)
	made = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
	return made | set(re.findall(r'<a id="(.+?)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
	lost = []
	for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
		file, _, anchor = link.partition("#")
		target = (page.parent / file).resolve() if file else page
		if link.startswith("http"):
			continue
		if not target.exists() or (anchor and anchor not in anchors(target)):
			lost.append(link)
	assert lost == []
