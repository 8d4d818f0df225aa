"""Many orders in one call: each is placed as if it came alone, by the workers, and one that is wrong stops none."""

from integration_hub.core import batches
from integration_hub.core.operations import Operation
from integration_hub.core.work import Result, Work
from integration_hub.inbound import orders
from integration_hub.schemas.orders import OrderCreateMany
from integration_hub.schemas.requests import BatchAnswer


def create_many(work: Work) -> Result:
	"""Make a request of each order; see `core.batches`."""
	return batches.expand(work, orders.CREATE, work.body["orders"])


CREATE_MANY = Operation(
	name="orders.create_many",
	summary="Place up to a thousand orders, each exactly once; the answer is 202",
	schema=OrderCreateMany,
	answer=BatchAnswer,
	handler=create_many,
	scope="orders:write",
	writes=True,
	ledger=True,
	always_async=True,
	external_id=lambda batch: batch.external_id,
	key_parts=lambda work: [work.payload.external_id] if work.payload.external_id else None,
	subject=lambda batch: None,
	example={"external_id": "2026-03-01", "orders": [orders.EXAMPLE]},
)
