"""Signatures of incoming webhooks, made by other code than ours: the standard's libraries, OpenSSL, PHP, Node, GitHub."""

import base64
import hashlib
import hmac
import random
import shutil
import subprocess
import time
import traceback
from datetime import datetime, timezone
from pathlib import Path

import pytest
import standardwebhooks.webhooks
import svix.webhooks
from werkzeug.datastructures import EnvironHeaders

from integration_hub.core import signatures
from integration_hub.core.signatures import (
	CODES,
	GENERIC,
	SCHEMES,
	TOLERANCE,
	SignatureError,
	check_secret,
	is_ping,
	scheme_of,
	verify,
)

PAYLOADS = Path(__file__).parent.parent / "fixtures" / "payloads"
NOW = 1_772_368_200
UNICODE = '{"id":"evt_7","type":"order.paid","name":"Żółć & Söhne 🧾","note":"価格","total":12.50}'.encode()

SECRET = "fixture-secret-one-AAAA"
OLD = "fixture-secret-old-BBBB"
OTHER = "fixture-secret-other-CCCC"
HEX, BASE64 = "HMAC-SHA256 (hex)", "HMAC-SHA256 (base64)"
GENERIC_SETTINGS = {
	"header": "X-Signature",
	"prefix": "sha256=",
	"event_id_header": "X-Event-Id",
	"topic_header": "X-Topic",
}

BODIES = {
	"Standard Webhooks": UNICODE,
	"Shopify": (PAYLOADS / "shopify" / "order.json").read_bytes(),
	"WooCommerce": (PAYLOADS / "woocommerce" / "order.json").read_bytes(),
	"GitHub": b"Hello, World!",
	"Stripe": (PAYLOADS / "stripe" / "event.json").read_bytes(),
	HEX: UNICODE,
	BASE64: (PAYLOADS / "stripe" / "invoice.json").read_bytes(),
}
ALL = pytest.mark.parametrize("name", list(BODIES))
TIMED = pytest.mark.parametrize("name", ["Standard Webhooks", "Stripe"])
UNSIGNED_IDS = ["Shopify", "WooCommerce", "GitHub", HEX, BASE64]


# -- Senders ---------------------------------------------------------------------------------------------------------


def scheme(name):
	return scheme_of(name, **GENERIC_SETTINGS)


def secret_of(name, text):
	"""The secret as the platform would show it."""
	if name == "Standard Webhooks":
		return "whsec_" + base64.b64encode(text.encode().ljust(32, b".")).decode()
	return text


def digest(secret, content, encoding):
	raw = hmac.new(secret.encode(), content, hashlib.sha256).digest()
	return raw.hex() if encoding == "hex" else base64.b64encode(raw).decode()


def sign(name, texts, body, at=NOW):
	"""What a sender with these secrets would put into the headers."""
	secrets = [secret_of(name, text) for text in texts]
	if name == "Standard Webhooks":
		moment = datetime.fromtimestamp(at, timezone.utc)
		signed = [standardwebhooks.webhooks.Webhook(s).sign("msg_1", moment, body.decode()) for s in secrets]
		return {
			"webhook-id": "msg_1",
			"webhook-timestamp": str(at),
			"webhook-signature": " ".join(signed),
		}
	if name == "Stripe":
		signed = [f"v1={digest(s, b'%d.%b' % (at, body), 'hex')}" for s in secrets]
		return {"Stripe-Signature": ",".join([f"t={at}", *signed, "v0=" + "0" * 64])}
	return {
		"Shopify": lambda s: {
			"X-Shopify-Hmac-Sha256": s("", "base64"),
			"X-Shopify-Webhook-Id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
			"X-Shopify-Event-Id": "98880550-7158-44d4-b7cd-2c97c8a091b5",
			"X-Shopify-Topic": "orders/create",
			"X-Shopify-Triggered-At": "2026-03-01T12:29:58.877041743Z",
		},
		"WooCommerce": lambda s: {
			"X-WC-Webhook-Signature": s("", "base64"),
			"X-WC-Webhook-Delivery-ID": "2c5c6f4f1898927f9e1ec4b2bf2fc3a7",
			"X-WC-Webhook-Topic": "order.created",
		},
		"GitHub": lambda s: {
			"X-Hub-Signature-256": s("sha256=", "hex"),
			"X-Hub-Signature": "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6",
			"X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
			"X-GitHub-Event": "issues",
		},
		HEX: lambda s: {"X-Signature": s("sha256=", "hex"), "X-Event-Id": "e-1", "X-Topic": "a.b"},
		BASE64: lambda s: {"X-Signature": s("sha256=", "base64"), "X-Event-Id": "e-1", "X-Topic": "a.b"},
	}[name](lambda prefix, encoding: ",".join(prefix + digest(secret, body, encoding) for secret in secrets))


