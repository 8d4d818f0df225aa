"""`sales.pay`: money received, and what it writes to the ledgers, to the cent; after a refusal nothing is written."""

import pytest

import frappe

from integration_hub.tests import books, expect, site
from integration_hub.tests import factories as f
from integration_hub.tests.books import fresh, ledger
from integration_hub.tests.factories import order, placed, unique
from integration_hub.tests.systems import all_scopes


@pytest.fixture(scope="module")
def item(factory, masters):
	"""A stock item of which there is plenty."""
	code = factory.item()
	factory.stock(code, masters.warehouse, 1000)
	return code


@pytest.fixture(scope="module")
def receivable(masters):
	return frappe.get_cached_value("Company", masters.company, "default_receivable_account")


@pytest.fixture
def sold(hub, item):
	"""`sold(*quantities, **order)`: an order of ten pieces for 10 each, billed in as many invoices as quantities."""

	def make(*quantities: float, http=hub, **overrides) -> frappe._dict:
		lines = [f.line(external_id="1", item_code=item, quantity=10, unit_price=10)]
		answer = placed(http, **{"lines": lines, **overrides})
		target = {"external_id": answer.order["external_id"]}
		invoices = [
			called(
				http, "sales.invoice", order=target, lines=[{"external_id": "1", "quantity": quantity}]
			).message["invoices"][0]["name"]
			for quantity in quantities
		]
		return frappe._dict(target=target, name=answer.order["name"], invoices=invoices)

	return make


def called(http, verb: str, **body):
	"""Call a verb, see that it made something, and return the answer."""
	answer = http.post(verb, {"external_id": unique("X"), **body})
	assert answer.status == 201, answer
	return answer


def paid(http, **body):
	"""Pay, and return the Payment Entry."""
	answer = called(http, "sales.pay", **{"method": "Cash", **body})
	assert len(answer.message["payments"]) == 1
	return fresh("Payment Entry", answer.message["payments"][0]["name"])


def allocated(entry) -> list[tuple[str, float]]:
	return [(row.reference_name, row.allocated_amount) for row in entry.references]


def outstanding(invoice: str) -> float:
	"""Return what an invoice says is open, and see that the Payment Ledger says the same."""
	site.refresh()
	said = frappe.db.get_value("Sales Invoice", invoice, "outstanding_amount")
	rows = frappe.get_all(
		"Payment Ledger Entry",
		filters={"against_voucher_no": invoice, "delinked": 0},
		pluck="amount_in_account_currency",
	)
	assert round(sum(rows) - said, 9) == 0
	return said


def advance(name: str) -> float:
	site.refresh()
	return frappe.db.get_value("Sales Order", name, "advance_paid")


# -- what is paid --------------------------------------------------------------------------------------------------


def test_an_invoice(hub, shop, sold, masters, receivable):
	made = sold(10)
	before = site.census()
	sent = {
		"external_id": unique("ch"),
		"invoice": {"name": made.invoices[0]},
		"method": "Card",
		"reference": "txn 1",
	}
	answer = hub.post("sales.pay", sent)
	assert answer.status == 201, answer
	grown = site.grown(before)
	entry = fresh("Payment Entry", answer.message["payments"][0]["name"])
	expected = {
		"docstatus": 1,
		"payment_type": "Receive",
		"mode_of_payment": "Credit Card",
		"paid_amount": 100,
		"received_amount": 100,
		"unallocated_amount": 0,
		"difference_amount": 0,
		"reference_no": "txn 1",
		"hub_system": shop.name,
		"hub_external_id": sent["external_id"],
		"owner": shop.user,
	}
	assert {field: entry.get(field) for field in expected} == expected
	assert str(entry.posting_date) == frappe.utils.nowdate()
	assert allocated(entry) == [(made.invoices[0], 100)]
	assert ledger(entry.name) == sorted([(masters.bank, 100, 0), (receivable, 0, 100)])
	assert outstanding(made.invoices[0]) == 0
	assert fresh("Sales Invoice", made.invoices[0]).status == "Paid"
	assert grown == {
		"Payment Entry": 1,
		"GL Entry": 2,
		"Payment Ledger Entry": 1,
		"Hub External Reference": 1,
	}
	assert answer.message["order"]["name"] == made.name
	assert answer.message["payments"] == [
		{
			"name": entry.name,
			"external_id": sent["external_id"],
			"docstatus": 1,
			"url": frappe.utils.get_url_to_form("Payment Entry", entry.name),
			"type": "receive",
			"method": "Credit Card",
			"amount": 100,
			"currency": "USD",
			"unallocated": 0,
			"paid_at": frappe.utils.nowdate(),
			"reference": "txn 1",
			"allocations": [{"doctype": "Sales Invoice", "name": made.invoices[0], "amount": 100}],
		}
	]


