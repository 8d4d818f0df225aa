"""Requests and answers of `sales.*`: delivery, invoice, payment and refund of an order."""

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from integration_hub.schemas.orders import Fee, Order, OrderAnswer, Target
from integration_hub.schemas.values import (
	AnswerModel,
	Code,
	Currency,
	ExternalId,
	Line,
	Model,
	Name,
	Quantity,
	Text,
	Time,
	WriteModel,
)


def _web_address(text: str) -> str:
	if not text.startswith(("https://", "http://")) or " " in text:
		raise PydanticCustomError("not_a_url", "Send an address that begins with https:// or http://")
	return text


Url = Annotated[Line, AfterValidator(_web_address)]


class LineTarget(Model):
	"""A line of the order, by the caller's id of it; one without such an id by its item."""

	external_id: ExternalId | None = None
	item_code: Code | None = Field(None, description="For a line without an external id; on one line only")
	quantity: Quantity | None = Field(None, description="Default: what is open of the line")

	@model_validator(mode="after")
	def _one_of(self):
		if (self.external_id is None) == (self.item_code is None):
			raise PydanticCustomError("one_of", "Send either external_id or item_code")
		return self


def _no_serial_twice(line):
	if line.serials and len(line.serials) != len(set(line.serials)):
		raise PydanticCustomError("duplicate_serial", "A serial number stands twice")
	return line


class StockLine(LineTarget):
	"""A line that moves goods; the same line may come several times, for several batches or warehouses."""

	warehouse: Name | None = Field(
		None, description="A name from the system's map, or ERPNext's; default: the order line's"
	)
	batch: Name | None = Field(None, description="Default: what ERPNext picks, where it is set to")
	serials: list[Name] | None = Field(
		None,
		min_length=1,
		max_length=1000,
		description="One for each unit; default: what ERPNext picks, where it is set to",
	)

	_serials = model_validator(mode="after")(_no_serial_twice)


class RefundLine(LineTarget):
	"""A line of which something comes back."""

	restock: bool | None = Field(
		None,
		description="Whether the goods come back into stock; default: yes, as far as they were delivered",
	)
	warehouse: Name | None = Field(None, description="Where they come back to; default: where they left from")
	batch: Name | None = None
	serials: list[Name] | None = Field(
		None, min_length=1, max_length=1000, description="Needed for a part of a line that has serial numbers"
	)

	_serials = model_validator(mode="after")(_no_serial_twice)


class RefundCharge(Model):
	"""A charge of the order (shipping, handling …) that is given back."""

	code: Code
	amount: Quantity | None = Field(None, description="Default: all that is left of it")


class FulfillPart(Model):
	"""Deliver lines of an order; `{}` delivers everything that is open."""

	external_id: ExternalId | None = Field(
		None, description="The caller's id of the parcel; made from the order's id if absent"
	)
	lines: list[StockLine] | None = Field(
		None, min_length=1, max_length=1000, description="Default: all that is open"
	)
	warehouse: Name | None = Field(
		None, description="For all lines that name none; default: the order lines' own"
	)
	carrier: Line | None = None
	tracking_number: Line | None = None
	tracking_url: Url | None = None
	posting_at: Time | None = Field(None, description="Default: now")
	submit: bool = Field(True, description="false: leave a draft")


class InvoicePart(Model):
	"""Bill lines of an order; `{}` bills everything that is open."""

	external_id: ExternalId | None = Field(
		None, description="The caller's id of the invoice; made from the order's id if absent"
	)
	lines: list[StockLine] | None = Field(
		None, min_length=1, max_length=1000, description="Default: all that is open"
	)
	posting_at: Time | None = Field(None, description="Default: now")
	due_date: Time | None = Field(None, description="Default: by the payment terms")
	terms: Name | None = Field(None, description="A Payment Terms Template")
	update_stock: bool = Field(False, description="The invoice itself moves the goods, without delivery")
	submit: bool = Field(True, description="false: leave a draft")

	@model_validator(mode="after")
	def _checks(self):
		if self.due_date and self.terms:
			raise PydanticCustomError("one_of", "Send either due_date or terms")
		moves = any(line.batch or line.serials or line.warehouse for line in self.lines or [])
		if moves and not self.update_stock:
			raise PydanticCustomError(
				"needs_update_stock", "Batch, serials and warehouse need update_stock: true"
			)
		return self


