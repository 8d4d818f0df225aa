"""`sales.*`: each verb of the sales cycle as a call of its own, and all of them in one."""

from collections.abc import Callable

import frappe
from frappe.model.document import Document

from integration_hub.core import references
from integration_hub.core.context import Caller
from integration_hub.core.operations import Operation
from integration_hub.core.payload import fingerprint
from integration_hub.core.steps import Step
from integration_hub.core.work import Result, Work
from integration_hub.documents.sales import DELIVERY, INVOICE, ORDER, PAYMENT, envelope, status
from integration_hub.inbound import fulfillments, invoices, orders, payments, refunds, selling
from integration_hub.schemas.orders import Target
from integration_hub.schemas.sales import (
	SalesEnvelope,
	SalesFulfill,
	SalesInvoice,
	SalesPay,
	SalesRefund,
	SalesRun,
	SalesStatus,
	StatusAnswer,
)

KINDS = ("fulfill", "invoice", "pay", "refund")


def fulfill(work: Work) -> Result:
	"""Deliver lines of an order."""
	order = selling.locked_order(work.caller, work.payload.order)
	return _answer(work, order, [fulfillments.fulfill(work, order, work.payload)])


def invoice(work: Work) -> Result:
	"""Bill lines of an order, or of one delivery."""
	body: SalesInvoice = work.payload
	if body.order:
		order, delivery = selling.locked_order(work.caller, body.order), None
	else:
		name = selling.find(work.caller, DELIVERY, "fulfillment", body.fulfillment, "/fulfillment")
		owner = invoices.order_of_delivery(frappe.get_doc(DELIVERY, name))
		order = selling.locked(ORDER, owner)
		selling.check_workable(order)
		delivery = selling.locked(DELIVERY, name)
		invoices.order_of_delivery(delivery)
	return _answer(work, order, [invoices.bill(work, order, body, delivery=delivery)])


def pay(work: Work) -> Result:
	"""Book money received for an order or an invoice."""
	body: SalesPay = work.payload
	if body.order:
		order = selling.locked_order(work.caller, body.order)
		return _answer(work, order, [payments.pay(work, order, body)])
	order, target = selling.locked_invoice(work.caller, body.invoice)
	return _answer(work, order, [payments.pay(work, order, body, invoice=target)])


def refund(work: Work) -> Result:
	"""Give back what was sold with an order or an invoice."""
	body: SalesRefund = work.payload
	if body.order:
		order = selling.locked_order(work.caller, body.order)
		return _answer(work, order, refunds.refund(work, order, body))
	order, target = selling.locked_invoice(work.caller, body.invoice)
	return _answer(work, order, refunds.refund(work, order, body, invoice=target))


def _answer(work: Work, order: Document | None, made: list[Document]) -> Result:
	existing = all(doc.flags.hub_existing for doc in made)
	fresh = frappe.get_doc(ORDER, order.name) if order else None
	body = envelope(fresh, made, work.caller.name, rehearsal=work.request is None)
	return Result(body, (made[0].doctype, made[0].name), 200 if existing else None)


def steps(work: Work) -> list[Step]:
	"""Return the steps of `sales.run`, in their order."""
	run: SalesRun = work.payload
	found = [Step("order", _order_mark(work), _order)]
	for kind in KINDS:
		raw = work.body.get(kind)
		raws = raw if isinstance(raw, list) else [raw]
		for number, (part, own) in enumerate(
			zip(run.parts(kind), raws if raw is not None else [], strict=True), 1
		):
			name = kind if number == 1 else f"{kind}/{number}"
			pointer = f"/{kind}/{number - 1}" if isinstance(raw, list) else f"/{kind}"
			found.append(Step(name, fingerprint(own, kind), _part(kind, part, pointer)))
	return found


def _order_mark(work: Work) -> str:
	# As `orders.create` marks it, so that an order placed before by a call of its own is found again.
	return fingerprint(work.body["order"], "orders.create")


def _order(work: Work) -> tuple[str, str]:
	run: SalesRun = work.payload
	if isinstance(run.order, Target):
		return ORDER, selling.locked_order(work.caller, run.order).name
	return orders.place(work, run.order, _order_mark(work), "/order")


def _part(kind: str, part, pointer: str) -> Callable[[Work], tuple[str, str]]:
	def do(work: Work) -> tuple[str, str]:
		order = selling.locked(*work.done["order"])
		selling.check_workable(order)
		if kind == "fulfill":
			made = [fulfillments.fulfill(work, order, part, pointer)]
		elif kind == "invoice":
			made = [invoices.bill(work, order, part, pointer)]
		elif kind == "pay":
			made = [payments.pay(work, order, part, pointer)]
		else:
			made = refunds.refund(work, order, part, pointer)
		work.loaded |= {(doc.doctype, doc.name): doc for doc in made}
		return made[0].doctype, made[0].name

	return do


def run(work: Work) -> Result:
	"""Answer for the steps that are done; the door has done them."""
	order = frappe.get_doc(*work.done["order"])
	documents = [document for name, document in work.done.items() if name != "order"]
	made = [_as_it_is(work, *document) for document in _paid_with_order(work, documents) + documents]
	body = envelope(order, made, work.caller.name, rehearsal=work.request is None)
	if work.request is None:
		body["order"]["name"] = body["order"]["url"] = None
	return Result(body, (ORDER, order.name))


