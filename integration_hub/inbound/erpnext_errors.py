"""ERPNext's refusals → the hub's errors, by the exception class where ERPNext has one."""

from contextlib import contextmanager

import frappe
from frappe import _
from frappe.utils import strip_html

from erpnext.accounts.doctype.accounting_period.accounting_period import ClosedAccountingPeriod
from erpnext.accounts.utils import FiscalYearError
from erpnext.controllers.status_updater import OverAllowanceError
from erpnext.exceptions import InvalidAccountCurrency, InvalidCurrency, PartyFrozen
from erpnext.selling.doctype.sales_order.sales_order import WarehouseRequired
from erpnext.stock.doctype.serial_and_batch_bundle.serial_and_batch_bundle import BatchNegativeStockError
from erpnext.stock.doctype.stock_ledger_entry.stock_ledger_entry import StockFreezeError
from erpnext.stock.stock_ledger import NegativeStockError
from erpnext.utilities.transaction_base import UOMMustBeIntegerError

from integration_hub.exceptions import (
	AccountCurrencyMismatch,
	AccountFrozen,
	BatchRequired,
	BusinessRule,
	CreditLimitExceeded,
	HubError,
	PeriodClosed,
	QuantityNotWhole,
	StateConflict,
	StockShort,
)
from integration_hub.exceptions import WarehouseRequired as WarehouseIsRequired


@contextmanager
def translated():
	"""Turn what ERPNext raises inside into HubErrors."""
	try:
		yield
	except HubError:
		raise
	except UOMMustBeIntegerError as e:
		raise QuantityNotWhole(_text(e), pointer="/lines") from e
	except WarehouseRequired as e:
		raise WarehouseIsRequired(
			_("{0}. Send a warehouse, or set the system's default.").format(_text(e)), pointer="/lines"
		) from e
	except (frappe.PermissionError, frappe.DocumentLockedError, frappe.TimestampMismatchError):
		raise
	except frappe.ValidationError as e:
		raise _refusal(e) from e


def _refusal(error: frappe.ValidationError) -> HubError:
	said = _text(error)
	if isinstance(error, (ClosedAccountingPeriod, StockFreezeError, FiscalYearError)) or _raised_in(
		error, "check_freezing_date", "validate_against_pcv"
	):
		return PeriodClosed(_("{0}. Post it on another day, or open the books in ERPNext.").format(said))
	if isinstance(error, PartyFrozen) or _raised_in(error, "validate_frozen_account"):
		return AccountFrozen(_("{0}. Unfreeze it in ERPNext.").format(said))
	if isinstance(error, (InvalidAccountCurrency, InvalidCurrency)) or _raised_in(
		error, "validate_party_account_currency"
	):
		return AccountCurrencyMismatch(
			_(
				"{0}. Give the customer an account in the document's currency, or map to another account."
			).format(said)
		)
	if isinstance(error, (NegativeStockError, BatchNegativeStockError)):
		return StockShort(_("{0}. Receive or move stock, then send the call again.").format(said))
	if _raised_in(error, "validate_serial_batch_no_bundle"):
		# What is picked by itself was nothing: batches that are there have expired.
		return BatchRequired(said)
	if isinstance(error, OverAllowanceError):
		return StateConflict(said)
	if _raised_in(error, "check_credit_limit"):
		# ERPNext's own message names the people who may lift the limit; they are no business of the caller's.
		return CreditLimitExceeded(
			_(
				"The order passes the customer's credit limit. Raise the limit in ERPNext, or wait for a payment."
			),
			pointer="/customer",
		)
	return BusinessRule(said)


def _raised_in(error: Exception, *functions: str) -> bool:
	"""Whether one of these functions raised it: its frame is in the traceback, whatever the language of the message."""
	traceback = error.__traceback__
	while traceback:
		if traceback.tb_frame.f_code.co_name in functions:
			return True
		traceback = traceback.tb_next
	return False


def _text(error: Exception) -> str:
	return " ".join(strip_html(str(error)).split()).rstrip(".")