class PayPart(Model):
	"""Book money received; without an amount, what is outstanding."""

	external_id: ExternalId | None = Field(
		None, description="The gateway's transaction id; made from the id of order or invoice if absent"
	)
	method: Code = Field(description="Mapped to an account by the Connected System")
	amount: Quantity | None = Field(
		None, description="What the customer paid, in `currency`; what exceeds the debt stays unallocated"
	)
	currency: Currency | None = Field(None, description="Default: the document's")
	exchange_rate: Quantity | None = Field(
		None, description="Company currency for one unit of the foreign one; default: the document's own rate"
	)
	reference: Line | None = Field(None, description="Default: the external id")
	paid_at: Time | None = Field(None, description="Default: now")
	fee: Fee | None = Field(None, description="What the gateway kept, in `currency`")
	submit: bool = Field(True, description="false: leave a draft")


class RefundPart(Model):
	"""Take goods back, give credit, pay money back; `{}` gives back everything that is left."""

	external_id: ExternalId | None = Field(
		None, description="The caller's id of the refund; made from the id of order or invoice if absent"
	)
	lines: list[RefundLine] | None = Field(
		None,
		min_length=1,
		max_length=1000,
		description="Default, with neither charges nor amount: everything that is left",
	)
	charges: list[RefundCharge] | None = Field(
		None,
		min_length=1,
		max_length=100,
		description="Come back only when they are named, or with everything",
	)
	amount: Quantity | None = Field(
		None,
		description="Credit just this much, taxes included; default: what lines and charges are worth. Of an order paid in advance: pay back just this much",
	)
	method: Code | None = Field(None, description="Pay the money back by this method; absent: credit only")
	reference: Line | None = None
	reason: Text | None = None
	posting_at: Time | None = Field(None, description="Default: now")


class SalesFulfill(WriteModel, FulfillPart):
	"""Deliver lines of an order."""

	order: Target


class SalesInvoice(WriteModel, InvoicePart):
	"""Bill lines of an order, or of one delivery."""

	order: Target | None = None
	fulfillment: Target | None = None

	@model_validator(mode="after")
	def _one_of(self):
		if (self.order is None) == (self.fulfillment is None):
			raise PydanticCustomError("one_of", "Send either order or fulfillment")
		if self.fulfillment and self.update_stock:
			raise PydanticCustomError(
				"already_delivered", "A delivery has moved the goods; leave update_stock out"
			)
		return self


class _OrderOrInvoice(WriteModel):
	order: Target | None = None
	invoice: Target | None = None

	@model_validator(mode="after")
	def _one_target(self):
		if (self.order is None) == (self.invoice is None):
			raise PydanticCustomError("one_of", "Send either order or invoice")
		return self


class SalesPay(_OrderOrInvoice, PayPart):
	"""Book money received for an order or an invoice."""


class SalesRefund(_OrderOrInvoice, RefundPart):
	"""Give back what was sold with an order or an invoice."""


P = TypeVar("P", FulfillPart, InvoicePart, PayPart, RefundPart)


def _how_many(value) -> str:
	return "<many>" if isinstance(value, (list, tuple)) else "<one>"


def _new_or_known(value) -> str:
	fields = value if isinstance(value, dict) else getattr(value, "model_fields_set", ())
	return "<known>" if len(fields) == 1 and set(fields) <= {"external_id", "name"} else "<new>"


OneOrMany = Annotated[
	Annotated[P, Tag("<one>")] | Annotated[list[P], Field(min_length=1, max_length=20), Tag("<many>")],
	Discriminator(_how_many),
]
NewOrKnown = Annotated[
	Annotated[Order, Tag("<new>")] | Annotated[Target, Tag("<known>")], Discriminator(_new_or_known)
]


class SalesRun(WriteModel):
	"""An order and what follows it, in one call; a part left out is not done."""

	mode: Literal["atomic", "staged"] = Field(
		"atomic", description="atomic: all or nothing; staged: each step is kept, a later try goes on"
	)
	order: NewOrKnown = Field(description="An order to be placed, or one that is there")
	fulfill: OneOrMany[FulfillPart] | None = None
	invoice: OneOrMany[InvoicePart] | None = None
	pay: OneOrMany[PayPart] | None = None
	refund: OneOrMany[RefundPart] | None = None

	def parts(self, kind: str) -> list[Model]:
		"""Return the parts of a kind (`fulfill` …) as a list, whether one or several were sent."""
		value = getattr(self, kind)
		return list(value) if isinstance(value, (list, tuple)) else [value] if value is not None else []

	@model_validator(mode="after")
	def _checks(self):
		for kind in ("fulfill", "invoice", "pay", "refund"):
			ids = [part.external_id for part in self.parts(kind) if part.external_id is not None]
			if len(ids) != len(set(ids)):
				raise PydanticCustomError("duplicate_id", f"Two parts of {kind} have the same external_id")
		return self


