"""The steward: keeps the storage. Is it there, what time is it by its clock, what did others leave, what waits?

It is the one process that looks at the storage as a whole; all others read on the scoreboard what it finds. When the
storage does not answer, it is this process that waits for it. It never changes what instances are in, but moves the
associations of gateways that are gone to this one.
"""

import contextlib
import os
import select
import time

from loguru import logger

from oxidicom.judgement.judgement import Level
from oxidicom.judgement.rules import judge
from oxidicom.outage import Outage
from oxidicom.spool.adoption import adopt_orphans
from oxidicom.spool.published import publish
from oxidicom.spool.put_back import last_put_back_ns
from oxidicom.storage.clock import StorageClock
from oxidicom.storage.reserve import room_of
from oxidicom.storage.trouble import StorageTrouble, remedy_of, sentence_of
from oxidicom.wording import counted
from workers.channels.condition import condition_of
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Slot
from workers.channels.storage_condition import StorageCondition
from workers.steward.census import Census
from workers.steward.lately import Lately
from workers.steward.needs import StewardNeeds
from workers.steward.storage_judge import StorageJudge, UnwritableRootError

_LOOK_SECONDS = 1.0
_LOOK_SOON_SECONDS = 0.1
"""While the storage is not there, or the gateway starts: it is soon otherwise, and whoever looks should see that."""
_TIME_SECONDS = 5.0
"""So often the clock is kept in step: an idle gateway costs next to nothing."""
_ADOPT_SECONDS = 60.0
_PUBLISH_SECONDS = 10.0
_MAX_TOLD = 1000
"""So much that is not taken over is remembered as told."""


