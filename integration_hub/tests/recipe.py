"""From order to money by hand: the eleven calls that a client of Frappe's own REST API makes today.

Standard library only, for the benchmark measures the same recipe whose ledgers the tests compare.
"""

import json
from collections.abc import Callable
from urllib.parse import quote, urlencode

# call(method, path, body) → the answer's JSON; raises where the answer is none of success.
Call = Callable[[str, str, dict | None], dict]

DELIVERY_OF_ORDER = "erpnext.selling.doctype.sales_order.sales_order.make_delivery_note"
INVOICE_OF_ORDER = "erpnext.selling.doctype.sales_order.sales_order.make_sales_invoice"
PAYMENT_OF = "erpnext.accounts.doctype.payment_entry.payment_entry.get_payment_entry"


class Recipe:
	"""Plays the cycle through `/api/resource` and ERPNext's mappers, each document in two calls: POST, PUT `docstatus` 1."""

	def __init__(self, call: Call):
		self._call = call

	def play(self, order: dict, *, account: str, payment: dict | None = None) -> dict[str, str]:
		"""Place an order, deliver it, bill it and book its payment in full.

		Args:
			order: a Sales Order as Frappe's REST API takes it.
			account: where the money goes.
			payment: what the client sets on the mapped Payment Entry.

		Returns:
			the documents' names by DocType.
		"""
		placed = self.make("Sales Order", order)
		delivered = self.make("Delivery Note", self.mapped(DELIVERY_OF_ORDER, source_name=placed))
		billed = self.make("Sales Invoice", self.mapped(INVOICE_OF_ORDER, source_name=placed))
		entry = self.mapped(PAYMENT_OF, dt="Sales Invoice", dn=billed, bank_account=account)
		paid = self.make("Payment Entry", {**entry, **(payment or {})})
		return {
			"Sales Order": placed,
			"Delivery Note": delivered,
			"Sales Invoice": billed,
			"Payment Entry": paid,
		}

	def mapped(self, method: str, **arguments: str) -> dict:
		"""Return the unsaved document that one of ERPNext's mappers makes."""
		return self._call("GET", f"/api/method/{method}?{urlencode(arguments)}", None)["message"]

	def make(self, doctype: str, values: dict) -> str:
		"""Insert a document, submit it, and return its name."""
		path = f"/api/resource/{quote(doctype)}"
		name = self._call("POST", path, values)["data"]["name"]
		submitted = self._call("PUT", f"{path}/{quote(name, safe='')}", {"docstatus": 1})["data"]
		if submitted["docstatus"] != 1:
			raise ValueError(f"{doctype} {name} was not submitted: {json.dumps(submitted)[:500]}")
		return name