def test_an_order_pays_its_invoices_first_and_the_rest_in_advance(hub, sold, masters, receivable):
	made = sold(3, 2)
	first, second = made.invoices
	entry = paid(hub, order=made.target, amount=20)
	assert allocated(entry) == [(first, 20)]
	entry = paid(hub, order=made.target, amount=45)
	assert allocated(entry) == [(first, 10), (second, 20), (made.name, 15)]
	assert ledger(entry.name) == sorted(
		[(masters.cash, 45, 0), (receivable, 0, 10), (receivable, 0, 15), (receivable, 0, 20)]
	)
	assert (outstanding(first), outstanding(second), advance(made.name)) == (0, 0, 15)
	entry = paid(hub, order=made.target)
	assert (allocated(entry), entry.paid_amount) == ([(made.name, 35)], 35)
	assert advance(made.name) == 50


def test_the_oldest_invoice_first(hub, item, sold):
	made = sold()
	lines = [{"external_id": "1", "quantity": 1}]
	newer = called(hub, "sales.invoice", order=made.target, lines=lines).message["invoices"][0]["name"]
	older = called(
		hub, "sales.invoice", order=made.target, lines=lines, posting_at="2026-01-05T10:00:00Z"
	).message["invoices"][0]["name"]
	assert allocated(paid(hub, order=made.target, amount=15)) == [(older, 10), (newer, 5)]


def test_an_advance_is_used_by_the_invoice(hub, sold, receivable):
	made = sold()
	entry = paid(hub, order=made.target, amount=40)
	assert (allocated(entry), advance(made.name)) == ([(made.name, 40)], 40)
	invoice = called(hub, "sales.invoice", order=made.target).message["invoices"][0]["name"]
	assert outstanding(invoice) == 60
	entry = paid(hub, order=made.target)
	assert (allocated(entry), entry.paid_amount) == ([(invoice, 60)], 60)
	assert outstanding(invoice) == 0


def test_partly_billed_partly_in_advance(hub, sold):
	"""What an invoice bills is not paid a second time in advance."""
	made = sold(6)
	paid(hub, invoice={"name": made.invoices[0]})
	entry = paid(hub, order=made.target, amount=50)
	assert (allocated(entry), entry.unallocated_amount) == ([(made.name, 40)], 10)
	assert advance(made.name) == 40


def test_too_much_stays_unallocated(hub, sold, masters, receivable):
	made = sold(10)
	entry = paid(hub, invoice={"name": made.invoices[0]}, amount="112.34")
	assert (allocated(entry), entry.unallocated_amount) == ([(made.invoices[0], 100)], 12.34)
	assert ledger(entry.name) == sorted(
		[(masters.cash, 112.34, 0), (receivable, 0, 12.34), (receivable, 0, 100)]
	)
	assert outstanding(made.invoices[0]) == 0


def test_a_fee(hub, sold, masters, receivable):
	made = sold(10)
	fee = {"code": "gateway", "amount": "3.21"}
	entry = paid(hub, invoice={"name": made.invoices[0]}, method="Card", fee=fee)
	assert (entry.paid_amount, entry.received_amount) == (96.79, 96.79)
	assert (allocated(entry), entry.unallocated_amount) == ([(made.invoices[0], 100)], 0)
	assert ledger(entry.name) == sorted(
		[(masters.bank, 96.79, 0), (masters.fee, 3.21, 0), (receivable, 0, 100)]
	)
	assert outstanding(made.invoices[0]) == 0


