frappe.listview_settings["Hub Webhook"] = {
	add_fields: ["status", "mode", "failing_since", "open_until"],
	hide_name_column: true,

	get_indicator(doc) {
		const now = moment.utc().format("YYYY-MM-DD HH:mm:ss");
		if (doc.status !== "Active") return [__(doc.status), "red", `status,=,${doc.status}`];
		if (doc.open_until > now) return [__("Suspended"), "yellow", `status,=,Active|open_until,>,${now}`];
		if (doc.failing_since) return [__("Failing"), "orange", "status,=,Active|failing_since,is,set"];
		return [__("Active"), "green", "status,=,Active|failing_since,is,not set"];
	},
};
