/* global integration_hub */
// Some tenths of a second each, so that the bar moves.
const HUB_BULK = 50;

frappe.listview_settings["Hub Event Delivery"] = {
	add_fields: ["status", "reference_doctype"],
	hide_name_column: true,
	formatters: { reference_name: (...args) => integration_hub.document_in_list(...args) },

	get_indicator(doc) {
		const label = integration_hub.delivery_state(doc.status);
		return [label, integration_hub.DELIVERY_COLORS[doc.status], `status,=,${doc.status}`];
	},

	onload(listview) {
		if (!frappe.model.can_write("Hub Event Delivery")) return;
		listview.page.add_actions_menu_item(__("Redeliver"), () => ask_redeliver(listview), false);
	},
};

function ask_redeliver(listview) {
	const names = listview.get_checked_items(true);
	const question = __(
		"Send {0} deliveries again? They keep their ids, so that a receiver can tell which it has.",
		[names.length]
	);
	frappe.confirm(question, () => redeliver(listview, names));
}

async function redeliver(listview, names) {
	let [due, skipped] = [0, 0];
	await integration_hub.in_parts(__("Redelivering"), names, HUB_BULK, async (part) => {
		const { message } = await frappe.call({
			method: "integration_hub.integration_hub.doctype.hub_event_delivery.hub_event_delivery.redeliver_many",
			args: { names: part },
			freeze: true,
		});
		due += message.due;
		skipped += message.skipped;
	});
	listview.clear_checked_items();
	listview.refresh();
	const lines = [__("{0} deliveries go out again.", [due])];
	if (skipped) lines.push(__("{0} are being sent at this moment and were left alone.", [skipped]));
	frappe.show_alert({ message: lines.join(" "), indicator: skipped ? "orange" : "green" }, 10);
}