def test_reference_and_day(hub, sold):
	made = sold()
	entry = paid(
		hub, order=made.target, amount=1, paid_at="2026-03-01T23:30:00-05:00", external_id="p~1" * 20
	)
	assert (str(entry.posting_date), str(entry.reference_date)) == ("2026-03-01", "2026-03-01")
	assert entry.reference_no == "p~1" * 20


def test_without_an_external_id(hub, shop, sold):
	made = sold(2)
	key = unique("k")
	answer = hub.post("sales.pay", {"order": made.target, "method": "Cash", "amount": 1}, key=key)
	again = hub.post("sales.pay", {"order": made.target, "method": "Cash", "amount": 1}, key=unique("k"))
	ids = [one.message["payments"][0]["external_id"] for one in (answer, again)]
	own = made.target["external_id"]
	assert ids == [f"{own}/pay/1", f"{own}/pay/2"]
	assert (
		hub.post("sales.pay", {"order": made.target, "method": "Cash", "amount": 1}, key=key).content
		== answer.content
	)
	expect.problem(
		hub.post("sales.pay", {"order": made.target, "method": "Cash"}), 400, "idempotency_key_required"
	)


def test_a_draft_pays_nothing(hub, sold):
	made = sold(10)
	before = site.census()
	entry = paid(hub, invoice={"name": made.invoices[0]}, submit=False)
	assert (entry.docstatus, allocated(entry)) == (0, [(made.invoices[0], 100)])
	assert site.grown(before) == {"Payment Entry": 1, "Hub External Reference": 1}
	assert outstanding(made.invoices[0]) == 100
	assert paid(hub, invoice={"name": made.invoices[0]}).docstatus == 1
	assert outstanding(made.invoices[0]) == 0


def test_a_rehearsal(hub, sold):
	made = sold(10)
	body = {
		"external_id": unique("X"),
		"invoice": {"name": made.invoices[0]},
		"method": "Cash",
		"validate_only": True,
	}
	with expect.nothing_made():
		answer = hub.post("sales.pay", body)
	assert answer.status == 200, answer
	assert (answer.message["validated"], answer.message["payments"][0]["name"]) == (True, None)
	assert outstanding(made.invoices[0]) == 100


@pytest.fixture
def terms(factory):
	"""A template of payment terms that says what is paid by term."""
	for name in (names := [unique("HT Term"), unique("HT Term")]):
		factory.make(
			"Payment Term",
			payment_term_name=name,
			invoice_portion=50,
			due_date_based_on="Day(s) after invoice date",
			credit_days=0,
		)
	return factory.make(
		"Payment Terms Template",
		template_name=unique("HT Terms"),
		allocate_payment_based_on_payment_terms=1,
		terms=[
			{
				"payment_term": name,
				"invoice_portion": 50,
				"due_date_based_on": "Day(s) after invoice date",
				"credit_days": 10 * days,
			}
			for days, name in enumerate(names)
		],
	).name


def test_payment_terms_are_paid_one_after_the_other(hub, sold, terms):
	made = sold()
	invoice = called(hub, "sales.invoice", order=made.target, terms=terms).message["invoices"][0]["name"]

	def schedule() -> list[tuple[float, float]]:
		return [
			(row.paid_amount, row.outstanding) for row in fresh("Sales Invoice", invoice).payment_schedule
		]

	assert schedule() == [(0, 50), (0, 50)]
	assert allocated(paid(hub, invoice={"name": invoice}, amount=70)) == [(invoice, 50), (invoice, 20)]
	assert (schedule(), outstanding(invoice)) == ([(50, 0), (20, 30)], 30)
	entry = paid(hub, order=made.target, amount=31)
	assert (allocated(entry), entry.unallocated_amount) == ([(invoice, 30)], 1)
	assert (schedule(), outstanding(invoice)) == ([(50, 0), (50, 0)], 0)


# -- the same again ------------------------------------------------------------------------------------------------


