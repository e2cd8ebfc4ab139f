"""File operations of processes that may die, fail or be overtaken before any one of them.

A process here is whatever runs while `Power.runs` lasts. Every operation on files that it makes is counted, and before
the chosen one its `Stroke` falls: it is killed, the operation fails, or somebody else acts first. Whoever is killed
makes no operation any more, whatever its `finally` clauses try; what it had open is closed by `Process.bury`, which
gives its locks back, as the kernel does.
"""

import builtins
import contextlib
import errno
import fcntl
import os
from collections.abc import Callable

from oxidicom.spool.gateway_directory import aside_directory
from oxidicom.spool.journal import Owner, is_open, owner_of
from oxidicom.spool.metadata_rows import UNKNOWN
from oxidicom.spool.names import DUE, RECEIVED, REGISTERED, STORED, EntryName, parse_name

_OPERATIONS = (
    "write",
    "writev",
    "rename",
    "link",
    "unlink",
    "mkdir",
    "rmdir",
    "ftruncate",
    "utime",
    "fsync",
    "fdatasync",
)
_SYNCS = ("fsync", "fdatasync")
"""Not done: what is killed is a process, not the operating system."""

_MOVERS = {
    (RECEIVED, STORED): {Owner.STORAGE},
    (DUE, STORED): {Owner.STORAGE},
    (RECEIVED, RECEIVED): {Owner.STORAGE},
    (STORED, REGISTERED): {Owner.REGISTRATION},
    (STORED, RECEIVED): {Owner.REGISTRATION},
    (STORED, DUE): {Owner.REGISTRATION},
}
"""Who may take which step inside a spool, the steps back included."""


class KilledError(BaseException):
    """The process is no more."""


class Stroke:
    """What falls before an operation: `strike` raises, or does something else first."""

    def __init__(self, operation: int, strike: Callable[[], None]) -> None:
        """It is the operation with that number, counted from 1."""
        self.left = operation
        self.strike = strike


class Process:
    """One process: who it is, and what it has open."""

    def __init__(self, role: str, gateway: str = "") -> None:
        """`gateway` is the ULID of its gateway; an operator has none."""
        self.role = role
        self.gateway = gateway
        self.is_dead = False
        self.descriptors: set[int] = set()

    def bury(self) -> None:
        """Close what it had open."""
        self.is_dead = True
        while self.descriptors:
            os.close(self.descriptors.pop())


