/* global integration_hub */
frappe.ui.form.on("Hub External Reference", {
	refresh(frm) {
		frm.dashboard.clear_headline();
		if (frm.is_new()) return;
		const [text, color] = reference_in_words(frm.doc);
		frm.dashboard.set_headline(`<div class="hub-headline">${text}</div>`, color, true);
	},
});

function reference_in_words(doc) {
	const link = integration_hub.document_link(doc.document_type, doc.document_name);
	const names = [integration_hub.escape(doc.external_id), integration_hub.system_title(doc.system)];
	if (doc.state === "Reserved")
		return [
			__("{0} of {1} is held by a request that did not finish; see Made by request.", names),
			"orange",
		];
	const document = link ? `${__(doc.document_type)} ${link}` : __("no document");
	if (doc.state === "Tombstone")
		return [
			__("{0} of {1} stood for {2}, which is cancelled or gone. The id stays taken.", [
				...names,
				document,
			]),
			"yellow",
		];
	return [__("{0} of {1} stands for {2}.", [...names, document]), "green"];
}
