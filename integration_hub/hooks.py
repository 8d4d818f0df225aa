app_name = "integration_hub"
app_title = "Integration Hub"
app_publisher = "Integration Hub contributors"
app_description = "Orders exactly once, every call on record: the dependable centre of a business's systems"
app_email = "hello@example.com"
app_license = "gpl-3.0"
required_apps = ["frappe/erpnext"]

# The public API: name → Operation. Another app may add its own.
hub_operations = {
	"orders.create": "integration_hub.inbound.orders.CREATE",
	"orders.create_many": "integration_hub.inbound.order_batches.CREATE_MANY",
	"orders.list": "integration_hub.documents.order_list.LIST",
	"orders.get": "integration_hub.inbound.orders.GET",
	"orders.update": "integration_hub.inbound.order_updates.UPDATE",
	"orders.cancel": "integration_hub.inbound.cancellations.CANCEL",
	"sales.fulfill": "integration_hub.inbound.cycle.FULFILL",
	"sales.invoice": "integration_hub.inbound.cycle.BILL",
	"sales.pay": "integration_hub.inbound.cycle.PAY",
	"sales.refund": "integration_hub.inbound.cycle.REFUND",
	"sales.run": "integration_hub.inbound.cycle.RUN",
	"sales.status": "integration_hub.inbound.cycle.STATUS",
	"requests.get": "integration_hub.documents.requests.GET",
	"requests.list": "integration_hub.documents.requests.LIST",
	"requests.retry": "integration_hub.documents.requests.RETRY",
	"requests.cancel": "integration_hub.documents.requests.CANCEL",
	"webhooks.list": "integration_hub.outbound.webhooks.LIST",
	"webhooks.create": "integration_hub.outbound.webhooks.CREATE",
	"webhooks.update": "integration_hub.outbound.webhooks.UPDATE",
	"webhooks.delete": "integration_hub.outbound.webhooks.DELETE",
	"webhooks.test": "integration_hub.outbound.webhooks.TEST",
	"webhooks.receive": "integration_hub.inbound.webhooks.RECEIVE",
	"webhooks.rotate_secret": "integration_hub.outbound.webhooks.ROTATE",
	"events.list": "integration_hub.outbound.stream.LIST",
	"events.get": "integration_hub.outbound.stream.GET",
	"events.replay": "integration_hub.outbound.stream.REPLAY",
	"system.ping": "integration_hub.documents.system.PING",
	"system.openapi": "integration_hub.openapi.builder.OPENAPI",
}

# Told when a request is completed or has failed for good: f(request, system, succeeded, queued).
hub_request_changed = ["integration_hub.outbound.capture.on_request_changed"]

before_request = ["integration_hub.core.request_hooks.before_request"]
auth_hooks = ["integration_hub.core.request_hooks.authenticate"]
after_request = ["integration_hub.core.request_hooks.after_request"]

after_install = "integration_hub.install.after_install"
after_migrate = "integration_hub.install.after_migrate"
before_uninstall = "integration_hub.uninstall.before_uninstall"

doc_events = {
	(
		"Customer",
		"Contact",
		"Address",
		"Item",
		"Quotation",
		"Sales Order",
		"Delivery Note",
		"Sales Invoice",
		"Payment Entry",
	): {
		"before_validate": "integration_hub.core.references.keep_fields",
		"before_update_after_submit": "integration_hub.core.references.keep_fields",
		"after_insert": "integration_hub.core.references.follow_amendment",
		"after_rename": "integration_hub.core.references.follow_rename",
		"on_cancel": "integration_hub.core.references.tombstone",
		"after_delete": "integration_hub.core.references.tombstone",
	},
	"Sales Order": {"before_submit": "integration_hub.inbound.selling.lock_bins_of_order"},
	# Behind each: one look-up in memory, unless somebody wants to be told.
	"*": {
		"after_insert": "integration_hub.outbound.capture.on_doc_event",
		"on_update": "integration_hub.outbound.capture.on_doc_event",
		"on_submit": "integration_hub.outbound.capture.on_doc_event",
		"on_update_after_submit": "integration_hub.outbound.capture.on_doc_event",
		"on_cancel": "integration_hub.outbound.capture.on_doc_event",
		"on_discard": "integration_hub.outbound.capture.on_doc_event",
		"after_delete": "integration_hub.outbound.capture.on_doc_event",
		"after_rename": "integration_hub.outbound.capture.on_doc_event",
	},
}

scheduler_events = {
	"cron": {"* * * * *": ["integration_hub.tasks.sweep"]},
	"daily_long": ["integration_hub.tasks.purge"],
}

# The hub's records point at business documents and must never keep anybody from deleting them.
ignore_links_on_delete = ["Hub Request", "Hub External Reference", "Hub Event", "Hub Event Delivery"]

# People change the days in Log Settings.
default_log_clearing_doctypes = {"Hub Event": 90}

add_to_apps_screen = [
	{
		"name": "integration_hub",
		"logo": "/assets/integration_hub/images/integration-hub.svg",
		"title": "Integration Hub",
		"route": "/app/integration-hub",
		"has_permission": "integration_hub.permissions.may_open_app",
	}
]

# The hub's own forms share hub_desk.js; business documents show where they came from and who was told of them.
doctype_js = {
	"Hub Request": [
		"public/js/hub_desk.js",
		"public/js/request_steps.js",
		"public/js/batches.js",
		"public/js/put_right.js",
	],
	"Hub Connected System": ["public/js/hub_desk.js", "public/js/secrets.js", "public/js/inbound.js"],
	"Hub External Reference": "public/js/hub_desk.js",
	"Hub Webhook": ["public/js/hub_desk.js", "public/js/events.js", "public/js/secrets.js"],
	"Hub Event": ["public/js/hub_desk.js", "public/js/events.js"],
	"Hub Event Delivery": ["public/js/hub_desk.js", "public/js/events.js"],
	"Hub Field Map": "public/js/hub_desk.js",
	"Customer": ["public/js/hub_desk.js", "public/js/events.js", "public/js/origin.js"],
	"Contact": ["public/js/hub_desk.js", "public/js/events.js", "public/js/origin.js"],
	"Address": ["public/js/hub_desk.js", "public/js/events.js", "public/js/origin.js"],
	"Item": ["public/js/hub_desk.js", "public/js/events.js", "public/js/origin.js"],
	"Quotation": ["public/js/hub_desk.js", "public/js/events.js", "public/js/origin.js"],
	"Sales Order": ["public/js/hub_desk.js", "public/js/events.js", "public/js/origin.js"],
	"Delivery Note": ["public/js/hub_desk.js", "public/js/events.js", "public/js/origin.js"],
	"Sales Invoice": ["public/js/hub_desk.js", "public/js/events.js", "public/js/origin.js"],
	"Payment Entry": ["public/js/hub_desk.js", "public/js/events.js", "public/js/origin.js"],
}
doctype_list_js = {
	"Hub Request": "public/js/hub_desk.js",
	"Hub Event": ["public/js/hub_desk.js", "public/js/events.js"],
	"Hub Event Delivery": ["public/js/hub_desk.js", "public/js/events.js"],
}
