"""`webhooks.*` over HTTP: a system looks after its own endpoints, and learns nothing of another's."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

import frappe

from integration_hub.constants.roles import MANAGER
from integration_hub.schemas.webhooks import WebhookAnswer, WebhookDeleted, WebhookList, WebhookTested
from integration_hub.tests import expect
from integration_hub.tests.factories import placed, unique
from integration_hub.tests.receivers import Answer, Receiver, hang
from integration_hub.tests.systems import all_scopes

# Public, and no name that would have to be looked up.
URL = "https://198.41.0.4/hooks"
BODY = {"url": URL, "events": ["order.*"]}
DOCTYPE = "Hub Webhook"

VERBS = ("list", "create", "update", "delete", "test", "rotate_secret")
HEALTHY = {
	"last_success_at": None,
	"last_failure_at": None,
	"failing_since": None,
	"last_error": None,
	"suspended_until": None,
	"deliveries": {},
}


@pytest.fixture
def owner(systems):
	"""A system of the test's own; its webhooks go with it."""
	made = systems.new()
	yield made
	frappe.db.rollback()
	for name in frappe.get_all(DOCTYPE, {"system": made.name}, pluck="name"):
		frappe.delete_doc(DOCTYPE, name, force=True)
	for table in ("tabHub Event Delivery", "tabHub Event"):
		frappe.db.sql(f"DELETE FROM `{table}` WHERE `system` = %s", (made.name,))
	frappe.db.commit()


@pytest.fixture(scope="module")
def stranger(systems):
	"""Another system, with every scope."""
	return systems.new()


def conforms(schema: type[BaseModel], message: dict) -> dict:
	"""Assert that an answer is what its schema says, no member more, and return it."""
	assert schema.model_validate(message).model_dump(mode="json", exclude_unset=True) == message
	return message


def made(system, **changes) -> dict:
	"""Create a webhook and return the answer; a value of `...` leaves its field out."""
	body = {name: value for name, value in {**BODY, **changes}.items() if value is not ...}
	answer = system.http.post("webhooks.create", body)
	assert answer.status == 201, answer
	return conforms(WebhookAnswer, answer.message)


def listed(system) -> list[dict]:
	answer = system.http.get("webhooks.list")
	assert answer.status == 200, answer
	message = conforms(WebhookList, answer.message)
	assert message["result_count"] == len(message["result"])
	assert message["next_cursor"] is message["prev_cursor"] is None
	return message["result"]


def updated(system, webhook: str, **changes) -> dict:
	answer = system.http.post("webhooks.update", {"id": webhook, **changes})
	assert answer.status == 200, answer
	return conforms(WebhookAnswer, answer.message)


def plain(answer: dict) -> dict:
	"""Return a webhook without what is shown once."""
	return {name: value for name, value in answer.items() if name != "secret"}


def row_of(webhook: str) -> dict:
	"""Return the whole row, as the database has it."""
	frappe.db.rollback()
	return frappe.db.sql("SELECT * FROM `tabHub Webhook` WHERE name = %s", (webhook,), as_dict=True)[0]


# -- create and list ----------------------------------------------------------------------------------------------


def test_create_answers_the_whole_webhook_and_its_secret(owner):
	answer = made(owner)
	assert answer["secret"].startswith("whsec_")
	assert plain(answer) == {
		"id": answer["id"],
		"external_id": None,
		"title": "198.41.0.4",
		"mode": "push",
		"status": "active",
		"paused_because": None,
		"url": URL,
		"events": ["order.*"],
		"documents": [],
		"condition": None,
		"format": "standard",
		"content": "full",
		"field_map": None,
		"ordered": False,
		"echo": False,
		"concurrency": 4,
		"health": HEALTHY,
	}
	assert listed(owner) == [plain(answer)]


def test_create_keeps_what_was_sent(owner):
	sent = {
		"external_id": unique("HOOK"),
		"title": "Warehouse & co",
		"url": f"{URL}?a=1&b=%3Cx%3E",
		"events": ["order.submitted", "invoice.*", "*"],
		"documents": [
			{"event": "document.*", "document_type": "Sales Order", "fields": ["status", "items"]},
			{"event": "document.updated", "document_type": "Customer", "fields": None},
		],
		"condition": "order.grand_total < `100` && order.currency != '<USD>'",
		"format": "cloudevents",
		"content": "thin",
		"ordered": True,
		"echo": True,
		"concurrency": 32,
	}
	answer = made(owner, **sent)
	assert {name: answer[name] for name in sent} == sent
	assert listed(owner) == [plain(answer)]


