"""The share of an order's fixed amounts (shipping, taxes sent as amounts, discounts) that one of several documents takes."""

from dataclasses import dataclass

import frappe
from frappe.model.document import Document
from frappe.utils import flt


@dataclass(frozen=True)
class Progress:
	"""How much of the order's lines, by amount, earlier documents and this one cover."""

	total: float
	before: float
	now: float
	last: bool

	@property
	def reached(self) -> float:
		if self.last or not self.total:
			return 1.0
		# What came back and goes out again counts twice.
		return min(1.0, (self.before + self.now) / self.total)


def take_share(doc: Document, order: Document, earlier: list[Document], progress: Progress) -> None:
	"""Set the fixed amounts of a document to its share: what is reached by now less what earlier documents took.

	So the shares of all documents add up to the order's amount, to the cent.

	Args:
		earlier: submitted documents of the same kind, from the same order.
	"""
	if progress.last and not earlier:
		# As ERPNext's mapper has computed it.
		return
	for row, whole in zip(_fixed(doc), _fixed(order), strict=True):
		taken = sum(flt(other.tax_amount) for other in _same(earlier, whole))
		row.tax_amount = _share(row, "tax_amount", whole.tax_amount, progress, taken)
	if order.discount_amount and not order.additional_discount_percentage:
		taken = sum(flt(other.discount_amount) for other in earlier)
		doc.discount_amount = _share(doc, "discount_amount", order.discount_amount, progress, taken)
	doc.run_method("calculate_taxes_and_totals")


def _share(doc: Document, fieldname: str, whole: float, progress: Progress, taken: float) -> float:
	precision = doc.precision(fieldname)
	return flt(flt(flt(whole) * progress.reached, precision) - taken, precision)


def _fixed(doc: Document) -> list[Document]:
	return [row for row in doc.taxes if row.charge_type == "Actual"]


def _same(documents: list[Document], row: Document) -> list[Document]:
	return [
		other
		for doc in documents
		for other in _fixed(doc)
		if (other.account_head, other.description) == (row.account_head, row.description)
	]


def documents_before(doctype: str, names: list[str], *, returns: bool = False) -> list[Document]:
	"""Return the submitted documents among `names`, returns or the others."""
	standing = frappe.get_all(
		doctype,
		filters={"name": ("in", names), "docstatus": 1, "is_return": int(returns)},
		pluck="name",
		order_by="creation asc",
	)
	return [frappe.get_doc(doctype, name) for name in standing]


def amount_of(rows: list[tuple[float, float]]) -> float:
	"""Return the sum of quantity × price."""
	return sum(flt(quantity) * flt(price) for quantity, price in rows)
