"""Charges, taxes and order discounts of a request → rows and discount of an ERPNext order."""

from decimal import Decimal

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import flt

from integration_hub.core.context import Caller
from integration_hub.exceptions import (
	ChargeNotMapped,
	Fault,
	TaxNotMapped,
	UnknownTaxTemplate,
	ValidationFailed,
)
from integration_hub.inbound.money import check_decimals
from integration_hub.schemas.orders import Charge, Discount, Order, Tax

TEMPLATE = "Sales Taxes and Charges Template"

TAX, CHARGE, DIFFERENCE = "tax", "charge", "difference"


def apply(caller: Caller, doc: Document, order: Order) -> None:
	"""Put the order's taxes, charges and discounts on a new document.

	Raises:
		TaxNotMapped, ChargeNotMapped, UnknownTaxTemplate, ValidationFailed
	"""
	if order.taxes is not None or order.tax_template or not doc.taxes:
		# Taxes that came with a quotation stay, unless the order says its own.
		doc.taxes = []
		_apply_taxes(caller, doc, order)
	for row in doc.taxes:
		row.hub_kind = row.get("hub_kind") or TAX
	for index, charge in enumerate(order.charges):
		doc.append("taxes", _charge_row(caller, doc, charge, f"/charges/{index}"))
	_check_accounts(doc)
	_apply_discounts(caller, doc, order.discounts)


def _apply_taxes(caller: Caller, doc: Document, order: Order) -> None:
	if order.taxes is not None:
		for index, tax in enumerate(order.taxes):
			doc.append("taxes", _tax_row(caller, doc, tax, f"/taxes/{index}"))
		return
	template = order.tax_template or caller.system.taxes_template
	if template:
		_check_template(caller, template)
		doc.taxes_and_charges = template
		doc.append_taxes_from_master()
	else:
		doc.set_taxes()


def _check_accounts(doc: Document) -> None:
	"""Refuse a rate that shares its account with another row: ERPNext 16 keeps one rate an account, the last one."""
	accounts = [row.account_head for row in doc.taxes]
	shared = next(
		(
			row.account_head
			for row in doc.taxes
			if row.charge_type != "Actual" and accounts.count(row.account_head) > 1
		),
		None,
	)
	if shared:
		message = _(
			"A tax with a rate shares the account {0} with another tax or charge, and ERPNext keeps one rate an account. Map each to an account of its own."
		).format(shared)
		raise ValidationFailed(message, errors=[Fault("/taxes", message, "account_shared")])


def _check_template(caller: Caller, template: str) -> None:
	found = frappe.db.get_value(TEMPLATE, template, ["name", "company", "disabled"], as_dict=True)
	if not found or found.name != template or found.company != caller.system.company or found.disabled:
		raise UnknownTaxTemplate(
			_("{0} has no enabled Sales Taxes and Charges Template {1}.").format(
				caller.system.company, template
			),
			pointer="/tax_template",
		)


def item_template(caller: Caller, template: str | None, pointer: str) -> str | None:
	"""Return the name of a line's Item Tax Template.

	Raises:
		UnknownTaxTemplate
	"""
	if template is None:
		return None
	found = frappe.db.get_value("Item Tax Template", template, ["name", "company", "disabled"], as_dict=True)
	if not found or found.name != template or found.company != caller.system.company or found.disabled:
		raise UnknownTaxTemplate(
			_("{0} has no enabled Item Tax Template {1}.").format(caller.system.company, template),
			pointer=pointer,
		)
	return template


