"""Who may import whom, and who may do what: the rules of the architecture, read in the syntax tree."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import integration_hub

ROOT = Path(integration_hub.__file__).parent
APP = "integration_hub"

# Layers from top to bottom; each may import itself and what stands below it.
LAYERS = (
	{"hooks"},
	{"api", "www", "tasks", "commands", "controllers", "install", "uninstall", "permissions"},
	{"inbound", "outbound", "openapi", "setup"},
	{"documents"},
	{"mapping"},
	{"schemas"},
	{"core"},
	{"constants", "exceptions", "compat", "__init__"},
)
MAY_IMPORT_ERPNEXT = {"inbound", "documents", "setup", "tests"}
TRANSACTIONS = {
	*(f"core/{name}.py" for name in ("intake", "transaction", "work", "queue", "retention")),
	*(f"outbound/{name}.py" for name in ("alerts", "delivery", "stock", "stream", "trial", "upkeep")),
}
LONGEST_FUNCTION = 60


def _files(tests: bool = False) -> list[Path]:
	found = sorted(path for path in ROOT.rglob("*.py") if "node_modules" not in path.parts)
	return [path for path in found if tests or "tests" not in path.relative_to(ROOT).parts]


def name(path: Path) -> str:
	return path.relative_to(ROOT).as_posix()


PRODUCT = [name(path) for path in _files()]


@cache
def tree(file: str) -> ast.Module:
	return ast.parse((ROOT / file).read_text(), file)


def layer(file: str) -> str:
	"""Return the layer of a file: its package, or its own name at the top."""
	first = file.split("/")[0].removesuffix(".py")
	return "controllers" if first == APP else first


def rank(of: str) -> int:
	return next(index for index, names in enumerate(LAYERS) if of in names)


def imports(file: str) -> set[str]:
	"""Return the dotted names a file imports, wherever in the file."""
	found = set()
	for node in ast.walk(tree(file)):
		if isinstance(node, ast.Import):
			found |= {alias.name for alias in node.names}
		elif isinstance(node, ast.ImportFrom):
			assert not node.level, f"{file}: relative import"
			found |= {f"{node.module}.{alias.name}" for alias in node.names}
	return found


def own_imports(file: str) -> set[str]:
	"""Return what a file imports of this app, without the app's name."""
	return {dotted.removeprefix(APP + ".") for dotted in imports(file) if dotted.split(".")[0] == APP}


def calls(file: str) -> list[tuple[str, ast.Call]]:
	"""Return (dotted text of the function, node) of every call."""
	return [(ast.unparse(node.func), node) for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]


def files_calling(*functions: str) -> set[str]:
	return {file for file in PRODUCT if any(called in functions for called, _node in calls(file))}


def test_every_file_has_a_layer():
	"""A new package must find its place among the layers."""
	assert {layer(file) for file in PRODUCT} <= set().union(*LAYERS)


@pytest.mark.parametrize("file", PRODUCT)
def test_layers_import_downwards(file):
	own = rank(layer(file))
	upwards = {
		dotted
		for dotted in own_imports(file)
		if not dotted.startswith("__") and rank(layer(dotted.replace(".", "/"))) < own
	}
	assert upwards == set()


@pytest.mark.parametrize("file", PRODUCT)
def test_erpnext_is_imported_where_documents_are_made(file):
	erpnext = {dotted for dotted in imports(file) if dotted.split(".")[0] == "erpnext"}
	assert not erpnext or layer(file) in MAY_IMPORT_ERPNEXT


def test_inbound_and_outbound_never_meet():
	for file in PRODUCT:
		other = {"inbound": "outbound", "outbound": "inbound"}.get(layer(file))
		assert not {dotted for dotted in own_imports(file) if dotted.split(".")[0] == other}, file


def test_api_imports_the_door_alone():
	endpoints = [file for file in PRODUCT if layer(file) == "api"]
	assert len(endpoints) > 3
	for file in endpoints:
		assert own_imports(file) <= {"core.intake"}, file


def test_nothing_imports_api():
	assert not [file for file in PRODUCT if any(d.split(".")[0] == "api" for d in own_imports(file))]


def test_commit_stands_in_one_place():
	assert files_calling("frappe.db.commit") == {"core/sql.py"}
	assert files_calling("sql.commit") <= TRANSACTIONS
	assert "core/work.py" in files_calling("sql.commit")


def test_transactions_are_begun_and_rolled_back_in_the_door():
	allowed = TRANSACTIONS | {"compat.py"}
	ends = files_calling("frappe.db.rollback", "frappe.db.begin", "frappe.db.savepoint")
	assert ends <= allowed
	assert "core/transaction.py" in ends


