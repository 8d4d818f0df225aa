"""States of a Hub Event Delivery; the diagram is in docs/operations.md."""

PENDING = "Pending"
SENDING = "Sending"
SCHEDULED = "Scheduled"
HELD = "Held"
DELIVERED = "Delivered"
EXHAUSTED = "Exhausted"

OPEN = (PENDING, SENDING, SCHEDULED, HELD)

# What the doorbell asks a worker to run.
JOB = "integration_hub.tasks.deliver"
