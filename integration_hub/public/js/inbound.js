/* global integration_hub */
// Webhooks in, on a Connected System: the address to paste, the platform's secret, presets, what was refused.
(() => {
	const METHODS = "integration_hub.integration_hub.doctype.hub_connected_system.hub_connected_system.";

	frappe.ui.form.on("Hub Connected System", {
		onload(frm) {
			integration_hub.show_utc_in_words(frm, {
				previous_inbound_secret_valid_until: __("Previous inbound secret valid until"),
			});
			frm.set_query("field_map", "inbound_topics", () => ({ filters: { direction: "In" } }));
		},

		refresh(frm) {
			show_address(frm);
			show_secret_state(frm);
			show_refusals(frm);
			offer_presets(frm);
		},
	});

	const may_write = (frm) => !frm.is_new() && Boolean(frm.perm[0]?.write);

	function show_address(frm) {
		const $wrapper = frm.get_field("inbound_address").$wrapper.empty().addClass("hub-credentials");
		const { address } = frm.doc.__onload?.inbound || {};
		if (frm.is_new() || !address)
			return $wrapper.text(__("Save first: the address to paste comes then."));
		$wrapper.append(
			...integration_hub.copyable(__("Address to paste into the platform"), address, "hub-address"),
			$(`<p class="help-box small text-muted"></p>`).text(
				__("Where the platform does not say its topic, add it: &topic=… One address a topic then.")
			)
		);
	}

	function show_secret_state(frm) {
		const $wrapper = frm.get_field("inbound_secret_state").$wrapper.empty();
		if (frm.is_new()) return;
		const { has_secret, find_secret } = frm.doc.__onload?.inbound || {};
		$("<p></p>")
			.text(has_secret ? __("A secret is entered.") : __("No secret yet: every call is refused."))
			.appendTo($wrapper);
		if (!may_write(frm)) return;
		$(`<button type="button" class="btn btn-xs btn-default hub-enter-secret"></button>`)
			.text(__("Enter Secret"))
			.on("click", () => enter_secret(frm, has_secret, find_secret))
			.appendTo($wrapper);
	}

	function enter_secret(frm, has_secret, find_secret) {
		if (!integration_hub.is_saved(frm)) return;
		const dialog = new frappe.ui.Dialog({
			title: __("Enter Secret"),
			fields: [
				{
					fieldname: "secret",
					fieldtype: "Data",
					label: __("The secret that the platform shows"),
					reqd: 1,
					description: [find_secret, __("Stored encrypted, and never shown again.")]
						.filter(Boolean)
						.map(integration_hub.escape)
						.join(" "),
				},
				{
					fieldname: "overlap_hours",
					fieldtype: "Float",
					label: __("Hours for which the old one is good as well"),
					default: has_secret ? 24 : 0,
					hidden: !has_secret,
					description: __("0 to {0}", [720]),
				},
			],
			primary_action_label: __("Enter Secret"),
			primary_action: async (args) => {
				await frm.call({ doc: frm.doc, method: "set_inbound_secret", args, freeze: true });
				dialog.hide();
				await frm.reload_doc();
				frappe.show_alert({ message: __("The secret is stored."), indicator: "green" });
			},
		});
		// The page must not go on holding what was typed.
		dialog.$wrapper.on("hidden.bs.modal", () => dialog.$wrapper.remove());
		dialog.fields_dict.secret.$input?.attr("autocomplete", "off");
		dialog.show();
	}

	function show_refusals(frm) {
		const $wrapper = frm.get_field("inbound_refusals").$wrapper.empty();
		const refusals = Object.entries(frm.doc.__onload?.inbound?.refusals || {});
		if (!refusals.length) return;
		const reasons = {
			signature_missing: __("without a signature"),
			signature_malformed: __("with a signature in another form"),
			signature_invalid: __("signed with another secret, or changed on the way"),
			signature_stale: __("signed more than five minutes ago"),
			not_set_up: __("while the system was disabled, or had no user, signature or secret"),
		};
		const $list = $(`<ul class="hub-refusals"></ul>`);
		refusals.forEach(([code, count]) =>
			$("<li></li>")
				.text(`${count}: ${reasons[code] || code}`)
				.appendTo($list)
		);
		$wrapper.append($("<label></label>").text(__("Calls refused today")), $list);
	}

	function offer_presets(frm) {
		const button = frm.fields_dict.inbound_topics.grid.add_custom_button(__("Install Preset"), () =>
			choose_preset(frm)
		);
		button?.toggleClass("hidden", !may_write(frm));
	}

	async function choose_preset(frm) {
		if (!integration_hub.is_saved(frm)) return;
		const { message: presets } = await frappe.call({ method: `${METHODS}presets`, type: "GET" });
		frappe.prompt(
			[
				{
					fieldname: "preset",
					fieldtype: "Select",
					label: __("Platform"),
					reqd: 1,
					options: presets.map(({ name, title }) => ({ value: name, label: title })),
					default: presets[0]?.name,
				},
				{
					fieldtype: "HTML",
					options: `<p>${__(
						"Makes the platform's field maps for this system, and sets signature and topics. All of it can be changed afterwards."
					)}</p>`,
				},
			],
			({ preset }) => install(frm, preset, false),
			__("Install Preset"),
			__("Install")
		);
	}

	async function install(frm, preset, replace) {
		const { message } = await frm.call({
			doc: frm.doc,
			method: "install_preset",
			args: { preset, replace },
			freeze: true,
		});
		if (message.changed.length) {
			const list = message.changed.map((each) => `<li>${integration_hub.escape(each)}</li>`).join("");
			frappe.warn(
				__("Replace what was changed?"),
				`<p>${__("This is not as the preset has it:")}</p><ul>${list}</ul>`,
				() => install(frm, preset, true),
				__("Replace")
			);
			return;
		}
		await frm.reload_doc();
		say_codes(message.codes);
	}

	// What is left to a person: codes that mean nothing until they are mapped to accounts.
	function say_codes(codes) {
		const tables = {
			charges: __("Charges"),
			taxes: __("Taxes"),
			payment_methods: __("Payment methods"),
		};
		const rows = Object.entries(codes).flatMap(([table, of_table]) =>
			Object.entries(of_table).map(
				([code, what]) =>
					`<tr><td>${tables[table]}</td><td><code>${integration_hub.escape(code)}</code></td>
					<td>${integration_hub.escape(what)}</td></tr>`
			)
		);
		const head = __("Next: enter the secret, and give these codes an account in the tab Maps.");
		frappe.msgprint({
			title: __("Preset installed"),
			message: `<p>${head}</p><table class="table table-bordered">${rows.join("")}</table>`,
			indicator: "green",
		});
	}
})();
