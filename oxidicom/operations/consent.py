"""What is to be registered by `oxidicom reconcile`, and whether its user knows what he does."""

import datetime
import os
import sys
from typing import NamedTuple

from oxidicom.errors import OperationError


class Wish(NamedTuple):
    """What the user wants."""

    register: bool = False
    since: datetime.datetime | None = None
    """Only what was received since then, in local time; None: everything, which is asked about where it may do harm."""

    def covers(self, path: bytes) -> bool:
        """Tell whether a file was received late enough. Raise OSError."""
        return self.since is None or os.stat(path).st_mtime >= self.since.timestamp()


def require_consent(count: int) -> bool:
    """Ask whether `count` files without rows are to be registered in a CUBE whose users delete series.

    Raise OperationError when there is nobody to be asked.
    """
    warning = (
        f"{count} files below SERVICES/PACS have no row. If somebody deleted series in CUBE, and CUBE may not remove "
        "their files, they are among these and would come back."
    )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise OperationError(
            f"{warning} Say since when files are to be registered: --since 2026-01-31, or --since 1970-01-01 for all"
        )
    print(f"{warning} Register all of them? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
