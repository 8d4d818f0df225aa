"""Credit notes: for lines at what they were sold for, or for an amount."""

from decimal import Decimal

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt

from erpnext.accounts.doctype.payment_reconciliation.payment_reconciliation import reconcile_dr_cr_note
from erpnext.controllers.sales_and_purchase_return import make_return_doc

from integration_hub.core.work import Work
from integration_hub.documents.sales import INVOICE
from integration_hub.exceptions import (
	AmountExceedsOpen,
	ChargeNotMapped,
	HubError,
	InternalError,
	StateConflict,
)
from integration_hub.inbound import selling
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.inbound.lines import sums
from integration_hub.inbound.money import check_decimals
from integration_hub.inbound.returns import Row, keep_rows
from integration_hub.inbound.selling import Taken
from integration_hub.inbound.shares import documents_before
from integration_hub.inbound.taxes import CHARGE, account_of_charge
from integration_hub.schemas.sales import RefundCharge, RefundPart


def credit_notes_of(invoice: str) -> list[Document]:
	"""Return the submitted credit notes of an invoice, oldest first."""
	names = frappe.get_all(INVOICE, filters={"return_against": invoice, "docstatus": 1}, pluck="name")
	return documents_before(INVOICE, names, returns=True)


def left_to_credit(invoice: Document) -> float:
	"""Return what of an invoice is not credited yet, in its currency, taxes included."""
	credited = sum(abs(doc.grand_total) for doc in credit_notes_of(invoice.name))
	return flt(invoice.grand_total - credited, invoice.precision("grand_total"))


def restocked(invoice: Document) -> dict[str, float]:
	"""Return how much of each row of an invoice that moved the goods came back into stock."""
	back: dict[str, float] = {}
	for doc in credit_notes_of(invoice.name):
		if doc.update_stock:
			for row in doc.items:
				back[row.sales_invoice_item] = back.get(row.sales_invoice_item, 0.0) - row.qty
	return back


def credit_lines(
	work: Work,
	invoices: list[Document],
	plan: dict[tuple[str, bool], list[Row]],
	part: RefundPart,
	taken: Taken,
	pointer: str,
) -> list[Document]:
	"""Credit rows of invoices, and charges.

	Args:
		plan: rows by invoice and whether its credit note moves the goods back.

	Raises:
		AmountExceedsOpen, ChargeNotMapped
	"""
	charges = list(part.charges or [])
	by_name = {doc.name: doc for doc in invoices}
	if charges and not plan:
		plan = {(invoices[0].name, False): []}
	made = []
	for index, ((name, moves), rows) in enumerate(plan.items()):
		invoice, limit = by_name[name], left_to_credit(by_name[name])
		free = rows and not moves and not any(row.item.net_amount for row in rows)
		# ERPNext 16 holds the discounts of earlier credit notes against one that is worth nothing.
		worthless = limit <= 0 or (free and invoice.discount_amount)
		if worthless and part.amount is None and not charges:
			# All its money is given back already, by amount; or the goods were free.
			continue
		selling.check_rights(work.caller, INVOICE)
		with translated():
			doc = make_return_doc(INVOICE, name)
		keep_rows(work, doc, rows, "sales_invoice_item")
		doc.update_stock = int(moves)
		_value(work, doc, invoice, rows, charges if index == 0 else [], part, limit, len(plan), pointer)
		made.append(_save(work, doc, invoice, taken))
	return made


