from frappe.model.document import Document


class HubFieldMapRow(Document):
	pass
