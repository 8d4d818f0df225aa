import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import escape_html

from integration_hub.mapping.engine import FieldMap, Row, compile_map
from integration_hub.mapping.errors import BadValue, MapFault, MapFaults
from integration_hub.mapping.values import Json, parse, render
from integration_hub.outbound import subscriptions


class HubFieldMap(Document):
	def validate(self):
		try:
			self.field_map()
		except MapFaults as e:
			faults = [escape_html(sentence) for sentence in _sentences(e)]
			frappe.throw(faults, title=_("The field map has faults"), as_list=True)

	def on_update(self):
		subscriptions.changed()

	@frappe.whitelist()
	def try_sample(self) -> dict:
		"""Apply the rows as they stand, saved or not, to the sample.

		Return {"result": JSON text} (text, so that no browser rounds its numbers) or {"faults": [sentence, …]}.
		"""
		self.check_permission("write")
		try:
			return {"result": render(self.field_map().apply(self._sample())).decode()}
		except MapFaults as e:
			return {"faults": _sentences(e)}

	def field_map(self) -> FieldMap:
		"""Return the rows compiled.

		Raises:
			MapFaults: every fault of every row.
		"""
		rows, faults = [], []
		for row in self.rows:
			try:
				rows.append(_row(row, parse(row.default) if row.default else None))
			except BadValue as e:
				rows.append(_row(row, None))
				faults.append(
					MapFault(
						row.idx, row.target, _('Default: {0} Text takes double quotes, "EUR".').format(e)
					)
				)
		try:
			compiled = compile_map(rows)
		except MapFaults as e:
			raise MapFaults([*faults, *e.faults]) from e
		if faults:
			raise MapFaults(faults)
		return compiled

	def _sample(self) -> Json:
		try:
			return parse(self.sample or "")
		except BadValue as e:
			raise MapFaults([MapFault(0, "", _("The sample document: {0}").format(e))]) from e


def _row(row: Document, default: Json) -> Row:
	return Row(row.target or "", row.source or "", bool(row.required), default, row.transform or None)


def _sentences(error: MapFaults) -> list[str]:
	return [
		_("Row {0}, {1}: {2}").format(fault.row, fault.target, fault.message) if fault.row else fault.message
		for fault in error.faults
	]
