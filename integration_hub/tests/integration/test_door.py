"""The door over real HTTP: who may call what, from where, how often, and how every answer looks."""

import gzip
import json
import time
from datetime import datetime

import pytest

import frappe

from integration_hub import __version__
from integration_hub.core import operations
from integration_hub.tests import expect
from integration_hub.tests.factories import order, unique
from integration_hub.tests.stack import path_of
from integration_hub.tests.systems import all_scopes

CLOSED = "frappe_api_closed"


@pytest.fixture(scope="module")
def doors(systems):
	"""A system that tests of the door change; each puts back what it changed."""
	return systems.new()


# -- who ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	"authorization",
	[
		None,
		"",
		"token",
		"token x",
		"token x:y",
		"token {key}:wrong",
		"token :{secret}",
		"Bearer nonsense",
		"Basic !",
	],
)
def test_strangers_get_401_and_leave_no_row(authorization, doors, anonymous, site):
	key, secret = doors.token.split(":")
	written = authorization and authorization.format(key=key, secret=secret)
	with expect.nothing_made("Hub Request", "Integration Request"):
		for verb, method in (("orders.create", "POST"), ("system.ping", "GET")):
			answer = anonymous.raw(method, path_of(verb), headers={"Authorization": written})
			expect.problem(answer, 401, "not_authenticated", [])
			assert answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("body", [b"{", json.dumps(order()).encode()], ids=["malformed", "an order"])
def test_a_stranger_learns_nothing_about_the_body(body, anonymous):
	expect.problem(anonymous.post("orders.create", body), 401, "not_authenticated", [])


def test_a_user_without_a_system(people, site):
	person = people.new("Sales User", "Integration Hub Manager")
	with expect.nothing_made("Hub Request"):
		expect.problem(person.http.post("orders.create", order()), 403, "system_not_connected")
		expect.problem(person.http.get("system.ping"), 403, "system_not_connected")


def test_a_disabled_system(systems, site):
	shop = systems.new()
	shop.change(enabled=0)
	before = len(site.log_rows(shop.name))
	with expect.nothing_made("Hub Request"):
		answer = shop.http.post("orders.create", order())
	assert expect.problem(answer, 403, "system_not_connected")["retryable"] is False
	expect.only_turned_away(shop.name, before, 403, "system_not_connected")
	expect.problem(shop.http.get("system.ping"), 403, "system_not_connected")
	shop.change(enabled=1)
	assert shop.http.post("orders.create", order()).status == 201


def test_an_older_copy_in_the_cache_does_not_stay(systems, site):
	"""Whoever began before a system was disabled may put it into the cache as it was."""
	shop = systems.new()
	before = frappe.get_doc("Hub Connected System", shop.name)
	shop.change(enabled=0)
	key = frappe.get_document_cache_key("Hub Connected System", shop.name)
	frappe.cache.set_value(key, before)
	expect.problem(shop.http.post("orders.create", order()), 403, "system_not_connected")
	site.refresh()
	assert frappe.get_cached_doc("Hub Connected System", shop.name).enabled == 0


def test_a_revoked_key(systems):
	from integration_hub.core import credentials

	shop = systems.new()
	assert shop.http.get("system.ping").status == 200
	credentials.revoke(shop.name)
	frappe.db.commit()
	expect.problem(shop.http.get("system.ping"), 401, "not_authenticated")
	expect.problem(shop.http.post("orders.create", order()), 401, "not_authenticated")


# -- may ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
	("verb", "scope", "given"),
	[
		("orders.create", "orders:write", order()),
		("orders.cancel", "orders:write", {"external_id": "A"}),
		("orders.get", "orders:read", {"external_id": "A"}),
		("requests.get", "requests:read", {"id": "A"}),
		("requests.retry", "requests:write", {"id": "A"}),
		("system.openapi", "system:read", {}),
	],
)
def test_each_call_needs_its_scope(verb, scope, given, systems, site):
	shop = systems.like(scopes=all_scopes(scope))
	before = len(site.log_rows(shop.name))
	with expect.nothing_made("Hub Request"):
		if operations.get(verb).writes:
			answer = shop.http.post(verb, given)
		else:
			answer = shop.http.get(verb, **given)
	assert scope in expect.problem(answer, 403, "scope_missing", [])["detail"]
	expect.only_turned_away(shop.name, before, 403, "scope_missing")


def test_every_operation_but_ping_needs_a_scope():
	open_to_all = [op.name for op in operations.all_operations() if not op.scope and not op.guest]
	assert open_to_all == ["system.ping"]


