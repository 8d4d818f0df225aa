from frappe.model.document import Document


class HubTaxMap(Document):
	pass
