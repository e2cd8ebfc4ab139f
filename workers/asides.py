"""Setting aside what cannot be stored or registered: moved, counted, and logged once.

What the disk does not let go stays in the spool and is left alone for a while.
"""

import os
import time

from loguru import logger

from oxidicom.records import Series
from oxidicom.storage.gateway_directory import GatewayDirectory
from oxidicom.storage.names import EntryName, NoteName
from oxidicom.storage.rejected import set_aside
from oxidicom.storage.spool import ledger_of
from workers.scoreboard import Counter, Slot

_LEFT_ALONE_SECONDS = 60.0


class Asides:
    """What one worker sets aside."""

    def __init__(self, directory: GatewayDirectory, slot: Slot, counter: Counter, action: str) -> None:
        """`counter` counts what is set aside, `action` marks its log line."""
        self._spool = directory.spool
        self._rejected = directory.rejected
        self._slot = slot
        self._counter = counter
        self._action = action
        self._known_until: dict[int | None, float] = {}
        self._left_alone: dict[tuple[str, str], float] = {}
        """By association and file name: what could not be set aside, cleared or read, until when."""

    def set_aside(self, association: str, name: EntryName | NoteName, state: str, reason: str, path: str = "") -> None:
        """Set aside `name` of an association, for a `reason` without patient data."""
        directory, file_name = os.path.join(self._spool, association), name.at(state)
        log = logger.bind(association=association)
        try:
            series = _series_of(directory, name) if isinstance(name, NoteName) else None
            if not set_aside(directory, file_name, self._rejected, reason, path=path, series=series):
                return
        except OSError as error:
            self.leave_alone(association, name, state)
            log.error(
                "{what} cannot be set aside in .oxidicom/rejected ({trouble}) and stays in the spool: {reason}",
                what=_called(name),
                trouble=error.strerror,
                reason=reason,
                action="set_aside_failed",
            )
            return
        self._slot.add(self._counter)
        log.error(
            "{what} was set aside in .oxidicom/rejected: {reason}",
            what=_called(name),
            reason=reason,
            action=self._action,
        )

    def leave_alone(self, association: str, name: EntryName | NoteName, state: str) -> None:
        """Let nobody try `name` for a while: the disk does not let go of it."""
        self._left_alone[association, name.at(state)] = time.monotonic() + _LEFT_ALONE_SECONDS

    def cannot_read(self, association: str, name: EntryName, state: str, error: OSError) -> None:
        """Leave an instance alone that the disk does not give, and say so."""
        self.leave_alone(association, name, state)
        logger.bind(association=association).warning(
            "Instance {number} cannot be read: {reason}; it stays in the spool and is tried again",
            number=name.number,
            reason=error.strerror,
            action="take_up_failed",
        )

    def is_known_trouble(self, error: OSError) -> bool:
        """Tell whether the same error was asked about within the last minute: it need not be logged for each thing."""
        now = time.monotonic()
        known = self._known_until.get(error.errno, 0.0) > now
        if not known:
            self._known_until[error.errno] = now + _LEFT_ALONE_SECONDS
        return known

    def leaves_alone(self, association: str, name: EntryName | NoteName, state: str) -> bool:
        """Tell whether it is too early to try `name` again."""
        key = (association, name.at(state))
        due = self._left_alone.get(key)
        if due is not None and due <= time.monotonic():
            del self._left_alone[key]
            return False
        return due is not None


def waits_for_next_rescan(association: str, error: OSError) -> None:
    """Say that an association cannot be taken up: a full or failing disk. The others need not wait for it."""
    logger.bind(association=association).warning(
        "An association cannot be taken up: {reason}", reason=error.strerror, action="take_up_failed"
    )


def _series_of(directory: str, name: NoteName) -> Series | None:
    ledger = ledger_of(directory)
    return ledger.series.get(name.series_hash) if ledger else None


def _called(name: EntryName | NoteName) -> str:
    return f"Instance {name.number}" if isinstance(name, EntryName) else f"The row of {name.key}"
