"""The share of an order's fixed amounts (shipping, taxes sent as amounts, discounts) that one of several documents takes."""

from dataclasses import dataclass
from decimal import Decimal

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
		# All of it: the amounts are the order's, as the mapper has copied them.
		return
	for row, whole in zip(_fixed(doc), _fixed(order), strict=True):
		taken = taken_of(earlier, order, whole)
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


def taken_of(
	documents: list[Document], origin: Document, row: Document, fieldname: str = "tax_amount"
) -> float:
	"""Return what documents made from `origin` hold of one of its tax rows.

	Rows of one account and code are told apart by their place among each other.
	"""
	place = sum(other.idx < row.idx for other in _twins(origin, row))
	return sum(
		flt(twins[place].get(fieldname)) for doc in documents if len(twins := _twins(doc, row)) > place
	)


def _twins(doc: Document, row: Document) -> list[Document]:
	return [other for other in doc.taxes if _identity(other) == _identity(row)]


def _identity(row: Document) -> tuple[str, str, str]:
	return row.account_head, row.get("hub_kind") or "", row.get("hub_code") or row.description


def still_due(whole: float, reached: float, taken: float, precision: int) -> float:
	"""Return what is reached of a fixed amount less what was taken of it; never of the other sign."""
	return same_sign(flt(flt(flt(whole) * reached, precision) - taken, precision), flt(whole))


def same_sign(amount: float, whole: float) -> float:
	"""Return `amount`, or 0 where its sign is not that of `whole`."""
	return amount if amount * whole > 0 else 0.0


def split(amount: float, weights: list[float], precision: int) -> list[float]:
	"""Return parts of `amount` in the proportion of `weights` that add up to it exactly (largest remainder)."""
	unit = Decimal(1).scaleb(-precision)
	whole = Decimal(str(amount))
	total = sum(Decimal(str(weight)) for weight in weights)
	if not total:
		return [float(whole), *[0.0] * (len(weights) - 1)]
	exact = [whole * Decimal(str(weight)) / total for weight in weights]
	parts = [(value / unit).to_integral_value(rounding="ROUND_FLOOR") * unit for value in exact]
	missing = int(((whole - sum(parts)) / unit).to_integral_value())
	by_remainder = sorted(range(len(parts)), key=lambda at: parts[at] - exact[at])
	for at in by_remainder[:missing]:
		parts[at] += unit
	return [float(part) for part in parts]


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
