"""Random carts through the hub: whatever is called in whatever order, the books are right; and the straight way from the
order to money leaves the very ledgers that the eleven calls by hand leave.

HUB_CARTS says how many (200), HUB_CARTS_SEED which: any text, or "random" for new ones; the seed of a run is printed.
"""

import json
import os
import random
import secrets
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

import frappe

from integration_hub.tests import audit
from integration_hub.tests.carts import RATE, Cart, Maker, Player, Shelf
from integration_hub.tests.factories import RUN, unique
from integration_hub.tests.recipe import Recipe
from integration_hub.tests.stack import Http

CARTS = int(os.environ.get("HUB_CARTS") or 200)
SEED = os.environ.get("HUB_CARTS_SEED") or "aa1"
SEED = secrets.token_hex(4) if SEED == "random" else SEED
# Clients at work at the same time, each with goods and customers of its own.
CLIENTS = 3
# What goods cost when they came in, in this order: what leaves is worth now this, now that.
LAYERS = ((40, "3.17"), (60, "4.05"), (35, "3.9"), (5000, "4.4321"))

MODES = {"Cash": "Cash", "Card": "Credit Card", "Euro": "Wire Transfer"}
LEDGERS = ("GL Entry", "Stock Ledger Entry", "Payment Ledger Entry")
# What no two rows have in common, whoever makes them.
OWN = {"name", "parent", "creation", "modified", "owner", "modified_by", "posting_time", "posting_datetime"}


@pytest.fixture(scope="module")
def euro_account(factory):
	return factory.account("HT Euro Bank", "Bank", account_currency="EUR")


@pytest.fixture(scope="module")
def accounts(masters, euro_account):
	"""Where the money of each method goes."""
	return {"Cash": masters.cash, "Card": masters.bank, "Euro": euro_account}


@pytest.fixture(scope="module")
def shop(systems, accounts):
	"""A system whose user may call Frappe's own API as well: the same person plays both sides."""
	methods = [
		{"payment_method": method, "mode_of_payment": MODES[method], "account": account}
		for method, account in accounts.items()
	]
	return systems.new(payment_method_map=methods, allow_frappe_api=1)


@pytest.fixture(scope="module")
def customers(factory):
	"""Pairs of customers for each client: one who owes dollars, one who owes euros."""
	usual = frappe.get_cached_value("Company", factory.company, "default_receivable_account")
	debtors = factory.make(
		"Account",
		account_name=unique("HT Euro Debtors"),
		parent_account=frappe.db.get_value("Account", usual, "parent_account"),
		account_type="Receivable",
		account_currency="EUR",
		company=factory.company,
	).name
	euro = {"default_currency": "EUR", "accounts": [{"company": factory.company, "account": debtors}]}
	return [(factory.customer(), factory.customer(**euro)) for _ in range(CLIENTS)]


@pytest.fixture(scope="module")
def shelves(factory, masters, customers):
	"""For each client its goods: those of the straight carts, their twins for the recipe, and those of the other carts."""

	def stocked(**values) -> str:
		code = factory.item(item_name="HT Goods", description="HT Goods", **values)
		for quantity, rate in LAYERS:
			factory.stock(code, masters.warehouse, quantity, float(rate))
		return code

	def shelf(dollars: str, euros: str) -> Shelf:
		service = factory.item(item_name="HT Service", description="HT Service", is_stock_item=0)
		return Shelf((stocked(), stocked()), stocked(stock_uom="Kg"), service, dollars, euros)

	return [[shelf(*pair) for _ in range(3)] for pair in customers]


@pytest.fixture(scope="module")
def mixed_currencies(site):
	"""ERPNext lets a customer's first invoice be in another currency than the receivable account only by a setting."""
	with site.settings("Accounts Settings", allow_multi_currency_invoices_against_single_party_account=1):
		yield


@pytest.fixture(scope="module")
def stored_rate(factory):
	"""A client of Frappe's own API needs a stored rate to pay in another currency; other tests need that there is none."""
	rate = factory.make(
		"Currency Exchange",
		date=frappe.utils.nowdate(),
		from_currency="EUR",
		to_currency=factory.currency,
		exchange_rate=float(RATE),
		for_buying=1,
		for_selling=1,
	)
	yield
	frappe.db.rollback()
	rate.delete()
	frappe.db.commit()


@pytest.fixture(scope="module")
def played(
	site, stack, shop, shelves, accounts, factory, masters, stored_rate, mixed_currencies, request
) -> list[Cart]:
	"""All carts, played: each third straight and by hand as well, the others anyhow."""
	with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
		print(f"\n{CARTS} random carts: HUB_CARTS_SEED={SEED}")
	site.refresh()
	http = Http(stack, shop.token)
	today = frappe.utils.nowdate()

	def client(number: int) -> list[Cart]:
		straight, twin, free = shelves[number]
		made = []
		for cart_number in range(number, CARTS, CLIENTS):
			dice = random.Random(f"{SEED}/{cart_number}")
			goes_straight = dice.random() < 0.35
			cart = Maker(dice, straight if goes_straight else free).cart(
				cart_number, f"CART-{RUN}-{cart_number}"
			)
			player = Player(cart, dice, http.post, http.get)
			try:
				if goes_straight:
					player.straight()
					by_hand(cart, twin, http, accounts, factory.company, masters, today)
				elif dice.random() < 0.25:
					player.at_once()
				else:
					player.wander()
			except Exception as e:
				cart.faults.append(repr(e)[:1500])
			made.append(cart)
		return made

	with ThreadPoolExecutor(CLIENTS) as clients:
		carts = [cart for made in clients.map(client, range(CLIENTS)) for cart in made]
	return sorted(carts, key=lambda cart: cart.number)


