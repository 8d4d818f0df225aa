"""Names of warehouses, the system's or ERPNext's → a Warehouse that can be used."""

import frappe
from frappe import _

from integration_hub.core.context import Caller
from integration_hub.exceptions import UnknownWarehouse, WarehouseNotUsable


def resolve(caller: Caller, name: str | None, pointer: str) -> str | None:
	"""Return the Warehouse for a name from outside; the system's default when there is none.

	Raises:
		UnknownWarehouse, WarehouseNotUsable
	"""
	system = caller.system
	if name is None:
		return system.warehouse
	mapped = next((row.warehouse for row in system.warehouse_map if row.external_warehouse == name), name)
	warehouse = frappe.db.get_value(
		"Warehouse", mapped, ["name", "company", "disabled", "is_group"], as_dict=True
	)
	if not warehouse or warehouse.name != mapped:
		raise UnknownWarehouse(
			_("There is no warehouse {0}. Send ERPNext's name, or map it in the Connected System.").format(
				name
			),
			pointer=pointer,
		)
	if warehouse.company != system.company:
		raise WarehouseNotUsable(
			_("Warehouse {0} belongs to {1}, not to {2}.").format(mapped, warehouse.company, system.company),
			pointer=pointer,
		)
	if warehouse.disabled or warehouse.is_group:
		state = _("disabled") if warehouse.disabled else _("a group")
		raise WarehouseNotUsable(_("Warehouse {0} is {1}.").format(mapped, state), pointer=pointer)
	return mapped
