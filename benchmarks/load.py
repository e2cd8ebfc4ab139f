"""The load: all senders of a workload, begun at one moment, and what they say afterwards."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, percentile
from benchmarks.forked import fork
from benchmarks.sender import Assignment, Sent, send
from benchmarks.workloads import Workload

_ASSOCIATE_SECONDS = 60.0
_GRACE_SECONDS = 240.0
"""Beyond the time of the workload; a hung peer is found earlier, by the deadlines of the senders."""
_HEAD_START_SECONDS = 0.05
"""So that every sender has read the moment to begin before it has come."""


@dataclass(frozen=True)
class Outcome:
    """What a load did. Times are of the monotonic clock."""

    began: float
    ended: float
    """The last Success, or the return of `syncfs` if the workload says so."""
    last_success: float
    sent: Sequence[Sent]

    @property
    def instances(self) -> int:
        return sum(len(sender.answered) for sender in self.sent)

    @property
    def sizes_bytes(self) -> list[int]:
        """The length of each dataset."""
        return [size for sender in self.sent for size in sender.sizes_bytes]

    def figures(self) -> dict[Figure, float]:
        """Return what the senders saw."""
        seconds = self.ended - self.began
        latencies = sorted(latency for sender in self.sent for latency in sender.latencies_seconds)
        return {
            Figure.INSTANCES_PER_SECOND: self.instances / seconds,
            Figure.MEGABYTES_PER_SECOND: sum(self.sizes_bytes) / 1e6 / seconds,
            Figure.LATENCY_P50_SECONDS: percentile(latencies, 50),
            Figure.LATENCY_P99_SECONDS: percentile(latencies, 99),
            Figure.SENDER_CPU_SECONDS: sum(sender.cpu_seconds for sender in self.sent) / self.instances,
        }


def assign(workload: Workload, round_number: int, instances_per_second: float | None = None) -> list[Assignment]:
    """Return what each association of a workload is to do, at a pace of all together if one is given."""
    pace = instances_per_second / workload.associations if instances_per_second else None
    return [
        Assignment(
            round_number=round_number,
            association=association,
            content=content,
            max_pdu_bytes=workload.max_pdu_bytes,
            instances=workload.instances_each,
            seconds=workload.seconds,
            instances_per_second=pace,
        )
        for association, content in enumerate(workload.contents)
    ]


class Load:
    """The senders. Entering associates all of them; leaving ends what is left of them."""

    def __init__(self, assignments: Sequence[Assignment], port: int) -> None:
        self._assignments = assignments
        self._port = port
        self._senders: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> Self:
        try:
            for assignment in self._assignments:
                self._start(assignment)
            self._await_all(_ASSOCIATE_SECONDS)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run(self) -> Outcome:
        """Let all senders begin at one moment and return when all have released. Raise BenchmarkError."""
        begin = time.monotonic() + _HEAD_START_SECONDS
        for _, control in self._senders:
            control.send(begin)
        seconds = max(assignment.seconds for assignment in self._assignments)
        sent = [one for one in self._await_all(seconds + _GRACE_SECONDS) if one is not None]
        if not all(one.answered for one in sent):
            raise BenchmarkError("an association got no instance through in its time")
        last = max(one.answered[-1] for one in sent)
        return Outcome(begin, last, last, sent)

    def _start(self, assignment: Assignment) -> None:
        ours, theirs = fork.Pipe()
        process = fork.Process(target=send, args=(assignment, self._port, theirs), daemon=True)
        process.start()
        theirs.close()
        self._senders.append((process, ours))

    def _await_all(self, seconds: float) -> list[Sent | None]:
        """Return the next word of each sender. Raise BenchmarkError when one failed, died or is late."""
        deadline = time.monotonic() + seconds
        awaited = {control for _, control in self._senders}
        words: list[Sent | None] = []
        while awaited:
            ready = wait(awaited, max(deadline - time.monotonic(), 0))
            if not ready:
                raise BenchmarkError(f"{len(awaited)} associations did not come to their end within {seconds:g} s")
            for control in ready:
                words.append(_word_of(control))  # type: ignore[arg-type]
                awaited.remove(control)  # type: ignore[arg-type]
        return words

    def _end(self) -> None:
        for process, control in self._senders:
            process.kill()
            process.join()
            control.close()
        self._senders.clear()


def _word_of(control: Connection) -> Sent | None:
    try:
        word: Sent | str | None = control.recv()
    except EOFError:
        raise BenchmarkError("a sender died") from None
    if isinstance(word, str):
        raise BenchmarkError(word)
    return word
