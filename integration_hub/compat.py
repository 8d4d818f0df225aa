"""The only file that knows v15 from v16, and the guard that keeps a piece of work one transaction."""

from collections.abc import Callable
from contextlib import contextmanager

import frappe
from frappe.model.document import Document

V16 = int(frappe.__version__.split(".")[0]) >= 16


class TransactionGuard:
	"""Keeps everybody else from ending the transaction while the door's work runs.

	Attributes set on the live database object shadow its methods: `commit` is ignored, a full `rollback` is ignored and
	counted (then the work may not finish), `rollback(save_point=…)` passes, DDL (which commits) and `begin` (which does,
	too) are refused. This is the one patch of Frappe the app allows itself; Frappe v16's own counter is not enough: DDL
	lifts it, and a failing DDL leaves it at -1.

	Source: `frappe/database/database.py` of v15 and v16.
	"""

	SHADOWED = ("commit", "rollback", "begin", "sql_ddl")

	def __init__(self):
		self.commits = 0
		self.rollbacks = 0
		self._db = frappe.local.db

	def __enter__(self) -> "TransactionGuard":
		self._original_rollback = self._db.rollback
		if V16:
			self._db._disable_transaction_control = 0
		for name in self.SHADOWED:
			setattr(self._db, name, getattr(self, f"_{name}"))
		return self

	def __exit__(self, *exc) -> None:
		for name in self.SHADOWED:
			self._db.__dict__.pop(name, None)
		if V16:
			self._db._disable_transaction_control = 0

	def _commit(self, **kwargs) -> None:
		self.commits += 1

	def _rollback(self, *, save_point: str | None = None, **kwargs) -> None:
		if save_point:
			self._original_rollback(save_point=save_point)
		else:
			self.rollbacks += 1

	def _begin(self, **kwargs) -> None:
		raise frappe.ValidationError("START TRANSACTION would commit half of the work")

	def _sql_ddl(self, query, *args, **kwargs) -> None:
		raise frappe.ValidationError("DDL would commit half of the work")


def clear_leftovers(made: list[tuple[str, str]]) -> None:
	"""Forget what a rolled-back try left in memory: messages, saving marks, caches of documents it made, queued callbacks.

	Args:
		made: (DocType, name) of the documents the try made; a cached one would outlive the rollback.
	"""
	frappe.clear_messages()
	frappe.flags.currently_saving = []
	frappe.local.cache = {}
	frappe.db.value_cache.clear()
	for doctype, name in made:
		frappe.clear_document_cache(doctype, name)
	for callbacks in ("before_commit", "after_commit", "before_rollback", "after_rollback"):
		getattr(frappe.db, callbacks).reset()


def lost_connection(error: Exception) -> bool:
	"""Whether a database error means that there is no connection: gone (2006, 2013, 2055, closed on our side) or not to be
	had (1040, 1203, 2002, 2003)."""
	code = error.args[0] if getattr(error, "args", None) else None
	return code in (1040, 1203, 2002, 2003, 2006, 2013, 2055) or type(error).__name__ == "InterfaceError"


def out_of_range(error: Exception) -> bool:
	"""Whether the database refused a value as out of range (1264) or too long (1406)."""
	return bool(getattr(error, "args", None)) and error.args[0] in (1264, 1406)


def reconnect() -> None:
	"""Open a new database connection in place of a dead one; nothing does so by itself."""
	try:
		frappe.db.close()
	except Exception:
		frappe.db._conn = frappe.db._cursor = None
	frappe.db.connect()
	frappe.db.begin()


def take_callbacks_after_commit() -> list[Callable]:
	"""Take the callbacks that a failing commit, or a failing one among them, has left waiting."""
	waiting = list(frappe.db.after_commit._functions)
	frappe.db.after_commit.reset()
	return waiting


def run_callbacks(callbacks: list[Callable]) -> None:
	"""Run callbacks; each failure is logged, none is raised."""
	for callback in callbacks:
		try:
			callback()
		except Exception:
			frappe.log_error("Integration Hub: a callback after the commit failed")


def discard(doc: Document) -> None:
	"""Cancel a draft: v16's own `discard`, and the same for v15."""
	if hasattr(doc, "discard"):
		doc.discard()
		return
	doc.check_permission("write")
	doc.db_set("docstatus", 2)
	# A payment's own takes no argument, and writes.
	doc.set_status(**({} if doc.doctype == "Payment Entry" else {"update": True}))
	doc.run_method("on_discard")


def set_status(doc: Document) -> None:
	"""Set the status of a document that was inserted as a submitted one; ERPNext skips new documents.

	Not by `doc.db_set`, which notifies: four milliseconds for nothing.
	"""
	if not doc.flags.hub_status_is_set:
		_find_status(doc)
	frappe.db.set_value(doc.doctype, doc.name, "status", doc.status, update_modified=False)


