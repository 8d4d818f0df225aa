/* global integration_hub */
frappe.ui.form.on("Hub Webhook", {
	onload(frm) {
		integration_hub.show_utc_in_words(frm, {
			last_success_at: __("Last delivered"),
			last_failure_at: __("Last failure"),
			failing_since: __("Failing since"),
			open_until: __("Calls suspended until"),
			secret_rotated_at: __("Secret made"),
			previous_secret_valid_until: __("Previous secret signs until"),
			window_started: __("Counting since"),
		});
		frm.get_docfield("last_error").formatter = (value) =>
			integration_hub.escape(integration_hub.error_in_words(value));
		Object.assign(frm.get_docfield("condition"), { min_lines: 2, max_lines: 20 });
		frm.set_query("field_map", () => ({ filters: { direction: "Out" } }));
		offer_events(frm);
	},

	refresh(frm) {
		integration_hub.show_headline(frm, headline(frm.doc));
		show_counts(frm);
		show_new_secret(frm);
		add_buttons(frm);
		offer_fields(frm);
	},

	url: say_whether_allowed,
	mode: (frm) => frm.toggle_reqd("url", frm.doc.mode === "Push"),
});

frappe.ui.form.on("Hub Webhook Event", {
	event: offer_fields,
	document_type: offer_fields,
	events_remove: offer_fields,
});

// How the endpoint fares and what to do: {color, lines of HTML}.
function headline(doc) {
	const { escape } = integration_hub;
	if (doc.__islocal)
		return {
			color: "blue",
			lines: [
				__("Choose the system and what it wants to know, enter its URL, and save."),
				__("The secret that signs what is sent comes next, shown once."),
			],
		};
	if (!doc.__onload?.system_receives)
		return {
			color: "orange",
			lines: [
				__("Nothing happens: {0} is disabled or has no user yet.", [
					integration_hub.document_link(
						"Hub Connected System",
						doc.system,
						frappe.utils.get_link_title("Hub Connected System", doc.system)
					),
				]),
			],
		};
	if (doc.status === "Disabled")
		return {
			color: "red",
			lines: [
				__("Disabled: {0}", [escape(doc.paused_because)]),
				__("Nothing is sent, and what happens now is not kept for it. Press Resume to begin again."),
			],
		};
	if (doc.status === "Paused")
		return {
			color: "red",
			lines: [
				__("Paused: {0}", [escape(doc.paused_because)]),
				__("What happens is kept. Press Resume to send it all."),
			],
		};
	return doc.mode === "Pull" ? pull_in_words() : active_in_words(doc);
}

function pull_in_words() {
	return {
		color: "blue",
		lines: [__("Nothing is sent: what happens is kept, and the system fetches it with events.list.")],
	};
}

function active_in_words(doc) {
	const { time_in_words } = integration_hub;
	const error = integration_hub.escape(integration_hub.error_in_words(doc.last_error));
	if (integration_hub.from_utc(doc.open_until) > moment())
		return {
			color: "yellow",
			lines: [
				__("Suspended until {0}, for most calls failed: {1}", [time_in_words(doc.open_until), error]),
				__("Then the hub tries one call, and goes on by itself. Nothing is lost."),
			],
		};
	if (doc.failing_since)
		return {
			color: "orange",
			lines: [
				__("Failing since {0}: {1}", [time_in_words(doc.failing_since), error]),
				__("The hub tries again by itself. Failing for five days, it is paused."),
			],
		};
	if (!doc.last_success_at)
		return { color: "blue", lines: [__("Nothing was sent yet. Press Send Test Event to try it.")] };
	return {
		color: "green",
		lines: [__("All is well. Last delivered: {0}.", [time_in_words(doc.last_success_at)])],
	};
}

// How many deliveries are in each state, each with the way to them.
async function show_counts(frm) {
	const $counts = frm.get_field("deliveries").$wrapper;
	$counts.empty();
	if (frm.is_new() || frm.doc.mode !== "Push") return;
	const { name } = frm.doc;
	const { message } = await frm.call("delivery_counts");
	if (frm.doc.name !== name) return;
	const { DELIVERY_COLORS, delivery_state, list_path } = integration_hub;
	const pills = Object.keys(DELIVERY_COLORS)
		.filter((status) => message[status])
		.map((status) => {
			const path = list_path("Hub Event Delivery", { webhook: name, status });
			return `<a class="indicator-pill ${DELIVERY_COLORS[status]}" href="${path}"
				data-status="${status}">${message[status]} ${delivery_state(status)}</a>`;
		});
	$counts.html(
		`<div class="control-label">${__("Deliveries")}</div>
		<div class="hub-counts">${pills.join(" ") || __("None yet")}</div>`
	);
}

