"""The whole way from order to money, in one call and in many: what it makes, and what it writes to the ledgers."""

import pytest

from integration_hub.tests import factories as f
from integration_hub.tests.factories import order, placed, unique


@pytest.fixture(scope="module")
def item(factory, masters):
	"""A stock item of which there is plenty."""
	code = factory.item()
	factory.stock(code, masters.warehouse, 1000)
	return code


def test_one_call_from_order_to_money(hub, shop, item):
	body = order(lines=[f.line(external_id="1", item_code=item, quantity=2, unit_price="12.34")])
	answer = hub.post("sales.run", {"order": body, "fulfill": {}, "invoice": {}, "pay": {"method": "Cash"}})
	assert answer.status == 201, answer
	print(answer.message)
	assert answer.message["order"]["status"] == "Completed"


def test_one_call_staged(hub, shop, item):
	body = order(lines=[f.line(external_id="1", item_code=item, quantity=2, unit_price="12.34")])
	answer = hub.post(
		"sales.run",
		{"mode": "staged", "order": body, "fulfill": {}, "invoice": {}, "pay": {"method": "Cash"}},
	)
	assert answer.status == 201, answer
	assert answer.message["order"]["status"] == "Completed"
	request = hub.get("requests.get", id=answer.message["id"])
	assert [step["status"] for step in request.message["steps"]] == ["Completed"] * 4
	status = hub.get("sales.status", external_id=body["external_id"])
	assert status.status == 200, status
	print(status.message)


def test_many_calls(hub, item):
	body = order(
		lines=[
			f.line(external_id="1", item_code=item, quantity=3, unit_price="12.34"),
			f.line(external_id="2", item_code=item, quantity=1, unit_price=5),
		],
		charges=[{"code": "shipping", "amount": 10}],
	)
	placed(hub, **body)
	target = {"external_id": body["external_id"]}
	parcel = hub.post(
		"sales.fulfill",
		{
			"order": target,
			"external_id": unique("PARCEL"),
			"lines": [{"external_id": "1", "quantity": 1}],
			"carrier": "DHL",
			"tracking_number": "123",
			"tracking_url": "https://x.example/1",
		},
	)
	assert parcel.status == 201, parcel
	second = hub.post("sales.fulfill", {"order": target, "external_id": unique("PARCEL")})
	assert second.status == 201, second
	bill = hub.post(
		"sales.invoice",
		{"fulfillment": {"name": parcel.message["fulfillments"][0]["name"]}, "external_id": unique("INV")},
	)
	assert bill.status == 201, bill
	bill2 = hub.post("sales.invoice", {"order": target, "external_id": unique("INV")})
	assert bill2.status == 201, bill2
	totals = [answer.message["invoices"][0]["grand_total"] for answer in (bill, bill2)]
	assert round(sum(totals), 2) == 52.02
	paid = hub.post(
		"sales.pay", {"order": target, "external_id": unique("PAY"), "method": "Cash", "amount": 60}
	)
	assert paid.status == 201, paid
	back = hub.post(
		"sales.refund",
		{
			"order": target,
			"external_id": unique("R"),
			"lines": [{"external_id": "1", "quantity": 1}],
			"method": "Cash",
		},
	)
	assert back.status == 201, back
	print(back.message)
	amount = hub.post(
		"sales.refund", {"order": target, "external_id": unique("R"), "amount": 7.77, "method": "Cash"}
	)
	assert amount.status == 201, amount
	rest = hub.post("sales.refund", {"order": target, "external_id": unique("R"), "method": "Cash"})
	assert rest.status == 201, rest
	status = hub.get("sales.status", external_id=body["external_id"])
	print(status.message["totals"], status.message["lines"])
	cancel = hub.post("orders.cancel", {**target, "cascade": True})
	assert cancel.status == 200, cancel


def test_update(hub, item):
	body = order(
		lines=[
			f.line(external_id="1", item_code=item, quantity=3, unit_price="12.34"),
			f.line(external_id="2", item_code=item, quantity=1, unit_price=5),
		]
	)
	placed(hub, **body)
	answer = hub.post(
		"orders.update",
		{
			"external_id": body["external_id"],
			"order_number": "N-2",
			"deliver_by": "2027-01-01",
			"lines": [
				{"external_id": "1", "quantity": 5},
				{"external_id": "2", "remove": True},
				{"external_id": "3", "item_code": item, "quantity": 2, "unit_price": 7},
			],
		},
		key=unique("k"),
	)
	assert answer.status == 200, answer
	print(answer.message)
	assert answer.order["grand_total"] == 75.7
