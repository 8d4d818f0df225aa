/* global integration_hub */
// What the hub's form and list scripts share. Sent with each of its DocTypes (hooks.py), so it needs no build.
frappe.provide("integration_hub");

Object.assign(integration_hub, {
	STATUS_COLORS: {
		Completed: "green",
		Processing: "blue",
		Queued: "orange",
		"Retry Scheduled": "yellow",
		Failed: "red",
		Cancelled: "gray",
	},

	// Beyond this a browser takes too long to colour JSON.
	MAX_COLOURED: 200_000,
	LINES_SHOWN: 24,

	escape: (text) => frappe.utils.escape_html(cstr(text)),

	// What people call an operation; another app's operations keep their technical name.
	operation_label(operation) {
		const labels = {
			"orders.create": __("New order"),
			"orders.create_many": __("New orders"),
			"orders.update": __("Change order"),
			"orders.cancel": __("Cancel order"),
			"sales.fulfill": __("Delivery"),
			"sales.invoice": __("Invoice"),
			"sales.pay": __("Payment"),
			"sales.refund": __("Refund"),
			"sales.run": __("Order to money"),
			"webhooks.receive": __("Webhook"),
		};
		return labels[operation] || operation;
	},

	// The hub's own Datetime fields hold UTC, others the site's time.
	from_utc(value) {
		const zone = frappe.boot.time_zone?.user || frappe.boot.time_zone?.system;
		const time = value && moment.utc(value);
		return time && zone ? time.tz(zone) : time && time.local();
	},

	// "today at 14:05 (3 minutes ago)", in the person's time zone.
	time_in_words(utc) {
		const time = integration_hub.from_utc(utc);
		if (!time) return "";
		const formats = `${frappe.datetime.get_user_date_fmt().toUpperCase()} ${frappe.datetime.get_user_time_fmt()}`;
		return `${time.format(formats)} (${time.fromNow()})`;
	},

	// When something is tried again by itself: "in 40 seconds".
	countdown(utc) {
		const seconds = integration_hub.from_utc(utc)?.diff(moment(), "seconds");
		// The scheduler decides when: every minute on v15, every fourth on v16.
		if (!(seconds > 0)) return __("within the next minutes");
		if (seconds < 100) return __("in {0} seconds", [seconds]);
		return integration_hub.from_utc(utc).fromNow();
	},

	show_utc_in_words(frm, labels) {
		for (const [fieldname, label] of Object.entries(labels)) {
			const df = frm.get_docfield(fieldname);
			Object.assign(df, { label, hide_timezone: 1, formatter: integration_hub.time_in_words });
		}
	},

	system_title(name) {
		return integration_hub.escape(frappe.utils.get_link_title("Hub Connected System", name) || name);
	},

	document_link(doctype, name, label) {
		if (!doctype || !name) return "";
		return `<a href="${frappe.utils.get_form_link(doctype, name)}">${integration_hub.escape(label || name)}</a>`;
	},

	// The address of a list, with its filters.
	list_path(doctype, filters) {
		const path = frappe.utils.get_form_link(doctype, "").replace(/\/$/, "");
		return integration_hub.escape(`${path}?${new URLSearchParams(filters)}`);
	},

	copy_button(get_text, label = __("Copy")) {
		return $(`<button type="button" class="btn btn-xs btn-default hub-copy"></button>`)
			.text(label)
			.on("click", () => frappe.utils.copy_to_clipboard(get_text()));
	},

	// Pretty-print token by token: parsing would round long numbers and drop what was really sent.
	pretty_json(text, coloured = false) {
		const tokens = text.match(/"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g) || [];
		let depth = 0;
		let out = "";
		const line = () => `\n${"  ".repeat(depth)}`;
		tokens.forEach((token, at) => {
			const previous = tokens[at - 1];
			if (token === "}" || token === "]") {
				depth -= 1;
				if (previous !== "{" && previous !== "[") out += line();
				out += token;
				return;
			}
			if (previous === "{" || previous === "[") out += line();
			out += coloured ? integration_hub.coloured(token, tokens[at + 1]) : token;
			if (token === "{" || token === "[") depth += 1;
			else if (token === ",") out += line();
			else if (token === ":") out += " ";
		});
		return out;
	},

	coloured(token, next) {
		if (/^[{}[\],:]$/.test(token)) return token;
		let kind = "word";
		if (token.startsWith('"')) kind = next === ":" ? "key" : "text";
		else if (/^[-\d]/.test(token)) kind = "number";
		return `<span class="hub-json-${kind}">${integration_hub.escape(token)}</span>`;
	},

	// A titled block of JSON with a copy button; long ones are cut until somebody asks for more.
	json_block(text, title) {
		const pretty = integration_hub.pretty_json(text);
		const html =
			text.length > integration_hub.MAX_COLOURED
				? integration_hub.escape(pretty)
				: integration_hub.pretty_json(text, true);
		return integration_hub.block(title, pretty, html);
	},

	// The same for what may be no JSON, which is shown as it came.
	text_block(text, title) {
		try {
			JSON.parse(text);
			return integration_hub.json_block(text, title);
		} catch {
			return integration_hub.block(title, text, integration_hub.escape(text));
		}
	},

	block(title, text, html) {
		const lines = text.split("\n").length;
		const $block = $(`<div class="hub-json"><div class="hub-json-head"><span></span></div>
			<pre tabindex="0">${html}</pre></div>`);
		$block.find("span").first().text(title);
		$block.find("pre").attr("aria-label", title);
		$block.find(".hub-json-head").append(integration_hub.copy_button(() => text));
		if (lines > integration_hub.LINES_SHOWN) integration_hub.collapse($block, lines);
		return $block;
	},

	collapse($block, lines) {
		$block.addClass("collapsed");
		const $more = $(`<button type="button" class="btn btn-xs btn-default hub-more"></button>`);
		const label = () => {
			const collapsed = $block.hasClass("collapsed");
			$more
				.text(collapsed ? __("Show all {0} lines", [lines]) : __("Show less"))
				.attr("aria-expanded", !collapsed);
		};
		$more.on("click", () => {
			$block.toggleClass("collapsed");
			label();
		});
		label();
		$block.append($more);
	},

	// Say above the form what happened and what to do next: `lines` of HTML.
	show_headline(frm, { color, lines }) {
		frm.dashboard.clear_headline();
		const html = lines.map((line, at) => `<p class="${at ? "" : "hub-what"}">${line}</p>`).join("");
		frm.dashboard.set_headline(`<div class="hub-headline" aria-live="polite">${html}</div>`, color, true);
		frm.layout.message.find(".close-message").remove();
		if (color === "gray")
			frm.layout.message.find(".form-message").removeClass("blue").addClass("hub-gray");
	},

	// Show `contents` in place of a field's own display.
	replace_display(field, ...contents) {
		field.$wrapper.find(".hub-view").remove();
		field.$wrapper.children().addClass("hidden");
		field.$wrapper.append($(`<div class="hub-view"></div>`).append(...contents));
	},

	// Send many names to the server in parts and say how far it is: `call(part)` for each, one after another.
	async in_parts(title, names, size, call) {
		try {
			for (let at = 0; at < names.length; at += size) {
				const words = __("{0} of {1}", [at, names.length]);
				if (names.length > size) frappe.show_progress(title, at, names.length, words);
				await call(names.slice(at, at + size));
			}
		} finally {
			frappe.hide_progress();
		}
	},

	// Whether this form, and no other page, is before the person now, with this document.
	shows: (frm, name) => frm.doc.name === name && frm.$wrapper.is(":visible"),

	// The server works on what is stored; unsaved changes would be lost on reload.
	is_saved(frm) {
		if (!frm.is_dirty()) return true;
		frappe.msgprint(__("Save your changes first."));
		return false;
	},

	// Ask why, in a dialog that cannot be confirmed empty.
	ask_reason(title, explanation, then, action = __("Dismiss"), kept = "") {
		frappe.prompt(
			[
				{ fieldtype: "HTML", options: `<p>${explanation}</p>` },
				{
					fieldname: "reason",
					fieldtype: "Small Text",
					label: __("Reason"),
					reqd: 1,
					description: kept || __("Kept on the request, so that others understand."),
				},
			],
			({ reason }) => then(reason),
			title,
			action
		);
	},
});
