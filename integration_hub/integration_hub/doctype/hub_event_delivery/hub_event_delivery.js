/* global integration_hub */
const MOST_ATTEMPTS = 10;
const SLOW_SECONDS = 60;

frappe.ui.form.on("Hub Event Delivery", {
	onload(frm) {
		integration_hub.show_utc_in_words(frm, {
			occurred_at: __("Occurred"),
			delivered_at: __("Delivered"),
			due_at: __("Next attempt"),
			last_attempt_at: __("At"),
		});
		frm.meta.fields.forEach((df) => (frm.get_docfield(df.fieldname).reqd = 0));
		// The headline and the attempts say it; the list needs the field.
		frm.get_docfield("error").hidden = 1;
		frm.get_docfield("outcome_section").hidden = 1;
		frm.get_docfield("status").formatter = (value) =>
			`${integration_hub.escape(integration_hub.delivery_state(value))} <span class="hub-code">${integration_hub.escape(value)}</span>`;
	},

	refresh(frm) {
		// The hub itself keeps the state of its deliveries.
		frm.disable_save();
		integration_hub.show_headline(frm, headline(frm.doc));
		show_attempts(frm);
		show_bodies(frm);
		add_buttons(frm);
		integration_hub.follow_delivery(frm, () =>
			frm.layout.message.find(".hub-countdown").text(integration_hub.countdown(frm.doc.due_at))
		);
	},
});

// How the delivery stands and what to do next: {color, lines of HTML}.
function headline(doc) {
	return {
		Pending: pending_in_words,
		Sending: () => ({ color: "blue", lines: [__("Being sent at this moment.")] }),
		Scheduled: scheduled_in_words,
		Held: held_in_words,
		Delivered: delivered_in_words,
		Exhausted: exhausted_in_words,
	}[doc.status](doc);
}

function webhook_link(doc) {
	const title = frappe.utils.get_link_title("Hub Webhook", doc.webhook);
	return integration_hub.document_link("Hub Webhook", doc.webhook, title);
}

function error_of(doc) {
	return integration_hub.escape(integration_hub.error_in_words(doc.error));
}

function delivered_in_words(doc) {
	const lines = [
		__("Delivered to {0}: {1}.", [webhook_link(doc), integration_hub.time_in_words(doc.delivered_at)]),
		__("It answered {0} after {1}.", [
			doc.http_status,
			integration_hub.seconds_in_words(doc.duration_ms || 0),
		]),
	];
	if (doc.attempt_no > 1) lines[1] += ` ${__("That took {0} attempts.", [doc.attempt_no])}`;
	return { color: "green", lines };
}

function pending_in_words(doc) {
	const lines = [__("About to be sent to {0}; this page follows by itself.", [webhook_link(doc)])];
	if (moment().diff(integration_hub.from_utc(doc.due_at), "seconds") > SLOW_SECONDS)
		lines.push(__("It has been waiting for a while. Do the site's background workers run?"));
	return { color: "blue", lines };
}

function scheduled_in_words(doc) {
	return {
		color: "yellow",
		lines: [
			__("Not delivered yet: {0}", [error_of(doc)]),
			__("The hub tries again by itself {0}: attempt {1} of {2}.", [
				`<b class="hub-countdown">${integration_hub.countdown(doc.due_at)}</b>`,
				doc.attempt_no + 1,
				MOST_ATTEMPTS,
			]),
		],
	};
}

function held_in_words(doc) {
	if (doc.fault)
		return {
			color: "red",
			lines: [
				__("Not sent: the condition or field map of {0} does not work on this event.", [
					webhook_link(doc),
				]),
				error_of(doc),
				__("Put it right there, then press Redeliver."),
			],
		};
	if (doc.due_at)
		return {
			color: "orange",
			lines: [
				__("Held: {0} failed too often and is left alone for a while.", [webhook_link(doc)]),
				__("It goes on by itself {0}.", [integration_hub.countdown(doc.due_at)]),
			],
		};
	return {
		color: "orange",
		lines: [__("Held: {0} is paused. It goes on when that is resumed.", [webhook_link(doc)])],
	};
}

function exhausted_in_words(doc) {
	const given_up =
		doc.attempt_no === 1
			? __("Given up after one attempt: {0}", [error_of(doc)])
			: __("Given up after {0} attempts: {1}", [doc.attempt_no, error_of(doc)]);
	return {
		color: "red",
		lines: [given_up, __("See to {0}, then press Redeliver.", [webhook_link(doc)])],
	};
}

async function show_attempts(frm) {
	const { name } = frm.doc;
	const { message } = await frm.call("attempts");
	if (frm.doc.name !== name) return;
	const tried = frm.doc.last_attempt_at;
	const words = tried
		? __("The log of the attempts is purged by now. The last one was {0}.", [
				integration_hub.time_in_words(tried),
			])
		: __("None yet.");
	frm.get_field("attempts_shown").$wrapper.html(
		message.length ? integration_hub.attempts_timeline(message) : `<p class="text-muted">${words}</p>`
	);
}

async function show_bodies(frm) {
	const { name, response, body, event } = frm.doc;
	const { fields_dict } = frm;
	integration_hub.replace_display(
		fields_dict.response,
		response ? integration_hub.text_block(response, __("What it answered")) : ""
	);
	const sent = body || (await frappe.db.get_value("Hub Event", event, "payload")).message?.payload;
	if (frm.doc.name !== name) return;
	fields_dict.sent.$wrapper.html(sent ? integration_hub.json_block(sent, __("What is sent")) : "");
}

function add_buttons(frm) {
	if (!frm.perm[0]?.write || frm.doc.status === "Sending") return;
	const button = frm.add_custom_button(__("Redeliver"), async () => {
		await frm.call({ doc: frm.doc, method: "redeliver", freeze: true });
		frm.reload_doc();
	});
	if (["Exhausted", "Held"].includes(frm.doc.status))
		button.removeClass("btn-default").addClass("btn-primary");
}
