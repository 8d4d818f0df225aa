"""The page /integration-hub: the description of the API, for people."""

import json
import os

import frappe
from frappe import _

from integration_hub.openapi import builder

VIEWER = "openapi-explorer/dist/browser/openapi-explorer.min.js"

no_cache = 1


def get_context(context) -> None:
	"""Fill the page: the OpenAPI document and what a first call needs. Nothing of the site's data is in it."""
	description = builder.build()
	context.title = _("Integration Hub API")
	context.version = description["info"]["version"]
	context.base_url = frappe.utils.get_url()
	context.viewer = f"/assets/integration_hub/node_modules/{VIEWER}" if _viewer_is_installed() else None
	context.description = _as_script_text(description)
	context.words = _as_script_text({"copy": _("Copy"), "copied": _("Copied")})
	context.first_order = json.dumps(_example(description), indent=2, ensure_ascii=False)


def _viewer_is_installed() -> bool:
	return os.path.exists(
		os.path.join(frappe.local.sites_path, "assets", "integration_hub", "node_modules", VIEWER)
	)


def _as_script_text(value: dict) -> str:
	"""Return JSON that cannot end the `script` element it stands in."""
	return (
		json.dumps(value, ensure_ascii=False)
		.replace("<", "\\u003c")
		.replace("\u2028", "\\u2028")
		.replace("\u2029", "\\u2029")
	)


def _example(description: dict) -> dict:
	"""Return the example body of `orders.create`."""
	path = description["paths"]["/api/method/integration_hub.api.v1.orders.create"]
	return path["post"]["requestBody"]["content"]["application/json"].get("example", {})
