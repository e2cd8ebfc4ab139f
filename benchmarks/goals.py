"""The goals, as data: which figure, against which other one of the same round, and the ratio that it must have."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import Figure, Results
from benchmarks.workloads import (
    DCMTK,
    DICOM_RS,
    FLOOR_WRITE,
    GATEWAY,
    GATEWAY_6,
    IDLE,
    ORTHANC,
    PYNETDICOM,
    REGISTRATION,
)


@dataclass(frozen=True)
class Term:
    """A figure of a server under a workload."""

    workload: str
    server: str
    figure: Figure


@dataclass(frozen=True)
class Goal:
    """`measured`, divided by `against` of the same round if there is one, is to be within a bound."""

    title: str
    measured: Term
    against: Term | None = None
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "×"
    scale: float = 1.0
    """What the bound is given in, as a share of the figure's own unit."""

    @property
    def bound(self) -> str:
        """The bound as it is shown."""
        sign, value = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        return f"{sign} {value:g} {self.unit}"


@dataclass(frozen=True)
class Verdict:
    """How a goal came out. Without values it was not measured."""

    goal: Goal
    values: Sequence[float]
    """One for each round, in the unit of the goal."""

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values else None

    @property
    def is_met(self) -> bool | None:
        """Whether the median is within the bound; None if it was not measured."""
        if self.median is None:
            return None
        above = self.goal.at_least is None or self.median >= self.goal.at_least
        return above and (self.goal.at_most is None or self.median <= self.goal.at_most)


def judge(goal: Goal, results: Results) -> Verdict:
    """Judge a goal by the rounds in which both of its terms were measured."""
    measured = _by_round(goal.measured, results)
    if goal.against is None:
        return Verdict(goal, [value / goal.scale for value in measured.values()])
    against = _by_round(goal.against, results)
    common = [number for number in measured if against.get(number)]
    return Verdict(goal, [measured[number] / against[number] / goal.scale for number in common])


def _by_round(term: Term, results: Results) -> dict[int, float]:
    return results.by_round(term.workload, term.server, term.figure)


def _ours(title: str, workload: str, figure: Figure, server: str, bound: float, *, most: bool = False) -> Goal:
    """Return a goal under one workload: this gateway against another server."""
    least, at_most = (None, bound) if most else (bound, None)
    return Goal(title, Term(workload, GATEWAY, figure), Term(workload, server, figure), least, at_most)


def _own(title: str, workload: str, figure: Figure, at_most: float, unit: str, scale: float = 1.0) -> Goal:
    """Return a goal that is a limit."""
    return Goal(title, Term(workload, GATEWAY, figure), at_most=at_most, unit=unit, scale=scale)


def _dearer(title: str, workload: str) -> Goal:
    """Return the goal of what a file may cost in the tables of CUBE 6, against those before it."""
    figure = Figure.TOTAL_CPU_SECONDS
    return Goal(title, Term(workload, GATEWAY_6, figure), Term(workload, GATEWAY, figure), at_most=1.6)


def _rise(title: str, figure: Figure, server: str = GATEWAY) -> Goal:
    return Goal(title, Term("10k-rows-1m", server, figure), Term("10k-rows-1k", server, figure), at_most=1.15)


def _many(workloads: tuple[str, str], title: str, figure: Figure, bound: float = 0.9) -> Goal:
    few, many = workloads
    return Goal(title, Term(many, GATEWAY, figure), Term(few, GATEWAY, figure), at_least=bound)


_RATE, _BYTES, _CPU = Figure.INSTANCES_PER_SECOND, Figure.MEGABYTES_PER_SECOND, Figure.SERVER_CPU_SECONDS
_MS, _US, _MB, _PERCENT = 1e-3, 1e-6, 1e6, 1e-2

