"""Money received → a submitted Payment Entry against invoices, or in advance against the order."""

from dataclasses import dataclass
from decimal import Decimal

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt, getdate

from erpnext.accounts.doctype.payment_entry.payment_entry import get_payment_entry
from erpnext.accounts.party import get_party_account

from integration_hub.core.context import Caller
from integration_hub.core.work import Work
from integration_hub.documents.sales import INVOICE, ORDER, PAYMENT, invoices_of, payments_of
from integration_hub.exceptions import (
	Fault,
	PaymentMethodNotMapped,
	PaymentNotBookable,
	StateConflict,
	ValidationFailed,
)
from integration_hub.inbound import selling
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.inbound.money import check_currency, check_decimals
from integration_hub.inbound.taxes import account_of_charge
from integration_hub.inbound.times import site_date
from integration_hub.schemas.orders import OrderPayment
from integration_hub.schemas.sales import PayPart


@dataclass(frozen=True)
class Money:
	"""Converts between a document's currency and its company's, by one rate.

	`precision` is of the document's currency, `company_precision` of the company's (None: the same).
	"""

	document: str
	company: str
	rate: float
	precision: int
	company_precision: int | None = None

	def round(self, amount: float, currency: str) -> float:
		"""Return an amount rounded as the books keep that currency."""
		own = self.company_precision is not None and currency == self.company != self.document
		return flt(amount, self.company_precision if own else self.precision)

	def convert(self, amount: float, origin: str, target: str) -> float:
		"""Return an amount of currency `origin` in currency `target`, rounded as the books are."""
		factor = 1.0
		if origin != target:
			factor = self.rate if target == self.company else 1 / self.rate
		return self.round(float(amount) * factor, target)

	def rate_of(self, currency: str) -> float:
		"""Return the company's currency for one unit of `currency`."""
		return 1.0 if currency == self.company else self.rate


def pay_order(work: Work, order: Document, payment: OrderPayment, pointer: str) -> Document:
	"""Book a payment that came with an order, in the order's currency; what exceeds the order stays unallocated."""
	said = {field: getattr(payment, field) for field in payment.model_fields_set}
	reference = payment.reference or payment.external_id or order.po_no or order.name
	part = PayPart.model_construct(**{**said, "reference": reference})
	return pay(work, order, part, pointer, surplus=True)


def pay(
	work: Work,
	order: Document | None,
	part: PayPart,
	pointer: str = "",
	invoice: Document | None = None,
	*,
	surplus: bool = False,
) -> Document:
	"""Book money received for a locked invoice, or for a locked order: its invoices first, then in advance.

	Args:
		surplus: take money also where nothing is open; all of it stays unallocated then.

	Raises:
		StateConflict: nothing is open, naming the documents.
		PaymentMethodNotMapped, PaymentNotBookable, ChargeNotMapped, ExternalIdConflict, ValidationFailed
	"""
	taken = selling.take_id(work, "pay", "payment", part, invoice or order, pointer)
	if taken.existing:
		return selling.existing(taken)
	account = account_of_method(work.caller, part.method, pointer)
	open_documents = _open(order, invoice)
	if invoice is None:
		selling.check_alone(order, [due.name for due in open_documents if due.doctype == INVOICE], pointer)
	if not open_documents and surplus:
		open_documents = [Due(ORDER, order.name, 0.0)]
	if not open_documents:
		raise _nothing_open(order, invoice, pointer)
	selling.check_rights(work.caller, PAYMENT, part.submit)
	money = _money(invoice or order, account, part, pointer)
	entry = _entry(open_documents, account, _day(part, pointer))
	_set_amounts(work.caller, entry, invoice or order, part, money, open_documents, pointer)
	entry.update(
		{
			"mode_of_payment": account.mode_of_payment,
			"posting_date": _day(part, pointer),
			"reference_no": part.reference or taken.external_id,
		}
	)
	choose_party_account(entry)
	return selling.save(work, entry, taken, submit=part.submit)


