"""States of a Hub Request; the diagram is in docs/operations.md."""

QUEUED = "Queued"
PROCESSING = "Processing"
RETRY_SCHEDULED = "Retry Scheduled"
COMPLETED = "Completed"
FAILED = "Failed"
CANCELLED = "Cancelled"

UNFINISHED = (QUEUED, PROCESSING, RETRY_SCHEDULED, FAILED)