def _tax_row(caller: Caller, doc: Document, tax: Tax, pointer: str) -> dict:
	mapped = next((row for row in caller.system.tax_map if row.tax_code == tax.code), None)
	if not mapped:
		raise TaxNotMapped(
			_("Tax {0} has no account. Map it in the Connected System {1}.").format(tax.code, caller.name),
			pointer=pointer + "/code",
		)
	row = {
		"account_head": mapped.account,
		"cost_center": mapped.cost_center or caller.system.cost_center,
		"description": tax.title or tax.code,
		"hub_kind": TAX,
		"hub_code": tax.code,
	}
	if tax.amount is not None:
		return {
			**row,
			"charge_type": "Actual",
			"rate": 0,
			"tax_amount": _money(doc, tax.amount, pointer + "/amount"),
		}
	return {
		**row,
		"charge_type": "On Net Total",
		"rate": float(tax.rate),
		"included_in_print_rate": int(tax.included),
	}


def account_of_charge(caller: Caller, code: str, pointer: str) -> frappe._dict:
	"""Return the row of the charge map for a code (account, cost_center).

	Raises:
		ChargeNotMapped
	"""
	mapped = next((row for row in caller.system.charge_map if row.charge_code == code), None)
	if not mapped:
		raise ChargeNotMapped(
			_("Charge {0} has no account. Map it in the Connected System {1}.").format(code, caller.name),
			pointer=pointer + "/code",
		)
	return mapped


def _charge_row(caller: Caller, doc: Document, charge: Charge, pointer: str) -> dict:
	mapped = account_of_charge(caller, charge.code, pointer)
	return {
		"charge_type": "Actual",
		"rate": 0,
		"account_head": mapped.account,
		"cost_center": mapped.cost_center or caller.system.cost_center,
		"description": charge.title or charge.code,
		"tax_amount": _money(doc, charge.amount, pointer + "/amount"),
		"hub_kind": CHARGE,
		"hub_code": charge.code,
	}


def difference_row(caller: Caller, amount: Decimal) -> dict:
	"""Return the row that books a difference the totals gate accepts."""
	return {
		"charge_type": "Actual",
		"rate": 0,
		"account_head": caller.system.difference_account,
		"cost_center": caller.system.cost_center,
		"description": _("Difference to the system's total"),
		"tax_amount": float(amount),
		"hub_kind": DIFFERENCE,
	}


def _apply_discounts(caller: Caller, doc: Document, discounts: list[Discount]) -> None:
	"""Amounts add up; per cent counts of the lines (before tax) or of the grand total (after)."""
	if not discounts:
		return
	doc.hub_discounts = "\n".join(_named(discount) for discount in discounts)
	amount = sum((d.amount for d in discounts if d.amount is not None), Decimal(0))
	percent = sum((d.percent for d in discounts if d.percent is not None), Decimal(0))
	if percent > 100:
		_refuse(_("The discounts add up to more than 100 per cent."), "discount_too_large")
	doc.apply_discount_on = caller.system.discount_on
	if percent and not amount:
		doc.additional_discount_percentage = float(percent)
		return
	included = any(row.included_in_print_rate for row in doc.taxes)
	if percent and (included or caller.system.discount_on != "Net Total"):
		_refuse(
			_(
				"With taxes the prices include, and after tax, discounts are all amounts or all per cent; a mixture has no one meaning."
			),
			"discounts_mixed",
		)
	lines = sum(Decimal(str(flt(row.rate * row.qty, row.precision("amount")))) for row in doc.items)
	total = amount + lines * percent / 100
	if total > lines:
		_refuse(
			_("The discounts ({0}) are larger than the lines ({1}).").format(total, lines),
			"discount_too_large",
		)
	doc.discount_amount = (
		flt(float(total), doc.precision("discount_amount")) if percent else _money(doc, total, "/discounts")
	)


def _named(discount: Discount) -> str:
	"""Say what a discount was: ERPNext keeps one sum for all of them."""
	name = " ".join(part for part in (discount.code, discount.title) if part) or _("Discount")
	return f"{name}: {discount.amount}" if discount.amount is not None else f"{name}: {discount.percent} %"


def _refuse(message: str, code: str) -> None:
	raise ValidationFailed(message, errors=[Fault("/discounts", message, code)])


def _money(doc: Document, amount: Decimal, pointer: str) -> float:
	check_decimals(doc, "grand_total", amount, pointer)
	return float(amount)
