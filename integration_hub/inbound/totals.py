"""The totals gate: what the caller computed against what ERPNext computes."""

from decimal import Decimal

from frappe import _
from frappe.model.document import Document

from integration_hub.core.context import Caller
from integration_hub.documents.orders import totals_of
from integration_hub.exceptions import Fault, TotalsDiffer
from integration_hub.inbound.taxes import difference_row
from integration_hub.schemas.orders import Totals


def differences(caller: Caller, doc: Document, totals: Totals | None) -> dict[str, tuple[Decimal, Decimal]]:
	"""Return what differs by more than the tolerance: {"grand": (the caller's, ERPNext's)}; empty when all agree."""
	if totals is None:
		return {}
	tolerance = Decimal(str(caller.system.totals_tolerance or 0))
	computed = totals_of(doc)
	pairs = {
		name: (given, computed[name])
		for name in ("net", "tax", "grand")
		if (given := getattr(totals, name)) is not None
	}
	return {name: pair for name, pair in pairs.items() if abs(pair[0] - pair[1]) > tolerance}


def describe(different: dict[str, tuple[Decimal, Decimal]]) -> str:
	"""Return the difference in words, for people."""
	return "; ".join(
		_("{0}: sent {1}, ERPNext computes {2}").format(name, *pair) for name, pair in different.items()
	)


def reject(different: dict[str, tuple[Decimal, Decimal]], why: str = "") -> TotalsDiffer:
	"""Return the refusal, with both figures of each total."""
	faults = [
		Fault(f"/totals/{name}", _("Sent {0}, ERPNext computes {1}.").format(*pair), TotalsDiffer.code)
		for name, pair in different.items()
	]
	figures = {name: {"sent": float(pair[0]), "computed": float(pair[1])} for name, pair in different.items()}
	message = _(
		"The totals differ ({0}). Correct lines, taxes or totals, or change the system's totals gate."
	).format(describe(different))
	return TotalsDiffer(f"{message} {why}".strip(), errors=faults, details={"totals": figures})


def book_difference(caller: Caller, doc: Document, different: dict[str, tuple[Decimal, Decimal]]) -> None:
	"""Add the row that makes the grand total what the caller says.

	Raises:
		TotalsDiffer: the difference is larger than the limit, or not one of the grand total.
	"""
	if "grand" not in different:
		raise reject(different, _("Only a difference of the grand total can be booked."))
	sent, computed = different["grand"]
	if abs(sent - computed) > Decimal(str(caller.system.difference_limit or 0)):
		raise reject(
			different,
			_("It is larger than {0}, the most that may be booked.").format(caller.system.difference_limit),
		)
	doc.append("taxes", difference_row(caller, sent - computed))
