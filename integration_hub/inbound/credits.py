"""Credit notes: for lines at what they were sold for, or for an amount."""

from dataclasses import dataclass
from decimal import Decimal

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt

from erpnext.accounts.doctype.payment_reconciliation.payment_reconciliation import reconcile_dr_cr_note
from erpnext.controllers.sales_and_purchase_return import make_return_doc

from integration_hub.core.work import Work
from integration_hub.documents.sales import INVOICE
from integration_hub.exceptions import AmountExceedsOpen, BusinessRule, HubError, StateConflict
from integration_hub.inbound import selling
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.inbound.lines import sums
from integration_hub.inbound.money import check_decimals
from integration_hub.inbound.returns import Row, keep_rows
from integration_hub.inbound.selling import Taken
from integration_hub.inbound.shares import documents_before, split, still_due, taken_of
from integration_hub.inbound.taxes import CHARGE, account_of_charge
from integration_hub.schemas.sales import RefundCharge, RefundPart


@dataclass(frozen=True)
class Credit:
	"""What one credit note gives back of an invoice, after earlier ones."""

	invoice: Document
	earlier: list[Document]
	rows: list[Row]
	# Amounts by the name of the charge's row.
	charges: dict[str, float]
	# Whether all that is left was asked for.
	everything: bool

	@property
	def limit(self) -> float:
		return left_to_credit(self.invoice, self.earlier)

	def reached(self) -> float:
		"""Return the share of the invoice's lines, by amount, that is credited with these rows."""
		items = self.invoice.items
		credited = sums("Sales Invoice Item", "sales_invoice_item", items, returns=True, parent=INVOICE)
		now: dict[str, float] = {}
		for row in self.rows:
			now[row.item.name] = now.get(row.item.name, 0.0) + row.quantity
		if all(flt(row.qty - credited[row.name] - now.get(row.name, 0), 6) <= 0 for row in items):
			return 1.0
		total = sum(row.qty * row.rate for row in items)
		gone = sum((credited[row.name] + now.get(row.name, 0)) * row.rate for row in items)
		return gone / total if total else 0.0


def credit_notes_of(invoice: str) -> list[Document]:
	"""Return the submitted credit notes of an invoice, oldest first."""
	names = frappe.get_all(INVOICE, filters={"return_against": invoice, "docstatus": 1}, pluck="name")
	return documents_before(INVOICE, names, returns=True) if names else []


