"""A crash state, written into a directory: names, hard links, contents with their holes, times."""

import os

from fuzzing.crash_states.crash import Contents, State


def replay(state: State, root: str) -> None:
    """Write a state into the empty directory `root`."""
    first: dict[int, str] = {}
    for relative, inode in state.names.items():
        path = os.path.join(root, relative)
        if inode in state.directories:
            os.mkdir(path, 0o755)
        elif inode in first:
            os.link(first[inode], path)
        else:
            first[inode] = path
            _write(path, state.contents[inode])


def _write(path: str, contents: Contents) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        at = 0
        for begin, end in (*contents.lost, (len(contents.data), len(contents.data))):
            if begin > at:
                os.pwrite(descriptor, contents.data[at:begin], at)
            at = end
        os.ftruncate(descriptor, len(contents.data))
        os.utime(descriptor, ns=(contents.mtime_ns, contents.mtime_ns))
    finally:
        os.close(descriptor)
