"""`orders.cancel` with what followed the order, and `sales.status` at every stage of its life."""

import pytest

import frappe

from integration_hub.compat import V16
from integration_hub.tests import books, expect, site
from integration_hub.tests import factories as f
from integration_hub.tests.books import bin_of, fresh, ledger
from integration_hub.tests.factories import order, placed, unique
from integration_hub.tests.systems import all_scopes


@pytest.fixture(scope="module")
def item(factory, masters):
	code = factory.item()
	factory.stock(code, masters.warehouse, 1000)
	return code


@pytest.fixture
def bought(hub, item, factory):
	"""`bought(**order)`: the answer to an order of 3 × 10 and 1 × 5, of a customer of its own, and the customer."""

	def make(http=hub, **overrides):
		customer = factory.customer()
		lines = [
			f.line(external_id="1", item_code=item, quantity=3, unit_price=10),
			f.line(external_id="2", item_code=item, quantity=1, unit_price=5),
		]
		answer = placed(http, **{"lines": lines, "customer": {"name": customer}, **overrides})
		return frappe._dict(
			customer=customer, name=answer.order["name"], target={"external_id": answer.order["external_id"]}
		)

	return make


def called(http, verb: str, **body) -> dict:
	"""Call a verb, see that it made something, and return the answer's message."""
	answer = http.post(verb, {"external_id": unique("X"), **body})
	assert answer.status == 201, answer
	return answer.message


def names(message: dict) -> list[tuple[str, str]]:
	"""Return (DocType, name) of what an answer names."""
	kinds = {"payments": "Payment Entry", "invoices": "Sales Invoice", "fulfillments": "Delivery Note"}
	return [(doctype, doc["name"]) for kind, doctype in kinds.items() for doc in message[kind]]


def one(quantity: float, external_id: str = "1") -> list[dict]:
	return [{"external_id": external_id, "quantity": quantity}]


def books_of(customer: str) -> dict[str, float]:
	"""Return what living documents of a customer left in the general ledger, by account, without zeros."""
	site.refresh()
	vouchers = [
		name
		for doctype, party in (
			("Sales Invoice", "customer"),
			("Delivery Note", "customer"),
			("Payment Entry", "party"),
		)
		for name in frappe.get_all(doctype, filters={party: customer}, pluck="name")
	]
	found: dict[str, float] = {}
	for row in frappe.get_all(
		"GL Entry",
		filters={"voucher_no": ("in", vouchers), "is_cancelled": 0},
		fields=["account", "debit", "credit"],
	):
		found[row.account] = round(found.get(row.account, 0) + row.debit - row.credit, 2)
	return {account: balance for account, balance in found.items() if balance}


def open_in_payment_ledger(customer: str) -> list:
	site.refresh()
	return frappe.get_all("Payment Ledger Entry", filters={"party": customer, "delinked": 0}, pluck="name")


def states(documents: list[tuple[str, str]]) -> set[int]:
	site.refresh()
	return {frappe.db.get_value(doctype, name, "docstatus") for doctype, name in documents}


def references_of(documents: list[tuple[str, str]]) -> set[str]:
	site.refresh()
	return {
		state
		for doctype, name in documents
		for state in frappe.get_all(
			"Hub External Reference",
			filters={"document_type": doctype, "document_name": name},
			pluck="state",
		)
	}


@pytest.fixture
def whole(hub, bought):
	"""A whole life: advance, two parcels, two invoices, payment, return with credit note and money back."""

	def make(http=hub, **overrides):
		made = bought(http=http, **overrides)
		steps = [
			called(http, "sales.pay", order=made.target, method="Cash", amount=4),
			called(http, "sales.fulfill", order=made.target, lines=one(1)),
			called(http, "sales.fulfill", order=made.target),
			called(http, "sales.invoice", order=made.target, lines=one(2)),
			called(http, "sales.invoice", order=made.target),
			called(http, "sales.pay", order=made.target, method="Card"),
			called(http, "sales.refund", order=made.target, lines=one(2), method="Cash"),
		]
		made.documents = list(dict.fromkeys(document for step in steps for document in names(step)))
		return made

	return make


# -- cancelling with what followed -----------------------------------------------------------------------------------


