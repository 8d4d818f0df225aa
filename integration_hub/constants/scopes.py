"""What a Connected System may be allowed to do, and the ERPNext roles its user needs for it."""

# scope → (meaning, roles). The roles were tried with a Company User Permission; nothing broader is needed.
SCOPES: dict[str, tuple[str, tuple[str, ...]]] = {
	"orders:read": ("Read orders", ("Sales User",)),
	"orders:write": ("Create, change and cancel orders, with their customers and addresses", ("Sales User",)),
	"sales:read": ("Read the deliveries, invoices and payments of orders", ("Sales User",)),
	"sales:write": (
		"Deliver, bill, book payments and give refunds",
		("Sales User", "Stock User", "Accounts User"),
	),
	"sales:cancel": (
		"Undo deliveries, invoices and payments together with their order",
		("Sales User", "Stock User", "Accounts User", "Accounts Manager"),
	),
	"requests:read": ("Read the state of its own requests", ()),
	"requests:write": ("Retry its own failed requests", ()),
	"stock:read": ("Be told of stock levels", ("Stock User",)),
	"documents:read": ("Be told of changes of any document its user may read; give the user the roles", ()),
	"events:read": ("Read and replay its own events", ()),
	"webhooks:read": ("Read its own webhooks", ()),
	"webhooks:write": ("Create, change, test and delete its own webhooks", ()),
	"system:read": ("Read the description of the API", ()),
}

# Only a system that may create unknown items needs it.
ITEM_CREATOR_ROLE = "Item Manager"
