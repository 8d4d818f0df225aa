"""What Frappe calls before it removes the app."""

from integration_hub.setup import remove


def before_uninstall() -> None:
	remove()
