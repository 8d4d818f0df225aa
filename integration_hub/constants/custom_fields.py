"""Fields the hub adds to other apps' DocTypes; used to install and to uninstall."""

MODULE = "Integration Hub"

# DocTypes of business documents that can come from outside.
TRACKED_DOCTYPES = (
	"Customer",
	"Contact",
	"Address",
	"Item",
	"Quotation",
	"Sales Order",
	"Delivery Note",
	"Sales Invoice",
	"Payment Entry",
)

# The field each DocType's section is put after: one that exists on v15 and v16.
_ANCHORS = {
	"Customer": "customer_details",
	"Contact": "is_primary_contact",
	"Address": "disabled",
	"Item": "description",
	"Quotation": "order_type",
	"Sales Order": "po_date",
	"Delivery Note": "po_date",
	"Sales Invoice": "po_date",
	"Payment Entry": "reference_date",
}


def _tracked(anchor: str) -> list[dict]:
	common = {"read_only": 1, "no_copy": 1, "print_hide": 1, "allow_on_submit": 1, "translatable": 0}
	return [
		{
			"fieldname": "hub_system",
			"label": "Connected System",
			"fieldtype": "Link",
			"options": "Hub Connected System",
			"insert_after": anchor,
			"depends_on": "hub_system",
			"in_standard_filter": 0,
			**common,
		},
		{
			"fieldname": "hub_external_id",
			"label": "External id",
			"fieldtype": "Data",
			"insert_after": "hub_system",
			"depends_on": "hub_external_id",
			"search_index": 1,
			"ignore_xss_filter": 1,
			**common,
		},
	]


_SALES_ORDER = [
	{
		"fieldname": "hub_order_number",
		"label": "Order number of the system",
		"fieldtype": "Data",
		"insert_after": "hub_external_id",
		"depends_on": "hub_order_number",
		"search_index": 1,
		"read_only": 1,
		"print_hide": 1,
		"allow_on_submit": 1,
		"translatable": 0,
	},
	{
		"fieldname": "hub_note",
		"label": "Note from the customer",
		"fieldtype": "Small Text",
		"insert_after": "hub_order_number",
		"depends_on": "hub_note",
		"print_hide": 1,
		"allow_on_submit": 1,
		"translatable": 0,
	},
	{
		"fieldname": "hub_discounts",
		"label": "Discounts of the system",
		"fieldtype": "Small Text",
		"insert_after": "hub_note",
		"depends_on": "hub_discounts",
		"read_only": 1,
		"print_hide": 1,
		"translatable": 0,
	},
	{
		"fieldname": "hub_held_because",
		"label": "Held because",
		"fieldtype": "Small Text",
		"insert_after": "hub_discounts",
		"depends_on": "hub_held_because",
		"read_only": 1,
		"no_copy": 1,
		"print_hide": 1,
		"translatable": 0,
	},
]

_DELIVERY_NOTE = [
	{
		"fieldname": fieldname,
		"label": label,
		"fieldtype": "Data",
		"insert_after": after,
		"depends_on": fieldname,
		"allow_on_submit": 1,
		"no_copy": 1,
		"translatable": 0,
		**extra,
	}
	for fieldname, label, after, extra in (
		("hub_carrier", "Carrier", "hub_external_id", {}),
		("hub_tracking_number", "Tracking number", "hub_carrier", {"search_index": 1}),
		("hub_tracking_url", "Tracking URL", "hub_tracking_number", {"options": "URL", "print_hide": 1}),
	)
]

_SALES_ORDER_ITEM = [
	{
		"fieldname": "hub_external_id",
		"label": "External id",
		"fieldtype": "Data",
		"insert_after": "customer_item_code",
		"read_only": 1,
		"print_hide": 1,
		"ignore_xss_filter": 1,
		"translatable": 0,
	}
]

# A row may be a tax, a charge (shipping, handling), or a difference booked by the totals gate.
_TAX_ROW = [
	{
		"fieldname": "hub_kind",
		"label": "Kind",
		"fieldtype": "Select",
		"options": "\ntax\ncharge\ndifference",
		"insert_after": "description",
		"hidden": 1,
		"print_hide": 1,
		"translatable": 0,
	},
	{
		"fieldname": "hub_code",
		"label": "Code of the system",
		"fieldtype": "Data",
		"insert_after": "hub_kind",
		"hidden": 1,
		"print_hide": 1,
		"ignore_xss_filter": 1,
		"translatable": 0,
	},
]


def _log_field(fieldname: str, label: str, fieldtype: str, after: str, **extra) -> dict:
	return {
		"fieldname": fieldname,
		"label": label,
		"fieldtype": fieldtype,
		"insert_after": after,
		"read_only": 1,
		"translatable": 0,
		**extra,
	}


_INTEGRATION_REQUEST = [
	_log_field("hub_section", "Integration Hub", "Section Break", "response_headers", read_only=0),
	_log_field(
		"hub_system",
		"Connected System",
		"Link",
		"hub_section",
		options="Hub Connected System",
		search_index=1,
		in_standard_filter=1,
	),
	_log_field("hub_direction", "Direction", "Select", "hub_system", options="\nIn\nOut"),
	_log_field("hub_request", "Hub Request", "Link", "hub_direction", options="Hub Request", search_index=1),
	_log_field(
		"hub_delivery", "Delivery", "Link", "hub_request", options="Hub Event Delivery", search_index=1
	),
	_log_field("hub_external_id", "External id", "Data", "hub_delivery", ignore_xss_filter=1),
	_log_field("hub_column", "", "Column Break", "hub_external_id", read_only=0),
	_log_field("hub_http_status", "HTTP status", "Int", "hub_column", in_standard_filter=1),
	_log_field("hub_error_code", "Error code", "Data", "hub_http_status", in_standard_filter=1),
	_log_field("hub_attempt", "Attempt", "Int", "hub_error_code"),
	_log_field("hub_duration_ms", "Duration (ms)", "Int", "hub_attempt"),
	_log_field("hub_count", "Calls this row stands for", "Int", "hub_duration_ms", default="1"),
]

CUSTOM_FIELDS: dict[str, list[dict]] = {
	**{doctype: _tracked(_ANCHORS[doctype]) for doctype in TRACKED_DOCTYPES},
	"Sales Order Item": _SALES_ORDER_ITEM,
	"Sales Taxes and Charges": _TAX_ROW,
	"Integration Request": _INTEGRATION_REQUEST,
}
CUSTOM_FIELDS["Sales Order"] = CUSTOM_FIELDS["Sales Order"] + _SALES_ORDER
CUSTOM_FIELDS["Delivery Note"] = CUSTOM_FIELDS["Delivery Note"] + _DELIVERY_NOTE
