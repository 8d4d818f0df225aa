import ipaddress

import frappe
from frappe import _
from frappe.model.document import Document


class HubSettings(Document):
	def validate(self):
		for network in (self.trusted_proxies or "").split():
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
