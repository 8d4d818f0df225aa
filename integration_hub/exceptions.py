"""Every error the public API can answer, one class each.

HubError
├── BadRequest (400) ─ MalformedJson, IdempotencyKeyRequired, IdempotencyKeyMalformed
├── NotAuthenticated, SignatureInvalid (401)
├── Forbidden (403) ─ SystemNotConnected, ScopeMissing, AddressNotAllowed, PermissionDenied, FrappeApiClosed
├── NotFound (404)
├── Conflict (409) ─ RequestInProgress, ExternalIdConflict, StateConflict
├── PayloadTooLarge (413)
├── Unprocessable (422) ─ IdempotencyKeyReused, ValidationFailed, and one class for each business rule
├── RateLimited (429)
├── InternalError (500) ─ WorkSplit
└── Unavailable (503) ─ Paused, TemporarilyUnavailable

`docs/errors.md` lists every code; a test checks that the list and these classes agree.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Fault:
	"""One fault in the input: `pointer` is an RFC 6901 JSON pointer into the body, or `?name` for a query parameter."""

	pointer: str
	message: str
	code: str


class HubError(Exception):
	"""An error with a place in the public contract.

	`code` and `http_status` never change once released. `retryable` says whether the same call, unchanged, may succeed
	later. `transient` errors are tried again by the hub itself; those of a `dependency`, something that is not there yet, where
	the call was accepted for later.

	Args:
		message: what is wrong and what to do, for people; translated.
		pointer: JSON pointer to the faulty input.
		errors: several faults, where there are several.
		retry_after: seconds after which to try again.
		details: further members of the problem document, JSON values.
	"""

	code = "internal_error"
	http_status = 500
	title = "Error"
	retryable = False
	transient = False
	dependency = False

	def __init__(
		self,
		message: str = "",
		*,
		pointer: str | None = None,
		errors: list[Fault] | None = None,
		retry_after: int | None = None,
		details: dict | None = None,
	):
		super().__init__(message)
		self.message = message
		self.errors = errors or ([Fault(pointer, message, self.code)] if pointer is not None else [])
		self.retry_after = retry_after
		self.details = details or {}

	@property
	def http_status_code(self) -> int:
		"""The status under the name Frappe's own error handler reads."""
		return self.http_status


@contextmanager
def under(prefix: str):
	"""Let the pointers of what is raised inside begin with `prefix`: where a part stands in a larger body."""
	try:
		yield
	except HubError as error:
		error.errors = [replace(fault, pointer=prefix + fault.pointer) for fault in error.errors]
		raise


class BadRequest(HubError):
	http_status = 400


class MalformedJson(BadRequest):
	code = "malformed_json"
	title = "The body is not a JSON object"


class IdempotencyKeyRequired(BadRequest):
	code = "idempotency_key_required"
	title = "Idempotency-Key is missing"


class IdempotencyKeyMalformed(BadRequest):
	code = "idempotency_key_malformed"
	title = "Idempotency-Key is malformed"


class NotAuthenticated(HubError):
	http_status = 401
	code = "not_authenticated"
	title = "Credentials are missing or wrong"


class SignatureInvalid(HubError):
	"""A webhook that nobody vouches for; the same whatever is wrong, so that nothing can be learned by trying."""

	http_status = 401
	code = "signature_invalid"
	title = "No valid signature"


class Forbidden(HubError):
	http_status = 403


class SystemNotConnected(Forbidden):
	code = "system_not_connected"
	title = "No enabled Connected System"


class ScopeMissing(Forbidden):
	code = "scope_missing"
	title = "Scope is missing"


class AddressNotAllowed(Forbidden):
	code = "address_not_allowed"
	title = "Address is not allowed"


class PermissionDenied(Forbidden):
	code = "permission_denied"
	title = "Permission is missing in ERPNext"


class FrappeApiClosed(Forbidden):
	code = "frappe_api_closed"
	title = "Only the hub's own calls are open to this user"


class NotFound(HubError):
	http_status = 404
	code = "not_found"
	title = "Not found"
	dependency = True


class MethodNotAllowed(HubError):
	http_status = 405
	code = "method_not_allowed"
	title = "Wrong HTTP method"


class Conflict(HubError):
	http_status = 409


class RequestInProgress(Conflict):
	code = "request_in_progress"
	title = "The first call is still running"
	retryable = True


class ReferenceBusy(RequestInProgress):
	"""Another call holds the external id at this moment; the hub tries again by itself."""

	transient = True


class ExternalIdConflict(Conflict):
	code = "external_id_conflict"
	title = "The external id is bound to something else"


class StateConflict(Conflict):
	code = "state_conflict"
	title = "The document's state does not allow it"


class PayloadTooLarge(HubError):
	http_status = 413
	code = "payload_too_large"
	title = "The body is too large"


class Unprocessable(HubError):
	http_status = 422


class IdempotencyKeyReused(Unprocessable):
	code = "idempotency_key_reused"
	title = "The key was used with another payload"


class ValidationFailed(Unprocessable):
	code = "validation_failed"
	title = "The input is not valid"


class MappingFailed(Unprocessable):
	"""A webhook that came in, and that its field map makes no valid call of; a corrected map and Retry do."""

	code = "mapping_failed"
	title = "The field map does not fit"


class UnknownCustomer(Unprocessable):
	code = "unknown_customer"
	title = "Unknown customer"
	dependency = True


class CustomerAmbiguous(Unprocessable):
	code = "customer_ambiguous"
	title = "More than one customer fits"


class CustomerDisabled(Unprocessable):
	code = "customer_disabled"
	title = "The customer is disabled"


class CreditLimitExceeded(Unprocessable):
	code = "credit_limit_exceeded"
	title = "The customer's credit limit is reached"


