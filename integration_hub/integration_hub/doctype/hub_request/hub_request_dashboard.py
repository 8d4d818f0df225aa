from frappe import _


def get_data() -> dict:
	"""Connections of a request: what it made, and the log row of each attempt."""
	return {
		"fieldname": "request",
		"non_standard_fieldnames": {"Integration Request": "hub_request"},
		"transactions": [
			{"label": _("Made by this request"), "items": ["Hub External Reference"]},
			{"label": _("Log of attempts"), "items": ["Integration Request"]},
		],
	}
