"""Custom fields a system may set: only those that exist and that it lists as settable."""

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import cint, flt

from integration_hub.core.context import Caller
from integration_hub.core.validation import pointer as json_pointer
from integration_hub.exceptions import CustomFieldInvalid, CustomFieldNotSettable, CustomFieldUnknown

_NUMBERS = {"Int": cint, "Float": flt, "Currency": flt, "Percent": flt}
_TEXTS = ("Data", "Small Text", "Text", "Long Text", "Select", "Link", "Phone", "Autocomplete")


def apply(caller: Caller, doc: Document, values: dict, pointer: str) -> None:
	"""Set custom fields on a document.

	Raises:
		CustomFieldUnknown, CustomFieldNotSettable, CustomFieldInvalid
	"""
	settable = {row.fieldname for row in caller.system.settable_fields if row.document_type == doc.doctype}
	for fieldname, value in values.items():
		where = pointer + json_pointer((fieldname,))
		field = doc.meta.get_field(fieldname)
		if not field or not field.get("is_custom_field"):
			raise CustomFieldUnknown(
				_("{0} has no custom field {1}.").format(_(doc.doctype), fieldname), pointer=where
			)
		if fieldname not in settable or fieldname.startswith("hub_"):
			raise CustomFieldNotSettable(
				_("{0} may not set {1}. List the field in the Connected System.").format(
					caller.name, fieldname
				),
				pointer=where,
			)
		doc.set(fieldname, _checked(field, value, where))


def _checked(field, value, pointer: str):
	"""Return the value as its field keeps it; refuse what the field would bend."""
	if value is None:
		return None
	is_number = not isinstance(value, (str, bool))
	if field.fieldtype == "Check" and isinstance(value, (bool, int)) and value in (0, 1):
		return int(value)
	if field.fieldtype in _NUMBERS and is_number:
		if field.fieldtype != "Int" or value == int(value):
			return _NUMBERS[field.fieldtype](value)
	if field.fieldtype in _TEXTS and isinstance(value, str):
		return _text(field, value, pointer)
	if field.fieldtype in ("Date", "Datetime", "Time") and isinstance(value, str):
		return value
	raise CustomFieldInvalid(
		_("{0} is a field of type {1} and does not take {2}.").format(
			field.fieldname, field.fieldtype, value
		),
		pointer=pointer,
	)


def _text(field, value: str, pointer: str) -> str:
	if field.fieldtype == "Select" and value not in (field.options or "").split("\n"):
		raise CustomFieldInvalid(
			_("{0} takes one of: {1}.").format(field.fieldname, ", ".join((field.options or "").split())),
			pointer=pointer,
		)
	if field.fieldtype == "Link" and frappe.db.get_value(field.options, value, "name") != value:
		raise CustomFieldInvalid(_("There is no {0} {1}.").format(_(field.options), value), pointer=pointer)
	if field.fieldtype == "Data" and len(value) > (cint(field.length) or 140):
		raise CustomFieldInvalid(
			_("{0} keeps {1} characters.").format(field.fieldname, cint(field.length) or 140), pointer=pointer
		)
	return value
