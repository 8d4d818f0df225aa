"""What can be wrong with an expression, a value or a field map. Pure.

ValueError
├── BadExpression ─ TooCostly
├── BadValue
├── MapFaults, which holds every MapFault
└── BadPreset, which holds every sentence
"""

from dataclasses import dataclass


class BadExpression(ValueError):
	"""The expression cannot be read, or cannot work on this document; the text is a sentence for people."""


class TooCostly(BadExpression):
	"""The expression does more work on this document than one evaluation may."""


class BadValue(ValueError):
	"""The value does not fit; the text is a sentence for people."""


@dataclass(frozen=True, order=True)
class MapFault:
	"""One fault: the row (from 1; 0 is the map as a whole), its target as written, and a sentence."""

	row: int
	target: str
	message: str

	def __str__(self) -> str:
		return f"{self.target}: {self.message}" if self.target else self.message


class MapFaults(ValueError):
	"""Everything that is wrong with a field map, or with one document under it, in the order of the rows."""

	def __init__(self, faults: list[MapFault]):
		self.faults = tuple(sorted(faults))
		super().__init__(" ".join(str(fault) for fault in self.faults))


class BadPreset(ValueError):
	"""Everything that is wrong with a preset, each a sentence that begins with where."""

	def __init__(self, faults: list[str]):
		self.faults = tuple(faults)
		super().__init__(" ".join(faults))