def received(name, headers, body=None, texts=(SECRET,), now=NOW):
	body = BODIES[name] if body is None else body
	return verify(scheme(name), [secret_of(name, text) for text in texts], body, headers, now)


def refused(name, headers, **kwargs):
	with pytest.raises(SignatureError) as caught:
		received(name, headers, **kwargs)
	return caught.value.code


def changed(name, change, texts=(SECRET,), at=NOW):
	"""The headers of a genuine call with the signature's one changed; None takes it away."""
	headers = sign(name, texts, BODIES[name], at)
	value = change(headers.pop(scheme(name).header))
	return headers if value is None else {**headers, scheme(name).header: value}


def openssl(key, content, *options):
	run = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}", *options]
	return subprocess.run(run, input=content, capture_output=True, check=True, timeout=30).stdout


# -- Vectors ---------------------------------------------------------------------------------------------------------


def test_the_schemes_are_these():
	assert list(SCHEMES) == list(BODIES)
	assert GENERIC == {HEX, BASE64}


def test_githubs_published_example():
	"""Source: docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation"."""
	headers = {
		"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
		"X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
		"X-GitHub-Event": "issues",
	}
	known = verify(SCHEMES["GitHub"], ["It's a Secret to Everybody"], b"Hello, World!", headers, NOW)
	assert vars(known) == {
		"event_id": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
		"topic": "issues",
		"signed": frozenset(),
		"body_hash": "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f",
	}


def test_a_shopify_order_signed_by_node():
	"""crypto.createHmac("sha256", secret).update(body).digest("base64"), as Shopify's own example has it."""
	headers = {
		**sign("Shopify", ["any"], b""),
		"X-Shopify-Hmac-Sha256": "uwFBG+1siaLdgltRSv0F28OpW9JK7g5lCHK8If6tdbQ=",
	}
	known = verify(
		SCHEMES["Shopify"], ["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"], BODIES["Shopify"], headers, NOW
	)
	assert vars(known) == {
		"event_id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
		"topic": "orders/create",
		"signed": frozenset(),
		"body_hash": "a5177a37ed98a4f9a63531c1601ab6d42b1f7b0e77e8f3ca86f256700cd30513",
	}


def test_a_woocommerce_order_signed_by_php():
	"""base64_encode(hash_hmac("sha256", $body, $secret, true)): WC_Webhook::generate_signature."""
	headers = {
		"X-WC-Webhook-Signature": "hCb/p2QF7uOJdeUX3fPWBFMDSJOhpHYu1PEV2oENGzE=",
		"X-WC-Webhook-Delivery-ID": "2c5c6f4f1898927f9e1ec4b2bf2fc3a7",
		"X-WC-Webhook-Topic": "order.created",
	}
	known = verify(SCHEMES["WooCommerce"], ["wc_9fK2 geheim ✓"], BODIES["WooCommerce"], headers, NOW)
	body_hash = "3783225fc0e9f1e0a18e9adcfa73fce392ad7b710414dab8f39e8599f8ef23e0"
	assert vars(known) == {
		"event_id": "2c5c6f4f1898927f9e1ec4b2bf2fc3a7",
		"topic": "order.created",
		"signed": frozenset(),
		"body_hash": body_hash,
	}


def test_a_stripe_event_signed_by_node():
	"""HMAC over "t.body" with the secret's text: a `whsec_` that would decode is not decoded."""
	secret = "whsec_c2VjcmV0LW9mLXN0cmlwZQ=="
	headers = {
		"Stripe-Signature": "t=1492774577,"
		"v1=26d49f1c6dff669631177dbe32e8c684df7484e6acc8e7b454de80d0999a08cb,"
		"v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"
	}
	known = verify(SCHEMES["Stripe"], [secret], BODIES["Stripe"], headers, 1492774577.25)
	assert vars(known) == {
		"event_id": "evt_1Pgc76B7WZ01zgkWwyRHS12y",
		"topic": "plan.created",
		"signed": {"event_id", "topic"},
		"body_hash": "fd05b907a66b940875d0ff10bb2e07bded7e45ad54a8128242e85f4661792c77",
	}
	decoded = base64.b64decode(secret.removeprefix("whsec_"))
	wrong = hmac.new(decoded, b"1492774577." + BODIES["Stripe"], hashlib.sha256).hexdigest()
	with pytest.raises(SignatureError, match="No signature"):
		verify(
			SCHEMES["Stripe"],
			[secret],
			BODIES["Stripe"],
			{"Stripe-Signature": f"t=1492774577,v1={wrong}"},
			NOW,
		)


def test_the_standards_own_example():
	"""Source: tests of the reference libraries of Standard Webhooks."""
	headers = {
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
		"webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	}
	body = b'{"test": 2432232314}'
	known = verify(
		SCHEMES["Standard Webhooks"], ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], body, headers, 1614265330
	)
	assert (known.event_id, known.topic) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", None)
	assert known.signed == {"event_id"}


