"""Document numbers reserved ahead of the work, so that orders need not wait for each other's series."""

import frappe
from frappe.model.naming import get_default_naming_series, make_autoname

# Parts of a series that need no document to be filled in.
_PLAIN_PARTS = ("YY", "YYYY", "MM", "DD", "JJJ", "WW")


def next_number(doctype: str, series: str | None) -> str | None:
	"""Take the next number of a naming series; None where the name depends on more than the series."""
	if not (frappe.get_meta(doctype).autoname or "").startswith("naming_series:"):
		return None
	if frappe.db.exists("Document Naming Rule", {"document_type": doctype, "disabled": 0}):
		return None
	series = series or get_default_naming_series(doctype)
	if not series or not all(_is_plain(part) for part in series.split(".")):
		return None
	return make_autoname(f"{series}.#####" if "#" not in series else series, doctype)


def _is_plain(part: str) -> bool:
	return part in _PLAIN_PARTS or (
		"{" not in part and not (part.isidentifier() and frappe.get_meta("Sales Order").has_field(part))
	)
