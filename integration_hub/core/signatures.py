"""Signatures of webhooks that come in: a table of schemes, and one function that verifies by any of them. Pure.

Every scheme here is HMAC-SHA256 with a shared secret; they differ in where things stand and in what is signed. What
the signature does not cover, whoever holds a copy of one genuine call can change, and send the copy again:

| Scheme | Signed | Only a header | Stale after |
|---|---|---|---|
| Standard Webhooks | id, moment, body; topic is in the body | | 5 minutes |
| Stripe | moment, body; id and topic are in the body | | 5 minutes |
| Shopify, WooCommerce, GitHub | body | id, topic | never |
| HMAC-SHA256 | body; the id too, if taken from there | id, topic | never |

So an id of the lower half finds honest repetitions; `Verified.body_hash` finds the copy that came with another id. An
honest sender too may send one body for two topics (order created, order paid).

Sources are named at each scheme. `standardwebhooks`, which signs in `signing.py`, does not verify here: it reads the
clock itself, stops at the first match, and raises whatever a malformed header or body makes of it.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from integration_hub.core.payload import parse
from integration_hub.core.signing import PREFIX as SECRET_PREFIX
from integration_hub.exceptions import MalformedJson

TOLERANCE = 300
# Servers let a header of about 8 KiB through; room for a hundred signatures.
LONGEST_HEADER = 8192

MISSING, MALFORMED, INVALID, STALE = CODES = (
	"signature_missing",
	"signature_malformed",
	"signature_invalid",
	"signature_stale",
)
_SENTENCES = {
	MISSING: "The call has no signature where its scheme puts it.",
	MALFORMED: "The call has something where its signature should be, but not in the form of its scheme.",
	INVALID: "No signature of the call was made with an active secret over what was received.",
	STALE: "The call is signed, but for a moment more than five minutes away.",
}

# How a digest of 32 bytes is written.
_DIGESTS = {"hex": ("[0-9a-fA-F]{64}", bytes.fromhex), "base64": ("[0-9A-Za-z+/]{43}=", base64.b64decode)}
_SECONDS = "[0-9]{1,12}"
# What an idempotency key may hold.
_VISIBLE = re.compile("[!-~]{1,255}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")


class SignatureError(Exception):
	"""A call that nobody vouches for: the same 401 whatever the code. Holds no secret and nothing of the call.

	Attributes:
		code: one of `CODES`, for the operator's counter.
	"""

	def __init__(self, code: str):
		super().__init__(_SENTENCES[code])
		self.code = code


@dataclass(frozen=True)
class Scheme:
	"""How one kind of sender signs. Header names are compared in any case.

	Attributes:
		name: what people call it.
		header: holds the signatures, one or several, with blanks or commas between them.
		encoding: "hex" or "base64".
		find_secret: where people find the secret; a sentence in English.
		source: where the scheme is described.
		prefix: stands before each signature; what has another is no signature of this scheme.
		signed: what is signed, joined by full stops: of "id", "moment" and "body".
		secret_is_base64: `whsec_…`; otherwise the key is the secret's text as it stands, whatever it looks like.
		moment_header, moment_prefix: where the signed moment is, in seconds since 1970.
		event_id_header, event_id_member: where the event's id is; a member of the body's object goes before a header.
		topic_header, topic_member: where the topic is.
		ping: pattern of the body that is sent unsigned to see whether the address answers.
	"""

	name: str
	header: str
	encoding: str
	find_secret: str
	source: str
	prefix: str = ""
	signed: tuple[str, ...] = ("body",)
	secret_is_base64: bool = False
	moment_header: str = ""
	moment_prefix: str = ""
	event_id_header: str = ""
	event_id_member: str = ""
	topic_header: str = ""
	topic_member: str = ""
	ping: str = ""


@dataclass(frozen=True)
class Verified:
	"""What is known of a call whose signature holds.

	Attributes:
		event_id: 1 to 255 visible ASCII characters; None: the sender gave none that fits. The same for every
			repetition of one call; of WooCommerce also of two calls in one second.
		topic: likewise; None: the address or the body must tell.
		signed: which of these two the signature covers; the rest are claims of whoever delivered the call.
		body_hash: sha256 of the body in hex: a second identity, which no copy of the call can change.
	"""

	event_id: str | None
	topic: str | None
	signed: frozenset[str]
	body_hash: str


_STANDARD = Scheme(
	name="Standard Webhooks",
	header="webhook-signature",
	encoding="base64",
	prefix="v1,",
	signed=("id", "moment", "body"),
	secret_is_base64=True,
	moment_header="webhook-timestamp",
	event_id_header="webhook-id",
	topic_member="type",
	find_secret="The sender shows it where the address is entered: whsec_ followed by letters and digits.",
	source="https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
)

# X-Shopify-Event-Id is no key: it is "shared across all deliveries produced by the same merchant action", of whatever
# topic. X-Shopify-Webhook-Id is the one to "identify and deduplicate individual deliveries".
_SHOPIFY = Scheme(
	name="Shopify",
	header="X-Shopify-Hmac-Sha256",
	encoding="base64",
	event_id_header="X-Shopify-Webhook-Id",
	topic_header="X-Shopify-Topic",
	find_secret=(
		"Webhooks of an app: the app's client secret, in Shopify's Dev Dashboard under Settings."
		" Webhooks entered by hand: the key the shop's admin shows under Settings, Notifications, Webhooks."
	),
	source="https://shopify.dev/docs/apps/build/webhooks/delivery-structure",
)

# WC_Webhook::generate_signature. ::get_new_delivery_id hashes the webhook's number and the second, so that two orders
# of one second have one id. ::deliver_ping sends its body without a signature and wants a 200.
_WOOCOMMERCE = Scheme(
	name="WooCommerce",
	header="X-WC-Webhook-Signature",
	encoding="base64",
	event_id_header="X-WC-Webhook-Delivery-ID",
	topic_header="X-WC-Webhook-Topic",
	ping=r"webhook_id=\d{1,20}",
	find_secret=(
		"The field Secret of the webhook, in WooCommerce under Settings, Advanced, Webhooks."
		" Enter one of your own there, of letters and digits, and the same here."
	),
	source="https://github.com/woocommerce/woocommerce/blob/trunk/plugins/woocommerce/includes/class-wc-webhook.php",
)

_GITHUB = Scheme(
	name="GitHub",
	header="X-Hub-Signature-256",
	encoding="hex",
	prefix="sha256=",
	event_id_header="X-GitHub-Delivery",
	topic_header="X-GitHub-Event",
	find_secret=(
		"The field Secret of the webhook, in the settings of the repository or organization under Webhooks."
		" Enter one of your own there, and the same here; content type application/json."
	),
	source="https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
)

_STRIPE = Scheme(
	name="Stripe",
	header="Stripe-Signature",
	encoding="hex",
	prefix="v1=",
	signed=("moment", "body"),
	moment_header="Stripe-Signature",
	moment_prefix="t=",
	event_id_member="id",
	topic_member="type",
	find_secret="The signing secret of the endpoint, whsec_…, in Stripe's Workbench under Webhooks.",
	source="https://docs.stripe.com/webhooks#verify-manually",
)

_GENERIC = tuple(
	Scheme(
		name=f"HMAC-SHA256 ({encoding})",
		header="",
		encoding=encoding,
		find_secret="Whoever sends the calls tells you the secret, the signature's header, and how it is written.",
		source="https://www.rfc-editor.org/rfc/rfc2104",
	)
	for encoding in _DIGESTS
)

SCHEMES = {scheme.name: scheme for scheme in (_STANDARD, _SHOPIFY, _WOOCOMMERCE, _GITHUB, _STRIPE, *_GENERIC)}
GENERIC = frozenset(scheme.name for scheme in _GENERIC)


def scheme_of(
	name: str,
	*,
	header: str = "",
	prefix: str = "",
	event_id_header: str = "",
	event_id_member: str = "",
	topic_header: str = "",
) -> Scheme:
	"""Return the scheme of that name; a generic one with what whoever set it up has chosen, the others as they are.

	Args:
		name: of `SCHEMES`.
		header: holds the signature; a generic scheme must have it.
		prefix: before the signature, such as `sha256=`.
		event_id_header, event_id_member, topic_header: where the sender puts these, if at all.

	Raises:
		ValueError: no such scheme, no header, or what cannot be the name of a header.
	"""
	if name not in SCHEMES:
		raise ValueError(f"there is no signature scheme {name[:60]!r}")
	if name not in GENERIC:
		return SCHEMES[name]
	for given in (header, event_id_header or "X", topic_header or "X"):
		if not _HEADER_NAME.fullmatch(given):
			raise ValueError(f"{given[:60]!r} cannot be the name of a header")
	return replace(
		SCHEMES[name],
		header=header,
		prefix=prefix,
		event_id_header=event_id_header,
		event_id_member=event_id_member,
		topic_header=topic_header,
	)


def check_secret(scheme: Scheme, secret: str) -> None:
	"""Refuse a secret that could verify nothing, when it is entered.

	Raises:
		ValueError: it is empty, or not base64 where the scheme has it so; without the secret in the sentence.
	"""
	_key(scheme, secret)


def is_ping(scheme: Scheme, body: bytes) -> bool:
	"""Tell whether this is the platform's unsigned question if the address answers: nothing to verify, nothing to keep."""
	return bool(scheme.ping) and re.fullmatch(scheme.ping.encode(), body) is not None


