"""What a system's user may read of a document: nothing else goes into an event."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeVar

import frappe
from frappe.model import no_value_fields, table_fields
from frappe.model.document import Document

from integration_hub import compat
from integration_hub.documents.events import SHOWN

# Names of fields that open doors, whatever their type: API keys, tokens, reset keys.
_SECRET = re.compile(
	r"(secret|password|passwd|token|private_key|api_key|access_key|reset_.*key|authorization_code)"
)


# What was found out in this transaction: one document raises several events, and is behind others'.
_SEEN = "hub_visible"

T = TypeVar("T")


def may_read(doc: Document, user: str) -> bool:
	"""Whether the user may read the document, by Frappe's own rules; asked once a transaction."""
	return _once(
		(doc.doctype, doc.name, user),
		lambda: bool(frappe.has_permission(doc.doctype, "read", doc=doc, user=user)),
	)


def sees_all_shown(doctype: str, user: str) -> bool:
	"""Whether the user may read every field that a business event about such a document shows; asked once a transaction."""
	shown = SHOWN.get(doctype, {}).items()
	return _once(
		(doctype, user),
		lambda: not any(hidden_fields(of, user, doctype, among=fields) for of, fields in shown),
	)


def _once(key: tuple[str, ...], find: Callable[[], T]) -> T:
	seen = frappe.local.cache.setdefault(_SEEN, {})
	if key not in seen:
		seen[key] = find()
		compat.after_commit_once(_forget)
	return seen[key]


def _forget() -> None:
	frappe.local.cache.pop(_SEEN, None)


def readable(doctype: str, user: str) -> dict[str, set[str]]:
	"""Return the fields the user may read, of a DocType and, by DocType, of its child tables: {"": {…}, "items": {…}}."""
	meta = frappe.get_meta(doctype)
	found = {"": _values(meta) - hidden_fields(doctype, user, doctype)}
	for df in meta.get_table_fields():
		if df.fieldname in found[""]:
			child = frappe.get_meta(df.options)
			found[df.fieldname] = {"name", *_values(child)} - hidden_fields(df.options, user, doctype)
	return found


def _values(meta) -> set[str]:
	return {
		df.fieldname
		for df in meta.fields
		if df.fieldtype not in no_value_fields or df.fieldtype in table_fields
	}


def hidden_fields(doctype: str, user: str, parent: str, among: Iterable[str] | None = None) -> set[str]:
	"""Return the fields (of these, or of all) above the user's permission levels, and those he sees masked; what opens doors is
	hidden from all."""
	meta = frappe.get_meta(doctype)
	fields = meta.fields if among is None else [df for name in among if (df := meta.get_field(name))]
	secret = {df.fieldname for df in fields if df.fieldtype == "Password" or _opens_doors(df.fieldname)}
	leveled = [df for df in fields if df.permlevel]
	# Version 16 shows some fields as XXX to whom it does not trust with them.
	masked = [df for df in fields if df.get("mask")]
	if leveled:
		levels = meta.get_permlevel_access("read", parenttype=parent, user=user)
		secret |= {df.fieldname for df in leveled if df.permlevel not in levels}
	if masked:
		levels = meta.get_permlevel_access("mask", parenttype=parent, user=user)
		secret |= {df.fieldname for df in masked if df.permlevel not in levels}
	return secret


@lru_cache(maxsize=20_000)
def _opens_doors(fieldname: str) -> bool:
	return bool(_SECRET.search(fieldname))