function add_buttons(frm) {
	if (frm.is_new() || !frm.perm[0]?.write) return;
	if (frm.doc.status !== "Active")
		frm.add_custom_button(__("Resume"), () => resume(frm))
			.removeClass("btn-default")
			.addClass("btn-primary");
	if (frm.doc.mode === "Push") {
		frm.add_custom_button(__("Send Test Event"), () => send_test(frm));
		frm.add_custom_button(__("Rotate Secret"), () => rotate_secret(frm));
	}
	if (frm.doc.status === "Active") frm.add_custom_button(__("Pause"), () => pause(frm));
}

async function send_test(frm) {
	if (!integration_hub.is_saved(frm)) return;
	const { message } = await frm.call({
		doc: frm.doc,
		method: "send_test",
		freeze: true,
		freeze_message: __("Waiting for its answer, at most 15 seconds"),
	});
	await frm.reload_doc();
	const dialog = new frappe.ui.Dialog({
		title: __("Test event"),
		fields: [{ fieldname: "body", fieldtype: "HTML" }],
	});
	dialog.get_field("body").$wrapper.append(...outcome_in_words(message));
	dialog.show();
}

// How a test went, as elements.
function outcome_in_words({ event, delivered, http_status, error, response, duration_ms }) {
	const { escape, seconds_in_words } = integration_hub;
	const took = seconds_in_words(duration_ms);
	const sentence = delivered
		? __("Delivered: it answered {0} after {1}.", [http_status, took])
		: error
			? __("Not delivered, after {0}: {1}", [took, escape(integration_hub.error_in_words(error))])
			: __("It is on its way. The event shows how it goes.");
	const color = delivered ? "green" : error ? "red" : "blue";
	const parts = [
		$(`<p class="hub-outcome"><span class="indicator ${color}"></span> <b>${sentence}</b></p>`),
	];
	if (response) parts.push(integration_hub.text_block(response, __("What it answered")));
	const link = integration_hub.document_link("Hub Event", event, __("The event and its deliveries"));
	parts.push($(`<p class="hub-named">${link}</p>`));
	return parts;
}

function rotate_secret(frm) {
	if (!integration_hub.is_saved(frm)) return;
	const explanation = __(
		"Makes a new secret. While both work, everything is signed with both, so that the receiver can change over without a gap."
	);
	integration_hub.ask_overlap(explanation, Boolean(frm.doc.secret_rotated_at), async (overlap_hours) => {
		const { message } = await frm.call({
			doc: frm.doc,
			method: "rotate_secret",
			args: { overlap_hours },
			freeze: true,
		});
		await frm.reload_doc();
		show_secret(message, __("New secret"), integration_hub.old_secret_in_words(overlap_hours));
	});
}

function show_new_secret(frm) {
	const secret = frm.doc.__onload?.new_secret;
	if (!secret) return;
	delete frm.doc.__onload.new_secret;
	show_secret(secret, __("The secret of {0}", [integration_hub.escape(frm.doc.title)]));
}

function show_secret(secret, title, note = "") {
	const python = [
		"# pip install standardwebhooks",
		"from standardwebhooks.webhooks import Webhook",
		`Webhook("${secret}").verify(body, headers)  # the raw body; raises if it is not from here`,
	];
	const javascript = [
		"// npm install standardwebhooks",
		'import { Webhook } from "standardwebhooks";',
		`new Webhook("${secret}").verify(body, headers); // the raw body; throws if it is not from here`,
	];
	const { copyable } = integration_hub;
	integration_hub.show_secrets(title, note, [
		...copyable(__("Secret"), secret, "hub-secret"),
		...copyable(__("What the receiver does with it, in Python"), python.join("\n"), "hub-python"),
		...copyable(__("In JavaScript"), javascript.join("\n"), "hub-javascript"),
	]);
}

function pause(frm) {
	if (!integration_hub.is_saved(frm)) return;
	integration_hub.ask_reason(
		__("Pause {0}", [integration_hub.escape(frm.doc.title)]),
		__("Nothing more is sent. What happens meanwhile is kept, and sent when you press Resume."),
		async (reason) => {
			await frm.call("pause", { reason });
			frm.reload_doc();
		},
		__("Pause"),
		__("Shown above this form, so that others understand.")
	);
}

async function resume(frm) {
	if (!integration_hub.is_saved(frm)) return;
	const { message } = await frm.call({ doc: frm.doc, method: "resume", freeze: true });
	await frm.reload_doc();
	frappe.show_alert({
		message: message
			? __("Active again: {0} deliveries go on now.", [message])
			: __("Active again. Nothing was waiting."),
		indicator: "green",
	});
}

