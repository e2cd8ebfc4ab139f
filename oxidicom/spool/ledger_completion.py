"""Completing the ledger of an association whose listener is gone: from the entries, which are the truth.

A crash between the file and the ledger leaves a committed entry without a line; a bad block or a hand may cost any
line, or the whole ledger. Each entry without a line gets one here, so that the count of its series is that of its
committed instances. What was still being received is removed: it was never answered with Success.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable

from oxidicom.files.lost_pages import has_lost_pages
from oxidicom.records import Description
from oxidicom.spool.entries import describe_entry, entries
from oxidicom.spool.ledger import LEDGER_NAME, Committed, Ended, LedgerWriter, NumberSet, SeriesOpened, Started
from oxidicom.spool.ledger import lines as ledger_lines
from oxidicom.spool.names import RECEIVED, EntryName, is_part

_MAX_PATHS = 10
"""So many instances of a series are asked what it is; CUBE may have deleted some."""


@dataclasses.dataclass
class _Told:
    """What a ledger knows, with no more memory than its series need."""

    started: bool = False
    ended: bool = False
    numbers: NumberSet = dataclasses.field(default_factory=NumberSet)
    series: set[str] = dataclasses.field(default_factory=set)
    unopened: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    """Series of which only instances are known, with the final paths of a few."""
    is_whole: bool = True
    """Every line can be read: what has none was never answered with Success if it is not whole itself."""


def complete_ledger(writer: LedgerWriter, directory: str, how: str, files_root: str, beat: Callable[[], None]) -> None:
    """Complete and end the ledger in `directory`, which `writer` holds. `beat` is called after each entry.

    `files_root` is where an instance is looked for that alone can tell its series. Raise OSError.
    """
    writer.mend_tail()
    known = _read(os.path.join(directory, LEDGER_NAME))
    if not known.started:
        writer.append(Started(os.path.basename(directory), _calling_ae_title(directory), "", ""))
    for name, state in entries(directory):
        beat()
        if name.number not in known.numbers:
            _complete_entry(writer, directory, name, state, known)
        elif name.series_hash not in known.series:
            _open_series(writer, name.series_hash, os.path.join(directory, name.at(state)), known)
    for series_hash, paths in known.unopened.items():
        for path in paths:
            if series_hash not in known.series:
                _open_series(writer, series_hash, os.path.join(files_root, path), known)
    if not known.ended:
        _remove_parts(directory)
        writer.append(Ended(how))


def _read(path: str) -> _Told:
    known = _Told()
    for line in ledger_lines(path):
        match line:
            case Started():
                known.started = True
            case SeriesOpened():
                known.series.add(line.series_hash)
            case Committed():
                known.numbers.add(line.number)
                if line.series_hash not in known.series:
                    paths = known.unopened.setdefault(line.series_hash, [])
                    if len(paths) < _MAX_PATHS:
                        paths.append(line.path)
            case Ended():
                known.ended = True
            case None:
                known.is_whole = False
    known.is_whole &= known.started
    return known


def _complete_entry(writer: LedgerWriter, directory: str, name: EntryName, state: str, known: _Told) -> None:
    """Enter an entry that the ledger does not know; remove one that was still being received."""
    path = os.path.join(directory, name.at(state))
    with contextlib.suppress(FileNotFoundError):  # taken up at this moment: it has gone on to the next state
        if known.is_whole and state == RECEIVED and not _is_complete(path, name):
            os.unlink(path)
            return
        description = _description(path)
        if description is None:
            return  # not readable: the storage worker sets it aside
        committed = Committed(name.number, name.series_hash, name.size_bytes, description.file.fname)
        writer.append(SeriesOpened(name.series_hash, description.series, description.file.columns), committed)
        known.series.add(name.series_hash)


def _is_complete(path: str, name: EntryName) -> bool:
    return os.path.getsize(path) == name.size_bytes and not has_lost_pages(path)


def _open_series(writer: LedgerWriter, series_hash: str, path: str, known: _Told) -> None:
    """Enter a series of which the line is lost, as one of its instances tells it."""
    with contextlib.suppress(FileNotFoundError):
        description = _description(path)
        if description:
            writer.append(SeriesOpened(series_hash, description.series, description.file.columns))
            known.series.add(series_hash)


def _calling_ae_title(directory: str) -> str:
    for name, state in entries(directory):
        with contextlib.suppress(FileNotFoundError):
            if description := _description(os.path.join(directory, name.at(state))):
                return description.series.calling_ae_title
    return ""


def _description(path: str) -> Description | None:
    try:
        return describe_entry(path)
    except OSError:
        raise
    except Exception:  # noqa: BLE001 (not readable, for whatever reason: who stores it meets it again and says so)
        return None


def _remove_parts(directory: str) -> None:
    with os.scandir(directory) as scan:  # one by one: a list of a million names has 100 MB
        for entry in scan:
            if is_part(entry.name):
                os.unlink(entry.path)
