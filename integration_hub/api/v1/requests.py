"""`requests.*` of the public API."""

from werkzeug.wrappers import Response

import frappe

from integration_hub.core import intake


@frappe.whitelist(methods=["GET"])
def get() -> Response:
	"""Read the state of one of the caller's own requests."""
	return intake.receive("requests.get")


@frappe.whitelist(methods=["POST"])
def retry() -> Response:
	"""Try one of the caller's own failed or waiting requests again, now."""
	return intake.receive("requests.retry")


@frappe.whitelist(methods=["POST"])
def cancel() -> Response:
	"""Take one of the caller's own requests out of the queue."""
	return intake.receive("requests.cancel")


@frappe.whitelist(methods=["GET"])
def list() -> Response:
	"""Read the caller's own requests, by cursor."""
	return intake.receive("requests.list")
