from frappe.model.document import Document


class HubInboundTopic(Document):
	pass
