"""The observer: says what the gateway does, over OpenTelemetry, Prometheus, and in the log once a minute.

Nobody waits for it. Totals come from the scoreboard, which is exact whatever happens; spans come from facts, which
are dropped and counted when it is dead or slow. What it exports goes out in threads of the SDK, so that a collector
that hangs delays none of its work either.
"""

import select
import time
from collections.abc import Sequence

from loguru import logger

from oxidicom.logs import report_dropped_lines
from oxidicom.telemetry.identity import resource_of
from oxidicom.telemetry.log_records import LogWriter
from oxidicom.telemetry.metrics import MetricsExporter
from oxidicom.telemetry.prometheus import prometheus_page
from oxidicom.telemetry.readings import AnyReading
from oxidicom.telemetry.spans import SpanWriter
from workers.channels.facts import AssociationFinished, BatchRegistered, Fact, LineLogged, SeriesAsked
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Slot
from workers.channels.shared import Shared
from workers.observer.health import HealthServer
from workers.observer.readings import AeTotals, take_readings
from workers.observer.tracing import trace_association, trace_batch, trace_series_asked

_WAIT_SECONDS = 0.5
_REPORT_SECONDS = 60.0
_CLOSE_SECONDS = 1.0
_MAX_AT_ONCE = 1000


class Observer:
    """Takes facts, exports them, serves the health page, and reports totals once a minute if there is news."""

    def __init__(self, shared: Shared, slot: Slot) -> None:
        """Make the exporters, if there is an endpoint, and the health page, if there is a port."""
        self._shared = shared
        self._slot = slot
        self._ae_totals = AeTotals()
        self._spans: SpanWriter | None = None
        self._logs: LogWriter | None = None
        self._metrics: MetricsExporter | None = None
        self._reported = (0, 0, 0)
        settings = self._shared.settings
        if settings.otlp_endpoint:
            resource = resource_of(self._shared.directory.ulid)
            self._spans = SpanWriter(resource)
            self._logs = LogWriter(resource)
            seconds = settings.metric_export_interval_milliseconds / 1000
            self._metrics = MetricsExporter(resource, seconds, self._take_readings)
            self._metrics.start()
        if settings.http_port:
            self._health = HealthServer(self._shared, lambda: prometheus_page(self._take_readings()))

    def run(self) -> None:
        """Observe until everybody else has ended."""
        poll = select.poll()
        poll.register(self._shared.facts.queue, select.POLLIN)
        due = time.monotonic() + _REPORT_SECONDS
        while self._shared.scoreboard.phase < GatewayPhase.FLUSHING_TELEMETRY:
            self._slot.beat(ProcessState.WAITING)
            poll.poll(_WAIT_SECONDS * 1000)
            self._slot.beat(ProcessState.WORKING)
            self._take_facts()
            report_dropped_lines()
            if time.monotonic() >= due:
                due = time.monotonic() + _REPORT_SECONDS
                self._report()
        self._close()

    def _take_readings(self) -> Sequence[AnyReading]:
        return take_readings(self._shared, self._ae_totals)

    def _take_facts(self) -> None:
        for _ in range(_MAX_AT_ONCE):
            fact = self._shared.facts.queue.get()
            if fact is None:
                return
            self._take(fact)

    def _take(self, fact: Fact) -> None:
        if isinstance(fact, AssociationFinished):
            self._count(fact)
        if self._spans is None or self._logs is None:
            return
        match fact:
            case AssociationFinished():
                trace_association(self._spans, fact)
            case SeriesAsked():
                trace_series_asked(self._spans, fact)
            case BatchRegistered():
                trace_batch(self._spans, fact)
            case LineLogged():
                self._logs.write(fact.time_ns, fact.level, fact.message, fact.fields, fact.association)

    def _count(self, fact: AssociationFinished) -> None:
        if fact.rejection:
            self._ae_totals.rejections[fact.rejection] += 1
        else:
            self._ae_totals.add(fact.calling_ae_title, fact.committed, fact.bytes)

    def _close(self) -> None:
        """Export what is left, as far as a second allows: the supervisor does not wait longer."""
        self._take_facts()
        report_dropped_lines()
        for writer in (self._spans, self._logs):
            if writer:
                writer.close()
        if self._metrics:
            self._metrics.close(_CLOSE_SECONDS)

    def _report(self) -> None:
        total = self._shared.scoreboard.total
        known, new = total(Counter.ROWS_KNOWN), total(Counter.ROWS_REGISTERED)
        news = (total(Counter.INSTANCES_COMMITTED), known + new, total(Counter.BACKLOG))
        if news != self._reported:
            self._reported = news
            logger.info(
                "So far {committed} instances committed; {new} rows registered, {known} were there before; "
                "{backlog} wait for registration",
                committed=news[0],
                new=new,
                known=known,
                backlog=news[2],
                action="totals",
            )
