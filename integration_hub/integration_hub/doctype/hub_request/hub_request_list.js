/* global integration_hub */
// Some tenths of a second each, so that the bar moves.
const HUB_BULK = 50;

frappe.listview_settings["Hub Request"] = {
	add_fields: ["status", "waits", "reference_doctype", "reference_name", "error_message"],
	hide_name_column: true,

	get_indicator(doc) {
		if (doc.status === "Retry Scheduled" && cint(doc.waits))
			return [__("Waiting"), "yellow", "status,=,Retry Scheduled|waits,=,1"];
		return [__(doc.status), integration_hub.STATUS_COLORS[doc.status], `status,=,${doc.status}`];
	},

	formatters: {
		error_message: outcome_of,
		operation: (value) => integration_hub.escape(integration_hub.operation_label(value)),
	},

	refresh(listview) {
		// v16 makes long texts wide by itself; v15 gives each column the same.
		if (listview.column_max_widths) return;
		const at = listview.columns.findIndex(({ df }) => df?.fieldname === "error_message") + 1;
		if (at) listview.$result.find(`.level-left .list-row-col:nth-child(${at})`).css("flex", "3");
	},

	onload(listview) {
		if (!frappe.model.can_write("Hub Request")) return;
		listview.page.add_actions_menu_item(__("Retry"), () => retry_selected(listview), false);
		listview.page.add_actions_menu_item(__("Dismiss"), () => dismiss_selected(listview), false);
	},
};

// What came of it: the document, or why there is none.
function outcome_of(value, df, doc) {
	const dot = `<span class="indicator ${integration_hub.STATUS_COLORS[doc.status]}"></span>`;
	const text =
		doc.status === "Completed"
			? integration_hub.document_link(doc.reference_doctype, doc.reference_name)
			: integration_hub.escape(value);
	// Narrow lists leave out the status column.
	return `<span>${frappe.is_mobile() ? dot : ""}${text}</span>`;
}

function retry_selected(listview) {
	const names = listview.get_checked_items(true);
	const question = __(
		"Try {0} requests again, each as the user of its system? What is done is kept, and nothing is made twice.",
		[names.length]
	);
	frappe.confirm(question, async () => {
		const outcome = await in_batches(__("Retrying"), "retry_many", names, "queued");
		await show_outcome(listview, __("{0} put into the queue.", [outcome.done]), outcome.skipped);
	});
}

function dismiss_selected(listview) {
	const names = listview.get_checked_items(true);
	const explanation = __(
		"Takes {0} requests off the list of what needs a person. Nothing is sent back; the same call from the system would try again.",
		[names.length]
	);
	integration_hub.ask_reason(__("Dismiss requests"), explanation, async (reason) => {
		const outcome = await in_batches(__("Dismissing"), "dismiss_many", names, "dismissed", { reason });
		await show_outcome(listview, __("{0} dismissed.", [outcome.done]), outcome.skipped);
	});
}

async function in_batches(title, method, names, counted, args = {}) {
	const outcome = { done: 0, skipped: [] };
	await integration_hub.in_parts(title, names, HUB_BULK, async (part) => {
		const { message } = await frappe.call({
			method: `integration_hub.integration_hub.doctype.hub_request.hub_request.${method}`,
			args: { names: part, ...args },
			freeze: true,
		});
		outcome.done += message[counted];
		outcome.skipped.push(...message.skipped);
	});
	return outcome;
}

async function show_outcome(listview, done, skipped) {
	listview.clear_checked_items();
	listview.refresh();
	if (!skipped.length) {
		frappe.show_alert({ message: done, indicator: "green" });
		return;
	}
	const rows = await frappe.db.get_list("Hub Request", {
		filters: { name: ["in", skipped] },
		fields: ["name", "external_id", "status"],
		limit: skipped.length,
	});
	const lines = rows.map((row) => {
		const link = integration_hub.document_link("Hub Request", row.name, row.external_id || row.name);
		return `<li>${link}: ${__("it is {0}", [__(row.status)])}</li>`;
	});
	frappe.msgprint({
		title: __("{0} left as they were", [skipped.length]),
		message: `<p>${done} ${__("Left as they were, because of their state:")}</p><ul>${lines.join("")}</ul>`,
		indicator: "orange",
	});
}
