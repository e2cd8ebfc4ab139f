"""The ledger of an association: an append-only file of JSON lines that outlives every process.

Whoever writes it holds an exclusive `flock` on it: its listener while the association lasts, so that a free lock means
that this is over or its listener dead; then, for a moment, whoever completes it for the dead. A line is one `write`, so
that after the death of a process only the last line can be torn; a torn line is an instance that was never answered
with Success.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator

import msgspec

from oxidicom.records import Series

LEDGER_NAME = "ledger.jsonl"


class Started(msgspec.Struct, frozen=True, tag_field="event", tag="started"):
    """The association began."""

    association: str
    calling_ae_title: str
    called_ae_title: str
    peer: str


class SeriesOpened(msgspec.Struct, frozen=True, tag_field="event", tag="series"):
    """The first instance of a series is about to be noted."""

    series_hash: str
    series: Series


class Committed(msgspec.Struct, frozen=True, tag_field="event", tag="committed"):
    """An instance is complete in the spool."""

    number: int
    series_hash: str
    size_bytes: int
    path: str


class Ended(msgspec.Struct, frozen=True, tag_field="event", tag="ended"):
    """The association is over; `how` says how, in a few words."""

    how: str
    refused: int | None = None
    """Number of refused instances; None when the listener died and nobody knows."""


Line = Started | SeriesOpened | Committed | Ended

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class LedgerWriter:
    """The writing end, held by the one process that keeps the association."""

    def __init__(self, path: str, *, create: bool = False) -> None:
        """Open the ledger at `path`, or `create` it, and lock it.

        Raise BlockingIOError when somebody else keeps it, or OSError.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        self._descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise
        self._is_torn = False
        """A part of a line is there that could not be taken back."""

    def append(self, *lines: Line) -> None:
        """Append `lines` in one write. Raise OSError when the disk does not take them: then none of them counts."""
        data = _encoder.encode_lines(lines)
        if self._is_torn:
            data = b"\n" + data
        written = os.write(self._descriptor, data)
        if written < len(data):
            self._is_torn = True
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            self._is_torn = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # what a short write means
        self._is_torn = False

    def mend_tail(self) -> None:
        """Cut off a line that a crash tore, so that the next line begins at the start of one."""
        data = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._descriptor, whole)

    def close(self) -> None:
        """Close and unlock."""
        os.close(self._descriptor)


class Ledger(msgspec.Struct):
    """What a ledger says, read at one moment."""

    started: Started | None = None
    series: dict[str, Series] = {}
    """By series hash, in the order of their first instances."""
    committed: dict[str, int] = {}
    """Number of committed instances by series hash."""
    ended: Ended | None = None


def read_ledger(path: str) -> Ledger:
    """Read the ledger at `path`; lines that a crash tore are passed over. Raise OSError when it is not there."""
    ledger = Ledger()
    for line in _lines(path):
        match line:
            case Started():
                ledger.started = line
            case SeriesOpened():
                ledger.series.setdefault(line.series_hash, line.series)
            case Committed():
                ledger.committed[line.series_hash] = ledger.committed.get(line.series_hash, 0) + 1
            case Ended():
                ledger.ended = line
    return ledger


def read_started(path: str) -> Started | None:
    """Return the first line of the ledger at `path`. Raise OSError."""
    line = next(_lines(path), None)
    return line if isinstance(line, Started) else None


def committed_numbers(path: str) -> set[int]:
    """Return the numbers of all instances that the ledger at `path` has as committed. Raise OSError."""
    return {number for number, _ in committed_paths(path)}


def committed_paths(path: str) -> Iterator[tuple[int, str]]:
    """Yield number and final path of all instances that the ledger at `path` has as committed. Raise OSError."""
    return ((line.number, line.path) for line in _lines(path) if isinstance(line, Committed))


def _lines(path: str) -> Iterator[Line]:
    """Yield line by line, for there may be 100,000."""
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):  # else it is torn
                with contextlib.suppress(msgspec.DecodeError):  # never seen; one bad line must not hide the others
                    yield _decoder.decode(line)
