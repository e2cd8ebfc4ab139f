"""A cell of the table in one round: one sender, one receiver, one size, so many associations."""

import time
from dataclasses import dataclass

from benchmarks.backing import fetch_memory
from benchmarks.directories import empty_files, fresh_directory
from benchmarks.disk import settle
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Measurement
from benchmarks.senders.files import Files
from benchmarks.senders.ladder import TRIED, choose, instances_per_second, rungs_of
from benchmarks.senders.sender import LOOPBACK, Address, Sender
from benchmarks.server import RunningServer, Server
from benchmarks.workloads import Workload

_STORE_SECONDS = 60.0
_WARM_UP_RUN, _ONE_FILE_RUN, _FIRST_RUNG = 0, 1, 2


@dataclass(frozen=True)
class Row:
    """What all receivers get in turn."""

    sender: Sender
    size: str
    files: Files
    associations: int

    @property
    def name(self) -> str:
        return row_name(self.sender.name, self.size, self.associations)

    @property
    def group(self) -> str:
        """Heads the table that the row stands in."""
        return f"{self.files.content}, {_associations(self.associations)}"


def row_name(sender: str, size: str, associations: int) -> str:
    """Return how a row is named among the results."""
    return f"{sender}, {size}, {_associations(associations)}"


def _associations(number: int) -> str:
    return "1 association" if number == 1 else f"{number} associations"


@dataclass(frozen=True)
class Trial:
    """What is to be measured."""

    round_number: int
    row: Row
    receiver: Server
    host: str = LOOPBACK
    """By which the sender reaches the receiver."""

    def run(self, directory: str) -> Measurement:
        """Measure with a new receiver in a new directory below `directory`, of which only empty files are left.

        Raise BenchmarkError when the receiver has not stored exactly what was sent.
        """
        own = fresh_directory(directory, f"{self.row.sender.name}-{self.receiver.name}-")
        load = Workload(self.row.name, self.row.name, [self.row.files.content] * self.row.associations, 0, 0.0)
        try:
            with self.receiver.running(own, load) as running:
                fetch_memory()
                return self._measurement(_Runs(self.row, running, self.host))
        finally:
            empty_files(own)

    def _measurement(self, runs: "_Runs") -> Measurement:
        runs.seconds(_WARM_UP_RUN, 1)
        one_file = runs.seconds(_ONE_FILE_RUN, 1)
        files, seconds = TRIED, runs.seconds(_FIRST_RUNG, TRIED)
        file_bytes, associations = self.row.files.file_bytes, self.row.associations
        rungs = rungs_of(file_bytes, associations)
        chosen = choose(rungs, one_file, seconds)
        if chosen != TRIED:
            files, seconds = chosen, runs.seconds(_FIRST_RUNG + rungs.index(chosen), chosen)
        rate = instances_per_second(files, associations, seconds, one_file)
        figures = {
            Figure.INSTANCES_PER_SECOND: rate,
            Figure.MEGABYTES_PER_SECOND: rate * file_bytes / 1e6,
            Figure.ONE_FILE_SECONDS: one_file,
            Figure.FILES_EACH: files,
        }
        return Measurement(self.round_number, self.row.name, self.receiver.name, figures)


class _Runs:
    """The runs of one trial."""

    def __init__(self, row: Row, receiver: RunningServer, host: str) -> None:
        self._row = row
        self._receiver = receiver
        self._address = Address(host, receiver.port)
        self._sent = 0

    def seconds(self, run: int, files: int) -> float:
        """Send so many files over each association, and return how long that took once all of them are stored."""
        series = self._row.files.series(run, files, self._row.associations)
        self._row.sender.load(series)
        settle()
        ran = self._row.sender.send(series, self._address)
        self._sent += files * self._row.associations
        stored = _await_stored(self._receiver, self._sent)
        if stored != self._sent:
            raise BenchmarkError(f"{self._sent} instances were sent, {stored} are stored. {ran.said}")
        return ran.seconds


def _await_stored(receiver: RunningServer, expected: int) -> int:
    """Return how many instances the receiver has stored, once there are as many as expected or a minute is over."""
    deadline = time.monotonic() + _STORE_SECONDS
    while (stored := receiver.stored_count()) < expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return stored
