"""What people may do with webhooks, events, deliveries and field maps in the Desk, over the same HTTP the Desk uses."""

import json

import pytest
from standardwebhooks.webhooks import Webhook

import frappe

from integration_hub.constants.roles import MANAGER, USER
from integration_hub.tests import expect
from integration_hub.tests.events import by_hand
from integration_hub.tests.factories import placed, unique
from integration_hub.tests.receivers import Receiver

WEBHOOK, EVENT, DELIVERY, MAP = "Hub Webhook", "Hub Event", "Hub Event Delivery", "Hub Field Map"
DOCTYPES = (WEBHOOK, EVENT, DELIVERY, MAP)
DOCTYPE_PATH = "/api/method/integration_hub.integration_hub.doctype"
REDELIVER_MANY = f"{DOCTYPE_PATH}.hub_event_delivery.hub_event_delivery.redeliver_many"
MARKER = "for-managers-eyes"


@pytest.fixture(scope="module")
def who(people):
	return {
		"nobody": people.new("Sales User"),
		"system manager": people.new("System Manager"),
		"user": people.new(USER),
		"manager": people.new(MANAGER),
	}


@pytest.fixture
def person(who, anonymous):
	"""`person(name)`: the client of a person, or of a guest."""
	return lambda name: anonymous if name == "guest" else who[name].http


@pytest.fixture
def receiver():
	with Receiver() as made:
		yield made


@pytest.fixture
def told(listen, receiver, masters, site):
	"""A paused webhook, and one event of an order that is held for it."""
	ear = listen.push(receiver, "order.*", echo=True)
	ear.update(status="paused")
	placed(ear.http, note=MARKER)
	assert ear.heard() == ["order.submitted"]
	site.wait_for("held", lambda: ear.deliveries(status="Held") and ear.events()[0].sequence)
	return ear


def made_map(title: str | None = None, rows: list[dict] | None = None, **values):
	doc = frappe.get_doc(
		{
			"doctype": MAP,
			"title": title or unique("HT map"),
			"direction": "Out",
			"rows": rows or [{"target": "number", "source": "order.name"}],
			**values,
		}
	).insert()
	frappe.db.commit()
	return doc


def rows_of(told) -> tuple[str, str]:
	"""Return the names of the event and its delivery."""
	(delivery,) = told.deliveries()
	return delivery.event, delivery.name


def snapshot(told) -> list:
	"""Return all that a person might have changed."""
	frappe.db.rollback()
	wanted = (
		(WEBHOOK, "name", told.webhook),
		(EVENT, "system", told.system.name),
		(DELIVERY, "webhook", told.webhook),
	)
	rows = [
		frappe.db.sql(f"SELECT * FROM `tab{doctype}` WHERE `{column}` = %s", (name,), as_dict=True)
		for doctype, column, name in wanted
	]
	secrets = frappe.db.sql("SELECT fieldname, password FROM `__Auth` WHERE name = %s", (told.webhook,))
	return [*rows, secrets]


# -- who reads ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("doctype", DOCTYPES)
@pytest.mark.parametrize(
	("name", "status"),
	[("guest", 403), ("nobody", 403), ("system manager", 403), ("user", 200), ("manager", 200)],
)
def test_who_may_list(name, status, doctype, person):
	assert person(name).send("GET", f"/api/resource/{doctype}").status == status


@pytest.mark.parametrize(
	("name", "sees"),
	[("guest", False), ("nobody", False), ("system manager", False), ("user", True), ("manager", True)],
)
def test_who_sees_what_happened(name, sees, person, told):
	http = person(name)
	event, delivery = rows_of(told)
	number = told.deliveries()[0].reference_name
	answers = [
		http.send("GET", f"/api/resource/{EVENT}/{event}"),
		http.send("GET", f'/api/resource/{EVENT}?fields=["payload"]&filters={{"name":"{event}"}}'),
		http.send(
			"GET", f"/api/method/frappe.client.get_value?doctype={EVENT}&fieldname=payload&filters={event}"
		),
		http.send("GET", f"/api/method/frappe.desk.form.load.getdoc?doctype={EVENT}&name={event}"),
		http.send("GET", f"/api/resource/{DELIVERY}/{delivery}"),
	]
	assert [number in answer.content.decode() for answer in answers] == [sees] * len(answers)
	assert {answer.status for answer in answers} == {200 if sees else 403}