def test_a_system_has_no_more_than_a_hundred(owner):
	first = made(owner, external_id="H")
	doc = frappe.get_doc(DOCTYPE, first["id"])
	for number in range(99):
		copy = frappe.copy_doc(doc)
		copy.update({"name": f"{first['id']}-{number}", "status": "Disabled", "docstatus": 0})
		copy.db_insert()
	frappe.db.commit()
	refused = owner.http.post("webhooks.create", {**BODY, "external_id": "I"})
	expect.problem(refused, 422, "validation_failed", [""])
	assert refused.body["errors"][0]["code"] == "too_many_webhooks"
	assert owner.http.post("webhooks.create", {**BODY, "external_id": "H"}).message["id"] == first["id"]


def test_a_webhook_to_pull_has_neither_url_nor_secret(owner):
	answer = made(owner, url=..., mode="pull")
	assert (answer["mode"], answer["url"], "secret" in answer) == ("pull", None, False)
	assert answer["title"] == f"Events of {owner.name}"
	assert listed(owner) == [answer]


def test_list_shows_the_oldest_first_and_only_ones_own(owner, stranger):
	first, second, third = (made(owner, title=title)["id"] for title in ("C", "A", "B"))
	assert [one["id"] for one in listed(owner)] == [first, second, third]
	assert listed(stranger) == []


# -- refusals -----------------------------------------------------------------------------------------------------


def faults(answer) -> list[tuple[str, str]]:
	return [(fault["pointer"], fault["code"]) for fault in answer.body["errors"]]


@pytest.mark.parametrize(
	("changes", "expected"),
	[
		({"events": []}, [("", "nothing_wanted")]),
		({"events": ...}, [("", "nothing_wanted")]),
		({"url": ...}, [("", "url_and_mode")]),
		({"url": None}, [("", "url_and_mode")]),
		({"mode": "pull"}, [("", "url_and_mode")]),
		({"mode": "Push"}, [("/mode", "literal_error")]),
		({"url": ""}, [("/url", "too_short")]),
		({"url": f"https://198.41.0.4/{'x' * 1000}"}, [("/url", "too_long")]),
		({"events": ["order.*", "order.nope"]}, [("/events/1", "unknown_event")]),
		({"events": ["order"]}, [("/events/0", "unknown_event")]),
		({"events": ["Order.Submitted"]}, [("/events/0", "unknown_event")]),
		({"events": ["*.*"]}, [("/events/0", "unknown_event")]),
		({"events": ["o*.*"]}, [("/events/0", "unknown_event")]),
		({"events": ["webhook.test"]}, [("/events/0", "unknown_event")]),
		({"events": [""]}, [("/events/0", "too_short")]),
		({"events": ["x" * 141]}, [("/events/0", "too_long")]),
		({"events": ["order.*"] * 101}, [("/events", "too_long")]),
		({"events": "order.*"}, [("/events", "list_type")]),
		({"events": [1]}, [("/events/0", "string_type")]),
		({"condition": "order.["}, [("/condition", "bad_expression")]),
		({"condition": "nope(order)"}, [("/condition", "bad_expression")]),
		({"condition": "x" * 1001}, [("/condition", "too_long")]),
		({"concurrency": 0}, [("/concurrency", "greater_than_equal")]),
		({"concurrency": 33}, [("/concurrency", "less_than_equal")]),
		({"concurrency": "many"}, [("/concurrency", "int_parsing")]),
		({"format": "xml"}, [("/format", "literal_error")]),
		({"content": "fat"}, [("/content", "literal_error")]),
		({"field_map": "No such map"}, [("/field_map", "unknown_field_map")]),
		({"title": "<script>alert(1)</script>"}, [("/title", "text_not_storable")]),
		({"external_id": " "}, [("/external_id", "blank")]),
		({"evnets": ["order.*"]}, [("/evnets", "unknown_field")]),
		({"status": "paused"}, [("/status", "unknown_field")]),
		({"secret": "whsec_AAAA"}, [("/secret", "unknown_field")]),
		({"system": "another"}, [("/system", "unknown_field")]),
		(
			{"events": ["nope.one", "order.*", "nope.two"], "condition": "["},
			[
				("/events/0", "unknown_event"),
				("/events/2", "unknown_event"),
				("/condition", "bad_expression"),
			],
		),
	],
)
def test_create_names_what_is_wrong(changes, expected, shop):
	body = {name: value for name, value in {**BODY, **changes}.items() if value is not ...}
	with expect.nothing_made(DOCTYPE):
		answer = shop.http.post("webhooks.create", body)
	expect.problem(answer, 422, "validation_failed")
	assert faults(answer) == expected