def by_hand(cart: Cart, twin: Shelf, http: Http, accounts: dict, company: str, masters, today: str) -> None:
	"""Play a straight cart once more by the recipe, with the twins of its goods."""
	if cart.faults:
		return

	def call(http_method: str, path: str, body: dict | None) -> dict:
		answer = http.send(http_method, path, body)
		if answer.status == 500 and b"QueryDeadlockError" in answer.content:
			# Two clients of ERPNext's own API at once: it undoes one of them, and whoever calls has to call again.
			answer = http.send(http_method, path, body)
		assert answer.status == 200, f"{http_method} {path}: {answer}"
		return answer.body

	cart.by_hand = Recipe(call).play(
		rest_order(cart, twin, company, masters, today),
		account=accounts[cart.method],
		payment={
			"mode_of_payment": MODES[cart.method],
			"reference_no": f"REF-{cart.number}",
			"reference_date": today,
		},
	)


def rest_order(cart: Cart, twin: Shelf, company: str, masters, today: str) -> dict:
	"""Return a cart as a client of `/api/resource/Sales Order` writes it."""
	body = cart.body
	twins = dict(zip(goods_of(cart.shelf), goods_of(twin), strict=True))
	order = {
		"company": company,
		"customer": body["customer"]["name"],
		"transaction_date": today,
		"delivery_date": today,
		"currency": body["currency"],
		"conversion_rate": float(body.get("exchange_rate", 1)),
		"plc_conversion_rate": float(body.get("exchange_rate", 1)),
		"ignore_pricing_rule": 1,
		"disable_rounded_total": 1,
		"items": [rest_line(line, twins, masters.warehouse, today) for line in body["lines"]],
		"taxes": [rest_tax(tax, masters) for tax in body["taxes"]]
		+ [
			{
				"charge_type": "Actual",
				"account_head": masters.charge,
				"description": charge["code"],
				"tax_amount": float(charge["amount"]),
			}
			for charge in body["charges"]
		],
	}
	for discount in body["discounts"]:
		order["apply_discount_on"] = "Net Total"
		field = "additional_discount_percentage" if "percent" in discount else "discount_amount"
		order[field] = float(discount.get("percent") or discount["amount"])
	return order


def goods_of(shelf: Shelf) -> list[str]:
	return [*shelf.goods, shelf.loose, shelf.service]


def rest_line(line: dict, twins: dict, warehouse: str, today: str) -> dict:
	price = Decimal(line["unit_price"])
	row = {
		"item_code": twins[line["item_code"]],
		"qty": float(line["quantity"]),
		"price_list_rate": float(price),
		"rate": float(price),
		"warehouse": warehouse,
		"delivery_date": today,
	}
	discount = line.get("discount") or {}
	if "percent" in discount:
		row["discount_percentage"] = float(discount["percent"])
		row["rate"] = float(round(price * (100 - Decimal(discount["percent"])) / 100, 2))
	elif "amount" in discount:
		row["discount_amount"] = float(discount["amount"])
		row["rate"] = float(price - Decimal(discount["amount"]))
	return row


def rest_tax(tax: dict, masters) -> dict:
	row = {
		"account_head": masters.tax if tax["code"] == "vat" else masters.second_tax,
		"description": tax["code"],
	}
	if "rate" not in tax:
		return {**row, "charge_type": "Actual", "tax_amount": float(tax["amount"])}
	included = int(tax.get("included", False))
	return {
		**row,
		"charge_type": "On Net Total",
		"rate": float(tax["rate"]),
		"included_in_print_rate": included,
	}


def report(found: list[tuple[Cart, object]]) -> str:
	"""Say which carts are wrong, and how to play them again."""
	listed = "\n\n".join(f"{cart}\n  {fault}" for cart, fault in found[:12])
	return f"{len(found)} of {CARTS} carts, HUB_CARTS_SEED={SEED}:\n{listed}"


def straight_ones(carts: list[Cart]) -> list[Cart]:
	found = [cart for cart in carts if cart.by_hand]
	assert found, "no cart went straight: nothing would be compared"
	return found


def test_every_call_is_answered_as_counted(played):
	wrong = [(cart, "; ".join(cart.faults)) for cart in played if cart.faults]
	assert not wrong, report(wrong)
	assert len(played) == CARTS


def test_every_voucher_balances_and_nothing_is_owed_twice(played):
	wrong = [
		(cart, "\n  ".join(faults))
		for cart in played
		if cart.order and not cart.cancelled and (faults := audit.faults_of(cart.order))
	]
	assert not wrong, report(wrong)