def test_everything_is_undone_in_reverse(hub, whole, item, masters):
	stock = bin_of(item, masters.warehouse)
	made = whole()
	assert bin_of(item, masters.warehouse)[0] == stock[0] - 2
	# Two parcels and a return to each, two invoices, a credit note, two payments in and one out.
	assert sorted(doctype for doctype, _name in made.documents) == [
		"Delivery Note",
		"Delivery Note",
		"Delivery Note",
		"Delivery Note",
		"Payment Entry",
		"Payment Entry",
		"Payment Entry",
		"Sales Invoice",
		"Sales Invoice",
		"Sales Invoice",
	]
	before = site.census("Hub Request")
	answer = hub.post("orders.cancel", {**made.target, "cascade": True, "reason": "Never mind"})
	assert answer.status == 200, answer
	undone = [(row["doctype"], row["name"]) for row in answer.message["cancelled"]]
	assert (sorted(undone), states(undone)) == (sorted(made.documents), {2})
	kinds = [doctype for doctype, _name in undone]
	assert kinds == ["Payment Entry"] * 3 + ["Sales Invoice"] * 3 + ["Delivery Note"] * 4
	doc = fresh("Sales Order", made.name)
	assert (doc.docstatus, doc.status) == (2, "Cancelled")
	# ERPNext 15 goes on counting an advance that an invoice used.
	assert doc.advance_paid == (0 if V16 else 4)
	assert {(row.delivered_qty, row.returned_qty, row.billed_amt) for row in doc.items} == {(0, 0, 0)}
	assert (books_of(made.customer), open_in_payment_ledger(made.customer)) == ({}, [])
	assert bin_of(item, masters.warehouse) == stock
	assert references_of([*undone, ("Sales Order", made.name)]) == {"Tombstone"}
	assert answer.message["order"]["status"] == "Cancelled"
	assert "Sales Order" not in site.grown(before)
	comments = frappe.get_all(
		"Comment", filters={"reference_name": made.name, "comment_type": "Comment"}, pluck="content"
	)
	assert comments == ["Never mind"]
	# Again: nothing is left to undo.
	again = hub.post("orders.cancel", {**made.target, "cascade": True}, key=unique("k"))
	assert (again.status, "cancelled" in again.message) == (200, False)


def test_without_cascade_it_names_what_stands_in_the_way(hub, whole):
	made = whole()
	problem = books.refused(lambda: hub.post("orders.cancel", made.target), 409, "state_conflict")
	assert sorted((row["doctype"], row["name"]) for row in problem["documents"]) == sorted(made.documents)
	assert all(name in problem["detail"] for _doctype, name in made.documents)
	assert states(made.documents) == {1}


def test_cascade_needs_a_scope(systems, whole):
	http = systems.new(scopes=all_scopes("sales:cancel")).http
	made = whole(http=http)
	books.refused(
		lambda: http.post("orders.cancel", {**made.target, "cascade": True}),
		403,
		"scope_missing",
		["/cascade"],
	)
	assert states(made.documents) == {1}


def test_an_invoice_that_moved_the_goods(hub, bought, item, masters):
	stock = bin_of(item, masters.warehouse)
	made = bought()
	called(hub, "sales.invoice", order=made.target, update_stock=True)
	called(hub, "sales.pay", order=made.target, method="Cash", amount=30)
	called(hub, "sales.refund", order=made.target, lines=one(1), method="Cash", amount=8)
	answer = hub.post("orders.cancel", {**made.target, "cascade": True})
	assert answer.status == 200, answer
	assert (books_of(made.customer), bin_of(item, masters.warehouse)) == ({}, stock)


def test_a_credit_that_closed_the_rest_of_its_invoice(hub, bought):
	"""The journal ERPNext makes for it goes with the credit note."""
	made = bought()
	called(hub, "sales.invoice", order=made.target)
	called(hub, "sales.pay", order=made.target, method="Cash", amount=20)
	called(hub, "sales.refund", order=made.target, lines=one(2), method="Cash")
	answer = hub.post("orders.cancel", {**made.target, "cascade": True})
	assert answer.status == 200, answer
	assert (books_of(made.customer), open_in_payment_ledger(made.customer)) == ({}, [])