def _find_status(doc: Document) -> None:
	if hasattr(doc, "get_status"):
		with one_dict(doc):
			doc.status = doc.get_status()["status"]
		if doc.status != "Draft":
			return
	# v15 cannot tell the status alone, nor v16 an invoice's; v15 would put a comment on the timeline for each order: nine
	# milliseconds.
	with skipping(doc, "add_comment"), one_dict(doc):
		doc.set_status()


def settle_new_status(doc: Document) -> None:
	"""Set, in memory, the status of a document that has just been submitted, where it was inserted as a submitted one:
	ERPNext skips new documents. What an invoice owes and its status ERPNext writes past the document."""
	if doc.doctype == "Sales Invoice":
		row = frappe.db.get_value(doc.doctype, doc.name, ["outstanding_amount", "status"])
		doc.outstanding_amount, doc.status = row
	if doc.docstatus != 1 or doc.get("status") != "Draft" or not hasattr(doc, "set_status"):
		return
	# Only a saved document's.
	is_local = doc.__dict__.pop("__islocal", None)
	_find_status(doc)
	if is_local is not None:
		doc.__dict__["__islocal"] = is_local
	# `set_status` need not find it again.
	doc.flags.hub_status_is_set = True


def after_commit_once(callback: Callable[[], None]) -> None:
	"""Have a function called after this transaction's commit, once however often it is asked for."""
	if callback not in frappe.db.after_commit._functions:
		frappe.db.after_commit.add(callback)


def before_commit_once(callback: Callable[[], None]) -> None:
	"""Have a function called before this transaction's commit, once however often it is asked for."""
	if callback not in frappe.db.before_commit._functions:
		frappe.db.before_commit.add(callback)


def note_advance_given_back(order: Document, entry: Document, amount: float) -> None:
	"""Note on an order that an entry, set against its advances, pays back part of them, and count them anew.

	v16 counts what the advances' own rows say; the note is delinked there, and just tells which payment belongs to which
	order. v15 knows no such mark: it counts every note, and nothing else takes an advance off an order.
	"""
	frappe.get_doc(
		{
			"doctype": "Advance Payment Ledger Entry",
			"company": order.company,
			"voucher_type": entry.doctype,
			"voucher_no": entry.name,
			"against_voucher_type": order.doctype,
			"against_voucher_no": order.name,
			"amount": -amount,
			"currency": entry.paid_to_account_currency,
			"event": "Adjustment",
			"delinked": 1,
		}
	).db_insert()
	frappe.get_doc(order.doctype, order.name).set_total_advance_paid()


@contextmanager
def skipping(doc: Document, *methods: str):
	"""Let methods of one document do nothing: attributes set on it shadow them, and are gone afterwards."""
	for method in methods:
		setattr(doc, method, lambda *args, **kwargs: None)
	try:
		yield
	finally:
		for method in methods:
			delattr(doc, method)


@contextmanager
def one_dict(doc: Document):
	"""Let `as_dict` of one document be made once: ERPNext makes one for each condition that a status has."""
	made = doc.as_dict()
	doc.as_dict = lambda *args, **kwargs: made
	try:
		yield
	finally:
		del doc.as_dict


def remember_currency(doc: Document, name: str) -> None:
	"""Tell Frappe's request-local cache the currency of a new document's rows.

	While it validates, Frappe asks the database for it, in vain, once a row and field: fifteen times an order on v16.

	Args:
		name: the name the document is going to have.
	"""
	if not getattr(frappe.local, "field_currency", None):
		frappe.local.field_currency = frappe._dict()
	for table in doc.meta.get_table_fields():
		fields = [df.fieldname for df in frappe.get_meta(table.options).fields if df.options == "currency"]
		if fields:
			frappe.local.field_currency[(table.options, name)] = frappe._dict.fromkeys(fields, doc.currency)


def in_test() -> bool:
	"""Whether Frappe runs its own test mode."""
	return bool(getattr(frappe, "in_test", False) or frappe.flags.in_test)


def forget_request() -> None:
	"""Forget what Frappe keeps for the length of one request; a loop that runs for days has none that ends."""
	frappe.clear_messages()
	frappe.local.cache = {}
	frappe.db.value_cache.clear()
	for name in ("document_cache", "role_permissions", "user_perms", "field_currency"):
		if hasattr(frappe.local, name):
			setattr(frappe.local, name, {})
	# v15 makes it at its first use.
	if hasattr(frappe.local, "request_cache"):
		frappe.local.request_cache.clear()
