/* global integration_hub */
// A batch in words: how many of its items are done, and what became of each; it follows while something waits.
(() => {
	const SHOWN = 50;
	// What `core/batches.py` counts → [label, colour, part of Frappe's progress bar]
	const KINDS = {
		completed: [() => __("Done"), "green", "progress-bar-success"],
		failed: [() => __("Failed"), "red", "progress-bar-danger"],
		cancelled: [() => __("Cancelled"), "gray", "hub-bar-cancelled"],
		waiting: [() => __("Waiting"), "blue", null],
	};

	Object.assign(integration_hub, {
		is_batch: (doc) => Boolean(doc.__onload?.progress?.total),

		// "297 of 300 done, 1 failed, 2 waiting."
		progress_in_words({ total, completed, failed, cancelled, waiting }) {
			const parts = [
				__("{0} of {1} done", [completed, total]),
				failed && __("{0} failed", [failed]),
				cancelled && __("{0} cancelled", [cancelled]),
				waiting && __("{0} waiting", [waiting]),
			];
			return `${parts.filter(Boolean).join(", ")}.`;
		},

		// Show the bar, and the items in place of their table.
		show_batch(frm, on_change) {
			integration_hub.replace_display(frm.fields_dict.items, "");
			if (!integration_hub.is_batch(frm.doc)) return;
			if (frm.hub_items?.name !== frm.doc.name)
				frm.hub_items = { name: frm.doc.name, status: "", count: SHOWN, rows: null };
			Object.assign(frm.hub_items, { on_change, news: null });
			draw(frm);
			integration_hub.refresh_batch(frm);
		},

		// Ask the server how the batch stands; draw what has changed, and call `on_change` of show_batch.
		async refresh_batch(frm) {
			const { name, status, count } = frm.hub_items;
			const { message } = await frappe.call({
				method: "integration_hub.integration_hub.doctype.hub_request.hub_request.standing",
				type: "GET",
				args: { name, status, count },
			});
			const { hub_items } = frm;
			const news = JSON.stringify(message);
			// Somebody may look at other items, or another batch, by now.
			if (frm.doc.name !== name || hub_items.status !== status || hub_items.count !== count) return;
			if (news === hub_items.news) return;
			Object.assign(hub_items, { news, rows: message.items });
			frm.doc.__onload.progress = message.progress;
			draw(frm);
			hub_items.on_change();
		},
	});

	function draw(frm) {
		const { progress } = frm.doc.__onload;
		show_bar(frm, progress);
		const { rows } = frm.hub_items;
		const { items } = frm.fields_dict;
		const focused = items.$wrapper.find(":focus").attr("data-kind");
		integration_hub.replace_display(
			items,
			filters(frm, progress),
			rows ? items_table(rows) : "",
			more(frm, progress)
		);
		if (focused !== undefined) items.$wrapper.find(`[data-kind="${focused}"]`).trigger("focus");
	}

	function show_bar(frm, progress) {
		const parts = Object.entries(KINDS)
			.filter(([, [, , bar]]) => bar)
			.map(([kind, [label, , bar]]) => ({
				title: `${label()}: ${progress[kind]}`,
				width: `${(100 * progress[kind]) / progress.total}%`,
				progress_class: bar,
			}));
		frm.dashboard.show_progress(__("Batch"), parts);
	}

	// A button for each kind there is, and the way to the same requests as a list.
	function filters(frm, progress) {
		const kinds = Object.entries(KINDS).filter(([kind]) => progress[kind]);
		const all = ["", [() => __("All"), "gray"]];
		const buttons = [all, ...kinds].map(([kind, [label, color]]) =>
			$(`<button type="button" class="btn btn-xs indicator-pill no-indicator-dot ${color}"></button>`)
				.text(`${progress[kind || "total"]} ${label()}`)
				.attr({ "data-kind": kind, "aria-pressed": frm.hub_items.status === kind })
				.on("click", () => look_at(frm, { status: kind, count: SHOWN }))
		);
		const path = integration_hub.list_path("Hub Request", { batch: frm.doc.name });
		return $(`<div class="hub-counts"></div>`).append(
			...buttons,
			`<a class="hub-as-list" href="${path}">${__("As a list, to retry or dismiss many")}</a>`
		);
	}

	function look_at(frm, what) {
		Object.assign(frm.hub_items, what, { news: null });
		draw(frm);
		return integration_hub.refresh_batch(frm);
	}

	function items_table(rows) {
		const lines = rows.map((row) => {
			const { document_link, escape, STATUS_COLORS } = integration_hub;
			const name = row.external_id || row.request;
			const what = row.request ? document_link("Hub Request", row.request, name) : escape(name);
			const pill = `<span class="indicator-pill ${STATUS_COLORS[row.status]}">${__(row.status)}</span>`;
			return `<tr data-status="${escape(row.status)}"><td>${cint(row.idx)}</td><td>${what}</td>
				<td>${pill}</td><td>${outcome(row)}</td></tr>`;
		});
		return $(`<div class="table-responsive"><table class="table table-bordered hub-items"><thead><tr>
			<th>${__("No.")}</th><th>${__("External id")}</th><th>${__("State")}</th><th>${__("What came of it")}</th>
			</tr></thead><tbody>${lines.join("")}</tbody></table></div>`);
	}

	// The document, or why there is none and when it is tried again; HTML.
	function outcome(row) {
		const { countdown, document_link, escape } = integration_hub;
		if (row.status === "Completed") return document_link(row.reference_doctype, row.reference_name);
		if (row.status === "Queued" || row.status === "Processing") return "";
		const again =
			row.status === "Retry Scheduled" && __("Next attempt: {0}.", [countdown(row.next_attempt_at)]);
		return [escape(frappe.ellipsis(cstr(row.message), 240)), again].filter(Boolean).join("<br>");
	}

	function more(frm, progress) {
		const { status, rows } = frm.hub_items;
		const all = progress[status || "total"];
		if (!rows || rows.length >= all) return "";
		return $(`<button type="button" class="btn btn-xs btn-default hub-more"></button>`)
			.text(__("Show all {0}", [all]))
			.on("click", () => look_at(frm, { count: all }));
	}
})();
