"""Pay money back to a customer: for credit notes, or of an advance."""

from dataclasses import dataclass

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt, getdate

from erpnext.accounts.doctype.payment_entry.payment_entry import get_payment_entry
from erpnext.accounts.utils import reconcile_against_document, unlink_ref_doc_from_payment_entries

from integration_hub import compat
from integration_hub.core.work import Work
from integration_hub.documents.sales import INVOICE, PAYMENT
from integration_hub.exceptions import PaymentNotBookable, StateConflict
from integration_hub.inbound import selling
from integration_hub.inbound.credits import exceeds
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.inbound.money import check_decimals
from integration_hub.inbound.payments import Money, account_of_method, book_rounding, choose_party_account
from integration_hub.inbound.selling import Taken
from integration_hub.inbound.times import site_date
from integration_hub.schemas.sales import RefundPart


def pay_back(work: Work, made: list[Document], part: RefundPart, taken: Taken, pointer: str) -> Document:
	"""Pay back what credit notes just made leave to the customer, less what is still owed of their invoices.

	Raises:
		StateConflict: nothing of it was paid.
		PaymentMethodNotMapped, PaymentNotBookable
	"""
	notes = [doc for doc in made if doc.doctype == INVOICE]
	if not notes:
		raise StateConflict(
			_("Nothing of it is left to credit, so there is no money to pay back. Leave method out."),
			pointer=f"{pointer}/method",
		)
	account = account_of_method(work.caller, part.method, pointer)
	selling.check_rights(work.caller, PAYMENT)
	open_rows = _open_rows(notes)
	amount = -flt(sum(open_rows.values()), notes[0].precision("grand_total"))
	if amount <= 0:
		raise StateConflict(
			_(
				"There is no money to pay back: the credit is set against what is still owed. Leave method out."
			),
			pointer=f"{pointer}/method",
			details={"documents": selling.named(INVOICE, sorted({doc.return_against for doc in notes}))},
		)
	entry = _entry(notes[0], account, open_rows, amount, part, pointer)
	entry.reference_no = part.reference or taken.external_id
	entry = selling.save(work, entry, Taken(taken.external_id))
	for doc in notes:
		# The answer shows the credit notes as the payment has left them.
		doc.update(frappe.db.get_value(INVOICE, doc.name, ["status", "outstanding_amount"], as_dict=True))
	return entry


def _open_rows(notes: list[Document]) -> dict[str, float]:
	"""Return what is open of the credit notes (negative), in the receivable account's currency."""
	names = [doc.name for doc in notes if doc.update_outstanding_for_self]
	rows = frappe.get_all(INVOICE, filters={"name": ("in", names)}, fields=["name", "outstanding_amount"])
	return {row.name: flt(row.outstanding_amount) for row in rows if row.outstanding_amount}


def _entry(
	note: Document,
	account: frappe._dict,
	open_rows: dict[str, float],
	amount: float,
	part: RefundPart,
	pointer: str,
) -> Document:
	day = site_date(part.posting_at, f"{pointer}/posting_at") if part.posting_at else getdate()
	company = frappe.get_cached_value("Company", note.company, "default_currency")
	_check_currency(account, note, company, pointer)
	money = Money(note.currency, company, flt(note.conversion_rate), note.precision("grand_total"))
	with translated():
		entry = get_payment_entry(
			INVOICE, note.name, bank_account=account.name, bank_amount=amount, reference_date=day
		)
	template = entry.references[0].as_dict(no_default_fields=True)
	entry.references = []
	for name, open_amount in open_rows.items():
		invoice = frappe.db.get_value(
			INVOICE, name, ["grand_total", "due_date", "conversion_rate"], as_dict=True
		)
		entry.append(
			"references",
			{
				**template,
				"name": None,
				"reference_doctype": INVOICE,
				"reference_name": name,
				"total_amount": invoice.grand_total,
				"due_date": invoice.due_date,
				"exchange_rate": 1 if entry.paid_to_account_currency == company else invoice.conversion_rate,
				"outstanding_amount": open_amount,
				"allocated_amount": open_amount,
			},
		)
	party = entry.paid_to_account_currency
	entry.received_amount = flt(amount, money.precision)
	entry.paid_amount = money.convert(amount, party, entry.paid_from_account_currency)
	entry.target_exchange_rate = money.rate_of(party)
	entry.source_exchange_rate = money.rate_of(entry.paid_from_account_currency)
	entry.update({"mode_of_payment": account.mode_of_payment, "posting_date": day})
	book_rounding(entry, note)
	return entry


