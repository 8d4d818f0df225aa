/* global integration_hub */
// On forms of business documents: which system a document came from, with the way to its request and Reference.
(() => {
	const TRACKED = [
		"Customer",
		"Contact",
		"Address",
		"Item",
		"Quotation",
		"Sales Order",
		"Delivery Note",
		"Sales Invoice",
		"Payment Entry",
	];
	const SHOWN = 3;
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
			limit: SHOWN + 1,
		});
		if (frm.doc.name !== name || !references.length) return;
		const lines = references.slice(0, SHOWN).map(in_words);
		if (references.length > SHOWN) lines.push(all_of(doctype, name));
		set_line(frm, "hub-origin", lines.join("<br>"), "blue");
	}

	// A refresh must not stack a second line upon the first.
	function set_line(frm, mark, html, color) {
		frm.layout.message.find(`.${mark}`).closest(".form-message").remove();
		frm.dashboard.set_headline(`<div class="${mark}">${html}</div>`, color, true);
		// v15 has no permanent lines.
		frm.layout.message.find(`.${mark}`).closest(".form-message").find(".close-message").remove();
	}

	function link(path, label) {
		return `<a href="${path}" style="text-decoration: underline; color: inherit">${label}</a>`;
	}

	function in_words({ name, system, external_id, request }) {
		const to = (doctype, target, label) => link(frappe.utils.get_form_link(doctype, target), label);
		const parts = [
			__("Integration: {0} of {1}", [
				`<b>${escape(external_id)}</b>`,
				escape(frappe.utils.get_link_title("Hub Connected System", system) || system),
			]),
			to("Hub External Reference", name, __("External Reference")),
		];
		if (request) parts.push(to("Hub Request", request, __("Hub Request")));
		return parts.join(" · ");
	}

	function all_of(doctype, name) {
		const query = new URLSearchParams({ document_type: doctype, document_name: name });
		const list = frappe.utils.get_form_link("Hub External Reference", "").replace(/\/$/, "");
		return link(`${list}?${query}`, __("All External References"));
	}

	function show_why_held(frm) {
		if (frm.doc.hub_held_because && frm.doc.docstatus === 0)
			set_line(
				frm,
				"hub-held",
				__("Held as a draft: {0}", [escape(frm.doc.hub_held_because)]),
				"orange"
			);
	}
})();
