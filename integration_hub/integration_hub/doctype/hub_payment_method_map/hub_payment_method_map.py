from frappe.model.document import Document


class HubPaymentMethodMap(Document):
	pass