@pytest.mark.parametrize("library", [standardwebhooks.webhooks, svix.webhooks])
@pytest.mark.parametrize("bare", [False, True], ids=["whsec_", "bare"])
def test_what_the_standards_libraries_sign(library, bare):
	"""With and without the prefix, padded or not: as the libraries take the secret."""
	secret = "whsec_" + base64.b64encode(b"x" * 25).decode()
	body = (PAYLOADS / "shopify" / "refund.json").read_text(encoding="utf-8")
	headers = {
		"webhook-id": "msg_2",
		"webhook-timestamp": str(NOW),
		"webhook-signature": library.Webhook(secret).sign(
			"msg_2", datetime.fromtimestamp(NOW, timezone.utc), body
		),
	}
	given = secret.removeprefix("whsec_").rstrip("=") if bare else secret
	known = verify(SCHEMES["Standard Webhooks"], [given], body.encode(), headers, NOW)
	assert known.event_id == "msg_2"


# The hub runs without the program; it only has to agree with what it says.
@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl on this machine")
@ALL
def test_what_openssl_signs(name):
	body = BODIES[name]
	key = SECRET.encode().ljust(32, b".") if name == "Standard Webhooks" else SECRET.encode()
	content = {
		"Standard Webhooks": b"msg_1.%d.%b" % (NOW, body),
		"Stripe": b"%d.%b" % (NOW, body),
	}.get(name, body)
	raw = openssl(key, content, "-binary")
	assert len(raw) == 32
	written = raw.hex() if SCHEMES[name].encoding == "hex" else base64.b64encode(raw).decode()
	value = scheme(name).prefix + written
	headers = {
		**sign(name, ["another"], body),
		scheme(name).header: f"t={NOW},{value}" if name == "Stripe" else value,
	}
	assert received(name, headers).body_hash == hashlib.sha256(body).hexdigest()


# -- What is accepted ------------------------------------------------------------------------------------------------


@ALL
def test_what_is_known_of_a_genuine_call(name):
	event_id, topic, signed = {
		"Standard Webhooks": ("msg_1", "order.paid", {"event_id", "topic"}),
		"Stripe": ("evt_1Pgc76B7WZ01zgkWwyRHS12y", "plan.created", {"event_id", "topic"}),
		"Shopify": ("b54557e4-bdd9-4b37-8a5f-bf7d70bcd043", "orders/create", set()),
		"WooCommerce": ("2c5c6f4f1898927f9e1ec4b2bf2fc3a7", "order.created", set()),
		"GitHub": ("72d3162e-cc78-11e3-81ab-4c9367dc0958", "issues", set()),
		HEX: ("e-1", "a.b", set()),
		BASE64: ("e-1", "a.b", set()),
	}[name]
	known = received(name, sign(name, [SECRET], BODIES[name]))
	assert (known.event_id, known.topic, known.signed) == (event_id, topic, signed)
	assert known.body_hash == hashlib.sha256(BODIES[name]).hexdigest()


@ALL
def test_before_during_and_after_a_rotation(name):
	"""Ours and the sender's secrets change one after the other, whichever goes first."""
	before, during, after = (sign(name, texts, BODIES[name]) for texts in ([OLD], [OLD, SECRET], [SECRET]))
	known = received(name, before, texts=[OLD])
	for headers in (before, during, after):
		assert received(name, headers, texts=[SECRET, OLD]) == known
		assert received(name, headers, texts=[OTHER, OLD, SECRET]) == known
	assert received(name, during, texts=[SECRET]) == received(name, during, texts=[OLD]) == known
	assert refused(name, after, texts=[OLD]) == "signature_invalid"
	assert refused(name, before, texts=[SECRET]) == "signature_invalid"
	assert refused(name, during, texts=[OTHER]) == "signature_invalid"


@ALL
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title, str.swapcase])
def test_header_names_in_any_case(name, case):
	headers = sign(name, [SECRET], BODIES[name])
	assert received(name, {case(key): value for key, value in headers.items()}) == received(name, headers)


@ALL
def test_headers_as_a_server_hands_them_over(name):
	"""WSGI: names in capitals, several of one name joined by a comma, bytes as latin-1."""
	environ = {}
	for text in (OTHER, SECRET):
		signature = sign(name, [text], BODIES[name])[scheme(name).header]
		if name == "Stripe":
			signature = signature.removeprefix(f"t={NOW},") if environ else signature
		key = "HTTP_" + scheme(name).header.upper().replace("-", "_")
		environ[key] = f"{environ[key]},{signature}" if key in environ else signature
	for header, value in sign(name, [SECRET], BODIES[name]).items():
		environ.setdefault("HTTP_" + header.upper().replace("-", "_"), value)
	environ["HTTP_X_NOISE"] = "Söhne".encode().decode("latin-1")
	assert received(name, EnvironHeaders(environ)) == received(name, sign(name, [SECRET], BODIES[name]))


