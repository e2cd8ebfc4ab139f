"""Log lines over OTLP, each with the ids of the trace that it belongs to."""

from collections.abc import Mapping

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import set_span_in_context
from opentelemetry.trace.span import NonRecordingSpan

from oxidicom import __version__
from oxidicom.telemetry.identity import context_of

_SEVERITIES = {
    "DEBUG": SeverityNumber.DEBUG,
    "INFO": SeverityNumber.INFO,
    "WARNING": SeverityNumber.WARN,
    "ERROR": SeverityNumber.ERROR,
    "CRITICAL": SeverityNumber.FATAL,
}


class LogWriter:
    """Writes log records; the SDK exports them in a thread of its own and drops what finds no room."""

    def __init__(self, resource: Resource) -> None:
        self._provider = LoggerProvider(resource, shutdown_on_exit=False)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        self._logger = self._provider.get_logger("oxidicom", __version__)

    def write(self, time_ns: int, level: str, message: str, fields: Mapping[str, str], association: str) -> None:
        """Write a line. `association` is a ULID, or empty."""
        context = set_span_in_context(NonRecordingSpan(context_of(association))) if association else None
        self._logger.emit(
            LogRecord(
                timestamp=time_ns,
                observed_timestamp=time_ns,
                context=context,
                severity_text=level,
                severity_number=_SEVERITIES.get(level, SeverityNumber.UNSPECIFIED),
                body=message,
                attributes=dict(fields),
            )
        )

    def close(self) -> None:
        """Export what is left, as long as the SDK's timeout allows."""
        self._provider.shutdown()
