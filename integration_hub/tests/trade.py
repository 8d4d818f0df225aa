"""What tests of the sales cycle trade with: goods in stock, orders for them, and books that are closed for a while."""

from contextlib import contextmanager

import frappe

from integration_hub.tests import factories as f
from integration_hub.tests import site
from integration_hub.tests.factories import Factory, placed, unique

# Picks serial numbers and batches by itself when a delivery names none.
PICKS = "auto_create_serial_and_batch_bundle_for_outward"


class Trade:
	"""Makes goods that are there; what is not said goes into the warehouse the systems deliver from, at 4 apiece."""

	def __init__(self, factory: Factory, warehouse: str):
		self.factory = factory
		self.warehouse = warehouse

	def account(self, name: str) -> str:
		return f"{name} - {self.factory.abbr}"

	def goods(self, quantity: float = 100, warehouse: str | None = None, **values) -> str:
		"""Make an item and receive it."""
		code = self.factory.item(**values)
		if quantity:
			self.factory.stock(code, warehouse or self.warehouse, quantity)
		return code

	def early(self, quantity: float = 100) -> str:
		"""Make an item that is there since 2 January 2026."""
		item = self.factory.item()
		self.factory.make(
			"Stock Entry",
			submit=True,
			stock_entry_type="Material Receipt",
			purpose="Material Receipt",
			company=self.factory.company,
			set_posting_time=1,
			posting_date="2026-01-02",
			posting_time="08:00:00",
			items=[{"item_code": item, "t_warehouse": self.warehouse, "qty": quantity, "basic_rate": 4}],
		)
		return item

	def serials(self, count: int = 3, warehouse: str | None = None) -> tuple[str, list[str]]:
		"""Make an item with serial numbers; return it, and those received."""
		item = self.factory.item(has_serial_no=1)
		numbers = [unique("SN") for _ in range(count)]
		self.factory.stock(item, warehouse or self.warehouse, count, serial_no="\n".join(numbers))
		return item, numbers

	def batches(self, *quantities: float, **values) -> tuple[str, list[str]]:
		"""Make an item kept in batches; return it, and one batch with each of these quantities in stock."""
		item = self.factory.item(has_batch_no=1)
		names = []
		for quantity in quantities:
			batch = self.factory.make("Batch", batch_id=unique("B"), item=item).name
			self.factory.stock(item, self.warehouse, quantity, batch_no=batch)
			# Only now: an expired batch cannot be received.
			site.set_row("Batch", batch, **values)
			names.append(batch)
		return item, names

	def bundle(self, quantity: float = 100) -> tuple[str, str, str]:
		"""Make a product bundle of two items; return it, the first (two in each bundle), and the second (one)."""
		parent, first, second = self.factory.item(is_stock_item=0), self.goods(quantity), self.goods(quantity)
		self.factory.make(
			"Product Bundle",
			new_item_code=parent,
			items=[{"item_code": first, "qty": 2}, {"item_code": second, "qty": 1}],
		)
		return parent, first, second


def bought(http, *lines: dict, **overrides):
	"""Place an order of these lines, whose ids are "1", "2" …, and return its answer."""
	numbered = [{"external_id": str(number), **line} for number, line in enumerate(lines, 1)]
	return placed(http, lines=[f.line(**line) for line in numbered], **overrides)


@contextmanager
def closed_period(factory: Factory, *doctypes: str):
	"""Nobody makes these documents in February 2026."""
	period = factory.make(
		"Accounting Period",
		period_name=unique("HT Period"),
		start_date="2026-02-01",
		end_date="2026-02-28",
		company=factory.company,
		closed_documents=[{"document_type": doctype, "closed": 1} for doctype in doctypes],
	)
	try:
		yield
	finally:
		frappe.db.rollback()
		period.delete()
		frappe.db.commit()


@contextmanager
def frozen_books(company: str, until: str):
	"""Nobody posts to the ledger until that day: a field of the Company since v16, of Accounts Settings before."""
	if frappe.get_meta("Company").has_field("accounts_frozen_till_date"):
		where = ("Company", company, "accounts_frozen_till_date")
	else:
		where = ("Accounts Settings", "Accounts Settings", "acc_frozen_upto")
	with written(*where, until):
		yield


@contextmanager
def written(doctype: str, name: str, field: str, value):
	"""Write a field for the time of a block; one of a Single is empty afterwards."""
	before = None if frappe.get_meta(doctype).issingle else frappe.db.get_value(doctype, name, field)
	_write(doctype, name, field, value)
	try:
		yield
	finally:
		frappe.db.rollback()
		_write(doctype, name, field, before)


def _write(doctype: str, name: str, field: str, value) -> None:
	if frappe.get_meta(doctype).issingle:
		frappe.db.set_single_value(doctype, field, value)
	else:
		frappe.db.set_value(doctype, name, field, value)
	frappe.db.commit()
	frappe.clear_document_cache(doctype, name)


def frozen_stock(until: str):
	"""Nobody moves stock until that day."""
	return written("Stock Settings", "Stock Settings", "stock_frozen_upto", until)
