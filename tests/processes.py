"""What processes are and hold, by proc(5). They live on while a test reads, so what has gone in between is left out."""

import contextlib
import os
import signal
from pathlib import Path

from tests.waiting import wait_until


def command_line(pid):
    """Return the command of a process as `ps` shows it; of one that is gone, nothing."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def running_with(text):
    """Return the processes whose command has `text` in it."""
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and text in command_line(pid)]


def is_alive(pid):
    """Tell whether a process runs: neither gone nor waiting for its parent to take note of its end."""
    return state(pid) not in ("", "Z")


def state(pid):
    """Return the letter of what a process does (`S` sleeps, `Z` has ended); of one that is gone, nothing."""
    return _state(f"/proc/{pid}/stat")


def _state(path):
    try:
        return Path(path).read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def freeze(pid):
    """Stop a process where it is. SIGCONT lets it go on.

    The signal alone is not enough: kill(2) returns before the process has taken it, and one of many threads
    still answers.
    """
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_frozen(pid), f"every thread of process {pid} stands still")


def is_frozen(pid):
    """Tell whether each thread of a process is stopped by a signal."""
    return all(_state(f"/proc/{pid}/task/{thread}/stat") == "T" for thread in os.listdir(f"/proc/{pid}/task"))


def children(pid):
    """Return the processes that a process has for children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def threads(pid):
    """Return how many threads a process has."""
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors(pids):
    """Return the number of open descriptors of the processes."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def sockets(pid):
    """Return the inodes of the sockets that a process has open."""
    targets = [_target(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    return {target[len("socket:[") : -1] for target in targets if target.startswith("socket:[")}


def _target(link):
    with contextlib.suppress(FileNotFoundError):  # closed since it was listed
        return os.readlink(link)
    return ""


def private_kilobytes(pid):
    """Return the memory that a process shares with no other."""
    return sum(_kilobytes(f"/proc/{pid}/smaps_rollup", "Private_"))


def proportional_kilobytes(pid):
    """Return the memory of a process, what it shares counted by its share (PSS): those of several can be added."""
    return sum(_kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:"))


def own_bytes(pids):
    """Return the memory that the processes do not share with a file: it grows when they leak."""
    return 1024 * sum(sum(_kilobytes(f"/proc/{pid}/status", "RssAnon:")) for pid in pids)


def _kilobytes(path, field):
    found = [int(line.split()[1]) for line in Path(path).read_text().splitlines() if line.startswith(field)]
    assert found, f"{path} has no {field}"
    return found
