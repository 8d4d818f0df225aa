/* global integration_hub, format_number */
// Events and their deliveries in words: what the forms of both, of webhooks and of business documents share.
(() => {
	const LOOK_AGAIN_MS = 2_000;
	// What `core/http.py` says before the sentence of a call that got no whole answer.
	const NO_ANSWER = {
		address_refused: () => __("Hub Settings do not allow this address."),
		dns_failed: () => __("The name in the address is unknown."),
		connect_failed: () => __("Nobody answers at this address."),
		tls_failed: () => __("The certificate of the address is not valid."),
		timeout: () => __("It did not answer in time."),
		connection_lost: () => __("It hung up without an answer."),
		protocol_error: () => __("What it answered is no HTTP."),
		not_signed: () => __("The webhook has no secret. Rotate it."),
	};

	Object.assign(integration_hub, {
		DELIVERY_COLORS: {
			Pending: "blue",
			Sending: "blue",
			Scheduled: "yellow",
			Held: "orange",
			Delivered: "green",
			Exhausted: "red",
		},

		delivery_state(status) {
			const words = {
				Pending: __("About to be sent"),
				Sending: __("Being sent"),
				Scheduled: __("Tried again later"),
				Held: __("Held"),
				Delivered: __("Delivered"),
				Exhausted: __("Given up"),
			};
			return words[status] || status;
		},

		delivery_pill(status) {
			const color = integration_hub.DELIVERY_COLORS[status] || "gray";
			return `<span class="indicator-pill ${color}" style="white-space: nowrap">${integration_hub.escape(integration_hub.delivery_state(status))}</span>`;
		},

		// "It did not answer in time. (read timed out)" of "timeout: read timed out".
		error_in_words(error) {
			const text = cstr(error);
			const [, kind, message] = text.match(/^(\w+): ([^]*)$/) || [];
			return NO_ANSWER[kind] ? `${NO_ANSWER[kind]()} (${message})` : text;
		},

		seconds_in_words(ms) {
			return ms < 1_000 ? __("{0} ms", [ms]) : __("{0} seconds", [format_number(ms / 1_000, null, 1)]);
		},

		// In a list: names of the hub's own records say nothing, and narrow lists cut off the end.
		document_in_list(name, df, doc) {
			const doctype = doc.reference_doctype;
			return integration_hub.escape(
				cstr(doctype).startsWith("Hub ")
					? __(doctype)
					: [doctype && !frappe.is_mobile() && __(doctype), name].filter(Boolean).join(" ")
			);
		},

		// {event: [its deliveries]}, of those the person may read.
		async deliveries_of(events) {
			if (!frappe.model.can_read("Hub Event Delivery")) return group(events, []);
			const rows = await frappe.db.get_list("Hub Event Delivery", {
				filters: { event: ["in", events] },
				fields: ["name", "event", "webhook", "status", "delivered_at", "due_at", "error"],
				order_by: "creation asc",
				limit: 500,
			});
			const webhooks = await frappe.db.get_list("Hub Webhook", {
				filters: { name: ["in", rows.map(({ webhook }) => webhook).concat("")] },
				fields: ["name", "title"],
				limit: 500,
			});
			const titles = Object.fromEntries(webhooks.map(({ name, title }) => [name, title]));
			rows.forEach((row) => (row.webhook_title = titles[row.webhook]));
			return group(events, rows);
		},

		// The deliveries of an event, one a line; HTML.
		deliveries_table(deliveries) {
			const rows = deliveries.map(
				(
					row
				) => `<tr><td>${integration_hub.document_link("Hub Event Delivery", row.name, row.webhook_title || row.webhook)}</td>
					<td>${integration_hub.delivery_pill(row.status)}</td><td>${how_it_went(row)}</td></tr>`
			);
			return `<div class="table-responsive"><table class="table table-bordered hub-deliveries" style="margin: 0"><thead><tr><th>${__("To whom")}</th>
				<th>${__("State")}</th><th>${__("How it went")}</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
		},

		// Attempts as the log has them, oldest first; HTML.
		attempts_timeline(attempts) {
			const items = attempts.map((attempt, at) => {
				const again = at && cint(attempt.hub_attempt) <= cint(attempts[at - 1].hub_attempt);
				return attempt_item(attempt, again);
			});
			return `<ol class="hub-steps">${items.join("")}</ol>`;
		},

		// Read the form again when what it shows has changed; `tick` runs each second.
		follow_delivery(frm, tick) {
			clearInterval(frm.hub_follower);
			if (!["Pending", "Sending", "Scheduled"].includes(frm.doc.status)) return;
			const { name, status, modified } = frm.doc;
			let ticks = 0;
			frm.hub_follower = setInterval(async () => {
				if (!integration_hub.shows(frm, name)) return clearInterval(frm.hub_follower);
				tick();
				ticks += 1;
				if (document.hidden || ticks % (LOOK_AGAIN_MS / 1_000)) return;
				const { message } = await frappe.db.get_value(frm.doctype, name, ["status", "modified"]);
				const same = message?.status === status && message?.modified === modified;
				if (!message?.status || same || !integration_hub.shows(frm, name)) return;
				clearInterval(frm.hub_follower);
				frm.reload_doc();
			}, 1_000);
		},
	});

	function group(events, rows) {
		return Object.fromEntries(events.map((name) => [name, rows.filter(({ event }) => event === name)]));
	}

	function how_it_went(row) {
		const { escape, error_in_words, time_in_words } = integration_hub;
		if (row.status === "Delivered") return time_in_words(row.delivered_at);
		const again = row.status === "Scheduled" ? __("Next attempt: {0}", [time_in_words(row.due_at)]) : "";
		return [escape(frappe.ellipsis(error_in_words(row.error), 160)), again].filter(Boolean).join("<br>");
	}

	function attempt_item(attempt, again) {
		const { creation, status, hub_http_status, hub_attempt, hub_duration_ms, error } = attempt;
		const done = status === "Completed";
		const { escape, error_in_words, seconds_in_words } = integration_hub;
		const when = moment(frappe.datetime.convert_to_user_tz(creation, false));
		const formats = `${frappe.datetime.get_user_date_fmt().toUpperCase()} ${frappe.datetime.get_user_time_fmt()}`;
		const pill = done ? __("Delivered") : __("Failed");
		const what = done ? __("It answered {0}.", [hub_http_status]) : error_in_words(error);
		const number = __("Attempt {0}", [cint(hub_attempt)]);
		const label = again ? __("Redelivered: {0}", [number]) : number;
		const color = done ? "green" : "red";
		return `<li class="hub-step" data-attempt="${cint(hub_attempt)}">
			<span class="hub-step-mark ${color}" aria-hidden="true">${done ? "✓" : "✕"}</span>
			<div class="hub-step-head"><b>${label}</b>
				<span class="indicator-pill no-indicator-dot ${color}">${pill}</span></div>
			<div class="${done ? "" : "hub-step-error"}">${escape(what)}</div>
			<div class="hub-step-when">${when.format(formats)} (${when.fromNow()}) · ${__("took {0}", [seconds_in_words(cint(hub_duration_ms))])}</div></li>`;
	}
})();