def left_to_credit(invoice: Document, notes: list[Document]) -> float:
	"""Return what of an invoice these credit notes leave, in its currency, taxes included."""
	credited = sum(abs(doc.grand_total) for doc in notes)
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
		AmountExceedsOpen, ChargeNotMapped, StateConflict, BusinessRule
	"""
	by_name = {doc.name: doc for doc in invoices}
	notes = {name: credit_notes_of(name) for name in by_name}
	charges = _plan_charges(work, invoices, notes, part.charges or [], pointer)
	named = {name for name, _moves in plan}
	plan = plan | {(name, False): [] for name, amounts in charges.items() if amounts and name not in named}
	everything = part.lines is None and part.charges is None
	made = []
	for (name, moves), rows in plan.items():
		# The first of two credit notes of an invoice takes its charges.
		credit = Credit(by_name[name], notes[name], rows, charges.pop(name, {}), everything)
		if part.amount is None and not credit.charges and _worthless(credit, moves):
			continue
		selling.check_rights(work.caller, INVOICE)
		with translated():
			doc = make_return_doc(INVOICE, name)
		keep_rows(work, doc, rows, "sales_invoice_item", moves=moves)
		doc.update_stock = int(moves)
		with translated():
			_value(doc, credit, part, len(plan), pointer)
		made.append(_save(work, doc, credit.invoice, taken))
		notes[name].append(made[-1])
	return made


def _worthless(credit: Credit, moves: bool) -> bool:
	"""Whether all the money is given back already, by amount; or the goods were free."""
	free = credit.rows and not moves and not any(row.item.net_amount for row in credit.rows)
	spent = credit.limit <= 0 < credit.invoice.grand_total
	# ERPNext 16 holds the discounts of earlier credit notes against one that is worth nothing.
	return spent or bool(free and credit.invoice.discount_amount)


def _plan_charges(
	work: Work,
	invoices: list[Document],
	notes: dict[str, list[Document]],
	charges: list[RefundCharge],
	pointer: str,
) -> dict[str, dict[str, float]]:
	"""Spread charges over the invoices that bill them; return amounts by invoice and tax row.

	Raises:
		ChargeNotMapped, StateConflict, AmountExceedsOpen
	"""
	plan: dict[str, dict[str, float]] = {doc.name: {} for doc in invoices}
	for index, charge in enumerate(charges):
		at = f"{pointer}/charges/{index}"
		if charge.amount is not None:
			check_decimals(invoices[0], "grand_total", charge.amount, f"{at}/amount")
		wanted = float("inf") if charge.amount is None else float(charge.amount)
		given = 0.0
		for invoice, row in _rows_of(work, invoices, charge, at):
			planned, precision = plan[invoice.name], row.precision("tax_amount")
			gone = planned.get(row.name, 0.0) - taken_of(notes[invoice.name], invoice, row)
			room = left_to_credit(invoice, notes[invoice.name]) - sum(planned.values())
			due = still_due(row.tax_amount, 1, gone, precision)
			share = flt(min(due, room, wanted - given), precision)
			if share > 0:
				planned[row.name] = planned.get(row.name, 0.0) + share
				given = flt(given + share, precision)
		if not given:
			raise StateConflict(
				_("Nothing of the charge {0} is left to give back.").format(charge.code), pointer=at
			)
		if charge.amount is not None and given < wanted:
			raise exceeds(charge.amount, given, f"{at}/amount")
	return plan


def _rows_of(
	work: Work, invoices: list[Document], charge: RefundCharge, pointer: str
) -> list[tuple[Document, Document]]:
	"""Return the invoices' rows of a charge: by its code, or by its account where a row has none."""
	account = account_of_charge(work.caller, charge.code, pointer).account
	rows = [
		(doc, row)
		for doc in invoices
		for row in doc.taxes
		if row.get("hub_kind") == CHARGE
		and (row.hub_code == charge.code if row.get("hub_code") else row.account_head == account)
	]
	if not rows:
		names = [doc.name for doc in invoices]
		raise StateConflict(
			_("No charge {0} is billed with {1}.").format(charge.code, ", ".join(names)),
			pointer=f"{pointer}/code",
			details={"documents": selling.named(INVOICE, names)},
		)
	return rows


def _value(doc: Document, credit: Credit, part: RefundPart, notes: int, pointer: str) -> None:
	"""Let a credit note come to what its lines are worth, to an amount asked for, or to all that is left."""
	reached = credit.reached()
	_set_fixed_amounts(doc, credit, reached)
	if not doc.items:
		_stand_in(doc, credit.invoice)
	_prepare(doc, part, pointer)
	limit = credit.limit
	if credit.everything and credit.earlier and part.amount is None and reached == 1:
		# What was kept of an earlier refund, for the restocking, stays kept; cents that rounding left do not.
		cents = len(credit.earlier) * (len(credit.invoice.taxes) + 1) * 10 ** -doc.precision("grand_total")
		if limit + doc.grand_total <= cents:
			_settle(doc, credit)
	worth = abs(flt(doc.grand_total, doc.precision("grand_total")))
	wanted, at = min(worth, limit), pointer
	if part.amount is not None:
		at = f"{pointer}/amount"
		wanted = _wanted(doc, part.amount, worth, limit, notes, pointer)
	if wanted < worth:
		_reduce(doc, wanted, at)


def _settle(doc: Document, credit: Credit) -> None:
	"""Let the last credit note of an invoice come to what earlier ones left, of the lines and of each tax."""
	invoice, after_discount = credit.invoice, "tax_amount_after_discount_amount"
	for row, whole in zip(doc.taxes, invoice.taxes, strict=True):
		left = whole.get(after_discount) + taken_of(credit.earlier, invoice, whole, after_discount)
		row.update({"charge_type": "Actual", "rate": 0, "row_id": None, "included_in_print_rate": 0})
		row.tax_amount = -flt(left, row.precision("tax_amount"))
	left = invoice.net_total + sum(note.net_total for note in credit.earlier)
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
			_("What comes back is on {0} invoices; an amount needs one. Send a refund for each.").format(
				notes
			),
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


