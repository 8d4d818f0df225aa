"""The site as tests look at it: counts, rows and settings, always as committed by now."""

import time
from contextlib import contextmanager

from rq.suspension import is_suspended, resume, suspend
from rq.worker import Worker, WorkerStatus

import frappe
from frappe.utils.background_jobs import get_redis_conn

from integration_hub.constants.custom_fields import TRACKED_DOCTYPES
from integration_hub.core import queue, waiting

# What a refused call must not have touched.
WATCHED = (
	"Sales Order",
	"Customer",
	"Item",
	"Address",
	"Contact",
	"Delivery Note",
	"Sales Invoice",
	"Payment Entry",
	"Journal Entry",
	"Hub External Reference",
	"GL Entry",
	"Stock Ledger Entry",
	"Payment Ledger Entry",
)
SUSPENDED_SECONDS = 1800
# A bell that was not heard is made up for by the sweep, which comes every four minutes on version 16.
PATIENCE = 300
assert set(WATCHED) > set(TRACKED_DOCTYPES) - {"Quotation"}

# A worker makes a Contact for each new user, when it comes to it.
COUNTED = {"Contact": {"user": ("is", "not set")}}


def refresh() -> None:
	"""See what other processes have committed: end the transaction's snapshot and forget what was read before."""
	frappe.db.rollback()
	frappe.local.cache = {}
	frappe.clear_messages()


def census(*more: str) -> dict[str, int]:
	"""Return how many rows each watched DocType has."""
	refresh()
	return {doctype: frappe.db.count(doctype, COUNTED.get(doctype)) for doctype in (*WATCHED, *more)}


def grown(before: dict[str, int]) -> dict[str, int]:
	"""Return what has been added since a census, without the zeros."""
	now = census(*(doctype for doctype in before if doctype not in WATCHED))
	return {doctype: now[doctype] - before[doctype] for doctype in now if now[doctype] != before[doctype]}


def request_of(system: str, external_id: str, operation: str = "orders.create"):
	"""Return the Hub Requests of an external id, oldest first."""
	refresh()
	names = frappe.get_all(
		"Hub Request",
		filters={"system": system, "external_id": external_id, "operation": operation},
		order_by="creation asc",
		pluck="name",
	)
	rows = [frappe.get_doc("Hub Request", name) for name in names]
	# The collation takes ORD-1a and ord-1A for the same.
	return [row for row in rows if row.external_id == external_id]


def log_rows(system: str, **filters) -> list:
	"""Return the log rows of a system, oldest first."""
	refresh()
	return frappe.get_all(
		"Integration Request",
		filters={"hub_system": system, **filters},
		fields=["*"],
		order_by="creation asc, name asc",
	)


def order_of(system: str, external_id: str):
	"""Return the one Sales Order of an external id.

	Raises:
		AssertionError: there are none or several.
	"""
	refresh()
	rows = frappe.get_all(
		"Sales Order",
		filters={"hub_system": system, "hub_external_id": external_id},
		fields=["name", "hub_external_id"],
	)
	names = [row.name for row in rows if row.hub_external_id == external_id]
	assert len(names) == 1, f"{external_id} has the orders {names}"
	return frappe.get_doc("Sales Order", names[0])


def wait_for(what: str, condition, seconds: float = PATIENCE):
	"""Return the first true value of `condition()`, which is asked until then.

	Raises:
		AssertionError: it did not come in time.
	"""
	deadline = time.monotonic() + seconds
	while True:
		refresh()
		if value := condition():
			return value
		assert time.monotonic() < deadline, f"{what}: not within {seconds} seconds"
		time.sleep(0.05)


def wait_for_status(request: str, *statuses: str, seconds: float = PATIENCE):
	"""Return a Hub Request as soon as it has one of these states."""
	filters = {"name": request, "status": ("in", statuses)}
	wait_for(
		f"request {request} {' or '.join(statuses)}",
		lambda: frappe.db.exists("Hub Request", filters),
		seconds,
	)
	return frappe.get_doc("Hub Request", request)


