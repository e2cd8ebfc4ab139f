"""The processes of a server, read from /proc: who they are, and the CPU time that they have used."""

import contextlib
import os
import time
from collections.abc import Iterable

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PPID, _UTIME, _CSTIME = 1, 11, 14
"""Fields of /proc/{pid}/stat, counted from the state behind the command (proc(5))."""
_SETTLE_SECONDS = 0.1
_MAX_SETTLE_SECONDS = 3.0


def tree_of(root: int) -> list[int]:
    """Return `root` and all its descendants that are there, zombies included."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))):
            children.setdefault(int(fields[_PPID]), []).append(int(name))
    found = [root]
    for pid in found:  # grows while it is walked
        found += children.get(pid, ())
    return found


def cpu_seconds(root: int) -> float:
    """Return the CPU time of `root` and its descendants, of those that have ended too (once they were reaped).

    The kernel rounds each process's share down to ticks of 10 ms, so a load must be worth many of them.
    """
    return sum(cpu_seconds_of(pid) for pid in tree_of(root))


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU time of one process and of its reaped children; 0 if it is gone."""
    fields = _stat(pid)
    return sum(map(int, fields[_UTIME : _CSTIME + 1])) / _TICKS_PER_SECOND if fields else 0.0


def settled_cpu_seconds(root: int) -> float:
    """Return the CPU time of `root` and its descendants when it has stopped growing, or after 3 s anyway.

    So what a server does behind its last answer is counted, and a child between its death and its burial is not missed.
    """
    deadline = time.monotonic() + _MAX_SETTLE_SECONDS
    before = cpu_seconds(root)
    while time.monotonic() < deadline:
        time.sleep(_SETTLE_SECONDS)
        now = cpu_seconds(root)
        if now - before < 1.5 / _TICKS_PER_SECOND:
            return max(now, before)
        before = now
    return before


def precise_cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of the threads of `pids` that are alive, to the nanosecond: for what is almost idle."""
    nanoseconds = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                    nanoseconds += int(file.read().split()[0])
    return nanoseconds / 1e9


def precise_cpu_seconds_by_title(root: int) -> dict[str, float]:
    """Return the CPU time of `root` and its living descendants by what kind of process they are."""
    seconds: dict[str, float] = {}
    for pid in tree_of(root):
        title = title_of(pid)
        seconds[title] = seconds.get(title, 0.0) + precise_cpu_seconds([pid])
    return seconds


def title_of(pid: int) -> str:
    """Return what kind of process it is, as `ps` shows it: "listener" for `oxidicom: listener-3`, else its program."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        if command.startswith("oxidicom: "):
            return command.removeprefix("oxidicom: ").rstrip("-0123456789")
        return os.path.basename(command.split(" ")[0])
    return "gone"


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/{pid}/stat from the state on; none if the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []
