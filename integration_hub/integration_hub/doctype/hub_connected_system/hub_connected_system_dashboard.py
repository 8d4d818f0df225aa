from frappe import _


def get_data() -> dict:
	"""Connections of a system: its requests and references, what it is told, and the log."""
	return {
		"fieldname": "system",
		"non_standard_fieldnames": {"Integration Request": "hub_system"},
		"transactions": [
			{"label": _("Activity"), "items": ["Hub Request", "Hub External Reference"]},
			{"label": _("Events out"), "items": ["Hub Webhook", "Hub Event", "Hub Event Delivery"]},
			{"label": _("Log"), "items": ["Integration Request"]},
		],
	}
