from frappe import _


def get_data() -> dict:
	"""Connections of a system: its requests and references, and the log."""
	return {
		"fieldname": "system",
		"non_standard_fieldnames": {"Integration Request": "hub_system"},
		"transactions": [
			{"label": _("Activity"), "items": ["Hub Request", "Hub External Reference"]},
			{"label": _("Log"), "items": ["Integration Request"]},
		],
	}
