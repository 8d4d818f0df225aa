/* global integration_hub */
const RETRYABLE = ["Failed", "Retry Scheduled", "Cancelled"];
const DISMISSABLE = ["Failed", "Retry Scheduled", "Queued"];
const IN_MOTION = ["Queued", "Processing", "Retry Scheduled"];
const LOOK_AGAIN_MS = 2_000;
const SLOW_SECONDS = 60;

frappe.ui.form.on("Hub Request", {
	onload(frm) {
		integration_hub.show_utc_in_words(frm, {
			received_at: __("Received"),
			completed_at: __("Completed"),
			next_attempt_at: __("Next attempt"),
			lease_until: __("Held by a worker until"),
		});
		// The headline says it; the list needs the field.
		frm.get_docfield("error_message").hidden = 1;
		frm.meta.fields.forEach((df) => (frm.get_docfield(df.fieldname).reqd = 0));
		frm.can_make_methods = { "Hub External Reference": () => false };
		frm.get_docfield("operation").formatter = (value) =>
			`${integration_hub.escape(integration_hub.operation_label(value))} <span class="hub-code">${integration_hub.escape(value)}</span>`;
	},

	refresh(frm) {
		// Every field is the hub's own to write.
		frm.disable_save();
		show_headline(frm);
		show_error(frm);
		show_json(frm, "payload", __("Payload"));
		show_json(frm, "answer", __("Answer"));
		show_earlier_payloads(frm);
		add_buttons(frm);
		follow(frm);
	},
});

function show_headline(frm) {
	const { color, lines } = headline(frm.doc);
	frm.dashboard.clear_headline();
	const html = lines.map((line, at) => `<p class="${at ? "" : "hub-what"}">${line}</p>`).join("");
	frm.dashboard.set_headline(`<div class="hub-headline" aria-live="polite">${html}</div>`, color, true);
	frm.layout.message.find(".close-message").remove();
	if (color === "gray") frm.layout.message.find(".form-message").removeClass("blue").addClass("hub-gray");
}

// What happened and what to do next: {color, lines of HTML}.
function headline(doc) {
	return {
		Completed: completed_in_words,
		Processing: processing_in_words,
		Queued: queued_in_words,
		"Retry Scheduled": scheduled_in_words,
		Failed: failed_in_words,
		Cancelled: cancelled_in_words,
	}[doc.status](doc);
}

function completed_in_words(doc) {
	const link = integration_hub.document_link(doc.reference_doctype, doc.reference_name);
	const what = link ? __("Done: {0} {1}.", [__(doc.reference_doctype), link]) : __("Done.");
	const lines = [what];
	const again = doc.replay_count === 1 ? __("once more") : __("{0} more times", [doc.replay_count]);
	if (doc.replay_count)
		lines.push(__("The same call came {0} and got the same answer; nothing was done twice.", [again]));
	return { color: "green", lines };
}

function processing_in_words(doc) {
	const lines = [__("Being worked on, attempt {0}.", [doc.attempt_no])];
	if (doc.lease_until && integration_hub.from_utc(doc.lease_until) < moment())
		lines.push(__("If its worker died, the hub takes it up again by itself."));
	return { color: "blue", lines };
}

function queued_in_words(doc) {
	const lines = [__("Waiting for a worker; this page follows by itself.")];
	const waiting = moment().diff(integration_hub.from_utc(doc.next_attempt_at), "seconds");
	if (waiting > SLOW_SECONDS)
		lines.push(
			__(
				"It has been waiting {0}. Is the system or the hub paused, or do the site's background workers not run?",
				[moment.duration(waiting, "seconds").humanize()]
			)
		);
	return { color: "orange", lines };
}

function scheduled_in_words(doc) {
	return {
		color: "yellow",
		lines: [
			integration_hub.escape(doc.error_message),
			__("Nothing was changed in ERPNext. The hub tries again by itself {0}; you need do nothing.", [
				`<b class="hub-countdown">${countdown(doc)}</b>`,
			]),
		],
	};
}