def test_nobody_ends_a_transaction_by_sql():
	"""`commit` and friends as text would pass every guard."""
	words = ("commit", "rollback", "start transaction", "begin")
	for file in PRODUCT:
		for called, node in calls(file):
			if called.rpartition(".")[2] in ("sql", "run", "changes", "multisql") and node.args:
				query = node.args[0]
				text = query.value if isinstance(query, ast.Constant) and isinstance(query.value, str) else ""
				assert not text.strip().lower().startswith(words), f"{file}: {text}"


def test_users_are_changed_in_one_place():
	assert files_calling("frappe.set_user", "set_user") == {"core/context.py"}


def test_permissions_are_ignored_for_the_hubs_own_alone():
	"""Whoever adds one here says why: business documents are made with the system user's own permissions."""
	found = set()
	for file in PRODUCT:
		for node in ast.walk(tree(file)):
			if isinstance(node, ast.FunctionDef) and _ignores_permissions(node):
				found.add((file, node.name))
	assert found == {
		# Roles are the site's, made on install.
		("setup/__init__.py", "_make_roles"),
		# The User Permission that restricts a system's user.
		("core/credentials.py", "_restrict"),
		# A system's own webhooks, by its scope.
		("outbound/webhooks.py", "create"),
		("outbound/webhooks.py", "update"),
		("outbound/webhooks.py", "delete"),
	}


def _ignores_permissions(function: ast.FunctionDef) -> bool:
	# ERPNext's mappers switch permissions off; what switches them on again is welcome.
	restored = {
		target
		for node in ast.walk(function)
		if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value is False
		for target in node.targets
	}
	for node in ast.walk(function):
		if node in restored:
			continue
		if isinstance(node, ast.keyword) and node.arg == "ignore_permissions":
			return True
		if (
			isinstance(node, ast.Attribute)
			and node.attr == "ignore_permissions"
			and isinstance(node.ctx, ast.Store)
		):
			return True
		if isinstance(node, ast.Constant) and node.value == "ignore_permissions":
			return True
	return False


def test_nothing_is_evaluated():
	forbidden = {"eval", "exec", "compile", "__import__", "frappe.safe_eval", "safe_eval", "safe_exec"}
	assert files_calling(*forbidden) == set()


def test_nothing_of_frappe_is_patched_or_overridden():
	"""No class overrides in the hooks; attributes of Frappe are set on the live connection alone, by compat."""
	names = {
		target.id for node in tree("hooks.py").body if isinstance(node, ast.Assign) for target in node.targets
	}
	assert not {hook for hook in names if hook.startswith("override_") or hook.startswith("extend_")}
	assert files_calling("setattr") == {"compat.py"}


def test_hooks_hold_literals():
	for node in tree("hooks.py").body:
		assert isinstance(node, ast.Assign), ast.unparse(node)
		ast.literal_eval(node.value)


PURE = [
	file for file in PRODUCT if "Pure." in (ast.get_docstring(tree(file)) or "").replace("Pure;", "Pure.")
]


def test_pure_modules_are_known():
	assert set(PURE) >= {
		"core/cursor.py",
		"core/payload.py",
		"core/problem.py",
		"core/redaction.py",
		"core/retry.py",
		"core/signing.py",
		"outbound/breaker.py",
		"outbound/schedule.py",
	}
	# Maps and conditions are decided without a site: all of mapping is pure.
	mapping = {file for file in PRODUCT if layer(file) == "mapping" and not file.endswith("__init__.py")}
	assert len(mapping) > 5 and mapping <= set(PURE)


@pytest.mark.parametrize("file", PURE)
def test_pure_modules_run_without_frappe(file):
	"""Not even through what they import."""
	module = f"{APP}." + file.removesuffix(".py").replace("/", ".")
	code = (
		"import sys\n"
		"sys.modules.update({'frappe': None, 'erpnext': None})\n"
		f"import {module}\n"
		"assert not [m for m in sys.modules if m.startswith(('frappe.', 'erpnext.'))]\n"
	)
	run = subprocess.run(
		[sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, timeout=60
	)
	assert run.returncode == 0, run.stderr


def test_v15_and_v16_are_told_apart_in_one_place():
	"""Whoever asks for the version asks compat."""

	def asks(file: str) -> bool:
		return any(
			isinstance(node, ast.Compare) and "frappe.__version__" in ast.unparse(node)
			for node in ast.walk(tree(file))
		)

	assert {file for file in PRODUCT if asks(file)} == {"compat.py"}


@pytest.mark.parametrize("file", [name(path) for path in _files(tests=True)])
def test_functions_are_short(file):
	long = {
		node.name: node.end_lineno - node.lineno + 1
		for node in ast.walk(tree(file))
		if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
		and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
	}
	assert long == {}


def test_future_annotations_would_switch_frappes_checks_off():
	assert not [
		file for file in PRODUCT if layer(file) == "api" and "__future__.annotations" in imports(file)
	]
