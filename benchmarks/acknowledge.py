"""What a receiver has synced when it says Success: `python -m benchmarks.acknowledge`; docs/comparison.md shows it.

A few instances are sent, one at a time. strace notes each call by which the processes of the receiver sync something.
What has returned before the answer came was durable by then; what follows is seen too, since the next instance waits.
A database beside a receiver, such as this gateway's PostgreSQL, is not watched.
"""

import contextlib
import glob
import os
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.command_line import console, ending_in_order, require_directory
from benchmarks.database import DatabaseServer
from benchmarks.datasets import Content, Identity, templates_of
from benchmarks.directories import workplace
from benchmarks.errors import BenchmarkError
from benchmarks.gateway import Gateway
from benchmarks.installed import installed
from benchmarks.message import Message
from benchmarks.processes import tree_of
from benchmarks.requestor import Requestor
from benchmarks.senders.receivers import receivers_with
from benchmarks.server import RunningServer, Server
from benchmarks.workloads import Workload

_WORKLOAD = Workload("acknowledge", "10 KB, 1 association", [Content.SMALL_EXPLICIT], 0, 0.0)
_PAUSE_SECONDS = 0.5
"""Between an answer and the next instance: what a receiver does in the background is done by then."""
_ATTACH_SECONDS = 10.0
_CALL = re.compile(
    r"^(?P<began>\d+\.\d+) (?P<call>fsync|fdatasync|syncfs)\(\d+<(?P<path>[^>]*)>.*\) += 0 <(?P<took>\d+\.\d+)>$"
)


class Kind(StrEnum):
    """What was synced."""

    FILE = "the file"
    NAME = "its directory"
    INDEX = "the index"


@dataclass(frozen=True)
class Sync:
    """One call that has succeeded."""

    ended: float
    """On the clock of the wall, in seconds, as strace has it."""
    kinds: frozenset[Kind]


@dataclass(frozen=True)
class Exchange:
    """One instance."""

    began: float
    answered: float


def syncs_in(lines: Iterable[str], index: str) -> Iterator[Sync]:
    """Yield the syncs in what strace wrote; `index` is the directory of a receiver's own database, if it has one."""
    for line in lines:
        if call := _CALL.match(line):
            ended = float(call["began"]) + float(call["took"])
            yield Sync(ended, _kinds(call["call"], call["path"], index))


def _kinds(call: str, path: str, index: str) -> frozenset[Kind]:
    if call == "syncfs":
        return frozenset(Kind)
    if os.path.commonpath([path, index]) == index:
        return frozenset({Kind.INDEX})
    return frozenset({Kind.NAME if os.path.isdir(path) else Kind.FILE})


def before_the_answer(exchanges: Sequence[Exchange], syncs: Sequence[Sync], kind: Kind) -> int:
    """Return of how many instances something of a kind was synced between the request and its answer."""
    return sum(any(kind in sync.kinds and one.began < sync.ended < one.answered for sync in syncs) for one in exchanges)


def seconds_after(exchanges: Sequence[Exchange], syncs: Sequence[Sync]) -> list[float]:
    """Return how long after each answer the last sync ended before the next instance; nothing where there was none."""
    ends = [*(one.began for one in exchanges[1:]), float("inf")]
    late = [
        [sync.ended - one.answered for sync in syncs if one.answered < sync.ended < end]
        for one, end in zip(exchanges, ends, strict=True)
    ]
    return [max(of_one) for of_one in late if of_one]


