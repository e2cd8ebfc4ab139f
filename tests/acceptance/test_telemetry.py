"""What a collector gets: the span tree, the numbers, the lines; and what a bad collector costs: nothing."""

import os
import signal
import time

import pytest
from pynetdicom import AE

from oxidicom.telemetry.identity import trace_of
from tests.acceptance.network.wire import ACCEPTED, REJECTED, RELEASED, Wire
from tests.dicom import contexts_of, make_instance, make_series, send
from tests.fixtures.collector import attributes_of
from tests.unit.association.association_peer import RELEASE_RQ
from tests.waiting import wait_until

SECRETS = ("1CT1", "CompressedSamples", "SECRET")


@pytest.fixture
def make_observed(make_gateway, collector):
    """A function that starts a gateway which exports to the collector, quickly."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
    }
    return lambda **more: make_gateway(**{**variables, **more})


def test_the_span_tree_of_an_association(make_observed, collector, rows, tmp_path):
    gateway = make_observed(CHRIS_PACS_ADDRESS="PACS=127.0.0.1:1")
    paths = make_series(tmp_path / "in", 5)
    bad = make_instance(tmp_path / "bad.dcm", 6, StudyDate=None, PatientName="SECRET^NAME")
    began = time.time()
    send(gateway.port, [*paths, bad], "PACS")
    (span,) = wait_until(lambda: collector.spans_named("association"), "the span of the association")
    attributes = attributes_of(span)
    assert attributes["client.address"] == "127.0.0.1"
    assert attributes["client.port"] > 0
    assert (attributes["dicom.calling_ae_title"], attributes["dicom.called_ae_title"]) == ("PACS", "ChRIS")
    assert attributes["dicom.contexts.accepted"] == 1
    assert [attributes[f"oxidicom.instances.{what}"] for what in ("received", "committed", "refused")] == [6, 5, 1]
    assert attributes["oxidicom.bytes"] > sum(path.stat().st_size for path in paths) * 0.9
    assert attributes["oxidicom.ended"] == "released"
    assert began <= span.start_time_unix_nano / 1e9 <= span.end_time_unix_nano / 1e9 <= time.time()
    (event,) = span.events
    assert event.name == "instance refused"
    assert attributes_of(event)["dicom.status"] == "C000"
    assert "StudyDate" in attributes_of(event)["oxidicom.reason"]
    assert span.status.code == 2  # error: one was refused
    trace_id, span_id = trace_of(attributes["oxidicom.association"])
    assert (span.trace_id, span.span_id) == (trace_id.to_bytes(16, "big"), span_id.to_bytes(8, "big"))

    wait_until(lambda: sum_of(collector, "oxidicom.rows") == 7, "five files and two metadata values registered")
    for child in [*collector.spans_named("register"), *collector.spans_named("findscu")]:
        assert (child.trace_id, child.parent_span_id) == (span.trace_id, span.span_id)
    (find,) = collector.spans_named("findscu")
    assert find.status.code == 2  # nobody is there
    assert collector.resources[0]["deployment.environment"] == "test"
    assert collector.resources[0]["service.name"] == "oxidicom"
    assert not any(secret in str([*collector.spans, *collector.logs]) for secret in SECRETS)


def sum_of(collector, attribute):
    return sum(attributes_of(span)[attribute] for span in collector.spans_named("register"))


def test_a_trace_leads_to_its_log_lines(make_observed, collector, tmp_path):
    gateway = make_observed()
    send(gateway.port, make_series(tmp_path / "in", 1))
    (span,) = wait_until(lambda: collector.spans_named("association"), "the span")
    lines = wait_until(
        lambda: [line for line in collector.logs if line.trace_id == span.trace_id], "its lines at the collector"
    )
    assert lines[0].span_id == span.span_id
    assert any("(released)" in line.body.string_value for line in lines)
    assert {line.severity_text for line in collector.logs} == {"INFO"}


def test_the_numbers_are_those_of_what_was_sent(make_observed, collector, tmp_path):
    gateway = make_observed()
    paths = make_series(tmp_path / "in", 7)
    send(gateway.port, paths, "A")
    send(gateway.port, paths[:3], "A")
    send(gateway.port, [make_instance(tmp_path / "bad.dcm", StudyDate=None)], "B")
    entity = AE("C")
    entity.requested_contexts = contexts_of(paths)
    assert entity.associate("127.0.0.1", gateway.port, ae_title="ChRIS").abort() is None
    wait_until(lambda: collector.number("oxidicom.row.registered") == 7 + 4, "rows: seven files, two series twice")
    wait_until(lambda: collector.number("oxidicom.ae.associations", ae_title="C") == 1, "the abort")
    expected = {
        "oxidicom.association.accepted": 4,
        "oxidicom.association.failed": 1,
        "oxidicom.association.active": 0,
        "oxidicom.instance.received": 11,
        "oxidicom.instance.committed": 10,
        "oxidicom.instance.stored": 10,
        "oxidicom.row.duplicate": 3,
        "oxidicom.row.set_aside": 0,
        "oxidicom.fact.dropped": 0,
        "oxidicom.spool.entries": 0,
        "oxidicom.database.up": 1,
    }
    wait_until(lambda: {name: collector.number(name) for name in expected} == expected, "all of it at rest")
    assert collector.number("oxidicom.instance.refused", status="C000") == 1
    wait_until(lambda: collector.number("oxidicom.ae.instances", ae_title="A") == 10, "what A sent")
    wait_until(lambda: collector.number("oxidicom.ae.associations", ae_title="B") == 1, "the association of B")
    assert collector.number("oxidicom.instance.io") == collector.number("oxidicom.ae.io", ae_title="A")
    assert collector.histogram("oxidicom.store.duration").count == 10
    assert collector.histogram("oxidicom.registration.lag").count == 10
    assert collector.metrics["oxidicom.registration.lag"].unit == "s"
    units = {metric.unit for metric in collector.metrics.values()}
    assert "1" not in units, "a collector makes _ratio of it, and the dashboard would miss it"


def test_a_killed_observer_is_respawned_and_the_totals_stay_exact(make_observed, collector, tmp_path):
    gateway = make_observed()
    paths = make_series(tmp_path / "in", 3)
    send(gateway.port, paths)
    os.kill(gateway.pids_of("observer")[0], signal.SIGKILL)
    send(gateway.port, paths)
    wait_until(lambda: collector.number("oxidicom.process.respawns", role="observer") == 1, "its successor exports")
    wait_until(lambda: collector.number("oxidicom.instance.committed") == 6, "all instances")


def test_a_collector_that_hangs_delays_nothing_and_costs_only_facts(make_observed, collector, rows, tmp_path):
    gateway = make_observed(OTEL_EXPORTER_OTLP_TIMEOUT="200")  # seconds: whoever waited for an export would show it
    collector.hang()
    paths = make_series(tmp_path / "in", 100)
    began = time.monotonic()
    assert {status.Status for status in send(gateway.port, paths)} == {0}
    wait_until(lambda: len(rows()) == 100, "the rows")
    assert time.monotonic() - began < 60
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 60, "the end is not delayed either"
    assert not gateway.lines("process_died")


def test_a_collector_that_dies_and_comes_back_gets_the_totals(make_observed, collector, tmp_path):
    gateway = make_observed()
    wait_until(lambda: collector.metrics, "metrics")
    collector.stop()
    send(gateway.port, make_series(tmp_path / "in", 4))
    collector.metrics.clear()
    collector.start()
    wait_until(lambda: collector.number("oxidicom.instance.committed") == 4, "the totals", 60)


def test_what_is_left_is_exported_at_the_end(make_observed, collector, tmp_path):
    gateway = make_observed(OTEL_BSP_SCHEDULE_DELAY="60000")
    send(gateway.port, make_series(tmp_path / "in", 1))
    assert gateway.stop() == 0
    assert len(collector.spans_named("association")) == 1


def test_without_an_endpoint_nothing_is_exported_and_nothing_said_about_it(gateway, tmp_path):
    send(gateway.port, make_series(tmp_path / "in", 1))
    assert gateway.stop() == 0
    text = gateway.log_path.read_text().lower()
    assert not any(word in text for word in ("otlp", "telemetry", "export", "4317"))


def test_rejections_have_their_reasons(make_observed, collector):
    gateway = make_observed(CHRIS_SCP_ALLOWED_AETS="FRIEND", CHRIS_LISTENER_THREADS="1", CHRIS_SCP_BUSY_SECONDS="3")
    with Wire(gateway.port) as stranger:
        assert stranger.associate(b"STRANGER") == (REJECTED, bytes((0, 1, 1, 3)))
    with Wire(gateway.port) as held, Wire(gateway.port) as late:
        assert held.associate(b"FRIEND")[0] == ACCEPTED
        assert late.associate(b"FRIEND") == (REJECTED, bytes((0, 2, 3, 2))), "every listener is busy"
        assert held.send(RELEASE_RQ).receive()[0] == RELEASED
    name = "oxidicom.association.rejected"
    reasons = {(("reason", "calling ae title not recognized"),): 1, (("reason", "local limit exceeded"),): 1}
    wait_until(lambda: collector.numbers(name) == reasons, "both reasons")
    spans = wait_until(lambda: len(collector.spans_named("association")) == 3 and collector.spans, "three spans")
    assert sum(span.status.code == 2 for span in spans if span.name == "association") == 2
