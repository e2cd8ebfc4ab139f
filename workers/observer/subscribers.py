"""Who takes facts: each subscriber says which it wants, and is closed in the end."""

from typing import Protocol

from workers.channels.facts import AssociationFinished, Fact
from workers.channels.readings import AeTotals


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