class Steward:
    """Looks at the storage once a second."""

    def __init__(self, shared: StewardNeeds, slot: Slot) -> None:
        self._shared = shared
        self._slot = slot
        self._root = shared.settings.files_root
        self._directory = shared.directory
        self._judge = StorageJudge(shared, slot)
        self._clock = StorageClock(self._root, slot[Counter.CLOCK_OFFSET_NS])
        self._census = Census(shared.directory, slot)
        self._lately = Lately(shared.scoreboard, slot)
        self._published: list[tuple[Level, str]] | None = None
        self._publish_due = 0.0
        self._time_due = 0.0
        self._adopt_due = 0.0
        self._last_put_back: int | None = None
        self._told: set[tuple[str, str]] = set()
        self._outage = Outage("storage", "ERROR")
        self._tree_outage = Outage("tree", "ERROR")

    def run(self) -> None:
        """Look until everybody else has ended."""
        pause = select.poll()
        while self._shared.scoreboard.phase < GatewayPhase.STOPPING:
            self._slot.beat(ProcessState.SYNCING)  # a storage that does not answer is no fault of this process
            trouble = self._look()
            self._lately.tell()
            if trouble is StorageTrouble.NONE:
                self._keep()
            self._publish()
            self._slot.beat(ProcessState.WAITING)
            is_passing = trouble or self._shared.scoreboard.phase is GatewayPhase.STARTING
            pause.poll((_LOOK_SOON_SECONDS if is_passing else _LOOK_SECONDS) * 1000)

    def _look(self) -> StorageTrouble:
        try:
            trouble = self._judge.storage()
        except OSError as error:
            unwritable = isinstance(error, UnwritableRootError)
            trouble = StorageTrouble.ROOT_UNWRITABLE if unwritable else StorageTrouble.ROOT_REFUSES
            self._tell_of_storage(trouble, error.strerror or "")
        else:
            self._tell_of_storage(trouble)
        return trouble

    def _tell_of_storage(self, trouble: StorageTrouble, reason: str = "") -> None:
        """Show it on the scoreboard; what is new is a line of the log."""
        self._slot.set(Counter.STORAGE_TROUBLE, trouble)
        if trouble is StorageTrouble.NONE:
            self._outage.is_over("the storage {files_root} is available again", files_root=self._root)
        elif trouble is not StorageTrouble.SPOOL_MISSING:  # which is made again at once
            self._outage.goes_on(
                "Degraded: no instance is accepted (A700)",
                sentence_of(trouble) + (f" ({reason})" if reason else ""),
                remedy=remedy_of(trouble),
                files_root=self._root,
            )

    def _tell_of_tree(self, trouble: StorageTrouble) -> None:
        """Show what was found; the line is about what anybody has found, the storage workers included."""
        self._slot.set(Counter.TREE_TROUBLE, trouble)
        found = StorageCondition(self._shared.scoreboard).tree_trouble
        waiting = self._slot[Counter.SPOOL_ENTRIES]
        if found is StorageTrouble.NONE:
            what = "SERVICES/PACS can be written again; {spool_entries} wait in the spool and are being stored"
            self._tree_outage.is_over(what, spool_entries=waiting)
        else:
            self._tree_outage.goes_on(
                "Degraded: instances wait in the spool (none is lost)",
                sentence_of(found),
                remedy=remedy_of(found),
                waits=f"{waiting} wait in the spool",
                spool_entries=waiting,
            )

    def _keep(self) -> None:
        """Look after a storage that is there."""
        self._tell_of_tree(self._judge.tree())
        for duty in (self._keep_time, self._measure, self._adopt_if_due, self._census.take_if_due):
            try:
                duty()
            except OSError as error:
                self._warn_once(error.filename or self._directory.path, error.strerror or "", "cannot be used")

    def _keep_time(self) -> None:
        if time.monotonic() >= self._time_due:
            self._time_due = time.monotonic() + _TIME_SECONDS
            self._slot.set(Counter.CLOCK_OFFSET_NS, self._clock.synchronise())

    def _measure(self) -> None:
        """Show how much room there is."""
        room = room_of(self._root, self._shared.settings.storage_reserve_bytes)
        self._slot.set(Counter.STORAGE_FREE_BYTES, room.free_bytes)
        self._slot.set(Counter.STORAGE_RESERVE_BYTES, room.reserve_bytes)
        self._slot.set(Counter.STORAGE_IS_FULL, room.is_full)
        self._slot.set(Counter.STORAGE_TOTAL_BYTES, room.total_bytes)  # last: before it nothing is known

    def _publish(self) -> None:
        """Tell how the gateway is to whoever looks at this storage: at once when that is new.

        Above all when there is trouble with it. Where it cannot even be told, its silence is seen.
        """
        condition = condition_of(self._shared)
        reasons = judge(condition).reasons
        news = [(reason.level, reason.subject) for reason in reasons]
        if news != self._published or time.monotonic() >= self._publish_due:
            with contextlib.suppress(OSError):
                publish(self._directory.path, condition)
                self._published, self._publish_due = news, time.monotonic() + _PUBLISH_SECONDS

    def _adopt_if_due(self) -> None:
        last_put_back = last_put_back_ns(self._root)
        if time.monotonic() >= self._adopt_due or last_put_back != self._last_put_back:
            self._last_put_back = last_put_back  # before the look: what is put back meanwhile is seen by the next one
            self._adopt()

    def _adopt(self) -> None:
        """Take over what gateways left that are gone; at the start of this one that is its own past."""
        first = not self._adopt_due
        self._adopt_due = time.monotonic() + _ADOPT_SECONDS
        if not self._directory.locks_hold:
            self._warn_once(
                self._directory.private_root,
                "file locks do not work on this storage: a lock that is held can be taken again. What other gateways "
                "left is not taken over; mount the storage with locks, and let only one gateway use it until then",
            )
            return
        adopted = adopt_orphans(self._directory, self._warn_once, lambda: self._slot.beat(ProcessState.SYNCING))
        if not any(adopted):
            return
        if adopted.put_back:
            logger.info(
                f"Picked up what `oxidicom retry` put back of {counted(adopted.put_back, 'association')}",
                count=adopted.put_back,
                action="put_back_adopted",
            )
        if adopted.left_behind and first:
            logger.info(
                f"Resuming the unfinished work of {counted(adopted.left_behind, 'association')}",
                count=adopted.left_behind,
                action="spool_adopted",
            )
        elif adopted.left_behind:
            logger.warning(
                f"Took over what a stopped gateway left of {counted(adopted.left_behind, 'association')}",
                count=adopted.left_behind,
                action="spool_adopted",
            )
        self._shared.hint_rescan(self._slot)

    def _warn_once(self, path: str, reason: str, trouble: str = "is not taken over") -> None:
        """Log trouble with what stands in the private directory: of this gateway, or left by another."""
        if (path, reason) in self._told:
            return
        if len(self._told) >= _MAX_TOLD:
            self._told.clear()
        self._told.add((path, reason))
        logger.warning(
            "{path} {what}: {reason}",
            path=os.path.relpath(path, self._root),
            what=trouble,
            reason=reason,
            action="adoption_failed",
        )
