"""`system.*` of the public API."""

from werkzeug.wrappers import Response

import frappe

from integration_hub.core import intake


@frappe.whitelist(methods=["GET"])
def ping() -> Response:
	"""Answer who the caller is and what time it is here."""
	return intake.receive("system.ping")


@frappe.whitelist(methods=["GET"])
def openapi() -> Response:
	"""Answer the OpenAPI 3.1 description of this API."""
	return intake.receive("system.openapi")
