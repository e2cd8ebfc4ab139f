"""A guest: any other gateway that writes into a database of CUBE, as the command line says how to start it.

Of its rows and files no more is assumed than that their names end in .dcm: it may have directories, names and an
identifier of its own.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.database import DatabaseServer
from benchmarks.disk import file_sizes
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.invocation import Invocation
from benchmarks.load import Outcome
from benchmarks.processes import settled_cpu_seconds
from benchmarks.registrar import RunningRegistrar, Watched, watched
from benchmarks.registration import Snapshot, all_over
from benchmarks.server import Server, end_of, free_port, process
from benchmarks.workloads import Workload

REGISTER_SECONDS = 120.0
_POLL_SECONDS = 0.05
_SUFFIX = ".dcm"
_COUNT = "SELECT count(*) FROM pacsfiles_pacsfile WHERE fname LIKE '%.dcm'"
_TRANSACTIONS = "SELECT xmin::text::bigint FROM pacsfiles_pacsfile WHERE fname LIKE '%.dcm'"


@dataclass(frozen=True)
class Guest(Server):
    """One such gateway."""

    name: str
    title: str
    invocation: Invocation
    database: DatabaseServer
    register_seconds: float = REGISTER_SECONDS
    """How long after the load it may take to register the rest."""

    def why_missing(self) -> str:
        return ""  # its program was looked for when it was named

    @contextlib.contextmanager
    def running(self, directory: str, workload: Workload) -> Iterator["RunningGuest"]:
        port = free_port()
        log = os.path.join(directory, "guest.log")
        files = os.path.join(directory, "files")
        os.mkdir(files)
        with watched(self.database) as its:
            values = {
                "port": str(port),
                "files": files,
                "database": its.database.url,
                "listeners": str(workload.listeners),
                "pdu": str(workload.max_pdu_bytes),
            }
            filled = self.invocation.filled(values)
            with process(filled.command, [port], filled.variables, log, cwd=os.getcwd()) as started:
                settled_cpu_seconds(started.pid)  # it may listen before it can store
                yield RunningGuest(started, port, files, its, _Patience(self.register_seconds, log))


@dataclass(frozen=True)
class _Patience:
    """How long rows may take, and what tells why they did not come."""

    seconds: float
    log: str


class RunningGuest(RunningRegistrar):
    """The gateway and its database."""

    def __init__(
        self, started: subprocess.Popen[bytes], port: int, directory: str, its: Watched, patience: _Patience
    ) -> None:
        super().__init__(started, port, directory, its)
        self._patience = patience

    def await_registered(self, outcome: Outcome) -> None:
        """Count the rows, after the load only: what is counted during it would be a load of its own."""
        deadline = time.monotonic() + self._patience.seconds
        while (missing := outcome.instances - self._count()) > 0:
            if time.monotonic() > deadline:
                raise BenchmarkError(
                    f"{missing} of {outcome.instances} instances have no row {self._patience.seconds:g} s after "
                    f"the load. {end_of(self._patience.log)}"
                )
            time.sleep(_POLL_SECONDS)
        self._counted = time.monotonic()

    def row_figures(self, outcome: Outcome, snapshots: Sequence[Snapshot]) -> dict[Figure, float]:
        transactions = [int(row[0]) for row in self._database.connection.execute(_TRANSACTIONS)]
        if len(transactions) != outcome.instances:
            raise BenchmarkError(f"{len(transactions)} rows for {outcome.instances} instances")
        last = min(all_over(transactions, snapshots), self._counted)
        return {
            Figure.ROWS_PER_SECOND: outcome.instances / (last - outcome.began),
            Figure.LAST_ROW_SECONDS: max(last - outcome.last_success, 0.0),
        }

    def stored_sizes(self) -> Sequence[int]:
        return file_sizes(self.directory, _SUFFIX)

    def _count(self) -> int:
        row = self._database.connection.execute(_COUNT).fetchone()
        return int(row[0]) if row else 0
