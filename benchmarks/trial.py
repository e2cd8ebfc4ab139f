"""A trial: one server, fresh, under one workload, once."""

import dataclasses
import time

from benchmarks.backing import fetch_memory
from benchmarks.directories import empty_files, fresh_directory
from benchmarks.disk import settle, sync_filesystem
from benchmarks.errors import BenchmarkError
from benchmarks.figures import WARM_UP, Figure, Measurement
from benchmarks.load import Load, Outcome, assign
from benchmarks.memory import Peaks, watch_memory
from benchmarks.server import RunningServer, Server
from benchmarks.workloads import Workload


@dataclasses.dataclass(frozen=True)
class Trial:
    """What is to be measured. `instances_per_second` is the pace of all associations together, if there is one."""

    round_number: int
    workload: Workload
    server: Server
    instances_per_second: float | None = None

    def run(self, directory: str) -> Measurement:
        """Measure in a new directory below `directory`, of which only empty files are left afterwards.

        In the warm-up memory is observed and nothing else is kept. Raise BenchmarkError when the server did not store
        everything it was sent.
        """
        own = fresh_directory(directory, f"{self.workload.name}-{self.server.name}-")
        try:
            with self.server.running(own, self.workload) as running:
                return self._measure(running)
        except BenchmarkError as error:
            raise BenchmarkError(f"{self.server.title}, {self.workload.title}: {error}") from error
        finally:
            empty_files(own)

    def _measure(self, running: RunningServer) -> Measurement:
        settle()
        fetch_memory()
        running.begin()
        if self.round_number == WARM_UP:
            outcome, peaks = self._run_observed(running)
            running.finish(outcome)
            running.verify(outcome)
            return self._measurement(peaks.figures(), peaks)
        outcome = self._run_load(running)
        figures = outcome.figures() | running.finish(outcome)
        return self._measurement(figures | running.verify(outcome))

    def _run_observed(self, running: RunningServer) -> tuple[Outcome, Peaks]:
        with watch_memory(running.pid) as memory:
            outcome = self._run_load(running)
            return outcome, memory.finish()

    def _run_load(self, running: RunningServer) -> Outcome:
        assignments = assign(self.workload, self.round_number, self.instances_per_second)
        with Load(assignments, running.port) as load:
            outcome = load.run()
        if self.workload.until_synced:
            sync_filesystem(running.directory)
            return dataclasses.replace(outcome, ended=time.monotonic())
        return outcome

    def _measurement(self, figures: dict[Figure, float], peaks: Peaks | None = None) -> Measurement:
        uss_bytes = peaks.peak_bytes if peaks else {}
        return Measurement(self.round_number, self.workload.name, self.server.name, figures, uss_bytes)
