"""Document numbers reserved ahead of the work, so that orders need not wait for each other's series."""

import frappe
from frappe.model.naming import get_default_naming_series, make_autoname

# Parts of a series that mean today's date, unless the site names documents by their own date.
_DATE_PARTS = ("YY", "YYYY", "MM", "DD")
_OTHER_PARTS = ("JJJ", "WW", "FY", "timestamp")
_BY_DOCUMENT_DATE = "use_posting_datetime_for_naming_documents"


def next_number(doctype: str, series: str | None) -> str | None:
	"""Take the next number of a naming series; None where the name depends on more than the series and today."""
	meta = frappe.get_meta(doctype)
	if not (meta.autoname or "").startswith("naming_series:"):
		return None
	if frappe.db.exists("Document Naming Rule", {"document_type": doctype, "disabled": 0}):
		return None
	series = series or get_default_naming_series(doctype)
	if not series or not all(_is_plain(part, meta) for part in series.split(".")):
		return None
	return make_autoname(f"{series}.#####" if "#" not in series else series, doctype)


def _is_plain(part: str, meta) -> bool:
	if part in _DATE_PARTS:
		return not _named_by_document_date()
	special = (
		part in _OTHER_PARTS or part in frappe.get_hooks("naming_series_variables") or meta.has_field(part)
	)
	return "{" not in part and not special


def _named_by_document_date() -> bool:
	if not frappe.get_meta("Global Defaults").has_field(_BY_DOCUMENT_DATE):
		return False
	return bool(frappe.db.get_single_value("Global Defaults", _BY_DOCUMENT_DATE))
