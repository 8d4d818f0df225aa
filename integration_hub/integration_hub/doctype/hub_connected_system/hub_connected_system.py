import ipaddress
import re

import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.constants.scopes import SCOPES
from integration_hub.core import credentials
from integration_hub.inbound import webhook_presets, webhook_senders, webhook_topics
from integration_hub.outbound import endpoints, subscriptions


class HubConnectedSystem(Document):
	def validate(self):
		self._validate_slug()
		self._validate_scopes()
		self._validate_addresses()
		self._validate_company()
		self._validate_maps()
		self._validate_webhooks_in()

	def onload(self):
		address = f"/api/method/integration_hub.api.v1.webhooks.receive?system={self.name}"
		self.set_onload(
			"inbound",
			{
				"address": frappe.utils.get_url(address),
				"has_secret": webhook_senders.has_secret(self.name),
				"find_secret": webhook_senders.find_secret(self),
				"refusals": webhook_senders.refusals(self.name),
			},
		)

	def on_change(self):
		# Also where a field is written by itself, as when the user is made.
		subscriptions.changed()

	def on_update(self):
		before = self.get_doc_before_save()
		if before and self.enabled and not before.enabled:
			endpoints.release_held_of(self.name)
		if not self.user or not before:
			return
		credentials.sync_roles(self)
		if before.company != self.company:
			credentials.sync_company(self)

	def after_delete(self):
		subscriptions.changed()

	def on_trash(self):
		if frappe.db.exists("Hub Request", {"system": self.name}):
			frappe.throw(
				_("{0} has requests on record. Disable it instead; its history stays readable.").format(
					self.title
				)
			)

		if self.user:
			# Without its system nothing would keep the user to the hub's own calls.
			frappe.db.set_value("User", self.user, {"enabled": 0, "api_key": None})

	@frappe.whitelist()
	def create_user(self) -> dict:
		"""Make the system's user and return its credentials, which are shown once."""
		return vars(credentials.create_user(self.name))

	@frappe.whitelist()
	def rotate_secret(self, overlap_hours: float = 24) -> dict:
		"""Make a new secret; the old one stays valid for `overlap_hours`."""
		return vars(credentials.rotate(self.name, float(overlap_hours)))

	@frappe.whitelist()
	def revoke_secret(self) -> None:
		"""Make every secret worthless at once."""
		credentials.revoke(self.name)

	@frappe.whitelist()
	def set_inbound_secret(self, secret: str, overlap_hours: float = webhook_senders.OVERLAP_HOURS) -> None:
		"""Take the secret that the platform shows; the one before it stays good for `overlap_hours`."""
		webhook_senders.set_secret(self, secret, float(overlap_hours))

	@frappe.whitelist()
	def install_preset(self, preset: str, replace: bool = False) -> dict:
		"""Make field maps, scheme and topics of a platform; see `webhook_presets.install`."""
		return webhook_presets.install(self, preset, replace=bool(replace))

	def _validate_webhooks_in(self):
		try:
			webhook_senders.validate(self)
		except ValueError as e:
			frappe.throw(_("Webhooks in: {0}.").format(_(str(e))))
		if faults := webhook_topics.faults(self):
			frappe.throw(
				[frappe.utils.escape_html(fault) for fault in faults],
				title=_("Webhooks in"),
				as_list=True,
			)

	def _validate_slug(self):
		if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,60}[a-z0-9])?", self.slug or ""):
			frappe.throw(
				_("Slug: lower-case letters, digits and dashes, at most 62, a letter or digit at both ends.")
			)

	def _validate_scopes(self):
		unknown = [row.scope for row in self.scopes if row.scope not in SCOPES]
		if unknown:
			frappe.throw(_("Unknown scopes: {0}.").format(", ".join(unknown)))
		self._refuse_twice("scopes", "scope")

	def _validate_addresses(self):
		for network in (self.allowed_addresses or "").split():
			try:
				ipaddress.ip_network(network, strict=False)
			except ValueError:
				frappe.throw(
					_(
						"{0} is no IP address or network. Write one a line, such as 203.0.113.7 or 203.0.113.0/24."
					).format(network)
				)

	def _validate_company(self):
		for label, doctype, name in self._links_of_company():
			company = name and frappe.get_cached_value(doctype, name, "company")
			if name and company != self.company:
				frappe.throw(
					_("{0}: {1} belongs to {2}, not to {3}.").format(label, name, company, self.company)
				)

	def _links_of_company(self):
		"""Yield (label, DocType, name) of everything that must belong to the system's company."""
		for fieldname in ("warehouse", "cost_center", "taxes_template", "difference_account"):
			field = self.meta.get_field(fieldname)
			yield _(field.label), field.options, self.get(fieldname)
		for table in ("charge_map", "tax_map", "payment_method_map", "warehouse_map"):
			for row in self.get(table):
				for fieldname, doctype in (
					("account", "Account"),
					("cost_center", "Cost Center"),
					("warehouse", "Warehouse"),
				):
					if row.get(fieldname):
						yield (
							_("{0}, row {1}").format(_(self.meta.get_field(table).label), row.idx),
							doctype,
							row.get(fieldname),
						)

	def _validate_maps(self):
		self._refuse_twice("charge_map", "charge_code")
		self._refuse_twice("tax_map", "tax_code")
		self._refuse_twice("payment_method_map", "payment_method")
		self._refuse_twice("warehouse_map", "external_warehouse")

	def _refuse_twice(self, table: str, fieldname: str):
		seen = set()
		for row in self.get(table):
			if row.get(fieldname) in seen:
				frappe.throw(
					_("{0}: {1} stands there twice.").format(
						_(self.meta.get_field(table).label), row.get(fieldname)
					)
				)
			seen.add(row.get(fieldname))


@frappe.whitelist(methods=["GET"])
def presets() -> list[dict]:
	"""Return the presets there are: name, title, description."""
	frappe.has_permission("Hub Connected System", "write", throw=True)
	return webhook_presets.offered()
