"""Instances that came again: a sender that repeats some brings fewer than it sends, and the number of attempts alone
would call its series complete.

Two instances are the same when they have the same final path, for then they are one file and one row.
"""

import collections
from collections.abc import Iterable

from oxidicom.spool.ledger import Committed

_MAX_AT_ONCE = 200_000
"""So many paths are told apart in one pass, by 64 bits of each: that takes 15 MB at most."""


def repeated_counts(
    passes: Iterable[Iterable[Committed]], committed: int, *, max_at_once: int = _MAX_AT_ONCE
) -> dict[str, int]:
    """Return how many instances came again, by series hash; a series without any is left out.

    `passes` yields the `committed` lines of a ledger as often as it is asked: a long one is read several times, so that
    memory stays bounded. Raise OSError.
    """
    parts = -(-committed // max_at_once)
    repeated: collections.Counter[str] = collections.Counter()
    for part, lines in zip(range(parts), passes, strict=False):
        seen: set[int] = set()
        for line in lines:
            path = hash(line.path)
            if path % parts != part:
                continue
            if path in seen:
                repeated[line.series_hash] += 1
            seen.add(path)
    return dict(repeated)
