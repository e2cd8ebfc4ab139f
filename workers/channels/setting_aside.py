"""Setting aside what cannot be stored or registered: moved, counted, and logged once.

What the disk does not let go stays in the spool and is left alone for a while. So is what meets a bug of ours: one
thing that we cannot handle must not cost its neighbours anything, so it is tried three times and then set aside too.
"""

import os
import time
import traceback
from collections.abc import Hashable
from typing import TypeVar

from loguru import logger

from oxidicom.records import COMMITTED_COUNT_KEY, Series
from oxidicom.spool.association_directory import is_finished, ledger_of
from oxidicom.spool.entries import contents
from oxidicom.spool.gateway_directory import GatewayDirectory
from oxidicom.spool.journal import is_open
from oxidicom.spool.names import EntryName, MetadataValue
from oxidicom.spool.set_aside import set_aside, set_aside_all
from workers.channels.bugs import place_of
from workers.channels.facts import FactChannel, SeriesFailed
from workers.channels.repetitions import Repetitions
from workers.channels.scoreboard import Counter, Slot

K = TypeVar("K")
V = TypeVar("V")

_LEFT_ALONE_SECONDS = 60.0
_TRY_AGAIN_SECONDS = 1.0
_TRIES = 3
_MAX_KNOWN = 10_000
"""So many things are remembered. One that is forgotten is tried sooner, or once more: no harm."""


class SettingAside:
    """What one worker sets aside."""

    def __init__(
        self,
        directory: GatewayDirectory,
        slot: Slot,
        counter: Counter,
        action: str,
        repetitions: Repetitions,
        facts: FactChannel | None = None,
    ) -> None:
        """`counter` counts what is set aside, `action` marks its log line, `facts` hears of series that have no end."""
        self._spool = directory.spool
        self._aside = directory.aside
        self._slot = slot
        self._counter = counter
        self._action = action
        self._repetitions = repetitions
        self._facts = facts
        self._left_alone: dict[tuple[str, str], float] = {}
        """By association and file name: what could not be set aside, cleared or read, until when."""
        self._tries: dict[Hashable, int] = {}
        """How often a thing has met a bug of ours."""

    def set_aside(
        self,
        association: str,
        name: EntryName | MetadataValue,
        state: str,
        reason: str,
        path: str = "",
        error: BaseException | None = None,
    ) -> None:
        """Set aside `name` of an association, for a `reason` without patient data.

        The traceback of an `error` goes into the JSON file, and nowhere else.
        """
        directory, file_name = os.path.join(self._spool, association), name.at(state)
        try:
            series = _series_of(directory, name) if isinstance(name, MetadataValue) else None
            if not set_aside(
                directory, file_name, self._aside, reason, path=path, series=series, traceback=_trace_of(error)
            ):
                return
        except OSError as trouble:
            self.leave_alone(association, name, state)
            self._log(
                f"set_aside_failed {trouble.errno}",
                association,
                "{what} cannot be set aside in .oxidicom/set-aside ({obstacle}) and stays in the spool: {reason}",
                what=_called(name),
                obstacle=trouble.strerror or "",
                reason=reason,
                action="set_aside_failed",
            )
            return
        self._slot.add(self._counter)
        if isinstance(name, MetadataValue) and name.key == COMMITTED_COUNT_KEY and series:
            self._tell_failed(association, name.series_hash, series)
        self._log(
            f"{self._action} {reason}",
            association,
            "{what} was set aside in .oxidicom/set-aside: {reason}",
            what=_called(name),
            reason=reason,
            action=self._action,
        )

    def _log(self, kind: str, association: str, message: str, level: str = "ERROR", **fields: str | int) -> None:
        self._repetitions.log(self._slot, kind, level, message, association=association, **fields)

    def _tell_failed(self, association: str, series_hash: str, series: Series) -> None:
        if self._facts:
            fact = SeriesFailed(association, series_hash, series.calling_ae_title, series.series_instance_uid)
            self._facts.tell(self._slot, fact)

    def unexpected(
        self, association: str, name: EntryName | MetadataValue, state: str, error: Exception, path: str = ""
    ) -> bool:
        """A bug of ours met one thing: it is tried again, and set aside at the third time. Return whether it was."""
        if not self._is_last_try((association, name.at(state)), association, _called(name), error):
            self._leave_alone(association, name.at(state), _TRY_AGAIN_SECONDS)
            return False
        self.set_aside(association, name, state, _reason_of(error), path, error)
        return True

    def unexpected_association(self, association: str, error: Exception) -> None:
        """A bug of ours met an association: at the third time all that is in its directory is set aside."""
        if not self._is_last_try(association, association, "An association", error):
            self._leave_alone(association, "", _TRY_AGAIN_SECONDS)
            return
        directory = os.path.join(self._spool, association)
        try:
            failed = _series_without_end(directory) if self._facts and self._facts.wants(SeriesFailed) else {}
            count = set_aside_all(directory, self._aside, _reason_of(error), _trace_of(error))
        except OSError as trouble:
            self._leave_alone(association, "", _LEFT_ALONE_SECONDS)
            waits_for_next_rescan(directory, trouble)
            return
        self._slot.add(self._counter, count)
        for series_hash, series in failed.items():
            self._tell_failed(association, series_hash, series)
        logger.bind(association=association).error(
            "An association was set aside in .oxidicom/set-aside with {count} instances: {reason}",
            count=count,
            reason=_reason_of(error),
            action=self._action,
        )

    def _is_last_try(self, key: Hashable, association: str, what: str, error: Exception) -> bool:
        tries = self._tries.pop(key, 0) + 1
        if tries < _TRIES:
            _bound(self._tries)
            self._tries[key] = tries
        logger.bind(association=association).opt(exception=error).error(
            "Unexpected {error} in {place} while handling {what}; {outcome}. Please report this line",
            error=type(error).__name__,
            place=place_of(error),
            what=what[0].lower() + what[1:],
            outcome="it will be tried again" if tries < _TRIES else "it is set aside, everything else goes on",
            action="unexpected",
        )
        return tries >= _TRIES

    def leave_alone(
        self, association: str, name: EntryName | MetadataValue, state: str, seconds: float = _LEFT_ALONE_SECONDS
    ) -> None:
        """Do not try `name` for a while: the disk does not let go of it, or CUBE deletes what it belongs to."""
        self._leave_alone(association, name.at(state), seconds)

    def _leave_alone(self, association: str, file_name: str, seconds: float) -> None:
        _bound(self._left_alone)
        self._left_alone[association, file_name] = time.monotonic() + seconds

    def cannot_read(self, association: str, name: EntryName, state: str, error: OSError) -> None:
        """Leave an instance alone that the disk does not give, and say so."""
        self.leave_alone(association, name, state)
        self._log(
            f"take_up_failed {error.errno}",
            association,
            "Instance {number} cannot be read: {reason}; it stays in the spool and will be tried again",
            "WARNING",
            number=name.number,
            reason=error.strerror or "",
            action="take_up_failed",
        )

    def leaves_alone(self, association: str, name: EntryName | MetadataValue, state: str) -> bool:
        """Tell whether it is too early to try `name` again."""
        return self._is_left_alone(association, name.at(state)) if self._left_alone else False

    def leaves_association_alone(self, association: str) -> bool:
        """Tell whether it is too early to look into the directory of an association again."""
        return self._is_left_alone(association, "") if self._left_alone else False

    def _is_left_alone(self, association: str, file_name: str) -> bool:
        key = (association, file_name)
        due = self._left_alone.get(key)
        if due is not None and due <= time.monotonic():
            del self._left_alone[key]
            return False
        return due is not None