def test_the_same_payment_again(hub, sold):
	made = sold(10)
	body = {"external_id": unique("ch"), "order": made.target, "method": "Cash", "amount": 60}
	first = hub.post("sales.pay", body)
	assert first.status == 201, first
	with expect.nothing_made():
		same_key = hub.post("sales.pay", body)
		other_key = hub.post("sales.pay", body, key=unique("k"))
	assert (same_key.status, same_key.content) == (201, first.content)
	assert same_key.headers["Idempotent-Replayed"] == "true"
	assert (other_key.status, other_key.message["payments"]) == (200, first.message["payments"])
	assert outstanding(made.invoices[0]) == 40


@pytest.mark.parametrize(
	"change", [{"amount": 61}, {"method": "Card"}, {"reference": "x"}, {"submit": False}]
)
def test_the_same_id_for_another_payment(change, hub, sold):
	made = sold(10)
	body = {"external_id": unique("ch"), "order": made.target, "method": "Cash", "amount": 60}
	name = paid(hub, **body).name
	problem = books.refused(
		lambda: hub.post("sales.pay", {**body, **change}, key=unique("k")),
		409,
		"external_id_conflict",
		["/external_id"],
	)
	assert problem["document"] == {"doctype": "Payment Entry", "name": name}
	assert name in problem["detail"]
	# Under the derived key it is the key that is used again.
	books.refused(lambda: hub.post("sales.pay", {**body, **change}), 422, "idempotency_key_reused")


def test_one_gateway_id_on_two_orders(hub, sold):
	first, second = sold(10), sold(10)
	body = {"external_id": unique("ch"), "method": "Cash", "amount": 60}
	name = paid(hub, **body, order=first.target).name
	problem = books.refused(
		lambda: hub.post("sales.pay", {**body, "order": second.target}, key=unique("k")),
		409,
		"external_id_conflict",
		["/external_id"],
	)
	assert problem["document"] == {"doctype": "Payment Entry", "name": name}


def test_one_gateway_id_of_two_systems(hub, system, sold):
	other = system().http
	body = {"external_id": unique("ch"), "method": "Cash", "amount": 1}
	names = {paid(http, **body, order=sold(http=http).target).name for http in (hub, other)}
	assert len(names) == 2


# -- what gets in the way ------------------------------------------------------------------------------------------


def test_nothing_is_left_to_pay(hub, sold):
	made = sold(10)
	name = paid(hub, order=made.target).name
	documents = [
		{"doctype": "Sales Invoice", "name": made.invoices[0]},
		{"doctype": "Payment Entry", "name": name},
	]
	for target in ({"order": made.target}, {"invoice": {"name": made.invoices[0]}}):
		problem = books.refused(
			lambda target=target: hub.post(
				"sales.pay", {"external_id": unique("X"), "method": "Cash", **target}
			),
			409,
			"state_conflict",
			[""],
		)
		assert problem["documents"] == documents
		assert all(document["name"] in problem["detail"] for document in documents)


def test_nothing_is_left_of_an_order_paid_in_advance(hub, sold):
	made = sold()
	name = paid(hub, order=made.target).name
	problem = books.refused(
		lambda: hub.post(
			"sales.pay", {"external_id": unique("X"), "method": "Cash", "order": made.target, "amount": 1}
		),
		409,
		"state_conflict",
		[""],
	)
	assert problem["documents"] == [{"doctype": "Payment Entry", "name": name}]