def choose_party_account(entry: Document) -> None:
	"""Book an advance on the account of its own that the company may keep; ERPNext chooses it for drafts only."""
	entry.setup_party_account_field()
	entry.set_liability_account()


def account_of_method(caller: Caller, method: str, pointer: str) -> frappe._dict:
	"""Return name, account_currency and mode_of_payment of the account a method is mapped to.

	Raises:
		PaymentMethodNotMapped
	"""
	mapped = next((row for row in caller.system.payment_method_map if row.payment_method == method), None)
	if not mapped:
		raise PaymentMethodNotMapped(
			_("Payment method {0} has no account. Map it in the Connected System {1}.").format(
				method, caller.name
			),
			pointer=f"{pointer}/method",
		)
	account = frappe.db.get_value("Account", mapped.account, ["name", "account_currency"], as_dict=True)
	account.mode_of_payment = mapped.mode_of_payment
	return account


@dataclass(frozen=True)
class Due:
	"""A document that may be paid, and how much of it, in the currency of the receivable account."""

	doctype: str
	name: str
	amount: float


def _open(order: Document | None, invoice: Document | None) -> list[Due]:
	"""Return what may be paid: the order's invoices, the oldest first, then what of it may be paid in advance."""
	if invoice:
		owed = invoice.outstanding_amount
		return [Due(INVOICE, invoice.name, owed)] if owed > 0 else []
	invoices = frappe.get_all(
		INVOICE,
		filters={"name": ("in", invoices_of(order.name)), "docstatus": 1, "is_return": 0},
		fields=["name", "outstanding_amount", "grand_total", "base_grand_total"],
		order_by="posting_date asc, creation asc",
	)
	found = [Due(INVOICE, row.name, row.outstanding_amount) for row in invoices if row.outstanding_amount > 0]
	in_advance = _open_in_advance(order, invoices)
	return [*found, Due(ORDER, order.name, in_advance)] if in_advance > 0 else found


def _open_in_advance(order: Document, invoices: list[frappe._dict]) -> float:
	"""Return what of the order is neither billed nor paid in advance, in the currency of the receivable account."""
	if flt(order.per_billed, 2) >= 100:
		# ERPNext takes no advance for an order that is billed.
		return 0.0
	total_field = "grand_total" if _receivable_currency(order) == order.currency else "base_grand_total"
	total = order.get(total_field)
	billed = sum(_share_of(order, row.name) * row.get(total_field) for row in invoices)
	advances = frappe.get_all(
		"Payment Entry Reference",
		filters={"reference_doctype": ORDER, "reference_name": order.name, "docstatus": 1},
		pluck="allocated_amount",
	)
	precision = order.precision("grand_total")
	left = flt(total - billed - sum(advances), precision)
	# Nor beyond its own count of them.
	return max(0.0, min(left, flt(total - flt(order.advance_paid), precision)))


def _share_of(order: Document, invoice: str) -> float:
	"""Return the share of an invoice that bills this order; 1 but for invoices that bill several."""
	rows = frappe.get_all(
		"Sales Invoice Item", filters={"parent": invoice}, fields=["sales_order", "net_amount"]
	)
	total = sum(row.net_amount for row in rows)
	own = sum(row.net_amount for row in rows if row.sales_order == order.name)
	return own / total if total else 0.0


def _receivable_currency(order: Document) -> str:
	account = get_party_account("Customer", order.customer, order.company)
	return frappe.get_cached_value("Account", account, "account_currency") or order.currency


def _nothing_open(order: Document | None, invoice: Document | None, pointer: str) -> StateConflict:
	target = invoice or order
	invoices = [invoice.name] if invoice else invoices_of(order.name)
	paid = payments_of(order.name if order else "", invoices)
	documents = selling.named(INVOICE, invoices) + selling.named(PAYMENT, paid)
	return StateConflict(
		_("Nothing of {0} {1} is left to pay. See {2}.").format(
			_(target.doctype), target.name, selling.listed(documents)
		),
		pointer=pointer,
		details={"documents": documents},
	)


