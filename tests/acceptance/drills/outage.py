"""`python -m tests.acceptance.drills.outage`: many instances through one outage of the database, and what it costs.

The database refuses while the senders send; memory is measured meanwhile. Then it is back, and while the backlog drains
other senders go on at a steady pace.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg

from benchmarks.datasets import Content, Identity, templates_of
from benchmarks.errors import BenchmarkError
from benchmarks.forked import fork
from benchmarks.message import Message
from benchmarks.processes import precise_cpu_seconds_by_title
from benchmarks.requestor import Requestor
from tests import processes
from tests.acceptance.drills.soak.site import Site

_MEASURE_SECONDS = 2.0
_TELL_SECONDS = 15.0
_IN_SERIES = 500
_PER_ASSOCIATION = 10_000
_DRAIN_SECONDS = 7200.0
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")
_MAX_PRIVATE_MIB = 64
"""What a process may need for itself; a million entries, held in memory, would need ten times that."""


def send(port: int, sender: int, first: int, count: int, pace: float) -> None:
    """Send so many instances, as fast as they are answered or at a pace; each association has 10,000 at most."""
    (template,) = templates_of(Content.SMALL_EXPLICIT)
    for start in range(first, first + count, _PER_ASSOCIATION):
        requestor = Requestor(port, template.sop_class_uid, template.transfer_syntax_uid)
        message = Message(template, requestor.max_pdu_bytes)
        for number in range(start, min(start + _PER_ASSOCIATION, first + count)):
            began = time.monotonic()
            message.address(Identity(1, sender, number, _IN_SERIES), number & 0x7FFF)
            requestor.store(message, number & 0x7FFF)
            if pace:
                time.sleep(max(0.0, began + 1 / pace - time.monotonic()))
        requestor.release()


@contextlib.contextmanager
def sending(port: int, senders: range, each: int, pace: float = 0.0) -> Iterator[list[BaseProcess]]:
    """Several senders at work, each with so many instances; those that are left at the end are ended."""
    started: list[BaseProcess] = [
        fork.Process(target=send, args=(port, sender, 0, each, pace), daemon=True) for sender in senders
    ]
    for process in started:
        process.start()
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.join()


class Memory(threading.Thread):
    """Measures the proportional set size (PSS) of all processes of a gateway together, and the largest private one."""

    def __init__(self, supervisor: int) -> None:
        super().__init__(daemon=True)
        self._supervisor = supervisor
        self._over = threading.Event()
        self.samples: list[tuple[float, float]] = []
        """MiB of all together, and of the largest process alone."""

    def run(self) -> None:
        while not self._over.wait(_MEASURE_SECONDS):
            self.measure()

    def measure(self) -> None:
        """Take one sample; nothing when the gateway is gone."""
        together = largest = 0
        with contextlib.suppress(OSError, AssertionError):  # a process may end meanwhile
            for pid in [self._supervisor, *processes.children(self._supervisor)]:
                together += processes.proportional_kilobytes(pid)
                largest = max(largest, processes.private_kilobytes(pid))
            self.samples.append((together / 1024, largest / 1024))

    def stop(self) -> None:
        """Measure no more."""
        self._over.set()
        self.join()

    def said(self, since: int = 0) -> str:
        """Say what was measured since a sample."""
        together = [one for one, _ in self.samples[since:]]
        largest = max(one for _, one in self.samples[since:])
        return f"{together[0]:.0f} → {together[-1]:.0f} MiB together (most {max(together):.0f}), largest {largest:.0f}"


class Run:
    """One outage."""

    def __init__(self, site: Site, instances: int, outage_seconds: float, senders: int, *, is_cold: bool) -> None:
        self._site = site
        self._is_cold = is_cold
        self._share = instances // senders
        self._instances = self._share * senders
        self._outage_seconds = outage_seconds
        self._senders = senders
        self._gateway = site.gateways[0]
        self._memory = Memory(self._gateway.process.pid)

    def run(self, beside_per_second: float) -> str:
        """Return what was measured. Raise BenchmarkError when rows stay away or memory grows with the backlog."""
        self._memory.measure()
        self._memory.start()
        self._site.proxy.refuse()
        began = time.monotonic()
        with sending(self._gateway.port, range(self._senders), self._share) as started:
            self._await(lambda: not any(process.is_alive() for process in started), 1e9)
        if any(process.exitcode for process in started):
            raise BenchmarkError("a sender failed")
        received = time.monotonic() - began
        time.sleep(max(0.0, began + self._outage_seconds - time.monotonic()))
        away, seen = time.monotonic() - began, len(self._memory.samples)
        said = f"{self._instances} instances were received in {received:.0f} s ({self._instances / received:.0f}/s), "
        said += f"the database was away for {away:.0f} s; memory meanwhile: {self._memory.said()}"
        print(said, flush=True)
        drained = self._drain(beside_per_second, seen)
        largest = max(private for _, private in self._memory.samples)
        if largest > _MAX_PRIVATE_MIB:
            raise BenchmarkError(f"a process needed {largest:.0f} MiB for itself: memory grows with the backlog")
        return drained

    def _drain(self, beside_per_second: float, seen: int) -> str:
        if self._is_cold:
            os.sync()
            _DROP_CACHES.write_text("3\n", encoding="ascii")
        beside = range(self._senders, self._senders + (2 if beside_per_second else 0))
        everybody = range(beside.stop)
        before, cpu_before = self._rows(everybody), self._registration_cpu_seconds()
        self._site.proxy.accept()
        began = time.monotonic()
        with sending(self._gateway.port, beside, 9_000_000, beside_per_second / 2) as started:
            self._await(self._is_drained, _DRAIN_SECONDS)
            if not all(process.is_alive() for process in started):
                raise BenchmarkError("a sender beside the draining failed")
            seconds, rows = time.monotonic() - began, self._rows(everybody) - before
            cpu_us = (self._registration_cpu_seconds() - cpu_before) / rows * 1e6
        self._memory.stop()
        return (
            f"drained in {seconds:.0f} s: {rows / seconds:.0f} rows/s, those of {beside_per_second:.0f}/s beside it "
            f"included, {cpu_us:.0f} µs of CPU of the registration process a row; memory: {self._memory.said(seen - 1)}"
        )

    def _await(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline, due = time.monotonic() + seconds, 0.0
        while not condition():
            if time.monotonic() > deadline:
                raise BenchmarkError("it does not come to its end")
            if time.monotonic() >= due and self._memory.samples:
                due = time.monotonic() + _TELL_SECONDS
                together, largest = self._memory.samples[-1]
                print(f"{self._inserted()} rows, {together:.0f} MiB together, largest {largest:.0f}", flush=True)
            time.sleep(0.5)

    def _registration_cpu_seconds(self) -> float:
        return precise_cpu_seconds_by_title(self._gateway.process.pid)["registration"]

    def _inserted(self) -> int:
        """Return the highest id: no fewer than there are rows, and it costs nothing, as to count them does."""
        with psycopg.connect(self._site.conninfo) as connection:
            (highest,) = connection.execute("SELECT coalesce(max(id), 0) FROM pacsfiles_pacsfile").fetchone() or (0,)
        return highest

    def _is_drained(self) -> bool:
        """Whether each instance that came during the outage has its row, whatever others have come since."""
        return self._inserted() >= self._instances and self._rows(range(self._senders)) >= self._instances

    def _rows(self, senders: range) -> int:
        """Return the number of rows of files that these sent."""
        series = [f"{Identity(1, one, 0).series_instance_uid.rpartition('.')[0]}.%" for one in senders]
        query = """SELECT count(*) FROM pacsfiles_pacsfile
                   WHERE fname LIKE 'SERVICES/PACS/BENCHMARK/%%' AND "SeriesInstanceUID" LIKE ANY(%s)"""
        with psycopg.connect(self._site.conninfo) as connection:
            (count,) = connection.execute(query, [series]).fetchone() or (0,)
        return count


def main() -> int:
    """Let the database go, send, let it come back, and say what was measured."""
    parser = argparse.ArgumentParser(prog="outage", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--instances", type=int, default=20_000, help="received while the database is away (20,000)")
    parser.add_argument("--outage-seconds", type=float, default=60.0, help="it is away at least so long (60)")
    parser.add_argument("--senders", type=int, default=4, help="associations at once (4)")
    parser.add_argument("--beside", type=float, default=100.0, help="instances a second beside the draining (100)")
    parser.add_argument("--cold", action="store_true", help="as root: nothing of the backlog is in the system's memory")
    parser.add_argument("--directory", help="all of it stands in a new directory there, which is kept when it fails")
    wanted = parser.parse_args()
    if wanted.cold and not os.access(_DROP_CACHES, os.W_OK):
        parser.error(f"--cold: {_DROP_CACHES} cannot be written; run it as root, outside a container")
    directory = tempfile.mkdtemp(prefix="oxi-outage-", dir=wanted.directory)
    site = Site(directory, 1, is_in_memory=False, with_clocks=False, CHRIS_LISTENER_THREADS=str(wanted.senders + 4))

    def outage(started: Site) -> str:
        run = Run(started, wanted.instances, wanted.outage_seconds, wanted.senders, is_cold=wanted.cold)
        return run.run(wanted.beside)

    return site.attempt(outage, BenchmarkError)


if __name__ == "__main__":
    sys.exit(main())
