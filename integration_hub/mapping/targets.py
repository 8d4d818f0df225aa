"""Targets of field maps: where in the result a value goes. Pure."""

import json
import re
from typing import NamedTuple, TypeAlias

from integration_hub.mapping.errors import BadValue
from integration_hub.mapping.values import render

MAX_LEVELS = 10
MAX_NAME = 140

LIST, OBJECT = "[]", "{}"

_NAME = re.compile(r'([^\W\d][\w-]*)|("(?:[^"\\]|\\.)+")')
# They change the object itself, not a member of it, in a receiver that is careless in JavaScript.
_RESERVED = {"__proto__", "constructor", "prototype"}


class Step(NamedTuple):
	"""A name, and whether it stands for a list ("[]") or an object ("{}") that rows of their own fill; else ""."""

	name: str
	kind: str = ""


Path: TypeAlias = tuple[Step, ...]


def read(target: str) -> Path:
	"""Split a target into its steps.

	Raises:
		BadValue: it is malformed, has a reserved or long name, or more than 10 names.
	"""
	steps, at = [], 0
	while True:
		found = _NAME.match(target, at)
		if not found:
			raise BadValue(
				f"At character {at + 1} of the target a name is expected: letters, digits, _ and -, or any text"
				" in double quotes; names are joined by dots."
			)
		at = found.end()
		kind = target[at : at + 2] if target[at : at + 2] in (LIST, OBJECT) else ""
		steps.append(Step(_name(found), kind))
		at += len(kind)
		if at == len(target):
			break
		if target[at] != ".":
			raise BadValue(f"At character {at + 1} of the target a dot or its end is expected.")
		at += 1
	if len(steps) > MAX_LEVELS:
		raise BadValue(f"A target has {MAX_LEVELS} names at most; this one has {len(steps)}.")
	return tuple(steps)


def written(path: Path) -> str:
	"""Return a path as people write it."""
	return ".".join(step.name + step.kind for step in path)


def _name(found: re.Match) -> str:
	try:
		name = json.loads(found[2]) if found[2] else found[1]
	except ValueError as e:
		raise BadValue(
			f'{found[2][:40]} is no JSON text; write \\" for a quote and \\\\ for a backslash.'
		) from e
	if name in _RESERVED:
		raise BadValue(f"The name {name} is reserved.")
	if len(name) > MAX_NAME:
		raise BadValue(f"A name has {MAX_NAME} characters at most.")
	render(name)
	return name
