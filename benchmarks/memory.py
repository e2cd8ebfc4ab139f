"""Private memory (USS) of the processes of a server: what would be free if one of them ended.

Read from /proc/{pid}/smaps_rollup. The kernel walks the page tables for that, so memory is observed in the warm-up
and not in a round that counts.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.companion import Companion, Ended
from benchmarks.figures import Figure
from benchmarks.processes import title_of, tree_of

_INTERVAL_SECONDS = 0.1


@dataclass(frozen=True)
class Peaks:
    """What was seen of memory."""

    peak_bytes: Mapping[str, int]
    """By kind of process, of the largest of its kind."""
    rise_bytes: int
    """The largest rise of one process over its first sample; of one that came later, all of its memory."""

    def figures(self) -> dict[Figure, float]:
        """Return them as figures."""
        largest = max(self.peak_bytes.values(), default=0)
        return {Figure.PEAK_USS_BYTES: largest, Figure.USS_RISE_BYTES: self.rise_bytes}


def watch_memory(root: int) -> Companion[Peaks]:
    """Return an observer of `root` and all its descendants."""
    return Companion(lambda say_ready, ended: _observe(root, say_ready, ended))


def uss_bytes(pid: int) -> int | None:
    """Return the private memory of a process; None if it is gone or a zombie."""
    total = None
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Private_"):
                total = (total or 0) + int(line.split()[1]) * 1024
    return total


def _observe(root: int, say_ready: Callable[[int], None], ended: Ended) -> Peaks:
    first = _uss_of_tree(root)
    peaks = dict(first)
    titles = {pid: title_of(pid) for pid in first}
    say_ready(len(first))
    is_over = False
    while not is_over:
        is_over = ended(_INTERVAL_SECONDS)
        for pid, uss in _uss_of_tree(root).items():
            peaks[pid] = max(peaks.get(pid, 0), uss)
            if pid not in titles:
                titles[pid] = title_of(pid)
    by_title: dict[str, int] = {}
    for pid, peak in peaks.items():
        by_title[titles[pid]] = max(by_title.get(titles[pid], 0), peak)
    return Peaks(by_title, max((peaks[pid] - first.get(pid, 0) for pid in peaks), default=0))


def _uss_of_tree(root: int) -> dict[int, int]:
    return {pid: uss for pid in tree_of(root) if (uss := uss_bytes(pid)) is not None}
