from frappe.model.document import Document


class HubSettableField(Document):
	pass