class UnknownItem(Unprocessable):
	code = "unknown_item"
	title = "Unknown item"
	dependency = True


class ItemAmbiguous(Unprocessable):
	code = "item_ambiguous"
	title = "The identifiers name different items"


class ItemDisabled(Unprocessable):
	code = "item_disabled"
	title = "The item is disabled"


class ItemNotSellable(Unprocessable):
	code = "item_not_sellable"
	title = "The item cannot be sold"


class UnknownUom(Unprocessable):
	code = "unknown_uom"
	title = "Unknown unit of measure"


class UomNotConvertible(Unprocessable):
	code = "uom_not_convertible"
	title = "The unit has no conversion for this item"


class QuantityNotWhole(Unprocessable):
	code = "quantity_not_whole"
	title = "The unit allows whole numbers only"


class UnknownWarehouse(Unprocessable):
	code = "unknown_warehouse"
	title = "Unknown warehouse"


class WarehouseNotUsable(Unprocessable):
	code = "warehouse_not_usable"
	title = "The warehouse cannot be used"


class WarehouseRequired(Unprocessable):
	code = "warehouse_required"
	title = "A warehouse is needed"


class UnknownCountry(Unprocessable):
	code = "unknown_country"
	title = "Unknown country"


class UnknownCurrency(Unprocessable):
	code = "unknown_currency"
	title = "Unknown or disabled currency"


class ExchangeRateMissing(Unprocessable):
	code = "exchange_rate_missing"
	title = "No exchange rate"


class ChargeNotMapped(Unprocessable):
	code = "charge_not_mapped"
	title = "The charge is not mapped to an account"


class TaxNotMapped(Unprocessable):
	code = "tax_not_mapped"
	title = "The tax is not mapped to an account"


class UnknownTaxTemplate(Unprocessable):
	code = "unknown_tax_template"
	title = "Unknown tax template"


class PaymentMethodNotMapped(Unprocessable):
	code = "payment_method_not_mapped"
	title = "The payment method is not mapped to an account"


class PaymentNotBookable(Unprocessable):
	code = "payment_not_bookable"
	title = "The payment cannot be booked"


class CustomFieldUnknown(Unprocessable):
	code = "custom_field_unknown"
	title = "The custom field does not exist"


class CustomFieldNotSettable(Unprocessable):
	code = "custom_field_not_settable"
	title = "The system may not set this custom field"


class CustomFieldInvalid(Unprocessable):
	code = "custom_field_invalid"
	title = "The custom field does not take this value"


class UnknownQuotation(Unprocessable):
	code = "unknown_quotation"
	title = "Unknown quotation"


class QuotationNotUsable(Unprocessable):
	code = "quotation_not_usable"
	title = "The quotation cannot be ordered"


class UnknownLine(Unprocessable):
	code = "unknown_line"
	title = "The order has no such line"


class QuantityExceedsOpen(Unprocessable):
	code = "quantity_exceeds_open"
	title = "More than is open"


class AmountExceedsOpen(Unprocessable):
	code = "amount_exceeds_open"
	title = "More money than is open"


class StockShort(Unprocessable):
	code = "stock_short"
	title = "Not enough stock"


class SerialRequired(Unprocessable):
	code = "serial_required"
	title = "Serial numbers are missing"


class SerialNotAvailable(Unprocessable):
	code = "serial_not_available"
	title = "The serial number cannot be used"


class BatchRequired(Unprocessable):
	code = "batch_required"
	title = "The batch is missing"


class BatchNotAvailable(Unprocessable):
	code = "batch_not_available"
	title = "The batch cannot be used"


class PeriodClosed(Unprocessable):
	code = "period_closed"
	title = "The books are closed for that day"


class AccountFrozen(Unprocessable):
	code = "account_frozen"
	title = "The account is frozen"


class AccountCurrencyMismatch(Unprocessable):
	code = "account_currency_mismatch"
	title = "The account is kept in another currency"


class UnknownPaymentTerms(Unprocessable):
	code = "unknown_payment_terms"
	title = "Unknown payment terms"


class TotalsDiffer(Unprocessable):
	code = "totals_differ"
	title = "The totals differ"


class AddressNotReachable(Unprocessable):
	"""A webhook's URL that the hub must not call."""

	code = "address_not_reachable"
	title = "The hub does not call this address"


class BusinessRule(Unprocessable):
	"""ERPNext itself refused, for a reason the hub has no code of its own for."""

	code = "business_rule"
	title = "ERPNext refused"


class RateLimited(HubError):
	http_status = 429
	code = "rate_limited"
	title = "Too many calls"
	retryable = True


class InternalError(HubError):
	code = "internal_error"
	title = "Internal error"
	retryable = True


class WorkSplit(InternalError):
	"""Somebody committed in the middle of the work: part of it stands. A person has to look."""

	code = "work_split"
	title = "Part of the work was committed"
	retryable = False


class Unavailable(HubError):
	http_status = 503
	retryable = True


class Paused(Unavailable):
	code = "paused"
	title = "Paused for maintenance"


class TemporarilyUnavailable(Unavailable):
	code = "temporarily_unavailable"
	title = "Temporarily unavailable"
	transient = True


class WorkUndone(TemporarilyUnavailable):
	"""The database rolled the work back behind our back (a deadlock somebody swallowed); trying again is safe."""


def all_codes() -> dict[str, int]:
	"""Every public code with its HTTP status, for docs and tests."""
	codes: dict[str, int] = {}
	pending = list(HubError.__subclasses__())
	while pending:
		cls = pending.pop()
		pending.extend(cls.__subclasses__())
		if "code" in vars(cls):
			codes[cls.code] = cls.http_status
	return codes
