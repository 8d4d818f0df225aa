import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.outbound import replay

MAX_BULK = 5_000


class HubEventDelivery(Document):
	def validate(self):
		frappe.throw(_("The hub itself keeps the state of its deliveries. Use Redeliver."))

	@frappe.whitelist()
	def redeliver(self) -> None:
		"""Send it again, under the same id."""
		self.check_permission("write")
		if not replay.redeliver([self.name], frappe.session.user):
			frappe.throw(_("It is being sent at this moment, or cannot be sent; the error says why."))

	@frappe.whitelist()
	def attempts(self) -> list[dict]:
		"""Return the attempts on record, oldest first; Frappe's Log Settings say how long they are kept."""
		self.check_permission("read")
		return frappe.get_all(
			"Integration Request",
			filters={"hub_delivery": self.name},
			fields=[
				"creation",
				"status",
				"hub_http_status",
				"hub_attempt",
				"hub_duration_ms",
				"error",
				"url",
			],
			order_by="creation asc",
		)


@frappe.whitelist(methods=["POST"])
def redeliver_many(names: str | list) -> dict:
	"""Send several deliveries again; return how many, and how many are being sent at this moment."""
	names = frappe.parse_json(names)
	if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
		frappe.throw(_("Send a list of names."))
	names = names[:MAX_BULK]
	frappe.has_permission("Hub Event Delivery", "write", throw=True)
	due = replay.redeliver(names, frappe.session.user)
	return {"due": due, "skipped": len(names) - due}
