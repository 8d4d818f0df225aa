import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.core import references


class HubExternalReference(Document):
	def validate(self):
		self.external_hash = references.hash_of(self.system, self.object_type, self.external_id)
		if not self.document_type or not self.document_name:
			frappe.throw(_("Choose the document that {0} stands for.").format(self.external_id))
		if not frappe.db.exists(self.document_type, self.document_name):
			frappe.throw(_("There is no {0} {1}.").format(_(self.document_type), self.document_name))
		self._refuse_second()
		if self.state == references.RESERVED or self.has_value_changed("document_name"):
			self.state = references.LIVE

	def _refuse_second(self):
		other = references.find(self.system, self.object_type, self.external_id)
		if other and other.name != self.name:
			frappe.throw(
				_("{0} {1} of {2} is bound to {3} {4} already. Change that Reference instead.").format(
					_(self.object_type),
					self.external_id,
					self.system,
					_(other.document_type or ""),
					other.document_name or "",
				)
			)
