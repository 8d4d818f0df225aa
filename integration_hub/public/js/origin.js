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
		if (frm.doctype === "Delivery Note") show_parcel(frm);
		if (!frm.doc.hub_system || frm.is_new()) return;
		show_why_held(frm);
		if (!frappe.model.can_read("Hub External Reference")) return;
		const { doctype, name } = frm.doc;
		const references = await frappe.db.get_list("Hub External Reference", {
			filters: { document_type: doctype, document_name: name },
			fields: ["document_type", "name", "system", "external_id", "request"],
			order_by: "creation asc",
			limit: SHOWN + 1,
		});
		if (frm.doc.name !== name || !references.length) return;
		const lines = references.slice(0, SHOWN).map(in_words);
		if (references.length > SHOWN) lines.push(all_of(doctype, name));
		set_line(frm, "hub-origin", lines.join("<br>"), "blue");
	}

	// The parcel a delivery left in, with the way to its carrier's page.
	function show_parcel(frm) {
		const { hub_carrier, hub_tracking_number, hub_tracking_url } = frm.doc;
		const url = web_address(hub_tracking_url);
		const parts = [[hub_carrier, hub_tracking_number].filter(Boolean).map(escape).join(" ")];
		if (url) parts.push(link(url, __("Track parcel"), `target="_blank" rel="noopener noreferrer"`));
		remove_line(frm, "hub-parcel");
		if (parts.some(Boolean))
			set_line(frm, "hub-parcel", `${__("Parcel:")} ${parts.filter(Boolean).join(" · ")}`, "blue");
	}

	// The address, ready for an attribute; empty unless a browser opens it as a page.
	function web_address(text) {
		try {
			const url = new URL(text);
			return ["http:", "https:"].includes(url.protocol) ? escape(url.href) : "";
		} catch {
			return "";
		}
	}

	function remove_line(frm, mark) {
		frm.layout.message.find(`.${mark}`).closest(".form-message").remove();
	}

	// A refresh must not stack a second line upon the first.
	function set_line(frm, mark, html, color) {
		remove_line(frm, mark);
		frm.dashboard.set_headline(`<div class="${mark}">${html}</div>`, color, true);
		// v15 has no permanent lines.
		frm.layout.message.find(`.${mark}`).closest(".form-message").find(".close-message").remove();
	}

	function link(path, label, attributes = "") {
		return `<a href="${path}" style="text-decoration: underline; color: inherit" ${attributes}>${label}</a>`;
	}

	function in_words({ document_type, name, system, external_id, request }) {
		const to = (doctype, target, label) => link(frappe.utils.get_form_link(doctype, target), label);
		const parts = [
			__("Integration: {0} of {1}", [
				`<b>${escape(external_id)}</b>`,
				escape(frappe.utils.get_link_title("Hub Connected System", system) || system),
			]),
			to("Hub External Reference", name, __("External Reference")),
		];
		if (request) parts.push(to("Hub Request", request, __("Hub Request")));
		// Of an order there are several: it is placed, changed, cancelled under one id.
		if (document_type === "Sales Order")
			parts.push(
				link(list_of("Hub Request", { system, external_id }), __("All requests with this id"))
			);
		return parts.join(" · ");
	}

	function all_of(doctype, name) {
		const path = list_of("Hub External Reference", { document_type: doctype, document_name: name });
		return link(path, __("All External References"));
	}

	function list_of(doctype, filters) {
		const path = frappe.utils.get_form_link(doctype, "").replace(/\/$/, "");
		return escape(`${path}?${new URLSearchParams(filters)}`);
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
