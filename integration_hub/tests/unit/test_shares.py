"""Shares of fixed amounts: told apart row by row, of the right sign, and adding up to the cent."""

import pytest

import frappe

from integration_hub.inbound.shares import Progress, same_sign, split, taken_of


def row(amount: float, code: str | None = "shipping", kind: str | None = "charge", **values) -> frappe._dict:
	return frappe._dict(
		account_head="Freight", description=code, hub_kind=kind, hub_code=code, tax_amount=amount, **values
	)


def document(*rows: frappe._dict) -> frappe._dict:
	for number, one in enumerate(rows, start=1):
		one.idx = number
	return frappe._dict(taxes=list(rows))


def taken(earlier: list[frappe._dict], origin: frappe._dict) -> list[float]:
	return [taken_of(earlier, origin, one) for one in origin.taxes]


def test_two_rows_of_one_code_are_told_apart_by_their_place():
	order = document(row(5), row(3))
	assert taken([], order) == [0, 0]
	assert taken([document(row(2.5), row(1.5))], order) == [2.5, 1.5]
	assert taken([document(row(2.5), row(1.5)), document(row(1), row(0.25))], order) == [3.5, 1.75]


def test_two_equal_rows_are_two():
	order = document(row(5), row(5))
	assert taken([document(row(2), row(1))], order) == [2, 1]


def test_a_document_with_fewer_rows_took_nothing_of_the_others():
	order = document(row(5), row(3))
	assert taken([document(row(2.5))], order) == [2.5, 0]


@pytest.mark.parametrize(
	"other",
	[row(9, "handling"), row(9, kind="tax"), row(9) | {"account_head": "Other"}],
	ids=["code", "kind", "account"],
)
def test_rows_of_another_code_kind_or_account_do_not_count(other):
	order = document(row(5), row(3))
	earlier = document(frappe._dict(other), row(2.5), row(1.5))
	assert taken([earlier], order) == [2.5, 1.5]


def test_without_a_code_the_description_tells():
	def plain(amount, description):
		return row(amount, None, None) | {"description": description}

	def rows(*pairs):
		return document(*(frappe._dict(plain(*pair)) for pair in pairs))

	order = rows((5, "Shipping"), (3, "Handling"))
	assert taken([rows((1.5, "Handling"), (2.5, "Shipping"))], order) == [2.5, 1.5]


def test_another_field():
	order = document(row(5, after=5), row(3, after=3))
	earlier = document(row(1, after=0.9), row(1, after=0.8))
	assert [taken_of([earlier], order, one, "after") for one in order.taxes] == [0.9, 0.8]


@pytest.mark.parametrize(
	("amount", "whole", "kept"),
	[(5, 10, 5), (-1, 10, 0), (-5, -10, -5), (1, -10, 0), (0, 10, 0), (3, 0, 0)],
	ids=repr,
)
def test_what_is_due_is_never_of_the_other_sign(amount, whole, kept):
	assert same_sign(amount, whole) == kept


@pytest.mark.parametrize(
	("amount", "weights", "precision", "parts"),
	[
		(10, [1, 1, 1], 2, [3.34, 3.33, 3.33]),
		(10, [1, 1, 1], 0, [4, 3, 3]),
		(1, [1, 1, 1], 3, [0.334, 0.333, 0.333]),
		(7.77, [37.02, 5.55, 4.99], 2, [6.05, 0.91, 0.81]),
		(5, [10, 0, 0], 2, [5, 0, 0]),
		(4, [10, -2], 2, [5, -1]),
		(0.01, [1, 2], 2, [0, 0.01]),
		(3, [0, 0], 2, [3, 0]),
	],
	ids=repr,
)
def test_parts_add_up_to_the_amount(amount, weights, precision, parts):
	assert split(amount, weights, precision) == parts


@pytest.mark.parametrize(
	("progress", "reached"),
	[
		(Progress(total=40, before=10, now=20, last=False), 0.75),
		(Progress(total=40, before=10, now=20, last=True), 1),
		(Progress(total=40, before=30, now=20, last=False), 1),
		(Progress(total=0, before=0, now=0, last=False), 1),
	],
	ids=repr,
)
def test_how_much_is_reached(progress, reached):
	assert progress.reached == reached
