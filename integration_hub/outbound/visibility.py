"""What a system's user may read of a document: nothing else goes into an event."""

import re

import frappe
from frappe.model import no_value_fields, table_fields
from frappe.model.document import Document

from integration_hub.documents.events import SHOWN

# Names of fields that open doors, whatever their type: API keys, tokens, reset keys.
_SECRET = re.compile(
	r"(secret|password|passwd|token|private_key|api_key|access_key|reset_.*key|authorization_code)"
)


def may_read(doc: Document, user: str) -> bool:
	"""Whether the user may read the document, by Frappe's own rules."""
	return bool(frappe.has_permission(doc.doctype, "read", doc=doc, user=user))


def sees_all_shown(doctype: str, user: str) -> bool:
	"""Whether the user may read every field that a business event about such a document shows."""
	return not any(fields & hidden_fields(of, user, doctype) for of, fields in SHOWN.get(doctype, {}).items())


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


def hidden_fields(doctype: str, user: str, parent: str) -> set[str]:
	"""Return the fields above the user's permission levels, and those he sees masked; what opens doors is hidden from all."""
	meta = frappe.get_meta(doctype)
	secret = {
		df.fieldname for df in meta.fields if df.fieldtype == "Password" or _SECRET.search(df.fieldname)
	}
	leveled = [df for df in meta.fields if df.permlevel]
	# Version 16 shows some fields as XXX to whom it does not trust with them.
	masked = [df for df in meta.fields if df.get("mask")]
	if leveled:
		levels = meta.get_permlevel_access("read", parenttype=parent, user=user)
		secret |= {df.fieldname for df in leveled if df.permlevel not in levels}
	if masked:
		levels = meta.get_permlevel_access("mask", parenttype=parent, user=user)
		secret |= {df.fieldname for df in masked if df.permlevel not in levels}
	return secret
