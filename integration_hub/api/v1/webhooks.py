"""`webhooks.*` of the public API."""

from werkzeug.wrappers import Response

import frappe

from integration_hub.core import intake


@frappe.whitelist(methods=["GET"])
def list() -> Response:
	"""Read the caller's webhooks."""
	return intake.receive("webhooks.list")


@frappe.whitelist(methods=["POST"])
def create() -> Response:
	"""Make a webhook."""
	return intake.receive("webhooks.create")


@frappe.whitelist(methods=["POST"])
def update() -> Response:
	"""Change, pause or resume a webhook."""
	return intake.receive("webhooks.update")


@frappe.whitelist(methods=["POST"])
def delete() -> Response:
	"""Delete a webhook."""
	return intake.receive("webhooks.delete")


@frappe.whitelist(methods=["POST"])
def test() -> Response:
	"""Send a test event now."""
	return intake.receive("webhooks.test")


@frappe.whitelist(methods=["POST"])
def rotate_secret() -> Response:
	"""Make a new secret."""
	return intake.receive("webhooks.rotate_secret")


# A signature vouches for each call: what platforms send has no credentials of ours.
@frappe.whitelist(methods=["POST"], allow_guest=True)  # nosemgrep: guest-whitelisted-method
def receive() -> Response:
	"""Take what another platform sends."""
	return intake.receive("webhooks.receive")