function countdown(doc) {
	const seconds = integration_hub.from_utc(doc.next_attempt_at)?.diff(moment(), "seconds");
	// The scheduler decides when: every minute on v15, every fourth on v16.
	if (!(seconds > 0)) return __("within the next minutes");
	if (seconds < 100) return __("in {0} seconds", [seconds]);
	return integration_hub.from_utc(doc.next_attempt_at).fromNow();
}

function failed_in_words(doc) {
	const what = doc.operation === "orders.create" ? __("ERPNext did not take this order:") : __("Not done:");
	const lines = [`${what} ${integration_hub.escape(doc.error_message)}`];
	if (doc.error_code === "work_split")
		lines.push(
			__("Part of it is in ERPNext. Compare the documents by hand before you do anything else.")
		);
	else if (doc.error_code === "internal_error")
		lines.push(
			__(
				"Nothing was changed in ERPNext. The log row of this attempt holds the details for whoever looks after the site. Retry is safe."
			)
		);
	else
		lines.push(
			__(
				"Nothing was changed in ERPNext. Put it right, then press Retry; or let the system send a corrected call."
			)
		);
	return { color: "red", lines };
}

function cancelled_in_words(doc) {
	const who = doc.dismissed_by ? frappe.user.full_name(doc.dismissed_by) : "";
	const what = who ? __("Dismissed by {0}: {1}", [who, doc.dismiss_reason]) : __("Dismissed.");
	return {
		color: "gray",
		lines: [
			integration_hub.escape(what),
			__("Retry, or the same call from the system, would still try it again."),
		],
	};
}

function show_error(frm) {
	const field = frm.fields_dict.error;
	replace_display(field, "");
	if (!frm.doc.error) return;
	const faults = faults_of(frm.doc);
	replace_display(
		field,
		faults.length ? faults_table(faults, frm.doc.payload) : "",
		folded(__("The answer the system got"), integration_hub.json_block(frm.doc.error, __("Answer")))
	);
}

function faults_of(doc) {
	try {
		return JSON.parse(doc.error).errors || [];
	} catch {
		// Shortened by redaction; the text below still shows it.
		return [];
	}
}

function faults_table(faults, payload) {
	const rows = faults.map(
		(fault) => `<tr><td><code>${integration_hub.escape(fault.pointer || "/")}</code></td>
			<td>${integration_hub.escape(value_at(payload, fault.pointer))}</td>
			<td>${integration_hub.escape(fault.message)}</td></tr>`
	);
	return $(`<table class="hub-faults"><thead><tr><th>${__("Place in the payload")}</th><th>${__("Sent")}</th>
		<th>${__("What is wrong")}</th></tr></thead><tbody>${rows.join("")}</tbody></table>`);
}

function value_at(payload, pointer) {
	const value = sent_at(payload, pointer);
	return value === undefined ? "" : frappe.ellipsis(JSON.stringify(value), 80);
}

// The value an RFC 6901 pointer names; undefined where there is none.
function sent_at(payload, pointer) {
	try {
		const path = pointer.split("/").slice(1);
		const unescaped = path.map((part) => part.replace(/~1/g, "/").replace(/~0/g, "~"));
		return unescaped.reduce((at, part) => at[part], JSON.parse(payload));
	} catch {
		return undefined;
	}
}

function show_json(frm, fieldname, title) {
	const text = frm.doc[fieldname];
	replace_display(frm.fields_dict[fieldname], text ? integration_hub.json_block(text, title) : "");
}

function show_earlier_payloads(frm) {
	const earlier = JSON.parse(frm.doc.superseded_payloads || "[]").reverse();
	const blocks = earlier.map((one) => {
		const when = moment(frappe.datetime.convert_to_user_tz(one.replaced_at, false)).fromNow();
		return folded(
			__("Earlier payload, replaced {0}", [when]),
			integration_hub.json_block(one.payload || "", __("Payload"))
		);
	});
	replace_display(frm.fields_dict.superseded_payloads, ...blocks);
}

function folded(title, $content) {
	const $details = $(`<details class="hub-folded"><summary></summary></details>`);
	$details.find("summary").text(title);
	return $details.append($content);
}