@pytest.mark.parametrize(
	("name", "status"),
	[("guest", 403), ("nobody", 403), ("system manager", 403), ("user", 200), ("manager", 200)],
)
def test_who_may_look_closer(name, status, person, told):
	http = person(name)
	_event, delivery = rows_of(told)
	counts = http.press(WEBHOOK, told.webhook, "delivery_counts")
	attempts = http.press(DELIVERY, delivery, "attempts")
	assert (counts.status, attempts.status) == (status, status)
	if status == 200:
		assert sum(counts.message.values()) == 1
		assert attempts.message == []


# -- who acts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["guest", "nobody", "system manager", "user"])
def test_who_may_not_act(name, person, told, receiver):
	http = person(name)
	event, delivery = rows_of(told)
	fields = made_map()
	forged = {"doctype": WEBHOOK, "name": told.webhook, "system": told.system.name, "title": "x"}
	before = snapshot(told)
	answers = [
		http.press(WEBHOOK, told.webhook, "send_test"),
		http.press(WEBHOOK, told.webhook, "rotate_secret", overlap_hours=0),
		http.press(WEBHOOK, told.webhook, "pause", reason="x"),
		http.press(WEBHOOK, told.webhook, "resume"),
		http.press(EVENT, event, "replay"),
		http.press(DELIVERY, delivery, "redeliver"),
		http.press(MAP, fields.name, "try_sample"),
		http.send("POST", REDELIVER_MANY, {"names": [delivery]}),
		http.send(
			"POST",
			f"{DOCTYPE_PATH}.hub_webhook.hub_webhook.why_refused",
			{"url": "https://localhost/"},
		),
		http.send("PUT", f"/api/resource/{WEBHOOK}/{told.webhook}", {"title": "Mine"}),
		http.send("DELETE", f"/api/resource/{WEBHOOK}/{told.webhook}"),
		http.send("POST", f"/api/resource/{WEBHOOK}", {**forged, "name": None}),
		http.send("PUT", f"/api/resource/{EVENT}/{event}", {"payload": "{}"}),
		http.send("DELETE", f"/api/resource/{EVENT}/{event}"),
		http.send("PUT", f"/api/resource/{DELIVERY}/{delivery}", {"status": "Pending"}),
		http.send("DELETE", f"/api/resource/{DELIVERY}/{delivery}"),
		http.send("PUT", f"/api/resource/{MAP}/{fields.name}", {"description": "Mine"}),
		http.send("DELETE", f"/api/resource/{MAP}/{fields.name}"),
	]
	assert [answer.status for answer in answers] == [403] * len(answers), answers
	assert snapshot(told) == before
	assert receiver.count == 0


@pytest.mark.parametrize("name", ["nobody", "system manager", "user"])
def test_a_form_that_was_made_up_gives_no_rights(name, person, told, receiver):
	"""The Desk sends the whole document with a button; what it says of itself is worth nothing."""
	http = person(name)
	event, delivery = rows_of(told)
	before = snapshot(told)
	for doctype, doc_name, method in (
		(WEBHOOK, told.webhook, "send_test"),
		(WEBHOOK, told.webhook, "rotate_secret"),
		(WEBHOOK, told.webhook, "resume"),
		(EVENT, event, "replay"),
		(DELIVERY, delivery, "redeliver"),
	):
		stored = frappe.get_doc(doctype, doc_name)
		form = {
			"doctype": doctype,
			"name": doc_name,
			"owner": frappe.session.user,
			"modified": str(stored.modified),
			"system": told.system.name,
		}
		answer = http.send(
			"POST", "/api/method/run_doc_method", {"docs": json.dumps(form), "method": method, "args": "{}"}
		)
		assert answer.status == 403, answer
	assert snapshot(told) == before
	assert receiver.count == 0