class SalesStatus(Target):
	"""Query: an order by external_id or name."""


class FulfillmentLineAnswer(AnswerModel):
	external_id: str | None
	item_code: str
	quantity: float = Field(description="Negative on a return")
	warehouse: str | None
	batch: str | None
	serials: list[str]


class FulfillmentAnswer(AnswerModel):
	"""A delivery; with `is_return`, goods that came back."""

	name: str | None
	external_id: str | None
	docstatus: int = Field(description="0 draft, 1 submitted, 2 cancelled")
	status: str
	is_return: bool
	posted_at: str
	carrier: str | None
	tracking_number: str | None
	tracking_url: str | None
	url: str | None
	lines: list[FulfillmentLineAnswer]


class InvoiceLineAnswer(AnswerModel):
	external_id: str | None
	item_code: str | None
	quantity: float = Field(description="Negative on a credit note")
	unit_price: float
	amount: float


class InvoiceAnswer(AnswerModel):
	"""An invoice; with `is_return`, a credit note."""

	name: str | None
	external_id: str | None
	docstatus: int = Field(description="0 draft, 1 submitted, 2 cancelled")
	status: str
	is_return: bool
	posted_at: str
	due_date: str | None
	currency: str
	net_total: float
	tax_total: float
	grand_total: float
	outstanding: float = Field(description="In the currency of the receivable account")
	updates_stock: bool
	url: str | None
	lines: list[InvoiceLineAnswer]


class AllocationAnswer(AnswerModel):
	doctype: str
	name: str
	amount: float = Field(description="In the currency of the receivable account")


class SalesPaymentAnswer(AnswerModel):
	"""Money received, or with type `pay` money given back."""

	name: str | None
	external_id: str | None
	docstatus: int = Field(description="0 draft, 1 submitted, 2 cancelled")
	type: Literal["receive", "pay"]
	method: str | None = Field(description="Mode of Payment")
	amount: float = Field(description="What came in or went out, in the currency of the bank or cash account")
	currency: str
	unallocated: float
	paid_at: str
	reference: str | None
	url: str | None
	allocations: list[AllocationAnswer]


class SalesEnvelope(AnswerModel):
	"""`message` of every sales verb that writes: the order as it is now, and what this call made."""

	id: str | None = Field(description="Hub Request; null in a rehearsal")
	validated: bool | None = Field(None, description="true in a rehearsal (validate_only)")
	order: OrderAnswer | None = Field(description="null where an invoice belongs to no order")
	fulfillments: list[FulfillmentAnswer]
	invoices: list[InvoiceAnswer]
	payments: list[SalesPaymentAnswer]


class StatusLine(AnswerModel):
	external_id: str | None
	item_code: str
	ordered: float
	delivered: float = Field(description="Quantity with the customer: delivered less returned")
	billed: float = Field(description="Quantity billed less credited")
	returned: float
	billed_amount: float = Field(
		description="Billed less credited by line, without taxes, in the order's currency; credits by amount belong to no line"
	)
	paid_amount: float = Field(description="The share of billed_amount that is paid")


class StatusTotals(AnswerModel):
	"""In the order's currency, taxes included."""

	ordered: float
	billed: float
	credited: float
	paid: float = Field(
		description="Received for it less paid back, advances included; without what was paid too much"
	)
	outstanding: float = Field(description="Of the invoices")


class StatusStep(AnswerModel):
	request: str
	operation: str
	step: str
	status: str
	doctype: str | None
	name: str | None
	error: str | None


class StatusAnswer(AnswerModel):
	"""Everything that has happened to an order."""

	order: OrderAnswer
	lines: list[StatusLine]
	totals: StatusTotals
	fulfillments: list[FulfillmentAnswer]
	invoices: list[InvoiceAnswer]
	payments: list[SalesPaymentAnswer]
	steps: list[StatusStep]