// Show `contents` in place of a Code field's plain text.
function replace_display(field, ...contents) {
	field.$wrapper.find(".hub-view").remove();
	field.$wrapper.children().addClass("hidden");
	field.$wrapper.append($(`<div class="hub-view"></div>`).append(...contents));
}

function add_buttons(frm) {
	if (!frm.perm[0]?.write) return;
	if (RETRYABLE.includes(frm.doc.status)) {
		const button = frm.add_custom_button(__("Retry"), () => ask_retry(frm));
		if (frm.doc.status === "Failed") button.removeClass("btn-default").addClass("btn-primary");
	}
	if (DISMISSABLE.includes(frm.doc.status)) frm.add_custom_button(__("Dismiss"), () => ask_dismiss(frm));
	if (frm.doc.status === "Failed" && frm.doc.error_code === "unknown_item") add_item_buttons(frm);
}

// Both ways to put an unknown item right, filled in as far as the payload tells.
function add_item_buttons(frm) {
	const [fault] = faults_of(frm.doc);
	const sent = fault && sent_at(frm.doc.payload, fault.pointer);
	if (typeof sent !== "string") return;
	const field = fault.pointer.split("/").pop();
	const kind = { sku: "sku", item_external_id: "item" }[field];
	const put_right = __("Put right");
	if (frappe.model.can_create("Item") && ["sku", "item_code"].includes(field))
		frm.add_custom_button(
			__("New Item {0}", [sent]),
			() => frappe.new_doc("Item", { item_code: sent }),
			put_right
		);
	if (kind && frappe.model.can_create("Hub External Reference"))
		frm.add_custom_button(
			__("Tie {0} to an Item", [sent]),
			() =>
				frappe.new_doc("Hub External Reference", {
					system: frm.doc.system,
					object_type: kind,
					external_id: sent,
					document_type: "Item",
				}),
			put_right
		);
}

async function ask_retry(frm) {
	const lines = [
		__("The payload shown here runs again, as the user of {0}.", [
			integration_hub.system_title(frm.doc.system),
		]),
		__("If it succeeds, its document is made once. If it fails again, nothing is changed in ERPNext."),
	];
	const standing = await why_it_would_wait(frm.doc.system);
	if (standing) lines.push(`<b>${standing}</b>`);
	frappe.confirm(lines.map((line) => `<p>${line}</p>`).join(""), async () => {
		await frm.call("retry");
		frm.reload_doc();
	});
}

async function why_it_would_wait(system) {
	const { message } = await frappe.db.get_value("Hub Connected System", system, ["enabled", "paused"]);
	if (cint(message?.paused)) return __("The system is paused: the request waits until that is over.");
	if (message && !cint(message.enabled)) return __("The system is disabled: the request would fail again.");
	return "";
}

function ask_dismiss(frm) {
	const explanation = __(
		"Takes this request off the list of what needs a person. Nothing is sent back; the same call from the system would try again."
	);
	integration_hub.ask_reason(__("Dismiss this request"), explanation, async (reason) => {
		await frm.call("dismiss", { reason });
		frm.reload_doc();
	});
}

// Follow a request in motion while its form is open: the countdown each second, its state every other.
function follow(frm) {
	clearInterval(frm.hub_follower);
	if (!IN_MOTION.includes(frm.doc.status)) return;
	const { name, modified } = frm.doc;
	let ticks = 0;
	frm.hub_follower = setInterval(async () => {
		if (cur_frm !== frm || frm.doc.name !== name) return clearInterval(frm.hub_follower);
		frm.layout.message.find(".hub-countdown").text(countdown(frm.doc));
		ticks += 1;
		if (document.hidden || ticks % (LOOK_AGAIN_MS / 1000)) return;
		const { message } = await frappe.db.get_value("Hub Request", name, ["status", "modified"]);
		if (message?.modified && message.modified !== modified && cur_frm === frm && frm.doc.name === name) {
			clearInterval(frm.hub_follower);
			frm.reload_doc();
		}
	}, 1000);
}
