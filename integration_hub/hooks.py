app_name = "integration_hub"
app_title = "Integration Hub"
app_publisher = "Integration Hub contributors"
app_description = "Orders exactly once, every call on record: the dependable centre of a business's systems"
app_email = "hello@integration-hub.dev"
app_license = "gpl-3.0"
required_apps = ["frappe/erpnext"]