def waits_for_next_rescan(directory: str, error: OSError) -> None:
    """Say that an association cannot be taken up: a full or failing disk. The others need not wait for it.

    Nothing is said when another process finished it meanwhile: its ledger goes first, then all else.
    """
    if isinstance(error, FileNotFoundError) and _is_finished(directory):
        return
    logger.bind(association=os.path.basename(directory)).warning(
        "An association cannot be processed now: {reason}; it will be tried again",
        reason=error.strerror,
        action="take_up_failed",
    )


def _is_finished(directory: str) -> bool:
    try:
        return is_finished(directory)
    except OSError:
        return False


def _bound(known: dict[K, V]) -> None:
    """Make room for one more, if need be by forgetting what has been known for longest."""
    if len(known) >= _MAX_KNOWN:
        del known[next(iter(known))]


def _series_of(directory: str, name: MetadataValue) -> Series | None:
    ledger = ledger_of(directory, lambda series_hash: series_hash == name.series_hash)
    return ledger.series.get(name.series_hash) if ledger else None


def _series_without_end(directory: str) -> dict[str, Series]:
    """Return the series of an association of which the last row is not registered. Raise OSError."""
    ledger = ledger_of(directory)
    ended = {
        name.series_hash
        for name, state in contents(directory)
        if isinstance(name, MetadataValue) and name.key == COMMITTED_COUNT_KEY and not is_open(name, state)
    }
    return {one: series for one, series in ledger.series.items() if one not in ended} if ledger else {}


def _called(name: EntryName | MetadataValue) -> str:
    return f"Instance {name.number}" if isinstance(name, EntryName) else f"The row of {name.key}"


def _reason_of(error: Exception) -> str:
    return f"unexpected {type(error).__name__} in {place_of(error)}"


def _trace_of(error: BaseException | None) -> str:
    return "".join(traceback.format_exception(error)) if error else ""
