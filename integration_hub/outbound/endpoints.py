"""Sole owner of a Hub Webhook's state: active, paused or disabled, its health and circuit breaker, its secrets."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta

import frappe
from frappe import _
from frappe.utils import now
from frappe.utils.password import get_decrypted_password, set_encrypted_password

from integration_hub.core import signing, sql
from integration_hub.outbound import breaker, outbox, subscriptions
from integration_hub.outbound.breaker import Breaker

DOCTYPE = "Hub Webhook"

ACTIVE, PAUSED, DISABLED = "Active", "Paused", "Disabled"

# Failing for so long without a single success, an endpoint is paused.
PATIENCE = timedelta(days=5)
OVERLAP_HOURS = 24
MAX_OVERLAP_HOURS = 24 * 30
PROBE_SECONDS = 30
# Calls at the same time to an endpoint all of whose calls failed of late: those that hang must not take every thread.
FAILING_CONCURRENCY = 2


@dataclass(frozen=True)
class Endpoint:
	"""A webhook as the delivery loop needs it."""

	name: str
	title: str
	status: str
	url: str
	format: str
	ordered: bool
	concurrency: int
	open_until: datetime | None
	open_now: bool
	secret_rotated_at: datetime | None

	@property
	def takes(self) -> bool:
		"""Whether deliveries may be claimed for it, all of them or a probe."""
		return self.status == ACTIVE and not self.open_now


@dataclass(frozen=True)
class Ended:
	"""Calls of one endpoint that ended: how many, how many of them failed, how the last one did, and which URL is gone."""

	calls: int
	failures: int
	error: str | None
	gone_url: str | None = None


def all_push() -> list[Endpoint]:
	"""Return every endpoint something may be sent to; those of a disabled system count as paused."""
	rows = sql.run(
		"""SELECT webhook.name, webhook.title, IF(system.enabled = 1, webhook.status, %s) AS status, webhook.url, webhook.format,
			webhook.ordered, greatest(1, least(webhook.concurrency, IF(webhook.failing_since IS NULL, 32, %s))) AS concurrency,
			webhook.open_until,
			coalesce(webhook.open_until > UTC_TIMESTAMP(6), 0) AS open_now, webhook.secret_rotated_at
		FROM `tabHub Webhook` webhook JOIN `tabHub Connected System` system ON system.name = webhook.system
		WHERE webhook.mode = 'Push' ORDER BY webhook.name""",
		(PAUSED, FAILING_CONCURRENCY),
		as_dict=True,
	)
	return [Endpoint(**row) for row in rows]


def take_probe(name: str) -> bool:
	"""Take the one call that is let through after a pause of the breaker; False: another worker has it."""
	return (
		sql.changes(
			"""UPDATE `tabHub Webhook` SET probe_until = UTC_TIMESTAMP(6) + INTERVAL %s SECOND
			WHERE name = %s AND open_until <= UTC_TIMESTAMP(6)
				AND coalesce(probe_until < UTC_TIMESTAMP(6), 1)""",
			(PROBE_SECONDS, name),
		)
		== 1
	)


_BREAKER = tuple(field.name for field in fields(Breaker))
# What people and callers never write; of the secrets there are masks in the row.
_OWN = (
	"status",
	"paused_because",
	"stop_told",
	"alerted_at",
	"last_success_at",
	"last_failure_at",
	"failing_since",
	"last_error",
	"probe_until",
	"secret",
	"previous_secret",
	"secret_rotated_at",
	"previous_secret_valid_until",
)


def note(name: str, ended: Ended) -> bool:
	"""Note how calls ended: health, breaker, and the end of patience; True when the endpoint was stopped by it."""
	row = sql.run(
		f"""SELECT status, url, failing_since, UTC_TIMESTAMP(6) AS at, {", ".join(_BREAKER)} FROM `tabHub Webhook`
		WHERE name = %s FOR UPDATE""",
		(name,),
		as_dict=True,
	)
	if not row:
		return False
	row = row[0]
	if ended.gone_url and ended.gone_url == row.url and row.status == ACTIVE:
		_set(name, {"last_failure_at": row.at, "last_error": ended.error})
		stop(name, DISABLED, _("It answered 410: it is gone for good."))
		return True
	if not ended.calls:
		return False
	after = breaker.after_calls(
		Breaker(**{key: row[key] for key in _BREAKER}), row.at, ended.calls, ended.failures
	)
	failed_only = ended.failures == ended.calls
	failing_since = (row.failing_since or row.at) if failed_only else None
	values = {**asdict(after), "failing_since": failing_since, "probe_until": None}
	if ended.failures:
		values |= {"last_failure_at": row.at, "last_error": ended.error}
	if not failed_only:
		values["last_success_at"] = row.at
	_set(name, values)
	if row.status != ACTIVE or not failing_since or row.at - failing_since <= PATIENCE:
		return False
	stop(name, PAUSED, _("Every call failed for five days. The last time: {0}").format(ended.error))
	return True


def stop(name: str, status: str, because: str, *, told: bool = False) -> None:
	"""Pause or disable an endpoint; what is to be sent to it is held.

	Args:
		told: people know, for one of them did it.
	"""
	frappe.db.set_value(DOCTYPE, name, {"status": status, "paused_because": because, "stop_told": int(told)})
	_changed(name)


def resume(name: str) -> int:
	"""Let an endpoint have what was held for it, and all that comes; return how many deliveries go on."""
	values = {"status": ACTIVE, "paused_because": None, "failing_since": None, "last_error": None}
	_set(name, {**values, **asdict(Breaker()), "probe_until": None, "modified": now()})
	_changed(name)
	return outbox.release(name)


def release_held_of(system: str) -> None:
	"""Let what was held while the system was disabled go on."""
	for name in frappe.get_all(DOCTYPE, filters={"system": system, "status": ACTIVE}, pluck="name"):
		outbox.release(name)


def own_fields(name: str | None) -> dict:
	"""Return what belongs to this module of a webhook that is being saved, locked: a form may be older than the last call."""
	own = [*_OWN, *_BREAKER]
	rows = sql.run(
		f"SELECT {', '.join(own)} FROM `tabHub Webhook` WHERE name = %s FOR UPDATE", (name,), as_dict=True
	)
	return rows[0] if rows else {**dict.fromkeys(own), "status": ACTIVE}


def secrets(name: str) -> list[str]:
	"""Return what to sign with: the secret and, for a day after a rotation, the one before it."""
	found = [get_decrypted_password(DOCTYPE, name, "secret", raise_exception=False)]
	if sql.run(
		"SELECT 1 FROM `tabHub Webhook` WHERE name = %s AND previous_secret_valid_until > UTC_TIMESTAMP(6)",
		(name,),
	):
		found.append(get_decrypted_password(DOCTYPE, name, "previous_secret", raise_exception=False))
	return [secret for secret in found if secret]


def rotate(name: str, overlap_hours: float = OVERLAP_HOURS) -> str:
	"""Make a new secret and return it; the old one signs as well for `overlap_hours` (0 to 720)."""
	if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
		frappe.throw(_("The overlap is 0 to {0} hours.").format(MAX_OVERLAP_HOURS))
	before = get_decrypted_password(DOCTYPE, name, "secret", raise_exception=False)
	secret = signing.new_secret()
	set_encrypted_password(DOCTYPE, name, secret, "secret")
	keeps = bool(before and overlap_hours)
	if keeps:
		set_encrypted_password(DOCTYPE, name, before, "previous_secret")
	# The mask tells Frappe that there is one: saving an empty password field would remove it.
	mask = {"secret": "*" * len(secret), "previous_secret": "*" * len(before) if keeps else None}
	sql.run(
		"""UPDATE `tabHub Webhook` SET secret = %s, previous_secret = %s, secret_rotated_at = UTC_TIMESTAMP(6),
			previous_secret_valid_until = IF(%s, UTC_TIMESTAMP(6) + INTERVAL %s SECOND, NULL)
		WHERE name = %s""",
		(mask["secret"], mask["previous_secret"], keeps, int(overlap_hours * 3600), name),
	)
	frappe.clear_document_cache(DOCTYPE, name)
	return secret


def _changed(name: str) -> None:
	frappe.clear_document_cache(DOCTYPE, name)
	subscriptions.changed()


def _set(name: str, values: dict) -> None:
	"""Write without touching `modified`: health is no change of the webhook."""
	columns = ", ".join(f"`{column}` = %s" for column in values)
	sql.run(f"UPDATE `tabHub Webhook` SET {columns} WHERE name = %s", (*values.values(), name))
