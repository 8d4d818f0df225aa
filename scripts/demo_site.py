"""Fills a site with what the demo shows: ERPNext's setup wizard, master data, stock and a Connected System.

Runs in the bench's environment, from its `sites` directory. Everything here may be run again: what exists stays.
"""

import argparse
import json
import os
import socket
from pathlib import Path

import frappe
from frappe.utils import getdate, nowdate
from frappe.utils.password import get_decrypted_password, get_encryption_key

COMPANY = "Hub Demo"
ABBR = "HD"
BANK = "Demo Bank"
SYSTEM = "demo-shop"

CUSTOMERS = ["Copper Kettle Coffee", "Harbour Street Books", "Northern Lights Outfitters"]

# code → (name, price). The first two are in WooCommerce's example order, the next three in Shopify's.
ITEMS = {
	"WOO-SINGLE-1": ("Woo Single #1", 3),
	"Bar3": ("Ship Your Idea, black, size M", 12),
	"IPOD2008GREEN": ("iPod Nano 8 GB, green", 199),
	"IPOD2008RED": ("iPod Nano 8 GB, red", 199),
	"IPOD2008BLACK": ("iPod Nano 8 GB, black", 199),
	"MUG-STONE": ("Stoneware mug, 350 ml", 14),
	"TEA-ASSAM-250": ("Assam tea, 250 g", 9.5),
	"NOTEBOOK-A5": ("Notebook A5, dotted", 7.25),
	"LAMP-BRASS": ("Brass reading lamp", 89),
	"BLANKET-WOOL": ("Wool blanket, 130 × 180 cm", 120),
}

# WooCommerce knows its products by number: the one without a SKU is found by this.
WOOCOMMERCE_PRODUCTS = {"93": "WOO-SINGLE-1"}

CHARGE_CODES = ["flat_rate", "shipping", "handling", "gift_wrap"]
TAX_CODES = ["US-CA-STATE TAX", "sales_tax"]
MODES_OF_PAYMENT = {"Cash": "Cash", "Card": "Credit Card"}


def complete_wizard() -> None:
	"""Run ERPNext's own setup wizard, so that the Desk opens without it."""
	from frappe.desk.page.setup_wizard.setup_wizard import setup_complete

	year = getdate(nowdate()).year
	setup_complete(
		{
			"language": "English",
			"country": "United States",
			"timezone": "America/New_York",
			"currency": "USD",
			"company_name": COMPANY,
			"company_abbr": ABBR,
			"chart_of_accounts": "Standard",
			"fy_start_date": f"{year}-01-01",
			"fy_end_date": f"{year}-12-31",
			"bank_account": BANK,
			"setup_demo": 0,
			"enable_telemetry": 0,
		}
	)
	# What a shop sends is what is booked: no tax of ERPNext's own on an order that names none.
	templates = {"company": COMPANY, "is_default": 1}
	frappe.db.set_value("Sales Taxes and Charges Template", templates, "is_default", 0)
	# ERPNext's tours would lie over the pages people came to see.
	frappe.db.set_single_value("System Settings", "enable_onboarding", 0)


def make_encryption_key() -> None:
	"""Make the site's key for secrets before the first web process runs.

	Frappe makes it at first use, and v16's web workers remember a `site_config.json` without it for a minute:
	meanwhile each would write a key of its own and make the others' secrets unreadable.
	"""
	get_encryption_key()


def ours(name: str) -> str:
	"""Return ERPNext's name for an account, warehouse or cost centre of the demo company."""
	return f"{name} - {ABBR}"


def ensure(doctype: str, name: str, **values) -> str:
	if not frappe.db.exists(doctype, name):
		frappe.get_doc({"doctype": doctype, **values}).insert()
	return name


def make_accounts() -> None:
	ensure(
		"Account",
		ours("Sales Tax"),
		account_name="Sales Tax",
		parent_account=ours("Duties and Taxes"),
		account_type="Tax",
		company=COMPANY,
	)
	for method, mode in MODES_OF_PAYMENT.items():
		document = frappe.get_doc("Mode of Payment", mode)
		if not any(row.company == COMPANY for row in document.accounts):
			document.append("accounts", {"company": COMPANY, "default_account": account_of(method)})
			document.save()


def account_of(method: str) -> str:
	return ours("Cash") if method == "Cash" else ours(BANK)


def make_customers() -> None:
	for customer in CUSTOMERS:
		ensure(
			"Customer", customer, customer_name=customer, customer_type="Company", customer_group="Commercial"
		)


def make_items() -> None:
	for code, (name, price) in ITEMS.items():
		ensure(
			"Item",
			code,
			item_code=code,
			item_name=name,
			item_group="Products",
			stock_uom="Nos",
			is_stock_item=1,
			valuation_rate=price / 2,
			standard_rate=price,  # makes the Item Price as well
		)


def make_stock() -> None:
	warehouse = ours("Stores")
	missing = [
		code for code in ITEMS if not frappe.db.exists("Bin", {"item_code": code, "warehouse": warehouse})
	]
	if not missing:
		return
	frappe.get_doc(
		{
			"doctype": "Stock Reconciliation",
			"purpose": "Opening Stock",
			"company": COMPANY,
			"expense_account": ours("Temporary Opening"),
			"items": [
				{"item_code": code, "warehouse": warehouse, "qty": 1000, "valuation_rate": ITEMS[code][1] / 2}
				for code in missing
			],
		}
	).submit()


