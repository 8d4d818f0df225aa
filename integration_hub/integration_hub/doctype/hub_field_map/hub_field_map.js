/* global integration_hub */
frappe.ui.form.on("Hub Field Map", {
	refresh(frm) {
		frm.get_field("result").$wrapper.empty();
		frm.toggle_display("try_button", Boolean(frm.perm[0]?.write));
	},

	async try_button(frm) {
		const { message } = await frm.call({ doc: frm.doc, method: "try_sample", freeze: true });
		if (message) show_result(frm.get_field("result").$wrapper, message);
	},
});

function show_result($wrapper, { result, faults }) {
	$wrapper
		.attr("aria-live", "polite")
		.html(faults ? faults_list(faults) : integration_hub.json_block(result, __("Result")));
}

function faults_list(faults) {
	const $list = $(`<ul class="text-danger"></ul>`);
	faults.forEach((fault) => $("<li></li>").text(fault).appendTo($list));
	return $list;
}
