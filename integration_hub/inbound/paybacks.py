"""Pay money back to a customer: for credit notes, or of an advance."""

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt, getdate

from erpnext.accounts.doctype.payment_entry.payment_entry import get_payment_entry

from integration_hub.core.work import Work
from integration_hub.documents.sales import INVOICE, PAYMENT
from integration_hub.exceptions import PaymentNotBookable, StateConflict
from integration_hub.inbound import selling
from integration_hub.inbound.erpnext_errors import translated
from integration_hub.inbound.payments import Money, account_of_method
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
			_("Nothing of it is billed, so there is no money to pay back. Leave method out."),
			pointer=f"{pointer}/method",
		)
	account = account_of_method(work.caller, part.method, pointer)
	selling.check_rights(work.caller, PAYMENT)
	open_rows = _open_rows(notes)
	amount = -sum(open_rows.values())
	if flt(amount, notes[0].precision("grand_total")) <= 0:
		raise StateConflict(
			_("Nothing of it was paid: the credit is set against what is owed. Leave method out."),
			pointer=f"{pointer}/method",
			details={"documents": selling.named(INVOICE, sorted({doc.return_against for doc in notes}))},
		)
	entry = _entry(notes[0], account, open_rows, amount, part, pointer)
	entry.reference_no = part.reference or taken.external_id
	return selling.save(work, entry, Taken(taken.external_id))


def _open_rows(notes: list[Document]) -> dict[str, float]:
	"""Return what is open of the credit notes (negative) and of their invoices, in the receivable account's currency."""
	names = [doc.name for doc in notes if doc.update_outstanding_for_self]
	names += sorted({doc.return_against for doc in notes if doc.update_outstanding_for_self})
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
	if account.account_currency not in (note.currency, company):
		raise PaymentNotBookable(
			_("Account {0} is kept in {1}; {2} is in {3}. Map the method to an account in {3}.").format(
				account.name, account.account_currency, note.return_against, note.currency
			),
			pointer=f"{pointer}/method",
		)
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
				"exchange_rate": invoice.conversion_rate,
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
	return entry


def give_back_advance(work: Work, order: Document, part: RefundPart, taken: Taken, pointer: str) -> Document:
	"""Pay back money that was paid in advance for an order of which nothing is billed."""
	raise StateConflict(
		_("Nothing of order {0} is billed, so there is no credit to pay back.").format(order.name),
		pointer=pointer,
	)
