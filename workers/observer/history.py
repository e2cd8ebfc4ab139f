"""Keeps the history: takes what is told of associations, and writes it about once a second.

A thread of its own writes, so that a slow or dead disk holds up nothing else of the observer. What goes wrong with the
file costs history alone, and is told as an outage. A record that was written is there after every crash; one that was
not leaves a gap, which the history knows of as far as anybody can.
"""

import collections
import contextlib
import os
import sqlite3
import threading
import time

from loguru import logger

from oxidicom.history.records import AssociationEnd
from oxidicom.history.schema import DamagedHistoryError, NewerHistoryError, remove
from oxidicom.history.store import HistoryStore, Transaction
from oxidicom.outage import Outage
from oxidicom.paths.private_root import moment_of
from oxidicom.spool.entries import contents
from oxidicom.spool.gateway_directory import aside_directories
from oxidicom.spool.names import EntryName
from oxidicom.spool.put_back import is_in_a_spool
from workers.channels.backoff import Backoff
from workers.channels.bugs import place_of
from workers.channels.ending import EndKind
from workers.channels.facts import AssociationFinished, AssociationRegistered, Fact, InstancesRefused, SeriesReceived
from workers.channels.scoreboard import Counter, Slot
from workers.observer.needs import ObserverNeeds

_COMMIT_SECONDS = 1.0
"""Between two transactions: the first fact after a pause is written at once."""
_LOOK_SECONDS = 60.0
_CLOSE_SECONDS = 1.0
_MAX_WAITING = 2_000
"""Facts that wait for a file that takes nothing; of more the latest are lost."""
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
        self._waiting: collections.deque[Fact] = collections.deque()
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
        self._missing: set[str] = set()
        """Associations that were in no spool at the last look."""
        self._look_due = time.monotonic() + _LOOK_SECONDS
        self._prune_due = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True, name="history")
        self._thread.start()

    def take(self, fact: Fact) -> None:
        """Take a fact, to be written within a second."""
        if self._is_off:
            return
        if len(self._waiting) >= _MAX_WAITING:
            self._given_up += 1
            return
        self._waiting.append(fact)
        self._news.set()

    def close(self) -> None:
        """Write what waits, within a second."""
        self._over.set()
        self._news.set()
        self._thread.join(_CLOSE_SECONDS)

    # -- the thread that writes --------------------------------------------------------------------------------------

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
            self._look_for_lost()
            self._prune()
        except NewerHistoryError as error:
            self._is_off = True
            self._waiting.clear()
            self._slot.say(f"{self._store.path} was written by a later version")
            logger.warning(
                "No history is kept: {path} was written by a later version: {reason}",
                path=self._store.path,
                reason=str(error),
                action="history_failed",
            )
        except DamagedHistoryError as error:
            logger.warning(
                "The history in {path} is damaged ({reason}): it was put aside, and a new one is begun",
                path=self._store.path,
                reason=str(error),
                action="history_damaged",
            )
            self._news.set()
        except (OSError, sqlite3.Error) as error:
            self._fail(getattr(error, "strerror", None) or str(error))
        except Exception as error:  # noqa: BLE001 (a bug of ours costs what it met)
            while self._waiting:
                self._waiting.popleft()
                self._bugged += 1
            logger.opt(exception=error).error(
                "Unexpected {error} in {place}; the history misses something. Please report this line",
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
            "No history is kept in {path}, everything else goes on",
            reason,
            remedy="make room or mend the permission there; it is tried again",
            waits=f"{len(self._waiting)} reports wait, {self._given_up} were given up",
            path=self._store.path,
        )

    def _succeed(self) -> None:
        self._backoff.succeeded()
        if self._outage.lasts:
            self._slot.say("")
        self._outage.is_over("the history is written again")

    def _write(self) -> None:
        while self._waiting or self._has_gap:
            batch = [self._waiting[at] for at in range(min(len(self._waiting), _MAX_AT_ONCE))]
            lost = self._lost
            with self._store.transaction() as transaction:
                if self._had_predecessor:
                    transaction.gap(None, None)
                if lost != self._lost_noted:
                    transaction.gap(self._lost_since_ns, lost - self._lost_noted)
                for fact in batch:
                    self._note(transaction, fact)
            for _ in batch:
                self._waiting.popleft()
            self._lost_noted, self._had_predecessor = lost, False
            self._lost_since_ns = time.time_ns()

    @property
    def _has_gap(self) -> bool:
        return self._had_predecessor or self._lost != self._lost_noted

    @property
    def _lost(self) -> int:
        """Facts that never came, or were given up."""
        return self._shared.scoreboard.total(Counter.HISTORY_DROPPED) + self._given_up + self._bugged

    def _note(self, transaction: Transaction, fact: Fact) -> None:
        match fact:
            case AssociationFinished():
                transaction.ended(self._end_of(fact))
            case InstancesRefused():
                transaction.refused(fact.association, fact.refusals)
            case SeriesReceived():
                transaction.series(fact.association, fact.series)
            case AssociationRegistered():
                transaction.registered(self._registered_end_of(fact))
                transaction.series(fact.association, fact.series)

    def _end_of(self, fact: AssociationFinished) -> AssociationEnd:
        address = f"[{fact.peer_address}]" if ":" in fact.peer_address else fact.peer_address
        return AssociationEnd(
            fact.association,
            self._shared.directory.ulid,
            fact.began_ns,
            fact.ended_ns,
            f"{address}:{fact.peer_port}",
            fact.calling_ae_title,
            fact.called_ae_title,
            str(fact.ending),
            fact.committed,
            fact.bytes,
            is_rejected=fact.ending.kind is EndKind.REJECTED,
            is_settled=not fact.committed,
            tls=fact.tls,
            received=fact.received,
            warned=fact.warned,
            refused=fact.refused,
        )

    def _registered_end_of(self, fact: AssociationRegistered) -> AssociationEnd:
        began = moment_of(fact.association)
        began_ns = int(began.timestamp() * 1e9) if began else fact.ended_ns
        return AssociationEnd(
            fact.association,
            self._shared.directory.ulid,
            began_ns,
            max(began_ns, fact.ended_ns),
            fact.peer,
            fact.calling_ae_title,
            fact.called_ae_title,
            fact.how,
            fact.stored,
            fact.bytes,
            is_settled=fact.is_last,
            refused={"unknown": fact.refused} if fact.refused else {},
        )

    # -- what nobody told --------------------------------------------------------------------------------------------

    def _look_for_lost(self) -> None:
        """Settle associations that are in no spool any more although nobody told that they are finished.

        They have to be missing at two looks: between them whatever was on its way has come.
        """
        if not self._is_due(self._look_due) or not os.path.isdir(self._shared.directory.spool):
            return
        self._look_due = time.monotonic() + _LOOK_SECONDS
        unsettled = self._store.unsettled()
        lost: dict[str, collections.Counter[str]] = {}
        with contextlib.suppress(OSError):  # the storage is away
            missing = {one for one in unsettled if not is_in_a_spool(self._shared.settings.files_root, one)}
            lost = {one: self._set_aside_of(one) for one in missing & self._missing}
            self._missing = missing
        if lost:
            with self._store.transaction() as transaction:
                for association, set_aside in lost.items():
                    transaction.lost(association, set_aside)

    def _set_aside_of(self, association: str) -> collections.Counter[str]:
        return collections.Counter(
            name.series_hash
            for aside in aside_directories(self._shared.settings.files_root)
            for name, _ in contents(os.path.join(aside, association))
            if isinstance(name, EntryName)
        )

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