def verify(
	scheme: Scheme, secrets: Iterable[str], body: bytes, headers: Mapping[str, str], now: float
) -> Verified:
	"""Return what is known of a call, once one of its signatures is found to be made with one of the secrets.

	Every signature is compared with that of every secret, in constant time, whether or not one has matched. The age is
	looked at last, so that only a genuine call is ever called stale.

	Args:
		secrets: the active ones, as the platform shows them; during a rotation the new and the old. One that
			`check_secret` would refuse vouches for nothing.
		body: the bytes as they came.
		headers: as they came; several of one name joined by commas, as servers do.
		now: seconds since 1970.

	Raises:
		SignatureError: with the code for the operator.
	"""
	if isinstance(secrets, str):
		raise TypeError("one text is a list of one-letter secrets")
	headers = {name.lower(): value.strip() for name, value in headers.items()}
	signatures = _signatures(scheme, headers)
	parts = {"id": _signed_id(scheme, headers), "moment": _signed_moment(scheme, headers), "body": body}
	if not _matches(scheme, secrets, b".".join(parts[part] for part in scheme.signed), signatures):
		raise SignatureError(INVALID)
	if parts["moment"] and abs(now - int(parts["moment"])) > TOLERANCE:
		raise SignatureError(STALE)
	return _facts(scheme, headers, parts)


