"""An order that comes from a quotation: its lines are linked, and the quotation becomes Ordered."""

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import getdate

from integration_hub.core import references
from integration_hub.core.work import Work
from integration_hub.exceptions import QuotationNotUsable, UnknownQuotation
from integration_hub.schemas.orders import Target

POINTER = "/quotation"


def link(work: Work, doc: Document, target: Target) -> None:
	"""Link each line to the quotation's line of the same item and unit.

	Raises:
		UnknownQuotation, QuotationNotUsable
	"""
	quotation = frappe.get_doc("Quotation", _find(work, target))
	_check(quotation, doc)
	free = list(quotation.items)
	for row in doc.items:
		match = next((q for q in free if q.item_code == row.item_code and q.uom == row.uom), None)
		if match:
			free.remove(match)
			row.prevdoc_docname, row.quotation_item = quotation.name, match.name
	if len(free) == len(quotation.items):
		raise QuotationNotUsable(
			_("No line of the order is on quotation {0}.").format(quotation.name), pointer=POINTER
		)


def _find(work: Work, target: Target) -> str:
	if target.external_id is not None:
		name = references.live_document(work.caller.name, "quotation", target.external_id, "Quotation")
	else:
		found = frappe.db.get_value("Quotation", target.name, ["name", "hub_system"], as_dict=True)
		own = found and found.name == target.name and found.hub_system in (None, "", work.caller.name)
		name = target.name if own else None
	if not name or not frappe.has_permission("Quotation", "read", name):
		raise UnknownQuotation(
			_("There is no quotation {0}.").format(
				target.external_id if target.external_id is not None else target.name
			),
			pointer=POINTER,
		)
	return name


def _check(quotation: Document, doc: Document) -> None:
	problem = None
	if quotation.docstatus != 1 or quotation.status in ("Lost", "Ordered", "Expired"):
		problem = _("it is {0}").format(_(quotation.status))
	elif quotation.company != doc.company:
		problem = _("it belongs to {0}").format(quotation.company)
	elif quotation.quotation_to == "Customer" and quotation.party_name != doc.customer:
		problem = _("it was made for {0}").format(quotation.party_name)
	elif quotation.valid_till and getdate(quotation.valid_till) < getdate(doc.transaction_date):
		problem = _("it was valid until {0}").format(quotation.valid_till)
	if problem:
		raise QuotationNotUsable(
			_("Quotation {0} cannot be ordered: {1}.").format(quotation.name, problem), pointer=POINTER
		)
