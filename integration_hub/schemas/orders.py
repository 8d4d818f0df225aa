"""Requests and answers of `orders.*`."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from integration_hub.schemas.values import (
	Amount,
	AnswerModel,
	Code,
	Currency,
	Email,
	ExternalId,
	Line,
	Model,
	Name,
	Percent,
	Phone,
	Quantity,
	Scalar,
	SignedAmount,
	Tag,
	Text,
	Time,
	WriteModel,
)


class Target(Model):
	"""One document, by the caller's id or by ERPNext's name."""

	external_id: ExternalId | None = None
	name: Name | None = None

	@model_validator(mode="after")
	def _one_of(self):
		if (self.external_id is None) == (self.name is None):
			raise PydanticCustomError("one_of", "Send either external_id or name")
		return self


class Contact(Model):
	"""The person to talk to, where it is not the customer."""

	first_name: Name
	last_name: Line | None = None
	email: Email | None = None
	phone: Phone | None = None


class Customer(Model):
	"""A known customer (by external_id, e-mail, phone or name), or what is needed to make a new one."""

	external_id: ExternalId | None = Field(
		None, description="The caller's id of the customer; decides when it is bound"
	)
	name: Name | None = Field(
		None, description="ERPNext's name of the customer, or the name of the one customer so called"
	)
	email: Email | None = None
	phone: Phone | None = None
	type: Literal["Company", "Individual"] = "Individual"
	tax_id: Line | None = None
	group: Name | None = Field(None, description="Customer group of a new customer")
	territory: Name | None = Field(None, description="Territory of a new customer")
	contact: Contact | None = None

	@model_validator(mode="after")
	def _identified(self):
		if not (self.external_id or self.name or self.email or self.phone):
			raise PydanticCustomError("one_of", "Send at least one of external_id, name, email, phone")
		return self


class Address(Model):
	"""A postal address; matched by content, never overwritten."""

	name: Line | None = Field(None, description="Person")
	company: Line | None = None
	line1: Name
	line2: Line | None = None
	city: Name
	state: Line | None = None
	postal_code: Line | None = None
	country: Name = Field(description="ISO 3166 code of two letters, or ERPNext's name of the country")
	email: Email | None = None
	phone: Phone | None = None


class LineDiscount(Model):
	"""Off the unit price: per cent, or an amount per unit."""

	percent: Percent | None = None
	amount: Amount | None = None

	@model_validator(mode="after")
	def _one_of(self):
		if (self.percent is None) == (self.amount is None):
			raise PydanticCustomError("one_of", "Send either percent or amount")
		return self


class OrderLine(Model):
	"""One item of the order, by any of its identifiers."""

	external_id: ExternalId | None = Field(
		None, description="The caller's id of the line; unique within the order"
	)
	sku: Code | None = None
	item_code: Code | None = None
	barcode: Code | None = None
	item_external_id: ExternalId | None = None
	name: Line | None = Field(
		None, description="What the line is called; ERPNext's name of the item if absent"
	)
	quantity: Quantity
	unit_price: Amount = Field(description="Price of one unit before discount; 0 stays 0")
	discount: LineDiscount | None = None
	uom: Name | None = None
	warehouse: Name | None = None
	deliver_by: Time | None = None
	tax_template: Name | None = Field(None, description="An Item Tax Template")
	note: Text | None = None
	custom_fields: dict[str, Scalar] = Field(default_factory=dict)

	@model_validator(mode="after")
	def _checks(self):
		if not (self.sku or self.item_code or self.barcode or self.item_external_id):
			raise PydanticCustomError("one_of", "Send one of sku, item_code, barcode, item_external_id")
		if self.discount and self.discount.amount is not None and self.discount.amount > self.unit_price:
			raise PydanticCustomError("discount_too_large", "The discount is larger than the unit price")
		return self


class Charge(Model):
	"""Shipping, handling, gift wrap …: mapped to an account by the Connected System."""

	code: Code
	title: Line | None = None
	amount: Amount


class Discount(Model):
	"""Off the whole order: an amount, or per cent of the lines."""

	code: Code | None = None
	title: Line | None = None
	amount: Amount | None = None
	percent: Percent | None = None

	@model_validator(mode="after")
	def _one_of(self):
		if (self.percent is None) == (self.amount is None):
			raise PydanticCustomError("one_of", "Send either amount or percent")
		return self


class Tax(Model):
	"""A tax: a rate in per cent of the net total, or an amount; mapped to an account by the Connected System."""

	code: Code
	title: Line | None = None
	rate: Percent | None = None
	amount: Amount | None = None
	included: bool = Field(False, description="The prices include it; needs a rate")

	@model_validator(mode="after")
	def _one_of(self):
		if self.rate is None and self.amount is None:
			raise PydanticCustomError("one_of", "Send rate or amount")
		if self.rate is not None and self.amount is not None:
			raise PydanticCustomError("one_of", "Send either rate or amount")
		if self.included and self.rate is None:
			raise PydanticCustomError("included_tax_needs_rate", "A tax the prices include needs its rate")
		return self


class Totals(Model):
	"""What the caller computed; the totals gate compares."""

	net: SignedAmount | None = Field(None, description="Lines less discounts, without charges")
	tax: SignedAmount | None = Field(None, description="Taxes only")
	grand: SignedAmount | None = Field(None, description="What the customer owes")


class Fee(Model):
	"""What the payment gateway kept."""

	amount: Amount
	code: Code = Field(description="Mapped to an account like a charge")


class OrderPayment(Model):
	"""Money received in advance."""

	external_id: ExternalId | None = None
	method: Code
	amount: Quantity
	paid_at: Time | None = None
	reference: Line | None = Field(
		None, description="The gateway's transaction id; the external_id if absent"
	)
	fee: Fee | None = None


class Order(Model):
	"""An order to be placed, exactly once."""

	external_id: ExternalId = Field(
		description="The caller's id of the order; unique within its system, kept character for character"
	)
	order_number: Line | None = Field(None, description="What people call the order")
	placed_at: Time | None = Field(None, description="Default: now")
	deliver_by: Time | None = Field(None, description="Default: placed_at and the system's lead time")
	currency: Currency | None = Field(None, description="ISO 4217; default: the system's, else the company's")
	exchange_rate: Quantity | None = Field(
		None, description="Company currency for one unit of the order's currency"
	)
	quotation: Target | None = Field(
		None, description="The quotation that is ordered; without `lines` all of it, at its prices"
	)
	customer: Customer | None = Field(
		None, validate_default=True, description="Needed unless `quotation` names one"
	)
	billing_address: Address | None = None
	shipping_address: Address | None = None
	lines: list[OrderLine] | None = Field(
		None,
		validate_default=True,
		min_length=1,
		max_length=1000,
		description="Needed unless they come from `quotation`",
	)
	charges: list[Charge] = Field(default_factory=list, max_length=100)
	discounts: list[Discount] = Field(default_factory=list, max_length=100)
	taxes: list[Tax] | None = Field(
		None,
		max_length=100,
		description="Absent: tax_template, the system's template, or what ERPNext decides; []: no tax",
	)
	tax_template: Name | None = None
	totals: Totals | None = None
	payments: list[OrderPayment] = Field(default_factory=list, max_length=100)
	note: Text | None = None
	tags: list[Tag] = Field(default_factory=list, max_length=50)
	custom_fields: dict[str, Scalar] = Field(default_factory=dict)
	submit: bool | None = Field(None, description="Default: the system's")

	@field_validator("customer", "lines")
	@classmethod
	def _needed(cls, value, info: ValidationInfo):
		if value is None and info.data.get("quotation") is None:
			raise PydanticCustomError("missing", "Needed unless the order names its quotation")
		return value

	@model_validator(mode="after")
	def _checks(self):
		ids = [line.external_id for line in self.lines or [] if line.external_id is not None]
		if len(ids) != len(set(ids)):
			raise PydanticCustomError("duplicate_line", "Two lines have the same external_id")
		if self.taxes is not None and self.tax_template:
			raise PydanticCustomError("one_of", "Send either taxes or tax_template")
		paid = [payment.external_id for payment in self.payments if payment.external_id is not None]
		if len(paid) != len(set(paid)):
			raise PydanticCustomError("duplicate_payment", "Two payments have the same external_id")
		return self


class OrderCreate(WriteModel, Order):
	"""An order to be placed, exactly once."""


class OrderCreateMany(Model):
	"""Orders to be placed, each exactly once; one that is wrong stops none of the others."""

	external_id: ExternalId | None = Field(
		None, description="The caller's id of the batch; with it the call needs no Idempotency-Key"
	)
	orders: list[dict[str, Any]] = Field(
		min_length=1, max_length=1000, description="Each as in orders.create; looked at one by one, later"
	)
	validate_only: Literal[False] = Field(False, description="Only orders.create can be rehearsed")


class OrdersList(Model):
	"""Query: orders of the system and those of nobody else's, by when they were last changed."""

	cursor: Annotated[str, Field(max_length=1000)] | None = Field(
		None, description="`next_cursor` of the page before; absent: from the oldest change"
	)
	limit: Annotated[int, Field(ge=1, le=500)] = 100
	modified_after: Time | None = Field(None, description="Only orders changed at this moment or later")
	modified_before: Time | None = Field(None, description="Only orders last changed before this moment")


