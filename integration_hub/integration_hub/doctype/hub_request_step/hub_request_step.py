from frappe.model.document import Document


class HubRequestStep(Document):
	pass
