"""What can go wrong at a point. Real faults of the real database, made with a second connection."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import frappe

# A table of two rows to fight over; made and dropped by the tests.
TABLE = "_hub_fault_rows"
DEADLINE = 20


def kill() -> None:
	os.kill(os.getpid(), signal.SIGKILL)


def deadlock() -> None:
	"""Run into a deadlock (1213) that the database really finds, and let it through."""
	with _second_connection() as other:
		# The database sacrifices the transaction that has written less.
		other.execute(f"INSERT INTO {TABLE} SELECT seq, 0 FROM seq_1001_to_40000")
		other.execute(f"UPDATE {TABLE} SET value = value + 1 WHERE id = 2")
		_update_row(1)
		waiting = threading.Thread(
			target=other.execute, args=(f"UPDATE {TABLE} SET value = value + 1 WHERE id = 1",)
		)
		waiting.start()
		try:
			_wait_until(other.waits)
			_update_row(2)
		finally:
			waiting.join(DEADLINE)


def swallow_deadlock() -> None:
	"""The same, in code that catches everything and carries on, as apps do."""
	try:
		deadlock()
	except frappe.QueryDeadlockError:
		return
	raise AssertionError("there was no deadlock")


def lock_timeout() -> None:
	"""Wait in vain for a row somebody else holds (1205)."""
	with _second_connection() as other:
		other.execute(f"UPDATE {TABLE} SET value = value + 1 WHERE id = 1")
		frappe.db.sql(
			f"SET STATEMENT innodb_lock_wait_timeout = 1 FOR UPDATE {TABLE} SET value = value + 1 WHERE id = 1"
		)


def snapshot_conflict() -> None:
	"""Write a row that changed since this transaction's snapshot (1020).

	The database says so at REPEATABLE READ only, where the work stays when the binary log cannot do better; `points`
	lets this one call believe that. A MariaDB without innodb_snapshot_isolation is made to say it.
	"""
	if not frappe.db.sql("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'"):
		frappe.db._conn.rollback()
		frappe.db.sql("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1020, MESSAGE_TEXT = 'Record has changed'")
	with _second_connection() as other:
		frappe.db.sql("SET SESSION innodb_snapshot_isolation = ON")
		other.execute(f"UPDATE {TABLE} SET value = value + 1 WHERE id = 1")
		other.commit()
		try:
			_update_row(1)
		finally:
			frappe.db.sql("SET SESSION innodb_snapshot_isolation = DEFAULT")
	raise AssertionError("the database saw no conflict")


def disconnect() -> None:
	"""Lose the connection; the next statement finds out."""
	_kill_connection()


def disconnect_and_notice() -> None:
	"""Lose the connection after the commit, before its answer came back."""
	_kill_connection()
	frappe.db.sql("SELECT 1")


def rollback() -> None:
	frappe.db.rollback()


def commit() -> None:
	frappe.db.commit()


def commit_then_kill() -> None:
	frappe.db.commit()
	kill()


def raw_commit() -> None:
	frappe.db.sql("commit")


def raw_commit_then_refuse() -> None:
	raw_commit()
	frappe.throw("refused after a commit")


def ddl() -> None:
	frappe.db.sql_ddl(f"ALTER TABLE {TABLE} COMMENT 'changed in the work'")


def raw_ddl() -> None:
	frappe.db.sql(f"ALTER TABLE {TABLE} COMMENT 'changed in the work'")


def fail_after_commit() -> None:
	def fail():
		raise RuntimeError("an after_commit callback that fails")

	frappe.db.after_commit.add(fail)


def swallow_deadlock_before_commit() -> None:
	"""The swallowed deadlock in a callback that Frappe runs within commit()."""
	frappe.db.before_commit.add(swallow_deadlock)


def fail_before_commit() -> None:
	"""A callback before the commit that fails, and one after the commit that must not run then."""
	from integration_hub.tests.faults.points import note

	def fail():
		raise RuntimeError("a before_commit callback that fails")

	frappe.db.before_commit.add(fail)
	frappe.db.after_commit.add(lambda: note("ran-after-commit"))


def fail_with_bug() -> None:
	raise RuntimeError("a bug in somebody's doc event")


def _update_row(number: int) -> None:
	frappe.db.sql(f"UPDATE {TABLE} SET value = value + 1 WHERE id = %s", (number,))


class _Connection:
	"""A connection of its own to the site's database."""

	def __init__(self):
		self._db = frappe.database.get_db(
			socket=frappe.conf.db_socket,
			host=frappe.conf.db_host,
			port=frappe.conf.db_port,
			user=frappe.conf.db_user or frappe.conf.db_name,
			password=frappe.conf.db_password,
			cur_db_name=frappe.conf.db_name,
		)
		self._conn = self._db._get_connection()
		self._conn.autocommit(False)
		self.id = self._conn.thread_id()

	def execute(self, query: str) -> list:
		cursor = self._conn.cursor()
		cursor.execute(query)
		rows = list(cursor.fetchall() or ())
		cursor.close()
		return rows

	def waits(self) -> bool:
		"""Whether this connection waits for a lock, as another one sees it."""
		watcher = _Connection()
		try:
			return bool(
				watcher.execute(
					f"""SELECT 1 FROM information_schema.processlist
					WHERE id = {self.id} AND state LIKE 'Updat%' AND time_ms > 100"""
				)
			)
		finally:
			watcher.close()

	def commit(self) -> None:
		self._conn.commit()

	def close(self) -> None:
		self._conn.rollback()
		self._conn.close()


@contextmanager
def _second_connection():
	other = _Connection()
	try:
		yield other
	finally:
		other.close()


def _kill_connection() -> None:
	mine = frappe.db._conn.thread_id()
	with _second_connection() as other:
		other.execute(f"KILL CONNECTION {mine}")
		_wait_until(
			lambda: not other.execute(f"SELECT 1 FROM information_schema.processlist WHERE id = {mine}")
		)


def _wait_until(condition) -> None:
	deadline = time.monotonic() + DEADLINE
	while not condition():
		if time.monotonic() > deadline:
			raise AssertionError("the fault could not be set up")
		time.sleep(0.01)
