/* global integration_hub */
frappe.ui.form.on("Hub Connected System", {
	setup(frm) {
		set_queries(frm);
	},

	onload(frm) {
		integration_hub.show_utc_in_words(frm, {
			previous_secret_valid_until: __("Previous secret valid until"),
		});
		frm.get_docfield("secret_rotated_on").hide_timezone = 1;
	},

	refresh(frm) {
		show_state(frm);
		add_buttons(frm);
		add_scopes_button(frm);
		show_naming_series(frm);
	},

	title(frm) {
		if (frm.is_new() && !frm.doc.slug) frm.set_value("slug", slug_of(frm.doc.title));
	},
});

function slug_of(title) {
	const ascii = cstr(title).normalize("NFKD").toLowerCase();
	return ascii
		.replace(/[^a-z0-9]+/g, "-")
		.slice(0, 62)
		.replace(/^-+|-+$/g, "");
}

function may_write(frm) {
	return Boolean(frm.perm[0]?.write);
}

function show_state(frm) {
	frm.dashboard.clear_headline();
	const [text, color] = frm.is_new() ? [new_in_words(), "blue"] : state_in_words(frm.doc);
	if (text) frm.dashboard.set_headline(`<div class="hub-headline">${text}</div>`, color, true);
}

// [HTML, colour] of what a person should know or do about the system; empty when all is well.
function state_in_words(doc) {
	const until = integration_hub.from_utc(doc.previous_secret_valid_until);
	if (!doc.user) return [no_user_in_words(), "orange"];
	if (!doc.api_key)
		return [
			__("No secret: {0} cannot call. Press Rotate Secret to make a new one.", [escaped_title(doc)]),
			"red",
		];
	if (!doc.enabled) return [__("Disabled: every call is refused."), "red"];
	if (doc.paused)
		return [__("Paused: calls that write are told to come back later; reads go on."), "orange"];
	if (!(doc.scopes || []).length)
		return [__("No scopes: add what {0} may call, below.", [escaped_title(doc)]), "orange"];
	if (until && until > moment())
		return [
			__("Two secrets are valid: the previous one until {0}.", [
				integration_hub.time_in_words(doc.previous_secret_valid_until),
			]),
			"yellow",
		];
	return ["", ""];
}

function new_in_words() {
	return __(
		"Name the system, choose its company and what it may call, and save. Its user and secret come next."
	);
}

function no_user_in_words() {
	return frappe.model.can_create("User")
		? __("Next: press Create User. It makes the system's own user and shows its key and secret, once.")
		: __("Next: a System Manager has to open this page and press Create User.");
}

function escaped_title(doc) {
	return integration_hub.escape(doc.title);
}

function add_buttons(frm) {
	if (frm.is_new() || !may_write(frm)) return;
	if (!frm.doc.user) {
		if (!frappe.model.can_create("User")) return;
		const button = frm.add_custom_button(__("Create User"), () => create_user(frm));
		button.removeClass("btn-default").addClass("btn-primary");
		return;
	}
	frm.add_custom_button(__("Rotate Secret"), () => rotate_secret(frm));
	if (frm.doc.api_key)
		frm.add_custom_button(__("Revoke"), () => revoke(frm))
			.removeClass("btn-default")
			.addClass("btn-danger");
}

async function create_user(frm) {
	if (!integration_hub.is_saved(frm)) return;
	const { message } = await frm.call({ doc: frm.doc, method: "create_user", freeze: true });
	await frm.reload_doc();
	show_credentials(frm, message, __("User created"));
}

function rotate_secret(frm) {
	if (!integration_hub.is_saved(frm)) return;
	const explanation = __("Makes a new secret; the key stays. Give the new secret to {0}.", [
		escaped_title(frm.doc),
	]);
	integration_hub.ask_overlap(explanation, Boolean(frm.doc.api_key), async (overlap_hours) => {
		const { message } = await frm.call({
			doc: frm.doc,
			method: "rotate_secret",
			args: { overlap_hours },
			freeze: true,
		});
		await frm.reload_doc();
		show_credentials(frm, message, __("New secret"), integration_hub.old_secret_in_words(overlap_hours));
	});
}