def test_payments_need_a_scope_of_their_own(systems):
	shop = systems.like(scopes=all_scopes("sales:write"))
	with expect.nothing_made():
		answer = shop.http.post("orders.create", order(payments=[{"method": "Cash", "amount": 1}]))
	expect.problem(answer, 403, "scope_missing", ["/payments"])
	assert shop.http.post("orders.create", order()).status == 201


def test_a_paused_system(systems, site):
	shop = systems.new()
	placed = shop.http.post("orders.create", order()).order
	shop.change(paused=1)
	before, body = len(site.log_rows(shop.name)), order()
	with expect.nothing_made("Hub Request"):
		answer = shop.http.post("orders.create", body)
	assert expect.problem(answer, 503, "paused", [])["retryable"] is True
	assert answer.headers["Retry-After"] == "60"
	expect.only_turned_away(shop.name, before, 503, "paused")
	assert shop.http.get("orders.get", external_id=placed["external_id"]).order["name"] == placed["name"]
	shop.change(paused=0)
	assert shop.http.post("orders.create", body).status == 201


def test_a_paused_site(hub, site):
	with site.settings("Hub Settings", paused=1, pause_message="Back at noon"):
		with expect.nothing_made("Hub Request"):
			answer = hub.post("orders.create", order())
		assert hub.get("system.ping").status == 200
	assert expect.problem(answer, 503, "paused", [])["detail"] == "Back at noon"
	assert answer.headers["Retry-After"] == "60"
	assert hub.post("orders.create", order()).status == 201


# -- the token outside the hub --------------------------------------------------------------------------------------

OUTSIDE = [
	("GET", "/api/resource/Sales Order"),
	("GET", "/api/resource/User"),
	("POST", "/api/resource/Journal Entry"),
	("GET", "/api/v1/resource/Sales Order"),
	("GET", "/api/v2/document/Sales Order"),
	("GET", "/api/method/frappe.client.get_list?doctype=User"),
	("POST", "/api/method/frappe.client.insert"),
	("GET", "/api/method/frappe.auth.get_logged_user"),
	("GET", "/api/v2/method/frappe.auth.get_logged_user"),
	("POST", "/api/method/run_doc_method"),
	("GET", "/api/method/integration_hubx.api.v1.system.ping"),
	("GET", "//api/resource/User"),
	("GET", "/app"),
	("GET", "/desk"),
	("GET", "/app/sales-order"),
	("GET", "/"),
	("GET", "/?cmd=frappe.client.get_count&doctype=User"),
	("POST", "/?cmd=integration_hub.api.v1.orders.create"),
	("GET", "/printview?doctype=Sales Order&name=x"),
	("GET", "/private/files/x.png"),
]


@pytest.mark.parametrize(("method", "path"), OUTSIDE, ids=lambda value: value)
def test_the_token_opens_nothing_else(method, path, doors, site):
	with expect.nothing_made("Hub Request", "Journal Entry"):
		answer = doors.http.send(method, path, {} if method == "POST" else None)
	expect.problem(answer, 403, CLOSED, [])


@pytest.mark.parametrize("path", ["/api/method/upload_file", "/api/v2/method/upload_file"])
@pytest.mark.parametrize("form", [False, True], ids=["JSON", "form"])
@pytest.mark.parametrize(
	"smuggled",
	[
		{"cmd": "frappe.auth.get_logged_user"},
		{"method": "frappe.auth.get_logged_user"},
	],
	ids=["cmd", "method"],
)
def test_file_upload_is_no_way_around(smuggled, form, path, doors, site):
	"""Frappe calls the method named in `cmd` instead of the URL's, and upload_file the one named in `method`."""
	with expect.nothing_made("File"):
		answer = doors.http.raw("POST", path, smuggled) if form else doors.http.send("POST", path, smuggled)
	expect.problem(answer, 403, CLOSED, [])


def test_a_query_of_file_upload_is_no_way_around(doors):
	answer = doors.http.send("GET", "/api/method/upload_file?cmd=frappe.client.get_count&doctype=User")
	expect.problem(answer, 403, CLOSED, [])


def test_files_may_be_uploaded(doors, site):
	name = f"{unique('note')}.txt"
	answer = doors.http.raw(
		"POST",
		"/api/method/upload_file",
		files={"file": (name, b"from the tests", "text/plain")},
		data={"is_private": "1"},
	)
	assert answer.status == 200, answer
	site.refresh()
	file = frappe.get_doc("File", answer.message["name"])
	assert (file.owner, file.is_private, file.get_content()) == (doors.user, 1, "from the tests")
	frappe.delete_doc("File", file.name, ignore_permissions=True)
	frappe.db.commit()


