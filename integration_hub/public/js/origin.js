/* global integration_hub */
// On forms of business documents: which system a document came from, with the way to its request and Reference; and
// which systems were told of it.
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
	const EVENTS_SHOWN = 50;
	const escape = (text) => frappe.utils.escape_html(cstr(text));

	// The file comes with each of these DocTypes; its handlers must be there once.
	frappe.provide("integration_hub");
	if (integration_hub.shows_origin) return;
	integration_hub.shows_origin = true;
	TRACKED.forEach((doctype) => frappe.ui.form.on(doctype, { refresh: show_origin }));

	async function show_origin(frm) {
		if (frm.doctype === "Delivery Note") show_parcel(frm);
		if (!frm.is_new()) offer_events(frm);
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
		return integration_hub.list_path(doctype, filters);
	}

	// A button, once there is an event of the document and for those who may see it.
	async function offer_events(frm) {
		if (!frappe.model.can_read("Hub Event")) return;
		const { doctype, name } = frm.doc;
		const events = await frappe.db.get_list("Hub Event", {
			filters: { reference_doctype: doctype, reference_name: name },
			fields: ["name", "event", "system", "system.title as system_title", "occurred_at"],
			order_by: "occurred_at desc",
			limit: EVENTS_SHOWN + 1,
		});
		if (frm.doc.name !== name || !events.length) return;
		frm.add_custom_button(__("Events"), () => show_events(frm, events), __("View"));
	}

	async function show_events(frm, events) {
		const { doctype, name } = frm.doc;
		const shown = events.slice(0, EVENTS_SHOWN);
		const deliveries = await integration_hub.deliveries_of(shown.map((event) => event.name));
		const dialog = new frappe.ui.Dialog({
			title: __("Who was told of {0}", [name]),
			size: "large",
			fields: [{ fieldname: "body", fieldtype: "HTML" }],
		});
		const rows = shown.map((event) => event_row(event, deliveries[event.name]));
		const all = link(
			list_of("Hub Event", { reference_doctype: doctype, reference_name: name }),
			__("All events of this document")
		);
		dialog.get_field("body").$wrapper.html(
			`<div class="table-responsive"><table class="table table-bordered hub-events" style="margin: 0 0 8px"><thead><tr>
				<th>${__("Event")}</th><th>${__("When")}</th><th>${__("To whom")}</th></tr></thead>
				<tbody>${rows.join("")}</tbody></table></div><p>${all}</p>`
		);
		dialog.show();
	}

	function event_row(event, deliveries) {
		const { document_link, delivery_pill, time_in_words } = integration_hub;
		const told = deliveries.map((row) => {
			const label = row.webhook_title || row.webhook;
			return `<div>${document_link("Hub Event Delivery", row.name, label)} ${delivery_pill(row.status)}</div>`;
		});
		const kept = __("Kept for {0} to fetch", [escape(event.system_title || event.system)]);
		return `<tr><td>${document_link("Hub Event", event.name, event.event)}</td>
			<td>${time_in_words(event.occurred_at)}</td><td>${told.join("") || kept}</td></tr>`;
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
