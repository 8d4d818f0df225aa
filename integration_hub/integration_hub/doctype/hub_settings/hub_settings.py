# Copyright (c) 2026, Integration Hub contributors and contributors
# For license information, please see license.txt

# import frappe
from frappe.model.document import Document


class HubSettings(Document):
	pass
