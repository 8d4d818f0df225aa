import ipaddress

import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.core import addresses


class HubSettings(Document):
	def validate(self):
		for network in f"{self.trusted_proxies or ''} {self.webhook_allowed_networks or ''}".split():
			try:
				ipaddress.ip_network(network, strict=False)
			except ValueError:
				frappe.throw(
					_(
						"{0} is no IP address or network. Write one a line, such as 10.0.0.5 or 10.0.0.0/24."
					).format(network)
				)
		if self.retry_delay_seconds > self.retry_delay_max_seconds:
			frappe.throw(_("The first wait is longer than the longest."))
		for port in (self.webhook_ports or "").split():
			if not port.isdecimal() or not 1 <= int(port) <= 65535:
				frappe.throw(_("{0} is no port. Write one a line, such as 443.").format(port))
		self._validate_proxy()

	def _validate_proxy(self):
		proxy = self.get_password("egress_proxy", raise_exception=False) if self.egress_proxy else None
		if not proxy:
			return
		try:
			addresses.check_proxy(proxy)
		except addresses.AddressRefused as e:
			frappe.throw(_(e.sentence).format(*e.values))
