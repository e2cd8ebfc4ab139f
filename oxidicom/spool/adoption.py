"""Taking over what other gateways left: restart recovery and scale-out recovery in one.

A gateway whose lock is free is gone. Its associations move to another one by one rename each, while the lock of the
old owner is held, so that two gateways never take the same one, and a crash in the middle leaves each with the one or
the other. An association whose ledger is locked has a listener that lives: it stays. Nothing is removed while anything
is left.
"""

import contextlib
import os
from collections.abc import Callable
from typing import NamedTuple

from oxidicom.files.regular_file import NotRegularFileError
from oxidicom.paths.private_root import is_ulid
from oxidicom.spool.association_directory import associations, remove_finished
from oxidicom.spool.gateway_directory import (
    FORMAT,
    GatewayDirectory,
    format_of,
    gateway_paths,
    lock_gateway,
    remove_gateway,
    spool_of,
)
from oxidicom.spool.ledger import LEDGER_NAME, LedgerWriter

OnTrouble = Callable[[str, str], None]
"""Is told a path that cannot be taken over and is left, and the reason."""


class Adopted(NamedTuple):
    """How many associations were taken over."""

    left_behind: int = 0
    """By gateways that are gone."""
    put_back: int = 0
    """By an operator, after they had been set aside."""


def adopt_orphans(
    directory: GatewayDirectory, on_trouble: OnTrouble, beat: Callable[[], None] = lambda: None
) -> Adopted:
    """Take over the associations of all gateways that are gone, and those that were put back.

    Nothing where locks do not hold: then a living gateway looks like one that is gone. Raise OSError.
    """
    if not directory.locks_hold:
        return Adopted()
    orphans = [path for path in gateway_paths(directory.files_root) if path != directory.path]
    adopted = [_adopt_gateway(orphan, directory, on_trouble, beat) for orphan in orphans]
    return Adopted(sum(one.left_behind for one in adopted), sum(one.put_back for one in adopted))


def _adopt_gateway(
    orphan: str, directory: GatewayDirectory, on_trouble: OnTrouble, beat: Callable[[], None]
) -> Adopted:
    locks: list[int] = []
    try:
        locks = lock_gateway(orphan)
        written = format_of(orphan)
        if written is None or written.format > FORMAT:
            number = written.format if written else "unknown"
            on_trouble(orphan, f"its spool has format {number}, this version knows {FORMAT}")
            return Adopted()
        taken = _adopt_spool(orphan, directory.spool, on_trouble, beat)
        return Adopted(put_back=taken) if written.put_back else Adopted(left_behind=taken)
    except (BlockingIOError, FileNotFoundError):
        return Adopted()  # it lives, or another gateway took it over between our look and our lock
    except OSError as error:  # it belongs to another user, or is no longer what it was
        on_trouble(orphan, error.strerror or str(error))
        return Adopted()
    finally:
        for lock in locks:
            os.close(lock)


def _adopt_spool(orphan: str, spool: str, on_trouble: OnTrouble, beat: Callable[[], None]) -> int:
    taken = 0
    for association in associations(spool_of(orphan)):
        beat()
        try:
            taken += _take(association, spool)
        except OSError as error:
            on_trouble(association, error.strerror or str(error))
    try:
        taken += _take_or_remove_hidden(spool_of(orphan), spool)
        remove_gateway(orphan)
    except OSError as error:
        on_trouble(orphan, error.strerror or str(error))
    return taken


def _take(association: str, spool: str) -> bool:
    """Move an association to `spool`, unless its listener lives or one of its name is there. Raise OSError."""
    target = os.path.join(spool, os.path.basename(association).removeprefix("."))
    if os.path.exists(target):  # never onto an empty directory: that is just being removed
        return False
    with contextlib.ExitStack() as held:
        # Where its ledger is lost, or is none, it is completed from its entries.
        with contextlib.suppress(FileNotFoundError, NotRegularFileError):
            try:
                writer = LedgerWriter(os.path.join(association, LEDGER_NAME))
            except BlockingIOError:
                return False
            held.callback(writer.close)
        os.rename(association, target)
    return True


def _take_or_remove_hidden(orphan_spool: str, spool: str) -> int:
    """Remove associations that had begun, but without any instance: they have a hidden name (see `spool_writer`).

    One with instances has it again after a power failure, which took its new name: it is taken over. Return how many.
    """
    with os.scandir(orphan_spool) as scan:
        hidden = [one.path for one in scan if is_ulid(one.name.removeprefix(".")) and one.name.startswith(".")]
    directories = [path for path in hidden if os.path.isdir(path) and not os.path.islink(path)]
    return sum(_take(path, spool) for path in directories if not remove_finished(path))
