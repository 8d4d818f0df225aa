"""`bench --site S integration-hub …`: commands for people who build the hub or run it."""

import json
from pathlib import Path

import click

import frappe
from frappe.commands import get_site, pass_context


@click.group("integration-hub")
def integration_hub() -> None:
	"""Commands of Integration Hub."""


_OUT = click.option(
	"--out",
	type=click.Path(dir_okay=False, path_type=Path),
	help="File to write; a relative path starts at the app's own directory. Without it: standard output.",
)


@integration_hub.command("openapi")
@_OUT
@pass_context
def openapi(context, out: Path | None) -> None:
	"""Write the OpenAPI description of the API as JSON."""
	frappe.init(get_site(context))
	frappe.connect()
	try:
		text = _render()
	finally:
		frappe.destroy()
	_write(text, out)


@integration_hub.command("events")
@_OUT
def events(out: Path | None) -> None:
	"""Write the catalogue of events as Markdown."""
	from integration_hub.outbound.catalogue import markdown

	_write(markdown(), out)


@integration_hub.command("deliver")
@pass_context
def deliver(context) -> None:
	"""Deliver events until stopped: a loop of its own, for a process manager. SIGTERM lets calls under way end."""
	from integration_hub.outbound.upkeep import deliver_forever

	frappe.init(get_site(context))
	frappe.connect()
	try:
		deliver_forever()
	finally:
		frappe.destroy()


def _render() -> str:
	"""Return the description as `docs/openapi.json` holds it."""
	from integration_hub.openapi.builder import build

	return json.dumps(build(), indent=1, sort_keys=False, ensure_ascii=False) + "\n"


def _write(text: str, out: Path | None) -> None:
	if out is None:
		click.echo(text, nl=False)
		return
	# bench changes to its `sites` directory first, so a relative path cannot start where the person is.
	target = Path(frappe.get_app_source_path("integration_hub")) / out
	target.write_text(text, encoding="utf-8")
	click.echo(f"Written to {target}")


commands = [integration_hub]