def test_what_is_cancelled_leaves_nothing(played):
	wrong = [(cart, faults) for cart in played if cart.cancelled and (faults := audit.undone(cart.order))]
	assert not wrong, report(wrong)


def test_stock_ledger_equals_bins(played, shelves):
	items = [item for client in shelves for shelf in client for item in goods_of(shelf)]
	assert audit.wrong_bins(items) == []


def test_same_ledgers_as_by_hand(played):
	wrong = []
	for cart in straight_ones(played):
		ours, theirs = (ledgers(documents) for documents in (cart.documents, cart.by_hand))
		assert all(ours[ledger] for ledger in LEDGERS if ledger != "Stock Ledger Entry"), cart
		if different := differing(ours, theirs):
			wrong.append((cart, different))
	assert not wrong, report(wrong)


def ledgers(documents: dict[str, str]) -> dict[str, list[dict]]:
	"""Return every column of every ledger row of these documents, with the names in them said by their role."""
	roles = names_by_role(documents)
	found = {}
	for ledger in LEDGERS:
		rows = frappe.get_all(
			ledger,
			filters={"voucher_no": ("in", list(documents.values())), "is_cancelled": 0}
			if ledger != "Payment Ledger Entry"
			else {"voucher_no": ("in", list(documents.values())), "delinked": 0},
			fields=["*"],
		)
		plain = [
			{key: said(key, value, roles) for key, value in row.items() if key not in OWN} for row in rows
		]
		found[ledger] = sorted(plain, key=lambda row: json.dumps(row, default=str, sort_keys=True))
	return found


def names_by_role(documents: dict[str, str]) -> dict[str, str]:
	"""Return {"SAL-ORD-1": "<Sales Order>", "a1b2": "<Sales Order Item 1>", "ITEM-7": "<item 1>"} of documents and their rows."""
	roles = {}
	for doctype, name in documents.items():
		doc = frappe.get_doc(doctype, name)
		roles[name] = f"<{doctype}>"
		for row in doc.get_all_children():
			roles[row.name] = f"<{row.doctype} {row.idx}>"
		for row in doc.get("items") or []:
			roles.setdefault(row.item_code, f"<item {row.idx}>")
	return roles


# What ERPNext, by hand, leaves unrounded where the bank's currency is not the invoice's.
UNROUNDED = {"received_amount", "debit_in_account_currency"}


def said(key: str, value, roles: dict[str, str]):
	"""Return a value as any two documents with the same content have it."""
	if key in UNROUNDED:
		return round(value, 2)
	if key == "item_tax_rate":
		# ERPNext writes null and 0 for the same.
		return {account: rate or 0 for account, rate in json.loads(value or "{}").items()}
	if not isinstance(value, str):
		return value
	for name, role in roles.items():
		value = value.replace(name, role)
	return value


def differing(ours: dict, theirs: dict) -> list[str]:
	"""Return "GL Entry 3 cost_center: ours, theirs" of all that differs."""
	found = []
	for ledger, rows in ours.items():
		if len(rows) != len(theirs[ledger]):
			found.append(
				f"{ledger}: {len(rows)} rows, {len(theirs[ledger])} by hand: {rows} {theirs[ledger]}"
			)
			continue
		for index, (row, other) in enumerate(zip(rows, theirs[ledger], strict=True)):
			found += [
				f"{ledger} {index} {key}: {row[key]!r}, {other[key]!r} by hand"
				for key in row
				if row[key] != other[key]
			]
	return found


# What says which system sent it and what it meant, and how the hub makes ERPNext keep to that.
HUBS = {"hub_system", "hub_external_id", "hub_discounts", "hub_kind", "hub_code", "ignore_pricing_rule"}
# Money paid in advance for an order is set against its invoices; by hand there is a button.
HUBS |= {"allocate_advances_automatically", "only_include_allocated_payments"}
# What the accounts hold at that moment, which version 15 notes on a payment.
HUBS |= {"paid_from_account_balance", "paid_to_account_balance"}
# Where an amount comes off the price the hub says the per cent as well.
HUBS |= {"discount_percentage"}


def test_same_documents_as_by_hand(played):
	"""States, totals, and every other field but the hub's own."""
	wrong = []
	for cart in straight_ones(played):
		ours, theirs = (pictures(documents) for documents in (cart.documents, cart.by_hand))
		if different := differing(ours, theirs):
			wrong.append((cart, different))
	assert not wrong, report(wrong)


def pictures(documents: dict[str, str]) -> dict[str, list[dict]]:
	roles = names_by_role(documents)
	found = {}
	for doctype, name in documents.items():
		doc = frappe.get_doc(doctype, name)
		for row in [doc, *doc.get_all_children()]:
			values = row.as_dict(no_default_fields=False)
			found.setdefault(f"{doctype}: {row.doctype}", []).append(
				{
					key: said(key, value, roles)
					for key, value in values.items()
					if key not in OWN | HUBS and not isinstance(value, list)
				}
			)
	return found