def test_frappes_api_can_be_opened_to_a_system(systems):
	shop = systems.new(allow_frappe_api=1)
	name = shop.http.post("orders.create", order()).order["name"]
	assert shop.http.send("GET", f"/api/resource/Sales Order/{name}").body["data"]["name"] == name
	assert shop.http.send("GET", "/api/method/frappe.auth.get_logged_user").message == shop.user
	shop.change(allow_frappe_api=0)
	expect.problem(shop.http.send("GET", f"/api/resource/Sales Order/{name}"), 403, CLOSED)


def test_other_users_are_not_concerned(people):
	person = people.new("Sales User")
	assert person.http.send("GET", "/api/resource/Sales Order").status == 200
	assert person.http.send("GET", "/api/method/frappe.auth.get_logged_user").message == person.name


# -- paths and methods ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
@pytest.mark.parametrize("verb", ["orders.create", "orders.cancel", "requests.retry"])
def test_writes_are_posted(verb, method, hub):
	answer = hub.send(method, path_of(verb))
	assert answer.status == 405, answer
	if method != "HEAD":
		expect.problem(answer, 405, "method_not_allowed", [])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("verb", ["orders.get", "requests.get", "system.ping", "system.openapi"])
def test_reads_are_got(verb, method, hub):
	expect.problem(hub.send(method, path_of(verb), {}), 405, "method_not_allowed", [])


