from dataclasses import replace

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import escape_html

from integration_hub.inbound import webhook_maps
from integration_hub.mapping import exchange
from integration_hub.mapping.engine import FAULT, FieldMap, Row, compile_map
from integration_hub.mapping.errors import BadValue, MapFault, MapFaults
from integration_hub.mapping.exchange import MapFile
from integration_hub.mapping.values import Json, parse, render
from integration_hub.outbound import subscriptions


class HubFieldMap(Document):
	def validate(self):
		try:
			self.field_map()
		except MapFaults as e:
			_refuse(e)
		self._count_version()

	def on_update(self):
		subscriptions.changed()

	def _count_version(self):
		before = self.get_doc_before_save()
		if before is None:
			self.version = max(1, self.version or 1)
		elif before.as_file().rows != self.as_file().rows:
			self.version = (before.version or 1) + 1
		else:
			self.version = before.version or 1

	@frappe.whitelist()
	def try_sample(self) -> dict:
		"""Apply the rows as they stand, saved or not, to the sample.

		Return {"result": JSON text} (text, so that no browser rounds its numbers) or {"faults": [sentence, …]}; both, where
		the call the map is for would refuse the result.
		"""
		self.check_permission("write")
		try:
			mapped = self.field_map().apply(self._sample())
		except MapFaults as e:
			return {"faults": _sentences(e)}
		tried = {"result": render(mapped).decode()}
		if self.direction == "In" and self.try_operation:
			tried["faults"] = webhook_maps.check(self.try_operation, mapped, self.rows)
		return tried

	@frappe.whitelist()
	def export_json(self) -> str:
		"""Return the map as JSON text, for another site; without the sample."""
		self.check_permission("read")
		return exchange.write(self.as_file()).decode()

	def as_file(self) -> MapFile:
		"""Return the map as it is exchanged.

		Raises:
			MapFaults: a default or table that is no JSON.
		"""
		return MapFile(
			title=self.title,
			rows=tuple(self._rows()),
			direction=self.direction,
			description=self.description or "",
			version=self.version or 1,
		)

	def take(self, file: MapFile) -> None:
		"""Take direction, description and rows of a map that came as a file."""
		self.direction, self.description = file.direction, file.description
		self.set("rows", [_fields(row) for row in file.rows])

	def field_map(self) -> FieldMap:
		"""Return the rows compiled.

		Raises:
			MapFaults: every fault of every row.
		"""
		faults: list[MapFault] = []
		rows = self._rows(faults)
		try:
			compiled = compile_map(rows)
		except MapFaults as e:
			raise MapFaults([*faults, *e.faults]) from e
		if faults:
			raise MapFaults(faults)
		return compiled

	def _rows(self, faults: list[MapFault] | None = None) -> list[Row]:
		"""Return the rows as the engine takes them; what is no JSON is collected in `faults`, or raised."""
		found: list[MapFault] = []
		rows = [_row(row, found) for row in self.rows]
		if found and faults is None:
			raise MapFaults(found)
		if faults is not None:
			faults += found
		return rows

	def _sample(self) -> Json:
		try:
			return parse(self.sample or "")
		except BadValue as e:
			raise MapFaults([MapFault(0, "", _("The sample document: {0}").format(e))]) from e


@frappe.whitelist(methods=["POST"])
def read_json(content: str) -> dict:
	"""Return what an exported map holds, as the form takes it: title, direction, description, rows. Nothing is saved."""
	frappe.has_permission("Hub Field Map", "create", throw=True)
	try:
		file = exchange.read(content.encode())
		file.compiled()
	except MapFaults as e:
		_refuse(e)
	return {
		"title": file.title,
		"direction": file.direction,
		"description": file.description,
		"rows": [_fields(row) for row in file.rows],
	}


def _row(row: Document, faults: list[MapFault]) -> Row:
	plain = Row(
		row.target or "",
		row.source or "",
		bool(row.required),
		transform=row.transform or None,
		unknown=row.unknown or FAULT,
	)
	for name, text in (("default", row.default), ("table", row.value_table)):
		try:
			plain = replace(plain, **{name: parse(text)}) if text else plain
		except BadValue as e:
			label = _("Default") if name == "default" else _("Table")
			faults.append(
				MapFault(row.idx, row.target, _('{0}: {1} Text takes double quotes, "EUR".').format(label, e))
			)
	return plain


def _fields(row: Row) -> dict:
	"""Return a row as its DocType has it."""
	return {
		"target": row.target,
		"source": row.source,
		"required": int(row.required),
		"default": None if row.default is None else render(row.default).decode(),
		"transform": row.transform or "",
		"value_table": None if row.table is None else render(dict(row.table)).decode(),
		"unknown": row.unknown,
	}


def _refuse(error: MapFaults) -> None:
	faults = [escape_html(sentence) for sentence in _sentences(error)]
	frappe.throw(faults, title=_("The field map has faults"), as_list=True)


def _sentences(error: MapFaults) -> list[str]:
	return [
		_("Row {0}, {1}: {2}").format(fault.row, fault.target, fault.message) if fault.row else fault.message
		for fault in error.faults
	]
