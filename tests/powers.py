"""What a test needs of the machine besides programs. A test that lacks it is skipped, and says how to give it."""

import contextlib
import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

OTHER_PYTHON = "other users cannot run this Python: make PYTHON=/usr/bin/python3 test, in a folder that they can read"
_PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")


def need_root() -> None:
    """Skip the test unless this is root."""
    if os.geteuid() != 0:
        pytest.skip("needs root: run the tests as root")


def need_mounts() -> None:
    """Skip the test unless it may mount filesystems: in many containers not even root may."""
    need_root()
    if not _can_mount():
        pytest.skip("needs to mount filesystems: give the container CAP_SYS_ADMIN")


@contextlib.contextmanager
def filesystem_in_memory(point: Path, megabytes: int) -> Iterator[Path]:
    """Within it another filesystem of so many megabytes is mounted at a directory. Skip the test if it may not be."""
    need_mounts()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", "--lazy", point], check=True)


@functools.cache
def _can_mount() -> bool:
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def reason_against_tracing() -> str:
    """Return why strace may not attach to processes of this user, or nothing."""
    if os.geteuid() == 0 or not _PTRACE_SCOPE.exists() or _PTRACE_SCOPE.read_text().strip() == "0":
        return ""
    return "strace may not attach to a process: run the tests as root, or sysctl kernel.yama.ptrace_scope=0"
