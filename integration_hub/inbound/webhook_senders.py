"""Whose webhooks are taken: a system's signature scheme and its secrets. Sole owner of these secrets.

The platform makes the secret, and a person enters it here; it is stored encrypted and never shown again.
"""

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass

import frappe
from frappe import _
from frappe.utils import now
from frappe.utils.password import get_decrypted_password, set_encrypted_password

from integration_hub.core import rate_limit, sql
from integration_hub.core.signatures import (
	CODES,
	SCHEMES,
	Scheme,
	SignatureError,
	Verified,
	check_secret,
	is_ping,
	scheme_of,
	verify,
)

DOCTYPE = "Hub Connected System"
OVERLAP_HOURS = 24
MAX_OVERLAP_HOURS = 24 * 30

# Why a call of a system is refused before anybody looks at its signature.
NOT_SET_UP = "not_set_up"
REASONS = (*CODES, NOT_SET_UP)
_DAY = 86_400
_OPTIONS = ("header", "prefix", "event_id_header", "event_id_member", "topic_header")
# Never an empty one: anybody can sign with that.
_DECOY = frappe.generate_hash(length=32).encode()


class NotSetUp(SignatureError):
	"""A call in the name of a system that takes none: there is no such system, or it is disabled, or has no user, scheme or secret."""

	def __init__(self):
		Exception.__init__(self, "The system takes no webhooks.")
		self.code = NOT_SET_UP


@dataclass(frozen=True)
class Sender:
	"""A system that sends webhooks, and how it signs them."""

	system: str
	scheme: Scheme
	secrets: list[str]


def check(slug: str, headers: Mapping[str, str], body: bytes) -> tuple[Sender, Verified]:
	"""Return who sent a call, and what its signature vouches for.

	Raises:
		SignatureError: nobody; counted for the system, so that its form can tell.
	"""
	sender, known = _find(slug)
	try:
		if sender is None:
			# About the work of a real one, so that the time it takes tells nothing.
			hmac.digest(_DECOY, body, "sha256")
			raise NotSetUp
		return sender, verify(sender.scheme, sender.secrets, body, headers, time.time())
	except SignatureError as error:
		rate_limit.count(_counter(slug if known else "", error.code), window=_DAY)
		raise


def is_any_ping(body: bytes) -> bool:
	"""Whether a platform asks, unsigned, if the address answers: the same for whatever system, so that it tells nothing."""
	return any(is_ping(scheme, body) for scheme in SCHEMES.values())


def refusals(system: str) -> dict[str, int]:
	"""Return how many calls in a system's name were refused today (UTC), by reason; only those that occurred."""
	counts = {code: rate_limit.counted(_counter(system, code), window=_DAY) for code in REASONS}
	return {code: number for code, number in counts.items() if number}


def _counter(system: str, code: str) -> str:
	# Of systems that do not exist together: whoever guesses names must not fill the cache.
	return f"hub:signatures:{system}:{code}"


def _find(slug: str) -> tuple[Sender | None, bool]:
	"""Return the sender, None where it cannot send; and whether there is such a system at all."""
	options = ", ".join(f"inbound_{option}" for option in _OPTIONS)
	rows = sql.run(
		f"""SELECT name, enabled, user, inbound_scheme, {options},
			coalesce(previous_inbound_secret_valid_until > UTC_TIMESTAMP(6), 0) AS overlaps
		FROM `tabHub Connected System` WHERE name = %s""",
		(slug[:140],),
		as_dict=True,
	)
	row = rows[0] if rows and rows[0].name == slug else None
	secrets = _secrets(slug[:140], bool(row and row.overlaps))
	if row is None or not secrets or not (row.enabled and row.user and row.inbound_scheme):
		return None, row is not None
	return Sender(slug, scheme_from(row), secrets), True


def scheme_from(row) -> Scheme:
	"""Return the scheme that a system is set to.

	Raises:
		ValueError: it cannot work so; a sentence in English.
	"""
	return scheme_of(
		row.inbound_scheme, **{option: row.get(f"inbound_{option}") or "" for option in _OPTIONS}
	)


def _secrets(system: str, overlaps: bool) -> list[str]:
	names = ["inbound_secret", *(["previous_inbound_secret"] if overlaps else [])]
	found = [get_decrypted_password(DOCTYPE, system, name, raise_exception=False) for name in names]
	return [secret for secret in found if secret]


def find_secret(system) -> str | None:
	"""Return, in words, where the platform shows the secret; None: it is not chosen yet how the platform signs."""
	scheme = SCHEMES.get(system.inbound_scheme)
	return _(scheme.find_secret) if scheme else None


def has_secret(system: str) -> bool:
	"""Whether a secret was entered."""
	return bool(_secrets(system, False))


def validate(system) -> None:
	"""Refuse a scheme that cannot work, or that the secret on record does not fit.

	Raises:
		ValueError: a sentence in English.
	"""
	if not system.inbound_scheme:
		return
	scheme = scheme_from(system)
	for secret in [] if system.is_new() else _secrets(system.name, False):
		check_secret(scheme, secret)


def set_secret(system, secret: str, overlap_hours: float = OVERLAP_HOURS) -> None:
	"""Take the secret that the platform shows; the one before it stays good for `overlap_hours` (0 to 720)."""
	system.check_permission("write")
	if not system.inbound_scheme:
		frappe.throw(_("Choose first how the platform signs, and save."))
	if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
		frappe.throw(_("The overlap is 0 to {0} hours.").format(MAX_OVERLAP_HOURS))
	secret = (secret or "").strip()
	try:
		check_secret(scheme_from(system), secret)
	except ValueError as e:
		frappe.throw(_("This secret cannot be used: {0}.").format(_(str(e))))
	before = next(iter(_secrets(system.name, False)), None)
	keeps = bool(before and before != secret and overlap_hours)
	set_encrypted_password(DOCTYPE, system.name, secret, "inbound_secret")
	if keeps:
		set_encrypted_password(DOCTYPE, system.name, before, "previous_inbound_secret")
	# The mask tells Frappe that there is a secret: saving an empty password field would remove it. `modified` makes forms
	# that know of none too old to be saved.
	sql.run(
		"""UPDATE `tabHub Connected System` SET inbound_secret = '********', previous_inbound_secret = %s,
			previous_inbound_secret_valid_until = IF(%s, UTC_TIMESTAMP(6) + INTERVAL %s SECOND, NULL), modified = %s,
			modified_by = %s
		WHERE name = %s""",
		(
			"********" if keeps else None,
			keeps,
			int(overlap_hours * 3600),
			now(),
			frappe.session.user,
			system.name,
		),
	)
	frappe.clear_document_cache(DOCTYPE, system.name)
