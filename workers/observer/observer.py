"""The observer: says what the gateway does, over OpenTelemetry, NATS, in its history, and in the log once a minute.

Nobody waits for it. Totals come from the scoreboard, which is exact whatever happens; spans come from facts, which
are dropped and counted when it is dead or slow. What it exports goes out in threads of the SDK, so that a collector
that hangs delays none of its work either.
"""

import select
import time
from collections.abc import Sequence

from loguru import logger

from oxidicom.logs import report_dropped_lines
from oxidicom.telemetry.readings import AnyReading
from workers.channels.facts import Fact
from workers.channels.readings import AeTotals, take_readings
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Slot
from workers.observer.history import History, remove_history
from workers.observer.live_progress import LiveProgress
from workers.observer.needs import ObserverNeeds
from workers.observer.subscribers import Subscriber, Totals

_WAIT_SECONDS = 0.5
_REPORT_SECONDS = 60.0
_MAX_AT_ONCE = 1000


class Observer:
    """Takes facts, exports them, and reports totals once a minute if there is news."""

    def __init__(self, shared: ObserverNeeds, slot: Slot) -> None:
        """Make the exporters, if there is an endpoint."""
        self._shared = shared
        self._slot = slot
        self._ae_totals = AeTotals()
        self._subscribers: list[Subscriber] = [Totals(self._ae_totals)]
        self._progress: LiveProgress | None = None
        self._reported = (0, 0, 0)
        settings = self._shared.settings
        if settings.nats_addresses:
            self._progress = LiveProgress(shared, slot)
            self._subscribers.append(self._progress)
        if settings.history_days:
            self._subscribers.append(History(shared, slot))
        else:
            remove_history(settings.history_path)
        if settings.otlp_endpoint:
            from workers.observer.collector import collector_subscribers  # noqa: PLC0415 (loads gRPC)

            interval_seconds = settings.metric_export_interval_milliseconds / 1000
            self._subscribers += collector_subscribers(shared.directory.ulid, interval_seconds, self._take_readings)

    def run(self) -> None:
        """Observe until everybody else has ended."""
        poll = select.poll()
        poll.register(self._shared.facts.queue, select.POLLIN)
        due = time.monotonic() + _REPORT_SECONDS
        while self._shared.scoreboard.phase < GatewayPhase.FLUSHING_TELEMETRY:
            self._slot.beat(ProcessState.WAITING)
            seconds = min(_WAIT_SECONDS, self._progress.due_seconds) if self._progress else _WAIT_SECONDS
            poll.poll(seconds * 1000)
            self._slot.beat(ProcessState.WORKING)
            self._take_facts()
            if self._progress:
                self._progress.tick()
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
        for subscriber in self._subscribers:
            if isinstance(fact, subscriber.wants):
                subscriber.take(fact)

    def _close(self) -> None:
        """Export what is left, as far as a second allows: the supervisor does not wait longer."""
        self._take_facts()
        report_dropped_lines()
        for subscriber in self._subscribers:
            subscriber.close()

    def _report(self) -> None:
        total = self._shared.scoreboard.total
        known, new = total(Counter.ROWS_KNOWN), total(Counter.ROWS_REGISTERED)
        news = (total(Counter.INSTANCES_COMMITTED), known + new, total(Counter.BACKLOG))
        if news != self._reported:
            self._reported = news
            logger.info(
                "Totals: instances committed {committed}; rows registered {new}, already there {known}, "
                "waiting to be registered {backlog}",
                committed=news[0],
                new=new,
                known=known,
                backlog=news[2],
                action="totals",
            )
