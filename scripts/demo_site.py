"""Fills a site: ERPNext's setup wizard. Runs in the bench's environment."""

from __future__ import annotations

import argparse

import frappe
from frappe.utils import getdate, nowdate

COMPANY = "Hub Demo"


def complete_wizard() -> None:
	"""ERPNext's own setup wizard, so that the Desk opens without it. Does nothing when it is done."""
	from frappe.desk.page.setup_wizard.setup_wizard import setup_complete

	year = getdate(nowdate()).year
	setup_complete(
		{
			"language": "English",
			"country": "United States",
			"timezone": "America/New_York",
			"currency": "USD",
			"company_name": COMPANY,
			"company_abbr": "HD",
			"chart_of_accounts": "Standard",
			"fy_start_date": f"{year}-01-01",
			"fy_end_date": f"{year}-12-31",
			"bank_account": "Demo Bank",
			"setup_demo": 0,
			"enable_telemetry": 0,
		}
	)
	frappe.db.commit()


def main() -> None:
	parser = argparse.ArgumentParser(description=__doc__)
	parser.add_argument("action", choices=["wizard"])
	parser.add_argument("--site", required=True)
	options = parser.parse_args()

	frappe.init(site=options.site)
	frappe.connect()
	frappe.set_user("Administrator")
	try:
		complete_wizard()
	finally:
		frappe.destroy()


if __name__ == "__main__":
	main()
