from frappe.model.document import Document


class HubWarehouseMap(Document):
	pass
