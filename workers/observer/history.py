"""Keeps the history: takes what is told of associations, and writes it about once a second.

A thread of its own writes, so that a slow or dead disk holds up nothing else of the observer. What goes wrong with the
file costs history alone, and is told as an outage. A record that was written is there after every crash; one that was
not leaves a gap, which the history knows of as far as anybody can.
"""

import sqlite3
import threading
import time

from loguru import logger

from oxidicom.history.schema import DamagedHistoryError, NewerHistoryError, remove
from oxidicom.history.store import HistoryStore
from oxidicom.outage import Outage
from workers.channels.backoff import Backoff
from workers.channels.bugs import place_of
from workers.channels.facts import (
    AssociationFinished,
    AssociationRegistered,
    Fact,
    InstancesRefused,
    SeriesReceived,
)
from workers.channels.scoreboard import Counter, Slot
from workers.observer.history_entries import enter
from workers.observer.lost_associations import LostAssociations
from workers.observer.needs import ObserverNeeds
from workers.observer.waiting_facts import WaitingFacts

_COMMIT_SECONDS = 1.0
"""Between two transactions: the first fact after a pause is written at once."""
_LOOK_SECONDS = 60.0
_CLOSE_SECONDS = 1.0
_MAX_WAITING_BYTES = 8 * 1024 * 1024
"""Of facts that wait for a file that takes nothing: some 20,000 of the usual size; of more the latest are lost."""
_MAX_AT_ONCE = 1000


class History:
    """Takes facts and writes them."""

    wants = (AssociationFinished, InstancesRefused, SeriesReceived, AssociationRegistered)

    def __init__(self, shared: ObserverNeeds, slot: Slot) -> None:
        """Begin to write, for which nobody waits."""
        settings = shared.settings
        self._shared = shared
        self._slot = slot
        slot.say("")  # what a process that died in this place said last may stand there
        self._store = HistoryStore(settings.history_path, settings.history_days)
        self._waiting = WaitingFacts(_MAX_WAITING_BYTES)
        self._news = threading.Event()
        self._over = threading.Event()
        self._backoff = Backoff(_COMMIT_SECONDS, 30.0)
        self._outage = Outage("history")
        self._is_off = False
        self._given_up = 0
        """Facts for which there was no room here."""
        self._bugged = 0
        """Facts that met a bug of ours."""
        self._lost_noted = self._lost
        """So many of those that were lost are in the history as a gap."""
        self._lost_since_ns = time.time_ns()
        self._had_predecessor = slot[Counter.RESPAWNS] > 0
        """What it had not written is lost."""
        self._lost_associations = LostAssociations(settings.files_root, shared.directory.spool, self._news.set)
        self._look_due = time.monotonic() + _LOOK_SECONDS
        self._prune_due = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True, name="history")
        self._thread.start()

    def take(self, fact: Fact) -> None:
        """Take a fact, to be written within a second."""
        if self._is_off:
            return
        if not self._waiting.add(fact):
            self._given_up += 1
            return
        self._news.set()

    def close(self) -> None:
        """Write what waits, within a second."""
        self._over.set()
        self._news.set()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._over.is_set() and not self._is_off:
            self._work()
            self._over.wait(max(_COMMIT_SECONDS, self._backoff.due_seconds))
            self._news.wait(_LOOK_SECONDS)
            self._news.clear()
        if not self._is_off:
            self._work()
        self._store.close()

    def _work(self) -> None:
        """Write what waits and do what is due. Whatever goes wrong costs history alone."""
        try:
            self._write()
            self._settle_lost()
            self._prune()
        except NewerHistoryError as error:
            self._is_off = True
            self._waiting.remove(len(self._waiting))
            self._slot.say(f"{self._store.path} was written by a later version")
            logger.warning(
                "No history is kept: {path} was written by a later version: {reason}",
                path=self._store.path,
                reason=str(error),
                action="history_failed",
            )
        except DamagedHistoryError as error:
            logger.warning(
                "The history in {path} is damaged ({reason}): it was renamed, and a new one is begun",
                path=self._store.path,
                reason=str(error),
                action="history_damaged",
            )
            self._news.set()
        except (OSError, sqlite3.Error) as error:
            self._fail(getattr(error, "strerror", None) or str(error))
        except Exception as error:  # noqa: BLE001 (a bug of ours costs what it met)
            bugged = len(self._waiting)
            self._waiting.remove(bugged)
            self._bugged += bugged
            logger.opt(exception=error).error(
                "Unexpected {error} in {place}; the history is missing something. Please report this line",
                error=type(error).__name__,
                place=place_of(error),
                action="unexpected",
            )
        else:
            self._succeed()

    def _fail(self, reason: str) -> None:
        self._backoff.failed()
        self._slot.say(f"{self._store.path}: {reason}")
        self._news.set()  # to try again when the back-off is over
        self._outage.goes_on(
            "No history is kept in {path} (everything else goes on)",
            reason,
            remedy="make room or fix the permission there; it is tried again",
            waits=f"{len(self._waiting)} reports wait, {self._given_up} were dropped",
            path=self._store.path,
        )

    def _succeed(self) -> None:
        self._backoff.succeeded()
        if self._outage.lasts:
            self._slot.say("")
        self._outage.is_over("the history is written again")

    def _write(self) -> None:
        while self._waiting or self._has_gap:
            batch = self._waiting.first(_MAX_AT_ONCE)
            lost = self._lost
            with self._store.transaction() as transaction:
                if self._had_predecessor:
                    transaction.gap(None, None)
                if lost != self._lost_noted:
                    transaction.gap(self._lost_since_ns, lost - self._lost_noted)
                for fact in batch:
                    enter(transaction, fact, self._shared.directory.ulid)
            self._waiting.remove(len(batch))
            self._lost_noted, self._had_predecessor = lost, False
            self._lost_since_ns = time.time_ns()

    @property
    def _has_gap(self) -> bool:
        return self._had_predecessor or self._lost != self._lost_noted

    @property
    def _lost(self) -> int:
        """Facts that never came, or were given up."""
        return self._shared.scoreboard.total(Counter.HISTORY_DROPPED) + self._given_up + self._bugged

    def _settle_lost(self) -> None:
        """Settle associations that are in no spool any more although nobody told that they are finished."""
        if lost := self._lost_associations.found():
            with self._store.transaction() as transaction:
                for association, set_aside in lost.items():
                    transaction.lost(association, set_aside)
        if self._is_due(self._look_due):
            self._look_due = time.monotonic() + _LOOK_SECONDS
            self._lost_associations.look_for(self._store.unsettled())

    def _prune(self) -> None:
        if self._is_due(self._prune_due):
            self._store.prune()
            self._prune_due = time.monotonic() + _LOOK_SECONDS

    def _is_due(self, moment: float) -> bool:
        return not self._over.is_set() and time.monotonic() >= moment


def remove_history(path: str) -> None:
    """Remove the history of a gateway that is to keep none."""
    try:
        remove(path)
    except OSError as error:
        logger.warning(
            "The history in {path} cannot be removed, although none is to be kept: {reason}",
            path=path,
            reason=error.strerror,
            action="history_failed",
        )
