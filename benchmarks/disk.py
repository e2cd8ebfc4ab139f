"""The disk under the servers: at rest before a load, synced after it, and what a server left on it."""

import ctypes
import os
import time

from benchmarks.errors import BenchmarkError

_QUIET_BYTES = 4 << 20
_MAX_WAIT_SECONDS = 10.0
_libc = ctypes.CDLL(None, use_errno=True)


def settle() -> None:
    """Write out what others have left dirty, and wait (10 s at most) until the disk has taken it.

    Else the next server would pay for the pages of the one before it.
    """
    os.sync()
    deadline = time.monotonic() + _MAX_WAIT_SECONDS
    while _under_writeback_bytes() > _QUIET_BYTES and time.monotonic() < deadline:
        time.sleep(0.02)


def sync_filesystem(directory: str) -> None:
    """Return when everything on the filesystem of `directory` is on the disk (syncfs(2))."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(descriptor) != 0:
            raise BenchmarkError(f"syncfs failed: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)


def file_sizes(directory: str, suffix: str = "") -> list[int]:
    """Return the sizes of all files below `directory` that end in `suffix`."""
    return [
        os.path.getsize(os.path.join(parent, name))
        for parent, _, names in os.walk(directory)
        for name in names
        if name.endswith(suffix)
    ]


def filesystem_type(directory: str) -> str:
    """Return the type of the filesystem of `directory`, as /proc/mounts names it."""
    real = os.path.realpath(directory)
    best, found = "", "unknown"
    with open("/proc/mounts", encoding="utf-8") as file:
        for line in file:
            _, mount_point, name = line.split()[:3]
            below = real == mount_point or real.startswith(mount_point.rstrip("/") + "/")
            if below and len(mount_point) >= len(best):
                best, found = mount_point, name
    return found


def _under_writeback_bytes() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("Writeback:"):
                return int(line.split()[1]) * 1024
    return 0
