"""Sole owner of Hub Request Step rows: what a call of several documents has done, and what is still to do.

A staged call commits each step with its row, so that whoever goes on knows where it stopped; an atomic one writes its rows
together with all its documents.
"""

from collections.abc import Callable
from dataclasses import dataclass

import frappe
from frappe import _

from integration_hub.core import sql
from integration_hub.exceptions import HubError, StateConflict

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


def plan(request: str, steps: list[Step]) -> None:
	"""Write down what a staged call is going to do, keeping what earlier attempts have done.

	Raises:
		StateConflict: a corrected payload changes or leaves out a step that is done.
	"""
	rows = read(request)
	wanted = {step.name: step.fingerprint for step in steps}
	for row in rows:
		if row.status == COMPLETED and wanted.get(row.step) != row.fingerprint:
			raise StateConflict(
				_(
					"Step {0} is done ({1} {2}), so its part of the call cannot change any more. Send it as it was, or change the document in ERPNext."
				).format(row.step, _(row.document_type), row.document_name),
				pointer="/" + row.step.partition("/")[0],
				details={"documents": [{"doctype": row.document_type, "name": row.document_name}]},
			)
	done = {row.step for row in rows if row.status == COMPLETED}
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
	"""Mark a step as done, in the transaction of its document."""
	sql.run(
		f"""UPDATE `tab{DOCTYPE}` SET status = %s, document_type = %s, document_name = %s, duration_ms = %s,
			completed_at = UTC_TIMESTAMP(6), error = NULL WHERE parent = %s AND step = %s""",
		(COMPLETED, *document, duration_ms, request, step),
	)


def record(request: str, steps: list[Step], documents: dict[str, tuple[str, str]]) -> None:
	"""Write the steps of an atomic call, all of them done, in the transaction of their documents."""
	sql.run(f"DELETE FROM `tab{DOCTYPE}` WHERE parent = %s", (request,))
	for idx, step in enumerate(steps, 1):
		_insert(request, idx, step, COMPLETED, documents[step.name])


def record_failure(request: str, steps: list[Step], failed: str | None, error: HubError) -> None:
	"""Write which step failed and why; what was done before it stays done, or is undone with an atomic call's transaction."""
	known = {row.step for row in read(request)}
	for idx, step in enumerate(steps, 1):
		if step.name not in known:
			_insert(request, idx, step, PENDING)
	sql.run(
		f"UPDATE `tab{DOCTYPE}` SET status = %s, error = NULL WHERE parent = %s AND status != %s",
		(PENDING, request, COMPLETED),
	)
	sql.run(
		f"UPDATE `tab{DOCTYPE}` SET status = %s, error = %s WHERE parent = %s AND step = %s AND status != %s",
		(FAILED, error.message[:1000], request, failed, COMPLETED),
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
