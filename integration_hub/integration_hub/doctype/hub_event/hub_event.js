/* global integration_hub */
frappe.ui.form.on("Hub Event", {
	onload(frm) {
		integration_hub.show_utc_in_words(frm, { occurred_at: __("Occurred") });
		frm.meta.fields.forEach((df) => (frm.get_docfield(df.fieldname).reqd = 0));
	},

	refresh(frm) {
		// Events stay as they are.
		frm.disable_save();
		integration_hub.show_headline(frm, { color: "blue", lines: headline(frm.doc) });
		integration_hub.replace_display(
			frm.fields_dict.payload,
			frm.doc.payload ? integration_hub.json_block(frm.doc.payload, __("What is told")) : ""
		);
		show_deliveries(frm);
		if (frm.perm[0]?.write) frm.add_custom_button(__("Deliver Again"), () => deliver_again(frm));
	},
});

// What happened and who was told, as lines of HTML.
function headline(doc) {
	const summary = integration_hub.escape(doc.__onload?.summary || doc.event);
	const what = [summary, subject(doc)].filter(Boolean).join(": ");
	const system = integration_hub.system_title(doc.system);
	const cause = doc.caused_by
		? __("A call of {0} caused it.", [integration_hub.system_title(doc.caused_by)])
		: __("A person or the site itself caused it.");
	const told = __("{0}. {1} is told.", [integration_hub.time_in_words(doc.occurred_at), system]);
	return [`${what}.`, doc.event === "webhook.test" ? told : `${told} ${cause}`];
}

// What it happened to, as HTML.
function subject(doc) {
	const { stock } = JSON.parse(doc.payload || "{}").data || {};
	if (doc.event === "stock.changed" && stock)
		return integration_hub.escape(`${stock.item_code}, ${stock.warehouse}`);
	const link = integration_hub.document_link(doc.reference_doctype, doc.reference_name);
	return link && `${__(doc.reference_doctype)} ${link}`;
}

async function show_deliveries(frm) {
	const { name } = frm.doc;
	const { [name]: deliveries } = await integration_hub.deliveries_of([name]);
	if (frm.doc.name !== name) return;
	frm.get_field("deliveries").$wrapper.html(
		deliveries.length
			? integration_hub.deliveries_table(deliveries)
			: `<p class="text-muted">${__("Sent to nobody: it is kept for the system to fetch with events.list.")}</p>`
	);
}

async function deliver_again(frm) {
	const { message } = await frm.call({ doc: frm.doc, method: "replay", freeze: true });
	await frm.reload_doc();
	const { replayed, skipped } = message;
	const lines = [
		replayed
			? __("{0} deliveries go out again, under the same id.", [replayed])
			: __("No webhook of the system wants this event."),
	];
	if (skipped) lines[replayed ? 1 : 0] = __("{0} are being sent at this moment.", [skipped]);
	frappe.show_alert({ message: lines.join(" "), indicator: replayed ? "green" : "orange" });
}
