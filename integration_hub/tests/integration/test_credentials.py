"""The user and the secrets of a Connected System: just what it needs, shown once, readable nowhere."""

import json

import pytest

import frappe
from frappe.core.doctype.user_permission.user_permission import get_user_permissions

from integration_hub.constants.roles import MANAGER
from integration_hub.constants.scopes import SCOPES
from integration_hub.core import credentials
from integration_hub.tests import expect
from integration_hub.tests.factories import order, unique
from integration_hub.tests.stack import Http

DOCTYPE = "Hub Connected System"


def scopes(*names: str) -> list[dict]:
	return [{"scope": name} for name in names]


def roles_of(user: str) -> set[str]:
	frappe.db.rollback()
	return set(frappe.get_all("Has Role", filters={"parent": user, "parenttype": "User"}, pluck="role"))


def companies_of(user: str) -> list[str]:
	frappe.db.rollback()
	return frappe.get_all(
		"User Permission", filters={"user": user, "allow": "Company"}, pluck="for_value", order_by="creation"
	)


def rotate(shop, overlap_hours: float) -> Http:
	"""Rotate the secret and return a client with the new one."""
	frappe.db.rollback()
	made = credentials.rotate(shop.name, overlap_hours)
	frappe.db.commit()
	return Http(shop.http.stack, f"{made.api_key}:{made.api_secret}")


def is_let_in(http: Http) -> bool:
	answer = http.get("system.ping")
	if answer.status != 200:
		expect.problem(answer, 401, "not_authenticated", [])
	return answer.status == 200


# -- the user -------------------------------------------------------------------------------------------------------


SELLING = {"Sales User", "Stock User", "Accounts User"}


@pytest.mark.parametrize(
	("given", "policy", "roles"),
	[
		(["orders:read"], "Reject", {"Sales User"}),
		(["orders:read", "orders:write"], "Reject", {"Sales User"}),
		(["orders:write"], "Create", {"Sales User", "Item Manager"}),
		(["orders:read"], "Create", {"Sales User"}),
		(["sales:read"], "Reject", {"Sales User"}),
		(["sales:write"], "Reject", SELLING),
		(["sales:cancel"], "Reject", {*SELLING, "Accounts Manager"}),
		(["requests:read", "requests:write", "system:read"], "Reject", set()),
		(list(SCOPES), "Reject", {*SELLING, "Accounts Manager"}),
	],
)
def test_the_user_gets_just_the_roles_its_scopes_need(given, policy, roles, systems, masters):
	shop = systems.new(scopes=scopes(*given), unknown_item_policy=policy)
	assert roles_of(shop.user) == roles
	assert companies_of(shop.user) == [masters.company]
	user = frappe.get_doc("User", shop.user)
	assert (user.enabled, user.user_type == "System User" or not roles) == (1, True)
	assert shop.http.get("system.ping").message["system"] == shop.name


def test_roles_follow_the_scopes(systems):
	shop = systems.new(scopes=scopes("orders:read"))
	shop.change(scopes=scopes("orders:read", "orders:write", "sales:write"))
	assert roles_of(shop.user) == SELLING
	shop.change(unknown_item_policy="Create", stock_uom="Nos", item_group="Products")
	assert roles_of(shop.user) == {*SELLING, "Item Manager"}
	shop.change(scopes=scopes("system:read"), unknown_item_policy="Reject")
	assert roles_of(shop.user) == set()
	expect.problem(shop.http.post("orders.create", order()), 403, "scope_missing")


def test_a_role_somebody_added_stays(systems):
	shop = systems.new(scopes=scopes("orders:read"))
	frappe.get_doc("User", shop.user).add_roles("Support Team")
	frappe.db.commit()
	shop.change(scopes=scopes("requests:read"))
	assert roles_of(shop.user) == {"Support Team"}


def test_the_restriction_follows_the_company(systems, factory):
	other = factory.make(
		"Company",
		company_name=unique("HT Moved"),
		abbr=unique("M")[-8:],
		default_currency="USD",
		country="United States",
	)
	maps = {name: [] for name in ("charge_map", "tax_map", "payment_method_map", "warehouse_map")}
	shop = systems.new(warehouse=None, **maps)
	shop.change(company=other.name)
	assert companies_of(shop.user) == [other.name]
	assert [row.doc for row in get_user_permissions(shop.user)["Company"]] == [other.name]
	warehouse = frappe.db.get_value("Warehouse", {"company": other.name, "is_group": 0})
	answer = shop.http.post("orders.create", order(lines=[{**order()["lines"][0], "warehouse": warehouse}]))
	assert answer.status == 201, answer
	assert frappe.db.get_value("Sales Order", answer.order["name"], "company") == other.name


def test_a_system_has_one_user(systems, people):
	shop = systems.new()
	person = people.new("System Manager", MANAGER)
	answer = person.http.press(DOCTYPE, shop.name, "create_user")
	assert answer.status >= 400 and shop.user in answer.content.decode(), answer
	assert is_let_in(shop.http)


def test_only_a_system_manager_makes_users(site, masters, people):
	doc = frappe.get_doc(
		{
			"doctype": DOCTYPE,
			"slug": unique("ht").lower(),
			"title": "HT",
			"kind": "Shop",
			"company": masters.company,
			"scopes": scopes("orders:read"),
		}
	).insert()
	frappe.db.commit()
	refused = people.new(MANAGER).http.press(DOCTYPE, doc.name, "create_user")
	assert (refused.status, refused.body["exc_type"]) == (403, "PermissionError"), refused
	assert "Only a System Manager can create users" in refused.content.decode()
	site.refresh()
	assert frappe.db.get_value(DOCTYPE, doc.name, "user") is None
	made = people.new("System Manager", MANAGER).http.press(DOCTYPE, doc.name, "create_user")
	assert made.status == 200, made
	site.owners.append(made.message["user"])
	assert set(made.message) == {"user", "api_key", "api_secret"}


def test_a_manager_who_is_no_system_manager_is_told_about_scopes(systems, people):
	"""Roles are given by a System Manager: the change is made with its roles, or refused in clear words."""
	shop = systems.new(scopes=scopes("orders:read"))
	answer = people.new(MANAGER).http.send(
		"PUT",
		f"/api/resource/{DOCTYPE}/{shop.name}",
		{"scopes": scopes("orders:read", "sales:write")},
	)
	has = {row.scope for row in shop.doc.scopes}
	if answer.status == 200:
		assert has == {"orders:read", "sales:write"}
		assert roles_of(shop.user) == SELLING
	else:
		assert answer.status == 403 and "System Manager" in answer.content.decode(), answer
		assert (has, roles_of(shop.user)) == ({"orders:read"}, {"Sales User"})


# -- secrets --------------------------------------------------------------------------------------------------------


def test_rotation_with_an_overlap(systems, site):
	shop = systems.new()
	new = rotate(shop, 1)
	assert new.token != shop.token and new.token.split(":")[0] == shop.token.split(":")[0]
	assert is_let_in(shop.http) and is_let_in(new)
	body = order()
	assert shop.http.post("orders.create", body).status == 201
	assert new.post("orders.create", body).headers["Idempotent-Replayed"] == "true"
	site.set_row(DOCTYPE, shop.name, previous_secret_valid_until=("UTC", -1))
	assert (is_let_in(shop.http), is_let_in(new)) == (False, True)


def test_the_overlap_ends_by_itself(systems, site):
	shop = systems.new()
	new = rotate(shop, 3 / 3600)
	site.wait_for("the old secret is dead", lambda: not is_let_in(shop.http), 15)
	assert is_let_in(new)


def test_rotation_without_an_overlap(systems):
	shop = systems.new()
	new = rotate(shop, 0)
	assert (is_let_in(shop.http), is_let_in(new)) == (False, True)


def test_a_second_rotation_ends_the_first_secret(systems):
	shop = systems.new()
	second = rotate(shop, 1)
	third = rotate(shop, 1)
	assert (is_let_in(shop.http), is_let_in(second), is_let_in(third)) == (False, True, True)
	fourth = rotate(shop, 0)
	assert (is_let_in(second), is_let_in(third), is_let_in(fourth)) == (False, False, True)


def test_a_saved_system_keeps_its_secrets(systems):
	shop = systems.new()
	new = rotate(shop, 1)
	shop.change(title="Saved in the Desk")
	assert is_let_in(shop.http) and is_let_in(new)