@pytest.mark.parametrize(
	("part", "code", "pointers"),
	[
		({"method": "Barter"}, "payment_method_not_mapped", ["/method"]),
		({"method": "cash"}, "payment_method_not_mapped", ["/method"]),
		({"fee": {"code": "nope", "amount": 1}}, "charge_not_mapped", ["/fee/code"]),
		({"fee": {"code": "gateway", "amount": 5}, "amount": 5}, "validation_failed", ["/fee/amount"]),
		({"fee": {"code": "gateway", "amount": 6}, "amount": 5}, "validation_failed", ["/fee/amount"]),
		({"fee": {"code": "gateway", "amount": 100}}, "validation_failed", ["/fee/amount"]),
		({"fee": {"code": "gateway", "amount": "0.001"}}, "validation_failed", ["/fee/amount"]),
		({"amount": "1.234"}, "validation_failed", ["/amount"]),
		({"amount": 0}, "validation_failed", ["/amount"]),
		({"currency": "XXY"}, "unknown_currency", ["/currency"]),
		({"currency": "GBP"}, "payment_not_bookable", ["/currency"]),
	],
	ids=repr,
)
def test_payments_that_cannot_be_booked(part, code, pointers, hub, sold):
	made = sold(10)
	body = {"external_id": unique("X"), "order": made.target, "method": "Cash", **part}
	books.refused(lambda: hub.post("sales.pay", body), 422, code, pointers)
	assert outstanding(made.invoices[0]) == 100


def test_an_unknown_target(hub, system, sold):
	made = sold(10)
	other = system()
	for http, target in (
		(hub, {"order": {"external_id": unique("none")}}),
		(hub, {"order": {"name": unique("none")}}),
		(hub, {"invoice": {"external_id": unique("none")}}),
		(hub, {"invoice": {"name": made.invoices[0].lower()}}),
		(other.http, {"order": made.target}),
		(other.http, {"order": {"name": made.name}}),
		(other.http, {"invoice": {"name": made.invoices[0]}}),
	):
		kind = next(iter(target))
		body = {"external_id": unique("X"), "method": "Cash", **target}
		books.refused(
			lambda http=http, body=body: http.post("sales.pay", body), 404, "not_found", [f"/{kind}"]
		)


@pytest.mark.parametrize("targets", [(), ("order", "invoice")])
def test_one_target(targets, hub):
	body = {"external_id": unique("X"), "method": "Cash", **{name: {"name": "A"} for name in targets}}
	problem = books.refused(lambda: hub.post("sales.pay", body), 422, "validation_failed", [""])
	assert problem["errors"][0]["code"] == "one_of"


def test_a_draft_invoice(hub, sold):
	made = sold()
	invoice = called(hub, "sales.invoice", order=made.target, submit=False).message["invoices"][0]["name"]
	_state_refused(hub, {"invoice": {"name": invoice}}, invoice, "/invoice")


def test_a_credit_note(hub, sold):
	made = sold(10)
	answer = called(hub, "sales.refund", order=made.target, lines=[{"external_id": "1", "quantity": 1}])
	note = answer.message["invoices"][0]["name"]
	_state_refused(hub, {"invoice": {"name": note}}, note, "/invoice")


def test_an_invoice_cancelled_meanwhile(hub, sold):
	made = sold(10)
	fresh("Sales Invoice", made.invoices[0]).cancel()
	frappe.db.commit()
	_state_refused(hub, {"invoice": {"name": made.invoices[0]}}, made.invoices[0], "/invoice")
	# The order itself can be paid: in advance again.
	entry = paid(hub, order=made.target)
	assert (allocated(entry), advance(made.name)) == ([(made.name, 100)], 100)


def _state_refused(http, target: dict, name: str, pointer: str) -> None:
	problem = books.refused(
		lambda: http.post("sales.pay", {"external_id": unique("X"), "method": "Cash", **target}),
		409,
		"state_conflict",
		[pointer],
	)
	assert problem["documents"] == [{"doctype": "Sales Invoice", "name": name}]
	assert name in problem["detail"]


@pytest.mark.parametrize("state", ["draft", "cancelled", "closed", "on hold"])
def test_an_order_that_cannot_be_worked_on(state, hub, sold):
	made = sold(submit=state != "draft")
	doc = fresh("Sales Order", made.name)
	if state == "cancelled":
		doc.cancel()
	elif state != "draft":
		doc.update_status({"closed": "Closed", "on hold": "On Hold"}[state])
	frappe.db.commit()
	problem = books.refused(
		lambda: hub.post(
			"sales.pay", {"external_id": unique("X"), "method": "Cash", "order": made.target, "amount": 1}
		),
		409,
		"state_conflict",
	)
	assert problem["documents"] == [{"doctype": "Sales Order", "name": made.name}]


