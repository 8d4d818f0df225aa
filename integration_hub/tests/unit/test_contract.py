"""Lists that stand in two places say the same in both."""

import ast
import json
import re
from pathlib import Path

import pytest

import integration_hub
from integration_hub import exceptions
from integration_hub.constants.scopes import SCOPES

ROOT = Path(integration_hub.__file__).parent
API = ROOT / "api" / "v1"


def literals(path: Path) -> dict:
	"""Return the module's assignments of literals."""
	found = {}
	for node in ast.parse(path.read_text()).body:
		if isinstance(node, ast.Assign):
			try:
				found[node.targets[0].id] = ast.literal_eval(node.value)
			except ValueError:
				pass
	return found


HOOKS = literals(ROOT / "hooks.py")
OPERATIONS = HOOKS["hub_operations"]


def test_scopes_are_the_options_of_the_desk():
	doctype = json.loads(
		(ROOT / "integration_hub/doctype/hub_system_scope/hub_system_scope.json").read_text()
	)
	[field] = [field for field in doctype["fields"] if field["fieldname"] == "scope"]
	assert field["options"].split("\n") == list(SCOPES)


def test_errors_md_lists_every_code_with_its_status():
	text = (ROOT.parent / "docs" / "errors.md").read_text()
	rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", text, re.MULTILINE)
	assert len(rows) == len(dict(rows)), "a code stands there twice"
	assert {code: int(status) for code, status in rows} == exceptions.all_codes()


def test_errors_md_has_the_anchor_each_type_links_to():
	text = (ROOT.parent / "docs" / "errors.md").read_text()
	assert [code for code in exceptions.all_codes() if f'<a id="{code}"></a>' not in text] == []


def endpoints() -> dict[str, tuple[str, str]]:
	"""Return `<area>.<verb>` → (HTTP method, operation it receives) of every whitelisted function."""
	found = {}
	for path in sorted(API.glob("[a-z]*.py")):
		for node in ast.parse(path.read_text()).body:
			if isinstance(node, ast.FunctionDef):
				[decorator] = node.decorator_list
				assert ast.unparse(decorator.func) == "frappe.whitelist"
				options = {keyword.arg: ast.literal_eval(keyword.value) for keyword in decorator.keywords}
				[call] = [
					n for n in ast.walk(node) if isinstance(n, ast.Call) and "receive" in ast.unparse(n.func)
				]
				found[f"{path.stem}.{node.name}"] = (options["methods"], ast.literal_eval(call.args[0]))
	return found


def test_endpoints_are_the_operations():
	assert set(endpoints()) == set(OPERATIONS)
	for verb, (_methods, operation) in endpoints().items():
		assert operation == verb


# Where something else than credentials says who calls.
OPEN = {"webhooks.receive"}


def test_endpoints_take_no_parameters_and_no_guests():
	for path in API.glob("[a-z]*.py"):
		for node in ast.parse(path.read_text()).body:
			if isinstance(node, ast.FunctionDef):
				assert not (node.args.args or node.args.kwonlyargs or node.args.vararg or node.args.kwarg)
				guests = "allow_guest" in ast.unparse(node.decorator_list[0])
				assert guests == (f"{path.stem}.{node.name}" in OPEN)
				assert ast.unparse(node.returns) == "Response"


@pytest.mark.parametrize(("verb", "path"), OPERATIONS.items())
def test_each_operation_is_where_the_hook_says(verb, path):
	module, _sep, attribute = path.rpartition(".")
	file = ROOT.parent / (module.replace(".", "/") + ".py")
	options = {}
	for node in ast.parse(file.read_text()).body:
		if isinstance(node, ast.Assign) and node.targets[0].id == attribute:
			options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.value.keywords}
	assert ast.literal_eval(options["name"]) == verb
	methods = ["POST"] if options.get("writes") == "True" else ["GET"]
	assert endpoints()[verb][0] == methods
	scope = ast.literal_eval(options.get("scope", "None"))
	assert scope is None or scope in SCOPES


def test_every_dotted_path_in_the_hooks_exists():
	for path in _strings(HOOKS):
		if path.startswith("integration_hub."):
			module, _sep, attribute = path.rpartition(".")
			base = ROOT.parent / module.replace(".", "/")
			file = base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"
			names = {
				target
				for node in ast.parse(file.read_text()).body
				for target in (
					[node.name]
					if isinstance(node, (ast.FunctionDef, ast.ClassDef))
					else [t.id for t in node.targets if isinstance(t, ast.Name)]
					if isinstance(node, ast.Assign)
					else []
				)
			}
			assert attribute in names, path


def _strings(value) -> list[str]:
	if isinstance(value, str):
		return [value]
	if isinstance(value, dict):
		return [text for key, child in value.items() for text in (*_strings(key), *_strings(child))]
	if isinstance(value, (list, tuple)):
		return [text for child in value for text in _strings(child)]
	return []
