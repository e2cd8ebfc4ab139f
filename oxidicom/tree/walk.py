"""Walking the files below a directory in the order of their paths, in bounded memory.

The order is that of the bytes of the whole path, the one in which the database gives its names, so that the two can
be compared in one pass. Only the entries of the directories between the top and the present file are held.
"""

import os
from collections.abc import Iterator

from oxidicom.tree.private_names import is_left_over


def walk_files(root: str, top: str) -> Iterator[bytes]:
    """Yield the paths, relative to `root`, of all regular files below `top`, itself relative to `root`.

    Symbolic links are not followed. A directory that is deleted meanwhile is empty. Raise OSError for one that cannot
    be read.
    """
    above = os.fsencode(root)
    levels = [_entries_of(above, os.fsencode(top))]
    while levels:
        path = next(levels[-1], None)
        if path is None:
            levels.pop()
        elif path.endswith(b"/"):
            levels.append(_entries_of(above, path[:-1]))
        else:
            yield path


def _entries_of(above: bytes, directory: bytes) -> Iterator[bytes]:
    """Return the paths of the files and, with a slash behind them, of the directories in `directory`, sorted.

    The slash belongs to the order: `a.dcm` comes before everything in the directory `a`, `a0` after it.
    """
    names = []
    try:
        with os.scandir(os.path.join(above, directory)) as scan:
            for entry in scan:
                if entry.is_dir(follow_symlinks=False):
                    names.append(entry.name + b"/")
                elif entry.is_file(follow_symlinks=False) and not is_left_over(directory, entry.name):
                    names.append(entry.name)
    except FileNotFoundError:
        return iter(())
    names.sort()
    return (directory + b"/" + name for name in names)