def test_the_old_secret_opens_no_more_than_the_new_one(systems):
	shop = systems.new()
	rotate(shop, 1)
	expect.problem(shop.http.send("GET", "/api/resource/User"), 403, "frappe_api_closed")
	wrong = Http(shop.http.stack, shop.token[:-1] + ("a" if shop.token[-1] != "a" else "b"))
	assert not is_let_in(wrong)


def test_revocation(systems):
	shop = systems.new()
	new = rotate(shop, 1)
	frappe.db.rollback()
	credentials.revoke(shop.name)
	frappe.db.commit()
	assert (is_let_in(shop.http), is_let_in(new)) == (False, False)
	again = rotate(shop, 1)
	assert (is_let_in(shop.http), is_let_in(new), is_let_in(again)) == (False, False, True)


@pytest.mark.parametrize("hours", [-1, 721])
def test_an_overlap_is_0_to_720_hours(hours, systems, people):
	shop = systems.like(totals_tolerance=0.002)
	person = people.new(MANAGER)
	answer = person.http.press(DOCTYPE, shop.name, "rotate_secret", overlap_hours=hours)
	assert answer.status == 417 and "720" in answer.content.decode(), answer
	assert is_let_in(shop.http)


# -- where a secret must not be -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def used(systems, people):
	"""A system whose secrets went everywhere a secret goes: used, mistaken, rotated, saved."""
	shop = systems.new(log_reads=1)
	new = rotate(shop, 1)
	for http in (shop.http, new):
		http.post("orders.create", order())
		http.post("orders.create", b"{")
		http.post("orders.create", order(note="x", customer={"name": "Nobody"}))
		http.get("system.ping")
		http.send("GET", "/api/resource/User")
	shop.change(title="Saved after a rotation")
	return shop, [shop.token.split(":")[1], new.token.split(":")[1]]


def test_no_row_of_the_database_holds_a_secret(used, site):
	site.refresh()
	found = [place for secret in used[1] for place in places_of(secret)]
	assert found == []


def places_of(text: str) -> list[str]:
	"""Return the tables of the site that hold a text in the clear."""
	columns = frappe.db.sql(
		"""SELECT table_name, group_concat(concat('`', column_name, '`')) FROM information_schema.columns
		WHERE table_schema = DATABASE() AND data_type IN ('varchar', 'text', 'mediumtext', 'longtext', 'char', 'json')
		GROUP BY table_name"""
	)
	return [
		table
		for table, names in columns
		if frappe.db.sql(
			f"SELECT 1 FROM `{table}` WHERE concat_ws(' ', {names}) LIKE %s LIMIT 1", (f"%{text}%",)
		)
	]


def test_the_search_for_secrets_finds_what_is_there(used):
	assert f"tab{DOCTYPE}" in places_of(used[0].token.split(":")[0])


def test_nobody_reads_a_secret_through_rest(used, people):
	shop, secrets = used
	person, manager = people.new("System Manager", MANAGER), people.new(MANAGER)
	answers = [
		person.http.send("GET", f"/api/resource/{DOCTYPE}/{shop.name}"),
		person.http.send("GET", f"/api/resource/User/{shop.user}"),
		person.http.send("GET", f'/api/resource/{DOCTYPE}?fields=["*"]'),
		person.http.send(
			"GET", f"/api/method/frappe.desk.form.load.getdoc?doctype={DOCTYPE}&name={shop.name}"
		),
		manager.http.send(
			"GET",
			f"/api/method/frappe.client.get_password?doctype={DOCTYPE}&name={shop.name}&fieldname=previous_api_secret",
		),
	]
	assert [answer.status for answer in answers[:4]] == [200] * 4
	for answer in answers:
		for secret in secrets:
			assert secret not in answer.content.decode()


def test_no_document_holds_a_secret(used, site):
	shop, secrets = used
	for doctype, name in ((DOCTYPE, shop.name), ("User", shop.user)):
		text = json.dumps(frappe.get_doc(doctype, name).as_dict(), default=str)
		expect.free_of({"doc": text}, *secrets)
	cached = frappe.get_cached_doc(DOCTYPE, shop.name).as_dict()
	expect.free_of(cached, *secrets)


def test_no_log_file_holds_a_secret(used, stack):
	folders = [stack.bench / "logs", stack.bench / "sites" / stack.site / "logs"]
	files = [path for folder in folders for path in folder.glob("*.log*") if path.is_file()]
	for secret in used[1]:
		assert [path for path in files if secret.encode() in path.read_bytes()] == []
