"""The bell rings in the queue that the site's configuration names, and for what was woken; the doctor looks there."""

import pytest

import frappe
from frappe.utils.background_jobs import generate_qname, get_job

from integration_hub.core import doctor, doorbell
from integration_hub.tests.factories import order, unique

# A method nobody else rings for, which changes nothing.
METHOD = "integration_hub.core.doorbell.queue"


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
	"""A Redis that answers late is there all the same, and what an earlier test has met does not count."""
	monkeypatch.setattr(doorbell, "TIMEOUT", 30)
	monkeypatch.setattr(doorbell, "_silent_until", 0.0)


@pytest.fixture
def rung(named):
	"""Rings, and returns the job of RQ that came of it."""
	doorbell.ring(METHOD)
	job = get_job(doorbell.job_id(METHOD, 0))
	yield job
	job.delete()


@pytest.fixture
def named(request, monkeypatch):
	if request.param:
		monkeypatch.setitem(frappe.conf, "hub_queue", request.param)


@pytest.mark.parametrize(
	("named", "queue"), [(None, "short"), ("", "short"), ("long", "long")], indirect=["named"]
)
def test_the_bell_rings_in_the_queue_of_the_configuration(named, queue, rung):
	assert (rung.origin, rung.timeout) == (generate_qname(queue), 300)


def workers() -> list[doctor.Finding]:
	return [finding for finding in doctor.examine() if finding.area == "Workers"]


@pytest.mark.parametrize("named", ["long"], indirect=True)
def test_the_doctor_looks_at_that_queue(named):
	[finding] = workers()
	assert finding.level == "ok" and "“long”" in finding.message, finding


@pytest.mark.parametrize("named", ["nowhere"], indirect=True)
def test_the_doctor_finds_a_queue_the_bench_does_not_have(named):
	[finding] = workers()
	assert finding.level == "error" and "“nowhere”" in finding.message, finding
	assert "common_site_config.json" in finding.remedy


def test_a_job_left_in_another_queue_does_not_silence_the_bell(monkeypatch):
	jobs = []
	for queue in ("long", "short"):
		monkeypatch.setitem(frappe.conf, "hub_queue", queue)
		doorbell.ring(METHOD)
		jobs.append(get_job(doorbell.job_id(METHOD, 0)))
	assert [job.origin for job in jobs] == [generate_qname("long"), generate_qname("short")]
	for job in jobs:
		job.delete()


def test_an_order_whose_caller_waits_rings_for_its_payment(system, site):
	"""Otherwise the payment, due since the order is there, would wait for the sweep."""
	shop, body = system(), order()
	payment = {"order": {"external_id": body["external_id"]}, "external_id": unique("P"), "method": "Cash"}
	with site.settings("Hub Settings", dependency_delay_seconds=3000):
		request = shop.http.post("sales.pay", payment, Prefer="respond-async").message["id"]
		site.wait_for_status(request, "Retry Scheduled")
		assert shop.http.post("orders.create", body).status == 201
		assert site.wait_for_status(request, "Completed").attempt_no == 2
