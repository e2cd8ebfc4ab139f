"""This gateway as the server under test: `python -m oxidicom`, with a database beside it."""

import contextlib
import glob
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.database import DatabaseServer
from benchmarks.disk import file_sizes
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.floors import ROOT
from benchmarks.load import Outcome
from benchmarks.prefill import PREFILL
from benchmarks.processes import precise_cpu_seconds_by_title
from benchmarks.registrar import RunningRegistrar, Watched, watched
from benchmarks.registration import Registered, Snapshot, read_registered
from benchmarks.requestor import CALLING_AE_TITLE
from benchmarks.server import Server, end_of, free_port, process
from benchmarks.workloads import GATEWAY, Workload
from oxidicom.cube.folders_reader import FoldersReader
from oxidicom.embedded.schema import Schema
from oxidicom.paths.final_path import PACS_ROOT

_READY_SECONDS = 30.0
_REGISTER_SECONDS = 120.0
_ROLES = {
    "listener": Figure.LISTENER_CPU_SECONDS,
    "storage": Figure.STORAGE_CPU_SECONDS,
    "registration": Figure.REGISTRATION_CPU_SECONDS,
}
_READY = '"action": "ready"'


@dataclass(frozen=True)
class Gateway(Server):
    """One version of this gateway."""

    database: DatabaseServer
    name: str = GATEWAY
    title: str = "oxidicom"
    root: str = ROOT
    """The checkout that it runs from."""
    settings: Mapping[str, str] | None = None
    """Environment variables besides those that the benchmark needs."""
    schema: Schema = "flat"
    """The generation of CUBE's tables that its database has."""

    def why_missing(self) -> str:
        there = os.path.exists(os.path.join(self.root, "oxidicom", "__main__.py"))
        return "" if there else f"{self.root} is no checkout of the gateway"

    @contextlib.contextmanager
    def running(self, directory: str, workload: Workload) -> Iterator["RunningGateway"]:
        port = free_port()
        log = os.path.join(directory, "gateway.log")
        files = os.path.join(directory, "files")
        os.mkdir(files)
        if workload.prefilled_rows:  # a gateway takes rows without any file for a storage that is not mounted
            os.makedirs(os.path.join(files, PACS_ROOT, PREFILL))
        with watched(self.database, workload.prefilled_rows, self.schema) as its:
            environment = {
                "CHRIS_DB_CONNECTION": its.database.conninfo,
                "CHRIS_FILES_ROOT": files,
                "STATE_DIRECTORY": os.path.join(directory, "state"),
                "CHRIS_LISTENER_THREADS": str(workload.listeners),
                "CHRIS_LOG_FORMAT": "json",
                "PORT": str(port),
                **(self.settings or {}),
            }
            command = [sys.executable, "-m", "oxidicom"]
            with process(command, [port], environment, log, cwd=self.root) as started:
                _await_ready(started, log)
                yield RunningGateway(started, port, files, its)


class RunningGateway(RunningRegistrar):
    """The gateway and its database: it tells each instance's row, and the kinds of its processes."""

    def __init__(self, started: subprocess.Popen[bytes], port: int, directory: str, its: Watched) -> None:
        super().__init__(started, port, directory, its)
        self._registered = Registered({})

    def begin(self) -> None:
        super().begin()
        self._cpu_by_role_before = precise_cpu_seconds_by_title(self.pid)

    def await_registered(self, outcome: Outcome) -> None:
        """Everything is done when the spool is empty: then each row is there, the counts of the series too."""
        self._await_empty_spool()

    def row_figures(self, outcome: Outcome, snapshots: Sequence[Snapshot]) -> dict[Figure, float]:
        database = self._database
        self._registered = read_registered(database.connection, database.schema, CALLING_AE_TITLE, snapshots)
        return self._cpu_by_role(outcome.instances) | self._registered.figures(outcome)

    def _cpu_by_role(self, instances: int) -> dict[Figure, float]:
        after = precise_cpu_seconds_by_title(self.pid)
        before = self._cpu_by_role_before
        return {figure: (after.get(role, 0.0) - before.get(role, 0.0)) / instances for role, figure in _ROLES.items()}

    def verify(self, outcome: Outcome) -> dict[Figure, float]:
        """Besides number and size: a row for each file, a file for each row, each series ended, nothing set aside."""
        super().verify(outcome)
        missing = [name for name in self._registered.rows if not os.path.exists(os.path.join(self.directory, name))]
        if missing:
            raise BenchmarkError(f"{len(missing)} rows have no file, such as {missing[0]}")
        if without := self._directories_without_series():
            raise BenchmarkError(f"{len(without)} series have no row, such as {without[0]}")
        if glob.glob(os.path.join(self.directory, ".oxidicom", "set-aside", "*")):
            raise BenchmarkError(f"instances were set aside below {self.directory}/.oxidicom/set-aside")
        return {}

    def stored_sizes(self) -> Sequence[int]:
        return file_sizes(os.path.join(self.directory, "SERVICES"), ".dcm")

    def _directories_without_series(self) -> list[str]:
        if self._database.schema == "flat":
            return []
        reader = FoldersReader()
        return reader.directories_without_series(self._database.connection, PACS_ROOT, after="", limit=1000)

    def _await_empty_spool(self) -> None:
        deadline = time.monotonic() + _REGISTER_SECONDS
        pattern = os.path.join(self.directory, ".oxidicom", "*", "spool", "*")
        while left := glob.glob(pattern):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{len(left)} associations are not registered after {_REGISTER_SECONDS:g} s")
            time.sleep(0.02)


def _await_ready(started: subprocess.Popen[bytes], log: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        if _READY in end_of(log):
            return
        if started.poll() is not None or time.monotonic() > deadline:
            raise BenchmarkError(f"the gateway did not get ready. {end_of(log)}")
        time.sleep(0.02)
