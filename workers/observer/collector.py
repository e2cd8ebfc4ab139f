"""What goes to a collector over OTLP: traces, log records and metrics.

Only an observer that has a collector loads this: gRPC and the SDK take longer to load than everything else it needs.
"""

from collections.abc import Callable, Sequence

from opentelemetry.sdk.resources import Resource

from oxidicom.telemetry.identity import resource_of
from oxidicom.telemetry.log_records import LogWriter
from oxidicom.telemetry.metrics import MetricsExporter
from oxidicom.telemetry.readings import AnyReading
from oxidicom.telemetry.spans import SpanWriter
from workers.channels.facts import AssociationFinished, BatchRegistered, Fact, LineLogged, SeriesAsked
from workers.observer.subscribers import Subscriber
from workers.observer.tracing import trace_association, trace_batch, trace_series_asked

_CLOSE_SECONDS = 1.0


def collector_subscribers(
    gateway: str, interval_seconds: float, take_readings: Callable[[], Sequence[AnyReading]]
) -> list[Subscriber]:
    """Return what exports traces, logs and, at intervals, metrics of a gateway (its ULID)."""
    resource = resource_of(gateway)
    return [Traces(resource), Logs(resource), Metrics(resource, interval_seconds, take_readings)]


class Traces:
    """Writes spans."""

    wants = (AssociationFinished, SeriesAsked, BatchRegistered)

    def __init__(self, resource: Resource) -> None:
        self._writer = SpanWriter(resource)

    def take(self, fact: Fact) -> None:
        """Write what a fact tells as a span."""
        match fact:
            case AssociationFinished():
                trace_association(self._writer, fact)
            case SeriesAsked():
                trace_series_asked(self._writer, fact)
            case BatchRegistered():
                trace_batch(self._writer, fact)

    def close(self) -> None:
        """Export what is left, as long as the SDK's timeout allows."""
        self._writer.close()


class Logs:
    """Writes log records."""

    wants = (LineLogged,)

    def __init__(self, resource: Resource) -> None:
        self._writer = LogWriter(resource)

    def take(self, fact: Fact) -> None:
        """Write a line."""
        assert isinstance(fact, LineLogged)
        self._writer.write(fact.time_ns, fact.level, fact.message, fact.fields, fact.association)

    def close(self) -> None:
        """Export what is left, as long as the SDK's timeout allows."""
        self._writer.close()


class Metrics:
    """Exports readings, in a thread of its own. It needs no facts."""

    wants = ()

    def __init__(
        self, resource: Resource, interval_seconds: float, take_readings: Callable[[], Sequence[AnyReading]]
    ) -> None:
        self._exporter = MetricsExporter(resource, interval_seconds, take_readings)
        self._exporter.start()

    def take(self, fact: Fact) -> None:
        """Nothing: it is not asked to."""

    def close(self) -> None:
        """Export once more."""
        self._exporter.close(_CLOSE_SECONDS)
