"""What Frappe calls on install and on migrate; the work is in setup/."""

from integration_hub.setup import make


def after_install() -> None:
	make()


def after_migrate() -> None:
	make()
