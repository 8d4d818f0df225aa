"""Money received in advance → a submitted Payment Entry against its Sales Order."""

from decimal import Decimal

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt, getdate

from erpnext.accounts.doctype.payment_entry.payment_entry import get_payment_entry

from integration_hub.core import references
from integration_hub.core.references import AlreadyBound
from integration_hub.core.work import Work
from integration_hub.exceptions import (
	ExternalIdConflict,
	Fault,
	PaymentMethodNotMapped,
	PaymentNotBookable,
	ReferenceBusy,
	ValidationFailed,
)
from integration_hub.inbound.money import check_decimals
from integration_hub.inbound.taxes import account_of_charge
from integration_hub.inbound.times import site_date
from integration_hub.schemas.orders import OrderPayment


def pay_order(work: Work, order: Document, payment: OrderPayment, pointer: str) -> Document:
	"""Book one payment in the order's currency against a submitted order; what exceeds the order stays unallocated.

	Raises:
		PaymentMethodNotMapped, PaymentNotBookable, ExternalIdConflict, ChargeNotMapped
	"""
	account = _account(work, order, payment, pointer)
	reference = _reserve(work, payment, pointer)
	check_decimals(order, "grand_total", payment.amount, f"{pointer}/amount")
	entry = get_payment_entry(
		"Sales Order",
		order.name,
		bank_account=account.name,
		# Without it ERPNext looks for a stored exchange rate; the amounts proper are set below.
		bank_amount=_in_currency(order, payment.amount, account.account_currency),
		reference_date=_paid_on(payment, pointer),
	)
	_set_amounts(work, entry, order, account, payment, pointer)
	entry.update(
		{
			"mode_of_payment": account.mode_of_payment,
			"posting_date": _paid_on(payment, pointer),
			"reference_no": payment.reference or payment.external_id or order.po_no or order.name,
			"hub_system": work.caller.name,
			"hub_external_id": payment.external_id,
		}
	)
	entry.flags.hub_origin = True
	entry.submit()
	if reference:
		references.bind(reference, "Payment Entry", entry.name)
	work.made.append(("Payment Entry", entry.name))
	return entry


def _account(work: Work, order: Document, payment: OrderPayment, pointer: str) -> frappe._dict:
	"""Return name, account_currency and mode_of_payment of the account a method is mapped to."""
	mapped = next(
		(row for row in work.caller.system.payment_method_map if row.payment_method == payment.method), None
	)
	if not mapped:
		raise PaymentMethodNotMapped(
			_("Payment method {0} has no account. Map it in the Connected System {1}.").format(
				payment.method, work.caller.name
			),
			pointer=f"{pointer}/method",
		)
	account = frappe.db.get_value("Account", mapped.account, ["name", "account_currency"], as_dict=True)
	if account.account_currency not in (order.currency, _company_currency(order)):
		raise PaymentNotBookable(
			_("Account {0} is kept in {1}; the order is in {2}. Map the method to an account in {2}.").format(
				account.name, account.account_currency, order.currency
			),
			pointer=f"{pointer}/method",
		)
	account.mode_of_payment = mapped.mode_of_payment
	return account


def _reserve(work: Work, payment: OrderPayment, pointer: str) -> str | None:
	if payment.external_id is None:
		return None
	try:
		return references.reserve(work.caller.name, "payment", payment.external_id, request=work.request)
	except AlreadyBound:
		bound = references.find(work.caller.name, "payment", payment.external_id)
		if bound is None:
			raise ReferenceBusy(
				_("Another call is booking payment {0}.").format(payment.external_id)
			) from None
		raise ExternalIdConflict(
			_("Payment {0} was booked before, as {1}.").format(payment.external_id, bound.document_name),
			pointer=f"{pointer}/external_id",
		) from None


def _paid_on(payment: OrderPayment, pointer: str):
	return site_date(payment.paid_at, f"{pointer}/paid_at") if payment.paid_at else getdate()


def _in_currency(order: Document, amount: Decimal, currency: str) -> float:
	"""Return an amount of the order's currency in that currency or the company's, by the order's rate."""
	if currency == order.currency:
		return float(amount)
	return flt(float(amount) * order.conversion_rate, order.precision("base_grand_total"))


def _set_amounts(
	work: Work, entry: Document, order: Document, account: frappe._dict, payment: OrderPayment, pointer: str
) -> None:
	"""Set what the customer paid, what arrived, and what was kept as a fee, each in its account's currency."""
	rate = order.conversion_rate
	fee = payment.fee.amount if payment.fee else Decimal(0)
	if fee >= payment.amount and fee:
		message = _("The fee is as large as the payment.")
		raise ValidationFailed(message, errors=[Fault(f"{pointer}/fee/amount", message, "fee_too_large")])

	def rate_of(currency: str) -> float:
		return 1.0 if currency == _company_currency(order) else rate

	# For money received, ERPNext's paid amount is what arrived; the fee is a deduction, and the order is paid in full.
	arrived = payment.amount - fee
	entry.paid_amount = _in_currency(order, arrived, entry.paid_from_account_currency)
	entry.received_amount = _in_currency(order, arrived, account.account_currency)
	entry.source_exchange_rate = rate_of(entry.paid_from_account_currency)
	entry.target_exchange_rate = rate_of(account.account_currency)
	_allocate(entry, _in_currency(order, payment.amount, entry.paid_from_account_currency))
	if fee:
		check_decimals(order, "grand_total", fee, f"{pointer}/fee/amount")
		kept = account_of_charge(work.caller, payment.fee.code, f"{pointer}/fee")
		entry.append(
			"deductions",
			{
				"account": kept.account,
				"cost_center": kept.cost_center or order.get("cost_center") or _default_cost_center(order),
				"amount": _in_currency(order, fee, _company_currency(order)),
				"description": _("Fee of {0}").format(payment.method),
			},
		)


def _allocate(entry: Document, amount: float) -> None:
	"""Allocate to the order what is still open there, never more than was paid; the rest stays unallocated."""
	left = amount
	for row in list(entry.references):
		row.allocated_amount = min(left, row.outstanding_amount)
		left = flt(left - row.allocated_amount, entry.precision("paid_amount"))
		if not row.allocated_amount:
			entry.remove(row)


def _company_currency(order: Document) -> str:
	return frappe.get_cached_value("Company", order.company, "default_currency")


def _default_cost_center(order: Document) -> str:
	return frappe.get_cached_value("Company", order.company, "cost_center")