GOALS: Sequence[Goal] = (
    _ours("10 KB: rate against DCMTK storescp --fork", "10k", _RATE, DCMTK, 1.0),
    _ours("512 KB: rate against DCMTK storescp --fork", "512k", _BYTES, DCMTK, 1.0),
    _ours("10 KB, 8 associations: rate against DCMTK storescp --fork", "10k-8", _RATE, DCMTK, 0.95),
    _ours("512 KB, 8 associations: rate against DCMTK storescp --fork", "512k-8", _BYTES, DCMTK, 0.95),
    _ours("10 KB: rate against dicom-rs", "10k", _RATE, DICOM_RS, 1.5),
    _ours("512 KB: rate against dicom-rs", "512k", _BYTES, DICOM_RS, 1.5),
    _ours("512 KB until syncfs: rate against DCMTK storescp --fork", "512k-synced", _BYTES, DCMTK, 1.2),
    _ours("10 KB: rate against pynetdicom", "10k", _RATE, PYNETDICOM, 10),
    _ours("512 KB: rate against pynetdicom", "512k", _BYTES, PYNETDICOM, 5),
    _ours("10 KB: rate against Orthanc", "10k", _RATE, ORTHANC, 8),
    _ours("512 KB: rate against Orthanc", "512k", _BYTES, ORTHANC, 5),
    _ours("10 KB: server CPU per instance against the floor that writes", "10k", _CPU, FLOOR_WRITE, 2, most=True),
    _ours("512 KB: server CPU per instance against the floor that writes", "512k", _CPU, FLOOR_WRITE, 1.5, most=True),
    _own("10 KB: CPU of an instance in all processes of the gateway", "10k", _CPU, 145, "µs", _US),
    _own("10 KB: response p99", "10k", Figure.LATENCY_P99_SECONDS, 2, "ms", _MS),
    _own("10 KB, 8 associations at 70 %: lag p99", "10k-sustained", Figure.LAG_P99_SECONDS, 200, "ms", _MS),
    _own("512 KB, 8 associations at 70 %: lag p99", "512k-sustained", Figure.LAG_P99_SECONDS, 200, "ms", _MS),
    _own("10 KB, 8 associations saturated: last row after the end", "10k-8", Figure.LAST_ROW_SECONDS, 1, "s"),
    _own("512 KB, 8 associations saturated: last row after the end", "512k-8", Figure.LAST_ROW_SECONDS, 1, "s"),
    _own("1 GiB instance: more private memory in any process", "1g", Figure.USS_RISE_BYTES, 16, "MB", _MB),
    _own("idle: private memory of a listener that was used", IDLE, Figure.LISTENER_USS_BYTES, 2, "MB", _MB),
    _own("idle: CPU of all processes, in a core", IDLE, Figure.IDLE_CPU_CORES, 0.5, "%", _PERCENT),
    _rise("1,000 → 1,000,000 rows: CPU per row, with PostgreSQL", Figure.TOTAL_CPU_SECONDS),
    _rise("1,000 → 1,000,000 rows: write-ahead log per row", Figure.WAL_BYTES_PER_ROW),
    _dearer("CUBE 6, 10 KB: CPU per instance, with PostgreSQL, against CUBE 5", "10k"),
    _dearer("CUBE 6, 512 KB: CPU per instance, with PostgreSQL, against CUBE 5", "512k"),
    _dearer("CUBE 6, registration alone: CPU per file, with PostgreSQL, against CUBE 5", REGISTRATION),
    Goal(
        "CUBE 6, registration alone: files a second",
        Term(REGISTRATION, GATEWAY_6, Figure.ROWS_PER_SECOND),
        at_least=10_000,
        unit="/s",
    ),
    Goal(
        "CUBE 6, 10 KB, 8 associations at 70 %: lag p99",
        Term("10k-sustained", GATEWAY_6, Figure.LAG_P99_SECONDS),
        at_most=300,
        unit="ms",
        scale=_MS,
    ),
    _rise("CUBE 6, 1,000 → 1,000,000 files: CPU per file, with PostgreSQL", Figure.TOTAL_CPU_SECONDS, GATEWAY_6),
    _rise("CUBE 6, 1,000 → 1,000,000 files: write-ahead log per file", Figure.WAL_BYTES_PER_ROW, GATEWAY_6),
    _many(("10k", "10k-8"), "10 KB: rate of 8 associations against 2", _RATE, 0.95),
    _many(("10k", "10k-32"), "10 KB: rate of 32 associations against 2", _RATE, 0.95),
    _many(("10k-8", "10k-32"), "10 KB: rate of 32 associations against 8", _RATE),
    _many(("512k-8", "512k-32"), "512 KB: rate of 32 associations against 8", _BYTES),
)


def goals_against(guest: str) -> Sequence[Goal]:
    """Return the goals that stand for each guest, another gateway with a database: both at the same work."""
    bounds = (("10 KB", "10k", 1.5), ("10 KB, 8 associations", "10k-8", 1.3), ("512 KB", "512k", 2.0))
    return [
        _ours(f"{title}, until the last row: rate against {guest}", workload, Figure.ROWS_PER_SECOND, guest, bound)
        for title, workload, bound in bounds
    ]
