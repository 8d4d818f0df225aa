"""Install, migrate twice, uninstall and install again, on a site of its own that is made and dropped by the test."""

import json
import os
import secrets

import pytest

pytestmark = pytest.mark.slow

APP = "integration_hub"
MODULE = "Integration Hub"

# What the hub may have put into other apps' places; written by a process of the site itself.
STATE = """
import json
def rows(doctype, filters, fields):
	found = frappe.get_all(doctype, filters=filters, fields=fields, limit_page_length=0)
	return sorted(json.dumps(row, default=str, sort_keys=True) for row in found)
ours = ("in", ("Integration Hub Manager", "Integration Hub User"))
tables = frappe.db.sql("SHOW TABLES", pluck=True)
state = {
	"custom fields": rows("Custom Field", {"fieldname": ("like", "hub_%")}, ["dt", "fieldname", "fieldtype", "options", "insert_after", "module", "search_index"]),
	"roles": rows("Role", {"name": ours}, ["name", "desk_access"]),
	"property setters": rows("Property Setter", {}, ["doc_type", "field_name", "property", "value"]),
	"permissions": rows("Custom DocPerm", {}, ["parent", "role", "permlevel", "read", "write", "create", "delete"]),
	"permissions of doctypes": rows("DocPerm", {"role": ours}, ["parent", "role", "read", "write", "create", "delete"]),
	"doctypes": rows("DocType", {"module": "Integration Hub"}, ["name"]),
	"modules": rows("Module Def", {"app_name": "integration_hub"}, ["name"]),
	"workspaces": rows("Workspace", {"module": "Integration Hub"}, ["name"]),
	"scheduled jobs": rows("Scheduled Job Type", {"method": ("like", "integration_hub.%")}, ["method", "frequency", "cron_format"]),
	"apps": "integration_hub" in frappe.get_installed_apps(),
	"indexes": sorted("/".join(map(str, row)) for table in tables if table.startswith("tabHub ") for row in frappe.db.sql(
		"SELECT table_name, index_name, seq_in_index, column_name, non_unique FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = %s", (table,))),
	"settings": sorted(map(str, frappe.db.sql("SELECT field, value FROM tabSingles WHERE doctype = 'Hub Settings' AND field NOT IN ('modified', 'creation')"))),
	"singles": frappe.db.count("DocType", {"name": "Hub Settings"}),
}
print("STATE" + json.dumps(state))
"""


@pytest.fixture(scope="module")
def fresh(stack):
	"""A site with Frappe and ERPNext; dropped at the end."""
	if not stack.db_root_user:
		pytest.fail("HUB_DB_ROOT_USER and HUB_DB_ROOT_PASSWORD are needed to make a site.", pytrace=False)
	site = f"hub-install-{secrets.token_hex(4)}.localhost"
	root = ("--db-root-username", stack.db_root_user, "--db-root-password", stack.db_root_password)
	plain = os.environ.get("HUB_TEST_PLAIN_SITE")
	stack.run(
		"new-site",
		site,
		*root,
		"--mariadb-user-host-login-scope=%",
		"--admin-password",
		secrets.token_hex(8),
		*(("--source-sql", plain) if plain else ("--install-app", "erpnext")),
		timeout=400,
	)
	yield site
	stack.run("drop-site", site, *root, "--no-backup", "--force", timeout=120)


def state_of(stack, site: str) -> dict:
	output = stack.run_python(STATE, site)
	return json.loads(next(line[5:] for line in output.splitlines() if line.startswith("STATE")))


def test_install_migrate_uninstall_and_again(stack, fresh):
	before = state_of(stack, fresh)
	assert before["custom fields"] == before["roles"] == [] and before["apps"] is False
	stack.run("install-app", APP, site=fresh)
	installed = state_of(stack, fresh)
	assert installed["apps"] is True and len(installed["roles"]) == 2 and len(installed["custom fields"]) > 20

	for _time in range(2):
		stack.run("migrate", "--skip-search-index", site=fresh)
		assert state_of(stack, fresh) == installed

	stack.run("uninstall-app", APP, "--yes", "--no-backup", site=fresh)
	assert state_of(stack, fresh) == before
	assert columns_of_ours(stack, fresh) == []

	stack.run("install-app", APP, site=fresh)
	assert state_of(stack, fresh) == installed


def columns_of_ours(stack, site: str) -> list[str]:
	"""Return rows that still speak of us; columns themselves are left in place by Frappe, empty of meaning."""
	output = stack.run_python(
		"""
for doctype in ("Custom Field", "Property Setter", "Custom DocPerm", "DocPerm", "Has Role", "Role", "Workspace", "Number Card",
	"Dashboard Chart", "Report", "Module Def", "Scheduled Job Type", "Singles", "DefaultValue", "Block Module", "DocType"):
	table = "tab" + doctype
	columns = [column for column in frappe.db.get_table_columns(doctype)] if doctype != "Singles" else ["doctype"]
	found = frappe.db.sql("SELECT 1 FROM `%s` WHERE concat_ws(' ', %s) LIKE '%%%%Integration Hub%%%%' LIMIT 1" % (table, ", ".join("`%s`" % c for c in columns)))
	if found:
		print("LEFT" + doctype)
""",
		site,
	)
	return [line[4:] for line in output.splitlines() if line.startswith("LEFT")]