def give_back_advance(work: Work, order: Document, part: RefundPart, taken: Taken, pointer: str) -> Document:
	"""Pay back money that was paid in advance for a locked order of which nothing is billed; without an amount, all of it.

	ERPNext has no button for it, but all it takes: the entries that received the money are taken off the order and set
	against the entry that pays it back, as its Payment Reconciliation sets one payment against another. So nothing of
	them is left for a later invoice.

	Raises:
		StateConflict: nothing is paid in advance.
		AmountExceedsOpen, PaymentMethodNotMapped, PaymentNotBookable, ValidationFailed
	"""
	account = account_of_method(work.caller, part.method, pointer)
	selling.check_rights(work.caller, PAYMENT)
	shares = _shares(order, part, pointer)
	entry = selling.save(
		work, _advance_entry(order, account, shares, part, taken, pointer), Taken(taken.external_id)
	)
	for share in shares:
		_set_against(order, share, entry)
	compat.note_advance_given_back(order, entry, entry.received_amount)
	return entry


@dataclass(frozen=True)
class _Share:
	"""How much of the advance in one Payment Entry goes back, in the currency of the receivable account."""

	received: Document
	advance: float
	amount: float


def _shares(order: Document, part: RefundPart, pointer: str) -> list[_Share]:
	"""Return what is given back of which Payment Entry: the latest first."""
	advances = _advances(order, pointer)
	if not advances:
		raise StateConflict(
			_("Nothing of order {0} is paid in advance, so there is no money to pay back.").format(
				order.name
			),
			pointer=f"{pointer}/method",
			details={"documents": [{"doctype": order.doctype, "name": order.name}]},
		)
	own_currency = advances[0][0].paid_from_account_currency == order.currency
	rate = 1.0 if own_currency else flt(order.conversion_rate)
	precision = order.precision("grand_total")
	most = flt(sum(advance for _received, advance in advances), precision)
	left = most
	if part.amount is not None:
		check_decimals(order, "grand_total", part.amount, f"{pointer}/amount")
		if float(part.amount) > flt(most / rate, precision):
			raise exceeds(part.amount, flt(most / rate, precision), f"{pointer}/amount")
		left = min(most, flt(float(part.amount) * rate, precision))
	shares = []
	for received, advance in advances:
		amount = flt(min(left, advance), precision)
		left = flt(left - amount, precision)
		if amount:
			shares.append(_Share(received, advance, amount))
	_check_separate(order, shares, pointer)
	return shares


def _check_separate(order: Document, shares: list[_Share], pointer: str) -> None:
	"""Refuse what ERPNext loses count of: parts, and other currencies, of advances that are kept on an account of their own."""
	for share in shares:
		whole = not flt(share.advance - share.amount, order.precision("grand_total"))
		foreign = flt(share.received.source_exchange_rate) != 1
		if share.received.book_advance_payments_in_separate_party_account and (foreign or not whole):
			raise PaymentNotBookable(
				_(
					"{0} keeps its advance on an account of its own; ERPNext can pay back all of it, in the company's currency. Do the rest in ERPNext."
				).format(share.received.name),
				pointer=f"{pointer}/amount",
			)


