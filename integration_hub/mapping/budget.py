"""What one evaluation may cost, counted in steps, so that nothing a person wrote runs for ever. Pure."""

from integration_hub.core.payload import MAX_DEPTH
from integration_hub.mapping.errors import BadValue, TooCostly
from integration_hub.mapping.values import Json, scalar

STEPS = 150_000
CHARACTERS_A_STEP = 64


class Budget:
	"""Steps left. A step is one visit of a part of an expression, one value touched, or 64 characters of text."""

	def __init__(self, steps: int = STEPS):
		self._left = self._all = steps

	@property
	def spent(self) -> int:
		return self._all - self._left

	def spend(self, steps: int) -> None:
		"""Take steps away.

		Raises:
			TooCostly: none are left.
		"""
		self._left -= steps
		if self._left < 0:
			raise TooCostly("This takes too long on a document of this size. Choose fewer or smaller lists.")

	def weigh(self, value: Json) -> None:
		"""Spend what it costs to touch all of `value`; parts it holds twice count twice."""
		pending = [value]
		while pending:
			node = pending.pop()
			if isinstance(node, str):
				self.spend(1 + len(node) // CHARACTERS_A_STEP)
			elif isinstance(node, (dict, list)):
				self.spend(1 + len(node))
				pending.extend(node)
				if isinstance(node, dict):
					pending.extend(node.values())

	def copy(self, value: Json, depth: int = 1) -> Json:
		"""Return `value` built anew, so that nobody who changes it changes the document or the expression.

		Raises:
			TooCostly
			BadValue: it is nested deeper than 32 levels, or something in it is no JSON.
		"""
		if not isinstance(value, (dict, list)):
			scalar(value)
			self.spend(1 + (len(value) // CHARACTERS_A_STEP if isinstance(value, str) else 0))
			return value
		if depth > MAX_DEPTH:
			raise BadValue(f"This is nested deeper than {MAX_DEPTH} levels.")
		self.spend(1)
		if isinstance(value, list):
			return [self.copy(each, depth + 1) for each in value]
		return {name: self.copy(each, depth + 1) for name, each in value.items()}
