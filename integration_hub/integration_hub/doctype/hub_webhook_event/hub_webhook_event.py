from frappe.model.document import Document


class HubWebhookEvent(Document):
	pass
