"""A running server that registers what it stores in a database of CUBE: its cost, and when the rows are visible."""

import contextlib
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.database import DatabaseServer, FreshDatabase
from benchmarks.figures import Figure
from benchmarks.load import Outcome
from benchmarks.processes import cpu_seconds, cpu_seconds_of
from benchmarks.registration import Snapshot, watch_snapshots
from benchmarks.server import RunningServer
from oxidicom.embedded.schema import Schema


@dataclass(frozen=True)
class Watched:
    """The database of a running server."""

    database: FreshDatabase
    pid: int
    """Of PostgreSQL's first process."""
    observers: contextlib.ExitStack
    """Ends what observes it."""


@contextlib.contextmanager
def watched(server: DatabaseServer, prefilled_rows: int = 0, schema: Schema = "flat") -> Iterator[Watched]:
    """Make a fresh database; at the end its observers are ended, and it is dropped."""
    with server.fresh(prefilled_rows, schema) as database, contextlib.ExitStack() as observers:
        yield Watched(database, server.pid, observers)


class RunningRegistrar(RunningServer, ABC):
    """The server, its database, and the observer that sees when rows become visible."""

    def __init__(self, started: subprocess.Popen[bytes], port: int, directory: str, its: Watched) -> None:
        super().__init__(started, port, directory)
        self._database = its.database
        self._database_pid = its.pid
        self._observers = its.observers

    @abstractmethod
    def await_registered(self, outcome: Outcome) -> None:
        """Return when every instance has its row. Raise BenchmarkError when that takes too long."""

    @abstractmethod
    def row_figures(self, outcome: Outcome, snapshots: Sequence[Snapshot]) -> dict[Figure, float]:
        """Return what the rows tell. Raise BenchmarkError when they are not those of the instances sent."""

    def begin(self) -> None:
        self._database.begin()
        self._observer = self._observers.enter_context(watch_snapshots(self._database.conninfo))
        self._database_cpu_before = self._database_cpu()
        super().begin()

    def finish(self, outcome: Outcome) -> dict[Figure, float]:
        self.await_registered(outcome)
        figures = super().finish(outcome)
        database_cpu = (self._database_cpu() - self._database_cpu_before) / outcome.instances
        figures[Figure.TOTAL_CPU_SECONDS] = figures[Figure.SERVER_CPU_SECONDS] + database_cpu
        figures[Figure.WAL_BYTES_PER_ROW] = self._database.wal_bytes() / outcome.instances
        return figures | self.row_figures(outcome, self._observer.finish())

    def _database_cpu(self) -> float:
        """PostgreSQL's share, without the session of the observer."""
        return cpu_seconds(self._database_pid) - cpu_seconds_of(self._observer.number)
