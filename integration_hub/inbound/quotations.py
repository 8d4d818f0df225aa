"""An order that comes from a quotation: all of it at its prices, or lines that are linked to its lines."""

from datetime import date

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import getdate

from erpnext.selling.doctype.quotation.quotation import make_sales_order

from integration_hub.core import references
from integration_hub.core.work import Work
from integration_hub.exceptions import QuotationNotUsable, UnknownQuotation
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.schemas.orders import Target

POINTER = "/quotation"


def link(quotation: Document, doc: Document) -> None:
	"""Link each line of an order to the quotation's line of the same item and unit.

	Raises:
		QuotationNotUsable: none fits.
	"""
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


def mapped(quotation: Document, system: Document) -> Document:
	"""Return an unsaved order of what is not ordered yet of a quotation, at its prices.

	Raises:
		QuotationNotUsable
	"""
	customer(quotation)
	_check_state(quotation, system.company)
	# ERPNext's mapper looks at the day, too, and says so in words only.
	_check_valid(quotation, getdate())
	with translated():
		doc = make_sales_order(quotation.name)
	# ERPNext's mapper switches permissions off.
	doc.flags.ignore_permissions = False
	if not doc.items:
		raise QuotationNotUsable(
			_("Everything on quotation {0} is ordered.").format(quotation.name), pointer=POINTER
		)
	for row in doc.items:
		# ERPNext takes a rate of 0 from the price list unless this is 0, too.
		row.price_list_rate = row.price_list_rate if row.rate else 0
		row.warehouse = row.warehouse or system.warehouse
	return doc


def customer(quotation: Document) -> str:
	"""Return the customer a quotation was made for.

	Raises:
		QuotationNotUsable: it was made for a lead or prospect.
	"""
	if quotation.quotation_to != "Customer":
		raise QuotationNotUsable(
			_("Quotation {0} was made for {1} {2}. Send the customer of the order.").format(
				quotation.name, _(quotation.quotation_to), quotation.party_name
			),
			pointer=POINTER,
		)
	return quotation.party_name


def find(work: Work, target: Target) -> Document:
	"""Return the quotation an order names.

	Raises:
		UnknownQuotation
	"""
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
	return frappe.get_doc("Quotation", name)


def check(quotation: Document, doc: Document) -> None:
	"""Raise QuotationNotUsable unless the quotation may become this order."""
	_check_state(quotation, doc.company)
	if quotation.quotation_to == "Customer" and quotation.party_name != doc.customer:
		_refuse(quotation, _("it was made for {0}").format(quotation.party_name))
	_check_valid(quotation, getdate(doc.transaction_date))


def _check_valid(quotation: Document, day: date) -> None:
	if quotation.valid_till and getdate(quotation.valid_till) < day:
		_refuse(quotation, _("it was valid until {0}").format(quotation.valid_till))


def _check_state(quotation: Document, company: str) -> None:
	problem = None
	if quotation.docstatus != 1 or quotation.status in ("Lost", "Ordered", "Expired"):
		problem = _("it is {0}").format(_(quotation.status))
	elif quotation.company != company:
		problem = _("it belongs to {0}").format(quotation.company)
	_refuse(quotation, problem)


def _refuse(quotation: Document, problem: str | None) -> None:
	if problem:
		raise QuotationNotUsable(
			_("Quotation {0} cannot be ordered: {1}.").format(quotation.name, problem), pointer=POINTER
		)