def _money(target: Document, account: frappe._dict, part: PayPart, pointer: str) -> Money:
	"""Return how amounts are converted.

	Raises:
		PaymentNotBookable: a third currency, of the payment or of the account.
	"""
	company = frappe.get_cached_value("Company", target.company, "default_currency")
	if part.currency:
		check_currency(part.currency, f"{pointer}/currency")
		if part.currency not in (target.currency, company):
			raise PaymentNotBookable(
				_("The payment is in {0}; {1} takes {2}.").format(
					part.currency, target.name, " / ".join(sorted({target.currency, company}))
				),
				pointer=f"{pointer}/currency",
			)
	if account.account_currency not in (target.currency, company):
		raise PaymentNotBookable(
			_("Account {0} is kept in {1}; {2} is in {3}. Map the method to an account in {3}.").format(
				account.name, account.account_currency, target.name, target.currency
			),
			pointer=f"{pointer}/method",
		)
	rate = float(part.exchange_rate) if part.exchange_rate else flt(target.conversion_rate)
	precisions = target.precision("grand_total"), target.precision("base_grand_total")
	return Money(target.currency, company, rate, *precisions)


def _entry(open_documents: list[Due], account: frappe._dict, day) -> Document:
	"""Return the unsaved Payment Entry with a reference row for each open document."""

	def mapped(due: Due) -> Document:
		with translated():
			return get_payment_entry(
				due.doctype,
				due.name,
				bank_account=account.name,
				# Without it ERPNext looks for a stored exchange rate; the amounts proper are set later.
				bank_amount=due.amount,
				reference_date=day,
			)

	entry = mapped(open_documents[0])
	for due in open_documents[1:]:
		for row in mapped(due).references:
			entry.append("references", row.as_dict(no_default_fields=True))
	# A discount for paying early is for people to grant: what was paid is what the caller says.
	entry.deductions = []
	return entry


def _day(part: PayPart, pointer: str):
	return site_date(part.paid_at, f"{pointer}/paid_at") if part.paid_at else getdate()


def _set_amounts(
	caller: Caller,
	entry: Document,
	target: Document,
	part: PayPart,
	money: Money,
	open_documents: list[Due],
	pointer: str,
) -> None:
	"""Set what the customer paid, what arrived, what was kept as a fee, and the gain or loss by the rate."""
	currency = part.currency or target.currency
	party = entry.paid_from_account_currency
	book_rate = flt(target.conversion_rate)
	outstanding = flt(sum(due.amount for due in open_documents), entry.precision("paid_amount"))
	settled = None
	if part.amount is None:
		settled = outstanding
		# What settles the debt: in the document's currency when that is the customer's, whatever the rate is today.
		owed = (
			outstanding if party == money.document else money.round(outstanding / book_rate, money.document)
		)
		paid = money.convert(owed, money.document, currency)
	else:
		check_decimals(target, "grand_total", part.amount, f"{pointer}/amount")
		paid = float(part.amount)
	fee = _fee(target, part, paid, pointer)
	arrived = money.round(paid - fee, currency)
	entry.paid_amount = money.convert(arrived, currency, party)
	entry.received_amount = money.convert(arrived, currency, entry.paid_to_account_currency)
	entry.source_exchange_rate = money.rate_of(party)
	entry.target_exchange_rate = money.rate_of(entry.paid_to_account_currency)
	if settled is None:
		in_documents = money.convert(paid, currency, money.document)
		settled = in_documents if party == money.document else money.round(in_documents * book_rate, party)
	allocated = _allocate(entry, settled, open_documents)
	if fee:
		kept = account_of_charge(caller, part.fee.code, f"{pointer}/fee")
		value = money.convert(fee, currency, money.company)
		_deduct(entry, target, kept.account, value, _("Fee of {0}").format(part.method), kept.cost_center)
	if party == money.company != money.document and money.rate != book_rate:
		# The debt is kept in the company's currency: the difference of the rates is gained or lost here.
		worth = money.round(allocated / book_rate * money.rate, party)
		if difference := money.round(allocated - worth, party):
			_deduct(
				entry, target, _gain_loss_account(target, pointer), difference, _("Exchange gain or loss")
			)
	if settled == allocated:
		book_rounding(entry, target)


