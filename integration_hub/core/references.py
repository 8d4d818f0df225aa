"""Sole reader and writer of Hub External Reference: (system, object type, external id) ↔ (DocType, name)."""

from dataclasses import dataclass

import frappe
from frappe import _

from integration_hub import compat
from integration_hub.core import sql
from integration_hub.core.payload import digest
from integration_hub.exceptions import ReferenceBusy

DOCTYPE = "Hub External Reference"

RESERVED = "Reserved"
LIVE = "Live"
TOMBSTONE = "Tombstone"

# Where the ids that were read in this transaction are kept; whoever writes here forgets them.
_IDS = "hub_external_ids"


class AlreadyBound(Exception):
	"""The external id is taken; read it with `find` after a rollback."""


_FIELDS = (
	"name",
	"external_id",
	"document_type",
	"document_name",
	"state",
	"fingerprint",
	"request",
	"generation",
)


@dataclass(frozen=True)
class Reference:
	name: str
	external_id: str
	document_type: str | None
	document_name: str | None
	state: str
	fingerprint: str | None
	request: str | None
	generation: int

	@property
	def exists(self) -> bool:
		"""Whether the document it stands for is there, cancelled or not."""
		return bool(self.document_name and frappe.db.exists(self.document_type, self.document_name))


def hash_of(system: str, object_type: str, external_id: str) -> str:
	"""Return the unique hash. `ORD-1a`, `ord-1A` and `ORD-1a ` have three, whatever the collation thinks."""
	return digest([system, object_type, external_id])


def find(system: str, object_type: str, external_id: str) -> Reference | None:
	"""Return the binding of one external id, tombstones included."""
	return find_many(system, object_type, [external_id]).get(external_id)


def find_many(system: str, object_type: str, external_ids: list[str]) -> dict[str, Reference]:
	"""Return the bindings of several external ids in one query, by external id."""
	if not external_ids:
		return {}
	by_hash = {hash_of(system, object_type, external_id): external_id for external_id in external_ids}
	rows = frappe.get_all(
		DOCTYPE, filters={"external_hash": ("in", list(by_hash))}, fields=["external_hash", *_FIELDS]
	)
	return {by_hash[row.pop("external_hash")]: Reference(**row) for row in rows}


def like(system: str, object_type: str, pattern: str) -> list[Reference]:
	"""Return the bindings whose external id is LIKE a pattern, in whatever case."""
	filters = {"system": system, "object_type": object_type, "external_id": ("like", pattern)}
	return [Reference(**row) for row in frappe.get_all(DOCTYPE, filters=filters, fields=list(_FIELDS))]


def live_document(system: str, object_type: str, external_id: str, doctype: str) -> str | None:
	"""Return the name of the living document of that DocType an external id is bound to."""
	reference = find(system, object_type, external_id)
	if reference and reference.state == LIVE and reference.document_type == doctype:
		return reference.document_name
	return None


def generation(system: str, object_type: str, external_id: str, fingerprint: str) -> int:
	"""Return how often an external id was used again, counting the use that a call with this fingerprint would be.

	The same content again after a cancellation is a late repetition; only other content is a new use.
	"""
	reference = find(system, object_type, external_id)
	if reference is None:
		return 0
	return reference.generation + (reference.state == TOMBSTONE and reference.fingerprint != fingerprint)


def external_ids(system: str, doctype: str, name: str) -> list[str]:
	"""Return the external ids a system knows a document by, oldest first; read once a transaction."""
	kept = frappe.local.cache.setdefault(_IDS, {})
	key = (system, doctype, name)
	if key not in kept:
		kept[key] = sql.run(
			"""SELECT external_id FROM `tabHub External Reference`
			WHERE document_type = %s AND document_name = %s AND system = %s AND state = %s ORDER BY creation""",
			(doctype, name, system, LIVE),
			pluck=True,
		)
		compat.after_commit_once(_forget_ids)
	return kept[key]


def _forget_ids(doctype: str | None = None, name: str | None = None) -> None:
	"""Forget the ids that were read of a document, or of all."""
	kept = frappe.local.cache.get(_IDS, {})
	for key in list(kept):
		if doctype is None or key[1:] == (doctype, name):
			del kept[key]


def made_by(request: str, doctype: str) -> list[str]:
	"""Return the documents of a DocType that a request made, oldest first."""
	return frappe.get_all(
		DOCTYPE,
		filters={"request": request, "document_type": doctype, "state": LIVE},
		order_by="creation asc",
		pluck="document_name",
	)