def test_the_systems_own_user_reaches_none_of_it(told, receiver):
	event, delivery = rows_of(told)
	for doctype, name, method in (
		(WEBHOOK, told.webhook, "resume"),
		(EVENT, event, "replay"),
		(DELIVERY, delivery, "redeliver"),
	):
		answer = told.http.press(doctype, name, method)
		assert (answer.status, answer.code) == (403, "frappe_api_closed")
	assert receiver.count == 0


def test_nobody_writes_events_and_deliveries_by_hand(who, told):
	http = who["manager"].http
	event, delivery = rows_of(told)
	before = snapshot(told)
	answers = [
		http.send("POST", f"/api/resource/{EVENT}", {"name": "evt_mine", "event": "order.created"}),
		http.send("DELETE", f"/api/resource/{EVENT}/{event}"),
		http.send("POST", f"/api/resource/{DELIVERY}", {"event": event, "webhook": told.webhook}),
		http.send("DELETE", f"/api/resource/{DELIVERY}/{delivery}"),
		http.send("PUT", f"/api/resource/{EVENT}/{event}", {"payload": "{}"}),
		http.send("PUT", f"/api/resource/{DELIVERY}/{delivery}", {"status": "Delivered"}),
	]
	assert [answer.status for answer in answers] == [403, 403, 403, 403, 417, 417], answers
	assert snapshot(told) == before


# -- what a manager does ------------------------------------------------------------------------------------------


def test_a_manager_tries_a_webhook(who, told, receiver):
	answer = who["manager"].http.press(WEBHOOK, told.webhook, "send_test")
	assert (answer.status, answer.message["delivered"], answer.message["http_status"]) == (200, True, 200)
	request = receiver.requests[0]
	assert Webhook(told.secret).verify(request.body, request.headers)["type"] == "webhook.test"


def test_a_manager_rotates_the_secret(who, told, receiver):
	http = who["manager"].http
	new = http.press(WEBHOOK, told.webhook, "rotate_secret").message
	assert new.startswith("whsec_") and new != told.secret
	http.press(WEBHOOK, told.webhook, "send_test")
	request = receiver.requests[0]
	for secret in (told.secret, new):
		assert Webhook(secret).verify(request.body, request.headers)
	assert http.press(WEBHOOK, told.webhook, "rotate_secret", overlap_hours=721).status == 417
	assert http.press(WEBHOOK, told.webhook, "rotate_secret", overlap_hours=-1).status == 417


def test_a_manager_pauses_and_resumes(who, told, receiver, site):
	http = who["manager"].http
	assert http.press(WEBHOOK, told.webhook, "resume").status == 200
	receiver.wait(1)
	site.wait_for("delivered", lambda: told.deliveries(status="Delivered"))
	assert http.press(WEBHOOK, told.webhook, "pause", reason="Holidays").status == 200
	frappe.db.rollback()
	assert frappe.db.get_value(WEBHOOK, told.webhook, ["status", "paused_because"]) == (
		"Paused",
		"Hub Tests Person paused it. Holidays",
	)


def test_a_manager_delivers_again(who, told, receiver, site):
	http, manager = who["manager"].http, who["manager"].name
	event, delivery = rows_of(told)
	http.press(WEBHOOK, told.webhook, "resume")
	receiver.wait(1)
	delivered = {"status": "Delivered", "name": delivery}
	site.wait_for("delivered", lambda: told.deliveries(**delivered))
	ways = (
		lambda: http.press(DELIVERY, delivery, "redeliver"),
		lambda: http.press(EVENT, event, "replay"),
		lambda: http.send("POST", REDELIVER_MANY, {"names": [delivery]}),
		lambda: http.send("POST", REDELIVER_MANY, {"names": json.dumps([delivery])}),
	)
	expected = (None, {"replayed": 1, "skipped": 0}, {"due": 1, "skipped": 0}, {"due": 1, "skipped": 0})
	for number, (way, said) in enumerate(zip(ways, expected, strict=True), start=2):
		answer = way()
		assert (answer.status, answer.body.get("message")) == (200, said)
		receiver.wait(number)
		site.wait_for("delivered", lambda: told.deliveries(**delivered))
	assert {request.headers["webhook-id"] for request in receiver.requests} == {event}
	assert len({request.body for request in receiver.requests}) == 1
	assert told.deliveries()[0].redelivered_by == manager
	attempts = http.press(DELIVERY, delivery, "attempts").message
	assert [(row["status"], row["hub_http_status"]) for row in attempts] == [("Completed", 200)] * 5