def _advances(order: Document, pointer: str) -> list[tuple[Document, float]]:
	"""Return the Payment Entries that pay an order in advance, locked, the latest first, and what they pay.

	Raises:
		PaymentNotBookable: they are on several receivable accounts.
	"""
	names = frappe.get_all(
		"Payment Entry Reference",
		filters={"reference_doctype": order.doctype, "reference_name": order.name, "docstatus": 1},
		pluck="parent",
		distinct=True,
	)
	found = []
	for doc in [selling.locked(PAYMENT, name) for name in sorted(names)]:
		advance = sum(row.allocated_amount for row in doc.references if row.reference_name == order.name)
		if doc.docstatus == 1 and advance > 0:
			found.append((doc, advance))
	if len({doc.paid_from for doc, _advance in found}) > 1:
		documents = selling.named(PAYMENT, [doc.name for doc, _advance in found])
		raise PaymentNotBookable(
			_("The advances of order {0} are on several accounts: {1}. Pay them back in ERPNext.").format(
				order.name, selling.listed(documents)
			),
			pointer=f"{pointer}/method",
			details={"documents": documents},
		)
	return sorted(found, key=lambda pair: pair[0].creation, reverse=True)


def _advance_entry(
	order: Document,
	account: frappe._dict,
	shares: list[_Share],
	part: RefundPart,
	taken: Taken,
	pointer: str,
) -> Document:
	"""Return the unsaved Payment Entry that pays an advance back, at the rate it came in with: nothing is gained or lost."""
	day = site_date(part.posting_at, f"{pointer}/posting_at") if part.posting_at else getdate()
	company = frappe.get_cached_value("Company", order.company, "default_currency")
	_check_currency(account, order, company, pointer)
	received = shares[0].received
	amount = flt(sum(share.amount for share in shares), order.precision("grand_total"))
	worth = sum(share.amount * flt(share.received.source_exchange_rate) for share in shares)
	party_rate = worth / amount
	rate = flt(order.conversion_rate) if received.paid_from_account_currency == company else party_rate
	money = Money(order.currency, company, rate, order.precision("grand_total"))
	entry = frappe.new_doc(PAYMENT)
	entry.update(
		{
			"payment_type": "Pay",
			"company": order.company,
			"party_type": "Customer",
			"party": order.customer,
			"posting_date": day,
			"reference_date": day,
			"reference_no": part.reference or taken.external_id,
			"mode_of_payment": account.mode_of_payment,
			"cost_center": received.cost_center,
			"project": received.project,
			"paid_from": account.name,
			"paid_from_account_currency": account.account_currency,
			"paid_to": received.paid_from,
			"paid_to_account_currency": received.paid_from_account_currency,
			"received_amount": flt(amount, money.precision),
			"paid_amount": money.convert(
				amount, received.paid_from_account_currency, account.account_currency
			),
			"target_exchange_rate": party_rate,
			"source_exchange_rate": money.rate_of(account.account_currency),
		}
	)
	choose_party_account(entry)
	return entry


def _set_against(order: Document, share: _Share, entry: Document) -> None:
	"""Take an entry that received money off the order, set it against the one that pays back, and put the rest back."""
	received = share.received.name
	unlink_ref_doc_from_payment_entries(order, received)
	free = flt(frappe.db.get_value(PAYMENT, received, "unallocated_amount"))
	targets = [(PAYMENT, entry.name, share.amount)]
	if rest := flt(share.advance - share.amount, order.precision("grand_total")):
		targets.append((order.doctype, order.name, rest))
	reconcile_against_document(
		[
			frappe._dict(
				voucher_type=PAYMENT,
				voucher_no=received,
				against_voucher_type=doctype,
				against_voucher=name,
				account=share.received.paid_from,
				party_type="Customer",
				party=order.customer,
				dr_or_cr="credit_in_account_currency",
				unadjusted_amount=free,
				allocated_amount=amount,
				grand_total=amount,
				precision=order.precision("grand_total"),
			)
			for doctype, name, amount in targets
		],
		# What it would look up of a payment as the other side is its rate, and it takes every payment's for 1.
		skip_ref_details_update_for_pe=flt(share.received.source_exchange_rate) != 1,
	)


def _check_currency(account: frappe._dict, sold: Document, company: str, pointer: str) -> None:
	if account.account_currency not in (sold.currency, company):
		raise PaymentNotBookable(
			_("Account {0} is kept in {1}; {2} is in {3}. Map the method to an account in {3}.").format(
				account.name, account.account_currency, sold.get("return_against") or sold.name, sold.currency
			),
			pointer=f"{pointer}/method",
		)