class OrderLineUpdate(Model):
	"""A line to change, by its external id; with an item and a price, a line to add."""

	external_id: ExternalId = Field(description="The caller's id of the line")
	quantity: Quantity | None = None
	unit_price: Amount | None = Field(None, description="Price of one unit before discount; 0 stays 0")
	discount: LineDiscount | None = Field(
		None, description="Comes with unit_price; a price without it has no discount"
	)
	deliver_by: Time | None = None
	remove: bool = Field(False, description="Drop the line; nothing of it may be delivered or billed")
	sku: Code | None = Field(None, description="Only of a line to add, as the other identifiers")
	item_code: Code | None = None
	barcode: Code | None = None
	item_external_id: ExternalId | None = None
	name: Line | None = None
	uom: Name | None = None
	warehouse: Name | None = None

	@model_validator(mode="after")
	def _checks(self):
		if self.remove and len(self.model_fields_set - {"remove", "external_id"}):
			raise PydanticCustomError("one_of", "Send remove, or what changes of the line")
		if self.discount and self.unit_price is None:
			raise PydanticCustomError("missing", "Send unit_price with the discount: it is off that price")
		if self.discount and self.discount.amount is not None and self.discount.amount > self.unit_price:
			raise PydanticCustomError("discount_too_large", "The discount is larger than the unit price")
		return self