// Say below the URL what saving would say.
async function say_whether_allowed(frm) {
	const { url } = frm.doc;
	const standing = frappe.meta.get_docfield("Hub Webhook", "url").description;
	if (!url) return frm.set_df_property("url", "description", __(standing));
	const { message } = await frappe.call({ method: method("why_refused"), args: { url } });
	if (frm.doc.url !== url) return;
	const settings = `<a href="${frappe.utils.get_form_link("Hub Settings", "Hub Settings")}">${__("Hub Settings")}</a>`;
	const hint = `<span class="hub-refused">${integration_hub.escape(message)}</span> ${__(
		"Section Events out of {0} says what is allowed.",
		[settings]
	)}`;
	frm.get_field("url").set_new_description(message ? hint : __(standing));
}

async function offer_events(frm) {
	const { message } = await frappe.call({ method: method("catalogue"), type: "GET" });
	frm.fields_dict.events.grid.update_docfield_property("event", "options", message);
}

function method(name) {
	return `integration_hub.integration_hub.doctype.hub_webhook.hub_webhook.${name}`;
}

function document_rows(frm) {
	return (frm.doc.events || []).filter((row) => row.event?.startsWith("document.") && row.document_type);
}

// A button below the table, while a line asks for documents.
function offer_fields(frm) {
	const button = frm.fields_dict.events.grid.add_custom_button(__("Choose Fields"), () =>
		choose_row(frm, document_rows(frm))
	);
	button?.toggleClass("hidden", !frm.perm[0]?.write || !document_rows(frm).length);
}

function choose_row(frm, rows) {
	if (rows.length === 1) return choose_fields(frm, rows[0]);
	const label = (row) => `${row.idx}: ${row.event}, ${__(row.document_type)}`;
	frappe.prompt(
		{
			fieldname: "row",
			fieldtype: "Select",
			label: __("Line"),
			reqd: 1,
			options: rows.map((row) => ({ value: row.name, label: label(row) })),
			default: rows[0].name,
		},
		({ row }) =>
			choose_fields(
				frm,
				rows.find(({ name }) => name === row)
			),
		__("Choose Fields")
	);
}

function choose_fields(frm, row) {
	frappe.model.with_doctype(row.document_type, async () => {
		const { message: readable } = await frappe.call({
			method: method("readable_fields"),
			args: { system: frm.doc.system, document_type: row.document_type },
			type: "GET",
		});
		if (readable?.length === 0)
			return frappe.msgprint({
				title: __("Nothing to choose"),
				message: __(
					"The user of this system may not read {0}: no such event would reach it. Give the user a role that may.",
					[__(row.document_type).bold()]
				),
			});
		const chosen = (row.field_names || "")
			.split(",")
			.map((name) => name.trim())
			.filter(Boolean);
		const options = field_options(row.document_type, chosen, readable);
		const dialog = new frappe.ui.Dialog({
			title: __("Fields of {0}", [__(row.document_type)]),
			fields: [
				{
					fieldtype: "HTML",
					options: `<p>${__("None chosen: all the system's user may read.")}</p>`,
				},
				{ fieldname: "find", fieldtype: "Data", label: __("Find") },
				{
					fieldname: "names",
					fieldtype: "MultiCheck",
					columns: "15rem 2",
					options,
					sort_options: false,
				},
			],
			primary_action_label: __("Choose"),
			primary_action: ({ names }) => {
				dialog.hide();
				frappe.model.set_value(row.doctype, row.name, "field_names", (names || []).join(", "));
			},
		});
		dialog.show();
		const { find, names } = dialog.fields_dict;
		find.$input.on("input", () => narrow_down(names.options, find.$input.val()));
	});
}

// The fields of a DocType to tick, of those the system's user may read; names chosen that are none of them are kept until
// somebody unticks them.
function field_options(doctype, chosen, readable) {
	const fields = frappe
		.get_meta(doctype)
		.fields.filter((df) => carries_value(df) && (!readable || readable.includes(df.fieldname)));
	const others = chosen.filter((name) => !fields.some(({ fieldname }) => fieldname === name));
	const label = (df) => `${__(df.label || df.fieldname, null, doctype)} (${df.fieldname})`;
	return [
		...fields.map((df) => ({ label: label(df), value: df.fieldname })),
		...others.map((name) => ({ label: __("{0}, which is never sent", [name]), value: name })),
	].map((option) => ({
		label: integration_hub.escape(option.label),
		value: integration_hub.escape(option.value),
		checked: chosen.includes(option.value),
	}));
}

function narrow_down(options, text) {
	const sought = text.trim().toLowerCase();
	options.forEach(({ label, $checkbox }) => $checkbox.toggle(label.toLowerCase().includes(sought)));
}

function carries_value(df) {
	const table = frappe.model.table_fields.includes(df.fieldtype);
	return df.fieldtype !== "Password" && (table || !frappe.model.no_value_type.includes(df.fieldtype));
}
