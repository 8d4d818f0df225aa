"""The registry of operations: name → schema, scope, handler. What an endpoint answers and what a queued row is run by.

Operations are listed in `hooks.py` (`hub_operations`: name → dotted path of an `Operation`), so that a worker finds a row's
handler without importing `api`, and another app can add operations of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

import frappe

from integration_hub.core.payload import digest


@dataclass(frozen=True)
class Operation:
	"""One verb of the public API.

	Args:
		name: `<area>.<verb>`, as in the URL.
		summary: one line for the API description.
		schema: pydantic model of the input (body of a write, query parameters of a read).
		answer: pydantic model of the `message` in the answer; for the API description.
		scope: scope a system needs; None: any connected system.
		handler: `handler(work) -> Result` for what goes through the ledger, else `handler(caller, payload) -> dict`.
		writes: POST with a JSON body; otherwise GET with query parameters.
		ledger: goes through the ledger (claim, one transaction, replay), as every write but a few does.
		existing: `existing(caller, doctype, name) -> dict`, the answer for a document made before under another key.
		status: HTTP status of a first success.
		object_type: what the External Reference reserved first binds; None: reserves none.
		external_id: payload → the id that reference and derived key come from; None: there is none.
		key_parts: work → what an absent Idempotency-Key is derived from; None: the header is needed.
		steps: work → its `Step`s, for a call of several documents; the handler then only answers.
		staged: payload → whether each step is kept as soon as it is done; None: all or nothing.
		prepare: `prepare(caller, payload) -> str | None`, run in the claim's short transaction; returns a reserved number.
		always_async: the answer is 202 also to those who do not ask for it.
		subject: payload → what the call is about; None: what its external id says. Waiting calls about the same thing are
			worked off one after another.
		guest: open to callers without credentials: `handler(call) -> Response` finds out who calls, and answers.
		resolve: `resolve(work) -> Work`: of another operation, which is done for the row. Asked at each attempt, so that
			what it looks up may be corrected meanwhile.
		example: an input for the API description.
	"""

	name: str
	summary: str
	schema: type[BaseModel]
	handler: Callable
	answer: type[BaseModel] | None = None
	scope: str | None = None
	writes: bool = False
	ledger: bool = False
	existing: Callable | None = None
	status: int = 200
	object_type: str | None = None
	external_id: Callable[[BaseModel], str | None] | None = None
	key_parts: Callable[[Any], list] | None = None
	steps: Callable[[Any], list] | None = None
	staged: Callable[[BaseModel], bool] | None = None
	prepare: Callable | None = None
	always_async: bool = False
	subject: Callable[[BaseModel], str | None] | None = None
	guest: bool = False
	resolve: Callable[[Any], Any] | None = None
	example: dict | None = None

	@property
	def path(self) -> str:
		return f"/api/method/integration_hub.api.v1.{self.name}"

	def subject_of(self, payload: BaseModel) -> str | None:
		"""Return the hash of what a call is about, None where it is about nothing that others are about."""
		tell = self.subject or self.external_id
		about = tell(payload) if tell else None
		return digest([about]) if about else None


def get(name: str) -> Operation:
	"""Return the operation registered under `name`.

	Raises:
		KeyError: no such operation.
	"""
	return _load(_paths()[name])


def all_operations() -> list[Operation]:
	"""Every operation, in the order of their names."""
	return [get(name) for name in sorted(_paths())]


def _paths() -> dict[str, str]:
	# Frappe merges a hook of several apps into lists; the last app wins.
	return {name: paths[-1] for name, paths in frappe.get_hooks("hub_operations").items()}


@lru_cache(maxsize=256)
def _load(path: str) -> Operation:
	return frappe.get_attr(path)
