"""Currencies, exchange rates and precision: looked up, never guessed, never fetched from the network."""

from decimal import Decimal

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import add_days, cint, getdate

from integration_hub.exceptions import ExchangeRateMissing, Fault, UnknownCurrency, ValidationFailed


def check_currency(currency: str, pointer: str) -> None:
	"""Raise UnknownCurrency unless ERPNext has the currency enabled."""
	if not frappe.db.get_value("Currency", {"name": currency, "enabled": 1}):
		raise UnknownCurrency(
			_("Currency {0} is unknown or disabled in ERPNext. Enable it there, or send another.").format(
				currency
			),
			pointer=pointer,
		)


def exchange_rate(
	currency: str, company_currency: str, on_date, given: Decimal | None, pointer: str
) -> float:
	"""Return the rate from `currency` to the company's: the given one, else the newest stored by that date.

	Raises:
		ExchangeRateMissing: there is none; ERPNext would ask the internet.
	"""
	if currency == company_currency:
		return 1.0
	if given:
		return float(given)
	stored = stored_rate(currency, company_currency, on_date)
	if not stored:
		raise ExchangeRateMissing(
			_(
				"There is no rate from {0} to {1} for {2}. Send exchange_rate, or enter a Currency Exchange."
			).format(currency, company_currency, on_date),
			pointer=pointer,
		)
	return stored


def stored_rate(currency: str, to_currency: str, on_date) -> float | None:
	"""Return the newest stored selling rate not older than Accounts Settings allow."""
	settings = frappe.get_cached_doc("Accounts Settings")
	filters = [
		["from_currency", "=", currency],
		["to_currency", "=", to_currency],
		["date", "<=", getdate(on_date)],
		["for_selling", "=", 1],
	]
	if not cint(settings.allow_stale):
		filters.append(["date", ">", add_days(getdate(on_date), -cint(settings.stale_days))])
	rates = frappe.get_all(
		"Currency Exchange", filters=filters, order_by="date desc", limit=1, pluck="exchange_rate"
	)
	return rates[0] if rates else None


def check_decimals(doc: Document, fieldname: str, value: Decimal, pointer: str) -> None:
	"""Raise ValidationFailed when a number has more decimals than the field keeps: nothing is rounded away."""
	precision = doc.precision(fieldname)
	decimals = max(0, -value.normalize().as_tuple().exponent)
	if decimals > precision:
		message = _("{0} has {1} decimals; ERPNext keeps {2} here. Round it yourself.").format(
			value, decimals, precision
		)
		raise ValidationFailed(message, errors=[Fault(pointer, message, "too_many_decimals")])
