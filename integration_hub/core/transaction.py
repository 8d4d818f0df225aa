"""One piece of work, one transaction: opened fresh, fenced, checked to be whole, committed.

Opens, commits and rolls back transactions, as only the door may. The protocol is in docs/operations.md.
"""

import uuid
from collections.abc import Callable
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

import frappe
from frappe import _

from integration_hub import compat
from integration_hub.core import idempotency, sql
from integration_hub.core.idempotency import Claim
from integration_hub.exceptions import RequestInProgress, TemporarilyUnavailable, WorkSplit, WorkUndone

LOCK_WAIT_SECONDS = 10

T = TypeVar("T")


def fenced(
	claim: Claim,
	body: Callable[[], T],
	finish: Callable[[str, T], bool],
	stands: Callable[[T], bool],
) -> T:
	"""Run `body` in a transaction that nobody else can end, and commit it.

	Args:
		body: what to do; what it returns is returned.
		finish: `finish(token, value)` writes the outcome on the request's row; False: the fence is gone.
		stands: whether a value is in the database, for when the commit's own answer got lost.

	Raises:
		RequestInProgress: the attempt was taken over.
		WorkUndone, TemporarilyUnavailable: nothing stands, trying again is safe.
		WorkSplit: a part stands, a person has to look.
		whatever `body` raises.
	"""
	token = uuid.uuid4().hex
	save_point = f"hub_{token}"
	_open()
	if not idempotency.fence(claim, token):
		raise RequestInProgress(_("Another attempt took this request over."), retry_after=1)
	frappe.db.savepoint(save_point)
	try:
		with compat.TransactionGuard() as guard:
			value = body()
			# Now, while the guard is up and the fence still to be checked; `commit` would run them after both.
			frappe.db.before_commit.run()
	except Exception as e:
		# What an error says is worth nothing when the transaction it happened in was ended behind our back.
		if not compat.lost_connection(e):
			_check_whole(save_point, claim, token)
		raise
	_check_whole(save_point, claim, token)
	if guard.rollbacks:
		raise WorkUndone(_("Something rolled back in the middle of the work; it is tried again."))
	if not finish(token, value):
		raise WorkUndone(_("The database undid the work; it is tried again."))
	commit(lambda: stands(value))
	return value


def rehearsed(body: Callable[[], T]) -> T:
	"""Run `body` as `fenced` does; the caller rolls it back.

	Raises:
		WorkUndone: somebody ended the transaction in the middle.
	"""
	save_point = f"hub_{uuid.uuid4().hex}"
	_open()
	frappe.db.savepoint(save_point)
	with compat.TransactionGuard() as guard:
		value = body()
	try:
		frappe.db.release_savepoint(save_point)
	except Exception as e:
		raise WorkUndone(_("Something ended the transaction in the middle of the rehearsal.")) from e
	if guard.rollbacks:
		raise WorkUndone(_("Something rolled back in the middle of the rehearsal."))
	return value


def _open() -> None:
	"""Begin a fresh transaction for the work.

	READ COMMITTED, because ERPNext rewrites Bin from what the transaction's snapshot saw; a lock wait short enough to
	answer the caller. With a statement-based binary log READ COMMITTED cannot write, so the default stays.
	"""
	if _read_committed_works():
		sql.run(
			"SET SESSION tx_isolation = 'READ-COMMITTED', innodb_lock_wait_timeout = %s", LOCK_WAIT_SECONDS
		)
	else:
		sql.run("SET SESSION innodb_lock_wait_timeout = %s", LOCK_WAIT_SECONDS)
	frappe.db.rollback()


@contextmanager
def read_committed(lock_wait: int | None = None):
	"""Let transactions that begin inside lock rows alone.

	Otherwise a statement over many names, which the database may work off by a scan, locks the gaps between the rows as well,
	and documents that are just writing their events meet a deadlock.

	Args:
		lock_wait: the most seconds to wait for a lock; None: as the site has it.
	"""
	if _read_committed_works():
		sql.run("SET SESSION tx_isolation = 'READ-COMMITTED'")
	if lock_wait:
		sql.run("SET SESSION innodb_lock_wait_timeout = %s", (lock_wait,))
	try:
		yield
	finally:
		_restore_session()


@lru_cache(maxsize=1)
def _read_committed_works() -> bool:
	log_bin, binlog_format = sql.run("SELECT @@log_bin, @@binlog_format")[0]
	return not log_bin or binlog_format != "STATEMENT"


def _check_whole(save_point: str, claim: Claim, token: str) -> None:
	"""Release the savepoint: it is still there if the work is one transaction, and all of it.

	Raises:
		WorkUndone: somebody rolled back; nothing stands, trying again is safe.
		WorkSplit: somebody committed; a part stands, a person has to look.
	"""
	try:
		frappe.db.release_savepoint(save_point)
	except Exception as e:
		if compat.lost_connection(e):
			raise
		frappe.db.rollback()
		if idempotency.token_stands(claim.name, token):
			raise WorkSplit(
				_(
					"Something committed in the middle of the work, so a part of it stands. Compare the documents of {0} by hand."
				).format(claim.name)
			) from e
		raise WorkUndone(_("The database undid the work; it is tried again.")) from e


def commit(stands: Callable[[], bool]) -> None:
	"""Commit the work. Whatever an exception says, the row tells what happened.

	Raises:
		TemporarilyUnavailable: it was not committed.
	"""
	try:
		sql.commit()
	except Exception as e:
		callbacks = compat.take_callbacks_after_commit()
		if compat.lost_connection(e):
			compat.reconnect()
		else:
			frappe.db.rollback()
		if not stands():
			raise TemporarilyUnavailable(_("The database did not take the work; it is tried again.")) from e
		compat.run_callbacks(callbacks)
	finally:
		_restore_session()


def _restore_session() -> None:
	try:
		sql.run("SET SESSION tx_isolation = DEFAULT, innodb_lock_wait_timeout = DEFAULT")
	except Exception:
		# The connection is gone, and its settings with it.
		pass


def roll_back(made: list[tuple[str, str]]) -> None:
	"""Undo a try, on a new connection where the old one is dead, and forget what it left in memory.

	Args:
		made: (DocType, name) of the documents the try made.
	"""
	try:
		frappe.db.rollback()
	except Exception:
		compat.reconnect()
	compat.clear_leftovers(made)
	_restore_session()
