"""Pages of lists, as every reading verb with a cursor answers them."""

from collections.abc import Callable

from frappe import _

from integration_hub.core.cursor import NotACursor, page
from integration_hub.exceptions import Fault, ValidationFailed


def listed(name: str, fetch: Callable, query, columns: dict[str, type], **options) -> dict:
	"""Return one page of the list of verb `name`; see `cursor.page`.

	Args:
		query: what was asked, with `limit` and `cursor`.
		options: `stream` and `caught_up`.

	Raises:
		ValidationFailed: the cursor is none of this list's.
	"""
	kind = name.split(".")[0]
	try:
		return page(fetch, query.limit, kind=kind, columns=columns, cursor=query.cursor, **options)
	except NotACursor as e:
		message = _("This is no cursor of {0}. Send next_cursor of a page before, or none.").format(name)
		raise ValidationFailed(message, errors=[Fault("?cursor", message, "not_a_cursor")]) from e