def test_what_is_being_sent_is_not_sent_twice(who, told, site, receiver):
	http = who["manager"].http
	event, delivery = rows_of(told)
	site.set_row(DELIVERY, delivery, status="Sending", lease="another", due_at=("UTC", 600))
	before = snapshot(told)
	assert http.press(DELIVERY, delivery, "redeliver").status == 417
	assert http.send("POST", REDELIVER_MANY, {"names": [delivery]}).message == {"due": 0, "skipped": 1}
	assert http.press(EVENT, event, "replay").message == {"replayed": 0, "skipped": 1}
	assert snapshot(told) == before
	assert receiver.count == 0


def test_a_delivery_that_is_gone_is_skipped(who):
	answer = who["manager"].http.send("POST", REDELIVER_MANY, {"names": ["nope"]})
	assert (answer.status, answer.message) == (200, {"due": 0, "skipped": 1})


# -- saving a webhook in the Desk ---------------------------------------------------------------------------------


def form(system, **changes) -> dict:
	return {
		"doctype": WEBHOOK,
		"title": "By hand",
		"system": system.name,
		"mode": "Push",
		"url": "https://198.41.0.4/hooks",
		"format": "Standard Webhooks",
		"content": "Full",
		"concurrency": 4,
		"events": [{"event": "order.*"}],
		**changes,
	}


def saved(http, doc: dict):
	return http.send(
		"POST", "/api/method/frappe.desk.form.save.savedocs", {"doc": json.dumps(doc), "action": "Save"}
	)


def test_the_form_shows_the_secret_once(who, told):
	http = who["manager"].http
	answer = saved(http, {**form(told.system), "__islocal": 1, "name": "new-hub-webhook-1"})
	assert answer.status == 200, answer
	(doc,) = answer.body["docs"]
	secret = doc["__onload"]["new_secret"]
	assert secret.startswith("whsec_")
	again = http.send("GET", f"/api/method/frappe.desk.form.load.getdoc?doctype={WEBHOOK}&name={doc['name']}")
	assert again.status == 200
	assert secret.removeprefix("whsec_") not in again.content.decode()
	stored = frappe.utils.password.get_decrypted_password(WEBHOOK, doc["name"], "secret")
	assert stored == secret
	(loaded,) = again.body["docs"]
	changed = saved(http, {**loaded, "title": "Renamed"})
	assert changed.status == 200, changed
	assert secret.removeprefix("whsec_") not in changed.content.decode()
	# Saving the form keeps the secret, though the form knows only asterisks.
	assert frappe.utils.password.get_decrypted_password(WEBHOOK, doc["name"], "secret") == secret


@pytest.mark.parametrize(
	("changes", "said"),
	[
		({"events": [{"event": "order.nope"}]}, ["There is no event order.nope."]),
		({"events": [{"event": "document.created"}]}, ["There is no document type —."]),
		(
			{"events": [{"event": "document.created", "document_type": "Sales Order Item"}]},
			["Sales Order Item raises no events"],
		),
		(
			{
				"events": [
					{
						"event": "document.created",
						"document_type": "Customer",
						"field_names": "customer_name, nope",
					}
				]
			},
			["Customer has no field nope"],
		),
		({"url": "https://localhost/"}, ["localhost leads to 127.0.0.1"]),
		({"url": "http://198.41.0.4/"}, ["Use https."]),
		({"url": ""}, ["needs a URL"]),
		({"concurrency": 0}, ["Calls at the same time: 1 to 32."]),
		({"concurrency": 33}, ["Calls at the same time: 1 to 32."]),
		(
			{"events": [{"event": "a.b"}, {"event": "c.d"}], "concurrency": 99},
			["There is no event a.b.", "There is no event c.d.", "1 to 32"],
		),
	],
)
def test_the_form_says_all_that_is_wrong(changes, said, who, shop):
	with expect.nothing_made(WEBHOOK):
		answer = saved(who["manager"].http, {**form(shop, **changes), "__islocal": 1, "name": "new-1"})
	assert answer.status == 417, answer
	messages = [json.loads(each)["message"] for each in json.loads(answer.body["_server_messages"])]
	text = json.dumps(messages, ensure_ascii=False)
	for sentence in said:
		assert sentence in text, text


