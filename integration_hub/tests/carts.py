"""Random carts: what a shop might send, and random ways from the order to money and back, with a count of what must come of them.

A cart is made from one random number, so that one that fails can be played again. Nothing here knows the site's database.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from integration_hub.tests.stack import Answer

CENT = Decimal("0.01")
METHODS = {"USD": ("Cash", "Card"), "EUR": ("Cash", "Euro")}
RATE = "1.0875"


def money(value: float) -> Decimal:
	return Decimal(str(value)).quantize(CENT)


@dataclass(frozen=True)
class Shelf:
	"""What one client of the test sells, and to whom; nobody else does, so that its ledgers have one history.

	Attributes:
		goods: stock items counted in pieces.
		loose: a stock item sold by weight.
		service: an item without stock.
		dollars, euros: customers, by the currency of their receivable account.
	"""

	goods: tuple[str, ...]
	loose: str
	service: str
	dollars: str
	euros: str


@dataclass
class Line:
	"""What must be true of a line: quantities that went out, were billed, came back and were credited, all of them positive."""

	id: str
	quantity: Decimal
	whole: bool
	stock: bool
	delivered: Decimal = Decimal(0)
	billed: Decimal = Decimal(0)
	returned: Decimal = Decimal(0)
	credited: Decimal = Decimal(0)

	@property
	def to_deliver(self) -> Decimal:
		return self.quantity - self.delivered

	@property
	def to_bill(self) -> Decimal:
		"""What is billed when nothing is said: what came back before it was billed is not."""
		return max(Decimal(0), self.quantity - self.billed - max(Decimal(0), self.returned - self.credited))

	@property
	def to_return(self) -> Decimal:
		return self.delivered - self.returned

	@property
	def to_credit(self) -> Decimal:
		return self.billed - self.credited

	@property
	def to_refund(self) -> Decimal:
		return max(self.to_return, self.to_credit)


@dataclass
class Cart:
	"""A cart, what was called for it, and what must have come of it."""

	number: int
	body: dict
	lines: list[Line]
	shelf: Shelf
	calls: list[str] = field(default_factory=list)
	faults: list[str] = field(default_factory=list)
	order: str | None = None
	documents: dict[str, str] = field(default_factory=dict)
	by_hand: dict[str, str] = field(default_factory=dict)
	cancelled: bool = False
	method: str | None = None

	@property
	def target(self) -> dict:
		return {"external_id": self.body["external_id"]}

	@property
	def currency(self) -> str:
		return self.body["currency"]

	def __str__(self) -> str:
		return f"cart {self.number} ({self.body['external_id']}, {self.order}): {' | '.join(self.calls)}"


class Maker:
	"""Makes the body of an order out of a random number."""

	def __init__(self, dice: random.Random, shelf: Shelf):
		self.dice, self.shelf = dice, shelf

	def cart(self, number: int, external_id: str) -> Cart:
		dice = self.dice
		items = [*self.shelf.goods, self.shelf.loose, self.shelf.service]
		chosen = [dice.choice(items[:-1]), *dice.sample(items, dice.randint(0, 3))]
		# An order of nothing but gifts asks for no money.
		lines = [self._line(str(index), item, gift=index > 1) for index, item in enumerate(chosen, 1)]
		currency = dice.choice(["USD", "USD", "EUR"])
		customer = (
			dice.choice([self.shelf.dollars, self.shelf.euros]) if currency == "EUR" else self.shelf.dollars
		)
		body = {
			"external_id": external_id,
			"currency": currency,
			"customer": {"name": customer},
			"lines": lines,
			"taxes": self._taxes(),
			"charges": [{"code": "shipping", "amount": self._price(at_least=1)}]
			if dice.random() < 0.4
			else [],
			# ERPNext 16 holds the discounts of earlier credit notes against one of free goods alone.
			"discounts": [] if any(line["unit_price"] == "0" for line in lines) else self._discounts(lines),
		}
		if currency == "EUR":
			body["exchange_rate"] = RATE
		counted = [
			Line(
				line["external_id"],
				Decimal(str(line["quantity"])),
				line["item_code"] != self.shelf.loose,
				line["item_code"] != self.shelf.service,
			)
			for line in lines
		]
		return Cart(number, body, counted, self.shelf)

	def _line(self, line_id: str, item: str, gift: bool) -> dict:
		dice = self.dice
		loose = item == self.shelf.loose
		line = {
			"external_id": line_id,
			"item_code": item,
			"quantity": str(Decimal(dice.randint(100, 5000)) / 1000) if loose else dice.randint(1, 7),
			"unit_price": "0" if gift and dice.random() < 0.07 else self._price(at_least=1),
		}
		kind = dice.random()
		if kind < 0.15:
			line["discount"] = {"percent": str(Decimal(dice.randint(1, 450)) / 10)}
		elif kind < 0.25:
			line["discount"] = {"amount": str(self._part_of(Decimal(line["unit_price"])))}
		return line

	def _price(self, at_least: int = 0) -> str:
		return str(at_least + Decimal(self.dice.randint(1, 9999)) / 100)

	def _part_of(self, amount: Decimal) -> Decimal:
		return (amount * self.dice.randint(1, 60) / 100).quantize(CENT)

	def _taxes(self) -> list[dict]:
		rate = self.dice.choice(["19", "7.7", "8.875", "20", "5.5"])
		vat, city = {"code": "vat", "rate": rate}, {"code": "city", "amount": self._price()}
		kinds = (
			[],
			[vat],
			[vat],
			[{**vat, "included": True}],
			[{**vat, "included": True}],
			[city],
			[vat, city],
		)
		return self.dice.choice(kinds)

	def _discounts(self, lines: list[dict]) -> list[dict]:
		kind = self.dice.random()
		worth = sum(Decimal(line["quantity"]) * Decimal(line["unit_price"]) for line in lines)
		if worth < 10:
			return []
		if kind < 0.15:
			return [{"percent": str(Decimal(self.dice.randint(10, 300)) / 10)}]
		return [{"amount": str(Decimal(self.dice.randint(1, 300)) / 100)}] if kind < 0.3 else []


class Player:
	"""Plays a cart through the hub and counts along; what goes otherwise than counted becomes a fault of the cart."""

	def __init__(
		self, cart: Cart, dice: random.Random, post: Callable[..., Answer], get: Callable[..., Answer]
	):
		self.cart, self.dice = cart, dice
		self._post, self._get = post, get

	def straight(self) -> None:
		"""From the order to money without a detour: in one call, or in four."""
		cart = self.cart
		cart.method = method = self.dice.choice(METHODS[cart.currency])
		pay = {"method": method, "reference": f"REF-{cart.number}"}
		way = self.dice.choice(["atomic", "staged", "calls"])
		cart.calls.append(f"straight {way} {method}")
		if way == "calls":
			self._call("orders.create", cart.body)
			for verb, part in (("sales.fulfill", {}), ("sales.invoice", {}), ("sales.pay", pay)):
				self._call(verb, {"order": cart.target, **part}, key=f"{verb}-{cart.body['external_id']}")
		else:
			parts = {"fulfill": {}, "invoice": {}, "pay": pay}
			self._call("sales.run", {"mode": way, "order": cart.body, **parts})
		for line in cart.lines:
			line.delivered = line.billed = line.quantity
		self.check()

	def wander(self) -> None:
		"""Some steps in any order that makes sense, broken off anywhere; now and then the whole order is undone."""
		self._call("orders.create", self.cart.body)
		ways = [
			self._fulfill,
			self._fulfill,
			self._bill,
			self._bill,
			self._pay,
			self._pay,
			self._refund,
			self._credit,
		]
		for _ in range(self.dice.randint(1, 6)):
			self.dice.choice(ways)()
		self.check()
		if self.dice.random() < 0.15:
			self._cancel()

	def at_once(self) -> None:
		"""Several parcels, invoices, payments and refunds in one call."""
		cart, dice = self.cart, self.dice
		first = [
			{"external_id": line.id, "quantity": self._billable(line, line.quantity)} for line in cart.lines
		]
		mode = dice.choice(["atomic", "staged"])
		method = dice.choice(METHODS[cart.currency])
		body = {
			"mode": mode,
			"order": cart.body,
			"fulfill": [{"lines": first}, *([{}] if self._leaves(first) else [])],
			"invoice": [{"lines": first}, *([{}] if self._leaves(first) else [])],
			"pay": [{"method": method, "amount": "1.01"}, {"method": method}],
		}
		for line in cart.lines:
			line.delivered = line.billed = line.quantity
		if dice.random() < 0.6:
			back = dice.choice(cart.lines)
			quantity = Decimal(self._some(back, back.quantity))
			restock = dice.random() < 0.5
			body["refund"] = {
				"lines": [{"external_id": back.id, "quantity": str(quantity), "restock": restock}]
			}
			back.credited += quantity
			back.returned += quantity if restock else 0
		cart.calls.append(f"at once {mode} {sorted(body)}")
		self._call("sales.run", body)
		self.check()

	def _leaves(self, first: list[dict]) -> bool:
		return any(
			Decimal(part["quantity"]) < line.quantity
			for part, line in zip(first, self.cart.lines, strict=True)
		)

	def check(self) -> None:
		"""Compare what `sales.status` says with what was counted."""
		if self.cart.faults:
			return
		answer = self._get("sales.status", **self.cart.target)
		if answer.status != 200:
			return self._fault(f"sales.status: {answer}")
		status = answer.message
		for line, said in zip(self.cart.lines, status["lines"], strict=True):
			expected = (line.delivered - line.returned, line.billed - line.credited, line.returned)
			shown = tuple(Decimal(str(said[name])) for name in ("delivered", "billed", "returned"))
			if shown != expected:
				self._fault(f"line {line.id}: (delivered, billed, returned) {shown}, counted {expected}")
		self.cart.documents = {
			"Sales Order": status["order"]["name"],
			**{
				doctype: made["name"]
				for doctype, kind in (
					("Delivery Note", "fulfillments"),
					("Sales Invoice", "invoices"),
					("Payment Entry", "payments"),
				)
				for made in status[kind][:1]
			},
		}

	def _fulfill(self) -> None:
		lines = self._choose(lambda line: line.to_deliver)
		if not lines:
			return
		if self._step("fulfill", self._lines(lines)):
			for line, quantity in lines:
				line.delivered += quantity

	def _bill(self) -> None:
		moves = self.dice.random() < 0.2
		open_of = (lambda line: min(line.to_bill, line.to_deliver)) if moves else (lambda line: line.to_bill)
		lines = self._choose(open_of, lambda line: self._may_bill(line, moves), self._billable)
		if not lines:
			return
		if self._step("invoice", {**self._lines(lines), **({"update_stock": True} if moves else {})}):
			for line, quantity in lines:
				line.billed += quantity
				line.delivered += quantity if moves else 0

	def _pay(self) -> None:
		totals = self._status()["totals"]
		open_amount = money(totals["outstanding"]) + max(
			Decimal(0), money(totals["ordered"] - totals["billed"])
		)
		if open_amount <= CENT:
			return
		part = {"method": self.dice.choice(METHODS[self.cart.currency])}
		kind = self.dice.random()
		if kind < 0.5:
			part["amount"] = str(max(CENT, (open_amount * self.dice.randint(5, 95) / 100).quantize(CENT)))
		elif kind < 0.65:
			part["amount"] = str(open_amount + Decimal(self.dice.randint(1, 999)) / 100)
		if "amount" in part and Decimal(part["amount"]) > 1 and self.dice.random() < 0.3:
			part["fee"] = {"code": "gateway", "amount": "0.37"}
		if self.cart.currency == "EUR" and self.dice.random() < 0.3:
			part["exchange_rate"] = self.dice.choice(["1.0625", "1.1125"])
		self._step("pay", part, may_refuse="")

	def _refund(self) -> None:
		lines = self._choose(lambda line: line.to_refund)
		if not lines:
			return
		body, back = {"lines": []}, []
		for line, quantity in lines:
			restock = self.dice.choice([None, False, True])
			if restock and quantity > line.to_return:
				restock = None
			said = {} if restock is None else {"restock": restock}
			body["lines"].append({"external_id": line.id, "quantity": str(quantity), **said})
			back.append((line, quantity, restock is not False))
		moved = any(restock and line.to_return for line, _quantity, restock in back)
		if not moved and not any(line.to_credit for line, _quantity, _restock in back):
			return
		if self._give_back(body):
			for line, quantity, restock in back:
				line.credited += min(quantity, line.to_credit)
				line.returned += min(quantity, line.to_return) if restock else 0

	def _credit(self) -> None:
		totals = self._status()["totals"]
		left = money(totals["billed"] - totals["credited"])
		if left > CENT:
			amount = max(CENT, (left * self.dice.randint(1, 100) / 100).quantize(CENT))
			self._give_back({"amount": str(amount)})

	def _give_back(self, part: dict) -> bool:
		"""Refund with or without money; where nothing of it was paid, the hub says so and credits only."""
		if self.dice.random() < 0.5:
			method = self.dice.choice(METHODS[self.cart.currency])
			if self._step("refund", {**part, "method": method}, may_refuse="/method"):
				return True
		return self._step("refund", part)

	def _cancel(self) -> None:
		answer = self._post("orders.cancel", {**self.cart.target, "cascade": True})
		self.cart.calls.append("cancel")
		if answer.status == 200:
			self.cart.cancelled = True
		else:
			self._fault(f"orders.cancel: {answer}")

	def _choose(self, open_of, fits=lambda line: True, some=None) -> list[tuple[Line, Decimal]]:
		"""Return some of the lines of which something is open, each with some of it or all."""
		some = some or self._some
		found = [line for line in self.cart.lines if open_of(line) > 0 and fits(line)]
		chosen = self.dice.sample(found, self.dice.randint(1, len(found))) if found else []
		return [(line, Decimal(some(line, open_of(line)))) for line in chosen]

	@staticmethod
	def _may_bill(line: Line, moves: bool) -> bool:
		"""What is sold by weight is billed once, for all of it (see `_billable`); services move no stock."""
		return (line.whole or not line.billed) and (line.stock or not moves)

	def _billable(self, line: Line, most: Decimal) -> str:
		"""Return some of a quantity to bill.

		Parts of a weight, each rounded to the cent, can come to a cent more than the line, and ERPNext refuses the last one.
		"""
		return self._some(line, most) if line.whole else str(most)

	def _some(self, line: Line, most: Decimal) -> str:
		if self.dice.random() < 0.4:
			return str(most)
		if line.whole:
			return str(self.dice.randint(1, int(most)))
		return str(Decimal(self.dice.randint(1, int(most * 1000))) / 1000)

	@staticmethod
	def _lines(lines: list[tuple[Line, Decimal]]) -> dict:
		return {"lines": [{"external_id": line.id, "quantity": str(quantity)} for line, quantity in lines]}

	def _status(self) -> dict:
		return self._get("sales.status", **self.cart.target).message

	def _step(self, kind: str, part: dict, may_refuse: str | None = None) -> bool:
		"""Do one step by its verb or by `sales.run`; True when it was done."""
		external_id = f"{self.cart.body['external_id']}-{len(self.cart.calls)}"
		part = {**part, "external_id": external_id}
		if self.dice.random() < 0.3:
			verb, body = "sales.run", {"mode": self.dice.choice(["atomic", "staged"]), kind: part}
		else:
			verb, body = f"sales.{kind}", part
		pointer = f"/{kind}{may_refuse}" if verb == "sales.run" else may_refuse
		return self._call(
			verb, {"order": self.cart.target, **body}, refusal=None if may_refuse is None else pointer
		)

	def _call(self, verb: str, body: dict, key: str | None = None, refusal: str | None = None) -> bool:
		if self.cart.faults:
			return False
		answer = self._post(verb, body, key=key)
		self.cart.calls.append(
			f"{verb} { ({k: v for k, v in body.items() if k != 'order'}) } -> {answer.status}"
		)
		if answer.status == 201:
			self.cart.order = answer.order["name"]
			return True
		refused = refusal is not None and answer.status == 409 and answer.code == "state_conflict"
		if not refused or (answer.body["errors"] and answer.pointers != [refusal]):
			self._fault(f"{verb}: {answer}")
		return False

	def _fault(self, message: str) -> None:
		self.cart.faults.append(message[:1500])
