"""`events.*` of the public API."""

from werkzeug.wrappers import Response

import frappe

from integration_hub.core import intake


@frappe.whitelist(methods=["GET"])
def list() -> Response:
	"""Read what happened, by cursor."""
	return intake.receive("events.list")


@frappe.whitelist(methods=["GET"])
def get() -> Response:
	"""Read one event."""
	return intake.receive("events.get")


@frappe.whitelist(methods=["POST"])
def replay() -> Response:
	"""Deliver events again."""
	return intake.receive("events.replay")