def _prepare(doc: Document, part: RefundPart, pointer: str) -> None:
	selling.set_posting(doc, part.posting_at, pointer)
	doc.payment_terms_template = None
	doc.payment_schedule, doc.advances, doc.due_date = [], [], None
	doc.allocate_advances_automatically = 0
	doc.run_method("calculate_taxes_and_totals")


def _set_fixed_amounts(doc: Document, credit: Credit, reached: float) -> None:
	"""Set what of the invoice's charges, fixed taxes and fixed discount comes back."""
	invoice = credit.invoice
	for row, whole in zip(doc.taxes, invoice.taxes, strict=True):
		if row.charge_type != "Actual":
			continue
		if whole.get("hub_kind") == CHARGE and not (credit.everything and reached == 1):
			row.tax_amount = -credit.charges.get(whole.name, 0.0)
		else:
			gone = -taken_of(credit.earlier, invoice, whole)
			row.tax_amount = -still_due(whole.tax_amount, reached, gone, row.precision("tax_amount"))
	if invoice.discount_amount and not invoice.additional_discount_percentage:
		gone = -sum(note.discount_amount for note in credit.earlier)
		precision = doc.precision("discount_amount")
		doc.discount_amount = -still_due(invoice.discount_amount, reached, gone, precision)


def _reduce(doc: Document, amount: float, pointer: str) -> None:
	"""Let a credit note come to an amount below its worth: fixed rows in their proportion, the lines by a discount.

	ERPNext takes a discount off lines only.
	"""
	fixed = [row for row in doc.taxes if row.charge_type == "Actual"]
	weights = [row.tax_amount for row in fixed]
	parts = split(amount, [doc.grand_total - sum(weights), *weights], doc.precision("grand_total"))
	for row, share in zip(fixed, parts[1:], strict=True):
		row.tax_amount = -share
	doc.additional_discount_percentage = 0
	doc.discount_amount = 0
	doc.apply_discount_on = "Grand Total"
	doc.run_method("calculate_taxes_and_totals")
	for _try in range(3):
		difference = flt(doc.grand_total + amount, doc.precision("grand_total"))
		if not difference or not doc.total:
			break
		doc.discount_amount = flt(flt(doc.discount_amount) + difference, doc.precision("discount_amount"))
		doc.run_method("calculate_taxes_and_totals")
	_check_total(doc, amount, pointer)


def _check_total(doc: Document, amount: float, pointer: str) -> None:
	if flt(doc.grand_total + amount, doc.precision("grand_total")):
		raise BusinessRule(
			_("ERPNext's credit note comes to {0}; {1} cannot be reached. Send another amount.").format(
				-doc.grand_total, amount
			),
			pointer=pointer,
		)


def credit_amount(
	work: Work, invoices: list[Document], part: RefundPart, taken: Taken, pointer: str
) -> list[Document]:
	"""Credit an amount, taxes included: each line and tax of the invoice in its proportion, no goods.

	Raises:
		AmountExceedsOpen
	"""
	check_decimals(invoices[0], "grand_total", part.amount, f"{pointer}/amount")
	open_of = [(doc, left_to_credit(doc, credit_notes_of(doc.name))) for doc in invoices]
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
	with translated():
		_prepare(doc, part, pointer)
	_check_total(doc, amount, f"{pointer}/amount")
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
	weights = [row.net_amount for row in invoice.items]
	weights += [row.tax_amount_after_discount_amount for row in invoice.taxes]
	shares = split(amount, weights, doc.precision("grand_total"))
	for row, share in zip(doc.items, shares, strict=False):
		row.rate = row.price_list_rate = share
	doc.items = [row for row in doc.items if row.rate] or doc.items[:1]
	doc.taxes = []
	for row, share in zip(invoice.taxes, shares[len(invoice.items) :], strict=True):
		doc.append(
			"taxes",
			{
				"charge_type": "Actual",
				"account_head": row.account_head,
				"cost_center": row.cost_center,
				"description": row.description,
				"hub_kind": row.get("hub_kind"),
				"hub_code": row.get("hub_code"),
				"tax_amount": -share,
			},
		)


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
	owed = frappe.db.get_value(INVOICE, invoice.name, "outstanding_amount")
	return flt(owed, invoice.precision("outstanding_amount"))


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