@pytest.mark.parametrize(
	"path",
	[
		"integration_hub.api.v1.orders.destroy",
		"integration_hub.api.v1.nothing.here",
		"integration_hub.api.v1.orders",
		"integration_hub.api.v2.orders.create",
		"integration_hub.api.",
	],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_does_not_exist(method, path, hub):
	expect.problem(hub.send(method, f"/api/method/{path}", {}), 404, "not_found", [])


@pytest.mark.parametrize(
	"path",
	[
		"integration_hub.core.intake.receive",
		"integration_hub.core.credentials.rotate",
		"integration_hub.tasks.drain",
		"integration_hub.hooks.app_name",
		"integration_hub.",
	],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_hubs_insides_are_no_calls(method, path, hub):
	answer = hub.send(method, f"/api/method/{path}", {})
	assert answer.status in (403, 404), answer
	expect.problem(answer, answer.status, answer.code, [])


@pytest.mark.parametrize("prefix", ["/api/method/", "/api/v1/method/", "/api/v2/method/"])
def test_every_form_of_the_path_is_the_same_door(prefix, hub):
	path = f"{prefix}integration_hub.api.v1."
	assert hub.send("GET", path + "system.ping").message["system"]
	body = order()
	first = hub.send("POST", path + "orders.create", body)
	assert first.status == 201, first
	assert hub.post("orders.create", body).content == first.content
	for smuggled in ("cmd", "fn", "doctype"):
		answer = hub.send("POST", path + "orders.create", order(**{smuggled: "frappe.client.insert"}))
		expect.problem(answer, 422, "validation_failed", [f"/{smuggled}"])
	answer = hub.raw("POST", path + "orders.create", b"{", {"Content-Type": "application/json"})
	expect.problem(answer, 400, "malformed_json")
	expect.problem(hub.send("GET", path + "orders.create"), 405, "method_not_allowed")
	expect.problem(hub.send("POST", path + "orders.destroy", {}), 404, "not_found")
	expect.problem(
		hub.raw("GET", path + "system.ping", headers={"Authorization": None}), 401, "not_authenticated"
	)


def test_a_slash_at_the_end(hub):
	assert hub.send("GET", path_of("system.ping") + "/").message["system"]
	assert hub.send("POST", path_of("orders.create") + "/", order()).status == 201


def test_head_of_a_read(hub):
	"""Frappe lets a method that takes GET have no HEAD."""
	answer = hub.send("HEAD", path_of("system.ping"))
	assert (answer.status, answer.content) == (405, b"")
	assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize("verb", ["orders.create", "orders.get"])
def test_options_does_nothing(verb, hub):
	with expect.nothing_made("Hub Request"):
		answer = hub.send("OPTIONS", path_of(verb))
	expect.problem(answer, 405, "method_not_allowed", [])


def test_browsers_of_other_sites_are_not_let_in(hub):
	for method in ("GET", "OPTIONS"):
		answer = hub.raw(
			method,
			path_of("system.ping"),
			headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"},
		)
		assert not [name for name in answer.headers if name.lower().startswith("access-control-allow")]


# -- what a body and a query may be ---------------------------------------------------------------------------------


def test_query_parameters_of_a_write_mean_nothing(shop, hub, site):
	body = order()
	query = "?cmd=frappe.client.insert&external_id=OTHER&fn=x&method=frappe.ping&run_method=x"
	answer = hub.send("POST", path_of("orders.create") + query, body)
	assert answer.status == 201, answer
	assert answer.order["external_id"] == body["external_id"]


def test_a_body_of_a_read_means_nothing(hub):
	placed = hub.post("orders.create", order()).order
	answer = hub.send(
		"GET",
		f"{path_of('orders.get')}?external_id={placed['external_id']}",
		{"cmd": "frappe.auth.get_logged_user", "external_id": "OTHER"},
	)
	assert answer.order["name"] == placed["name"]


def test_a_form_is_no_order(hub):
	with expect.nothing_made("Hub Request"):
		answer = hub.raw("POST", path_of("orders.create"), {"external_id": "A", "cmd": "frappe.ping"})
		files = hub.raw("POST", path_of("orders.create"), files={"file": ("a", b"{}")})
	expect.problem(answer, 400, "malformed_json", [])
	expect.problem(files, 400, "malformed_json", [])


def test_a_compressed_body_is_not_guessed_at(hub):
	with expect.nothing_made("Hub Request"):
		answer = hub.raw(
			"POST",
			path_of("orders.create"),
			gzip.compress(json.dumps(order()).encode()),
			{"Content-Type": "application/json", "Content-Encoding": "gzip"},
		)
	expect.problem(answer, 400, "malformed_json", [])


def test_a_body_in_chunks(hub):
	body = json.dumps(order()).encode()
	answer = hub.raw(
		"POST",
		path_of("orders.create"),
		iter([body[:20], body[20:]]),
		{"Content-Type": "application/json"},
	)
	assert answer.status == 201, answer


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json; charset=utf-8"])
def test_an_order_is_an_order_under_any_content_type(content_type, hub):
	answer = hub.raw("POST", path_of("orders.create"), json.dumps(order()), {"Content-Type": content_type})
	assert answer.status == 201, answer


@pytest.mark.parametrize("accept", ["text/html", "*/*", None])
def test_problems_are_json_for_everybody(accept, hub, anonymous):
	headers = {"Accept": accept, "Content-Type": "application/json"}
	path = path_of("orders.create")
	expect.problem(hub.raw("POST", path, b"{", headers), 400, "malformed_json")
	expect.problem(hub.raw("GET", path, headers=headers), 405, "method_not_allowed")
	expect.problem(anonymous.raw("POST", path, b"{}", headers), 401, "not_authenticated")


# -- headers of every answer ----------------------------------------------------------------------------------------

GIVEN = "4bf92f35-77b3:4da6/a3ce.929d"


def test_the_correlation_id_comes_back(hub, anonymous):
	given = {"X-Request-Id": GIVEN}
	path = path_of("orders.create")
	body = json.dumps(order())
	for answer in (
		hub.raw("POST", path, body, given),
		hub.raw("POST", path, b"{", given),
		hub.raw("GET", path, headers=given),
		hub.get("system.ping", headers=given),
		hub.get("orders.get", headers=given, external_id="NOPE"),
		hub.raw("GET", "/api/resource/User", headers=given),
		anonymous.raw("POST", path, body, given),
	):
		assert answer.headers["X-Request-Id"] == GIVEN, answer


def test_a_correlation_id_is_made_where_there_is_none(hub):
	made = {hub.get("system.ping").headers["X-Request-Id"] for _call in range(3)}
	assert len(made) == 3 and all(made)


@pytest.mark.parametrize("given", ["", "a b", "x" * 141, "ü", "a\tb", '"><script>'.ljust(150, "x")])
def test_a_strange_correlation_id_is_replaced(given, hub):
	for answer in (
		hub.get("system.ping", headers={"X-Request-Id": given}),
		hub.raw("POST", path_of("orders.create"), b"{", {"X-Request-Id": given}),
	):
		assert answer.headers["X-Request-Id"] not in ("", given)


def test_a_correlation_id_of_140_characters_is_kept(shop, hub, site):
	given = unique("corr").ljust(140, "x")
	body = order()
	assert hub.post("orders.create", body, X_Request_Id=given).headers["X-Request-Id"] == given
	[request] = site.request_of(shop.name, body["external_id"])
	[row] = site.log_rows(shop.name, hub_request=request.name)
	assert request.request_id == row.request_id == given


# -- how much -------------------------------------------------------------------------------------------------------


def within_one_minute(systems, act):
	"""Run `act` with a system of its own until all of it falls into one minute of the limit."""
	for _try in range(3):
		shop = systems.new(rate_limit_per_minute=3)
		minute = int(time.time()) // 60
		result = act(shop)
		if int(time.time()) // 60 == minute:
			return shop, result
	raise AssertionError("three minutes ended in the middle of a few calls")


def test_the_limit_of_calls(systems, site):
	def act(shop):
		return [
			shop.http.get("system.ping"),
			shop.http.post("orders.create", b"{"),
			shop.http.post("orders.create", order()),
			shop.http.post("orders.create", order()),
			shop.http.get("system.ping"),
		]

	shop, answers = within_one_minute(systems, act)
	assert [answer.status for answer in answers] == [200, 400, 201, 429, 429]
	assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
	for answer in answers:
		assert answer.headers["X-RateLimit-Limit"] == "3"
		assert 1 <= int(answer.headers["X-RateLimit-Reset"]) <= 60
	refused = answers[3]
	assert expect.problem(refused, 429, "rate_limited", [])["retryable"] is True
	assert refused.headers["Retry-After"] == refused.headers["X-RateLimit-Reset"]
	rows = [row.hub_error_code for row in site.log_rows(shop.name, status="Failed")]
	assert sorted(rows) == ["malformed_json", "rate_limited", "rate_limited"]


def test_without_a_limit_there_are_no_headers_of_one(hub):
	answer = hub.get("system.ping")
	assert not [name for name in answer.headers if name.lower().startswith("x-ratelimit")]


# -- from where -----------------------------------------------------------------------------------------------------


def forwarded(client, value: str | None):
	return client.get("system.ping", headers={"X-Forwarded-For": value})


@pytest.mark.parametrize(
	("allowed", "status"),
	[
		("", 200),
		("127.0.0.1", 200),
		("203.0.113.7\n127.0.0.0/8", 200),
		("::1\n127.0.0.1/32", 200),
		("203.0.113.0/24", 403),
		("2001:db8::/32", 403),
	],
)
def test_allowed_addresses(allowed, status, doors):
	doors.change(allowed_addresses=allowed)
	try:
		answer = doors.http.get("system.ping")
	finally:
		doors.change(allowed_addresses="")
	assert answer.status == status, answer
	if status == 403:
		assert "127.0.0.1" in expect.problem(answer, 403, "address_not_allowed", [])["detail"]


def test_a_refused_address_is_on_record(systems, site):
	shop = systems.new(allowed_addresses="203.0.113.7")
	with expect.nothing_made("Hub Request"):
		expect.problem(shop.http.post("orders.create", order()), 403, "address_not_allowed")
	expect.only_turned_away(shop.name, 0, 403, "address_not_allowed")


@pytest.fixture(scope="module")
def fenced(systems):
	"""A system that may call from 203.0.113.0/24 only."""
	return systems.new(allowed_addresses="203.0.113.0/24")


def test_nobody_is_believed_about_its_address(fenced):
	for value in ("203.0.113.7", "203.0.113.7, 127.0.0.1", "127.0.0.1, 203.0.113.7"):
		expect.problem(forwarded(fenced.http, value), 403, "address_not_allowed")


def test_a_stranger_as_proxy_is_not_believed(fenced, site):
	with site.settings("Hub Settings", trusted_proxies="198.51.100.1"):
		expect.problem(forwarded(fenced.http, "203.0.113.7"), 403, "address_not_allowed")


@pytest.mark.parametrize(
	("value", "status"),
	[
		("203.0.113.7", 200),
		("198.51.100.9, 203.0.113.7", 200),
		("203.0.113.7, 127.0.0.1", 200),
		("203.0.113.7, 10.1.2.3, 127.0.0.1", 200),
		("203.0.113.7,10.1.2.3", 200),
		("::ffff:203.0.113.7", 200),
		("203.0.113.7, 198.51.100.9", 403),
		("198.51.100.9", 403),
		("203.0.113.7, nonsense", 403),
		("nonsense", 403),
		("", 403),
		(None, 403),
	],
)
def test_a_trusted_proxy_says_where_a_call_comes_from(value, status, fenced, site):
	with site.settings("Hub Settings", trusted_proxies="127.0.0.1\n10.0.0.0/8"):
		assert forwarded(fenced.http, value).status == status


# -- system.* -------------------------------------------------------------------------------------------------------


def test_ping(doors):
	answer = doors.http.get("system.ping")
	assert answer.status == 200, answer
	told = answer.message
	now = datetime.fromisoformat(told.pop("time"))
	assert now.tzinfo and abs(now.timestamp() - time.time()) < 30
	assert told == {"system": doors.name, "app_version": __version__, "frappe_version": frappe.__version__}