@contextlib.contextmanager
def traced(pid: int, directory: str) -> Iterator[str]:
    """Watch a process and its descendants; yield the prefix of the files that are complete at the end."""
    prefix = os.path.join(directory, "strace")
    pids = tree_of(pid)
    command = ["strace", "-qq", "-f", "-ff", "-y", "-ttt", "-T", "-e", "trace=fsync,fdatasync,syncfs", "-o", prefix]
    started = subprocess.Popen(
        [*command, *(option for one in pids for option in ("-p", str(one)))],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _await_attached(started, pids)
        yield prefix
    finally:
        started.terminate()
        started.communicate()


def _await_attached(started: "subprocess.Popen[bytes]", pids: Sequence[int]) -> None:
    deadline = time.monotonic() + _ATTACH_SECONDS
    while not all(map(_is_traced, pids)):
        if started.poll() is not None or time.monotonic() > deadline:
            raise BenchmarkError("strace cannot attach: run this as root, or sysctl kernel.yama.ptrace_scope=0")
        time.sleep(0.02)


def _is_traced(pid: int) -> bool:
    """Return whether all threads of a process are traced."""
    states = []
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path, encoding="utf-8") as file:
            states.append("TracerPid:\t0\n" not in file.read())
    return all(states)


def measure(server: Server, directory: str, instances: int) -> tuple[list[Exchange], list[Sync]]:
    """Send one instance that does not count, and then so many that do, to a new receiver in an empty directory."""
    files, traces = os.path.join(directory, "files"), os.path.join(directory, "traces")
    os.mkdir(files)
    os.mkdir(traces)
    with server.running(files, _WORKLOAD) as running:
        with traced(running.pid, traces) as prefix:
            exchanges = _exchange(running, instances + 1)[1:]
        syncs: list[Sync] = []
        for path in glob.glob(f"{prefix}.*"):
            with open(path, encoding="utf-8", errors="replace") as file:
                syncs += syncs_in(file, os.path.join(files, "index"))
    return exchanges, syncs


def _exchange(running: RunningServer, instances: int) -> list[Exchange]:
    (template,) = templates_of(Content.SMALL_EXPLICIT)
    requestor = Requestor(running.port, template.sop_class_uid, template.transfer_syntax_uid)
    message = Message(template, requestor.max_pdu_bytes)
    exchanges = []
    for number in range(instances):
        message.address(Identity(0, 0, number, instances), number + 1)
        time.sleep(_PAUSE_SECONDS)
        began = time.time()
        requestor.store(message, number + 1)
        exchanges.append(Exchange(began, time.time()))
    time.sleep(_PAUSE_SECONDS)
    requestor.release()
    return exchanges


def _servers(database: DatabaseServer) -> list[Server]:
    synced = replace(
        Gateway(database), name="synced", title="oxidicom, CHRIS_SCP_SYNC=yes", settings={"CHRIS_SCP_SYNC": "yes"}
    )
    first, *others = receivers_with(database)
    return [first, synced, *others]


def _row(title: str, exchanges: Sequence[Exchange], syncs: Sequence[Sync]) -> list[str]:
    counts = [f"{before_the_answer(exchanges, syncs, kind)} of {len(exchanges)}" for kind in Kind]
    late = seconds_after(exchanges, syncs)
    after = f"{len(late)} of {len(exchanges)}, {statistics.median(late) * 1000:.0f} ms (median)" if late else "nothing"
    return [title, *counts, after]


def run(directory: str, instances: int, out: Console) -> None:
    """Measure every receiver that is installed, and print the table."""
    if not shutil.which("strace"):
        raise BenchmarkError("strace is not installed: apt-get install strace")
    skipped: dict[str, str] = {}
    table = Table("receiver", *(f"{kind}, before" for kind in Kind), "anything, until after the answer")
    with workplace(directory) as own, DatabaseServer(own) as database:
        for server in installed(_servers(database), skipped):
            place = os.path.join(own, server.name)
            os.mkdir(place)
            table.add_row(*_row(server.title, *measure(server, place, instances)))
    out.print(table)
    for title, reason in skipped.items():
        out.print(f"{title}: {reason}")


def main(
    instances: Annotated[int, typer.Option(min=1, help="How many each receiver gets.")] = 10,
    directory: Annotated[
        str, typer.Option(metavar="PATH", help="Where everything is written: on the disk that is meant.")
    ] = "/var/tmp",
) -> None:
    """Count what each receiver has synced before it answers a C-STORE, and what it syncs afterwards."""
    require_directory(directory)
    with ending_in_order():
        run(directory, instances, console())


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
