"""Where a worker of the fault server can fail, and how. Nothing of this is in the product.

A call carries `X-Fault: <action>@<point>`, with `*<times>` where it shall happen more than once: `kill@after-claim`,
`deadlock@on-submit*3`. Points are functions of the product, wrapped in the worker process; `statement:<n>` is the n-th SQL
statement from the claim on, `delay:<ms>` a moment after it. Each can be told by the step of a cycle it is in
(`in-commit:fulfill`, `begin:refund`): before the first the step is `plan`, after the last `answer`. What fired is appended to
the file HUB_FAULTS_LOG, so that a test can tell a survived fault from one that never came.
"""

import os
import signal
import threading

import frappe

HEADER = "X-Fault"
STATE = "integration_hub.fault"


class Fault:
	"""The fault one call asked for."""

	def __init__(self, header: str):
		self.header = header
		what, _sep, times = header.partition("*")
		self.action, _sep, self.point = what.partition("@")
		self.left = int(times or 1)
		self.statements = None
		self.step = "plan"

	def reach(self, point: str) -> None:
		if self.point not in (point, f"{point}:{self.step}") or not self.left:
			return
		self.left -= 1
		note(self.header)
		from integration_hub.tests.faults import actions

		getattr(actions, self.action.replace("-", "_"))()

	def count_statement(self) -> None:
		if self.statements is not None:
			self.statements += 1
			self.reach(f"statement:{self.statements}")

	def begin(self) -> None:
		"""The claim begins: count statements and run the clock from here."""
		self.statements = 0
		kind, _sep, milliseconds = self.point.partition(":")
		if kind == "delay" and self.left:
			note(self.header)
			threading.Timer(float(milliseconds) / 1000, os.kill, (os.getpid(), signal.SIGKILL)).start()


def note(line: str) -> None:
	"""Append one line, at once: the process may be about to die."""
	file = os.open(os.environ["HUB_FAULTS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
	os.write(file, f"{line}\n".encode())
	os.close(file)


def current() -> Fault | None:
	"""Return the fault of the request this worker serves."""
	request = getattr(frappe.local, "request", None)
	header = request.headers.get(HEADER) if request is not None else None
	return request.environ.setdefault(STATE, Fault(header)) if header else None


def reach(point: str) -> None:
	if fault := current():
		fault.reach(point)


def install() -> None:
	"""Wrap the product's functions in this process."""
	from integration_hub.core import idempotency, intake, references, transaction, work
	from integration_hub.core import sql as hub_sql

	_wrap(intake, "claim", before="before-claim", begin=True)
	_wrap(work, "run", before="after-claim")
	_wrap(
		references, "bind", before="mid-work", when=lambda reference, doctype, name: doctype == "Sales Order"
	)
	_follow_steps(work, idempotency)
	_wrap(idempotency, "finish", before="before-finish")
	_wrap(transaction, "commit", before="before-commit", after="after-commit")
	_wrap_final_commit(transaction, hub_sql)
	_stay_at_repeatable_read(transaction)
	_count_statements()
	_add_doc_events()


def _wrap(
	module, name: str, *, before: str, after: str | None = None, when=None, begin: bool = False
) -> None:
	original = getattr(module, name)

	def wrapped(*args, **kwargs):
		fault = current()
		if not fault or (when and not when(*args, **kwargs)):
			return original(*args, **kwargs)
		if begin:
			fault.begin()
		fault.reach(before)
		result = original(*args, **kwargs)
		if after:
			fault.reach(after)
		return result

	setattr(module, name, wrapped)


def _follow_steps(work, idempotency) -> None:
	"""`begin` and `done`: before and after what a step does, within its transaction."""
	do, finish = work._do, idempotency.finish

	def do_step(job, step):
		_enter(step.name)
		reach("begin")
		document = do(job, step)
		reach("done")
		return document

	def finish_all(*args, **kwargs):
		_enter("answer")
		return finish(*args, **kwargs)

	work._do, idempotency.finish = do_step, finish_all


def _enter(step: str) -> None:
	if fault := current():
		fault.step = step


def _wrap_final_commit(transaction, hub_sql) -> None:
	"""`in-commit`: inside the commit of the work, between what the hub asked for and what it is told."""
	commit_work, commit = transaction.commit, hub_sql.commit
	final = threading.local()

	def commit_of_work(*args, **kwargs):
		final.now = True
		try:
			return commit_work(*args, **kwargs)
		finally:
			final.now = False

	def commit_anything():
		if getattr(final, "now", False):
			final.now = False
			reach("in-commit")
			commit()
			reach("committed")
		else:
			commit()

	transaction.commit, hub_sql.commit = commit_of_work, commit_anything


def _stay_at_repeatable_read(transaction) -> None:
	"""A call that shall meet a snapshot conflict works as it would beside a statement-based binary log."""
	original = transaction._read_committed_works

	def read_committed_works():
		fault = current()
		return not (fault and fault.action == "snapshot-conflict") and original()

	transaction._read_committed_works = read_committed_works


def _count_statements() -> None:
	from frappe.database.database import Database

	original = Database.sql

	def sql(self, *args, **kwargs):
		if self is getattr(frappe.local, "db", None) and (fault := current()):
			fault.count_statement()
		return original(self, *args, **kwargs)

	Database.sql = sql


def _add_doc_events() -> None:
	"""What an app of the customer would have in its hooks: code that runs when a document is submitted."""
	original = frappe.get_doc_hooks
	here = "integration_hub.tests.faults.points"

	def get_doc_hooks():
		hooks = original()
		_add(hooks, "Sales Order", f"{here}.on_submit")
		for doctype in ("Sales Order", "Delivery Note", "Sales Invoice", "Payment Entry"):
			_add(hooks, doctype, f"{here}.in_step")
		return hooks

	frappe.get_doc_hooks = get_doc_hooks


def _add(hooks: dict, doctype: str, handler: str) -> None:
	handlers = hooks.setdefault(doctype, {}).setdefault("on_submit", [])
	if handler not in handlers:
		handlers.append(handler)


def on_submit(doc, method=None) -> None:
	reach("on-submit")


def in_step(doc, method=None) -> None:
	"""`work`: a document of a step is submitted, its ledgers are written."""
	reach("work")
