from frappe.model.document import Document


class HubRequestItem(Document):
	pass