def set_row(doctype: str, name: str, **values) -> None:
	"""Write columns of a row as they are, past the document; a value may be ("UTC", seconds): that far from now."""
	refresh()
	for column, value in values.items():
		if isinstance(value, tuple):
			frappe.db.sql(
				f"UPDATE `tab{doctype}` SET `{column}` = UTC_TIMESTAMP(6) + INTERVAL %s SECOND WHERE name = %s",
				(value[1], name),
			)
		else:
			frappe.db.sql(f"UPDATE `tab{doctype}` SET `{column}` = %s WHERE name = %s", (value, name))
	frappe.db.commit()


DEADLOCK = 1213


@contextmanager
def order_refused_by_the_database(external_id: str, errno: int = DEADLOCK):
	"""Let the database answer the INSERT of one order with an error of its own, for the time of a block."""
	trigger = f"hub_tests_{frappe.generate_hash(length=8)}"
	refresh()
	frappe.db.sql_ddl(
		f"""CREATE TRIGGER {trigger} BEFORE INSERT ON `tabSales Order` FOR EACH ROW
		IF NEW.hub_external_id = {frappe.db.escape(external_id)} THEN
			SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {errno}, MESSAGE_TEXT = 'said by the tests';
		END IF"""
	)
	try:
		yield
	finally:
		refresh()
		frappe.db.sql_ddl(f"DROP TRIGGER {trigger}")


@contextmanager
def settings(doctype: str, **values):
	"""Change a Single for the time of a block."""
	refresh()
	# As stored: read as a value, an empty date would come back as the year 1.
	stored = frappe.db.get_singles_dict(doctype)
	before = {name: stored.get(name) for name in values}
	_set(doctype, values)
	try:
		yield
	finally:
		frappe.db.rollback()
		_set(doctype, before)


@contextmanager
def configured(**values):
	"""Change the site's configuration file for the time of a block; server processes read it at each request."""
	from frappe.installer import update_site_config

	before = {name: frappe.local.conf.get(name) for name in values}
	for name, value in values.items():
		update_site_config(name, value)
		frappe.local.conf[name] = value
	try:
		yield
	finally:
		for name, value in before.items():
			# "None" takes the entry out of the file.
			update_site_config(name, "None" if value is None else value)
			frappe.local.conf[name] = value


@contextmanager
def no_help():
	"""Nobody but the test works: the bench's workers end what they are at, and take nothing until the block ends."""
	_suspend_workers()
	try:
		yield
	finally:
		resume(get_redis_conn())


@contextmanager
def help_after_all():
	"""Within `no_help`: the bench's workers work while the block lasts."""
	resume(get_redis_conn())
	try:
		yield
	finally:
		_suspend_workers()


def _suspend_workers() -> None:
	redis = get_redis_conn()
	# Should this process be killed, they go on by themselves.
	suspend(redis, ttl=SUSPENDED_SECONDS)
	wait_for("the rest of every worker", lambda: _all_rest(redis))


def _all_rest(redis) -> bool:
	"""Tell whether every worker has seen that it is suspended; one that waits for a job sees it after the next."""
	states = [worker.get_state() for worker in Worker.all(connection=redis)]
	for number in range(states.count(WorkerStatus.IDLE)):
		frappe.enqueue("frappe.ping", queue="short", job_id=f"hub-tests.ping.{number}", deduplicate=True)
	return set(states) <= {WorkerStatus.SUSPENDED}


def let_workers_end() -> None:
	"""End what earlier tests have left, beside the workers, where there are any who do it."""

	def ended() -> bool:
		queue.drain()
		refresh()
		return not (waiting.late(0) or _at_work())

	if not is_suspended(get_redis_conn()):
		wait_for("the end of what is at work", ended)


def _at_work() -> bool:
	return bool(frappe.db.exists("Hub Request", {"status": "Processing", "lease_until": ("is", "set")}))


def _set(doctype: str, values: dict) -> None:
	for name, value in values.items():
		frappe.db.set_single_value(doctype, name, value)
	frappe.db.commit()
	frappe.clear_document_cache(doctype, doctype)