def _paid_with_order(work: Work, documents: list[tuple[str, str]]) -> list[tuple[str, str]]:
	"""Return the payments that came with the order itself."""
	run: SalesRun = work.payload
	if isinstance(run.order, Target) or not run.order.payments or work.request is None:
		return []
	entries = [(PAYMENT, name) for name in references.made_by(work.request, PAYMENT)]
	return [entry for entry in entries if entry not in documents]


def _as_it_is(work: Work, doctype: str, name: str) -> Document:
	"""Return a document as the later steps have left it; they change no more than its status and what is owed."""
	doc = work.loaded.get((doctype, name))
	if doc is None:
		return frappe.get_doc(doctype, name)
	fields = {DELIVERY: ["status"], INVOICE: ["status", "outstanding_amount"]}.get(doctype)
	if fields:
		doc.update(frappe.db.get_value(doctype, name, fields, as_dict=True))
	return doc


def run_external_id(run: SalesRun) -> str | None:
	"""The id people know the call by: the order's."""
	return run.order.external_id


def run_key(work: Work) -> list | None:
	"""What the key is derived from: an order that is placed, else the ids of what is made; None when there are none.

	From the order alone: a call that failed goes on under the same key when any of its parts is corrected.
	"""
	run: SalesRun = work.payload
	if not isinstance(run.order, Target):
		return ["order", *orders.create_key(work, run.order.external_id)]
	ids = [
		[kind, part.external_id] for kind in KINDS for part in run.parts(kind) if part.external_id is not None
	]
	return ids or None


def run_number(caller: Caller, run: SalesRun) -> str | None:
	"""Reserve the number of an order that is to be placed."""
	if isinstance(run.order, Target) or run.validate_only:
		return None
	return orders.reserve_number(caller, run.order)


def own_key(work: Work) -> list | None:
	"""What the key of a single verb is derived from: the id of what it makes."""
	return None if work.payload.external_id is None else [work.payload.external_id]


def subject(body: SalesFulfill | SalesInvoice | SalesPay | SalesRefund) -> str:
	"""What a single verb is about: the order, else the delivery or invoice it names."""
	target = next(target for name in _TARGETS if (target := getattr(body, name, None)))
	return target.external_id or target.name


_TARGETS = ("order", "fulfillment", "invoice")


def read_status(caller: Caller, query: SalesStatus) -> dict:
	"""Read everything that has happened to an order."""
	name = orders.find(caller, query.external_id, query.name)
	return status(frappe.get_doc(ORDER, name), caller.name)


# What the four verbs that make documents have in common.
_MAKES = {
	"answer": SalesEnvelope,
	"ledger": True,
	"status": 201,
	"external_id": lambda body: body.external_id,
	"key_parts": own_key,
	"subject": subject,
}

_ORDER = {"external_id": "ORD-1001"}

FULFILL = Operation(
	name="sales.fulfill",
	summary="Deliver an order, or lines of it",
	schema=SalesFulfill,
	handler=fulfill,
	scope="sales:write",
	writes=True,
	example={
		"external_id": "PARCEL-1",
		"order": _ORDER,
		"lines": [{"external_id": "1", "quantity": 1}],
		"carrier": "DHL",
		"tracking_number": "00340434161094042557",
		"tracking_url": "https://www.dhl.com/track?id=00340434161094042557",
	},
	**_MAKES,
)

BILL = Operation(
	name="sales.invoice",
	summary="Bill an order or a delivery, or lines of it",
	schema=SalesInvoice,
	handler=invoice,
	scope="sales:write",
	writes=True,
	example={"external_id": "INV-1001", "order": _ORDER, "due_date": "2026-04-01"},
	**_MAKES,
)

PAY = Operation(
	name="sales.pay",
	summary="Book money received for an order or an invoice",
	schema=SalesPay,
	handler=pay,
	scope="sales:write",
	writes=True,
	example={
		"external_id": "ch_3MmlLrLkdIwHu7ix0snN0B15",
		"order": _ORDER,
		"method": "card",
		"amount": 47.53,
		"fee": {"amount": 1.2, "code": "gateway"},
	},
	**_MAKES,
)

REFUND = Operation(
	name="sales.refund",
	summary="Take goods back, give credit, pay money back",
	schema=SalesRefund,
	handler=refund,
	scope="sales:write",
	writes=True,
	example={
		"external_id": "RMA-1",
		"order": _ORDER,
		"lines": [{"external_id": "1", "quantity": 1, "restock": True}],
		"method": "card",
		"reason": "Too small",
	},
	**_MAKES,
)

RUN = Operation(
	name="sales.run",
	summary="An order and what follows it, in one call",
	schema=SalesRun,
	answer=SalesEnvelope,
	handler=run,
	scope="sales:write",
	writes=True,
	ledger=True,
	status=201,
	external_id=run_external_id,
	key_parts=run_key,
	steps=steps,
	staged=lambda run: run.mode == "staged",
	prepare=run_number,
	subject=lambda run: run.order.external_id or run.order.name,
	example={
		"mode": "staged",
		"order": orders.EXAMPLE,
		"fulfill": {"carrier": "DHL"},
		"invoice": {},
		"pay": {"method": "card", "external_id": "ch_1"},
	},
)

STATUS = Operation(
	name="sales.status",
	summary="Everything that has happened to an order",
	schema=SalesStatus,
	answer=StatusAnswer,
	handler=read_status,
	scope="sales:read",
	example=_ORDER,
)