class OrderUpdate(WriteModel):
	"""What changes of an order, by external_id or name; what is left out stays as it is."""

	external_id: ExternalId | None = None
	name: Name | None = None
	order_number: Line | None = None
	deliver_by: Time | None = None
	billing_address: Address | None = None
	shipping_address: Address | None = None
	lines: list[OrderLineUpdate] | None = Field(
		None, min_length=1, max_length=1000, description="Lines to change, add or remove; the others stay"
	)
	totals: Totals | None = Field(None, description="What the caller computes for the changed order")
	note: Text | None = None

	@model_validator(mode="after")
	def _checks(self):
		if (self.external_id is None) == (self.name is None):
			raise PydanticCustomError("one_of", "Send either external_id or name")
		ids = [line.external_id for line in self.lines or []]
		if len(ids) != len(set(ids)):
			raise PydanticCustomError("duplicate_line", "Two lines have the same external_id")
		return self


class OrderCancel(WriteModel):
	"""An order to be cancelled, by external_id or name."""

	external_id: ExternalId | None = None
	name: Name | None = None
	reason: Text | None = Field(None, description="Kept as a comment on the order")
	cascade: bool = Field(
		False,
		description="Also undo its payments, invoices and deliveries, in reverse, all or nothing; needs the scope sales:cancel",
	)

	@model_validator(mode="after")
	def _one_of(self):
		if (self.external_id is None) == (self.name is None):
			raise PydanticCustomError("one_of", "Send either external_id or name")
		return self


class OrderGet(Target):
	"""Query: an order by external_id or name."""


class CustomerAnswer(AnswerModel):
	name: str
	external_id: str | None


class OrderLineAnswer(AnswerModel):
	external_id: str | None
	item_code: str
	quantity: float
	unit_price: float
	amount: float
	delivered: float
	billed: float = Field(description="Amount billed, in the order's currency")
	returned: float


class OrderAnswer(AnswerModel):
	"""An order as every verb answers it."""

	name: str | None = Field(description="ERPNext's name; null in a rehearsal")
	external_id: str | None
	order_number: str | None
	docstatus: int = Field(description="0 draft, 1 submitted, 2 cancelled")
	status: str
	customer: CustomerAnswer
	currency: str
	net_total: float
	tax_total: float
	grand_total: float
	delivered_percent: float
	billed_percent: float
	url: str | None = Field(description="The order in the Desk; null in a rehearsal")
	held_because: str | None
	lines: list[OrderLineAnswer]


class PaymentAnswer(AnswerModel):
	name: str
	external_id: str | None
	amount: float


class DocumentName(AnswerModel):
	doctype: str
	name: str


class OrderPage(AnswerModel):
	"""A page of orders, those changed longest ago first."""

	result: list[OrderAnswer]
	next_cursor: str | None = Field(description="Keep it: it goes on where this page ends, also later")
	prev_cursor: str | None
	result_count: int


class OrderEnvelope(AnswerModel):
	"""`message` of every order verb."""

	id: str | None = Field(None, description="Hub Request; absent in reads, null in a rehearsal")
	validated: bool | None = Field(None, description="true in a rehearsal (validate_only)")
	order: OrderAnswer
	payments: list[PaymentAnswer] | None = Field(None, description="Payments made with the order")
	cancelled: list[DocumentName] | None = Field(
		None, description="Documents undone with the order, in the order they were undone"
	)
