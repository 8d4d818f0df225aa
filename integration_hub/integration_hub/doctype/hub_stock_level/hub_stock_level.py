from frappe.model.document import Document


class HubStockLevel(Document):
	pass
