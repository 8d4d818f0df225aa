"""OpenAPI 3.1 from the operations and the schemas that validate."""

import inspect

from pydantic.json_schema import models_json_schema

from integration_hub import __version__
from integration_hub.core import operations
from integration_hub.core.context import Caller
from integration_hub.core.operations import Operation
from integration_hub.schemas.problem import Problem
from integration_hub.schemas.requests import Accepted, Nothing

REF = "#/components/schemas/{model}"


def build() -> dict:
	"""Return the description of every operation, as a JSON-ready dict."""
	listed = operations.all_operations()
	models = {
		model: mode
		for op in listed
		for model, mode in ((op.schema, "validation"), (op.answer, "serialization"))
		if model
	}
	shared = [(model, "serialization") for model in (Accepted, Problem)]
	refs, definitions = models_json_schema([*models.items(), *shared], ref_template=REF)
	return {
		"openapi": "3.1.0",
		"info": {
			"title": "Integration Hub",
			"version": __version__,
			"summary": "Orders in ERPNext, exactly once",
			"description": "Every call needs the header `Authorization: token <api key>:<api secret>` of a Connected System.",
			"license": {"name": "GPL-3.0", "identifier": "GPL-3.0-only"},
		},
		"servers": [{"url": "/"}],
		"security": [{"token": []}],
		"tags": [{"name": area} for area in sorted({op.name.split(".")[0] for op in listed})],
		"paths": {op.path: {"post" if op.writes else "get": _path_item(op, refs)} for op in listed},
		"components": {
			"schemas": _plain(definitions["$defs"]),
			"securitySchemes": {
				"token": {
					"type": "apiKey",
					"in": "header",
					"name": "Authorization",
					"description": "`token <api key>:<api secret>`",
				}
			},
		},
	}


def _plain(schema):
	"""Drop `additionalProperties: true`, the default, which only some releases of pydantic write."""
	if isinstance(schema, list):
		return [_plain(part) for part in schema]
	if not isinstance(schema, dict):
		return schema
	return {
		name: _plain(part)
		for name, part in schema.items()
		if not (name == "additionalProperties" and part is True)
	}


def _path_item(op: Operation, refs: dict) -> dict:
	item = {
		"operationId": op.name,
		"summary": op.summary,
		"description": _description(op),
		"tags": [op.name.split(".")[0]],
		"responses": _responses(op, refs),
	}
	if op.guest:
		item["security"] = []
	if op.writes:
		item["parameters"] = _guest_parameters() if op.guest else _headers(op)
		body = {"schema": refs[(op.schema, "validation")]}
		if op.example:
			body["example"] = op.example
		item["requestBody"] = {"required": True, "content": {"application/json": body}}
	else:
		item["parameters"] = _query(op)
	return item


def _description(op: Operation) -> str:
	# Without the indentation, which Python keeps before 3.13.
	lines = [inspect.getdoc(op.schema) or ""] if op.schema is not Nothing else []
	if op.scope:
		lines.append(f"Scope: `{op.scope}`.")
	return "\n\n".join(lines)


def _headers(op: Operation) -> list[dict]:
	headers = [
		_header("X-Request-Id", "Correlation id, echoed and logged; made if absent"),
	]
	if op.ledger:
		derived = "derived from the external id if absent" if op.key_parts else "needed"
		headers.insert(0, _header("Idempotency-Key", f"1 to 255 visible ASCII characters; {derived}"))
		if not op.always_async:
			headers.append(_header("Prefer", "`respond-async`: accept the call, answer 202, work later"))
	return headers


def _guest_parameters() -> list[dict]:
	described = {
		"system": (True, "The slug of the Connected System"),
		"topic": (False, "What is told; needed where the platform does not say it in a header or the body"),
	}
	return [
		{
			"name": name,
			"in": "query",
			"required": required,
			"description": description,
			"schema": {"type": "string"},
		}
		for name, (required, description) in described.items()
	]


def _header(name: str, description: str) -> dict:
	return {
		"name": name,
		"in": "header",
		"required": False,
		"description": description,
		"schema": {"type": "string"},
	}


def _query(op: Operation) -> list[dict]:
	properties = op.schema.model_json_schema()
	required = properties.get("required", [])
	return [
		{
			"name": name,
			"in": "query",
			"required": name in required,
			"description": schema.get("description", ""),
			"schema": {"type": "string"},
			**({"example": op.example[name]} if op.example and name in op.example else {}),
		}
		for name, schema in properties.get("properties", {}).items()
	]


def _responses(op: Operation, refs: dict) -> dict:
	message = refs[(op.answer, "serialization")] if op.answer else {"type": "object"}
	success = {
		"description": "Done" if op.status == 200 else "Created; also when the answer is given again",
		"headers": _answer_headers(op),
		"content": _message(message),
	}
	problem = {
		"description": "A problem (RFC 9457): see `code`, `errors` and docs/errors.md",
		"content": {"application/problem+json": {"schema": refs[(Problem, "serialization")]}},
	}
	responses = {str(op.status): success, "default": problem}
	if op.ledger and op.status != 200:
		responses["200"] = {
			**success,
			"description": "Made before under another key with the same content, or validate_only",
		}
	if op.ledger:
		responses["202"] = {
			"description": "Accepted for later; also when it is sent again while it is unfinished",
			"headers": {
				"X-Request-Id": {"schema": {"type": "string"}},
				"Location": {"description": "Where to ask how it goes", "schema": {"type": "string"}},
			},
			"content": _message(refs[(Accepted, "serialization")]),
		}
	return responses


def _message(schema: dict) -> dict:
	return {
		"application/json": {
			"schema": {"type": "object", "properties": {"message": schema}, "required": ["message"]}
		}
	}


def _answer_headers(op: Operation) -> dict:
	headers = {"X-Request-Id": {"schema": {"type": "string"}}}
	if op.ledger:
		headers["Idempotent-Replayed"] = {
			"description": "`true` when this is the first answer again, byte for byte",
			"schema": {"type": "string"},
		}
	return headers


def openapi(caller: Caller, query: Nothing) -> dict:
	"""Return the description for a caller."""
	return build()


OPENAPI = Operation(
	name="system.openapi",
	summary="The OpenAPI 3.1 description of this API",
	schema=Nothing,
	handler=openapi,
	scope="system:read",
)
