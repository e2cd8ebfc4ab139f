"""What is done to a directory as a file."""

import os
from collections.abc import Mapping


def sync_directory(path: str) -> None:
    """Make the entries of a directory durable. Raise OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def error_above(path: str, failed: Mapping[str, OSError]) -> OSError | None:
    """Return the error of `path`, or else of the nearest directory above it of which `failed` tells one."""
    while path:
        if path in failed:
            return failed[path]
        path = path.rpartition("/")[0]
    return None
