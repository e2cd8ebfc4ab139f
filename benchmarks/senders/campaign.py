"""The campaign: rounds over all rows and receivers, in alternating order, so that what drifts falls on all alike.

Within a round all receivers of a row follow one another. Odd rounds go forwards, even ones backwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.campaign import Audience
from benchmarks.figures import Results
from benchmarks.senders.trial import Row, Trial
from benchmarks.server import Server


@dataclass(frozen=True)
class Campaign:
    """What is measured."""

    rows: Sequence[Row]
    receivers: Sequence[Server]
    rounds: int

    @property
    def measurements(self) -> int:
        """How many there will be."""
        return len(self._order(1)) * self.rounds

    def run(self, directory: str, results: Results, audience: Audience) -> None:
        """Measure below `directory` and add each round to `results` once it is complete."""
        for number in range(1, self.rounds + 1):
            measured = []
            for row, receiver in self._order(number):
                audience.begins(f"round {number} · {row.name} → {receiver.title}")
                measured.append(Trial(number, row, receiver).run(directory))
                audience.ended(measured[-1])
            for measurement in measured:
                results.add(measurement)

    def _order(self, number: int) -> list[tuple[Row, Server]]:
        pairs = [(row, receiver) for row in self.rows for receiver in self.receivers]
        return pairs if number % 2 else pairs[::-1]
