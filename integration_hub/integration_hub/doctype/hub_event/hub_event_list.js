/* global integration_hub */
frappe.listview_settings["Hub Event"] = {
	add_fields: ["reference_doctype"],
	hide_name_column: true,

	formatters: {
		reference_name: (...args) => integration_hub.document_in_list(...args),
		occurred_at: (value) => integration_hub.escape(integration_hub.from_utc(value)?.fromNow()),
	},

	onload(listview) {
		const column = listview.columns.find(({ df }) => df?.fieldname === "occurred_at");
		// In words it is the person's own time.
		if (column) column.df.label = __("Occurred");
	},
};