def test_a_closed_period(hub, sold, factory, masters):
	made = sold(1)
	day = "2026-02-10"
	period = factory.make(
		"Accounting Period",
		period_name=unique("HT Period"),
		company=masters.company,
		start_date="2026-02-01",
		end_date="2026-02-28",
		closed_documents=[{"document_type": "Payment Entry", "closed": 1}],
	)
	try:
		body = {"external_id": unique("X"), "order": made.target, "method": "Cash", "paid_at": day}
		books.refused(lambda: hub.post("sales.pay", body), 422, "period_closed")
		assert outstanding(made.invoices[0]) == 10
	finally:
		site.refresh()
		frappe.delete_doc("Accounting Period", period.name)
		frappe.db.commit()
	# The cure is on our side: the same call again.
	assert hub.post("sales.pay", body).status == 201


def test_a_permission_is_missing(system, sold):
	shop = system()
	made = sold(1, http=shop.http)
	user = frappe.get_doc("User", shop.user)
	user.remove_roles("Accounts User", "Accounts Manager")
	frappe.db.commit()
	problem = books.refused(
		lambda: shop.http.post(
			"sales.pay", {"external_id": unique("X"), "order": made.target, "method": "Cash"}
		),
		403,
		"permission_denied",
	)
	assert (problem["doctype"], problem["right"]) == ("Payment Entry", "create")
	assert "Payment Entry" in problem["detail"]


def test_a_scope_is_missing(system):
	http = system(scopes=all_scopes("sales:write")).http
	with expect.nothing_made():
		answer = http.post(
			"sales.pay", {"external_id": unique("X"), "order": {"name": "A"}, "method": "Cash"}
		)
	expect.problem(answer, 403, "scope_missing")


# -- other currencies ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def euro(factory, masters, systems, receivable):
	"""A system with accounts in euros, and customers whose account is in euros or in dollars."""
	accounts = frappe._dict(
		Euro=factory.account("HT Bank EUR", "Bank", account_currency="EUR"),
		Dollar=masters.bank,
		Pound=factory.account("HT Bank GBP", "Bank", account_currency="GBP"),
	)
	in_euros = factory.make(
		"Account",
		account_name=unique("HT Debtors EUR"),
		parent_account=frappe.db.get_value("Account", receivable, "parent_account"),
		account_type="Receivable",
		account_currency="EUR",
		company=masters.company,
	).name
	customer = factory.customer(
		default_currency="EUR", accounts=[{"company": masters.company, "account": in_euros}]
	)
	system = systems.new(
		payment_method_map=[
			{"payment_method": method, "mode_of_payment": "Credit Card", "account": account}
			for method, account in accounts.items()
		]
	)
	gain_loss = frappe.get_cached_value("Company", masters.company, "exchange_gain_loss_account")
	# Without it ERPNext bills in the currency of the customer's account only.
	with site.settings("Accounts Settings", allow_multi_currency_invoices_against_single_party_account=1):
		yield frappe._dict(
			accounts=accounts,
			receivables={"EUR": in_euros, "USD": receivable},
			customers={"EUR": customer, "USD": factory.customer()},
			http=system.http,
			gain_loss=gain_loss,
		)


@pytest.fixture
def in_euros(euro, sold):
	def make(*quantities, party: str):
		return sold(
			*quantities,
			http=euro.http,
			customer={"name": euro.customers[party]},
			currency="EUR",
			exchange_rate="1.25",
		)

	return make


def balance(vouchers: list[str], account: str) -> tuple[float, float]:
	"""Return what vouchers, with the journals of gains and losses, leave on an account: company's and its own currency."""
	site.refresh()
	journals = frappe.get_all(
		"Journal Entry Account", filters={"reference_name": ("in", vouchers), "docstatus": 1}, pluck="parent"
	)
	rows = frappe.get_all(
		"GL Entry",
		filters={"voucher_no": ("in", [*vouchers, *journals]), "account": account, "is_cancelled": 0},
		fields=["debit", "credit", "debit_in_account_currency", "credit_in_account_currency"],
	)
	return (
		round(sum(row.debit - row.credit for row in rows), 2),
		round(sum(row.debit_in_account_currency - row.credit_in_account_currency for row in rows), 2),
	)


