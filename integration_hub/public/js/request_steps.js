/* global integration_hub, format_number */
// The steps of a request in words: a timeline of what is done, where it stopped, and what happens next.
(() => {
	const IN_MOTION = ["Queued", "Processing"];
	const SYMBOLS = { green: "✓", blue: "…", red: "✕", orange: "!", gray: "" };
	const ANSWERED = { fulfillments: "Delivery Note", invoices: "Sales Invoice", payments: "Payment Entry" };

	Object.assign(integration_hub, {
		// "fulfill/2" → "Delivery 2".
		step_label(step) {
			const words = {
				order: __("Order"),
				fulfill: __("Delivery"),
				invoice: __("Invoice"),
				pay: __("Payment"),
				refund: __("Refund"),
			};
			const [kind, number] = step.split("/");
			return [words[kind] || kind, number].filter(Boolean).join(" ");
		},

		failed_step: (doc) => (doc.steps || []).find((row) => row.status === "Failed")?.step,

		done_steps: (doc) => (doc.steps || []).filter((row) => row.status === "Completed"),

		// Whether each step is kept by itself; otherwise it is all or nothing.
		is_staged(doc) {
			if (doc.status !== "Completed" && integration_hub.done_steps(doc).length) return true;
			return parsed(doc.payload)?.mode === "staged";
		},

		// HTML: links to the documents a finished request made, one after the other.
		documents_in_words(doc) {
			const made = answered_documents(doc);
			const main = [doc.reference_doctype, doc.reference_name];
			return named(made.length ? made : doc.reference_name ? [main] : []);
		},

		// HTML: the documents that stand although the request is not finished; empty when nothing does.
		standing_in_words(doc) {
			return named(
				integration_hub.done_steps(doc).map((row) => [row.document_type, row.document_name])
			);
		},

		steps_timeline(doc) {
			const failed = doc.steps.findIndex((row) => row.status === "Failed");
			const items = doc.steps.map((row, at) => item(doc, row, at < failed));
			const $list = $(`<ol class="hub-steps"></ol>`).append(items);
			const next = next_in_words(doc);
			if (next && failed < 0) $list.append(`<li class="hub-step-next">${next}</li>`);
			return $list;
		},
	});

	function parsed(text) {
		try {
			return JSON.parse(text);
		} catch {
			// Purged, or shortened by redaction.
			return null;
		}
	}

	// [[DocType, name], …] of the answer of a sales call, the order first where the call is about all of it.
	function answered_documents(doc) {
		const message = parsed(doc.answer)?.message || {};
		const order = doc.operation === "sales.run" ? [["Sales Order", message.order?.name]] : [];
		const made = Object.entries(ANSWERED).flatMap(([kind, doctype]) =>
			(Array.isArray(message[kind]) ? message[kind] : []).map(({ name }) => [doctype, name])
		);
		return doc.operation.startsWith("sales.") ? [...order, ...made].filter(([, name]) => name) : [];
	}

	function named(documents) {
		return documents
			.map(([doctype, name]) => `${__(doctype)} ${integration_hub.document_link(doctype, name)}`)
			.join(", ");
	}

	// [what to call the state, colour]; `before_failed`: an earlier step than the one that failed.
	function state_of(doc, row, before_failed) {
		if (row.status === "Completed") return [__("Done"), "green"];
		if (row.status === "Processing") return [__("In progress"), "blue"];
		if (row.status === "Failed")
			return IN_MOTION.includes(doc.status)
				? [__("Failed last time"), "orange"]
				: [__("Failed"), "red"];
		return before_failed ? [__("Undone"), "gray"] : [__("Not begun"), "gray"];
	}

	function item(doc, row, before_failed) {
		const [state, color] = state_of(doc, row, before_failed);
		const { escape, document_link, step_label } = integration_hub;
		const link = document_link(row.document_type, row.document_name);
		const lines = [
			link && `<div>${__(row.document_type)} ${link}</div>`,
			row.status === "Completed" && `<div class="hub-step-when">${when_in_words(row)}</div>`,
			row.status === "Failed" && `<div class="hub-step-error">${escape(row.error)}</div>`,
			row.status === "Failed" && `<div class="hub-step-next">${next_in_words(doc)}</div>`,
		];
		return `<li class="hub-step" data-step="${escape(row.step)}" data-status="${escape(row.status)}">
			<span class="hub-step-mark ${color}" aria-hidden="true">${SYMBOLS[color]}</span>
			<div class="hub-step-head"><b>${escape(step_label(row.step))}</b>
				<span class="indicator-pill no-indicator-dot ${color}">${state}</span></div>
			${lines.filter(Boolean).join("")}</li>`;
	}

	function when_in_words(row) {
		const parts = [integration_hub.time_in_words(row.completed_at)];
		if (row.duration_ms)
			parts.push(__("took {0} seconds", [format_number(row.duration_ms / 1000, null, 2)]));
		return parts.filter(Boolean).join(" · ");
	}

	function next_in_words(doc) {
		const staged = integration_hub.is_staged(doc);
		if (doc.status === "Completed") return "";
		if (IN_MOTION.includes(doc.status))
			return staged
				? __("Each step is kept as soon as it is done.")
				: __("All or nothing: the steps are kept together, when the last one is done.");
		if (doc.status === "Retry Scheduled")
			return staged
				? __("The hub goes on here by itself; what is done is kept.")
				: __("All or nothing: nothing is kept. The hub begins again by itself.");
		return staged
			? __("A retry goes on here; what is done is kept.")
			: __("All or nothing: nothing is kept. A retry begins again with the first step.");
	}
})();
