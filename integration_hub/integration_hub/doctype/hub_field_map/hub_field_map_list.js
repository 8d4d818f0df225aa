frappe.listview_settings["Hub Field Map"] = {
	// Named by its title.
	hide_name_column: true,
};