def settled(euro, invoice: str, entry, party: str) -> None:
	"""See that an invoice of 100 EUR at 1.25 is settled by an entry, in both currencies."""
	assert (outstanding(invoice), entry.unallocated_amount, entry.difference_amount) == (0, 0, 0)
	assert balance([invoice, entry.name], euro.receivables[party]) == (0, 0)
	ledger(entry.name)


@pytest.mark.parametrize("party", ["USD", "EUR"])
@pytest.mark.parametrize(("method", "arrived"), [("Euro", 100), ("Dollar", 125)])
def test_an_invoice_in_euros(method, arrived, party, euro, in_euros):
	made = in_euros(10, party=party)
	entry = paid(euro.http, invoice={"name": made.invoices[0]}, method=method)
	settled(euro, made.invoices[0], entry, party)
	assert entry.received_amount == arrived
	assert ledger(entry.name) == sorted([(euro.accounts[method], 125, 0), (euro.receivables[party], 0, 125)])
	assert balance([made.invoices[0], entry.name], euro.gain_loss)[0] == 0


@pytest.mark.parametrize("party", ["USD", "EUR"])
@pytest.mark.parametrize(
	("method", "currency", "amount"),
	[
		("Euro", None, None),
		("Euro", "EUR", 100),
		("Dollar", None, None),
		("Dollar", "EUR", 100),
	],
)
@pytest.mark.parametrize(("rate", "gain"), [("1.3", 5), ("1.2", -5)])
def test_another_rate_is_a_gain_or_a_loss(rate, gain, method, currency, amount, party, euro, in_euros):
	made = in_euros(10, party=party)
	said = {"currency": currency, "amount": amount, "exchange_rate": rate}
	entry = paid(
		euro.http,
		invoice={"name": made.invoices[0]},
		method=method,
		**{name: value for name, value in said.items() if value is not None},
	)
	settled(euro, made.invoices[0], entry, party)
	vouchers = [made.invoices[0], entry.name]
	assert balance(vouchers, euro.accounts[method])[0] == 125 + gain
	assert balance(vouchers, euro.gain_loss)[0] == -gain


@pytest.mark.parametrize("party", ["USD", "EUR"])
@pytest.mark.parametrize("method", ["Euro", "Dollar"])
def test_dollars_for_an_invoice_in_euros(method, party, euro, in_euros):
	made = in_euros(10, party=party)
	entry = paid(euro.http, invoice={"name": made.invoices[0]}, method=method, currency="USD", amount=125)
	settled(euro, made.invoices[0], entry, party)
	assert balance([entry.name], euro.accounts[method])[0] == 125


@pytest.mark.parametrize("party", ["USD", "EUR"])
def test_part_of_an_invoice_in_euros_with_a_fee_at_another_rate(party, euro, in_euros, masters):
	made = in_euros(10, party=party)
	entry = paid(
		euro.http,
		invoice={"name": made.invoices[0]},
		method="Dollar",
		amount=40,
		exchange_rate="1.3",
		fee={"code": "gateway", "amount": 1},
	)
	vouchers = [made.invoices[0], entry.name]
	assert outstanding(made.invoices[0]) == {"EUR": 60, "USD": 75}[party]
	assert (entry.unallocated_amount, entry.difference_amount) == (0, 0)
	assert balance(vouchers, masters.bank)[0] == 50.7
	assert balance(vouchers, masters.fee)[0] == 1.3
	assert balance(vouchers, euro.gain_loss)[0] == -2
	assert balance(vouchers, euro.receivables[party])[0] == 75
	entry = paid(euro.http, order=made.target, method="Euro")
	assert outstanding(made.invoices[0]) == 0
	assert balance([*vouchers, entry.name], euro.receivables[party])[0] == 0


