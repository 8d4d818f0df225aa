"""Names of the HTTP headers of the public contract."""

IDEMPOTENCY_KEY = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
REQUEST_ID = "X-Request-Id"
RATE_LIMIT = "X-RateLimit-Limit"
RATE_REMAINING = "X-RateLimit-Remaining"
RATE_RESET = "X-RateLimit-Reset"
