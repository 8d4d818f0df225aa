/* global integration_hub */
// The error of a request: what was wrong with what was sent, which documents it is about, and ways to put it right.
(() => {
	// error code → [table of the Connected System, its field for what was sent]
	const MAPS = {
		payment_method_not_mapped: ["payment_method_map", "payment_method"],
		charge_not_mapped: ["charge_map", "charge_code"],
		tax_not_mapped: ["tax_map", "tax_code"],
	};
	const WAYS = { unknown_item: item_ways, stock_short: stock_ways };
	Object.keys(MAPS).forEach((code) => (WAYS[code] = map_ways));

	Object.assign(integration_hub, {
		// The problem document a request was answered; {} where redaction has shortened it.
		problem_of(doc) {
			try {
				return JSON.parse(doc.error) || {};
			} catch {
				return {};
			}
		},

		// What is wrong, as elements to show; none where the sentence above the form says it all.
		faults_in_words(doc) {
			const { errors = [], documents = [], document } = integration_hub.problem_of(doc);
			const named = [...documents, document].filter((one) => one?.name);
			const parts = named.length ? [documents_line(named)] : [];
			if (errors.length > 1 || errors.some((fault) => value_at(doc.payload, fault.pointer)))
				parts.push(faults_table(errors, doc.payload));
			return parts;
		},

		add_put_right_buttons(frm) {
			for (const [label, action] of WAYS[frm.doc.error_code]?.(frm.doc) || [])
				frm.add_custom_button(label, action, __("Put right"));
		},
	});

	function documents_line(documents) {
		const links = documents.map(
			({ doctype, name }) => `${__(doctype)} ${integration_hub.document_link(doctype, name)}`
		);
		return $(`<p class="hub-named"></p>`).html(__("See {0}.", [links.join(", ")]));
	}

	function faults_table(faults, payload) {
		const { escape } = integration_hub;
		const rows = faults.map(
			(fault) => `<tr><td><code>${escape(fault.pointer || "/")}</code></td>
				<td>${escape(value_at(payload, fault.pointer))}</td>
				<td>${escape(fault.message)}</td></tr>`
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

	// [field, text] of the first fault: what was sent there; [] where it is no text.
	function sent_text(doc) {
		const [fault] = integration_hub.problem_of(doc).errors || [];
		const sent = fault && sent_at(doc.payload, fault.pointer);
		return typeof sent === "string" ? [fault.pointer.split("/").pop(), sent] : [];
	}

	// An item that is not there: make it, or tie what the system calls it to one that is.
	function item_ways(doc) {
		const [field, sent] = sent_text(doc);
		const kind = { sku: "sku", item_external_id: "item" }[field];
		const ways = [];
		if (frappe.model.can_create("Item") && ["sku", "item_code"].includes(field))
			ways.push([__("New Item {0}", [sent]), () => frappe.new_doc("Item", { item_code: sent })]);
		if (kind && frappe.model.can_create("Hub External Reference"))
			ways.push([
				__("Tie {0} to an Item", [sent]),
				() =>
					frappe.new_doc("Hub External Reference", {
						system: doc.system,
						object_type: kind,
						external_id: sent,
						document_type: "Item",
					}),
			]);
		return ways;
	}

	function stock_ways(doc) {
		const { missing = [] } = integration_hub.problem_of(doc);
		if (!missing.length || !frappe.model.can_create("Stock Entry")) return [];
		return [[__("Receive stock"), () => receive(doc.system, missing)]];
	}

	// A Material Receipt of what was missing; its form fills in the rest of each row.
	async function receive(system, missing) {
		const { message } = await frappe.db.get_value("Hub Connected System", system, "company");
		when_open("Stock Entry", async (frm) => {
			frm.clear_table("items");
			for (const { item_code, warehouse, needed, available, batch } of missing) {
				const qty = flt(needed - Math.max(available, 0), 9);
				const row = frm.add_child("items", { t_warehouse: warehouse, qty });
				await frappe.model.set_value(row.doctype, row.name, "item_code", item_code);
				const known = batch ? { use_serial_batch_fields: 1, batch_no: batch } : {};
				await frappe.model.set_value(row.doctype, row.name, {
					t_warehouse: warehouse,
					qty,
					...known,
				});
			}
			frm.refresh_field("items");
		});
		frappe.new_doc("Stock Entry", {
			stock_entry_type: "Material Receipt",
			purpose: "Material Receipt",
			company: message.company,
		});
	}

	function map_ways(doc) {
		const [table, key] = MAPS[doc.error_code];
		const [, sent] = sent_text(doc);
		const label = sent ? __("Map {0} to an account", [sent]) : __("Open the map");
		return [[label, () => open_map(doc.system, table, { [key]: sent })]];
	}

	// Open the Connected System at one of its maps, with a row begun for what it lacks.
	function open_map(system, table, row) {
		when_open("Hub Connected System", (frm) => {
			const [[key, sent]] = Object.entries(row);
			const there = (frm.doc[table] || []).some((other) => other[key] === sent);
			if (sent && !there && frm.perm[0]?.write) frm.add_child(table, row);
			frm.refresh_field(table);
			frm.scroll_to_field(table);
		});
		frappe.set_route("Form", "Hub Connected System", system);
	}

	function when_open(doctype, then) {
		frappe.route_hooks.after_load = (frm) => frm.doctype === doctype && then(frm);
	}
})();
