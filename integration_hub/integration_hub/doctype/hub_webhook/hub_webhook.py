import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.exceptions import HubError
from integration_hub.outbound import (
	endpoints,
	network,
	outbox,
	registry,
	subscriptions,
	trial,
	visibility,
	webhook_rules,
)
from integration_hub.outbound import stock as stock_levels


class HubWebhook(Document):
	def validate(self):
		webhook_rules.check_in_desk(self)

	def before_save(self):
		self.update(endpoints.own_fields(self.name))

	def after_insert(self):
		if self.mode == "Push":
			self.flags.new_secret = endpoints.rotate(self.name)
			self.update(endpoints.own_fields(self.name))

	def onload(self):
		if self.flags.new_secret:
			# Shown once, to whoever made the webhook.
			self.set_onload("new_secret", self.flags.new_secret)
		system = frappe.db.get_value("Hub Connected System", self.system, ["enabled", "user"], as_dict=True)
		self.set_onload("system_receives", bool(system and system.enabled and system.user))

	def on_update(self):
		subscriptions.changed()
		stock_levels.begin_for(self)

	def on_trash(self):
		outbox.forget_webhook(self.name)

	def after_delete(self):
		subscriptions.changed()

	@frappe.whitelist()
	def send_test(self) -> dict:
		"""Send a test event now; return how it went."""
		self.check_permission("write")
		try:
			return trial.send(self.name)
		except HubError as error:
			frappe.throw(error.message)

	@frappe.whitelist()
	def rotate_secret(self, overlap_hours: float = endpoints.OVERLAP_HOURS) -> str:
		"""Make a new secret and return it, once; the old one signs as well for `overlap_hours`."""
		self.check_permission("write")
		return endpoints.rotate(self.name, float(overlap_hours))

	@frappe.whitelist()
	def pause(self, reason: str = "") -> None:
		"""Send nothing more; events are kept and held."""
		self.check_permission("write")
		because = _("{0} paused it.").format(frappe.utils.get_fullname())
		endpoints.stop(self.name, endpoints.PAUSED, f"{because} {reason or ''}".strip(), told=True)

	@frappe.whitelist()
	def resume(self) -> int:
		"""Send what was held, and all that comes; return how many deliveries go on."""
		self.check_permission("write")
		return endpoints.resume(self.name)

	@frappe.whitelist()
	def delivery_counts(self) -> dict:
		"""Return how many deliveries are in each state."""
		self.check_permission("read")
		return outbox.counts(self.name)


@frappe.whitelist()
def catalogue() -> list[dict]:
	"""Return every name and pattern a webhook can ask for, as {"value", "description"}."""
	frappe.has_permission("Hub Webhook", throw=True)
	return [{"value": pattern, "description": _described(pattern)} for pattern in registry.patterns()]


def _described(pattern: str) -> str:
	if pattern in registry.BY_NAME:
		return _(registry.BY_NAME[pattern].summary)
	if pattern == "*":
		return _("Everything but document.*")
	return _("All {0} of this kind").format(len(registry.matching(pattern)))


@frappe.whitelist()
def readable_fields(system: str, document_type: str) -> list[str] | None:
	"""Return the fields of a DocType that a system's user may read: none where it may not read such documents at all, and None
	where there is no user yet."""
	frappe.has_permission("Hub Webhook", "write", throw=True)
	user = frappe.db.get_value("Hub Connected System", system, "user")
	if not user:
		return None
	if not frappe.has_permission(document_type, "read", user=user):
		return []
	return sorted(visibility.readable(document_type, user)[""])


@frappe.whitelist(methods=["POST"])
def why_refused(url: str) -> str:
	"""Return why Hub Settings do not let the hub call a URL; empty: they do."""
	frappe.has_permission("Hub Webhook", "write", throw=True)
	try:
		network.check(url)
	except HubError as error:
		return error.message
	return ""
