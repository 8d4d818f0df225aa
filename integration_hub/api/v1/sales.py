"""`sales.*` of the public API."""

from werkzeug.wrappers import Response

import frappe

from integration_hub.core import intake


@frappe.whitelist(methods=["POST"])
def fulfill() -> Response:
	"""Deliver an order, or lines of it."""
	return intake.receive("sales.fulfill")


@frappe.whitelist(methods=["POST"])
def invoice() -> Response:
	"""Bill an order or a delivery, or lines of it."""
	return intake.receive("sales.invoice")


@frappe.whitelist(methods=["POST"])
def pay() -> Response:
	"""Book money received for an order or an invoice."""
	return intake.receive("sales.pay")


@frappe.whitelist(methods=["POST"])
def refund() -> Response:
	"""Take goods back, give credit, pay money back."""
	return intake.receive("sales.refund")


@frappe.whitelist(methods=["POST"])
def run() -> Response:
	"""An order and what follows it, in one call."""
	return intake.receive("sales.run")


@frappe.whitelist(methods=["GET"])
def status() -> Response:
	"""Everything that has happened to an order."""
	return intake.receive("sales.status")
