"""What must hold after any fault. Each function reads what is committed and raises AssertionError."""

import frappe

from integration_hub.tests import site


def order_once(system: str, external_id: str) -> str:
	"""Assert one live Sales Order, one Reference and one completed request with one Completed log row; return the order."""
	order = site.order_of(system, external_id)
	assert order.docstatus == 1
	references = frappe.get_all(
		"Hub External Reference",
		filters={"system": system, "object_type": "order", "external_id": external_id},
		fields=["document_name", "state"],
	)
	assert references == [{"document_name": order.name, "state": "Live"}], references
	requests = [row for row in site.request_of(system, external_id) if row.http_status == 201]
	assert [row.status for row in requests] == ["Completed"], [row.as_dict() for row in requests]
	assert requests[0].reference_name == order.name
	completed = log_rows(requests[0].name, status="Completed")
	assert len(completed) == 1, completed
	return order.name


def no_order(system: str, external_id: str) -> None:
	"""Assert that nothing of an order stands."""
	site.refresh()
	filters = {"hub_system": system, "hub_external_id": external_id}
	assert frappe.get_all("Sales Order", filters=filters) == []
	assert (
		frappe.get_all("Hub External Reference", filters={"system": system, "external_id": external_id}) == []
	)


def log_rows(request: str, **filters) -> list:
	return frappe.get_all(
		"Integration Request", filters={"hub_request": request, **filters}, fields=["*"], order_by="creation"
	)


def reserved_quantities(item_codes: list[str]) -> None:
	"""Assert that each Bin reserves what the submitted orders ask for."""
	site.refresh()
	ordered = frappe.db.sql(
		"""SELECT line.item_code, line.warehouse, sum(line.stock_qty) FROM `tabSales Order Item` line
		WHERE line.docstatus = 1 AND line.item_code IN %s GROUP BY line.item_code, line.warehouse""",
		(item_codes,),
	)
	bins = frappe.db.sql(
		"""SELECT item_code, warehouse, sum(reserved_qty), count(*) FROM tabBin WHERE item_code IN %s
		GROUP BY item_code, warehouse HAVING sum(reserved_qty) != 0""",
		(item_codes,),
	)
	assert {row[:2]: float(row[2]) for row in bins} == {row[:2]: float(row[2]) for row in ordered}
	assert all(row[3] == 1 for row in bins), bins