def reserve(
	system: str,
	object_type: str,
	external_id: str,
	*,
	request: str | None = None,
	fingerprint: str | None = None,
) -> str:
	"""Take an external id within the current transaction and return the Reference's name.

	Two calls racing for one id meet here: the second waits at most two seconds for the first.

	Raises:
		AlreadyBound: it is taken.
		ReferenceBusy: somebody is taking it at this moment.
	"""
	name = frappe.generate_hash(length=16)
	user = frappe.session.user
	now = frappe.utils.now()
	try:
		sql.run(
			"""SET STATEMENT innodb_lock_wait_timeout=2 FOR
			INSERT INTO `tabHub External Reference`
				(name, creation, modified, owner, modified_by, docstatus, idx,
				system, object_type, external_id, external_hash, state, request, fingerprint)
			VALUES (%s, %s, %s, %s, %s, 0, 0, %s, %s, %s, %s, %s, %s, %s)""",
			(
				name,
				now,
				now,
				user,
				user,
				system,
				object_type,
				external_id,
				hash_of(system, object_type, external_id),
				RESERVED,
				request,
				fingerprint,
			),
		)
	except frappe.QueryTimeoutError as e:
		raise ReferenceBusy(
			_("Another call is working on {0} {1}.").format(_(object_type), external_id), retry_after=1
		) from e
	except Exception as e:
		if frappe.db.is_duplicate_entry(e):
			raise AlreadyBound(external_id) from e
		raise
	return name


def reserve_again(
	system: str,
	object_type: str,
	external_id: str,
	*,
	request: str | None = None,
	fingerprint: str | None = None,
	reuse: bool = True,
) -> str:
	"""Reserve an external id, with `reuse` also where the document it stood for is gone.

	Raises:
		AlreadyBound, ReferenceBusy: as `reserve`.
	"""
	try:
		return reserve(system, object_type, external_id, request=request, fingerprint=fingerprint)
	except AlreadyBound:
		bound = find(system, object_type, external_id)
		free = reuse and bound and bound.state == TOMBSTONE
		if free and take_over_tombstone(bound, request=request, fingerprint=fingerprint):
			return bound.name
		raise


def bind(reference: str, doctype: str, name: str) -> None:
	"""Bind a reserved Reference to its document."""
	_forget_ids(doctype, name)
	sql.run(
		"""UPDATE `tabHub External Reference` SET document_type = %s, document_name = %s, state = %s WHERE name = %s""",
		(doctype, name, LIVE, reference),
	)


def take_over_tombstone(reference: Reference, *, request: str | None, fingerprint: str | None) -> bool:
	"""Reserve the id of a cancelled or deleted document again; False when another call was faster."""
	changed = sql.changes(
		"""UPDATE `tabHub External Reference`
		SET state = %s, document_name = NULL, request = %s, fingerprint = %s, generation = generation + 1 WHERE name = %s AND state = %s""",
		(RESERVED, request, fingerprint, reference.name, TOMBSTONE),
	)
	return changed == 1


def add(
	system: str, object_type: str, external_id: str, doctype: str, name: str, request: str | None = None
) -> None:
	"""Reserve and bind in one go; an id whose document is gone is bound anew.

	Raises:
		AlreadyBound, ReferenceBusy: as `reserve`.
	"""
	bind(reserve_again(system, object_type, external_id, request=request), doctype, name)


def follow_rename(doc, method: str, old: str, new: str, merge: bool = False) -> None:
	"""Doc event `after_rename`: References follow a renamed or merged document."""
	_forget_ids()
	sql.run(
		"""UPDATE `tabHub External Reference` SET document_name = %s WHERE document_type = %s AND document_name = %s""",
		(new, doc.doctype, old),
	)


def tombstone(doc, method: str | None = None) -> None:
	"""Doc event `on_cancel` and `after_delete`: the ids stay taken.

	A deleted document's name is let go: ERPNext gives the last number of a series to the next document.
	"""
	_forget_ids(doc.doctype, doc.name)
	name = None if method == "after_delete" else doc.name
	sql.run(
		"""UPDATE `tabHub External Reference` SET state = %s, document_name = %s
		WHERE document_type = %s AND document_name = %s""",
		(TOMBSTONE, name, doc.doctype, doc.name),
	)


def follow_amendment(doc, method: str | None = None) -> None:
	"""Doc event `after_insert`: the ids of a cancelled document move to its amendment."""
	if doc.get("amended_from"):
		_forget_ids()
		sql.run(
			"""UPDATE `tabHub External Reference` SET document_name = %s, state = %s
			WHERE document_type = %s AND document_name = %s""",
			(doc.name, LIVE, doc.doctype, doc.amended_from),
		)


def keep_fields(doc, method: str | None = None) -> None:
	"""Doc event `before_validate` and `before_update_after_submit`: nobody but the hub may claim an external id.

	An amendment carries it on, any other copy does not (the Desk copies `no_copy` fields when amending), and a change is
	taken back.
	"""
	if doc.flags.hub_origin:
		return
	origin = None if doc.is_new() else doc.get_doc_before_save()
	if doc.is_new() and doc.get("amended_from"):
		origin = frappe.db.get_value(
			doc.doctype, doc.amended_from, ["hub_system", "hub_external_id"], as_dict=True
		)
	if origin is None and not doc.is_new():
		return
	doc.hub_system = origin.get("hub_system") if origin else None
	doc.hub_external_id = origin.get("hub_external_id") if origin else None
