from frappe.model.document import Document


class HubSystemScope(Document):
	pass
