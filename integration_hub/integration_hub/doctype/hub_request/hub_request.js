/* global integration_hub */
const RETRYABLE = ["Failed", "Retry Scheduled", "Cancelled"];
const WAITING = ["Queued", "Retry Scheduled"];
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
		integration_hub.show_headline(frm, headline(frm.doc));
		integration_hub.show_batch(frm, () => integration_hub.show_headline(frm, headline(frm.doc)));
		frm.toggle_display("http_status", Boolean(frm.doc.http_status));
		show_steps(frm);
		show_error(frm);
		show_json(frm, "payload", __("Payload"));
		show_json(frm, "answer", __("Answer"));
		show_earlier_payloads(frm);
		add_buttons(frm);
		follow(frm);
	},
});

// What happened and what to do next: {color, lines of HTML}.
function headline(doc) {
	if (integration_hub.is_batch(doc)) return batch_in_words(doc);
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
	const documents = integration_hub.documents_in_words(doc);
	const lines = [documents ? __("Done: {0}.", [documents]) : __("Done.")];
	const again = doc.replay_count === 1 ? __("once more") : __("{0} more times", [doc.replay_count]);
	if (doc.replay_count)
		lines.push(__("The same call came {0} and got the same answer; nothing was done twice.", [again]));
	return { color: "green", lines };
}

// A batch, from the moment its items are requests of their own.
function batch_in_words(doc) {
	const { progress } = doc.__onload;
	const { failed, cancelled, waiting } = progress;
	const lines = [integration_hub.progress_in_words(progress)];
	if (waiting) lines.push(__("Each is a request of its own; this page follows by itself."));
	else if (failed)
		lines.push(
			__(
				"The failed ones are below. One with a link is put right and retried there; one without was refused as it came, and its system has to send it again."
			)
		);
	const color = waiting ? "blue" : failed ? "orange" : cancelled ? "gray" : "green";
	return { color, lines };
}

function processing_in_words(doc) {
	const lines = [__("Being worked on, attempt {0}.", [doc.attempt_no])];
	if (doc.lease_until && integration_hub.from_utc(doc.lease_until) < moment())
		lines.push(__("If its worker died, the hub takes it up again by itself."));
	return { color: "blue", lines };
}

function queued_in_words(doc) {
	const standstill = what_holds_it(doc);
	if (standstill) return { color: "orange", lines: [standstill, __("This page follows by itself.")] };
	const lines = [__("Waiting for a worker; this page follows by itself.")];
	const waiting = moment().diff(integration_hub.from_utc(doc.next_attempt_at), "seconds");
	if (waiting > SLOW_SECONDS)
		lines.push(
			__("It has been waiting {0}. Do the site's background workers run?", [
				moment.duration(waiting, "seconds").humanize(),
			])
		);
	return { color: "orange", lines };
}

// Why no worker may begin it; HTML, empty: one may.
function what_holds_it(doc) {
	const { hub_paused, system_paused, ahead } = doc.__onload?.waits_for || {};
	if (hub_paused) {
		const settings = integration_hub.document_link("Hub Settings", "Hub Settings", __("Hub Settings"));
		return __("Waiting: {0} pause all writes.", [settings]);
	}
	if (system_paused) {
		const title = frappe.utils.get_link_title("Hub Connected System", doc.system);
		const system = integration_hub.document_link("Hub Connected System", doc.system, title);
		return __("Waiting: {0} is paused for maintenance.", [system]);
	}
	if (!ahead) return "";
	const earlier = integration_hub.document_link("Hub Request", ahead, __("an earlier call"));
	return __("Waiting for its turn: {0} about the same thing is not done yet.", [earlier]);
}

function scheduled_in_words(doc) {
	const when = `<b class="hub-countdown">${integration_hub.countdown(doc.next_attempt_at)}</b>`;
	const [attempt, most] = [doc.attempt_no + 1, doc.__onload?.waits_for?.most_attempts];
	const again = doc.waits
		? __("It waits until that is there: the hub tries again by itself {0}, attempt {1} of {2}.", [
				when,
				attempt,
				most,
			])
		: __("The hub tries again by itself {0}; you need do nothing.", [when]);
	const lines = [integration_hub.escape(doc.error_message), `${changed(doc)} ${again}`, what_holds_it(doc)];
	return { color: "yellow", lines: lines.filter(Boolean) };
}

// What stands in ERPNext of a request that is not finished.
function changed(doc) {
	const standing = integration_hub.standing_in_words(doc);
	return standing ? __("Done and kept: {0}.", [standing]) : __("Nothing was changed in ERPNext.");
}

function failed_in_words(doc) {
	const lines = [`${refused(doc)} ${integration_hub.escape(doc.error_message)}`];
	if (doc.error_code === "work_split")
		lines.push(
			__("Part of it is in ERPNext. Compare the documents by hand before you do anything else.")
		);
	else lines.push(`${changed(doc)} ${what_to_do(doc)}`);
	return { color: "red", lines };
}

function refused(doc) {
	const kind = integration_hub.failed_step(doc)?.split("/")[0] || doc.operation;
	const sentences = {
		order: __("ERPNext did not take this order:"),
		fulfill: __("ERPNext did not take this delivery:"),
		invoice: __("ERPNext did not take this invoice:"),
		pay: __("ERPNext did not take this payment:"),
		refund: __("ERPNext did not take this refund:"),
		"orders.create": __("ERPNext did not take this order:"),
		"orders.update": __("ERPNext did not change this order:"),
		"orders.cancel": __("ERPNext did not cancel this order:"),
	};
	return sentences[kind] || sentences[kind.replace("sales.", "")] || __("Not done:");
}

