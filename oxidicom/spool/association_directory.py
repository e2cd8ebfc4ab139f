"""The spool is the journal: one directory for each association that is not wholly registered yet.

Whether the listener of a directory lives, how to end it for a listener that died, and how it is removed in the end.
`spool_writer` is the side of the listener, `entries` tells what stands in a directory. See `names` for the states,
`ledger` for the counts, and `set_aside` for what is set aside.

The law of this file: what may hold an acknowledged instance is never deleted. A directory without its ledger, or with a
damaged one, is completed from its entries; what has no name of ours is left where it is.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable

from oxidicom.files.regular_file import NotRegularFileError
from oxidicom.paths.private_root import is_ulid
from oxidicom.spool.entries import contents, entries
from oxidicom.spool.journal import is_open
from oxidicom.spool.ledger import LEDGER_NAME, Ledger, LedgerWriter, read_ledger
from oxidicom.spool.ledger_completion import complete_ledger
from oxidicom.spool.names import is_part, parse_name

_STRANGE = ".strange"
"""What stands in the place of a ledger and is none gets this ending, and is left alone."""


LISTENER_DIED = "listener died"
GATEWAY_DIED = "gateway died"
DEATHS = (LISTENER_DIED, GATEWAY_DIED)
"""How an association ended of which nobody saw the end: what is known is when that was noticed."""


def associations(spool: str) -> list[str]:
    """Return the directories of all associations in `spool`, oldest first (a ULID begins with its time).

    Whatever else stands there is not ours, and is left alone. Raise OSError.
    """
    with os.scandir(spool) as scan:
        names = [entry.name for entry in scan if is_ulid(entry.name) and entry.is_dir(follow_symlinks=False)]
    return [os.path.join(spool, name) for name in sorted(names)]


def ledger_of(directory: str, wanted: Callable[[str], bool] | None = None) -> Ledger | None:
    """Read the ledger of an association, or return None when there is none that is a file. Raise OSError.

    With `wanted` only the series of those hashes.
    """
    try:
        return read_ledger(os.path.join(directory, LEDGER_NAME), wanted)
    except (FileNotFoundError, NotRegularFileError):
        return None


def ledger_mtime_ns(directory: str) -> int:
    """Return when the ledger of an association was written last, or 0 when there is none."""
    try:
        return os.stat(os.path.join(directory, LEDGER_NAME)).st_mtime_ns
    except FileNotFoundError:
        return 0


def end_for_the_dead(
    directory: str, gateway: str = "", *, files_root: str = "", beat: Callable[[], None] = lambda: None
) -> bool:
    """Complete and end the ledger of an association whose listener is dead. Return False while the listener lives.

    A ledger that is lost is made anew, and one with lines that cannot be read is completed, as far as the entries tell.
    `gateway` is the ULID of the running gateway: what is older was left by another one. `beat` is called now and then,
    since there may be a million entries. Several processes may do this at the same time. Raise OSError.
    """
    ledger = ledger_of(directory, lambda _: False)
    if ledger is None and next(entries(directory), None) is None:
        return True  # it is being removed, or holds nothing of ours
    if ledger and ledger.ended and not ledger.damaged:
        return True
    path = os.path.join(directory, LEDGER_NAME)
    _move_strange_ledger_away(path)
    # A ULID begins with its time.
    how = LISTENER_DIED if os.path.basename(directory) > gateway else GATEWAY_DIED
    try:
        writer = LedgerWriter(path, create=ledger is None)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    try:
        complete_ledger(writer, directory, how, files_root, beat)
    finally:
        writer.close()
    return True


def _move_strange_ledger_away(path: str) -> None:
    """Make room for a ledger where something stands that is no file. A file stays: another process made it just now."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            os.rename(path, f"{path}{_STRANGE}")


def is_finished(directory: str) -> bool:
    """Tell whether nothing waits in the directory of an association: it is being removed, or is gone. Raise OSError."""
    return not any(is_open(name, state) for name, state in contents(directory))


def remove_finished(directory: str) -> bool:
    """Remove the directory of an association of which everything is registered. Return whether it is gone.

    The ledger goes first: without it, what is only marked as registered is known to be left over, whatever moment a
    crash chooses. Nothing goes while an instance or an open metadata value stands in it, and a file that is not ours
    never does. Raise OSError.
    """
    if not is_finished(directory):
        return False
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, LEDGER_NAME))
    return remove_files(directory, lambda name: is_part(name) or _is_registered(name))


def remove_files(directory: str, is_ours: Callable[[str], bool]) -> bool:
    """Remove the files in a directory that are ours, then the directory if nothing is left. Return whether it is gone.

    What is gone already is no error. Raise OSError.
    """
    try:
        with os.scandir(directory) as scan:
            for entry in scan:
                if is_ours(entry.name):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(entry.path)
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _is_registered(file_name: str) -> bool:
    parsed = parse_name(file_name)
    return parsed is not None and not is_open(*parsed)
