"""Sole owner of Hub Request Step rows: what a call of several documents has done, and what is still to do.

A staged call commits each step with its row, so that whoever goes on knows where it stopped; an atomic one writes its rows
together with all its documents.
"""

from collections.abc import Callable
from dataclasses import dataclass

import frappe
from frappe import _

from integration_hub.core import sql
from integration_hub.core.redaction import redact
from integration_hub.exceptions import HubError, StateConflict, WorkUndone

DOCTYPE = "Hub Request Step"

PENDING = "Pending"
PROCESSING = "Processing"
COMPLETED = "Completed"
FAILED = "Failed"


@dataclass(frozen=True)
class Step:
	"""One step of a call.

	Args:
		name: `order`, `fulfill`, `invoice/2` …; unique within the call.
		fingerprint: of the part of the payload it comes from.
		do: `do(work) -> (DocType, name)` of its document.
	"""

	name: str
	fingerprint: str
	do: Callable


@dataclass(frozen=True)
class Row:
	step: str
	status: str
	document_type: str | None
	document_name: str | None
	fingerprint: str | None

	@property
	def document(self) -> tuple[str, str]:
		return self.document_type, self.document_name


def read(request: str) -> list[Row]:
	"""Return the steps of a request, in their order."""
	rows = frappe.get_all(
		DOCTYPE,
		filters={"parent": request, "parenttype": "Hub Request"},
		fields=["step", "status", "document_type", "document_name", "fingerprint"],
		order_by="idx asc",
	)
	return [Row(**row) for row in rows]


def completed(request: str) -> dict[str, tuple[str, str]]:
	"""Return the documents of the steps that are done, by step."""
	return {row.step: row.document for row in read(request) if row.status == COMPLETED}


def kept(request: str, steps: list[Step]) -> dict[str, tuple[str, str]]:
	"""Return the documents of the steps that earlier attempts of a call have done, by step.

	Raises:
		StateConflict: a corrected payload changes or leaves out such a step, or its document was cancelled meanwhile.
	"""
	done, wanted = [row for row in read(request) if row.status == COMPLETED], {s.name: s for s in steps}
	for row in done:
		step = wanted.get(row.step)
		if step is None or step.fingerprint != row.fingerprint:
			raise _in_the_way(
				row,
				_(
					"Step {0} is done ({1} {2}), so its part of the call cannot change any more. Send it as it was, or change the document in ERPNext."
				),
			)
		if frappe.db.get_value(*row.document, "docstatus") in (None, 2):
			raise _in_the_way(
				row,
				_(
					"Step {0} made {1} {2}, which somebody has cancelled since. Send what is left to do as calls of their own."
				),
			)
	return {row.step: row.document for row in done}


def _in_the_way(row: Row, message: str) -> StateConflict:
	return StateConflict(
		message.format(row.step, _(row.document_type), row.document_name),
		pointer="/" + row.step.partition("/")[0],
		details={"documents": [{"doctype": row.document_type, "name": row.document_name}]},
	)


def plan(request: str, steps: list[Step]) -> dict[str, tuple[str, str]]:
	"""Write down what a staged call is going to do; return what is done already, as `kept`.

	Raises:
		StateConflict: as `kept`.
	"""
	done = kept(request, steps)
	_write(request, steps, set(done))
	return done


def planned(request: str, steps: list[Step]) -> bool:
	"""Whether a call's plan stands in the database."""
	written = [(row.step, row.fingerprint) for row in read(request)]
	return written == [(step.name, step.fingerprint) for step in steps]


def _write(request: str, steps: list[Step], done: set[str]) -> None:
	"""Write the steps in their order, all but those that are done as pending."""
	sql.run(f"DELETE FROM `tab{DOCTYPE}` WHERE parent = %s AND status != %s", (request, COMPLETED))
	for idx, step in enumerate(steps, 1):
		if step.name in done:
			sql.run(
				f"UPDATE `tab{DOCTYPE}` SET idx = %s WHERE parent = %s AND step = %s",
				(idx, request, step.name),
			)
		else:
			_insert(request, idx, step, PENDING)


def begin(request: str, step: str) -> None:
	"""Show that a step is being worked on; with the commit before it."""
	sql.run(
		f"UPDATE `tab{DOCTYPE}` SET status = %s, error = NULL WHERE parent = %s AND step = %s",
		(PROCESSING, request, step),
	)


def complete(request: str, step: str, document: tuple[str, str], duration_ms: int) -> None:
	"""Mark a step as done, in the transaction of its document.

	Raises:
		WorkUndone: the step's row is gone; without it a later attempt would make the document again.
	"""
	marked = sql.changes(
		f"""UPDATE `tab{DOCTYPE}` SET status = %s, document_type = %s, document_name = %s, duration_ms = %s,
			completed_at = UTC_TIMESTAMP(6), error = NULL WHERE parent = %s AND step = %s""",
		(COMPLETED, *document, duration_ms, request, step),
	)
	if marked != 1:
		raise WorkUndone(_("The plan of this call is gone; it is tried again."))


def record(request: str, steps: list[Step], documents: dict[str, tuple[str, str]]) -> None:
	"""Write the steps of an atomic call, all of them done, in the transaction of their documents."""
	sql.run(f"DELETE FROM `tab{DOCTYPE}` WHERE parent = %s", (request,))
	for idx, step in enumerate(steps, 1):
		_insert(request, idx, step, COMPLETED, documents[step.name])


def record_failure(request: str, steps: list[Step], failed: str | None, error: HubError) -> None:
	"""Write which step failed and why; what was done before it stays done, or is undone with an atomic call's transaction.

	Args:
		steps: empty where the payload could not be read.
		failed: None: the one that was being done, if any (its worker died).
	"""
	rows = read(request)
	failed = failed or next((row.step for row in rows if row.status == PROCESSING), None)
	if steps and (failed or not rows):
		_write(request, steps, {row.step for row in rows if row.status == COMPLETED})
	sql.run(
		f"UPDATE `tab{DOCTYPE}` SET status = %s, error = %s WHERE parent = %s AND step = %s AND status != %s",
		(FAILED, redact(error.message)[:1000], request, failed, COMPLETED),
	)


def _insert(
	request: str, idx: int, step: Step, status: str, document: tuple[str, str] = (None, None)
) -> None:
	now, user = frappe.utils.now(), frappe.session.user
	sql.run(
		f"""INSERT INTO `tab{DOCTYPE}` (name, creation, modified, owner, modified_by, docstatus, idx, parent, parenttype,
			parentfield, step, status, fingerprint, document_type, document_name, completed_at)
		VALUES (%s, %s, %s, %s, %s, 0, %s, %s, 'Hub Request', 'steps', %s, %s, %s, %s, %s,
			IF(%s = 'Completed', UTC_TIMESTAMP(6), NULL))""",
		(
			frappe.generate_hash(length=16),
			now,
			now,
			user,
			user,
			idx,
			request,
			step.name,
			status,
			step.fingerprint,
			*document,
			status,
		),
	)