def test_a_pulled_webhook_forgets_its_url(who, told):
	http = who["manager"].http
	answer = saved(http, {**form(told.system, mode="Pull"), "__islocal": 1, "name": "new-1"})
	assert answer.status == 200, answer
	(doc,) = answer.body["docs"]
	assert frappe.db.get_value(WEBHOOK, doc["name"], "url") is None
	assert "new_secret" not in doc.get("__onload", {})


def test_a_webhook_stays_with_its_system(who, told, shop):
	answer = who["manager"].http.send("PUT", f"/api/resource/{WEBHOOK}/{told.webhook}", {"system": shop.name})
	assert answer.status == 417, answer
	frappe.db.rollback()
	assert frappe.db.get_value(WEBHOOK, told.webhook, "system") == told.system.name


# -- field maps ---------------------------------------------------------------------------------------------------


def pressed(http, doc: dict) -> dict:
	"""Press Try it on a form, saved or not."""
	answer = http.send(
		"POST",
		"/api/method/run_doc_method",
		{"docs": json.dumps({"doctype": MAP, **doc}), "method": "try_sample", "args": "{}"},
	)
	assert answer.status == 200, answer
	return answer.message


def lines(*rows: dict) -> list[dict]:
	return [
		{"doctype": "Hub Field Map Row", "idx": idx, "parentfield": "rows", "parenttype": MAP, **row}
		for idx, row in enumerate(rows, start=1)
	]


def test_a_map_is_tried_before_it_is_saved(who):
	doc = {
		"name": "new-1",
		"__islocal": 1,
		"title": "Not saved",
		"direction": "Out",
		"rows": lines(
			{"target": "order.number", "source": "id", "transform": "text"},
			{"target": "total", "source": "price", "transform": "number"},
			{"target": "currency", "source": "currency", "default": '"EUR"'},
			{"target": "absent", "source": "nope"},
		),
		"sample": '{"id": 12345678901234567890, "price": "12.50"}',
	}
	with expect.nothing_made(MAP):
		answer = pressed(who["manager"].http, doc)
	assert list(answer) == ["result"]
	assert answer["result"] == ('{"order":{"number":"12345678901234567890"},"total":12.50,"currency":"EUR"}')


@pytest.mark.parametrize(
	("rows", "sample", "faults"),
	[
		(
			[{"target": "a", "source": "id"}, {"target": "b", "source": "x.[", "required": 1}],
			"{}",
			["Row 2, b: "],
		),
		(
			[{"target": "a", "source": "a", "required": 1}, {"target": "b", "source": "b", "required": 1}],
			"{}",
			["Row 1, a: a finds nothing", "Row 2, b: b finds nothing"],
		),
		([{"target": "a", "source": "a"}], "{", ["The sample document: "]),
		([{"target": "a", "source": "a"}], "", ["The sample document: "]),
		([{"target": "a", "source": "a", "transform": "number"}], '{"a": "x"}', ["Row 1, a: "]),
		([{"target": "a", "source": "a", "default": "EUR"}], "{}", ["Row 1, a: Default: "]),
		(
			[{"target": "a", "source": "a"}, {"target": "a.b", "source": "a"}],
			"{}",
			["Row 2, a.b: Row 1 has the target a"],
		),
	],
)
def test_faults_name_their_row(rows, sample, faults, who):
	doc = {"name": "new-1", "__islocal": 1, "title": "x", "direction": "Out", "rows": lines(*rows)}
	answer = pressed(who["manager"].http, {**doc, "sample": sample})
	assert list(answer) == ["faults"]
	assert len(answer["faults"]) == len(faults), answer
	for said, start in zip(answer["faults"], faults, strict=True):
		assert said.startswith(start), answer