def _value(
	work: Work,
	doc: Document,
	invoice: Document,
	rows: list[Row],
	charges: list[RefundCharge],
	part: RefundPart,
	limit: float,
	notes: int,
	pointer: str,
) -> None:
	"""Let a credit note come to what its lines are worth, to an amount asked for, or to all that is left."""
	everything = part.lines is None and part.charges is None
	earlier = credit_notes_of(invoice.name)
	_set_fixed_amounts(work, doc, invoice, rows, charges, everything, pointer)
	if not doc.items:
		_stand_in(doc, invoice)
	_prepare(doc, invoice, part, pointer)
	if everything and earlier and part.amount is None and _reached(invoice, rows) == 1:
		# What was kept of an earlier refund, for the restocking, stays kept; cents that rounding left do not.
		cents = len(earlier) * (len(invoice.taxes) + 1) / 100
		if limit + doc.grand_total <= cents:
			_settle(doc, invoice, earlier)
	worth = abs(flt(doc.grand_total, doc.precision("grand_total")))
	wanted = min(worth, limit)
	if part.amount is not None:
		wanted = _wanted(doc, part.amount, worth, limit, notes, pointer)
	if wanted < worth:
		_reduce(doc, wanted)


def _settle(doc: Document, invoice: Document, earlier: list[Document]) -> None:
	"""Let the last credit note of an invoice come to what earlier ones left, of the lines and of each tax."""
	for row, whole in zip(doc.taxes, invoice.taxes, strict=True):
		gone = -sum(
			other.tax_amount_after_discount_amount
			for note in earlier
			for other in note.taxes
			if (other.account_head, other.description) == (whole.account_head, whole.description)
		)
		left = flt(whole.tax_amount_after_discount_amount - gone, row.precision("tax_amount"))
		row.update({"charge_type": "Actual", "rate": 0, "row_id": None, "included_in_print_rate": 0})
		row.tax_amount = -left
	left = invoice.net_total + sum(note.net_total for note in earlier)
	doc.apply_discount_on = "Net Total"
	doc.additional_discount_percentage = doc.discount_amount = 0
	doc.run_method("calculate_taxes_and_totals")
	doc.discount_amount = flt(doc.net_total + left, doc.precision("discount_amount"))
	doc.run_method("calculate_taxes_and_totals")


def _wanted(doc: Document, amount: Decimal, worth: float, limit: float, notes: int, pointer: str) -> float:
	check_decimals(doc, "grand_total", amount, f"{pointer}/amount")
	most = min(worth, limit)
	if notes > 1:
		raise AmountExceedsOpen(
			_("The lines are on {0} invoices; an amount needs one. Send a refund for each.").format(notes),
			pointer=f"{pointer}/amount",
		)
	if float(amount) > most:
		raise exceeds(amount, most, f"{pointer}/amount")
	return float(amount)


def exceeds(amount: Decimal | float, most: float, pointer: str) -> HubError:
	"""Return the refusal of more money than is open."""
	return AmountExceedsOpen(
		_("{0} asked for, {1} can be given back.").format(amount, most),
		pointer=pointer,
		details={"open": most},
	)


def _prepare(doc: Document, invoice: Document, part: RefundPart, pointer: str) -> None:
	selling.set_posting(doc, part.posting_at, pointer)
	doc.payment_terms_template = None
	doc.payment_schedule, doc.advances, doc.due_date = [], [], None
	doc.allocate_advances_automatically = 0
	with translated():
		doc.run_method("calculate_taxes_and_totals")


def _set_fixed_amounts(
	work: Work,
	doc: Document,
	invoice: Document,
	rows: list[Row],
	charges: list[RefundCharge],
	everything: bool,
	pointer: str,
) -> None:
	"""Set what of the invoice's charges, fixed taxes and fixed discount comes back."""
	earlier = credit_notes_of(invoice.name)
	reached = _reached(invoice, rows)
	for row, whole in zip(doc.taxes, invoice.taxes, strict=True):
		if row.charge_type != "Actual":
			continue
		gone = -sum(
			other.tax_amount
			for note in earlier
			for other in note.taxes
			if other.charge_type == "Actual"
			and (other.account_head, other.description) == (whole.account_head, whole.description)
		)
		if whole.get("hub_kind") == CHARGE and not (everything and reached == 1):
			amount = _charge(work, whole, gone, charges, pointer)
		else:
			amount = flt(whole.tax_amount * reached, row.precision("tax_amount")) - gone
		row.tax_amount = -flt(amount, row.precision("tax_amount"))
	if charges:
		raise ChargeNotMapped(
			_("Invoice {0} has no charge {1}.").format(invoice.name, charges[0].code),
			pointer=f"{pointer}/charges",
		)
	if invoice.discount_amount and not invoice.additional_discount_percentage:
		gone = -sum(note.discount_amount for note in earlier)
		share = flt(invoice.discount_amount * reached, doc.precision("discount_amount"))
		doc.discount_amount = -flt(share - gone, doc.precision("discount_amount"))


