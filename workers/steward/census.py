"""The census of the spool: what waits in it, since when, and what stands there that is not ours.

One process counts, all others read the scoreboard: a walk of the spool costs a second for a million entries.
"""

import os
import time

from loguru import logger

from oxidicom.files.times import changed_ns
from oxidicom.paths.private_root import is_ulid
from oxidicom.spool.association_directory import associations
from oxidicom.spool.entries import is_stranger
from oxidicom.spool.gateway_directory import GatewayDirectory, aside_directories, is_probe
from oxidicom.spool.ledger import LEDGER_NAME
from oxidicom.spool.names import PART, in_order
from oxidicom.spool.set_aside import count_set_aside
from workers.channels.scoreboard import Counter, ProcessState, Slot

_LEAST_SECONDS = 2.0
_SHARE = 20
"""A count may take a twentieth of the time."""
_MAX_TOLD = 1000


class Census:
    """Counts what stands in the spool of a gateway, now and then."""

    def __init__(self, directory: GatewayDirectory, slot: Slot) -> None:
        self._directory = directory
        self._slot = slot
        self._due = 0.0
        self._told: set[str] = set()

    def take_if_due(self) -> None:
        """Count, unless it was done a moment ago. Raise OSError."""
        began = time.monotonic()
        if began < self._due:
            return
        try:
            self._take()
        finally:
            now = time.monotonic()
            self._due = now + max(_LEAST_SECONDS, _SHARE * (now - began))

    def _take(self) -> None:
        self._look_for_strangers()
        counted = [self._count(directory) for directory in associations(self._directory.spool)]
        self._slot.set(Counter.SPOOL_ENTRIES, sum(count for count, _ in counted))
        self._slot.set(Counter.SPOOL_OLDEST_SECONDS, min((oldest for _, oldest in counted if oldest), default=0))
        aside = sum(map(count_set_aside, aside_directories(self._directory.files_root)))
        self._slot.set(Counter.SET_ASIDE_NOW, aside)

    def _count(self, directory: str) -> tuple[int, int]:
        """Return how many things wait there, and when the first of them was committed, in seconds since the epoch."""
        self._slot.beat(ProcessState.SYNCING)
        waiting, first = 0, ""
        try:
            with os.scandir(directory) as scan:
                for entry in filter(self._is_waiting, scan):  # one by one: there may be a million
                    waiting += 1
                    if not entry.name.endswith(f".{PART}"):
                        first = min(first or entry.name, entry.name, key=in_order)
            return waiting, changed_ns(os.lstat(os.path.join(directory, first))) // 10**9 if first else 0
        except OSError:
            return 0, 0  # it is finished, or cannot be read: those who work on it say so

    def _is_waiting(self, entry: "os.DirEntry[str]") -> bool:
        """Tell whether it is an instance or a value, or a part of one; what is not ours is told."""
        if is_stranger(entry):
            self._tell(entry.path)
            return False
        return entry.name != LEDGER_NAME

    def _look_for_strangers(self) -> None:
        with os.scandir(self._directory.spool) as scan:
            for entry in scan:
                is_ours = is_ulid(entry.name.removeprefix(".")) and entry.is_dir(follow_symlinks=False)
                if not is_ours and not is_probe(entry.name):
                    self._tell(entry.path)

    def _tell(self, path: str) -> None:
        """Say once that something stands in the spool that the gateway did not put there.

        What went on while we looked may seem to be no file: some filesystems do not tell what kind a name is of.
        """
        if path in self._told or len(self._told) >= _MAX_TOLD or not os.path.lexists(path):
            return
        self._told.add(path)
        logger.warning(
            "{path} was not written by this version of the gateway and is left alone; find out what it is, "
            "then remove it",
            path=ascii(os.path.relpath(path, self._directory.files_root))[1:-1],
            action="stranger_left",
        )