function what_to_do(doc) {
	if (doc.error_code === "internal_error")
		return __(
			"The log row of this attempt holds the details for whoever looks after the site. Retry is safe."
		);
	const step = integration_hub.failed_step(doc);
	if (step && integration_hub.done_steps(doc).length)
		return __("Put it right, then press Retry: it goes on at {0}.", [
			integration_hub.escape(integration_hub.step_label(step)),
		]);
	return __("Put it right, then press Retry; or let the system send a corrected call.");
}

function cancelled_in_words(doc) {
	const who = doc.dismissed_by ? frappe.user.full_name(doc.dismissed_by) : "";
	const what = doc.dismiss_reason
		? __("Dismissed by {0}: {1}", [who, doc.dismiss_reason])
		: who
			? __("Cancelled by {0} while it waited.", [who])
			: __("Cancelled by its system while it waited.");
	return {
		color: "gray",
		lines: [
			integration_hub.escape(what),
			`${changed(doc)} ${__("Retry, or the same call from the system, would still try it again.")}`,
		],
	};
}

function show_steps(frm) {
	const steps = frm.doc.steps || [];
	integration_hub.replace_display(
		frm.fields_dict.steps,
		steps.length ? integration_hub.steps_timeline(frm.doc) : ""
	);
}

function show_error(frm) {
	const field = frm.fields_dict.error;
	integration_hub.replace_display(field, "");
	if (!frm.doc.error) return;
	integration_hub.replace_display(
		field,
		...integration_hub.faults_in_words(frm.doc),
		folded(__("The answer the system got"), integration_hub.json_block(frm.doc.error, __("Answer")))
	);
}

function show_json(frm, fieldname, title) {
	const text = frm.doc[fieldname];
	integration_hub.replace_display(
		frm.fields_dict[fieldname],
		text ? integration_hub.json_block(text, title) : ""
	);
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
	integration_hub.replace_display(frm.fields_dict.superseded_payloads, ...blocks);
}

function folded(title, $content) {
	const $details = $(`<details class="hub-folded"><summary></summary></details>`);
	$details.find("summary").text(title);
	return $details.append($content);
}

function add_buttons(frm) {
	if (!frm.perm[0]?.write) return;
	if (RETRYABLE.includes(frm.doc.status)) {
		const button = frm.add_custom_button(__("Retry"), () => ask_retry(frm));
		if (frm.doc.status === "Failed") button.removeClass("btn-default").addClass("btn-primary");
	}
	if (frm.doc.status === "Failed") frm.add_custom_button(__("Dismiss"), () => ask_dismiss(frm));
	if (WAITING.includes(frm.doc.status) || is_open_batch(frm.doc))
		frm.add_custom_button(__("Cancel"), () => ask_cancel(frm));
	if (frm.doc.status === "Failed" || frm.doc.waits) integration_hub.add_put_right_buttons(frm);
}

// A batch whose items are requests by now, some of them not done.
function is_open_batch(doc) {
	return doc.status === "Processing" && !doc.lease_until && integration_hub.is_batch(doc);
}

function ask_cancel(frm) {
	const { name } = frm.doc;
	const question = integration_hub.is_batch(frm.doc)
		? __("Cancel what waits of this batch? What is done stays, and what is being done now is finished.")
		: __("Cancel this request? It is not tried any more, unless its system sends the same call again.");
	frappe.confirm(question, async () => {
		await frappe.call({
			method: "integration_hub.integration_hub.doctype.hub_request.hub_request.cancel_waiting",
			args: { name },
			freeze: true,
		});
		if (frm.doc.name === name) frm.reload_doc();
	});
}

async function ask_retry(frm) {
	const lines = [
		__("The payload shown here runs again, as the user of {0}.", [
			integration_hub.system_title(frm.doc.system),
		]),
		integration_hub.done_steps(frm.doc).length
			? __("It goes on where it stopped: what is done is kept and not made again.")
			: __(
					"If it succeeds, its document is made once. If it fails again, nothing is changed in ERPNext."
				),
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
	if (!IN_MOTION.includes(frm.doc.status) && !frm.doc.__onload?.progress?.waiting) return;
	const { name } = frm.doc;
	// A step that is done moves the lease on, and nothing else.
	const mark = ({ modified, lease_until }) => `${modified} ${lease_until}`;
	const seen = mark(frm.doc);
	let ticks = 0;
	frm.hub_follower = setInterval(async () => {
		if (!integration_hub.shows(frm, name)) return clearInterval(frm.hub_follower);
		frm.layout.message.find(".hub-countdown").text(integration_hub.countdown(frm.doc.next_attempt_at));
		ticks += 1;
		if (document.hidden || ticks % (LOOK_AGAIN_MS / 1000)) return;
		if (integration_hub.is_batch(frm.doc)) integration_hub.refresh_batch(frm);
		const { message } = await frappe.db.get_value("Hub Request", name, ["modified", "lease_until"]);
		if (message?.modified && mark(message) !== seen && integration_hub.shows(frm, name)) {
			clearInterval(frm.hub_follower);
			frm.reload_doc();
		}
	}, 1000);
}