def test_a_map_with_faults_is_not_saved(who):
	doc = {
		"title": unique("HT map"),
		"direction": "Out",
		"rows": [
			{"target": "a", "source": "b"},
			{"target": "", "source": "b"},
			{"target": "<b>c</b>", "source": "x.["},
			{"target": "d", "source": "x", "default": "no JSON"},
		],
	}
	doc["rows"][1]["target"] = "a..b"
	with expect.nothing_made(MAP):
		answer = who["manager"].http.send("POST", f"/api/resource/{MAP}", doc)
	assert answer.status == 417, answer
	text = json.dumps(json.loads(answer.body["_server_messages"]), ensure_ascii=False)
	assert all(f"Row {number}, " in text for number in (2, 3, 4)), text
	assert "Row 1, " not in text
	assert "<b>c" not in text


def test_a_map_shapes_what_is_sent_and_its_change_counts_at_once(listen, receiver, who, masters):
	fields = made_map(rows=[{"target": "number", "source": "order.name"}])
	ear = listen.push(receiver, "order.submitted", echo=True, field_map=fields.name)
	ear.update(status="paused")
	placed(ear.http)
	(row,) = ear.deliveries()
	assert json.loads(row.body)["data"] == {"number": row.reference_name}

	changed = who["manager"].http.send(
		"PUT", f"/api/resource/{MAP}/{fields.name}", {"rows": [{"target": "no", "source": "order.name"}]}
	)
	assert changed.status == 200, changed
	placed(ear.http)
	rows = ear.deliveries()
	assert [list(json.loads(one.body)["data"]) for one in rows] == [["number"], ["no"]]
	# What happened stays as it was; only deliveries are shaped.
	assert {next(iter(one.data)) for one in ear.events()} == {"order"}


def test_an_event_a_map_cannot_shape_waits_for_a_person(listen, receiver, who, masters, site):
	fields = made_map(rows=[{"target": "a", "source": "order.nope", "required": 1}])
	ear = listen.push(receiver, "order.submitted", echo=True, field_map=fields.name)
	placed(ear.http)
	(row,) = ear.deliveries()
	assert (row.status, row.due_at, row.attempt_no) == ("Held", None, 0)
	assert "order.nope finds nothing" in row.error
	assert receiver.count == 0
	http = who["manager"].http
	assert http.press(DELIVERY, row.name, "redeliver").status == 417
	changed = http.send(
		"PUT", f"/api/resource/{MAP}/{fields.name}", {"rows": [{"target": "a", "source": "order.name"}]}
	)
	assert changed.status == 200, changed
	assert http.press(DELIVERY, row.name, "redeliver").status == 200
	receiver.wait(1)
	assert json.loads(receiver.requests[0].body)["data"] == {"a": row.reference_name}
	site.wait_for("delivered", lambda: ear.deliveries(status="Delivered", error=("is", "not set")))


def test_a_map_for_what_comes_in_is_none_for_what_goes_out(listen, hub):
	fields = made_map(direction="In")
	answer = hub.post(
		"webhooks.create",
		{"url": "https://198.41.0.4/hooks", "events": ["order.*"], "field_map": fields.name},
	)
	expect.problem(answer, 422, "validation_failed", ["/field_map"])


def test_a_renamed_map_is_still_the_webhooks(listen, receiver, masters):
	fields = made_map()
	ear = listen.push(receiver, "order.submitted", echo=True, field_map=fields.name)
	ear.update(status="paused")
	renamed = unique("HT map")
	with by_hand():
		frappe.rename_doc(MAP, fields.name, renamed)
	(listed,) = ear.http.get("webhooks.list").message["result"]
	assert listed["field_map"] == renamed
	placed(ear.http)
	(row,) = ear.deliveries()
	assert json.loads(row.body)["data"] == {"number": row.reference_name}
