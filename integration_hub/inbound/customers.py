"""Who the order is for: a known customer, or a new one where the system's policy allows."""

import frappe
from frappe import _

from integration_hub.core import references
from integration_hub.core.references import AlreadyBound
from integration_hub.core.work import Work
from integration_hub.exceptions import (
	CustomerAmbiguous,
	CustomerDisabled,
	Fault,
	UnknownCustomer,
	ValidationFailed,
)
from integration_hub.schemas.orders import Contact, Customer

POINTER = "/customer"


def resolve(work: Work, customer: Customer) -> str:
	"""Return the name of the Customer an order is for.

	An external id decides when it is bound; then the e-mail, then the phone number, then the name. Whatever is given
	decides: a new e-mail with an old name is a new customer. A new external id is bound to the customer found.

	Raises:
		UnknownCustomer, CustomerAmbiguous, CustomerDisabled
	"""
	name = _find(work, customer) or _unknown(work, customer)
	if frappe.get_cached_value("Customer", name, "disabled"):
		raise CustomerDisabled(
			_("Customer {0} is disabled. Enable it in ERPNext, or order for another.").format(name),
			pointer=POINTER,
		)
	return name


def _find(work: Work, customer: Customer) -> str | None:
	system = work.caller.name
	if customer.external_id:
		bound = references.live_document(system, "customer", customer.external_id, "Customer")
		if bound:
			return bound
	found = _by_content(customer)
	if found and customer.external_id:
		_bind(work, customer.external_id, found)
	return found


def _by_content(customer: Customer) -> str | None:
	if customer.email:
		return _only(
			_by_contact("email_id", "Contact Email", customer.email),
			_("e-mail {0}").format(customer.email),
			"/email",
		)
	if customer.phone:
		return _only(
			_by_contact("mobile_no", "Contact Phone", customer.phone),
			_("phone {0}").format(customer.phone),
			"/phone",
		)
	if customer.external_id:
		return None
	return _by_name(customer.name)


def _by_name(name: str) -> str | None:
	if frappe.db.get_value("Customer", name, "name") == name:
		return name
	rows = frappe.get_all(
		"Customer", filters={"customer_name": name}, fields=["name", "customer_name"], limit=20
	)
	return _only({row.name for row in rows if row.customer_name == name}, _("name {0}").format(name), "/name")


def _by_contact(customer_field: str, child: str, value: str) -> set[str]:
	"""Return customers that carry an e-mail address or phone number themselves or by a contact."""
	own = frappe.get_all("Customer", filters={customer_field: value}, pluck="name", limit=20)
	column = "email_id" if child == "Contact Email" else "phone"
	contacts = frappe.get_all(
		child, filters={column: value, "parenttype": "Contact"}, pluck="parent", limit=200
	)
	linked = (
		frappe.get_all(
			"Dynamic Link",
			filters={"parenttype": "Contact", "parent": ("in", contacts), "link_doctype": "Customer"},
			pluck="link_name",
			limit=200,
		)
		if contacts
		else []
	)
	return {*own, *linked}


def _only(names: set[str], what: str, pointer: str) -> str | None:
	if len(names) > 1:
		raise CustomerAmbiguous(
			_("{0} customers have the {1}: {2}. Send external_id, or ERPNext's name.").format(
				len(names), what, ", ".join(sorted(names)[:5])
			),
			pointer=POINTER + pointer,
		)
	return next(iter(names), None)


def _bind(work: Work, external_id: str, name: str) -> None:
	try:
		references.add(work.caller.name, "customer", external_id, "Customer", name, work.request)
	except AlreadyBound:
		# Another order was faster; what it bound the id to decides.
		bound = references.live_document(work.caller.name, "customer", external_id, "Customer")
		if bound != name:
			raise CustomerAmbiguous(
				_("External id {0} was just bound to {1}, not to {2}.").format(external_id, bound, name),
				pointer=POINTER + "/external_id",
			) from None


def _unknown(work: Work, customer: Customer) -> str:
	system = work.caller.system
	if system.unknown_customer_policy == "Use Fallback":
		return system.fallback_customer
	if system.unknown_customer_policy == "Create":
		return _create_once(work, customer)
	field = next(f for f in ("external_id", "email", "phone", "name") if getattr(customer, f))
	raise UnknownCustomer(
		_(
			"No customer has the {0} {1}. Create the customer, or let the Connected System create unknown ones."
		).format(field, getattr(customer, field)),
		pointer=f"{POINTER}/{field}",
	)