class Power:
    """Stands between all processes and the operating system."""

    def __init__(self, files_root: str) -> None:
        self._files_root = files_root
        self._aside = aside_directory(files_root)
        self._process: Process | None = None
        self._stroke: Stroke | None = None
        self._real = {name: getattr(os, name) for name in (*_OPERATIONS, "open", "close")}
        self._real_open = builtins.open
        self._real_flock = fcntl.flock
        self.faults: list[str] = []
        """Who did what nobody may: it is told here, since what is raised might be caught."""

    def install(self, set_attribute: Callable[[object, str, object], None]) -> None:
        """Take the place of the real operations; `set_attribute` is that of a `MonkeyPatch`, which undoes it."""
        for name in _OPERATIONS:
            set_attribute(os, name, self._counting(name))
        set_attribute(os, "open", self._open)
        set_attribute(os, "close", self._close)
        set_attribute(builtins, "open", self._open_file)
        set_attribute(fcntl, "flock", self._flock)

    @contextlib.contextmanager
    def runs(self, process: Process, stroke: Stroke | None = None):
        """What happens inside is done by `process`."""
        outer = self._process, self._stroke
        self._process, self._stroke = process, stroke
        try:
            yield
        finally:
            self._process, self._stroke = outer

    def kill(self) -> None:
        """Kill the process that runs."""
        assert self._process
        self._process.is_dead = True
        raise KilledError

    def operate(self) -> None:
        """The process that runs is about to make an operation. Raise what falls before it."""
        process, stroke = self._process, self._stroke
        if process is None:
            return
        if process.is_dead:
            raise KilledError
        if stroke:
            stroke.left -= 1
            if stroke.left == 0:
                self._stroke = None
                stroke.strike()

    # -- the operations ------------------------------------------------------------------------------------------

    def _counting(self, name: str) -> Callable[..., object]:
        real = self._real[name]

        def operation(*arguments, **keywords):
            if self._process is None:
                return real(*arguments, **keywords)
            self.operate()
            if name in _SYNCS:
                return None
            if name in ("rename", "link", "unlink"):
                self._judge(name, *arguments, **keywords)
            return real(*arguments, **keywords)

        return operation

    def _open(self, path, flags, mode=0o777, *, dir_fd=None):
        process = self._process
        if process is None:
            return self._real["open"](path, flags, mode, dir_fd=dir_fd)
        self.operate()
        descriptor = self._real["open"](path, flags, mode, dir_fd=dir_fd)
        process.descriptors.add(descriptor)
        return descriptor

    def _close(self, descriptor):
        process = self._process
        if process:
            if process.is_dead:
                raise KilledError
            process.descriptors.discard(descriptor)
        self._real["close"](descriptor)

    def _open_file(self, file, mode="r", *arguments, **keywords):
        """An operation before it is there, and one before anything is in it."""
        process = self._process
        if process is None:
            return self._real_open(file, mode, *arguments, **keywords)
        self.operate()
        opened = self._real_open(file, mode, *arguments, **keywords)
        process.descriptors.discard(opened.fileno())  # the file closes it
        try:
            if "w" in mode or "x" in mode:
                self.operate()
        except BaseException:
            opened.close()
            raise
        return opened

    def _flock(self, descriptor, operation):
        """Whoever would have to wait for what it has interrupted is killed while it waits."""
        process = self._process
        if process is None:
            return self._real_flock(descriptor, operation)
        if process.is_dead:
            raise KilledError
        try:
            return self._real_flock(descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if operation & fcntl.LOCK_NB:
                raise
            return self.kill()

    # -- who may do what -----------------------------------------------------------------------------------------

    def _judge(self, operation, source, target=None, *, src_dir_fd=None, dst_dir_fd=None, dir_fd=None):
        before = _path(source, dir_fd if operation == "unlink" else src_dir_fd)
        if operation == "unlink":
            self._judge_removal(before)
            return
        after = _path(target, dst_dir_fd)
        if operation == "rename":
            self._judge_step(before, after)
        is_kept = self._gateway_of(after) or after.startswith(f"{self._aside}/")
        is_anew = os.path.basename(os.path.dirname(before)) == "tmp"
        is_anew |= after.endswith(f"={UNKNOWN}.{REGISTERED}")  # a placeholder of what was put back stands there
        if is_kept and os.path.lexists(after) and not after.endswith(".json") and not is_anew:
            self._tell(f"puts {before} over {after}")

    def _judge_step(self, before: str, after: str) -> None:
        parsed, to = parse_name(os.path.basename(before)), parse_name(os.path.basename(after))
        if not (parsed and to and self._gateway_of(before)):
            return
        self._require_own(before)
        if os.path.dirname(before) == os.path.dirname(after):
            movers = _MOVERS.get((parsed[1], to[1]), set())
            if not any(self._process.role == mover.name.lower() for mover in movers):
                self._tell(f"moves {before} to {to[1]}")
        elif not after.startswith(f"{self._aside}/"):
            self._tell(f"moves {before} to {after}")

    def _judge_removal(self, path: str) -> None:
        parsed = parse_name(os.path.basename(path))
        if not (parsed and is_open(*parsed) and self._gateway_of(path)):
            return
        self._require_own(path)
        name, state = parsed
        if owner_of(name, state) is Owner.STORAGE:
            is_half = isinstance(name, EntryName) and os.path.getsize(path) != name.size_bytes
            is_allowed = is_half or self._process.role == "listener"
        else:
            is_allowed = isinstance(name, EntryName) and self._process.role == "registration"
        if not is_allowed:
            self._tell(f"removes {path}")

    def _require_own(self, path: str) -> None:
        if self._process.gateway != self._gateway_of(path):
            self._tell(f"takes {path}, which is another's")

    def _gateway_of(self, path: str) -> str:
        """Return the gateway in whose spool a path is; empty: in none."""
        parts = os.path.relpath(path, self._files_root).split("/")
        return parts[1] if len(parts) >= 4 and parts[0] == ".oxidicom" and parts[2] == "spool" else ""

    def _tell(self, what: str) -> None:
        self.faults.append(f"{self._process.role} of {self._process.gateway or 'nobody'} {what}")


def _path(name: str, directory: int | None) -> str:
    return name if directory is None else os.path.join(os.readlink(f"/proc/self/fd/{directory}"), name)


def fails_with(number: int) -> Callable[[], None]:
    """Return a strike by which an operation fails."""

    def strike() -> None:
        raise OSError(number, os.strerror(number))

    return strike


TROUBLES = (errno.ENOSPC, errno.EIO, errno.EACCES)
