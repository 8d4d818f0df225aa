"""`orders.*` of the public API."""

from werkzeug.wrappers import Response

import frappe

from integration_hub.core import intake


@frappe.whitelist(methods=["POST"])
def create() -> Response:
	"""Place an order, exactly once."""
	return intake.receive("orders.create")


@frappe.whitelist(methods=["GET"])
def get() -> Response:
	"""Read an order by external_id or name."""
	return intake.receive("orders.get")


@frappe.whitelist(methods=["POST"])
def update() -> Response:
	"""Change an order: lines, dates, addresses."""
	return intake.receive("orders.update")


@frappe.whitelist(methods=["POST"])
def cancel() -> Response:
	"""Cancel an order; with cascade also what followed it."""
	return intake.receive("orders.cancel")


@frappe.whitelist(methods=["POST"])
def create_many() -> Response:
	"""Place up to a thousand orders, each exactly once."""
	return intake.receive("orders.create_many")


@frappe.whitelist(methods=["GET"])
def list() -> Response:
	"""Read orders by cursor."""
	return intake.receive("orders.list")
