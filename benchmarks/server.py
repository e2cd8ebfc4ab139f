"""A server under test: how it is started, watched and ended. The kinds of them: `peers`, `floors` and `gateway`."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from benchmarks.disk import file_sizes
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.forked import end_with_parent
from benchmarks.load import Outcome
from benchmarks.processes import cpu_seconds, settled_cpu_seconds, tree_of
from benchmarks.workloads import Workload

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_LISTEN = "0A"
_MAX_LOG_CHARACTERS = 2000


class RunningServer:
    """A server that takes associations on `port` and keeps its files below `directory`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, directory: str) -> None:
        self._process = process
        self.port = port
        self.directory = directory

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self) -> None:
        """The load is about to begin."""
        self._cpu_before = cpu_seconds(self.pid)

    def finish(self, outcome: Outcome) -> dict[Figure, float]:
        """Wait until the server has done what the load asked for; return what it cost."""
        spent = settled_cpu_seconds(self.pid) - self._cpu_before
        return {Figure.SERVER_CPU_SECONDS: spent / outcome.instances}

    def verify(self, outcome: Outcome) -> dict[Figure, float]:
        """Raise BenchmarkError unless everything sent is stored; return what that tells besides."""
        require_sizes(self.stored_sizes(), outcome.sizes_bytes)
        return {}

    def stored_sizes(self) -> Sequence[int]:
        """Return the length of each file that the server has stored."""
        return file_sizes(self.directory)

    def stored_count(self) -> int:
        """Return how many instances the server has stored."""
        return len(self.stored_sizes())


class Server(ABC):
    """A kind of server."""

    name: str
    """As it is chosen on the command line."""
    title: str

    @abstractmethod
    def why_missing(self) -> str:
        """Return why it cannot be started here and what to do about it; "" if it can."""

    @abstractmethod
    def running(self, directory: str, workload: Workload) -> AbstractContextManager[RunningServer]:
        """Start it with an empty `directory`, so that it suits `workload`; end it and all its processes at the end."""


_MAX_HEAD_BYTES = 4096
_LEAST_SHARE = 0.999
"""A server that parses and encodes anew may write sequences and groups a little shorter than they came."""


def require_sizes(stored: Sequence[int], sent: Sequence[int]) -> None:
    """Raise BenchmarkError unless there is a file for each dataset sent, of its length and a file meta's."""
    if len(stored) != len(sent):
        raise BenchmarkError(f"{len(sent)} instances were answered with Success, {len(stored)} files are there")
    for file_bytes, dataset_bytes in zip(sorted(stored), sorted(sent), strict=True):
        if not dataset_bytes * _LEAST_SHARE <= file_bytes <= dataset_bytes + _MAX_HEAD_BYTES:
            raise BenchmarkError(f"a dataset of {dataset_bytes} bytes is a file of {file_bytes} bytes")


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(
    command: Sequence[str], ports: Sequence[int], environment: Mapping[str, str], log: str = os.devnull, cwd: str = "/"
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server and wait until it listens on all `ports`; in the end no process of it is left.

    It has a session of its own, so that Ctrl-C reaches the benchmark alone, which then ends it in order; and should the
    benchmark itself be killed, the kernel ends it.
    """
    with open(log, "ab") as output:
        started = subprocess.Popen(
            command,
            cwd=cwd,
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: end_with_parent(signal.SIGTERM),  # noqa: PLW1509 (this program has no threads)
        )
    try:
        _await_ports(started, ports, log)
        yield started
    finally:
        _end(started)


def _await_ports(started: subprocess.Popen[bytes], ports: Sequence[int], log: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not listening_ports().issuperset(ports):
        if started.poll() is not None:
            raise BenchmarkError(f"{started.args!r} ended with status {started.returncode}. {end_of(log)}")
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{started.args!r} does not listen within {_START_SECONDS:g} s. {end_of(log)}")
        time.sleep(0.02)


def end_of(log: str) -> str:
    """Return the last lines of a log."""
    with open(log, encoding="utf-8", errors="replace") as file:
        return file.read()[-_MAX_LOG_CHARACTERS:]


def listening_ports() -> set[int]:
    """Return the TCP ports that somebody listens on: to connect and see would be an association to some servers."""
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as file:
            for line in file.read().splitlines()[1:]:
                _, local, _, state = line.split()[:4]
                if state == _LISTEN:
                    ports.add(int(local.rpartition(":")[2], 16))
    return ports


def _end(started: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the server, and SIGKILL to what is left of it after 20 s, or without its parent."""
    family = tree_of(started.pid) if started.poll() is None else []
    started.terminate()
    try:
        started.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()
    for pid in family[1:]:
        # Its session shows that the number has not been given to another process meanwhile.
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(pid) == started.pid:
                os.kill(pid, signal.SIGKILL)
