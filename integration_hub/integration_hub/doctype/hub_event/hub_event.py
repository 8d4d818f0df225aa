import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.outbound import registry, replay, subscriptions, upkeep


class HubEvent(Document):
	def validate(self):
		frappe.throw(_("Events are written by what happens, and stay as they are."))

	def onload(self):
		known = registry.BY_NAME.get(self.event) or registry.TEST_EVENT
		self.set_onload("summary", _(known.summary) if known.name == self.event else self.event)

	@frappe.whitelist()
	def replay(self) -> dict:
		"""Deliver the event again to every webhook of its system that wants it."""
		frappe.has_permission("Hub Event", "write", throw=True)
		webhooks = [one for one in subscriptions.current().all if one.system == self.system]
		return replay.again([self.name], webhooks, frappe.session.user)

	@staticmethod
	def clear_old_logs(days: int = 90) -> None:
		"""Called by Log Settings: remove events older than `days`, but none that still has a delivery to make."""
		upkeep.purge(int(days))
