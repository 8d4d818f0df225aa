"""The description of the API: valid, complete, and the same everywhere."""

import json
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import frappe

from integration_hub.core import operations
from integration_hub.openapi.builder import build
from integration_hub.tests import expect

COMMITTED = Path(frappe.get_app_source_path("integration_hub")) / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def served(hub):
	answer = hub.get("system.openapi")
	assert answer.status == 200, answer
	return answer.message


def test_it_is_valid_openapi(served):
	assert list(OpenAPIV31SpecValidator(served).iter_errors()) == []


def test_it_is_the_committed_copy(served):
	assert json.loads(COMMITTED.read_text()) == json.loads(json.dumps(build())) == served


def test_the_command_writes_the_committed_copy(stack):
	output = stack.run("integration-hub", "openapi", site=stack.site)
	assert output.endswith(COMMITTED.read_text())


def test_it_names_every_operation_once(served):
	listed = {
		item["operationId"]: (path, verb)
		for path, methods in served["paths"].items()
		for verb, item in methods.items()
	}
	assert listed == {
		op.name: (op.path, "post" if op.writes else "get") for op in operations.all_operations()
	}


def test_every_operation_described_can_be_called(served, hub):
	"""With nothing sent: an answer or a problem about what is missing, never an unknown call."""
	for path, methods in served["paths"].items():
		for verb in methods:
			answer = hub.send(verb.upper(), path, {} if verb == "post" else None)
			if methods[verb].get("security") == []:
				# Credentials do not help where a signature is asked for.
				expect.problem(answer, 401, "signature_invalid")
			elif answer.status != 200:
				expect.problem(answer, 422, "validation_failed")


@pytest.mark.parametrize("op", [op for op in ("orders.create", "orders.get", "orders.cancel")])
def test_the_examples_fit_the_schemas(op):
	operation = operations.get(op)
	operation.schema.model_validate(operation.example)
