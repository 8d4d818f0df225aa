const REFERENCE_COLORS = { Live: "green", Reserved: "orange", Tombstone: "gray" };

frappe.listview_settings["Hub External Reference"] = {
	add_fields: ["state", "document_type"],
	hide_name_column: true,

	get_indicator(doc) {
		return [__(doc.state), REFERENCE_COLORS[doc.state] || "gray", `state,=,${doc.state}`];
	},
};
