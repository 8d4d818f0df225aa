"""Who sees and does what in the Desk, over the same HTTP the Desk uses."""

import pytest

import frappe

from integration_hub.constants.roles import MANAGER, USER
from integration_hub.tests.factories import line, order, unique

REQUESTS = "/api/resource/Hub Request"
MARKER = "payload-for-managers-eyes"


@pytest.fixture(scope="module")
def failed(hub, shop, site):
	"""The name of a failed request."""
	body = order(lines=[line(item_code=unique("NOPE"))], note=MARKER)
	assert hub.post("orders.create", body).status == 422
	return site.request_of(shop.name, body["external_id"])[0].name


@pytest.fixture(scope="module")
def who(people):
	return {
		"nobody": people.new("Sales User"),
		"system manager": people.new("System Manager"),
		"user": people.new(USER),
		"manager": people.new(MANAGER),
	}


HUB_DOCTYPES = ("Hub Request", "Hub Connected System", "Hub External Reference")


@pytest.mark.parametrize("doctype", HUB_DOCTYPES)
@pytest.mark.parametrize(
	("person", "status"), [("nobody", 403), ("system manager", 403), ("user", 200), ("manager", 200)]
)
def test_who_may_list(person, status, doctype, who):
	assert who[person].http.send("GET", f"/api/resource/{doctype}").status == status


@pytest.mark.parametrize(
	("person", "sees"), [("nobody", False), ("system manager", False), ("user", True), ("manager", True)]
)
def test_who_sees_a_payload(person, sees, who, failed):
	http = who[person].http
	answers = [
		http.send("GET", f"{REQUESTS}/{failed}"),
		http.send("GET", f'{REQUESTS}?fields=["payload"]&filters={{"name":"{failed}"}}'),
		http.send(
			"GET",
			f"/api/method/frappe.client.get_value?doctype=Hub Request&fieldname=payload&filters={failed}",
		),
		http.send("GET", f"/api/method/frappe.desk.form.load.getdoc?doctype=Hub Request&name={failed}"),
	]
	assert [MARKER in answer.content.decode() for answer in answers] == [sees] * len(answers)
	if not sees:
		assert {answer.status for answer in answers} == {403}


@pytest.mark.parametrize("person", ["nobody", "system manager", "user"])
def test_who_may_not_retry_or_dismiss(person, who, failed, site):
	http = who[person].http
	many = "/api/method/integration_hub.integration_hub.doctype.hub_request.hub_request."
	answers = [
		http.press("Hub Request", failed, "retry"),
		http.press("Hub Request", failed, "dismiss", reason="x"),
		http.send("POST", f"{many}retry_many", {"names": [failed]}),
		http.send("POST", f"{many}dismiss_many", {"names": [failed], "reason": "x"}),
		http.send("PUT", f"{REQUESTS}/{failed}", {"status": "Queued"}),
		http.send("DELETE", f"{REQUESTS}/{failed}"),
	]
	assert [answer.status for answer in answers] == [403] * len(answers), answers
	site.refresh()
	row = frappe.get_doc("Hub Request", failed)
	assert (row.status, row.attempt_no, row.retried_by, row.dismissed_by) == ("Failed", 1, None, None)


def test_nobody_makes_or_deletes_requests_by_hand(who, failed):
	http = who["manager"].http
	made = http.send("POST", REQUESTS, {"operation": "orders.create", "key_hash": "x"})
	assert (made.status, http.send("DELETE", f"{REQUESTS}/{failed}").status) == (403, 403)


def test_a_manager_does_not_write_the_state_of_a_request(who, failed, site):
	"""The form's write permission is for its buttons; the state belongs to the engine."""
	who["manager"].http.send(
		"PUT", f"{REQUESTS}/{failed}", {"status": "Completed", "answer": "{}", "http_status": 201}
	)
	site.refresh()
	row = frappe.get_doc("Hub Request", failed)
	assert (row.status, row.answer, row.http_status) == ("Failed", None, 422)


@pytest.mark.parametrize("person", ["nobody", "system manager", "user"])
def test_who_may_not_touch_systems(person, who, shop, site):
	http = who[person].http
	path = f"/api/resource/Hub Connected System/{shop.name}"
	answers = [
		http.send("PUT", path, {"allow_frappe_api": 1}),
		http.send("DELETE", path),
		http.send("POST", "/api/resource/Hub Connected System", {"slug": "x", "title": "x"}),
		http.press("Hub Connected System", shop.name, "rotate_secret", overlap_hours=0),
		http.press("Hub Connected System", shop.name, "revoke_secret"),
		http.press("Hub Connected System", shop.name, "create_user"),
	]
	assert [answer.status for answer in answers] == [403] * len(answers), answers
	assert shop.http.get("system.ping").status == 200
	assert not shop.doc.allow_frappe_api


def test_the_systems_own_user_reaches_none_of_it(shop, failed):
	answer = shop.http.press("Hub Request", failed, "retry")
	assert (answer.status, answer.code) == (403, "frappe_api_closed")


@pytest.mark.parametrize(("person", "status"), [("nobody", 403), ("user", 200), ("manager", 200)])
def test_who_reads_the_log(person, status, who):
	assert who[person].http.send("GET", "/api/resource/Integration Request").status == status
