"""When a file was changed, as far as that can be told."""

import os

_LAST_NS = 2**63 - 1
"""In the year 2262."""


def changed_ns(status: os.stat_result) -> int:
    """Return when the data of a file were changed last, in ns since the epoch.

    Whoever may write a file can set any time: one before the epoch, or beyond what a message, a counter or a calendar
    holds, is the first or the last moment here.
    """
    return min(max(0, status.st_mtime_ns), _LAST_NS)
