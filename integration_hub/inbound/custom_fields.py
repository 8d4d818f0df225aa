"""Custom fields a system may set: only those that exist and that it lists as settable."""

from datetime import date, datetime, time
from decimal import Decimal

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import cint

from integration_hub.core.context import Caller
from integration_hub.core.validation import pointer as json_pointer
from integration_hub.exceptions import CustomFieldInvalid, CustomFieldNotSettable, CustomFieldUnknown
from integration_hub.inbound.times import site_date, site_time
from integration_hub.schemas.values import EARLIEST, LATEST, MAX_AMOUNT

_NUMBERS = ("Float", "Currency", "Percent")
_TIMES = {"Date": date.fromisoformat, "Datetime": datetime.fromisoformat, "Time": time.fromisoformat}
_MAX_INT = 2**31 - 1
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
		doc.set(fieldname, _checked(doc, field, value, where))


def _checked(doc: Document, field, value, pointer: str):
	"""Return the value as its field keeps it; refuse what the field would bend."""
	if value is None:
		return None
	if field.fieldtype == "Check" and value in (0, 1) and not isinstance(value, str):
		return int(value)
	is_number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
	if field.fieldtype == "Int" and is_number and abs(value) <= _MAX_INT and value == int(value):
		return int(value)
	if field.fieldtype in _NUMBERS and is_number:
		return _number(doc, field, Decimal(str(value)), pointer)
	if field.fieldtype in _TEXTS and isinstance(value, str):
		return _text(field, value, pointer)
	if field.fieldtype in _TIMES and isinstance(value, str):
		return _time(field, value, pointer)
	raise _invalid(field, value, pointer)


def _invalid(field, value, pointer: str) -> CustomFieldInvalid:
	return CustomFieldInvalid(
		_("{0} is a field of type {1} and does not take {2}.").format(
			field.fieldname, field.fieldtype, str(value)[:140]
		),
		pointer=pointer,
	)


def _number(doc: Document, field, value: Decimal, pointer: str) -> float:
	decimals = max(0, -value.normalize().as_tuple().exponent)
	if abs(value) > MAX_AMOUNT or decimals > doc.precision(field.fieldname):
		raise CustomFieldInvalid(
			_("{0} keeps {1} decimals and at most twelve digits before the point.").format(
				field.fieldname, doc.precision(field.fieldname)
			),
			pointer=pointer,
		)
	return float(value)


def _time(field, value: str, pointer: str) -> str:
	try:
		parsed = _TIMES[field.fieldtype](value)
	except ValueError as e:
		raise _invalid(field, value, pointer) from e
	if field.fieldtype == "Datetime":
		site_date(parsed, pointer)
		return str(site_time(parsed))
	if field.fieldtype == "Date" and not EARLIEST <= parsed <= LATEST:
		raise _invalid(field, value, pointer)
	return value


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
