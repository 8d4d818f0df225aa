"""Documents in a currency that an account is not kept in."""

from integration_hub.tests import expect
from integration_hub.tests.factories import line, placed, unique


def test_the_first_invoice_in_a_currency_the_customers_account_is_not_kept_in(hub, factory):
	customer = factory.customer()
	order = placed(
		hub,
		customer={"name": customer},
		currency="EUR",
		exchange_rate="1.1",
		lines=[line(item_code=factory.item(is_stock_item=0))],
	).order
	target = {"external_id": order["external_id"]}
	with expect.nothing_made():
		answer = hub.post("sales.invoice", {"order": target, "external_id": unique("INV")})
	detail = expect.problem(answer, 422, "account_currency_mismatch", [])["detail"]
	assert "USD" in detail and "EUR" in detail


def test_what_is_outstanding_is_paid_to_the_last_cent(hub, factory, site):
	"""1.0875 and odd cents: converted there and back, a cent of the debt would stay."""
	with site.settings("Accounts Settings", allow_multi_currency_invoices_against_single_party_account=1):
		customer, item = factory.customer(), factory.item(is_stock_item=0)
		for price in ("11.33", "42.79", "0.01", "813.79"):
			order = placed(
				hub,
				customer={"name": customer},
				currency="EUR",
				exchange_rate="1.0875",
				lines=[line(item_code=item, unit_price=price, quantity=2)],
			).order
			target = {"external_id": order["external_id"]}
			half = {"lines": [{"item_code": item, "quantity": 1}]}
			for part in (half, {}):
				made = hub.post("sales.invoice", {"order": target, "external_id": unique("INV"), **part})
				assert made.status == 201, made
			paid = hub.post("sales.pay", {"order": target, "method": "Cash", "external_id": unique("PAY")})
			assert paid.status == 201, paid
			totals = hub.get("sales.status", **target).message["totals"]
			assert (totals["outstanding"], paid.message["payments"][0]["unallocated"]) == (0, 0)


def test_a_payment_at_another_rate_balances_whatever_the_cents(hub, factory, site):
	with site.settings("Accounts Settings", allow_multi_currency_invoices_against_single_party_account=1):
		customer, item = factory.customer(), factory.item(is_stock_item=0)
		for price in ("124.47", "33.33", "0.07", "999.99"):
			order = placed(
				hub,
				customer={"name": customer},
				currency="EUR",
				exchange_rate="1.1",
				lines=[line(item_code=item, unit_price=price)],
			).order
			target = {"external_id": order["external_id"]}
			paid = hub.post(
				"sales.pay",
				{"order": target, "method": "Cash", "exchange_rate": "1.05", "external_id": unique("PAY")},
			)
			assert paid.status == 201, paid
			assert paid.message["payments"][0]["unallocated"] == 0
