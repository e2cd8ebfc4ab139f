"""The campaign: rounds over all workloads and servers, in alternating order, so that what drifts falls on all alike.

A round is every pair of workload and server once, and registration alone. Odd rounds go forwards, even ones backwards:
who was first is last the next time. The round before the first, the warm-up, fills caches and is where memory is
observed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.alone import Alone
from benchmarks.errors import BenchmarkError
from benchmarks.figures import WARM_UP, Figure, Measurement, Results
from benchmarks.idle import measure_idle
from benchmarks.server import Server
from benchmarks.trial import Trial
from benchmarks.turns import by_turns
from benchmarks.workloads import BASELINE, GATEWAY, Workload


class Audience(Protocol):
    """Is told how it goes."""

    def begins(self, what: str) -> None:
        """A measurement begins."""

    def ended(self, measurement: Measurement) -> None:
        """It is done."""


@dataclass(frozen=True)
class Campaign:
    """What is measured."""

    workloads: Sequence[Workload]
    servers: Sequence[Server]
    rounds: int
    idle_seconds: float
    """How long the idle gateway is watched; 0: not at all."""
    alone: Sequence[Alone] = ()
    """Registration alone, of one generation each."""

    @property
    def measurements(self) -> int:
        """How many there will be."""
        trials = sum(len(self._order(number)) for number in range(WARM_UP, self.rounds + 1))
        return trials + self.rounds * len(self.alone) + len(self._gateways() if self.idle_seconds else ())

    def run(self, directory: str, results: Results, audience: Audience) -> None:
        """Measure below `directory` and add to `results`, which is of use too when this is interrupted."""
        for number in range(WARM_UP, self.rounds + 1):
            for workload, server in self._order(number):
                audience.begins(f"{_title_of(number)} · {workload.title} · {server.title}")
                measurement = Trial(number, workload, server, _pace(workload, server, results)).run(directory)
                results.add(measurement)
                audience.ended(measurement)
            self._register_alone(number, results, audience)
        if self.idle_seconds:
            for server in self._gateways():
                audience.begins(f"idle · {server.title}")
                measurement = measure_idle(self.rounds, server, directory, self.idle_seconds)
                results.add(measurement)
                audience.ended(measurement)

    def _register_alone(self, number: int, results: Results, audience: Audience) -> None:
        if number == WARM_UP:
            return
        for one in by_turns(number, self.alone):
            audience.begins(f"{_title_of(number)} · registration alone · {one.title}")
            measurement = one.measure(number)
            results.add(measurement)
            audience.ended(measurement)

    def _order(self, number: int) -> Sequence[tuple[Workload, Server]]:
        """Return the pairs of a round in their order."""
        pairs = [
            (workload, server)
            for workload in self.workloads
            for server in self.servers
            if server.name in (GATEWAY, BASELINE, *workload.peers) and not (number == WARM_UP and workload.pace)
        ]
        return by_turns(number, pairs)

    def _gateways(self) -> list[Server]:
        return [server for server in self.servers if server.name in (GATEWAY, BASELINE)]


def _title_of(number: int) -> str:
    return "warm-up" if number == WARM_UP else f"round {number}"


def _pace(workload: Workload, server: Server, results: Results) -> float | None:
    """Return the pace of a workload that has one: its share of the latest rate of the server under the other."""
    if workload.pace is None:
        return None
    rates = results.by_round(workload.pace.workload, server.name, Figure.INSTANCES_PER_SECOND)
    if not rates:
        raise BenchmarkError(f"{workload.name} takes its pace from {workload.pace.workload}, which was not measured")
    return rates[max(rates)] * workload.pace.share
