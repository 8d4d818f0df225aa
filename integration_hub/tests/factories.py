"""Makes what tests need: master data, Connected Systems, bodies of orders. Names carry the run, so that runs never meet."""

import itertools
import secrets

RUN = secrets.token_hex(3)
_numbers = itertools.count(1)


def unique(what: str) -> str:
	"""Return a name nothing else has."""
	return f"{what}-{RUN}-{next(_numbers)}"


ITEM = f"HT-{RUN}-ITEM"
SECOND_ITEM = f"HT-{RUN}-ITEM-2"
CUSTOMER = f"HT Customer {RUN}"
BARCODE = f"BC{RUN}"


def line(**overrides) -> dict:
	"""Return a minimal line: one ITEM for 10."""
	return {"item_code": ITEM, "quantity": 1, "unit_price": 10, **overrides}


def order(**overrides) -> dict:
	"""Return a minimal valid body of `orders.create`; a value of `...` leaves its field out."""
	body = {
		"external_id": unique("ORD"),
		"customer": {"name": CUSTOMER},
		"lines": [line()],
		**overrides,
	}
	return {name: value for name, value in body.items() if value is not ...}


def address(**overrides) -> dict:
	return {
		"name": "Jane Doe",
		"line1": "969 Market",
		"city": "San Francisco",
		"state": "CA",
		"postal_code": "94103",
		"country": "US",
		**overrides,
	}


class Factory:
	"""Makes documents on the site and commits them, because other processes read them.

	What it makes belongs to the tests' own user, and everything of that user is removed at the end.
	"""

	def __init__(self, company: str):
		import frappe

		self.company = company
		self.abbr = frappe.get_cached_value("Company", company, "abbr")
		self.currency = frappe.get_cached_value("Company", company, "default_currency")

	def make(self, doctype: str, submit: bool = False, **values):
		"""Insert a document, submit it where asked, commit, and return it."""
		import frappe

		doc = frappe.get_doc({"doctype": doctype, **values}).insert()
		if submit:
			doc.submit()
		frappe.db.commit()
		return doc

	def item(self, code: str | None = None, **values) -> str:
		code = code or unique("HT-ITEM")
		defaults = {"item_name": code, "item_group": "Products", "stock_uom": "Nos", "is_stock_item": 1}
		return self.make("Item", item_code=code, **{**defaults, **values}).name

	def customer(self, name: str | None = None, **values) -> str:
		defaults = {
			"customer_type": "Company",
			"customer_group": "Commercial",
			"territory": "United States",
		}
		return self.make(
			"Customer", customer_name=name or unique("HT Customer"), **{**defaults, **values}
		).name

	def warehouse(self, name: str | None = None, **values) -> str:
		return self.make(
			"Warehouse", **{"warehouse_name": name or unique("HT Store"), "company": self.company, **values}
		).name

	def account(self, name: str, account_type: str, **values) -> str:
		"""Make a ledger account in the group of its type; of a type that has none, among the expenses."""
		import frappe

		groups = {"company": self.company, "is_group": 1}
		parent = frappe.db.get_value(
			"Account", {**groups, "account_type": account_type}
		) or frappe.db.get_value(
			"Account", {**groups, "root_type": "Expense", "parent_account": ("is", "set")}
		)
		return self.make(
			"Account",
			account_name=unique(name),
			parent_account=parent,
			account_type=account_type,
			company=self.company,
			**values,
		).name

	def stock(self, item: str, warehouse: str, quantity: float = 100, rate: float = 4, **values) -> str:
		"""Receive goods, in a Stock Entry; `serial_no` and `batch_no` as its row takes them."""
		row = {"item_code": item, "t_warehouse": warehouse, "qty": quantity, "basic_rate": rate, **values}
		if values.get("serial_no") or values.get("batch_no"):
			row["use_serial_batch_fields"] = 1
		return self.make(
			"Stock Entry",
			submit=True,
			stock_entry_type="Material Receipt",
			purpose="Material Receipt",
			company=self.company,
			items=[row],
		).name


def placed(http, **overrides):
	"""Place `order(**overrides)` as a system, see that it was made, and return the answer."""
	answer = http.post("orders.create", order(**overrides))
	assert answer.status == 201, answer
	return answer


def lines_of(**overrides) -> dict:
	"""Return the part of a body with one line."""
	return {"lines": [line(**overrides)]}


def made_order(answer):
	"""Return the Sales Order of an answer, as committed by now."""
	import frappe

	frappe.db.rollback()
	return frappe.get_doc("Sales Order", answer.order["name"])
