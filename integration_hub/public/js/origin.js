/* global integration_hub */
// On forms of business documents: which system a document came from, with the way to its request and Reference.
(() => {
	const TRACKED = ["Customer", "Contact", "Address", "Item", "Quotation", "Sales Order", "Payment Entry"];
	const escape = (text) => frappe.utils.escape_html(cstr(text));

	// The file comes with each of these DocTypes; its handlers must be there once.
	frappe.provide("integration_hub");
	if (integration_hub.shows_origin) return;
	integration_hub.shows_origin = true;
	TRACKED.forEach((doctype) => frappe.ui.form.on(doctype, { refresh: show_origin }));

	async function show_origin(frm) {
		if (!frm.doc.hub_system || frm.is_new()) return;
		show_why_held(frm);
		if (!frappe.model.can_read("Hub External Reference")) return;
		const { doctype, name } = frm.doc;
		const references = await frappe.db.get_list("Hub External Reference", {
			filters: { document_type: doctype, document_name: name },
			fields: ["name", "system", "external_id", "request"],
			order_by: "creation asc",
			limit: 20,
		});
		if (frm.doc.name !== name || !references.length) return;
		frm.dashboard.stats_area_row.find(".hub-origin").closest(".indicator-column").remove();
		references.forEach((reference) => frm.dashboard.add_indicator(in_words(reference), "blue"));
	}

	function in_words({ name, system, external_id, request }) {
		const link = (doctype, target, label) =>
			`<a href="${frappe.utils.get_form_link(doctype, target)}">${label}</a>`;
		const parts = [
			link("Hub External Reference", name, __("{0} of {1}", [escape(external_id), escape(system)])),
		];
		if (request) parts.push(link("Hub Request", request, __("Request")));
		return `<span class="hub-origin">${__("Integration")}: ${parts.join(" · ")}</span>`;
	}

	function show_why_held(frm) {
		if (frm.doc.hub_held_because && frm.doc.docstatus === 0)
			frm.dashboard.set_headline(
				`<div>${__("Held as a draft: {0}", [escape(frm.doc.hub_held_because)])}</div>`,
				"orange",
				true
			);
	}
})();