def _signatures(scheme: Scheme, headers: dict[str, str]) -> list[bytes]:
	digest, decode = _DIGESTS[scheme.encoding]
	return [decode(text) for text in _found(_required(headers, scheme.header), scheme.prefix, digest)]


def _signed_id(scheme: Scheme, headers: dict[str, str]) -> bytes:
	if "id" not in scheme.signed:
		return b""
	event_id = _required(headers, scheme.event_id_header)
	if not _VISIBLE.fullmatch(event_id):
		raise SignatureError(MALFORMED)
	return event_id.encode()


def _signed_moment(scheme: Scheme, headers: dict[str, str]) -> bytes:
	if "moment" not in scheme.signed:
		return b""
	moments = _found(_required(headers, scheme.moment_header), scheme.moment_prefix, _SECONDS)
	if len(moments) > 1:
		raise SignatureError(MALFORMED)
	return moments[0].encode()


def _required(headers: dict[str, str], name: str) -> str:
	value = headers.get(name.lower(), "")
	if not value:
		raise SignatureError(MISSING)
	if len(value) > LONGEST_HEADER:
		raise SignatureError(MALFORMED)
	return value


def _found(value: str, prefix: str, pattern: str) -> list[str]:
	"""Return what stands between blanks and commas with this prefix and in this form."""
	# A comma may belong to the prefix ("v1,"), so that the value cannot be split at commas first.
	found = re.findall(rf"(?:^|[ \t,]){re.escape(prefix)}({pattern})(?=[ \t,]|\Z)", value)
	if not found:
		raise SignatureError(MALFORMED)
	return found


def _matches(scheme: Scheme, secrets: Iterable[str], content: bytes, signatures: list[bytes]) -> bool:
	matches = False
	for key in _keys(scheme, secrets):
		expected = hmac.digest(key, content, "sha256")
		for signature in signatures:
			matches |= hmac.compare_digest(expected, signature)
	return matches


def _keys(scheme: Scheme, secrets: Iterable[str]) -> Iterator[bytes]:
	for secret in secrets:
		try:
			key = _key(scheme, secret)
		except ValueError:
			continue
		yield key


def _key(scheme: Scheme, secret: str) -> bytes:
	try:
		key = _from_base64(secret or "") if scheme.secret_is_base64 else (secret or "").encode()
	except ValueError:
		raise ValueError("the secret is not in the form of its scheme") from None
	# Anyone can sign with an empty key.
	if not key:
		raise ValueError("the secret is empty")
	return key


def _from_base64(secret: str) -> bytes:
	encoded = secret.removeprefix(SECRET_PREFIX)
	return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)


def _facts(scheme: Scheme, headers: dict[str, str], parts: dict[str, bytes]) -> Verified:
	body_hash = hashlib.sha256(parts["body"]).hexdigest()
	members = _members(scheme, parts["body"])
	event_id = members.get(scheme.event_id_member) or _text(headers.get(scheme.event_id_header.lower()))
	topic = members.get(scheme.topic_member) or _text(headers.get(scheme.topic_header.lower()))
	signed = {
		"event_id": scheme.event_id_member in members or "id" in scheme.signed,
		"topic": scheme.topic_member in members,
	}
	return Verified(
		event_id=event_id,
		topic=topic,
		signed=frozenset(name for name in signed if signed[name]),
		body_hash=body_hash,
	)


def _members(scheme: Scheme, body: bytes) -> dict[str, str]:
	"""Return those members of the body that the scheme reads and that are fit to be a fact."""
	names = {name for name in (scheme.event_id_member, scheme.topic_member) if name}
	try:
		object_ = parse(body) if names else {}
	except MalformedJson:
		return {}
	return {name: text for name in names if (text := _text(object_.get(name)))}


def _text(value) -> str | None:
	if isinstance(value, int) and not isinstance(value, bool):
		value = str(value)
	return value if isinstance(value, str) and _VISIBLE.fullmatch(value) else None
