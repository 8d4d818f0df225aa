"""Postal addresses, matched by content among the customer's own: never overwritten, never duplicated."""

import frappe
from frappe import _

from integration_hub.core import references
from integration_hub.core.payload import digest
from integration_hub.core.references import AlreadyBound
from integration_hub.core.work import Work
from integration_hub.exceptions import Fault, UnknownCountry, ValidationFailed
from integration_hub.schemas.orders import Address

CONTENT = (
	"address_title",
	"address_line1",
	"address_line2",
	"city",
	"state",
	"pincode",
	"country",
	"email_id",
	"phone",
)


def resolve(work: Work, customer: str, address: Address, kind: str, pointer: str) -> str:
	"""Return the name of the customer's Address with this content, made where there is none.

	Args:
		kind: "Billing" or "Shipping", for a new address.

	Raises:
		UnknownCountry
	"""
	content = _content(address, customer, pointer)
	return _find(customer, content) or _create_once(work, customer, content, kind)


def _content(address: Address, customer: str, pointer: str) -> dict:
	for field in ("company", "name"):
		_check_title(getattr(address, field) or "", f"{pointer}/{field}")
	title = ", ".join(part for part in (address.company, address.name) if part)
	return {
		"address_title": title or customer,
		"address_line1": address.line1,
		"address_line2": address.line2 or "",
		"city": address.city,
		"state": address.state or "",
		"pincode": address.postal_code or "",
		"country": _country(address.country, pointer + "/country"),
		"email_id": address.email or "",
		"phone": address.phone or "",
	}


def _check_title(text: str, pointer: str) -> None:
	if "<" in text or ">" in text:
		message = _("ERPNext takes no < or > here: it names the address by it.")
		raise ValidationFailed(message, errors=[Fault(pointer, message, "text_not_storable")])


def _country(given: str, pointer: str) -> str:
	field = "code" if len(given) == 2 else "name"
	name = frappe.db.get_value("Country", {field: given.lower() if field == "code" else given}, "name")
	if not name:
		raise UnknownCountry(
			_("There is no country {0}. Send its ISO 3166 code of two letters.").format(given),
			pointer=pointer,
		)
	return name


def _find(customer: str, content: dict) -> str | None:
	linked = frappe.get_all(
		"Dynamic Link",
		filters={"parenttype": "Address", "link_doctype": "Customer", "link_name": customer},
		pluck="parent",
		limit=1000,
	)
	if not linked:
		return None
	rows = frappe.get_all(
		"Address",
		filters={"name": ("in", linked), "disabled": 0, "address_line1": content["address_line1"]},
		fields=["name", *CONTENT],
		order_by="creation asc",
	)
	return next(
		(row.name for row in rows if all((row[field] or "") == content[field] for field in CONTENT)), None
	)


def _create_once(work: Work, customer: str, content: dict, kind: str) -> str:
	"""Make the address; of two orders that race for the same new one the second waits, and finds it."""
	key = digest([customer, *content.values()])
	try:
		reference = references.reserve_again(work.caller.name, "address", key, request=work.request)
	except AlreadyBound:
		return _find(customer, content) or _create(work, customer, content, kind)
	name = _create(work, customer, content, kind)
	references.bind(reference, "Address", name)
	return name


def _create(work: Work, customer: str, content: dict, kind: str) -> str:
	doc = frappe.get_doc(
		{
			"doctype": "Address",
			"address_type": kind,
			"links": [{"link_doctype": "Customer", "link_name": customer}],
			"hub_system": work.caller.name,
			**content,
		}
	)
	doc.flags.hub_origin = True
	doc.insert()
	work.made.append(("Address", doc.name))
	return doc.name
