"""Which lines of an order a call means, and how much of each is open."""

from dataclasses import dataclass
from decimal import Decimal

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt

from integration_hub.exceptions import QuantityExceedsOpen, StateConflict, UnknownLine
from integration_hub.inbound.items import check_whole
from integration_hub.inbound.money import check_decimals
from integration_hub.inbound.selling import listed
from integration_hub.schemas.sales import LineTarget


@dataclass
class Wanted:
	"""A row of an order, how much of it, and what the call says about it (None: nothing)."""

	row: Document
	quantity: float
	line: LineTarget | None
	pointer: str


@dataclass(frozen=True)
class Open:
	"""How much of a row may be asked for, and how much is meant when nothing is said."""

	most: float
	default: float


def wanted(
	rows: list[Document],
	lines: list[LineTarget] | None,
	open_of: dict[str, Open],
	pointer: str,
	nothing_left: "Nothing",
) -> list[Wanted]:
	"""Return the rows a call means.

	Args:
		lines: what the call says; None: everything that is open.
		open_of: by the name of the row.
		nothing_left: what to say when nothing is open.

	Raises:
		StateConflict: nothing is open, naming the documents.
		UnknownLine, QuantityExceedsOpen, QuantityNotWhole, ValidationFailed
	"""
	if lines is None:
		found = [
			Wanted(row, open_of[row.name].default, None, f"{pointer}/lines")
			for row in rows
			if open_of[row.name].default > 0
		]
		if not found:
			raise nothing_left.error(pointer)
		return found
	found, taken = [], dict.fromkeys(open_of, 0.0)
	for index, line in enumerate(lines):
		at = f"{pointer}/lines/{index}"
		row = _row_of(rows, line, at)
		left = Open(
			flt(open_of[row.name].most - taken[row.name], 9),
			flt(open_of[row.name].default - taken[row.name], 9),
		)
		quantity = _quantity(row, line, left, at, nothing_left)
		taken[row.name] += quantity
		found.append(Wanted(row, quantity, line, at))
	return found


@dataclass(frozen=True)
class Nothing:
	"""Why nothing is open: "Order SO-1 is delivered by {documents}"."""

	message: str
	documents: list[dict]

	def error(self, pointer: str) -> StateConflict:
		message = self.message
		if self.documents:
			message = f"{message} {_('See {0}.').format(listed(self.documents))}"
		return StateConflict(message, pointer=pointer or "", details={"documents": self.documents})


def _row_of(rows: list[Document], line: LineTarget, pointer: str) -> Document:
	if line.external_id is not None:
		fits = [row for row in rows if (row.get("hub_external_id") or None) == line.external_id]
	else:
		fits = [row for row in rows if row.item_code == line.item_code]
	if len(fits) == 1:
		return fits[0]
	field = "external_id" if line.external_id is not None else "item_code"
	value = getattr(line, field)
	if fits:
		message = _("{0} is on several lines. Name the line by its external id.").format(value)
	else:
		message = _("There is no line with the {0} {1}.").format(field, value)
	raise UnknownLine(message, pointer=f"{pointer}/{field}")


def _quantity(row: Document, line: LineTarget, left: Open, pointer: str, nothing_left: Nothing) -> float:
	if left.most <= 0 or (line.quantity is None and left.default <= 0):
		raise nothing_left.error(pointer)
	if line.quantity is None:
		return left.default
	check_decimals(row, "qty", line.quantity, f"{pointer}/quantity")
	check_whole(row.uom, line.quantity, f"{pointer}/quantity")
	if line.quantity > Decimal(str(left.most)):
		raise QuantityExceedsOpen(
			_("{0} asked for, {1} open of {2}.").format(line.quantity, shown(left.most), row.item_code),
			pointer=f"{pointer}/quantity",
			details={"open": left.most, "documents": nothing_left.documents},
		)
	return float(line.quantity)


def sums(
	child: str, link: str, rows: list[Document], *, returns: bool = False, parent: str
) -> dict[str, float]:
	"""Return the submitted quantity of other documents' rows by the row they come from; 0 where there is none.

	Args:
		child, parent: DocTypes of the rows and of their documents.
		link: the field that names the row they come from.
		returns: count what came back (as a positive number) instead of what went out.
	"""
	names = [row.name for row in rows]
	total = dict.fromkeys(names, 0.0)
	if not names:
		return total
	item, doc = frappe.qb.DocType(child), frappe.qb.DocType(parent)
	found = (
		frappe.qb.from_(item)
		.join(doc)
		.on(doc.name == item.parent)
		.select(item[link], item.qty)
		.where(item[link].isin(names) & (doc.docstatus == 1) & (doc.is_return == int(returns)))
	).run()
	for name, quantity in found:
		total[name] += -quantity if returns else quantity
	return {name: flt(quantity, 9) for name, quantity in total.items()}


def shown(quantity: float) -> str:
	"""Return a quantity as messages show it: a whole one without decimals."""
	return f"{quantity:.15g}"
