/* global integration_hub */
frappe.ui.form.on("Hub Field Map", {
	refresh(frm) {
		frm.get_field("result").$wrapper.empty();
		frm.toggle_display("try_button", may_write(frm));
		if (!frm.is_new()) frm.add_custom_button(__("Export"), () => export_map(frm));
		if (may_write(frm)) frm.add_custom_button(__("Import"), () => import_map(frm));
	},

	async try_button(frm) {
		const { message } = await frm.call({ doc: frm.doc, method: "try_sample", freeze: true });
		if (message) show_result(frm.get_field("result").$wrapper, message);
	},
});

function may_write(frm) {
	return Boolean(frm.perm[0]?.write);
}

function show_result($wrapper, { result, faults }) {
	$wrapper.attr("aria-live", "polite").empty();
	if (faults?.length) $wrapper.append(faults_list(faults));
	if (result) $wrapper.append(integration_hub.json_block(result, __("Result")));
}

function faults_list(faults) {
	const $list = $(`<ul class="text-danger"></ul>`);
	faults.forEach((fault) => $("<li></li>").text(fault).appendTo($list));
	return $list;
}

async function export_map(frm) {
	if (!integration_hub.is_saved(frm)) return;
	const { message } = await frm.call({ doc: frm.doc, method: "export_json" });
	const link = document.createElement("a");
	link.href = URL.createObjectURL(new Blob([message], { type: "application/json" }));
	link.download = `${frappe.scrub(frm.doc.title).replace(/[^a-z0-9_-]+/g, "-")}.json`;
	link.click();
	URL.revokeObjectURL(link.href);
}

function import_map(frm) {
	frappe.prompt(
		[
			{
				fieldname: "content",
				fieldtype: "Code",
				options: "JSON",
				label: __("An exported field map"),
				reqd: 1,
				description: __(
					"Takes the place of the rows of this form. Nothing is saved until you press Save."
				),
			},
		],
		async ({ content }) => {
			const { message } = await frappe.call({
				method: "integration_hub.integration_hub.doctype.hub_field_map.hub_field_map.read_json",
				args: { content },
				freeze: true,
			});
			if (message) take(frm, message);
		},
		__("Import"),
		__("Import")
	);
}

function take(frm, { title, direction, description, rows }) {
	if (frm.is_new() && !frm.doc.title) frm.set_value("title", title);
	frm.set_value({ direction, description });
	frm.clear_table("rows");
	rows.forEach((row) => frm.add_child("rows", row));
	frm.refresh_field("rows");
	frm.dirty();
}
