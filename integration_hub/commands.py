"""`bench --site S integration-hub …`: commands for people who build the hub or run it."""

import json
from contextlib import contextmanager
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
	with _connected(context):
		text = _render()
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

	with _connected(context):
		deliver_forever()


@integration_hub.command("drain")
@pass_context
def drain(context) -> None:
	"""Work off the requests that wait, until none is due; beside the workers, or without any."""
	from integration_hub.core import queue

	with _connected(context):
		done = queue.drain(seconds=_FOR_EVER)
		queue.settle_batches()
	click.echo(f"Tried {done} requests.")


@integration_hub.command("retry")
@click.argument("names", nargs=-1)
@click.option("--system", help="All failed requests of this Connected System")
@click.option("--code", help="Only those that failed with this code, such as unknown_item")
@pass_context
def retry(context, names: tuple[str, ...], system: str | None, code: str | None) -> None:
	"""Put failed requests back into the queue: those named, or all of a system or with an error code."""
	from integration_hub.core import queue, waiting

	if not (names or system or code):
		raise click.UsageError("Name requests, or say which with --system or --code.")
	with _connected(context):
		found = list(names) or waiting.failed(system, code)
		skipped = queue.put_back(found, frappe.session.user)
	click.echo(f"Queued {len(found) - len(skipped)} of {len(found)} requests.")
	for name in skipped:
		click.echo(f"{name} is neither failed nor waiting.")


@integration_hub.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For programs")
@pass_context
def doctor(context, as_json: bool) -> None:
	"""Look the site over and say what to do; exit code 1 when something is broken."""
	from dataclasses import asdict

	from integration_hub.core import doctor

	with _connected(context):
		findings = doctor.examine()
	if as_json:
		click.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=1))
	else:
		for finding in findings:
			click.secho(f"{finding.level:8}", fg=_COLORS[finding.level], nl=False)
			click.echo(f"{finding.area}: {finding.message}")
			if finding.remedy:
				click.echo(f"{'':8}→ {finding.remedy}")
	if any(finding.level == doctor.ERROR for finding in findings):
		raise SystemExit(1)


_COLORS = {"ok": "green", "warning": "yellow", "error": "red"}
_FOR_EVER = 10 * 365 * 86400


@contextmanager
def _connected(context):
	frappe.init(get_site(context))
	frappe.connect()
	try:
		yield
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