function revoke(frm) {
	if (!integration_hub.is_saved(frm)) return;
	frappe.warn(
		__("Revoke every secret of {0}?", [escaped_title(frm.doc)]),
		`<p>${__(
			"Its calls are refused from this moment on, those under way too. To let it in again, rotate the secret and give it the new one. Requests and references stay."
		)}</p>`,
		async () => {
			await frm.call({ doc: frm.doc, method: "revoke_secret", freeze: true });
			await frm.reload_doc();
			frappe.show_alert({ message: __("Every secret is revoked."), indicator: "red" });
		},
		__("Revoke")
	);
}

function show_credentials(frm, { api_key, api_secret }, title, note = "") {
	const url = `${window.location.origin}/api/method/integration_hub.api.v1.system.ping`;
	const { copyable } = integration_hub;
	integration_hub.show_secrets(title, note, [
		...copyable(__("API key"), api_key, "hub-key"),
		...copyable(__("API secret"), api_secret, "hub-secret"),
		...copyable(
			__("Try it"),
			`curl -H "Authorization: token ${api_key}:${api_secret}" ${url}`,
			"hub-curl"
		),
	]);
}

function add_scopes_button(frm) {
	const grid = frm.fields_dict.scopes.grid;
	const button = grid.add_custom_button(__("All Scopes"), () => {
		const held = (frm.doc.scopes || []).map((row) => row.scope);
		const all = frappe.meta.get_docfield("Hub System Scope", "scope").options.split("\n");
		all.filter((scope) => scope && !held.includes(scope)).forEach((scope) =>
			frm.add_child("scopes", { scope })
		);
		frm.refresh_field("scopes");
		frm.dirty();
	});
	button?.toggleClass("hidden", !may_write(frm));
}

function show_naming_series(frm) {
	frappe.model.with_doctype("Sales Order", () => {
		const options = frappe.meta.get_docfield("Sales Order", "naming_series")?.options || "";
		const known = options.split("\n").filter(Boolean).join(", ");
		frm.set_df_property(
			"naming_series",
			"description",
			__(
				"Empty: the default one. Sales Orders have: {0}. One series a system keeps systems from waiting for each other.",
				[integration_hub.escape(known)]
			)
		);
	});
}

function set_queries(frm) {
	const of_company = (filters) => () => ({ filters: { company: frm.doc.company, ...filters } });
	const leaf = { is_group: 0, disabled: 0 };
	frm.set_query("warehouse", of_company(leaf));
	frm.set_query("warehouse", "warehouse_map", of_company(leaf));
	frm.set_query("cost_center", of_company(leaf));
	frm.set_query("taxes_template", of_company({ disabled: 0 }));
	frm.set_query("difference_account", of_company(leaf));
	for (const table of ["charge_map", "tax_map"]) {
		frm.set_query("account", table, of_company(leaf));
		frm.set_query("cost_center", table, of_company(leaf));
	}
	frm.set_query(
		"account",
		"payment_method_map",
		of_company({ ...leaf, account_type: ["in", ["Bank", "Cash"]] })
	);
	frm.set_query("mode_of_payment", "payment_method_map", () => ({ filters: { enabled: 1 } }));
	frm.set_query("price_list", () => ({ filters: { selling: 1, enabled: 1 } }));
	frm.set_query("fallback_customer", () => ({ filters: { disabled: 0 } }));
	frm.set_query("fallback_item", () => ({ filters: { disabled: 0, is_sales_item: 1, has_variants: 0 } }));
	for (const tree of ["customer_group", "territory", "item_group"])
		frm.set_query(tree, () => ({ filters: { is_group: 0 } }));
}
