"""The settings by what one needs them for, in the order in which they are shown to people."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic.fields import FieldInfo

from oxidicom.settings import Settings

GROUPS: Mapping[str, Sequence[str]] = {
    "Required": ("CHRIS_DB_CONNECTION", "CHRIS_FILES_ROOT"),
    "Port and AE title": ("PORT", "CHRIS_BIND_ADDRESS", "CHRIS_SCP_AET"),
    "Who may send": (
        "CHRIS_SCP_ALLOWED_AETS",
        "CHRIS_SCP_CHECK_CALLED_AET",
        "CHRIS_SCP_MAX_ASSOCIATIONS_PER_AE",
        "CHRIS_PROXY_PROTOCOL",
        "CHRIS_PROXY_TRUSTED",
    ),
    "TLS": ("CHRIS_TLS_CERTIFICATE", "CHRIS_TLS_KEY", "CHRIS_TLS_CLIENT_CA", "CHRIS_TLS_HANDSHAKE_SECONDS"),
    "How many instances a series should have": ("CHRIS_PACS_ADDRESS", "CHRIS_PACS_TIMEOUT_SECONDS"),
    "Live progress": (
        "CHRIS_NATS_ADDRESS",
        "CHRIS_NATS_CREDENTIALS",
        "CHRIS_PROGRESS_INTERVAL",
        "CHRIS_ROOT_SUBJECT",
    ),
    "Concurrency": (
        "CHRIS_LISTENER_THREADS",
        "CHRIS_SCP_BUSY_SECONDS",
        "TOKIO_WORKER_THREADS",
        "CHRIS_DB_POOL",
    ),
    "Storage and shutdown": (
        "CHRIS_SCP_SYNC",
        "CHRIS_STORAGE_RESERVE_BYTES",
        "CHRIS_UMASK",
        "CHRIS_DRAIN_SECONDS",
    ),
    "Page, log, history, telemetry": (
        "CHRIS_HTTP_PORT",
        "CHRIS_HTTP_ADDRESS",
        "CHRIS_LOG_FORMAT",
        "CHRIS_VERBOSE",
        "CHRIS_HISTORY_DAYS",
        "STATE_DIRECTORY",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_METRIC_EXPORT_INTERVAL",
    ),
    "Limits for a sender": (
        "CHRIS_SCP_UNCOMPRESSED_ONLY",
        "CHRIS_SCP_MAX_PDU_LENGTH",
        "CHRIS_SCP_STRICT",
        "CHRIS_SCP_MAX_REQUEST_BYTES",
        "CHRIS_SCP_MAX_PDU_BYTES",
        "CHRIS_SCP_MAX_COMMAND_BYTES",
        "CHRIS_SCP_MAX_INSTANCE_BYTES",
    ),
    "Deadlines for a sender": (
        "CHRIS_SCP_REQUEST_SECONDS",
        "CHRIS_SCP_IDLE_SECONDS",
        "CHRIS_SCP_STALL_SECONDS",
        "CHRIS_SCP_MIN_BYTES_PER_SECOND",
        "CHRIS_SCP_KEEP_ALIVE_SECONDS",
    ),
    "Trying it without CUBE": ("CHRIS_EMBEDDED_SCHEMA",),
}
"""The variables under each heading: what everybody sets first, what hardly anybody sets last."""

_FIELDS = {str(field.alias): field for field in Settings.model_fields.values()}


def grouped_fields() -> Iterator[tuple[str, list[tuple[str, FieldInfo]]]]:
    """Yield each heading with its variables and their fields."""
    for heading, variables in GROUPS.items():
        yield heading, [(variable, _FIELDS[variable]) for variable in variables]
