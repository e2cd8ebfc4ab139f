"""The floors: how little a receiver in Python can do. See `floor_process`."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.load import Outcome
from benchmarks.server import RunningServer, Server, free_port, process
from benchmarks.workloads import FLOOR_DISCARD, FLOOR_WRITE, Workload

ROOT = os.fspath(Path(__file__).parents[1])


@dataclass(frozen=True)
class Floor(Server):
    """A bare loop."""

    name: str
    title: str
    kind: str

    def why_missing(self) -> str:
        return ""

    @contextlib.contextmanager
    def running(self, directory: str, workload: Workload) -> Iterator[RunningServer]:
        port = free_port()
        arguments = (self.kind, str(port), directory, str(workload.max_pdu_bytes))
        running = _RunningDiscard if self.kind == "discard" else RunningServer
        command = [sys.executable, "-m", "benchmarks.floor_process", *arguments]
        with process(command, [port], {}, cwd=ROOT) as started:
            yield running(started, port, directory)


class _RunningDiscard(RunningServer):
    def verify(self, outcome: Outcome) -> dict[Figure, float]:
        return {}  # it keeps nothing


FLOORS: Sequence[Server] = (
    Floor(FLOOR_DISCARD, "floor: receive and discard", "discard"),
    Floor(FLOOR_WRITE, "floor: receive and write files", "write"),
)