@ALL
@pytest.mark.parametrize("joint", [",", ", ", " ,  "])
def test_several_signatures_in_one_header(name, joint):
	right, wrong = [changed(name, str, [text])[scheme(name).header] for text in (SECRET, OTHER)]
	if name == "Stripe":
		wrong = wrong.removeprefix(f"t={NOW},")
		right = right.removeprefix(f"t={NOW},")
	start = f"t={NOW}{joint}" if name == "Stripe" else ""
	for values in ([wrong, right], [right, wrong], ["rubbish", wrong, "é", right, ""]):
		assert received(name, changed(name, lambda _, values=values: start + joint.join(values)))
	assert refused(name, changed(name, lambda _: start + joint.join([wrong, wrong]))) == "signature_invalid"


def test_other_versions_of_a_scheme_are_passed_over():
	ed25519 = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
	assert received("Standard Webhooks", changed("Standard Webhooks", lambda v: f"{ed25519} {v}"))
	assert refused("Standard Webhooks", changed("Standard Webhooks", lambda _: ed25519)) == CODES[1]
	for version in ("v0", "v2", "v11", "V1", "xv1"):
		headers = changed("Stripe", lambda v, version=version: v.replace("v1=", f"{version}="))
		assert refused("Stripe", headers) == "signature_malformed"
	assert (
		refused("GitHub", changed("GitHub", lambda v: v.replace("sha256=", "sha1="))) == "signature_malformed"
	)


@pytest.mark.parametrize("name", ["GitHub", "Stripe", HEX])
def test_hex_in_capitals(name):
	prefix = scheme(name).prefix
	headers = changed(
		name, lambda v: ",".join(p[:3] + p[3:].upper() if p.startswith("v1=") else p for p in v.split(","))
	)
	if name != "Stripe":
		headers = changed(name, lambda v: prefix + v.removeprefix(prefix).upper())
	assert received(name, headers) == received(name, sign(name, [SECRET], BODIES[name]))


@ALL
@pytest.mark.parametrize(
	"body",
	[b"", b"{}", b"\x00", b"[1]", UNICODE, b"{" * 5000, b'{"id":' * 5000, b"x" * 1_048_576],
	ids=["empty", "object", "NUL", "array", "unicode", "braces", "deep", "1 MiB"],
)
def test_any_body_can_be_signed(name, body):
	"""What is in it is looked at once it is known to be genuine, and never stops the call here."""
	known = received(name, sign(name, [SECRET], body), body=body)
	assert known.body_hash == hashlib.sha256(body).hexdigest()
	assert (known.topic is None) == (name in ("Standard Webhooks", "Stripe") and body != UNICODE)


@pytest.mark.parametrize("name", [n for n in BODIES if n != "Standard Webhooks"])
def test_bytes_that_are_no_text_can_be_signed(name):
	body = bytes(range(256))
	assert received(name, sign(name, [SECRET], body), body=body)


def test_bytes_that_are_no_text_can_be_signed_by_the_standard():
	"""Its libraries cannot; its text can."""
	body = bytes(range(256))
	signature = digest(SECRET.ljust(32, "."), b"msg_1.%d.%b" % (NOW, body), "base64")
	headers = {
		"webhook-id": "msg_1",
		"webhook-timestamp": str(NOW),
		"webhook-signature": f"v1,{signature}",
	}
	assert received("Standard Webhooks", headers, body=body).event_id == "msg_1"


