"""What a system's user may read of a document: nothing else goes into an event."""

import frappe
from frappe.model import no_value_fields, table_fields
from frappe.model.document import Document

from integration_hub.documents.events import SHOWN


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
	"""Return the fields above the user's permission levels; passwords are hidden from everybody."""
	meta = frappe.get_meta(doctype)
	fields = [df for df in meta.fields if df.permlevel or df.fieldtype == "Password"]
	if not fields:
		return set()
	levels = meta.get_permlevel_access("read", parenttype=parent, user=user)
	return {df.fieldname for df in fields if df.fieldtype == "Password" or df.permlevel not in levels}
