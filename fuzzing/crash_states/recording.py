"""A recording: a real gateway under load, killed in the middle and started again; every change of its tree by strace.

The gateway runs by its own command, with all its processes and a real PostgreSQL. strace is the witness because it
stands outside: it misses no process that is forked, changes no code, and tells each call with its data, its outcome and
the moments between which the kernel did it. (A library that is preloaded would miss what makes its own system calls; a
FUSE filesystem would see syncs of its own kernel's making, has no `syncfs`, and would be another filesystem.)
"""

import contextlib
import glob
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.server import free_port
from fuzzing.crash_states.calls import TRACED, read_calls
from fuzzing.crash_states.crash import whole_contents
from fuzzing.crash_states.history import ROOT, Historian, History
from fuzzing.crash_states.scenario import Scenario
from fuzzing.crash_states.tables import Row, make_database, read_rows
from fuzzing.crash_states.workload import SENDERS, Pacs, Sender
from oxidicom.embedded.server import EmbeddedPostgres

_DEADLINE_SECONDS = 120.0
_LOOKS = 20
"""So often a process must be found stopped: it is for a moment, too, whenever strace looks at a call."""
_BASE = (".oxidicom", "SERVICES/PACS/EARLIER")
"""What stands in the storage before, so that it is known to be one."""


class Recording(NamedTuple):
    """What was recorded."""

    scenario: Scenario
    history: History
    rows: list[Row]

    def save(self, path: str) -> None:
        """Keep it in a file."""
        Path(path).write_bytes(pickle.dumps(self))


class RecordingError(Exception):
    """The recording is none: something did not go as it should, which has nothing to do with power failures."""


def record(scenario: Scenario, seed: str, postgres: EmbeddedPostgres, directory: str, associations: int) -> Recording:
    """Record a gateway in the empty `directory`; each of three senders has so many associations in all.

    Raise RecordingError.
    """
    files_root = os.path.join(directory, "files")
    os.mkdir(files_root)
    with _mounted(files_root, scenario):
        for path in _BASE:
            os.makedirs(os.path.join(files_root, path), exist_ok=True)
        conninfo = make_database(postgres, scenario.schema)
        pacs = Pacs()
        try:
            for life in (1, 2):
                gateway = _Gateway(scenario, files_root, conninfo, pacs.port, os.path.join(directory, f"life{life}"))
                try:
                    gateway.start()
                    gateway.load(f"{seed}/{life}", (associations + 1) // 2, in_full=life == 2)
                finally:
                    gateway.kill()
        finally:
            pacs.close()
        historian = Historian(files_root, scenario.mounts)
        historian.begin_with(_BASE)
        for life in (1, 2):
            with open(os.path.join(directory, f"life{life}.strace"), encoding="ascii") as lines:
                try:
                    history = historian.take(read_calls(lines))
                except (KeyError, ValueError) as error:
                    raise RecordingError(f"the trace is not understood: {error!r}") from error
        _require_same(history, files_root)
    return Recording(scenario, history, read_rows(conninfo, scenario.schema))


class _Gateway:
    """One life of the gateway."""

    def __init__(self, scenario: Scenario, files_root: str, conninfo: str, pacs_port: int, path: str) -> None:
        self._port = free_port()
        self._files_root = files_root
        self._log = f"{path}.log"
        self._environment = scenario.environment(files_root, conninfo, f"{path}-state") | {
            "CHRIS_LISTENER_THREADS": "3",
            "CHRIS_PACS_ADDRESS": ",".join(f"{title}=127.0.0.1:{pacs_port}" for title in SENDERS),
            "PORT": str(self._port),
        }
        refusal = ["-e", "inject=link,linkat:error=EPERM"] if scenario.way == "copies" else []
        options = ["-f", "-ttt", "-T", "-y", "-xx", "-s", str(1 << 22), "-o", f"{path}.strace", "-e", f"trace={TRACED}"]
        program = ["-m", "fuzzing.crash_states.mutants", scenario.mutant] if scenario.mutant else ["-m", "oxidicom"]
        self._command = ["strace", *options, *refusal, sys.executable, *program]

    def start(self) -> None:
        """Start it, and return when it is ready."""
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait_until(lambda: '"action": "ready"' in Path(self._log).read_text(), "the gateway is ready")

    def load(self, seed: str, associations: int, *, in_full: bool) -> None:
        """Send; until the end and all is registered, or, if not `in_full`, somewhere in the middle."""
        senders = [Sender(number, self._port, seed, associations) for number in range(len(SENDERS))]
        for sender in senders:
            sender.start()
        if in_full:
            self._wait_until(lambda: not any(sender.is_alive() for sender in senders), "all is sent")
            self._wait_until(lambda: not self._spooled(), "all is registered")
        else:
            self._wait_until(
                lambda: sum(sender.acknowledged for sender in senders) >= 4 * associations, "half of it is sent"
            )

    def kill(self) -> None:
        """Stop every process where it is, then kill them; strace ends when it has written down the last of them.

        Stopped first, since of a call that is cut off by SIGKILL strace cannot tell whether it was done.
        """
        if self._process.poll() is not None:
            return
        (supervisor,) = _children(self._process.pid)
        processes = [supervisor, *_children(supervisor)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            self._wait_until(lambda: all(map(_is_stopped, processes * _LOOKS)), "every process has stopped")
        finally:
            for process in processes:
                os.kill(process, signal.SIGKILL)
            self._process.wait(_DEADLINE_SECONDS)

    def _spooled(self) -> list[str]:
        return glob.glob(".oxidicom/*/spool/*/*", root_dir=self._files_root)  # not of Path: it raises at what goes

    def _wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RecordingError(f"not so: {what}; the log says: {Path(self._log).read_text()[-2000:]}")
            time.sleep(0.02)


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _is_stopped(process: int) -> bool:
    tasks = Path(f"/proc/{process}/task").iterdir()
    return all((task / "stat").read_text().rpartition(")")[2].split()[0] in "Tt" for task in tasks)


def _require_same(history: History, files_root: str) -> None:
    """What the history says must be what is there: else the tool has misunderstood something. Raise RecordingError."""
    names = _names(history, ROOT, "")
    there = sorted(
        os.path.relpath(os.path.join(top, name), files_root)
        for top, directories, files in os.walk(files_root)
        for name in (*directories, *files)
    )
    if sorted(names) != there:
        raise RecordingError(f"the history and the tree differ: {sorted(set(names) ^ set(there))[:5]}")
    for path, inode in names.items():
        if not history.inodes[inode].is_directory:
            data = Path(files_root, path).read_bytes()
            if data != whole_contents(history, inode):
                raise RecordingError(f"the history has other contents than {path}")


def _names(history: History, directory: int, path: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, inode in history.inodes[directory].names.items():
        below = os.path.join(path, name)
        found[below] = inode
        found |= _names(history, inode, below)
    return found


@contextlib.contextmanager
def _mounted(files_root: str, scenario: Scenario) -> Iterator[None]:
    with contextlib.ExitStack() as undo:
        for mount in scenario.mounts:
            path = os.path.join(files_root, mount)
            os.makedirs(path)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", path], check=True)
            undo.callback(subprocess.run, ["umount", "--lazy", path], check=True)
        yield