def book_rounding(entry: Document, target: Document) -> None:
	"""Book the cents by which the parts of an entry, each converted by itself, miss the whole; ERPNext takes no difference.

	Args:
		entry: all of its money is allocated.
	"""
	if target.currency == frappe.get_cached_value("Company", target.company, "default_currency"):
		return
	entry.run_method("set_amounts")
	kept = sum(flt(row.amount) for row in entry.deductions if not row.get("is_exchange_gain_loss"))
	allocated = flt(entry.base_total_allocated_amount)
	receives = entry.payment_type == "Receive"
	difference = (
		allocated - entry.base_paid_amount - kept if receives else entry.base_paid_amount - allocated - kept
	)
	difference = flt(difference, entry.precision("base_paid_amount"))
	smallest = 10 ** -entry.precision("base_paid_amount")
	if 0 < abs(difference) <= len(entry.references + entry.deductions) * smallest:
		account = frappe.get_cached_value("Company", target.company, "round_off_account")
		_deduct(entry, target, account or _gain_loss_account(target, ""), difference, _("Rounding"))
	entry.run_method("set_amounts")


def _fee(target: Document, part: PayPart, paid: float, pointer: str) -> float:
	if not part.fee or not part.fee.amount:
		return 0.0
	check_decimals(target, "grand_total", part.fee.amount, f"{pointer}/fee/amount")
	if part.fee.amount >= Decimal(str(paid)):
		message = _("The fee is as large as the payment.")
		raise ValidationFailed(message, errors=[Fault(f"{pointer}/fee/amount", message, "fee_too_large")])
	return float(part.fee.amount)


def _allocate(entry: Document, amount: float, open_documents: list[Due]) -> float:
	"""Allocate to each document, term by term, what is open there, never more than was paid; the rest stays unallocated."""
	precision = entry.precision("paid_amount")
	open_of = {(due.doctype, due.name): due.amount for due in open_documents}
	left = amount
	for row in list(entry.references):
		key = (row.reference_doctype, row.reference_name)
		term = row.payment_term_outstanding if row.payment_term else open_of[key]
		row.allocated_amount = max(0.0, min(left, open_of[key], term))
		open_of[key] = flt(open_of[key] - row.allocated_amount, precision)
		left = flt(left - row.allocated_amount, precision)
		if not row.allocated_amount:
			entry.remove(row)
	return flt(amount - left, precision)


def _deduct(
	entry: Document,
	target: Document,
	account: str,
	amount: float,
	description: str,
	cost_center: str | None = None,
) -> None:
	"""Book what did not arrive in the bank account, in the company's currency; a gain is negative."""
	company_center = frappe.get_cached_value("Company", target.company, "cost_center")
	entry.append(
		"deductions",
		{
			"account": account,
			"cost_center": cost_center or target.get("cost_center") or company_center,
			"amount": amount,
			"description": description,
		},
	)


def _gain_loss_account(target: Document, pointer: str) -> str:
	account = frappe.get_cached_value("Company", target.company, "exchange_gain_loss_account")
	if not account:
		raise PaymentNotBookable(
			_("Company {0} has no account for exchange gain or loss. Set it in the Company.").format(
				target.company
			),
			pointer=f"{pointer}/exchange_rate",
		)
	return account