@pytest.mark.parametrize("party", ["USD", "EUR"])
def test_too_much_in_euros_at_another_rate(party, euro, in_euros):
	made = in_euros(10, party=party)
	entry = paid(
		euro.http, invoice={"name": made.invoices[0]}, method="Euro", amount=110, exchange_rate="1.3"
	)
	vouchers = [made.invoices[0], entry.name]
	assert outstanding(made.invoices[0]) == 0
	assert entry.unallocated_amount == {"EUR": 10, "USD": 13}[party]
	assert balance(vouchers, euro.accounts.Euro) == (143, 110)
	assert balance(vouchers, euro.gain_loss)[0] == -5
	assert balance(vouchers, euro.receivables[party])[0] == -13


@pytest.mark.parametrize("party", ["USD", "EUR"])
@pytest.mark.parametrize("method", ["Euro", "Dollar"])
def test_an_order_in_euros_in_advance(method, party, euro, in_euros):
	made = in_euros(party=party)
	entry = paid(euro.http, order=made.target, method=method, amount=40)
	own = {"EUR": 40, "USD": 50}[party]
	assert (allocated(entry), entry.unallocated_amount) == ([(made.name, own)], 0)
	assert advance(made.name) == own
	assert balance([entry.name], euro.accounts[method])[0] == 50
	invoice = called(euro.http, "sales.invoice", order=made.target).message["invoices"][0]["name"]
	rest = paid(euro.http, order=made.target, method=method)
	assert (outstanding(invoice), rest.unallocated_amount) == (0, 0)
	assert balance([entry.name, invoice, rest.name], euro.receivables[party])[0] == 0


@pytest.mark.parametrize("party", ["USD", "EUR"])
@pytest.mark.parametrize("method", ["Euro", "Dollar"])
def test_an_advance_at_another_rate(method, party, euro, in_euros):
	made = in_euros(party=party)
	entry = paid(euro.http, order=made.target, method=method, exchange_rate="1.3")
	invoice = called(euro.http, "sales.invoice", order=made.target).message["invoices"][0]["name"]
	vouchers = [entry.name, invoice]
	assert outstanding(invoice) == 0
	assert balance(vouchers, euro.accounts[method])[0] == 130
	assert balance(vouchers, euro.receivables[party])[0] == 0
	assert balance(vouchers, euro.gain_loss)[0] == -5


@pytest.mark.parametrize(
	("part", "pointer"),
	[({"method": "Pound"}, "/method"), ({"method": "Euro", "currency": "GBP"}, "/currency")],
	ids=repr,
)
def test_a_third_currency(part, pointer, euro, in_euros):
	made = in_euros(10, party="EUR")
	body = {"external_id": unique("X"), "invoice": {"name": made.invoices[0]}, **part}
	books.refused(lambda: euro.http.post("sales.pay", body), 422, "payment_not_bookable", [pointer])


def test_no_account_for_gains_and_losses(euro, in_euros, masters):
	made = in_euros(10, party="USD")
	company = fresh("Company", masters.company)
	before = company.exchange_gain_loss_account
	company.db_set("exchange_gain_loss_account", None, commit=True)
	try:
		frappe.clear_document_cache("Company", masters.company)
		body = {
			"external_id": unique("X"),
			"invoice": {"name": made.invoices[0]},
			"method": "Euro",
			"exchange_rate": "1.3",
		}
		books.refused(
			lambda: euro.http.post("sales.pay", body), 422, "payment_not_bookable", ["/exchange_rate"]
		)
	finally:
		company.db_set("exchange_gain_loss_account", before, commit=True)
		frappe.clear_document_cache("Company", masters.company)


def test_an_order_that_names_payments_and_one_that_is_paid_later_share_ids(hub, sold, item):
	"""The gateway's id is one namespace, whichever verb books the payment."""
	external_id = unique("ch")
	answer = hub.post(
		"orders.create",
		order(payments=[{"external_id": external_id, "method": "Cash", "amount": 1}]),
	)
	assert answer.status == 201, answer
	made = sold()
	body = {"external_id": external_id, "order": made.target, "method": "Cash", "amount": 1}
	books.refused(lambda: hub.post("sales.pay", body), 409, "external_id_conflict", ["/external_id"])