@ALL
def test_random_bodies_and_every_single_changed_byte(name):
	seeded = random.Random(5)
	for size in (1, 33, 400):
		body = bytes(seeded.choice(b"abcdefghij {}[]:,0123456789") for _ in range(size))
		headers = sign(name, [SECRET], body)
		assert received(name, headers, body=body)
		for place in range(0, size, max(1, size // 40)):
			tampered = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
			assert refused(name, headers, body=tampered) == "signature_invalid"
		for other in (body + b"\n", b" " + body, body[:-1]):
			assert refused(name, headers, body=other) == "signature_invalid"


# -- What is refused -------------------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize(
	("change", "code"),
	[
		(lambda v: None, "signature_missing"),
		(lambda v: "", "signature_missing"),
		(lambda v: " \t ", "signature_missing"),
		(lambda v: "x", "signature_malformed"),
		(lambda v: ",,, ,", "signature_malformed"),
		(lambda v: v.replace("=", "", 1) if "=" in v else v[1:], "signature_malformed"),
		(lambda v: "é" * 64, "signature_malformed"),
		(lambda v: "１" * 64, "signature_malformed"),
		(lambda v: "\x00" * 64, "signature_malformed"),
		(lambda v: "𝟘" * 9_000, "signature_malformed"),
		(lambda v: "None", "signature_malformed"),
	],
	ids=[
		"missing",
		"empty",
		"blank",
		"short",
		"commas",
		"without its mark",
		"accents",
		"full-width digits",
		"NUL",
		"long and no ASCII",
		"None",
	],
)
def test_what_is_no_signature(name, change, code):
	assert refused(name, changed(name, change)) == code


def lone(name):
	"""One signature without what stands around it, and a function that puts another in its place."""
	value = changed(name, str)[scheme(name).header]
	prefix = scheme(name).prefix
	signature = value.split(f"{prefix}", 1)[1].split(",")[0] if prefix else value
	return signature, lambda other: changed(name, lambda v: v.replace(signature, other))


@ALL
@pytest.mark.parametrize(
	"change",
	[
		lambda s: s[:-1],
		lambda s: s[1:],
		lambda s: s + "A",
		lambda s: "A" + s,
		lambda s: s * 2,
		lambda s: s[:10] + " " + s[10:],
		lambda s: s[:10] + "!" + s[11:],
		lambda s: s[:10] + "Ａ" + s[11:],
		lambda s: f'"{s}"',
		lambda s: s + "\x00",
		lambda s: base64.b64encode(b"x" * 32).decode().rstrip("="),
		lambda s: base64.urlsafe_b64encode(b"\xff" * 32).decode(),
	],
)
def test_almost_a_signature(name, change):
	signature, put = lone(name)
	assert len(signature) == (64 if scheme(name).encoding == "hex" else 44)
	assert refused(name, put(change(signature))) == "signature_malformed"


@ALL
def test_the_right_digest_in_the_other_writing(name):
	signature, put = lone(name)
	raw = bytes.fromhex(signature) if scheme(name).encoding == "hex" else base64.b64decode(signature)
	other = base64.b64encode(raw).decode() if scheme(name).encoding == "hex" else raw.hex()
	assert refused(name, put(other)) == "signature_malformed"


@ALL
def test_every_single_changed_bit_of_the_signature(name):
	signature, put = lone(name)
	raw = bytes.fromhex(signature) if scheme(name).encoding == "hex" else base64.b64decode(signature)
	for bit in range(0, 256, 5):
		flipped = bytearray(raw)
		flipped[bit // 8] ^= 1 << bit % 8
		written = (
			flipped.hex() if scheme(name).encoding == "hex" else base64.b64encode(bytes(flipped)).decode()
		)
		assert refused(name, put(written)) == "signature_invalid"
	for other in (bytes(32), b"\xff" * 32, hashlib.sha256(BODIES[name]).digest()):
		written = other.hex() if scheme(name).encoding == "hex" else base64.b64encode(other).decode()
		assert refused(name, put(written)) == "signature_invalid"


@ALL
@pytest.mark.parametrize("texts", [[OTHER], [OTHER, OLD], [SECRET + " "], [SECRET[:-1]], [SECRET.upper()]])
def test_other_secrets(name, texts):
	assert refused(name, sign(name, [SECRET], BODIES[name]), texts=texts) == "signature_invalid"


@pytest.mark.parametrize("name", [n for n in BODIES if n != "Standard Webhooks"])
@pytest.mark.parametrize("secrets", [[], [""], [None], ["", None]])
def test_without_a_secret_nothing_is_genuine(name, secrets):
	"""Anyone can sign with an empty key."""
	headers = sign(name, [""], BODIES[name])
	with pytest.raises(SignatureError) as caught:
		verify(scheme(name), secrets, BODIES[name], headers, NOW)
	assert caught.value.code == "signature_invalid"


@pytest.mark.parametrize(
	"secret", ["", None, "whsec_", "whsec_!", "whsec_=", "whsec_a", "whpk_AAAA", "é", OTHER]
)
def test_what_is_no_secret_of_the_standard(secret):
	"""It vouches for nothing, and does not stand in the way of one that does."""
	signature = digest("", b"msg_1.%d.%b" % (NOW, UNICODE), "base64")
	headers = sign("Standard Webhooks", [SECRET], UNICODE)
	forged = {**headers, "webhook-signature": f"v1,{signature}"}
	with pytest.raises(SignatureError) as caught:
		verify(SCHEMES["Standard Webhooks"], [secret], UNICODE, forged, NOW)
	assert caught.value.code == "signature_invalid"
	good = secret_of("Standard Webhooks", SECRET)
	assert verify(SCHEMES["Standard Webhooks"], [secret, good], UNICODE, headers, NOW)
	with pytest.raises(ValueError):
		check_secret(SCHEMES["Standard Webhooks"], secret)


def test_a_secret_of_the_standard_is_not_its_text():
	secret = secret_of("Standard Webhooks", SECRET)
	signature = digest(secret, b"msg_1.%d.%b" % (NOW, UNICODE), "base64")
	headers = {**sign("Standard Webhooks", [SECRET], UNICODE), "webhook-signature": f"v1,{signature}"}
	assert refused("Standard Webhooks", headers, body=UNICODE) == "signature_invalid"


@ALL
def test_secrets_are_a_list(name):
	with pytest.raises(TypeError):
		verify(scheme(name), SECRET, BODIES[name], sign(name, [SECRET], BODIES[name]), NOW)


@TIMED
@pytest.mark.parametrize(
	("after", "code"),
	[
		(-TOLERANCE - 0.001, "signature_stale"),
		(-TOLERANCE, None),
		(0, None),
		(0.999, None),
		(TOLERANCE, None),
		(TOLERANCE + 0.001, "signature_stale"),
		(86_400, "signature_stale"),
		(-86_400, "signature_stale"),
	],
)
def test_five_minutes_either_way(name, after, code):
	headers = sign(name, [SECRET], BODIES[name])
	if code:
		assert refused(name, headers, now=NOW + after) == code
		assert refused(name, headers, now=NOW + after, texts=[OTHER]) == "signature_invalid"
	else:
		assert received(name, headers, now=NOW + after)


@pytest.mark.parametrize("name", UNSIGNED_IDS)
def test_without_a_signed_moment_nothing_is_stale(name):
	headers = sign(name, [SECRET], BODIES[name])
	assert received(name, headers, now=NOW + 10**8) == received(name, headers, now=0)


@TIMED
@pytest.mark.parametrize(
	("moment", "code"),
	[
		(f"{NOW + 1}", "signature_invalid"),
		(f"0{NOW}", "signature_invalid"),
		("0", "signature_invalid"),
		(f"{NOW}.0", "signature_malformed"),
		(f"-{NOW}", "signature_malformed"),
		(f"+{NOW}", "signature_malformed"),
		("1.7e9", "signature_malformed"),
		("nan", "signature_malformed"),
		("1" * 13, "signature_malformed"),
		("1" * 5000, "signature_malformed"),
		("１７７２３６８２００", "signature_malformed"),
		("2026-03-01T12:30:00Z", "signature_malformed"),
	],
)
def test_moments(name, moment, code):
	headers = sign(name, [SECRET], BODIES[name])
	if name == "Stripe":
		headers["Stripe-Signature"] = headers["Stripe-Signature"].replace(f"t={NOW}", f"t={moment}")
	else:
		headers["webhook-timestamp"] = moment
	assert refused(name, headers) == code


def test_two_moments_are_none():
	standard = {**sign("Standard Webhooks", [SECRET], UNICODE), "webhook-timestamp": f"{NOW},{NOW}"}
	assert refused("Standard Webhooks", standard, body=UNICODE) == "signature_malformed"
	assert refused("Stripe", changed("Stripe", lambda v: f"t={NOW - 1},{v}")) == "signature_malformed"
	assert refused("Stripe", changed("Stripe", lambda v: v.replace(f"t={NOW},", ""))) == "signature_malformed"


@pytest.mark.parametrize(
	("header", "value", "code"),
	[
		("webhook-id", None, "signature_missing"),
		("webhook-id", " ", "signature_missing"),
		("webhook-id", "msg_2", "signature_invalid"),
		("webhook-id", "msg_1,msg_1", "signature_invalid"),
		("webhook-id", "msg 1", "signature_malformed"),
		("webhook-id", "é", "signature_malformed"),
		("webhook-id", "m" * 256, "signature_malformed"),
		("webhook-timestamp", None, "signature_missing"),
		("webhook-timestamp", "", "signature_missing"),
	],
)
def test_what_the_standard_signs_besides_the_body(header, value, code):
	headers = {**sign("Standard Webhooks", [SECRET], UNICODE), header: value}
	headers = {key: text for key, text in headers.items() if text is not None}
	assert refused("Standard Webhooks", headers, body=UNICODE) == code


@ALL
def test_huge_headers_take_no_time(name):
	_signature, put = lone(name)
	wrong = "0" * 64 if scheme(name).encoding == "hex" else "A" * 43 + "="
	prefix = scheme(name).prefix
	values = [
		",".join([prefix + wrong] * 20_000),
		"," * 1_000_000,
		" " * 500_000 + "x" + " " * 500_000,
		(prefix or "x=") * 200_000,
		"A" * 1_000_000,
	]
	start = time.perf_counter()
	for value in values:
		assert refused(name, changed(name, lambda v, value=value: v + "," + value)) == "signature_malformed"
	# What a server lets through is looked at, each of it.
	many = ",".join([prefix + wrong] * 120)[:8000]
	assert refused(name, put(f"{wrong},{many}")) == "signature_invalid"
	assert received(name, changed(name, lambda v: f"{v},{many}"))
	for value in ("," * 8000, " " * 8000 + "x", (prefix or "A") * (8000 // len(prefix or "A")), "A" * 8000):
		assert refused(name, changed(name, lambda v, value=value: value)) in (
			"signature_malformed",
			"signature_missing",
		)
	assert time.perf_counter() - start < 2


@ALL
def test_every_secret_is_compared_with_every_signature(name, monkeypatch):
	"""Also after a match: the time tells nothing of which one it was."""
	compared = []
	real = hmac.compare_digest
	monkeypatch.setattr(signatures.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
	texts = [SECRET, OLD, OTHER]
	received(name, sign(name, [SECRET, "nobody's"], BODIES[name]), texts=texts)
	received(name, sign(name, ["nobody's", SECRET], BODIES[name]), texts=texts[::-1])
	refused(name, sign(name, ["nobody's", "no one's"], BODIES[name]), texts=texts)
	assert len(compared) == 3 * 3 * 2
	assert all(type(one) is bytes and len(one) == 32 for pair in compared for one in pair)


@ALL
def test_nothing_of_the_call_or_the_secret_is_told(name):
	body = BODIES[name][:-1] + b'"4111-private"}'
	whole = sign(name, [SECRET], body)
	told = repr(received(name, whole, body=body)) + repr(scheme(name))
	codes = []
	for headers, texts, now in (
		({}, [SECRET], NOW),
		(changed(name, lambda v: "4111-private"), [SECRET], NOW),
		(whole, [OTHER], NOW),
		(whole, [SECRET], NOW + 301),
		(whole, ["", None, "whsec_" + SECRET], NOW),
	):
		try:
			received(name, headers, body=body, texts=[text or "" for text in texts], now=now)
		except SignatureError as error:
			told += "".join(traceback.format_exception_only(type(error), error)) + repr(error)
			codes.append(error.code)
			assert error.__cause__ is None and error.__context__ is None
			assert vars(error) == {"code": error.code}
	stale = ["signature_stale"] * (name in ("Standard Webhooks", "Stripe"))
	assert codes == [*CODES[:3], *stale, "signature_invalid"]
	secrets = [secret_of(name, text) for text in (SECRET, OTHER)]
	assert not [text for text in [SECRET, OTHER, *secrets, "4111", "private"] if text in told]


# -- Replays ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNSIGNED_IDS)
def test_a_replay_with_another_id_is_known_by_its_body(name):
	headers = sign(name, [SECRET], BODIES[name])
	copy = {
		**headers,
		scheme(name).event_id_header: "forged-id",
		scheme(name).topic_header: "orders/cancelled",
	}
	first, second = received(name, headers), received(name, copy)
	assert second.event_id.startswith("forged-id") and second.topic == "orders/cancelled"
	assert (first.event_id, first.topic) != (second.event_id, second.topic)
	assert not second.signed
	assert first.body_hash == second.body_hash == hashlib.sha256(BODIES[name]).hexdigest()


def test_stripes_id_cannot_be_given_another():
	headers = sign("Stripe", [SECRET], BODIES["Stripe"])
	other = BODIES["Stripe"].replace(b"evt_1Pgc76B7WZ01zgkWwyRHS12y", b"evt_1Pgc76B7WZ01zgkWwyRHS12z")
	assert refused("Stripe", headers, body=other) == "signature_invalid"


def test_two_orders_of_one_second_have_one_delivery_id_in_woocommerce():
	"""wp_hash(webhook's number . seconds): see WC_Webhook::get_new_delivery_id. Their bodies tell them apart."""
	one, two = b'{"id":1}', b'{"id":2}'
	first, second, again = (
		received("WooCommerce", sign("WooCommerce", [SECRET], body), body=body) for body in (one, two, one)
	)
	assert first.event_id == second.event_id
	assert first.body_hash != second.body_hash
	assert first == again


def test_shopifys_event_id_is_shared_by_deliveries():
	"""One action of a merchant, two deliveries: they must not be taken for one."""
	one = sign("Shopify", [SECRET], BODIES["Shopify"])
	two = {**one, "X-Shopify-Webhook-Id": "c65668f5", "X-Shopify-Topic": "orders/paid"}
	assert one["X-Shopify-Event-Id"] == two["X-Shopify-Event-Id"]
	assert received("Shopify", one).event_id != received("Shopify", two).event_id


# -- Ids, topics, moments --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNSIGNED_IDS)
@pytest.mark.parametrize("value", [None, "", "  ", "a b", "é", "x" * 256, "a\x00b", "a\tb"])
def test_an_id_or_topic_that_is_none(name, value):
	headers = sign(name, [SECRET], BODIES[name])
	for header in (scheme(name).event_id_header, scheme(name).topic_header):
		headers[header] = value
	headers = {key: text for key, text in headers.items() if text is not None}
	known = received(name, headers)
	assert (known.event_id, known.topic) == (None, None)


@pytest.mark.parametrize(
	("value", "event_id"),
	[
		('"evt_1"', "evt_1"),
		("17", "17"),
		("-17", "-17"),
		('"' + "x" * 255 + '"', "x" * 255),
		('"' + "x" * 256 + '"', None),
		('"a b"', None),
		('"é"', None),
		('""', None),
		("1.5", None),
		("true", None),
		("null", None),
		('["evt_1"]', None),
		('{"id":1}', None),
		('1,"id":2', None),
		("1,", None),
		("1" * 400, None),
	],
)
def test_an_id_in_the_body(value, event_id):
	"""Signed with it; a header is second choice, and known to be unsigned."""
	body = f'{{"id":{value}}}'.encode()
	chosen = scheme_of(HEX, header="X-Sig", event_id_member="id", event_id_header="X-Id")
	headers = {"X-Sig": digest(SECRET, body, "hex")}
	known = verify(chosen, [SECRET], body, headers, NOW)
	assert (known.event_id, known.signed) == (event_id, {"event_id"} if event_id else set())
	known = verify(chosen, [SECRET], body, {**headers, "X-Id": "h-1"}, NOW)
	assert (known.event_id, known.signed) == (event_id or "h-1", {"event_id"} if event_id else set())


# -- Setting up ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [HEX, BASE64])
@pytest.mark.parametrize("prefix", ["", "sha256=", "v0:", "HMAC-SHA256 Signature=", ".*", "(", "sig,"])
def test_a_generic_scheme_with_any_prefix(name, prefix):
	chosen = scheme_of(name, header="X-My_Signature", prefix=prefix)
	encoding = chosen.encoding
	headers = {"x-my_signature": prefix + digest(SECRET, UNICODE, encoding)}
	known = verify(chosen, [SECRET], UNICODE, headers, NOW)
	assert (known.event_id, known.topic, known.signed) == (None, None, frozenset())
	with pytest.raises(SignatureError) as caught:
		verify(chosen, [SECRET], UNICODE, {"x-my_signature": "x" + headers["x-my_signature"]}, NOW)
	assert caught.value.code == "signature_malformed"


@pytest.mark.parametrize("name", [HEX, BASE64])
@pytest.mark.parametrize("header", ["", " ", "X Sig", "X-Sig:", "X-Sïg", "X-Sig\n", "x" * 101])
def test_what_is_no_header(name, header):
	with pytest.raises(ValueError):
		scheme_of(name, header=header)
	for field in ("event_id_header", "topic_header"):
		if header:
			with pytest.raises(ValueError):
				scheme_of(name, header="X-Sig", **{field: header})


def test_a_generic_scheme_without_its_header_verifies_nothing():
	with pytest.raises(SignatureError) as caught:
		verify(SCHEMES[HEX], [SECRET], UNICODE, {"X-Signature": digest(SECRET, UNICODE, "hex")}, NOW)
	assert caught.value.code == "signature_missing"


@pytest.mark.parametrize("name", [n for n in BODIES if n not in (HEX, BASE64)])
def test_the_platforms_schemes_are_not_for_choosing(name):
	assert scheme_of(name, header="X-Other", prefix="y", event_id_member="z") is SCHEMES[name]


def test_an_unknown_scheme():
	with pytest.raises(ValueError, match="'None'"):
		scheme_of("None")


@ALL
def test_check_secret(name):
	check_secret(scheme(name), secret_of(name, SECRET))
	for bad in ("", None, "\ud800"):
		with pytest.raises(ValueError) as caught:
			check_secret(scheme(name), bad)
		assert str(caught.value).startswith("the secret is")
		assert caught.value.__context__ is None or caught.value.__suppress_context__


@ALL
def test_what_people_are_told(name):
	described = SCHEMES[name]
	assert described.name == name
	assert described.find_secret.endswith(".") and "  " not in described.find_secret
	assert described.source.startswith("https://")
	assert bool(described.header) == (name not in GENERIC)


def test_pings():
	"""WC_Webhook::deliver_ping: `webhook_id=` and its number, without a signature."""
	assert is_ping(SCHEMES["WooCommerce"], b"webhook_id=12")
	assert refused("WooCommerce", {}, body=b"webhook_id=12") == "signature_missing"
	for body in (b"", b"webhook_id=", b"webhook_id=x", b"webhook_id=1\n", b"webhook_id=1&a=b", b'{"id":1}'):
		assert not is_ping(SCHEMES["WooCommerce"], body)
	for name in BODIES:
		assert is_ping(scheme(name), b"webhook_id=12") == (name == "WooCommerce")
		assert not is_ping(scheme(name), b"")
