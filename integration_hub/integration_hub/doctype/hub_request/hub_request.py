import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.core import queue, waiting

MAX_BULK = 500


class HubRequest(Document):
	def validate(self):
		frappe.throw(_("The hub itself keeps the state of its requests. Use Retry or Dismiss."))

	@frappe.whitelist()
	def retry(self) -> None:
		"""Put the request back into the queue; it runs as its system's user."""
		self.check_permission("write")
		_queue(self.name)
		queue.ring()

	@frappe.whitelist()
	def dismiss(self, reason: str) -> None:
		"""Take the request off the list of what needs a person; the same call may still try it again."""
		self.check_permission("write")
		if not (reason or "").strip():
			frappe.throw(_("Say why, so that others understand."))
		if not waiting.dismiss(self.name, frappe.session.user, reason):
			frappe.throw(
				_("Request {0} is {1} by now; only a failed or waiting one can be dismissed.").format(
					self.name, _(_status(self.name))
				)
			)


@frappe.whitelist(methods=["POST"])
def retry_many(names: str | list) -> dict:
	"""Put several requests back into the queue; return how many, and which were not resting."""
	names = frappe.parse_json(names)[:MAX_BULK]
	skipped = []
	for name in names:
		frappe.get_doc("Hub Request", name).check_permission("write")
		if not waiting.queue(name, frappe.session.user):
			skipped.append(name)
	queue.ring()
	return {"queued": len(names) - len(skipped), "skipped": skipped}


def _queue(name: str) -> None:
	if not waiting.queue(name, frappe.session.user):
		frappe.throw(
			_("Request {0} is {1} by now; only a failed or waiting one can be retried.").format(
				name, _(_status(name))
			)
		)


def _status(name: str) -> str:
	return frappe.db.get_value("Hub Request", name, "status")


@frappe.whitelist(methods=["POST"])
def dismiss_many(names: str | list, reason: str) -> dict:
	"""Dismiss several requests for one reason; return how many, and which were neither failed nor waiting."""
	names = frappe.parse_json(names)[:MAX_BULK]
	if not (reason or "").strip():
		frappe.throw(_("Say why, so that others understand."))
	skipped = []
	for name in names:
		frappe.get_doc("Hub Request", name).check_permission("write")
		if not waiting.dismiss(name, frappe.session.user, reason):
			skipped.append(name)
	return {"dismissed": len(names) - len(skipped), "skipped": skipped}