def _reached(invoice: Document, rows: list[Row]) -> float:
	"""Return the share of an invoice's lines, by amount, that is credited with these rows."""
	credited = sums("Sales Invoice Item", "sales_invoice_item", invoice.items, returns=True, parent=INVOICE)
	now = {row.item.name: row.quantity for row in rows}
	if all(flt(row.qty - credited[row.name] - now.get(row.name, 0), 6) <= 0 for row in invoice.items):
		return 1.0
	total = sum(row.qty * row.rate for row in invoice.items)
	gone = sum((credited[row.name] + now.get(row.name, 0)) * row.rate for row in invoice.items)
	return gone / total if total else 0.0


def _charge(work: Work, whole: Document, gone: float, charges: list[RefundCharge], pointer: str) -> float:
	"""Return what of one charge comes back; takes it off `charges`."""
	for index, charge in enumerate(charges):
		at = f"{pointer}/charges/{index}"
		if account_of_charge(work.caller, charge.code, at).account != whole.account_head:
			continue
		charges.remove(charge)
		left = flt(whole.tax_amount - gone, whole.precision("tax_amount"))
		if left <= 0:
			raise StateConflict(
				_("Nothing of the charge {0} is left to give back.").format(charge.code), pointer=at
			)
		if charge.amount is None:
			return left
		if float(charge.amount) > left:
			raise exceeds(charge.amount, left, f"{at}/amount")
		return float(charge.amount)
	return 0.0


def _reduce(doc: Document, amount: float) -> None:
	"""Let a credit note come to an amount below what its lines are worth: the rest is a discount on the total."""
	doc.additional_discount_percentage = 0
	doc.discount_amount = 0
	doc.apply_discount_on = "Grand Total"
	doc.run_method("calculate_taxes_and_totals")
	for _try in range(3):
		difference = flt(doc.grand_total + amount, doc.precision("grand_total"))
		if not difference:
			return
		doc.discount_amount = flt(flt(doc.discount_amount) + difference, doc.precision("discount_amount"))
		doc.run_method("calculate_taxes_and_totals")
	if flt(doc.grand_total + amount, doc.precision("grand_total")):
		raise InternalError(_("The credit note cannot be made to come to {0}.").format(amount))


def credit_amount(
	work: Work, invoices: list[Document], part: RefundPart, taken: Taken, pointer: str
) -> list[Document]:
	"""Credit an amount, taxes included: each line and tax of the invoice in its proportion, no goods.

	Raises:
		AmountExceedsOpen
	"""
	check_decimals(invoices[0], "grand_total", part.amount, f"{pointer}/amount")
	open_of = [(doc, left_to_credit(doc)) for doc in invoices]
	most = flt(sum(left for _doc, left in open_of), invoices[0].precision("grand_total"))
	rest = float(part.amount)
	if rest > most:
		raise exceeds(part.amount, most, f"{pointer}/amount")
	made = []
	for invoice, left in open_of:
		share = flt(min(rest, left), invoice.precision("grand_total"))
		if share > 0:
			made.append(_amount_note(work, invoice, share, part, taken, pointer))
			rest = flt(rest - share, invoice.precision("grand_total"))
	return made


def _amount_note(
	work: Work, invoice: Document, amount: float, part: RefundPart, taken: Taken, pointer: str
) -> Document:
	selling.check_rights(work.caller, INVOICE)
	with translated():
		doc = make_return_doc(INVOICE, invoice.name)
	_stand_in(doc, invoice)
	doc.update_stock = 0
	_split(doc, invoice, amount)
	_prepare(doc, invoice, part, pointer)
	if flt(doc.grand_total + amount, doc.precision("grand_total")):
		raise InternalError(
			_("The credit note comes to {0} in place of {1}.").format(doc.grand_total, -amount)
		)
	return _save(work, doc, invoice, taken)


