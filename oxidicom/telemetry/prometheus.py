"""Readings as a Prometheus page (text exposition format)."""

import itertools
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from oxidicom.telemetry.readings import AnyReading, HistogramReading, Instrument, Reading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# What OpenTelemetry's conventions make of UCUM units in Prometheus names; `{things}` add nothing. None of ours is `1`:
# a collector would name such a gauge `_ratio`.
_UNIT_SUFFIXES = {"s": "_seconds", "By": "_bytes"}


def prometheus_name(reading: AnyReading) -> str:
    """Return the name of a metric in Prometheus, without the `_total` that counters get in the page."""
    return reading.name.replace(".", "_") + _UNIT_SUFFIXES.get(reading.unit, "")


def prometheus_page(readings: Sequence[AnyReading]) -> bytes:
    """Return the page of `/metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Readings(readings))
    return generate_latest(registry)


class _Readings(Collector):
    def __init__(self, readings: Sequence[AnyReading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        for reading in self._readings:
            if isinstance(reading, HistogramReading):
                yield _histogram(reading)
            else:
                yield _numbers(reading)


def _numbers(reading: Reading) -> Metric:
    labels = sorted({label for number in reading.numbers for label in number.labels})
    family = CounterMetricFamily if reading.kind is Instrument.COUNTER else GaugeMetricFamily
    metric = family(prometheus_name(reading), reading.description, labels=labels)
    for number in reading.numbers:
        metric.add_metric([number.labels.get(label, "") for label in labels], number.value)
    return metric


def _histogram(reading: HistogramReading) -> Metric:
    metric = HistogramMetricFamily(prometheus_name(reading), reading.description)
    bounds = [*(f"{bound:g}" for bound in reading.bounds), "+Inf"]
    metric.add_metric([], list(zip(bounds, itertools.accumulate(reading.counts), strict=True)), reading.sum)
    return metric