def test_an_unknown_field_is_told_its_nearest_neighbour(hub):
	answer = hub.post("webhooks.create", {**BODY, "conditon": "a"})
	assert expect.problem(answer, 422, "validation_failed")["errors"][0]["message"] == (
		"Unknown field conditon. Did you mean condition?"
	)


def documents(event="document.updated", document_type="Customer", **more) -> dict:
	return {"documents": [{"event": event, "document_type": document_type, **more}], "events": []}


@pytest.mark.parametrize(
	("changes", "expected"),
	[
		(documents(document_type="Nope"), ("/documents/0/document_type", "unknown_document_type")),
		(documents(document_type="Sales Order Item"), ("/documents/0/document_type", "no_events")),
		(documents(document_type="Hub Webhook"), ("/documents/0/document_type", "no_events")),
		(documents(document_type="Hub Event"), ("/documents/0/document_type", "no_events")),
		(documents(document_type="Integration Request"), ("/documents/0/document_type", "no_events")),
		(documents(document_type="Error Log"), ("/documents/0/document_type", "no_events")),
		(documents(document_type="Role"), ("/documents/0/document_type", "permission_denied")),
		(
			documents(document_type="Salary Component"),
			("/documents/0/document_type", "unknown_document_type"),
		),
		(documents(fields=["customer_name", "nope"]), ("/documents/0/fields/1", "unknown_field")),
		(documents(fields=["owner; DROP"]), ("/documents/0/fields/0", "unknown_field")),
		(documents(event="document.nope"), ("/documents/0/event", "unknown_event")),
		(documents(event="order.created"), ("/documents/0/event", "not_a_document_event")),
		({"events": ["document.created"]}, ("/events/0", "not_a_business_event")),
		({"events": ["document.*"]}, ("/events/0", "not_a_business_event")),
		({"documents": [{"event": "document.*"}]}, ("/documents/0/document_type", "missing")),
		(documents(field_names=["a"]), ("/documents/0/field_names", "unknown_field")),
		(documents(fields=["x"] * 501), ("/documents/0/fields", "too_long")),
	],
)
def test_create_of_generic_events_names_what_is_wrong(changes, expected, shop):
	with expect.nothing_made(DOCTYPE):
		answer = shop.http.post("webhooks.create", {**BODY, **changes})
	expect.problem(answer, 422, "validation_failed")
	assert faults(answer) == [expected]


def test_what_the_user_may_not_read_cannot_be_chosen(owner, factory):
	"""A field above the user's permission level, and a password."""
	field = factory.make(
		"Custom Field",
		dt="Customer",
		fieldname=unique("hub_hidden").replace("-", "_").lower(),
		label="Hidden",
		fieldtype="Data",
		permlevel=7,
	)
	try:
		answer = owner.http.post(
			"webhooks.create", {**BODY, **documents(fields=["customer_name", field.fieldname])}
		)
		expect.problem(answer, 422, "validation_failed", ["/documents/0/fields/1"])
		assert faults(answer) == [("/documents/0/fields/1", "unknown_field")]
	finally:
		frappe.delete_doc("Custom Field", field.name, force=True)
		frappe.db.commit()


@pytest.mark.parametrize(
	("without", "events", "pointer"),
	[
		(("orders:read",), ["invoice.*", "order.submitted"], "/events/1"),
		(("orders:read",), ["order.*"], "/events/0"),
		(("stock:read",), ["stock.changed"], "/events/0"),
		(("requests:read",), ["request.*"], "/events/0"),
		(("sales:read",), ["payment.received"], "/events/0"),
	],
)
def test_an_event_needs_its_scope(without, events, pointer, systems):
	system = systems.like(scopes=all_scopes(*without))
	with expect.nothing_made(DOCTYPE):
		answer = system.http.post("webhooks.create", {**BODY, "events": events})
	problem = expect.problem(answer, 422, "validation_failed", [pointer])
	assert problem["errors"][0]["code"] == "scope_missing"
	assert without[0] in problem["detail"]


def test_generic_events_need_their_scope(systems):
	system = systems.like(scopes=all_scopes("documents:read"))
	answer = system.http.post("webhooks.create", {**BODY, **documents()})
	expect.problem(answer, 422, "validation_failed", ["/documents/0/event"])
	assert faults(answer) == [("/documents/0/event", "scope_missing")]


