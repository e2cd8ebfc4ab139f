"""Who speaks, and of what: the OpenTelemetry resource, and the trace of an association.

A trace is an association: its id is the association's ULID, which log lines and metadata paths show too, and the id of
its first span is the ULID's random half. So every process knows both without having been told.
"""

from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.trace import SpanContext, TraceFlags
from ulid import ULID

from oxidicom import __version__


def resource_of(gateway: str) -> Resource:
    """Return the resource: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over our own names."""
    ours = {SERVICE_NAME: "oxidicom", SERVICE_VERSION: __version__, SERVICE_INSTANCE_ID: gateway}
    given = {
        key: value
        for key, value in Resource.create().attributes.items()
        if not (key == SERVICE_NAME and str(value).startswith("unknown_service"))
    }
    return Resource({**ours, **given})


def trace_of(association: str) -> tuple[int, int]:
    """Return trace id and span id of the span of an association (a ULID)."""
    trace_id = int(ULID.from_str(association))
    return trace_id, trace_id & (1 << 64) - 1 or 1


def context_of(association: str) -> SpanContext:
    """Return the context of the span of an association, to hang children on before it is known."""
    return SpanContext(*trace_of(association), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
