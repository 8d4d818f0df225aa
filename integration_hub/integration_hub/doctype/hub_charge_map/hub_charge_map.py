from frappe.model.document import Document


class HubChargeMap(Document):
	pass