def test_drafts_go_too(hub, bought):
	made = bought()
	drafts = [
		*names(called(hub, "sales.fulfill", order=made.target, submit=False)),
		*names(called(hub, "sales.invoice", order=made.target, submit=False)),
		*names(called(hub, "sales.pay", order=made.target, method="Cash", submit=False)),
	]
	assert states(drafts) == {0}
	problem = books.refused(lambda: hub.post("orders.cancel", made.target), 409, "state_conflict")
	assert sorted((row["doctype"], row["name"]) for row in problem["documents"]) == sorted(drafts)
	answer = hub.post("orders.cancel", {**made.target, "cascade": True})
	assert answer.status == 200, answer
	assert (states(drafts), references_of(drafts)) == ({2}, {"Tombstone"})


def test_part_of_an_advance_was_paid_back(hub, bought):
	made = bought()
	documents = [
		*names(called(hub, "sales.pay", order=made.target, method="Cash", amount=10)),
		*names(called(hub, "sales.pay", order=made.target, method="Cash", amount=20)),
		*names(called(hub, "sales.refund", order=made.target, method="Cash", amount=25)),
	]
	problem = books.refused(lambda: hub.post("orders.cancel", made.target), 409, "state_conflict")
	assert sorted((row["doctype"], row["name"]) for row in problem["documents"]) == sorted(documents)
	answer = hub.post("orders.cancel", {**made.target, "cascade": True})
	assert answer.status == 200, answer
	assert (states(documents), fresh("Sales Order", made.name).docstatus) == ({2}, 2)
	assert (books_of(made.customer), open_in_payment_ledger(made.customer)) == ({}, [])
	assert fresh("Sales Order", made.name).advance_paid == 0


# -- what belongs to others, too ----------------------------------------------------------------------------------------


def test_a_payment_that_also_pays_another_order(hub, bought, factory, masters):
	made = bought()
	other = bought(customer={"name": made.customer})
	payment = factory.make(
		"Payment Entry",
		submit=True,
		payment_type="Receive",
		party_type="Customer",
		party=made.customer,
		company=masters.company,
		paid_from=frappe.get_cached_value("Company", masters.company, "default_receivable_account"),
		paid_to=masters.cash,
		paid_amount=20,
		received_amount=20,
		source_exchange_rate=1,
		target_exchange_rate=1,
		reference_no="x",
		reference_date=frappe.utils.nowdate(),
		references=[
			{"reference_doctype": "Sales Order", "reference_name": name, "allocated_amount": 10}
			for name in (made.name, other.name)
		],
	).name
	invoice = names(called(hub, "sales.invoice", order=made.target, lines=one(1, "2")))
	problem = books.refused(
		lambda: hub.post("orders.cancel", {**made.target, "cascade": True}), 409, "state_conflict"
	)
	assert problem["documents"] == [
		{"doctype": "Payment Entry", "name": payment},
		{"doctype": "Sales Order", "name": other.name},
	]
	assert payment in problem["detail"] and other.name in problem["detail"]
	assert states([("Payment Entry", payment), ("Sales Order", made.name), *invoice]) == {1}


def test_an_invoice_of_two_orders(hub, bought, factory, item):
	from erpnext.selling.doctype.sales_order.sales_order import make_sales_invoice

	made = bought()
	other = bought(customer={"name": made.customer})
	delivery = names(called(hub, "sales.fulfill", order=made.target))
	site.refresh()
	invoice = make_sales_invoice(other.name, target_doc=make_sales_invoice(made.name))
	invoice.insert().submit()
	frappe.db.commit()
	paid = names(called(hub, "sales.pay", invoice={"name": invoice.name}, method="Cash"))
	problem = books.refused(
		lambda: hub.post("orders.cancel", {**made.target, "cascade": True}), 409, "state_conflict"
	)
	assert problem["documents"] == [
		{"doctype": "Sales Invoice", "name": invoice.name},
		{"doctype": "Sales Order", "name": other.name},
	]
	assert states([*delivery, *paid, ("Sales Invoice", invoice.name), ("Sales Order", made.name)]) == {1}


