"""Spans: one `association` for each, with children. Their times are those of what they tell, not of the telling."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.util.types import AttributeValue

from oxidicom import __version__
from oxidicom.telemetry.identity import context_of, trace_of

Attributes = Mapping[str, AttributeValue]


class SpanEvent(NamedTuple):
    """An event inside a span."""

    time_ns: int
    name: str
    attributes: Attributes


class _Ids(RandomIdGenerator):
    """Random ids, but for the span of an association, whose ids are those of its ULID."""

    def __init__(self) -> None:
        self.wanted: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        return self.wanted[0] if self.wanted else super().generate_trace_id()

    def generate_span_id(self) -> int:
        return self.wanted[1] if self.wanted else super().generate_span_id()


class SpanWriter:
    """Writes spans; the SDK exports them in a thread of its own and drops what finds no room. Used by one thread."""

    def __init__(self, resource: Resource) -> None:
        self._ids = _Ids()
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("oxidicom", __version__)

    def association(
        self,
        association: str,
        times_ns: tuple[int, int],
        attributes: Attributes,
        events: Sequence[SpanEvent] = (),
        error: str | None = None,
    ) -> None:
        """Write the span of an association. `error` says why it did not end well."""
        self._ids.wanted = trace_of(association)
        try:
            span = self._tracer.start_span(
                "association", kind=SpanKind.SERVER, start_time=times_ns[0], attributes=attributes
            )
        finally:
            self._ids.wanted = None
        for event in events:
            span.add_event(event.name, event.attributes, event.time_ns)
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(times_ns[1])

    def child(
        self,
        association: str,
        name: str,
        times_ns: tuple[int, int],
        attributes: Attributes,
        error: str | None = None,
    ) -> None:
        """Write something that was done for an association, which may still be going on."""
        parent = set_span_in_context(NonRecordingSpan(context_of(association)))
        span = self._tracer.start_span(
            name, parent, kind=SpanKind.CLIENT, start_time=times_ns[0], attributes=attributes
        )
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(times_ns[1])

    def close(self) -> None:
        """Export what is left, as long as the SDK's timeout allows."""
        self._provider.shutdown()
