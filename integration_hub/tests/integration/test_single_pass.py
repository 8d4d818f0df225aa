"""An order born submitted equals one that was inserted and then submitted: in every field but those listed here."""

import json

import pytest

import frappe

from integration_hub.tests.factories import line, made_order, placed

# What no two documents have in common, whichever way they are made.
OWN = {"name", "parent", "creation", "modified", "owner", "modified_by"}
# What says which system sent the order, and by which id.
NAMES = {"hub_system", "hub_external_id", "hub_order_number", "po_no"}

TABLES = ("items", "taxes", "payment_schedule", "sales_team", "packed_items", "pricing_rules")


def values(row, *without: str) -> dict:
	return {
		name: value
		for name, value in row.as_dict(no_default_fields=False).items()
		if name not in OWN | set(without) and not isinstance(value, list)
	}


def picture(doc) -> dict:
	"""Return every value of an order and of its tables, without the item's code, which two orders do not share."""
	[item] = {row.item_code for row in doc.items}
	seen = {
		"order": values(doc, *NAMES),
		**{table: [values(row, "item_code") for row in doc.get(table) or []] for table in TABLES},
	}
	breakup = seen["order"]["other_charges_calculation"]
	seen["order"]["other_charges_calculation"] = breakup and breakup.replace(item, "ITEM")
	for row in seen["taxes"]:
		# v15 keeps a JSON text by item; v16 has a table for it.
		if row.get("item_wise_tax_detail"):
			row["item_wise_tax_detail"] = row["item_wise_tax_detail"].replace(item, "ITEM")
	for row in seen["items"]:
		row["item_tax_rate"] = rates(row["item_tax_rate"])
	return seen


def rates(text: str | None) -> dict[str, float]:
	"""Return the rates of a line by account.

	ERPNext writes null where a rate was never read back from the database, and counts it as 0.
	"""
	return {account: rate or 0 for account, rate in json.loads(text or "{}").items()}


def differences(one: dict, two: dict) -> dict[str, tuple]:
	"""Return {"items.0.rate": (one's, two's)} of all that differs."""
	found = {}
	for table, ones in one.items():
		rows = [(table, ones, two[table])]
		if isinstance(ones, list):
			assert len(ones) == len(two[table]), table
			rows = [
				(f"{table}.{index}", *pair) for index, pair in enumerate(zip(ones, two[table], strict=True))
			]
		for place, first, second in rows:
			assert set(first) == set(second)
			found |= {
				f"{place}.{name}": (first[name], second[name])
				for name in first
				if first[name] != second[name]
			}
	return found


def bins(items: list[str]) -> list[dict]:
	"""Return every value of the Bins of these items, in their order."""
	rows = []
	for item in items:
		for name in frappe.get_all("Bin", filters={"item_code": item}, order_by="warehouse", pluck="name"):
			rows.append(values(frappe.get_doc("Bin", name), "item_code"))
	return rows


@pytest.fixture(scope="module")
def two_passes(systems, masters):
	"""A system whose gate decides between insert and submit, and nothing else is different about it."""
	return systems.new(
		totals_policy="Book Difference", difference_account=masters.difference, difference_limit=1
	).http


CASES = {
	"plain": {"totals": {"grand": 32}},
	"discounts": {
		"discounts": [{"percent": 10}, {"amount": 2}],
		"totals": {"grand": "26.80"},
	},
	"charges and taxes": {
		"charges": [{"code": "shipping", "amount": "4.90"}],
		"taxes": [{"code": "vat", "rate": 19}, {"code": "city", "amount": "0.50"}],
		"totals": {"net": 32, "tax": "6.58", "grand": "43.48"},
	},
	"included tax": {"taxes": [{"code": "vat", "rate": 19, "included": True}], "totals": {"grand": 32}},
	"euros": {"currency": "EUR", "exchange_rate": "1.0875", "totals": {"grand": 32}},
	"later": {"placed_at": "2026-03-01", "deliver_by": "2026-04-01", "totals": {"grand": 32}},
}


def lines(item: str) -> list[dict]:
	return [
		line(item_code=item, quantity=3, unit_price=10, external_id="1", note="a note"),
		line(item_code=item, quantity=2, unit_price="2.00", discount={"percent": 50}, warehouse="east"),
		line(item_code=item, quantity=1, unit_price=0),
	]


@pytest.mark.parametrize("case", CASES)
def test_one_pass_equals_two(case, factory, hub, two_passes):
	item_of = {name: factory.item(item_name="HT", description="HT") for name in ("one", "two")}
	customer = {"name": factory.customer()}
	pictures, stock = {}, {}
	for name, http in (("one", hub), ("two", two_passes)):
		doc = made_order(placed(http, customer=customer, lines=lines(item_of[name]), **CASES[case]))
		pictures[name] = picture(doc)
		stock[name] = bins([item_of[name]])
	assert pictures["one"]["order"]["status"] == "To Deliver and Bill"
	assert pictures["one"]["payment_schedule"], "nothing was compared"
	assert differences(pictures["one"], pictures["two"]) == {}
	assert [row["reserved_qty"] for row in stock["one"]] == [4, 2]
	assert stock["one"] == stock["two"]


def test_one_pass_equals_insert_and_submit_in_the_desk(factory, hub):
	"""The second order is a draft of the hub that a person submits."""
	item_of = [factory.item(item_name="HT", description="HT") for _ in range(2)]
	customer = {"name": factory.customer()}
	case = CASES["charges and taxes"]
	one = made_order(placed(hub, customer=customer, lines=lines(item_of[0]), **case))
	two = made_order(placed(hub, customer=customer, lines=lines(item_of[1]), submit=False, **case))
	two.submit()
	frappe.db.commit()
	two.reload()
	pictures = [picture(doc) for doc in (one, two)]
	assert differences(*pictures) == {}
	assert bins(item_of[:1]) == bins(item_of[1:])


@pytest.mark.parametrize("submit", [True, False])
def test_what_a_new_order_is_stored_as(submit, factory, hub):
	"""What the database holds is what the document says."""
	item = factory.item()
	doc = made_order(placed(hub, lines=lines(item), submit=submit))
	assert (doc.docstatus, doc.status) == ((1, "To Deliver and Bill") if submit else (0, "Draft"))
	assert {row.docstatus for table in TABLES for row in doc.get(table) or []} == {int(submit)}
	assert {(row.idx, row.hub_external_id) for row in doc.items} == {(1, "1"), (2, None), (3, None)}
	assert (doc.per_delivered, doc.per_billed, doc.billing_status, doc.delivery_status) == (
		0,
		0,
		"Not Billed",
		"Not Delivered",
	)
	reserved = [row["reserved_qty"] for row in bins([item])]
	assert reserved == ([4, 2] if submit else [])
