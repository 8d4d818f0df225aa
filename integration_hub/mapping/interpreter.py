"""JMESPath with exact numbers, a budget and errors for people: what `jmespath` itself leaves to its host. Pure.

Language: https://jmespath.org/specification.html
"""

from decimal import Decimal

from jmespath.exceptions import JMESPathTypeError
from jmespath.functions import Functions, signature
from jmespath.visitor import Options, TreeInterpreter

from integration_hub.mapping.budget import CHARACTERS_A_STEP, Budget
from integration_hub.mapping.errors import BadExpression, BadValue
from integration_hub.mapping.values import Json, exact, is_number, number_of, render

# They take about as long as visiting so many parts of an expression.
STEPS_A_CALL = 5
STEPS_A_COMPARISON = 2

_IDENTITY = {"type": "identity", "children": []}

_KINDS = {
	"NoneType": "null",
	"null": "null",
	"bool": "true or false",
	"boolean": "true or false",
	"int": "a number",
	"float": "a number",
	"Decimal": "a number",
	"number": "a number",
	"str": "text",
	"string": "text",
	"list": "a list",
	"array": "a list",
	"array-string": "a list of texts",
	"array-number": "a list of numbers",
	"dict": "an object",
	"object": "an object",
	"expref": "an expression such as &name",
	"_Expression": "an expression",
}


class Interpreter(TreeInterpreter):
	"""Evaluates a parsed expression on one document, within a budget; `root` is what root() stands for."""

	def __init__(self, budget: Budget, root: Json = None):
		super().__init__(Options(custom_functions=ExactFunctions(budget, root)))
		self._budget = budget

	def visit(self, node: dict, *args) -> Json:
		self._budget.spend(1)
		return super().visit(node, *args)

	def visit_flatten(self, node: dict, value: Json) -> Json:
		base = self.visit(node["children"][0], value)
		if isinstance(base, list):
			# One list named many times grows before anybody visits its elements.
			self._budget.spend(sum(len(each) for each in base if isinstance(each, list)))
		return super().visit_flatten({"children": [_IDENTITY]}, base)

	def visit_comparator(self, node: dict, value: Json) -> bool | None:
		left, right = (self.visit(child, value) for child in node["children"])
		self._budget.spend(STEPS_A_COMPARISON)
		equality = node["value"] in ("eq", "ne")
		if is_number(left) and is_number(right):
			if type(left) is not type(right):
				left, right = exact(left), exact(right)
		elif equality:
			if type(left) is type(right):
				self._budget.weigh(left)
		elif not (isinstance(left, str) and isinstance(right, str)):
			if isinstance(left, str) != isinstance(right, str) and (is_number(left) or is_number(right)):
				raise BadExpression("A comparison takes two numbers or two texts, not one of each.")
			return None
		return self.COMPARATOR_FUNC[node["value"]](left, right)


class ExactFunctions(Functions):
	"""The functions of the language, those that make numbers keep every digit; and two of our own.

	root() is the whole document, also inside a list; last_part(address) what stands after its last slash.
	"""

	def __init__(self, budget: Budget, root: Json):
		self._budget = budget
		self._root = root

	@signature()
	def _func_root(self):
		return self._root

	@signature({"types": ["string"]})
	def _func_last_part(self, address):
		part = address.rpartition("/")[2]
		if part in ("", address) or set(part) & set("?#&= "):
			raise BadExpression(f"last_part(): “{address[:80]}” does not end in a slash and a name.")
		return part

	def call_function(self, function_name: str, resolved_args: list) -> Json:
		self._budget.spend(STEPS_A_CALL)
		for arg in resolved_args:
			self._budget.weigh(arg)
		try:
			return super().call_function(function_name, resolved_args)
		except JMESPathTypeError as e:
			raise BadExpression(_type_sentence(e)) from e
		except (TypeError, ArithmeticError) as e:
			raise BadExpression(f"{function_name}() cannot work with these values together.") from e

	# The library knows a type by the name of its class; Decimal is not among them.
	def _get_allowed_pytypes(self, types: list) -> tuple[list, list]:
		allowed, of_elements = super()._get_allowed_pytypes(types)
		exact_too = [(*names, "Decimal") if "float" in names else names for names in of_elements]
		return [*allowed, "Decimal"] if "float" in allowed else allowed, exact_too

	def _convert_to_jmespath_type(self, pyobject: str) -> str:
		return "number" if pyobject == "Decimal" else super()._convert_to_jmespath_type(pyobject)

	@signature({"types": []})
	def _func_type(self, arg):
		return "number" if isinstance(arg, Decimal) else super()._func_type(arg)

	@signature({"types": ["array-number"]})
	def _func_sum(self, arg):
		return _of_their_kind(sum((exact(each) for each in arg), Decimal(0)), arg)

	@signature({"types": ["array-number"]})
	def _func_avg(self, arg):
		return _of_their_kind(sum((exact(each) for each in arg), Decimal(0)) / len(arg), arg) if arg else None

	@signature({"types": []})
	def _func_to_number(self, arg):
		if isinstance(arg, str):
			try:
				return number_of(arg)
			except BadValue:
				return None
		return arg if is_number(arg) else None

	@signature({"types": []})
	def _func_to_string(self, arg):
		try:
			return arg if isinstance(arg, str) else render(arg).decode()
		except BadValue as e:
			raise BadExpression(f"to_string(): {e}") from e

	@signature({"types": ["string"]}, {"types": ["array-string"]})
	def _func_join(self, separator, array):
		self._budget.spend(len(separator) * len(array) // CHARACTERS_A_STEP)
		return super()._func_join(separator, array)


def _of_their_kind(result: Decimal, numbers: list) -> int | float | Decimal:
	"""Return a result as the numbers came, so that a document without Decimals gives none."""
	if any(isinstance(number, Decimal) for number in numbers):
		return result
	return int(result) if result == result.to_integral_value() and _whole(numbers) else float(result)


def _whole(numbers: list) -> bool:
	return not any(isinstance(number, float) for number in numbers)


def _type_sentence(error: JMESPathTypeError) -> str:
	expected = " or ".join(_KINDS.get(kind, kind) for kind in error.expected_types)
	return f"{error.function_name}() takes {expected}, and got {_KINDS.get(error.actual_type, error.actual_type)}."
