from frappe import _


def get_data() -> dict:
	"""Connections of a field map: the webhooks that use it."""
	return {
		"fieldname": "field_map",
		"transactions": [{"label": _("Used by"), "items": ["Hub Webhook"]}],
	}
