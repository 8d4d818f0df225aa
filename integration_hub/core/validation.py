"""Parsed input → schema; every fault with its JSON pointer, unknown fields with the nearest known one."""

from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel
from pydantic import ValidationError as PydanticError

from frappe import _

from integration_hub.exceptions import Fault, ValidationFailed

MAX_FAULTS = 100

# Names of the alternatives of a union (`schemas.sales`): pydantic puts them into locations, the input has no such names.
ALTERNATIVES = frozenset({"<one>", "<many>", "<new>", "<known>"})

# pydantic's names that are not the public contract's.
_CODES = {
	"extra_forbidden": "unknown_field",
	"string_too_short": "too_short",
	"string_too_long": "too_long",
}


def validate(schema: type[BaseModel], data: dict, *, query: bool = False) -> BaseModel:
	"""Return `data` as a `schema`.

	Args:
		query: the data are query parameters; pointers are then `?name`.

	Raises:
		ValidationFailed: with every fault (the first hundred).
	"""
	try:
		return schema.model_validate(data)
	except PydanticError as e:
		faults = [_fault(schema, error, query) for error in e.errors(include_url=False)[:MAX_FAULTS]]
	first = faults[0]
	message = f"{first.pointer}: {first.message}" if first.pointer else first.message
	if len(faults) > 1:
		message = f"{message} {_('({0} faults in all)').format(len(faults))}"
	raise ValidationFailed(message, errors=faults)


def pointer(loc: tuple) -> str:
	"""Return the RFC 6901 JSON pointer of a location."""
	return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in loc)


def _fault(schema: type[BaseModel], error: dict, query: bool) -> Fault:
	loc = tuple(part for part in error["loc"] if part not in ALTERNATIVES)
	where = f"?{loc[0]}" if query and loc else pointer(loc)
	return Fault(where, _message(schema, error), _code(error))


def _code(error: dict) -> str:
	return _CODES.get(error["type"], error["type"])


def _message(schema: type[BaseModel], error: dict) -> str:
	kind = error["type"]
	if kind == "missing":
		return _("This field is required.")
	if kind == "extra_forbidden":
		name = str(error["loc"][-1])
		near = get_close_matches(name, fields_at(schema, error["loc"][:-1]), n=1, cutoff=0.5)
		unknown = _("Unknown field {0}.").format(name[:60])
		return f"{unknown} {_('Did you mean {0}?').format(near[0])}" if near else unknown
	if kind == "value_error":
		return str(error["ctx"]["error"])
	return _reworded(kind, error.get("ctx", {})) or error["msg"] + "."


def _reworded(kind: str, limits: dict) -> str | None:
	"""Say in plain words what pydantic says in its own."""
	smallest = limits.get("min_length")
	largest = limits.get("max_length")
	return {
		"string_too_short": _("Must have one character at least."),
		"string_too_long": _("Must have {0} characters at most.").format(largest),
		"string_type": _("Send a string."),
		"too_short": _("Send {0} at least.").format(smallest),
		"too_long": _("Send {0} at most.").format(largest),
		"less_than_equal": _("Must be {0} at most.").format(limits.get("le")),
		"model_type": _("Send an object: { … }."),
		"dict_type": _("Send an object: { … }."),
		"list_type": _("Send a list: [ … ]."),
	}.get(kind)


def fields_at(schema: type[BaseModel], loc: tuple) -> list[str]:
	"""Return the names of the fields a schema has at a location."""
	model = schema
	for part in loc:
		if isinstance(part, int) or part in ALTERNATIVES:
			continue
		model = _model_in(model.model_fields[part].annotation) if part in model.model_fields else None
		if model is None:
			return []
	return list(model.model_fields)


def _model_in(annotation) -> type[BaseModel] | None:
	"""Find the model in `Model`, `Model | None`, `list[Model]` and the like."""
	if isinstance(annotation, type) and issubclass(annotation, BaseModel):
		return annotation
	return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
