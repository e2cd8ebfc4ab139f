"""What is to be registered by `oxidicom reconcile`, and whether its user knows what he does."""

import datetime
import math
import os
import sys
from typing import NamedTuple

from oxidicom.errors import OperationError
from oxidicom.wording import counted

_EVERYTHING = -math.inf
_FIRST_YEAR = 1970
"""Of the clock. What seems to be received in this year or before was received by a clock that was not set."""


class Wish(NamedTuple):
    """What the user wants."""

    register: bool = False
    since: float | None = None
    """Only what was received since then, in seconds since 1970; None: everything, which is asked about where it may do
    harm."""

    def covers(self, path: bytes) -> bool:
        """Tell whether a file was received late enough. Raise OSError."""
        return self.since is None or os.stat(path).st_mtime >= self.since


def seconds_of(since: datetime.datetime) -> float:
    """Return a moment in local time in seconds since 1970; up to that year it is everything. Raise ValueError."""
    if since.year <= _FIRST_YEAR:  # where midnight was later than in Greenwich, 1970-01-01 would leave out the time 0
        return _EVERYTHING
    try:
        return since.timestamp()
    except (OverflowError, OSError) as error:
        raise ValueError(str(error)) from error


def require_consent(count: int) -> bool:
    """Ask whether `count` files without rows are to be registered in a CUBE whose users delete series.

    Raise OperationError when there is nobody to be asked.
    """
    warning = (
        f"{counted(count, 'file')} below SERVICES/PACS {'has' if count == 1 else 'have'} no row. If somebody deleted "
        "series in CUBE, and CUBE may not remove their files, these have no row either and would come back."
    )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise OperationError(
            f"{warning} Say since when files are to be registered: --since 2026-01-31, or --since 1970-01-01 for all"
        )
    print(f"{warning} Register {'it' if count == 1 else 'all of them'}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
