"""Any exception → the HubError the public contract knows, and what the log says of it."""

import traceback

from rq.timeouts import JobTimeoutException

import frappe
from frappe import _
from frappe.utils import strip_html

from integration_hub import compat
from integration_hub.exceptions import (
	BusinessRule,
	HubError,
	InternalError,
	NotFound,
	PermissionDenied,
	TemporarilyUnavailable,
)


def describe(error: HubError) -> str:
	"""Return what the log row says of an error: its message, and for a bug the traceback."""
	if isinstance(error, InternalError) and error.__cause__:
		return "".join(traceback.format_exception(error.__cause__))
	return error.message or error.title


def as_hub_error(error: Exception) -> HubError:
	"""Return the HubError for any exception: transient ones, Frappe's refusals, and everything else as a bug."""
	if isinstance(error, HubError):
		return error
	if isinstance(error, (frappe.QueryDeadlockError, frappe.QueryTimeoutError)) or compat.lost_connection(
		error
	):
		return TemporarilyUnavailable(
			_("The database was busy; the hub tries again by itself."), retry_after=1
		)
	if isinstance(error, JobTimeoutException):
		return TemporarilyUnavailable(_("The worker's time was over; the hub tries again by itself."))
	if isinstance(error, (frappe.DocumentLockedError, frappe.TimestampMismatchError)):
		return TemporarilyUnavailable(
			_("A document is being edited right now; the hub tries again by itself.")
		)
	if isinstance(error, frappe.PermissionError):
		return PermissionDenied(_text(error) or _("The system's user lacks a permission in ERPNext."))
	if isinstance(error, frappe.DoesNotExistError):
		return NotFound(_text(error))
	if isinstance(error, (frappe.ValidationError, frappe.NameError)):
		return BusinessRule(_text(error))
	if compat.out_of_range(error):
		return BusinessRule(_("A number or text is larger than ERPNext can store. Send a smaller one."))
	internal = InternalError(_("Something went wrong here; it is on record."))
	internal.__cause__ = error
	return internal


def _text(error: Exception) -> str:
	return strip_html(str(error)).strip()
