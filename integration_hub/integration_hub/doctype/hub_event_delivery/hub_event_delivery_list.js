/* global integration_hub */
const HUB_BULK = 200;

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
	const title = __("Redelivering");
	let [due, skipped] = [0, 0];
	for (let at = 0; at < names.length; at += HUB_BULK) {
		if (names.length > HUB_BULK) frappe.show_progress(title, at, names.length);
		const { message } = await frappe.call({
			method: "integration_hub.integration_hub.doctype.hub_event_delivery.hub_event_delivery.redeliver_many",
			args: { names: names.slice(at, at + HUB_BULK) },
			freeze: true,
		});
		due += message.due;
		skipped += message.skipped;
	}
	frappe.hide_progress();
	listview.clear_checked_items();
	listview.refresh();
	const lines = [__("{0} deliveries go out again.", [due])];
	if (skipped) lines.push(__("{0} are being sent at this moment and were left alone.", [skipped]));
	frappe.show_alert({ message: lines.join(" "), indicator: skipped ? "orange" : "green" }, 10);
}
