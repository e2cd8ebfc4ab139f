"""Metrics over OTLP: readings as they are, exported at intervals by a thread."""

import threading
import time
from collections.abc import Callable, Sequence

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from oxidicom import __version__
from oxidicom.telemetry.readings import AnyReading, HistogramReading, Instrument, Reading

_TIMEOUT_SECONDS = 10.0


class MetricsExporter(threading.Thread):
    """Takes readings at each interval and once more at the end. A slow collector delays only this thread."""

    def __init__(self, resource: Resource, interval_seconds: float, take: Callable[[], Sequence[AnyReading]]) -> None:
        super().__init__(daemon=True, name="metrics")
        self._resource = resource
        self._interval_seconds = interval_seconds
        self._take = take
        self._exporter = OTLPMetricExporter()
        self._began_ns = time.time_ns()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(self._interval_seconds):
            self._export()
        self._export()

    def close(self, timeout_seconds: float) -> None:
        """Export once more, within `timeout_seconds`."""
        self._over.set()
        self.join(timeout_seconds)

    def _export(self) -> None:
        times_ns = self._began_ns, time.time_ns()
        try:
            metrics = [_metric(reading, *times_ns) for reading in self._take()]
        except OSError:  # the storage does not answer: none this time, for the figures would not be true
            return
        scope = ScopeMetrics(InstrumentationScope("oxidicom", __version__), metrics, "")
        self._exporter.export(
            MetricsData([ResourceMetrics(self._resource, [scope], "")]), timeout_millis=_TIMEOUT_SECONDS * 1000
        )


def _metric(reading: AnyReading, began_ns: int, now_ns: int) -> Metric:
    data = (
        _histogram(reading, began_ns, now_ns)
        if isinstance(reading, HistogramReading)
        else _numbers(reading, began_ns, now_ns)
    )
    return Metric(reading.name, reading.description, reading.unit, data)


def _numbers(reading: Reading, began_ns: int, now_ns: int) -> Sum | Gauge:
    points = [NumberDataPoint(dict(number.labels), began_ns, now_ns, number.value) for number in reading.numbers]
    if reading.kind is Instrument.COUNTER:
        return Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return Gauge(points)


def _histogram(reading: HistogramReading, began_ns: int, now_ns: int) -> Histogram:
    point = HistogramDataPoint(
        attributes={},
        start_time_unix_nano=began_ns,
        time_unix_nano=now_ns,
        count=sum(reading.counts),
        sum=reading.sum,
        bucket_counts=list(reading.counts),
        explicit_bounds=list(reading.bounds),
        min=None,  # type: ignore[arg-type] # not kept; optional in OTLP
        max=None,  # type: ignore[arg-type]
    )
    return Histogram([point], AggregationTemporality.CUMULATIVE)