def _create_once(work: Work, customer: Customer) -> str:
	"""Make the customer; of two orders that race for the same new one the second waits, and finds it."""
	if not customer.name:
		message = _("No such customer is known, and a new one needs a name.")
		raise ValidationFailed(message, errors=[Fault(POINTER + "/name", message, "missing")])
	if "<" in customer.name or ">" in customer.name:
		message = _("ERPNext takes no < or > in the name of a customer.")
		raise ValidationFailed(message, errors=[Fault(POINTER + "/name", message, "text_not_storable")])
	if customer.name.startswith("New Customer"):
		# Frappe keeps such names for documents that are not saved yet.
		message = _("The name of a new customer cannot begin with “New Customer”.")
		raise ValidationFailed(message, errors=[Fault(POINTER + "/name", message, "reserved_name")])
	reserved = []
	for key in _identities(customer):
		try:
			reserved.append(references.reserve_again(work.caller.name, "customer", key, request=work.request))
		except AlreadyBound:
			# READ COMMITTED: what the other order committed is visible now.
			if found := _made_meanwhile(work, customer, key):
				return _bind_all(reserved, found)
	return _bind_all(reserved, _create(work, customer))


def _bind_all(reserved: list[str], name: str) -> str:
	for reference in reserved:
		references.bind(reference, "Customer", name)
	return name


def _made_meanwhile(work: Work, customer: Customer, key: str) -> str | None:
	if key == customer.external_id:
		return references.live_document(work.caller.name, "customer", key, "Customer")
	found = _by_content(customer)
	if found and customer.external_id:
		_bind(work, customer.external_id, found)
	return found


def _identities(customer: Customer) -> list[str]:
	"""What two orders for the same new customer may have in common, in one order for all."""
	if customer.email:
		keys = [f"mailto:{customer.email.lower()}"]
	elif customer.phone:
		keys = [f"tel:{customer.phone}"]
	else:
		keys = [] if customer.external_id else [f"name:{customer.name}"]
	return [key[:140] for key in keys] + ([customer.external_id] if customer.external_id else [])


def _create(work: Work, customer: Customer) -> str:
	system = work.caller.system
	doc = frappe.get_doc(
		{
			"doctype": "Customer",
			"customer_name": customer.name,
			"customer_type": customer.type,
			"tax_id": customer.tax_id,
			"customer_group": _group("Customer Group", customer.group or system.customer_group, "/group"),
			"territory": _group("Territory", customer.territory or system.territory, "/territory"),
			# ERPNext makes the primary contact from these two.
			"email_id": None if customer.contact else customer.email,
			"mobile_no": None if customer.contact else customer.phone,
			"hub_system": system.name,
			"hub_external_id": customer.external_id,
		}
	)
	doc.flags.hub_origin = True
	doc.insert()
	work.made.append(("Customer", doc.name))
	if customer.contact:
		_create_contact(work, doc.name, customer.contact, customer)
	return doc.name


def _group(doctype: str, name: str | None, pointer: str) -> str | None:
	if name and frappe.db.get_value(doctype, name, "name") != name:
		message = _("There is no {0} {1}.").format(_(doctype), name)
		raise ValidationFailed(message, errors=[Fault(POINTER + pointer, message, "unknown_group")])
	return name


def _create_contact(work: Work, customer_name: str, contact: Contact, customer: Customer) -> None:
	email, phone = contact.email or customer.email, contact.phone or customer.phone
	doc = frappe.get_doc(
		{
			"doctype": "Contact",
			"first_name": contact.first_name,
			"last_name": contact.last_name,
			"is_primary_contact": 1,
			"email_ids": [{"email_id": email, "is_primary": 1}] if email else [],
			"phone_nos": [{"phone": phone, "is_primary_mobile_no": 1}] if phone else [],
			"links": [{"link_doctype": "Customer", "link_name": customer_name}],
			"hub_system": work.caller.name,
		}
	)
	doc.flags.hub_origin = True
	doc.insert()
	frappe.db.set_value(
		"Customer",
		customer_name,
		{"customer_primary_contact": doc.name, "email_id": email, "mobile_no": phone},
		update_modified=False,
	)
	work.made.append(("Contact", doc.name))
