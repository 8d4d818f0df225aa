"""Serves a bench that has one site and no nginx: what `bench serve` adds to Frappe, for gunicorn's workers.

Assets and files come from the same port, any host name leads to the site, and the Desk finds socket.io."""

import os

import frappe.app
from frappe.utils import get_site_name, safe_exec

frappe_application = frappe.app.application_with_statics()
SITE = os.environ["HUB_SITE"]


def application(environ, start_response):
	if not os.path.isdir(get_site_name(environ.get("HTTP_HOST", ""))):
		environ["HTTP_X_FRAPPE_SITE_NAME"] = SITE
	return frappe_application(environ, start_response)


def with_socketio_port(get_globals):
	"""Pages marked `dev_server` look for socket.io on its own port. The environment variable DEV_SERVER would
	do that too, but also show tracebacks and switch caches off."""
	return lambda *args: frappe._dict(get_globals(*args), dev_server=1)


safe_exec.get_safe_globals = with_socketio_port(safe_exec.get_safe_globals)
