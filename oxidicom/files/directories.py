"""What is done to a directory as a file."""

import os


def sync_directory(path: str) -> None:
    """Make the entries of a directory durable. Raise OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
