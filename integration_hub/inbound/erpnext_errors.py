"""ERPNext's refusals → the hub's errors, by the exception class where ERPNext has one."""

from contextlib import contextmanager

import frappe
from frappe import _
from frappe.utils import strip_html

from erpnext.selling.doctype.sales_order.sales_order import WarehouseRequired
from erpnext.utilities.transaction_base import UOMMustBeIntegerError

from integration_hub.exceptions import BusinessRule, CreditLimitExceeded, HubError, QuantityNotWhole
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
		if _is_credit_limit(e):
			# ERPNext's own message names the people who may lift the limit; they are no business of the caller's.
			raise CreditLimitExceeded(
				_(
					"The order passes the customer's credit limit. Raise the limit in ERPNext, or wait for a payment."
				),
				pointer="/customer",
			) from e
		raise BusinessRule(_text(e)) from e


def _is_credit_limit(error: Exception) -> bool:
	"""Whether `check_credit_limit` raised it: its frame is in the traceback, whatever the language of the message."""
	traceback = error.__traceback__
	while traceback:
		if traceback.tb_frame.f_code.co_name == "check_credit_limit":
			return True
		traceback = traceback.tb_next
	return False


def _text(error: Exception) -> str:
	return " ".join(strip_html(str(error)).split()).rstrip(".")
