"""Who takes facts: each subscriber says which it wants, and is closed in the end."""

from typing import Protocol

from opentelemetry.sdk.resources import Resource

from oxidicom.telemetry.log_records import LogWriter
from oxidicom.telemetry.spans import SpanWriter
from workers.channels.facts import AssociationFinished, BatchRegistered, Fact, LineLogged, SeriesAsked
from workers.channels.readings import AeTotals
from workers.observer.tracing import trace_association, trace_batch, trace_series_asked


class Subscriber(Protocol):
    """Something that is to be done with facts. It runs in the observer and waits for nobody."""

    @property
    def wants(self) -> tuple[type[Fact], ...]:
        """The kinds of facts that it takes."""

    def take(self, fact: Fact) -> None:
        """Take a fact of one of these kinds."""

    def close(self) -> None:
        """Finish what is under way, within a second."""


class Totals:
    """Counts by AE title and by reason what the scoreboard has no place for."""

    wants = (AssociationFinished,)

    def __init__(self, totals: AeTotals) -> None:
        self._totals = totals

    def take(self, fact: Fact) -> None:
        """Count an association."""
        assert isinstance(fact, AssociationFinished)
        self._totals.take(fact)

    def close(self) -> None:
        """Nothing is under way."""


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