def test_a_closed_period_keeps_all_of_it(hub, whole, factory, masters):
	made = whole()
	before = books_of(made.customer)
	period = factory.make(
		"Accounting Period",
		period_name=unique("HT Period"),
		company=masters.company,
		start_date=frappe.utils.nowdate(),
		end_date=frappe.utils.nowdate(),
		closed_documents=[{"document_type": "Delivery Note", "closed": 1}],
	)
	try:
		books.refused(
			lambda: hub.post("orders.cancel", {**made.target, "cascade": True}), 422, "period_closed"
		)
		assert (states([*made.documents, ("Sales Order", made.name)]), books_of(made.customer)) == (
			{1},
			before,
		)
		assert references_of(made.documents) == {"Live"}
	finally:
		site.refresh()
		frappe.delete_doc("Accounting Period", period.name)
		frappe.db.commit()
	answer = hub.post("orders.cancel", {**made.target, "cascade": True})
	assert (answer.status, books_of(made.customer)) == (200, {})


def test_a_permission_is_missing(system, whole):
	shop = system()
	made = whole(http=shop.http)
	frappe.get_doc("User", shop.user).remove_roles("Accounts Manager")
	frappe.db.commit()
	problem = books.refused(
		lambda: shop.http.post("orders.cancel", {**made.target, "cascade": True}), 403, "permission_denied"
	)
	assert (problem["doctype"], problem["right"]) == ("Sales Invoice", "cancel")
	assert states(made.documents) == {1}


# -- the status of an order -----------------------------------------------------------------------------------------


def status_of(http, target: dict) -> dict:
	answer = http.get("sales.status", **target)
	assert answer.status == 200, answer
	return answer.message


def line_of(status: dict, external_id: str = "1") -> tuple:
	line = next(line for line in status["lines"] if line["external_id"] == external_id)
	fields = ("ordered", "delivered", "billed", "returned", "billed_amount", "paid_amount")
	return tuple(line[field] for field in fields)


def totals_of(status: dict) -> tuple:
	fields = ("ordered", "billed", "credited", "paid", "outstanding")
	return tuple(status["totals"][field] for field in fields)


def test_the_life_of_an_order(hub, bought):
	made = bought()
	documents, requests = [], []

	def after(verb: str | None = None, **body) -> dict:
		if verb:
			message = called(hub, verb, order=made.target, **body)
			requests.append(message["id"])
			documents.extend(names(message))
		status = status_of(hub, made.target)
		assert status == status_of(hub, {"name": made.name})
		assert status["order"]["name"] == made.name
		assert sorted(names(status)) == sorted(documents)
		return status

	status = after()
	assert (line_of(status), line_of(status, "2")) == ((3, 0, 0, 0, 0, 0), (1, 0, 0, 0, 0, 0))
	assert totals_of(status) == (35, 0, 0, 0, 0)
	status = after("sales.pay", method="Cash", amount=5)
	assert (line_of(status), totals_of(status)) == ((3, 0, 0, 0, 0, 0), (35, 0, 0, 5, 0))
	status = after("sales.fulfill", lines=one(2), carrier="DHL", tracking_number="42")
	assert line_of(status) == (3, 2, 0, 0, 0, 0)
	assert (status["fulfillments"][0]["carrier"], status["fulfillments"][0]["tracking_number"]) == (
		"DHL",
		"42",
	)
	status = after("sales.invoice", lines=one(2))
	# The advance of 5 pays a quarter of it.
	assert (line_of(status), totals_of(status)) == ((3, 2, 2, 0, 20, 5), (35, 20, 0, 5, 15))
	status = after("sales.pay", method="Card", amount=15)
	assert (line_of(status), totals_of(status)) == ((3, 2, 2, 0, 20, 20), (35, 20, 0, 20, 0))
	status = after("sales.fulfill")
	assert (line_of(status), line_of(status, "2")) == ((3, 3, 2, 0, 20, 20), (1, 1, 0, 0, 0, 0))
	status = after("sales.invoice")
	assert (line_of(status), line_of(status, "2")) == ((3, 3, 3, 0, 30, 20), (1, 1, 1, 0, 5, 0))
	assert totals_of(status) == (35, 35, 0, 20, 15)
	status = after("sales.pay", method="Card")
	assert (line_of(status), line_of(status, "2")) == ((3, 3, 3, 0, 30, 30), (1, 1, 1, 0, 5, 5))
	assert (totals_of(status), status["order"]["status"]) == ((35, 35, 0, 35, 0), "Completed")
	status = after("sales.refund", lines=one(1), method="Cash")
	assert (line_of(status), totals_of(status)) == ((3, 2, 2, 1, 20, 20), (35, 35, 10, 25, 0))
	status = after("sales.refund", amount=5, method="Cash")
	assert (line_of(status)[:4], totals_of(status)) == ((3, 2, 2, 1), (35, 35, 15, 20, 0))
	assert hub.post("orders.cancel", {**made.target, "cascade": True}).status == 200
	status = after()
	assert (line_of(status), totals_of(status)) == ((3, 0, 0, 0, 0, 0), (35, 0, 0, 0, 0))
	assert {
		doc["docstatus"] for kind in ("fulfillments", "invoices", "payments") for doc in status[kind]
	} == {2}
	# None of these calls was one of several steps.
	assert status["steps"] == []