def make_system() -> None:
	scopes = frappe.get_meta("Hub System Scope").get_options("scope").split("\n")
	if frappe.db.exists("Hub Connected System", SYSTEM):
		add_new_scopes(scopes)
		return
	frappe.get_doc(
		{
			"doctype": "Hub Connected System",
			"slug": SYSTEM,
			"title": "Demo Shop",
			"kind": "Shop",
			"enabled": 1,
			"company": COMPANY,
			"customer_group": "Individual",
			"territory": "United States",
			"price_list": "Standard Selling",
			"currency": "USD",
			"warehouse": ours("Stores"),
			"cost_center": ours("Main"),
			"submit_orders": 1,
			"unknown_customer_policy": "Create",
			"unknown_item_policy": "Reject",
			"totals_policy": "Reject",
			"scopes": [{"scope": scope} for scope in scopes if scope],
			"charge_map": [
				{"charge_code": code, "account": ours("Freight and Forwarding Charges")}
				for code in CHARGE_CODES
			],
			"tax_map": [{"tax_code": code, "account": ours("Sales Tax")} for code in TAX_CODES],
			"payment_method_map": [
				{"payment_method": method, "mode_of_payment": mode, "account": account_of(method)}
				for method, mode in MODES_OF_PAYMENT.items()
			],
			"warehouse_map": [{"external_warehouse": "main", "warehouse": ours("Stores")}],
		}
	).insert()


def add_new_scopes(scopes: list[str]) -> None:
	"""Open what a later version of the app added to a demo that an earlier one has made."""
	system = frappe.get_doc("Hub Connected System", SYSTEM)
	missing = set(scopes) - {row.scope for row in system.scopes}
	for scope in sorted(missing):
		system.append("scopes", {"scope": scope})
	if missing:
		system.save()


def make_references() -> None:
	from integration_hub.core import references

	for external_id, code in WOOCOMMERCE_PRODUCTS.items():
		if not references.find(SYSTEM, "item", external_id):
			references.add(SYSTEM, "item", external_id, "Item", code)


def open_receiver_port(known: int | None) -> int:
	"""Return a port on this machine that webhooks may reach: the one of before while it is free, else another."""
	port = known if known and port_is_free(known) else free_port()
	settings = frappe.get_doc("Hub Settings")
	settings.update(
		{
			"webhook_allow_http": 1,
			"webhook_allowed_networks": "127.0.0.0/8",
			"webhook_ports": f"443\n8443\n{port}",
		}
	)
	settings.save()
	return port


def free_port() -> int:
	with socket.create_server(("127.0.0.1", 0)) as listener:
		return listener.getsockname()[1]


def port_is_free(port: int) -> bool:
	try:
		socket.create_server(("127.0.0.1", port)).close()
	except OSError:
		return False
	return True


def token_works(token: str | None, user: str | None) -> bool:
	if not token or not user:
		return False
	key, secret = token.split(":")
	return frappe.db.get_value("User", user, "api_key") == key and secret == get_decrypted_password(
		"User", user, "api_secret", raise_exception=False
	)


def token_of_system(known: str | None) -> str:
	"""Return the token made earlier while it is still good, else a new one: secrets are shown once."""
	from integration_hub.core import credentials

	user = frappe.db.get_value("Hub Connected System", SYSTEM, "user")
	if token_works(known, user):
		return known
	made = credentials.rotate(SYSTEM) if user else credentials.create_user(SYSTEM)
	return f"{made.api_key}:{made.api_secret}"


def token_of_administrator(known: str | None) -> str:
	if token_works(known, "Administrator"):
		return known
	user = frappe.get_doc("User", "Administrator")
	key, secret = user.api_key or frappe.generate_hash(length=15), frappe.generate_hash(length=30)
	user.update({"api_key": key, "api_secret": secret})
	user.save()
	return f"{key}:{secret}"


def make_demo() -> None:
	for make in (make_accounts, make_customers, make_items, make_stock, make_system, make_references):
		make()


def describe(file: Path) -> dict:
	"""Return what a program needs to use the demo, and keep it in a file that only its owner may read.

	Hub Settings are opened for the demo's receiver of webhooks, which listens on this machine.
	"""
	known = json.loads(file.read_text()) if file.exists() else {}
	description = {
		"base_url": frappe.conf.host_name,
		"host": frappe.local.site,
		"token": token_of_system(known.get("token")),
		"admin_token": token_of_administrator(known.get("admin_token")),
		"system": SYSTEM,
		"company": COMPANY,
		"customer": CUSTOMERS[0],
		"items": list(ITEMS),
		"warehouse": ours("Stores"),
		"bank_account": ours(BANK),
		"receiver_port": open_receiver_port(known.get("receiver_port")),
	}
	frappe.db.commit()
	with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
		json.dump(description, out)
	return description


def main() -> None:
	parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
	parser.add_argument("action", choices=["wizard", "demo"])
	parser.add_argument("--site", required=True)
	parser.add_argument("--description", type=Path, help="file that keeps the demo's addresses and tokens")
	options = parser.parse_args()

	frappe.init(site=options.site)
	frappe.connect()
	frappe.set_user("Administrator")
	try:
		make_encryption_key()
		complete_wizard()
		if options.action == "demo":
			make_demo()
			describe(options.description)
		frappe.db.commit()
	finally:
		frappe.destroy()


if __name__ == "__main__":
	main()