REFUSED = [
	"http://198.41.0.4/hooks",
	"ftp://198.41.0.4/hooks",
	"198.41.0.4/hooks",
	"/hooks",
	"https://user:password@198.41.0.4/",
	"https://198.41.0.4:22/",
	"https://198.41.0.4:0/",
	"https://198.41.0.4:65536/",
	"https://198.41.0.4/#fragment",
	"https://198.41.0.4/a b",
	"https://198.41.0.4\\@example.com/",
	"https://127.0.0.1/",
	"https://127.1/",
	"https://2130706433/",
	"https://0x7f000001/",
	"https://0177.0.0.1/",
	"https://0.0.0.0/",
	"https://10.0.0.1/",
	"https://172.16.0.1/",
	"https://192.168.1.1/",
	"https://100.64.0.1/",
	"https://169.254.169.254/latest/meta-data/",
	"https://168.63.129.16/",
	"https://224.0.0.1/",
	"https://255.255.255.255/",
	"https://[::1]/",
	"https://[::]/",
	"https://[::ffff:127.0.0.1]/",
	"https://[::ffff:7f00:1]/",
	"https://[64:ff9b::7f00:1]/",
	"https://[2002:7f00:1::]/",
	"https://[fe80::1]/",
	"https://[fe80::1%25eth0]/",
	"https://[fc00::1]/",
	# Names that lead to such an address.
	"https://localhost/",
	"https://LOCALHOST./",
	"https://%6cocalhost/",
	"https://1ocalhost_/\n",
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_the_hub_would_not_call_is_refused(url, shop):
	with expect.nothing_made(DOCTYPE):
		answer = shop.http.post("webhooks.create", {**BODY, "url": url})
	expect.problem(answer, 422, "address_not_reachable", ["/url"])
	assert "password" not in answer.body["detail"].split("name and password")[0]


def test_a_refused_url_does_not_replace_one_that_works(owner):
	before = made(owner)
	for url in ("https://localhost/", "http://198.41.0.4/", "https://10.1.2.3/"):
		answer = owner.http.post(
			"webhooks.update", {"id": before["id"], "title": "Other", "url": url, "status": "paused"}
		)
		expect.problem(answer, 422, "address_not_reachable", ["/url"])
	assert listed(owner) == [plain(before)]


def test_private_networks_can_be_opened_by_the_site(owner, listen):
	with Receiver() as receiver:
		listen.open_for(receiver.port)
		assert made(owner, url=f"{receiver.url}/x")["url"] == f"{receiver.url}/x"
		expect.problem(
			owner.http.post("webhooks.create", {**BODY, "url": "https://10.0.0.1/"}),
			422,
			"address_not_reachable",
			["/url"],
		)


# -- external id --------------------------------------------------------------------------------------------------


def test_the_same_call_finds_the_webhook_again_without_its_secret(owner):
	body = {"external_id": unique("HOOK"), "condition": "order.currency == 'USD'", "concurrency": 2}
	first = made(owner, **body)
	assert made(owner, **body) == plain(first)
	assert made(owner, **body, format="standard", content="full") == plain(first)
	assert listed(owner) == [plain(first)]


@pytest.mark.parametrize(
	"other",
	[
		{"url": "https://198.41.0.4/other"},
		{"events": ["order.*", "invoice.*"]},
		{"events": ["order.submitted"]},
		{"condition": "order.currency == 'EUR'"},
		{"condition": None},
		{"condition": ...},
		{"url": ..., "mode": "pull"},
		{"echo": True},
		{"concurrency": 5},
		{"documents": [{"event": "document.*", "document_type": "Customer"}]},
	],
)
def test_another_webhook_under_a_known_id_is_a_conflict(other, owner):
	body = {"external_id": unique("HOOK"), "condition": "order.currency == 'USD'"}
	first = made(owner, **body)
	changed = {**BODY, **body, **other}
	answer = owner.http.post(
		"webhooks.create", {name: value for name, value in changed.items() if value is not ...}
	)
	problem = expect.problem(answer, 409, "external_id_conflict", ["/external_id"])
	assert first["id"] in problem["detail"]
	assert listed(owner) == [plain(first)]


def test_ids_that_differ_in_case_or_blanks_are_different_webhooks(owner):
	one = unique("hook")
	ids = {made(owner, external_id=other)["id"] for other in (one, one.upper(), f"{one} ")}
	assert len(ids) == len(listed(owner)) == 3


def test_two_systems_may_use_the_same_id(owner, systems):
	external_id = unique("HOOK")
	other = systems.new()
	mine = made(owner, external_id=external_id)
	theirs = made(other, external_id=external_id)
	try:
		assert mine["id"] != theirs["id"]
		assert (listed(owner), listed(other)) == ([plain(mine)], [plain(theirs)])
	finally:
		other.http.post("webhooks.delete", {"id": theirs["id"]})


@pytest.mark.parametrize("round", range(3))
def test_calls_at_the_same_time_make_one_webhook(round, owner):
	body = {**BODY, "external_id": unique("HOOK")}
	bare = type(owner.http)(owner.http.stack, owner.token)
	with ThreadPoolExecutor(3) as pool:
		answers = list(pool.map(lambda _n: bare.post("webhooks.create", body), range(6)))
	assert {answer.status for answer in answers} == {201}, answers
	assert len({answer.message["id"] for answer in answers}) == 1
	assert sum("secret" in answer.message for answer in answers) == 1
	assert len(listed(owner)) == 1


# -- update -------------------------------------------------------------------------------------------------------

FULL = {
	"title": "All of it",
	"events": ["order.submitted", "invoice.*"],
	"documents": [{"event": "document.created", "document_type": "Customer", "fields": ["customer_name"]}],
	"condition": "a",
	"format": "cloudevents",
	"content": "thin",
	"ordered": True,
	"echo": True,
	"concurrency": 7,
}


def test_what_is_left_out_stays(owner):
	before = made(owner, **FULL)
	assert updated(owner, before["id"]) == plain(before)
	changes = {
		"title": "Other",
		"url": "https://198.41.0.4/other",
		"events": ["payment.*"],
		"documents": [],
		"condition": "b",
		"format": "standard",
		"content": "full",
		"ordered": False,
		"echo": False,
		"concurrency": 1,
	}
	expected = plain(before)
	for name, value in changes.items():
		expected[name] = value
		assert updated(owner, before["id"], **{name: value}) == expected, name
	assert listed(owner) == [expected]


@pytest.mark.parametrize(
	("name", "default"),
	[
		("title", "198.41.0.4"),
		("events", []),
		("documents", []),
		("condition", None),
		("format", "standard"),
		("content", "full"),
		("field_map", None),
		("ordered", False),
		("echo", False),
		("concurrency", 4),
	],
)
def test_null_clears(name, default, owner):
	before = made(owner, **FULL)
	assert updated(owner, before["id"], **{name: None}) == {**plain(before), name: default}


@pytest.mark.parametrize(
	("changes", "expected"),
	[
		({"events": []}, [("/events", "nothing_wanted")]),
		({"events": None}, [("/events", "nothing_wanted")]),
		({"url": None}, [("/url", "url_and_mode")]),
		({"events": ["nope"]}, [("/events/0", "unknown_event")]),
		({"condition": "["}, [("/condition", "bad_expression")]),
		({"concurrency": 99}, [("/concurrency", "less_than_equal")]),
		({"field_map": "Nope"}, [("/field_map", "unknown_field_map")]),
		({"status": "disabled"}, [("/status", "literal_error")]),
		({"mode": "pull"}, [("/mode", "unknown_field")]),
		({"external_id": "x"}, [("/external_id", "unknown_field")]),
		({"secret": "x"}, [("/secret", "unknown_field")]),
		({"ulr": URL}, [("/ulr", "unknown_field")]),
	],
)
def test_a_refused_update_changes_nothing(changes, expected, owner):
	before = made(owner)
	answer = owner.http.post("webhooks.update", {"id": before["id"], "title": "New", **changes})
	expect.problem(answer, 422, "validation_failed")
	assert faults(answer) == expected
	assert listed(owner) == [plain(before)]


def test_a_webhook_to_pull_takes_no_url(owner):
	before = made(owner, url=..., mode="pull")
	answer = owner.http.post("webhooks.update", {"id": before["id"], "url": URL})
	expect.problem(answer, 422, "validation_failed")
	assert faults(answer) == [("/url", "url_and_mode")]
	assert listed(owner) == [before]


def test_losing_a_scope_is_noticed_by_the_next_update(owner):
	before = made(owner, events=["order.*", "stock.changed"])
	owner.change(scopes=all_scopes("stock:read"))
	answer = owner.http.post("webhooks.update", {"id": before["id"], "title": "New"})
	expect.problem(answer, 422, "validation_failed", ["/events/1"])
	assert updated(owner, before["id"], events=["order.*"])["events"] == ["order.*"]


def test_paused_events_are_held_and_sent_after_resuming(listen, masters, site):
	with Receiver() as receiver:
		ear = listen.push(receiver, "order.submitted", echo=True)
		before = listed(ear.system)
		paused = updated(ear.system, ear.webhook, status="paused")
		assert (paused["status"], paused["paused_because"]) == ("paused", f"{ear.system.name} asked for it.")
		assert updated(ear.system, ear.webhook, status="paused") == paused
		placed(ear.http)
		placed(ear.http)
		site.wait_for("held", lambda: len(ear.deliveries(status="Held")) == 2)
		assert receiver.count == 0
		assert listed(ear.system)[0]["health"]["deliveries"] == {"Held": 2}

		resumed = updated(ear.system, ear.webhook, status="active")
		assert (resumed["status"], resumed["paused_because"]) == ("active", None)
		receiver.wait(2)
		site.wait_for("delivered", lambda: len(ear.deliveries(status="Delivered")) == 2)
		sent = [json.loads(request.body)["data"]["order"]["name"] for request in receiver.requests]
		assert sorted(sent) == sorted(row.reference_name for row in ear.deliveries())
		after = listed(ear.system)[0]
		assert after["health"]["deliveries"] == {"Delivered": 2}
		assert {**after, "health": None} == {**before[0], "health": None}


# -- delete -------------------------------------------------------------------------------------------------------


def test_delete_removes_deliveries_and_keeps_events(listen, masters, site):
	with Receiver() as receiver:
		ear = listen.push(receiver, "order.submitted", echo=True)
		kept = listen.push(receiver, "order.*", echo=True, system=ear.system, path="/kept")
		placed(ear.http)
		receiver.wait(2)
		site.wait_for(
			"both", lambda: kept.deliveries(status="Delivered") and ear.deliveries(status="Delivered")
		)
		events = [row.name for row in ear.events()]
		deleted = ear.http.post("webhooks.delete", {"id": ear.webhook})
	assert deleted.status == 200
	assert conforms(WebhookDeleted, deleted.message) == {"id": ear.webhook, "deleted": True}
	assert ear.deliveries() == []
	assert len(kept.deliveries()) == 1
	assert [row.name for row in ear.events()] == events
	assert ear.http.get("events.get", id=events[0]).status == 200
	assert [one["id"] for one in listed(ear.system)] == [kept.webhook]
	expect.problem(ear.http.post("webhooks.delete", {"id": ear.webhook}), 404, "not_found", ["/id"])


def test_a_deleted_webhook_frees_its_external_id(owner):
	body = {"external_id": unique("HOOK")}
	first = made(owner, **body)
	assert owner.http.post("webhooks.delete", {"id": first["id"]}).status == 200
	second = made(owner, **body)
	assert second["id"] != first["id"]
	assert "secret" in second


# -- a test event -------------------------------------------------------------------------------------------------


def tried(system, webhook: str) -> dict:
	answer = system.http.post("webhooks.test", {"id": webhook})
	assert answer.status == 200, answer
	return conforms(WebhookTested, answer.message)


def test_a_test_event_is_sent_at_once_and_signed(listen):
	with Receiver(Answer(202, body=b"thanks <b>", headers={"Content-Type": "text/plain"})) as receiver:
		ear = listen.push(receiver, "invoice.*")
		answer = tried(ear.system, ear.webhook)
		request = receiver.requests[0]
	assert {**answer, "event": None, "duration_ms": None} == {
		"event": None,
		"delivered": True,
		"http_status": 202,
		"error": None,
		"response": "thanks <b>",
		"duration_ms": None,
	}
	assert 0 <= answer["duration_ms"] < 5000
	assert request.headers["webhook-id"] == answer["event"]
	body = Webhook(ear.secret).verify(request.body, request.headers)
	assert (body["type"], list(body["data"])) == ("webhook.test", ["message"])
	assert ear.http.get("events.get", id=answer["event"]).message == {"id": answer["event"], **body}
	assert [(row.status, row.attempt_no) for row in ear.deliveries()] == [("Delivered", 1)]
	assert receiver.count == 1


def test_a_test_event_says_how_the_receiver_fails(listen, site):
	with Receiver(Answer(503, body=b"later, token=abcdefgh12345678")) as receiver:
		ear = listen.push(receiver, "invoice.*")
		answer = tried(ear.system, ear.webhook)
	assert (answer["delivered"], answer["http_status"], answer["error"]) == (False, 503, "It answered 503.")
	assert answer["response"] == "later, token=•••"
	(row,) = ear.deliveries()
	assert (row.status, row.attempt_no) == ("Exhausted", 1)
	health = listed(ear.system)[0]["health"]
	assert (health["last_error"], health["deliveries"]) == ("It answered 503.", {"Exhausted": 1})
	assert health["last_failure_at"] == health["failing_since"] is not None


def test_a_test_event_to_nobody(listen):
	with Receiver() as receiver:
		ear = listen.push(receiver, "invoice.*")
	answer = tried(ear.system, ear.webhook)
	assert (answer["delivered"], answer["http_status"], answer["response"]) == (False, None, None)
	assert answer["error"] == "connect_failed: No connection: Connection refused."


@pytest.mark.slow
def test_a_test_event_does_not_wait_longer_than_a_delivery(listen):
	with Receiver(hang) as receiver:
		ear = listen.push(receiver, "invoice.*")
		answer = tried(ear.system, ear.webhook)
	assert (answer["delivered"], answer["http_status"]) == (False, None)
	assert answer["error"].startswith("timeout:"), answer
	assert 4_500 < answer["duration_ms"] < 7_000


def test_a_paused_endpoint_can_be_tried(listen):
	with Receiver() as receiver:
		ear = listen.push(receiver, "invoice.*")
		paused = updated(ear.system, ear.webhook, status="paused")
		assert tried(ear.system, ear.webhook)["delivered"] is True
		assert receiver.count == 1
	assert listed(ear.system)[0]["status"] == paused["status"] == "paused"


def test_nothing_can_be_sent_to_who_fetches(owner):
	webhook = made(owner, url=..., mode="pull")
	with expect.nothing_made("Hub Event", "Hub Event Delivery"):
		answer = owner.http.post("webhooks.test", {"id": webhook["id"]})
	expect.problem(answer, 409, "state_conflict")


# -- secrets ------------------------------------------------------------------------------------------------------


def rotated(system, webhook: str, **body) -> str:
	answer = system.http.post("webhooks.rotate_secret", {"id": webhook, **body})
	assert answer.status == 200, answer
	return conforms(WebhookAnswer, answer.message)["secret"]


def verifies(secret: str, request) -> bool:
	try:
		return bool(Webhook(secret).verify(request.body, request.headers))
	except WebhookVerificationError:
		return False


def test_after_a_rotation_both_secrets_sign_and_then_only_the_new_one(listen, site):
	with Receiver() as receiver:
		ear = listen.push(receiver, "invoice.*")
		new = rotated(ear.system, ear.webhook)
		assert new != ear.secret
		tried(ear.system, ear.webhook)
		site.set_row(DOCTYPE, ear.webhook, previous_secret_valid_until=("UTC", -1))
		tried(ear.system, ear.webhook)
		newest = rotated(ear.system, ear.webhook, overlap_hours=0)
		tried(ear.system, ear.webhook)
		seen = [
			tuple(verifies(secret, request) for secret in (ear.secret, new, newest))
			for request in receiver.requests
		]
	assert seen == [(True, True, False), (False, True, False), (False, False, True)]


@pytest.mark.parametrize(
	("hours", "code"), [(-1, "greater_than_equal"), (721, "less_than_equal"), ("x", "int_parsing")]
)
def test_the_overlap_has_bounds(hours, code, owner):
	webhook = made(owner)["id"]
	before = row_of(webhook)
	answer = owner.http.post("webhooks.rotate_secret", {"id": webhook, "overlap_hours": hours})
	expect.problem(answer, 422, "validation_failed")
	assert faults(answer) == [("/overlap_hours", code)]
	assert row_of(webhook) == before


def test_who_fetches_has_no_secret_to_rotate(owner):
	webhook = made(owner, url=..., mode="pull")["id"]
	answer = owner.http.post("webhooks.rotate_secret", {"id": webhook})
	expect.problem(answer, 409, "state_conflict")
	assert (
		frappe.db.sql("SELECT count(*) FROM `__Auth` WHERE doctype = %s AND name = %s", (DOCTYPE, webhook))[
			0
		][0]
		== 0
	)


def test_a_secret_is_shown_once_and_kept_nowhere_in_plain_text(listen, people):
	"""Through the API, the Desk and every table of the site."""
	manager = people.new(MANAGER).http
	with Receiver(Answer(500)) as receiver:
		ear = listen.push(receiver, "invoice.*", external_id=unique("HOOK"))
		secrets = [ear.secret, rotated(ear.system, ear.webhook)]
		tried(ear.system, ear.webhook)
		updated(ear.system, ear.webhook, title="Other")
		again = ear.http.post("webhooks.create", {**ear.made, **BODY, "title": "x"})
		assert again.status == 422
		looks = [
			ear.http.get("webhooks.list"),
			ear.http.post("webhooks.test", {"id": ear.webhook}),
			ear.http.post("webhooks.update", {"id": ear.webhook, "status": "paused"}),
			manager.send(
				"GET", f"/api/method/frappe.desk.form.load.getdoc?doctype={DOCTYPE}&name={ear.webhook}"
			),
			manager.send("GET", f"/api/resource/{DOCTYPE}/{ear.webhook}"),
			manager.send("GET", f'/api/resource/{DOCTYPE}?fields=["*"]'),
			manager.send("GET", f"/api/method/frappe.client.get?doctype={DOCTYPE}&name={ear.webhook}"),
			manager.send(
				"POST",
				"/api/method/frappe.desk.reportview.export_query",
				{
					"doctype": DOCTYPE,
					"fields": '["`tabHub Webhook`.`name`","`tabHub Webhook`.`secret`"]',
					"file_format_type": "CSV",
				},
			),
		]
		assert ear.http.post("webhooks.delete", {"id": ear.webhook}).status == 200
	assert [look.status for look in looks[:7]] == [200] * 7, looks
	keys = [secret.removeprefix("whsec_") for secret in secrets]
	assert len(set(keys)) == 2
	for key in keys:
		assert not any(key in look.content.decode() for look in looks)
		assert tables_that_hold(key) == []
	assert frappe.get_all("Deleted Document", {"deleted_doctype": DOCTYPE, "deleted_name": ear.webhook})


def tables_that_hold(text: str) -> list[str]:
	"""Return the columns of the site's whole database that hold a text."""
	frappe.db.rollback()
	columns = frappe.db.sql(
		"""SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()
		AND data_type IN ('varchar', 'text', 'longtext', 'mediumtext', 'char', 'json')"""
	)
	by_table: dict[str, list[str]] = {}
	for table, column in columns:
		by_table.setdefault(table, []).append(column)
	return [
		table
		for table, names in by_table.items()
		if frappe.db.sql(
			f"SELECT 1 FROM `{table}` WHERE concat_ws(' ', {', '.join(f'`{name}`' for name in names)}) LIKE %s LIMIT 1",
			(f"%{text}%",),
		)
	]


# -- who may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_takes_one_method(verb, shop):
	wrong = "POST" if verb == "list" else "GET"
	answer = shop.http.send(
		wrong, f"/api/method/integration_hub.api.v1.webhooks.{verb}", {} if wrong == "POST" else None
	)
	expect.problem(answer, 405, "method_not_allowed")


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_needs_its_scope(verb, systems):
	scope = "webhooks:read" if verb == "list" else "webhooks:write"
	http = systems.like(scopes=all_scopes(scope)).http
	with expect.nothing_made(DOCTYPE):
		answer = http.get("webhooks.list") if verb == "list" else http.post(f"webhooks.{verb}", BODY)
	assert scope in expect.problem(answer, 403, "scope_missing")["detail"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_guest_gets_nothing(verb, anonymous):
	answer = anonymous.get("webhooks.list") if verb == "list" else anonymous.post(f"webhooks.{verb}", BODY)
	expect.problem(answer, 401, "not_authenticated")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("list", "create")])
