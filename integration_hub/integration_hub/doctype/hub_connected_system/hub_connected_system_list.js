frappe.listview_settings["Hub Connected System"] = {
	add_fields: ["enabled", "paused", "user", "api_key"],
	hide_name_column: true,

	get_indicator(doc) {
		if (!cint(doc.enabled)) return [__("Disabled"), "gray", "enabled,=,0"];
		if (!doc.user) return [__("No User"), "orange", "user,is,not set"];
		if (!doc.api_key) return [__("No Secret"), "red", "api_key,is,not set"];
		if (cint(doc.paused)) return [__("Paused"), "yellow", "paused,=,1"];
		return [__("Connected"), "green", "enabled,=,1|paused,=,0|api_key,is,set"];
	},
};
