/* global integration_hub */
// Secrets in the Desk: shown once, and replaced with a time in which the old one is good as well.
(() => {
	const OVERLAPS = [
		{ value: "0", label: __("None: the old secret ends now") },
		{ value: "1", label: __("1 hour") },
		{ value: "24", label: __("1 day") },
		{ value: "72", label: __("3 days") },
		{ value: "custom", label: __("Other …") },
	];
	const MAX_OVERLAP_HOURS = 720;

	Object.assign(integration_hub, {
		// A labelled text with a copy button, as elements.
		copyable(label, text, name) {
			const $row = $(`<div class="hub-copyable"><code class="${name}" tabindex="0"></code></div>`);
			$row.find("code").text(text).attr("aria-label", label);
			return [$("<label></label>").text(label), $row.append(integration_hub.copy_button(() => text))];
		},

		// A dialog that goes away by its button only: what it shows is never shown again.
		show_secrets(title, note, contents) {
			const dialog = new frappe.ui.Dialog({
				title,
				size: "large",
				static: true,
				fields: [{ fieldname: "body", fieldtype: "HTML" }],
				primary_action_label: __("I have stored the secret"),
				primary_action: () => dialog.hide(),
			});
			const warning = __(
				"Store the secret now: it is never shown again. Lost ones are replaced with Rotate Secret."
			);
			dialog
				.get_field("body")
				.$wrapper.addClass("hub-credentials")
				.append(`<p class="hub-warning">${warning} ${note}</p>`, ...contents);
			dialog.show();
		},

		// Ask how long the old secret stays good, then call `then(hours)`.
		ask_overlap(explanation, has_secret, then) {
			const dialog = new frappe.ui.Dialog({
				title: __("Rotate Secret"),
				fields: [
					{ fieldtype: "HTML", options: `<p>${explanation}</p>` },
					{
						fieldname: "overlap",
						fieldtype: "Select",
						label: __("How long both secrets work"),
						options: OVERLAPS,
						default: has_secret ? "24" : "0",
						read_only: !has_secret,
						onchange: () => say_until(dialog),
					},
					{
						fieldname: "hours",
						fieldtype: "Float",
						label: __("Hours"),
						depends_on: "eval:doc.overlap=='custom'",
						description: __("0 to {0}", [MAX_OVERLAP_HOURS]),
						onchange: () => say_until(dialog),
					},
					{ fieldname: "until", fieldtype: "HTML" },
				],
				primary_action_label: __("Rotate Secret"),
				primary_action: () => {
					const hours = overlap_of(dialog);
					if (!is_overlap(hours)) {
						frappe.msgprint(__("The overlap is 0 to {0} hours.", [MAX_OVERLAP_HOURS]));
						return;
					}
					dialog.hide();
					then(hours);
				},
			});
			dialog.show();
			say_until(dialog);
		},

		old_secret_in_words(overlap_hours) {
			if (!overlap_hours) return __("The old secret stops working at once.");
			const until = moment.utc().add(overlap_hours, "hours").format("YYYY-MM-DD HH:mm:ss");
			return __("The old secret works until {0}.", [integration_hub.time_in_words(until)]);
		},
	});

	// NaN: not said yet. An empty field must not mean that the old secret ends at once.
	function overlap_of(dialog) {
		const overlap = dialog.get_value("overlap");
		if (overlap !== "custom") return flt(overlap);
		const hours = dialog.get_field("hours").$input.val().trim();
		return hours ? flt(hours) : NaN;
	}

	function is_overlap(hours) {
		return hours >= 0 && hours <= MAX_OVERLAP_HOURS;
	}

	function say_until(dialog) {
		const hours = overlap_of(dialog);
		const words = is_overlap(hours) ? integration_hub.old_secret_in_words(hours) : "";
		dialog.get_field("until").$wrapper.html(`<p>${words}</p>`);
	}
})();
