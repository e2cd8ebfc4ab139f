"""The campaign: rounds over all rows and receivers, in alternating order, so that what drifts falls on all alike.

Within a round all receivers of a row follow one another. Odd rounds go forwards, even ones backwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.campaign import Audience
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Measurement, Results
from benchmarks.senders.sender import LOOPBACK
from benchmarks.senders.trial import Row, Trial
from benchmarks.server import Server
from benchmarks.turns import by_turns


@dataclass(frozen=True)
class Campaign:
    """What is measured."""

    rows: Sequence[Row]
    receivers: Sequence[Server]
    rounds: int
    host: str = LOOPBACK
    """By which senders reach receivers."""
    failures: list[str] = field(default_factory=list)
    """What could not be measured, and why: a pair of foreign programs that fails says nothing of the others."""

    @property
    def measurements(self) -> int:
        """How many there will be."""
        return len(self._order(1)) * self.rounds

    def run(self, directory: str, results: Results, audience: Audience) -> None:
        """Measure below `directory` and add each round to `results` once it is complete."""
        for number in range(1, self.rounds + 1):
            trials = [Trial(number, row, receiver, self.host) for row, receiver in self._order(number)]
            for measurement in [self._run(trial, directory, audience) for trial in trials]:
                if measurement:
                    results.add(measurement)

    def _run(self, trial: Trial, directory: str, audience: Audience) -> Measurement | None:
        title = f"round {trial.round_number} · {trial.row.name} → {trial.receiver.title}"
        audience.begins(title)
        try:
            measurement = trial.run(directory)
        except BenchmarkError as error:
            self.failures.append(f"{title}: {error}")
            return None
        audience.ended(measurement)
        return measurement

    def _order(self, number: int) -> Sequence[tuple[Row, Server]]:
        pairs = [(row, receiver) for row in self.rows for receiver in self.receivers]
        return by_turns(number, pairs)