@pytest.mark.parametrize("mode", ["atomic", "staged"])
def test_the_steps_of_one_call(mode, hub, item):
	body = {
		"mode": mode,
		"order": order(lines=[f.line(external_id="1", item_code=item)]),
		"fulfill": {},
		"invoice": {},
		"pay": {"method": "Cash"},
	}
	answer = hub.post("sales.run", body)
	assert answer.status == 201, answer
	status = status_of(hub, {"external_id": body["order"]["external_id"]})
	order_name = answer.order["name"]
	found = dict(names(answer.message))
	assert status["steps"] == [
		{
			"request": answer.message["id"],
			"operation": "sales.run",
			"step": step,
			"status": "Completed",
			"doctype": doctype,
			"name": order_name if step == "order" else found[doctype],
			"error": None,
		}
		for step, doctype in (
			("order", "Sales Order"),
			("fulfill", "Delivery Note"),
			("invoice", "Sales Invoice"),
			("pay", "Payment Entry"),
		)
	]


def test_an_order_in_euros(hub, bought, factory, masters):
	receivable = frappe.get_cached_value("Company", masters.company, "default_receivable_account")
	account = factory.make(
		"Account",
		account_name=unique("HT Debtors EUR"),
		parent_account=frappe.db.get_value("Account", receivable, "parent_account"),
		account_type="Receivable",
		account_currency="EUR",
		company=masters.company,
	).name
	customer = factory.customer(
		default_currency="EUR", accounts=[{"company": masters.company, "account": account}]
	)
	made = bought(customer={"name": customer}, currency="EUR", exchange_rate="1.25")
	called(hub, "sales.pay", order=made.target, method="Cash", amount=5)
	called(hub, "sales.invoice", order=made.target, lines=one(2))
	called(hub, "sales.pay", order=made.target, method="Cash", amount=10)
	status = status_of(hub, made.target)
	assert (line_of(status), totals_of(status)) == ((3, 0, 2, 0, 20, 15), (35, 20, 0, 15, 5))
	assert {(doc["currency"], doc["amount"]) for doc in status["payments"]} == {("USD", 6.25), ("USD", 12.5)}


def test_whose_order_it_is(hub, system, bought):
	made = bought()
	other = system().http
	for http, query in (
		(other, made.target),
		(other, {"name": made.name}),
		(hub, {"external_id": unique("none")}),
		(hub, {"name": unique("none")}),
		(hub, {"name": made.name.lower()}),
	):
		expect.problem(http.get("sales.status", **query), 404, "not_found")
	blind = system(scopes=all_scopes("sales:read")).http
	expect.problem(blind.get("sales.status", **made.target), 403, "scope_missing")
	expect.problem(hub.get("sales.status"), 422, "validation_failed")


def test_reading_writes_nothing(hub, whole):
	made = whole()
	with expect.nothing_made("Hub Request", "Comment", "Version"):
		status_of(hub, made.target)
	for doctype, name in made.documents:
		ledger(name) if doctype != "Payment Entry" else None
