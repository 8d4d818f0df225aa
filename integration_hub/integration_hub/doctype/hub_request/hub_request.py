import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.core import batches, queue, waiting
from integration_hub.core import work as works
from integration_hub.exceptions import StateConflict

MAX_BULK = 500
MAX_ITEMS = 1_000


class HubRequest(Document):
	def onload(self):
		if self.get("items"):
			self.set_onload("progress", batches.progress(self.name))
		if self.status in ("Queued", "Retry Scheduled"):
			self.set_onload("waits_for", _waits_for(self))

	def validate(self):
		frappe.throw(_("The hub itself keeps the state of its requests. Use Retry, Cancel or Dismiss."))

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
		_check_reason(reason)
		if not waiting.dismiss(self.name, frappe.session.user, reason):
			frappe.throw(
				_("Request {0} is {1} by now; only a failed or waiting one can be dismissed.").format(
					self.name, _(_status(self.name))
				)
			)


def _waits_for(request: HubRequest) -> dict:
	"""Return what keeps a request from being begun: {"hub_paused", "system_paused", "ahead", "most_attempts"}."""
	paused = frappe.db.get_value("Hub Connected System", request.system, "paused")
	return {
		"hub_paused": bool(frappe.get_cached_doc("Hub Settings").paused),
		"system_paused": bool(paused),
		"ahead": waiting.ahead_of(request.name),
		"most_attempts": _most_attempts(request),
	}


def _most_attempts(request: HubRequest) -> int:
	settings = frappe.get_cached_doc("Hub Settings")
	if request.waits:
		return settings.dependency_attempts
	return works.most_attempts(settings, bool(request.asynchronous))


@frappe.whitelist(methods=["GET"])
def standing(name: str, status: str | None = None, count: int = 50) -> dict:
	"""Return how a batch stands, and the first of its items: {"progress", "items"}, see `core.batches`."""
	frappe.has_permission("Hub Request", "read", doc=name, throw=True)
	return {
		"progress": batches.progress(name),
		"items": batches.lines(name, status, min(int(count), MAX_ITEMS)),
	}


@frappe.whitelist(methods=["POST"])
def cancel_waiting(name: str) -> None:
	"""Take a request that has not begun, or all of a batch that has not, out of the queue."""
	frappe.has_permission("Hub Request", "write", doc=name, throw=True)
	try:
		queue.cancel(name, frappe.session.user)
	except StateConflict as e:
		frappe.throw(e.message)


@frappe.whitelist(methods=["POST"])
def retry_many(names: str | list) -> dict:
	"""Put several requests back into the queue; return how many, and which were not resting."""
	skipped = []
	for name in (names := _selected(names)):
		frappe.get_doc("Hub Request", name).check_permission("write")
		if not waiting.queue(name, frappe.session.user):
			skipped.append(name)
	queue.ring()
	return {"queued": len(names) - len(skipped), "skipped": skipped}


def _selected(names: str | list) -> list[str]:
	names = frappe.parse_json(names)
	if len(names) > MAX_BULK:
		frappe.throw(_("{0} requests at once are too many; select {1} at most.").format(len(names), MAX_BULK))
	return names


def _check_reason(reason: str | None) -> None:
	if not (reason or "").strip():
		frappe.throw(_("Say why, so that others understand."))


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
	_check_reason(reason)
	skipped = []
	for name in (names := _selected(names)):
		frappe.get_doc("Hub Request", name).check_permission("write")
		if not waiting.dismiss(name, frappe.session.user, reason):
			skipped.append(name)
	return {"dismissed": len(names) - len(skipped), "skipped": skipped}