def test_another_systems_webhook_is_unknown(verb, listen, stranger):
	"""The answer is the one for an id nobody has, and neither the webhook nor its deliveries change."""
	with Receiver() as receiver:
		ear = listen.push(receiver, "invoice.*", external_id=unique("HOOK"))
		before = row_of(ear.webhook)
		answers = [
			stranger.http.post(
				f"webhooks.{verb}", {"id": name, **({"title": "Mine"} if verb == "update" else {})}
			)
			for name in (ear.webhook, "nobodyhas1", ear.webhook.upper())
		]
		assert receiver.count == 0
	for answer in answers:
		expect.problem(answer, 404, "not_found", ["/id"])
		assert ear.system.name not in answer.content.decode()
	assert row_of(ear.webhook) == before
	assert ear.deliveries() == []
	assert ear.events() == []


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("list", "create")])
@pytest.mark.parametrize(
	("body", "expected"),
	[
		({}, [("/id", "missing")]),
		({"id": None}, [("/id", "string_type")]),
		({"id": ["a"]}, [("/id", "string_type")]),
		({"id": ""}, [("/id", "too_short")]),
		({"id": "x", "name": "y"}, [("/name", "unknown_field")]),
	],
)
def test_an_id_is_needed(verb, body, expected, shop):
	answer = shop.http.post(f"webhooks.{verb}", body)
	expect.problem(answer, 422, "validation_failed")
	assert faults(answer) == expected


def test_the_list_takes_no_parameters(shop):
	answer = shop.http.get("webhooks.list", limit=5)
	expect.problem(answer, 422, "validation_failed", ["?limit"])
