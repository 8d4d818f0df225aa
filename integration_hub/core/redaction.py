"""Takes secrets and card numbers out of text that is going to a log. Pure."""

import re

MASK = "•••"

_NAMES = (
	"authorization|api[_-]?secret|api[_-]?key|password|passwd|secret|access[_-]?token|refresh[_-]?token|token"
	"|(?:webhook-)?signature|cvv|cvc"
)
_NAME = re.compile(_NAMES, re.IGNORECASE)
# A quoted value goes to its closing quote; an unquoted one, or one without it, to the end of the word, with a scheme and commas before it.
_SECRETS = re.compile(
	rf"""(?ix)
	(?<![a-z])({_NAMES})(?![a-z])
	(["']?\s*[:=]\s*)
	("(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | ["']?(?:(?:token|basic|bearer)\s+)?[^\s"';)}}\]]+)
	"""
)
_TOKENS = re.compile(r"(?i)\b(token|basic|bearer)\s+[A-Za-z0-9+/=._~:-]{8,}")
_WEBHOOK_SECRETS = re.compile(r"\bwhsec_[A-Za-z0-9+/=]+")
_CARDS = re.compile(r"(?<![\d.])(?:\d[ -]?){12,18}\d(?!\.?\d)")


def redact(text: str) -> str:
	"""Return `text` with credentials and payment card numbers masked."""
	text = _SECRETS.sub(lambda m: f"{m[1]}{m[2]}{_masked(m[3])}", text)
	text = _TOKENS.sub(lambda m: f"{m[1]} {MASK}", text)
	text = _WEBHOOK_SECRETS.sub(MASK, text)
	return _CARDS.sub(lambda m: MASK if _luhn(re.sub(r"\D", "", m[0])) else m[0], text)


def redact_all(value):
	"""Return a JSON value with all its texts redacted, and masked what stands under the name of a credential."""
	if isinstance(value, dict):
		return {
			name: MASK if isinstance(part, str) and _NAME.fullmatch(name) else redact_all(part)
			for name, part in value.items()
		}
	if isinstance(value, list | tuple):
		return [redact_all(part) for part in value]
	if isinstance(value, str | int):
		text = str(value)
		return value if redact(text) == text else redact(text)
	return value


def _masked(value: str) -> str:
	quote = value[0] if value[0] in "\"'" else ""
	return f"{quote}{MASK}{quote}"


def _luhn(digits: str) -> bool:
	"""ISO/IEC 7812-1, annex B."""
	total = 0
	for place, digit in enumerate(reversed(digits)):
		value = int(digit) * (2 if place % 2 else 1)
		total += value - 9 if value > 9 else value
	return total % 10 == 0
