"""What is found again in a stored event."""

import pytest

from integration_hub.outbound import catalogue
from integration_hub.outbound.replay import _external_id

IDS = {
	"order.submitted": "WEB-1001",
	"fulfillment.created": "PARCEL-1",
	"invoice.partially_paid": "INV-1",
	"payment.received": "ch_9001",
	"request.failed": "WEB-1002",
	"stock.changed": None,
	"document.updated": None,
	"webhook.test": None,
}


@pytest.mark.parametrize(
	("name", "data"), [(name, one["data"]) for name, one in catalogue.examples().items()]
)
def test_a_replayed_thin_event_has_the_systems_own_id(name, data):
	assert _external_id(data) == IDS[name]


def test_a_reduced_event_shows_its_id_itself():
	data = {"doctype": "Sales Order", "name": "SO-1", "external_id": "WEB-1001", "reduced": True}
	assert _external_id(data) == "WEB-1001"