def _stand_in(doc: Document, invoice: Document) -> None:
	"""Put rows without item in place of the invoice's: they credit money, and no quantity of anything."""
	doc.items, doc.packed_items = [], []
	for row in invoice.items:
		doc.append(
			"items",
			{
				"item_name": row.item_name,
				"description": _("Refund on {0}").format(row.item_name),
				"qty": -1,
				"uom": row.uom,
				"conversion_factor": 1,
				"rate": 0,
				"price_list_rate": 0,
				"income_account": row.income_account,
				"cost_center": row.cost_center,
				"project": row.get("project"),
				"sales_order": row.sales_order,
			},
		)


def _split(doc: Document, invoice: Document, amount: float) -> None:
	"""Split an amount over the invoice's lines and taxes in their proportion; the parts add up to it, to the cent."""
	doc.discount_amount = doc.additional_discount_percentage = 0
	taxes = [row for row in invoice.taxes if row.tax_amount_after_discount_amount]
	weights = [row.net_amount for row in invoice.items]
	weights += [row.tax_amount_after_discount_amount for row in taxes]
	shares = split(amount, weights, doc.precision("grand_total"))
	for row, share in zip(doc.items, shares, strict=False):
		row.rate = row.price_list_rate = share
	doc.items = [row for row in doc.items if row.rate] or doc.items[:1]
	doc.taxes = []
	for row, share in zip(taxes, shares[len(invoice.items) :], strict=True):
		doc.append(
			"taxes",
			{
				"charge_type": "Actual",
				"account_head": row.account_head,
				"cost_center": row.cost_center,
				"description": row.description,
				"hub_kind": row.get("hub_kind"),
				"tax_amount": -share,
			},
		)


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


def _save(work: Work, doc: Document, invoice: Document, taken: Taken) -> Document:
	"""Save a credit note and set it against what is still owed of its invoice; the rest of it is the customer's credit."""
	owed = _owed(invoice)
	own_currency = doc.party_account_currency == doc.currency
	worth = abs(doc.grand_total if own_currency else doc.base_grand_total)
	doc.update_outstanding_for_self = int(worth > owed)
	if not doc.update_outstanding_for_self:
		# ERPNext 15 would keep what it computed while the note stood for itself.
		doc.outstanding_amount = 0
	note = selling.save(work, doc, Taken(taken.external_id))
	# ERPNext sets a credit note against its invoice as a whole or not at all.
	if note.update_outstanding_for_self and owed > 0:
		_set_against(work, note, invoice, owed)
	return note


def _owed(invoice: Document) -> float:
	return flt(frappe.db.get_value(INVOICE, invoice.name, "outstanding_amount"))


def _set_against(work: Work, note: Document, invoice: Document, owed: float) -> None:
	"""Set part of a credit note against the rest of its invoice, as ERPNext's Payment Reconciliation does."""
	selling.check_rights(work.caller, "Journal Entry")
	credit = -_owed(note)
	company = frappe.get_cached_value("Company", note.company, "default_currency")
	foreign = note.party_account_currency != company
	with translated():
		reconcile_dr_cr_note(
			[
				frappe._dict(
					voucher_type=INVOICE,
					voucher_no=note.name,
					against_voucher_type=INVOICE,
					against_voucher=invoice.name,
					account=note.debit_to,
					party_type="Customer",
					party=note.customer,
					currency=note.party_account_currency,
					exchange_rate=flt(note.conversion_rate) if foreign else 1,
					dr_or_cr="credit_in_account_currency",
					allocated_amount=min(owed, credit),
					unadjusted_amount=credit,
					difference_amount=0,
					cost_center=note.get("cost_center"),
					debit_or_credit_note_posting_date=note.posting_date,
				)
			],
			note.company,
		)
	note.reload()
