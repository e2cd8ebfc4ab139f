"""The ledger of an association: an append-only file of JSON lines that outlives every process.

Whoever writes it holds an exclusive `flock` on it: its listener while the association lasts, so that a free lock means
that this is over or its listener dead; then, for a moment, whoever completes it for the dead. A line is one `write`, so
that after the death of a process only the last line can be torn; a torn line is an instance that was never answered
with Success. A line that cannot be read, whatever became of it, costs that line: the others count.
"""

import dataclasses
import errno
import fcntl
import os
from collections.abc import Callable, Iterator

import msgspec

from oxidicom.files.foreign_json import NOT_READABLE
from oxidicom.files.regular_file import open_regular
from oxidicom.records import Series, SharedColumns

LEDGER_NAME = "ledger.jsonl"
_MAX_LINE_BYTES = 64 * 1024
"""A line has less than 10 KB; what is longer was not written by a ledger's writer."""
_BITMAP_BYTES = 4096
_BITMAP_BYTES_PER_NUMBER = 8
"""So large may the bitmap of a `NumberSet` be."""
_OPENED_START = b'{"event":"series"'
"""So begins a line of SeriesOpened, and nothing else: in a value the quotes would be escaped."""
_BLANK = b"\n"
"""What comes before a line after a write that failed, in case it left a part of one: by itself it is no line."""
_BLOCK_BYTES = 1 << 20


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
    columns: SharedColumns | None = None
    """What that instance says of it; None: it was noted by version 4.0, or for what was put back."""


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


class NumberSet:
    """Numbers of instances, at the price of a bit each where they are dense: an association may have a million.

    A number far above the count of them, as no listener gives many, is kept by itself: a ledger that somebody made up
    costs memory in proportion to its lines.
    """

    def __init__(self) -> None:
        self._count = 0
        self._bits = bytearray()
        self._high: set[int] = set()

    def add(self, number: int) -> None:
        """Take `number` in."""
        self._count += 1
        at = number >> 3
        if at >= len(self._bits):
            if at >= _BITMAP_BYTES + _BITMAP_BYTES_PER_NUMBER * self._count:
                self._high.add(number)
                return
            self._bits.extend(bytes(at + 1 - len(self._bits)))
        self._bits[at] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        at = number >> 3
        return (at < len(self._bits) and bool(self._bits[at] & 1 << (number & 7))) or number in self._high


class LedgerWriter:
    """The writing end, held by the one process that keeps the association."""

    def __init__(self, path: str, *, create: bool = False) -> None:
        """Open the ledger at `path`, or `create` it, and lock it.

        Raise BlockingIOError when somebody else keeps it, or OSError.
        """
        self._descriptor = open_regular(path, os.O_RDWR | os.O_APPEND | (os.O_CREAT if create else 0))
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise
        self._is_torn = False
        """A part of a line may be there that could not be taken back."""

    def append(self, *lines: Line) -> None:
        """Append `lines` in one write. Raise OSError when the disk does not take them: then none of them counts."""
        data = _encoder.encode_lines(lines)
        if self._is_torn:
            data = _BLANK + data
        self._is_torn = True  # a write may fail and leave a part of it all the same
        written = os.write(self._descriptor, data)
        if written < len(data):
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            self._is_torn = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # what a short write means
        self._is_torn = False

    def mend_tail(self) -> None:
        """Cut off a line that a crash tore, so that the next line begins at the start of one."""
        size = os.fstat(self._descriptor).st_size
        start = max(0, size - _MAX_LINE_BYTES)
        tail = os.pread(self._descriptor, size - start, start)
        whole = start + tail.rfind(b"\n") + 1
        if whole == start > 0:
            self._is_torn = True  # no line of ours is so long: it stays, as one that cannot be read
        elif whole < size:
            os.ftruncate(self._descriptor, whole)

    def close(self) -> None:
        """Close and unlock."""
        os.close(self._descriptor)


@dataclasses.dataclass
class Ledger:
    """What a ledger says, read at one moment."""

    started: Started | None = None
    series: dict[str, Series] = dataclasses.field(default_factory=dict)
    """By series hash, in the order of their first instances."""
    columns: dict[str, SharedColumns] = dataclasses.field(default_factory=dict)
    """By series hash: what the first instance says, where it was noted."""
    committed: dict[str, int] = dataclasses.field(default_factory=dict)
    """Number of committed instances by series hash."""
    ended: Ended | None = None
    damaged: int = 0
    """Lines that cannot be read."""


def read_ledger(path: str, wanted: Callable[[str], bool] | None = None) -> Ledger:
    """Read the ledger at `path`; with `wanted` only the series of those hashes. Raise OSError when it is not there."""
    ledger = Ledger()
    for line in lines(path):
        match line:
            case Started():
                ledger.started = line
            case SeriesOpened() if wanted is None or wanted(line.series_hash):
                ledger.series.setdefault(line.series_hash, line.series)
                if line.columns:
                    ledger.columns.setdefault(line.series_hash, line.columns)
            case Committed() if wanted is None or wanted(line.series_hash):
                ledger.committed[line.series_hash] = ledger.committed.get(line.series_hash, 0) + 1
            case Ended():
                ledger.ended = line
            case None:
                ledger.damaged += 1
    return ledger


@dataclasses.dataclass
class Counts:
    """What a ledger says in the end, without the series themselves."""

    started: Started | None = None
    bytes: int = 0
    """Of all committed instances."""
    committed: dict[str, int] = dataclasses.field(default_factory=dict)
    """Number of committed instances by series hash."""
    opened: dict[str, str] = dataclasses.field(default_factory=dict)
    """SeriesInstanceUID by the hash of each series that is known; of one that is not, because its line is lost, nothing
    can be said."""
    ended: Ended | None = None
    repeated: dict[str, int] = dataclasses.field(default_factory=dict)
    """How many of the committed instances came again, by series hash, where that was looked for (see `repeated`)."""

    @property
    def calling_ae_title(self) -> str:
        """Empty: nobody knows."""
        return self.started.calling_ae_title if self.started else ""


def read_counts(path: str) -> Counts:
    """Read the counts of the ledger at `path`. Raise OSError when it is not there."""
    counts = Counts()
    for line in lines(path):
        match line:
            case Started():
                counts.started = line
            case SeriesOpened():
                counts.opened.setdefault(line.series_hash, line.series.series_instance_uid)
            case Committed():
                counts.bytes += line.size_bytes
                counts.committed[line.series_hash] = counts.committed.get(line.series_hash, 0) + 1
            case Ended():
                counts.ended = line
    return counts


def read_started(path: str) -> Started | None:
    """Return the first line of the ledger at `path`. Raise OSError."""
    line = next(lines(path), None)
    return line if isinstance(line, Started) else None


def committed_numbers(path: str) -> NumberSet:
    """Return the numbers of all instances that the ledger at `path` has as committed. Raise OSError."""
    numbers = NumberSet()
    for line in committed_lines(path):
        numbers.add(line.number)
    return numbers


def committed_lines(path: str) -> Iterator[Committed]:
    """Yield what the ledger at `path` says of each committed instance. Raise OSError."""
    return (line for line in lines(path) if isinstance(line, Committed))


def opened_lines(path: str) -> Iterator[SeriesOpened | None]:
    """Yield what the ledger at `path` says of each series, and None after each MiB. Raise OSError.

    What it says of instances, which may be a million lines, is passed over: that takes a third of the time of `lines`.
    """
    rest = b""
    with open(path, "rb", opener=open_regular) as file:
        while block := file.read(_BLOCK_BYTES):
            head, newline, tail = block.rpartition(b"\n")
            yield from _opened_in(b"\n" + rest + head + newline)
            rest = tail if newline else (rest + tail)[-_MAX_LINE_BYTES:]
            yield None


def _opened_in(data: bytes) -> Iterator[SeriesOpened]:
    """Yield the series that lines tell of. Each begins behind a newline; an end without one is passed over."""
    at = 0
    while (at := data.find(b"\n" + _OPENED_START, at)) >= 0:
        end = data.find(b"\n", at + 1)
        if end < 0:
            return
        if isinstance(line := _decode(data[at + 1 : end]), SeriesOpened):
            yield line
        at = end


def lines(path: str) -> Iterator[Line | None]:
    """Yield line by line, for there may be a million; None for one that cannot be read. The torn end is no line."""
    with open(path, "rb", opener=open_regular) as file:
        while data := file.readline(_MAX_LINE_BYTES):
            if data.endswith(b"\n") and data != _BLANK:
                yield _decode(data)


def lines_after(path: str, offset: int, max_bytes: int) -> tuple[list[Line | None], int]:
    """Return the lines behind `offset`, of `max_bytes` at most, and where to go on; None for one that cannot be read.

    For who follows a ledger that is being written: a line that is not whole comes the next time. Raise OSError.
    """
    with open(path, "rb", opener=open_regular) as file:
        file.seek(offset)
        whole, newline, rest = file.read(max_bytes).rpartition(b"\n")
    if not newline:
        is_too_long = len(rest) == max_bytes  # no line of ours: it is passed over
        return [], offset + len(rest) if is_too_long else offset
    return [_decode(line) for line in whole.split(b"\n") if line], offset + len(whole) + 1


def _decode(data: bytes) -> Line | None:
    try:
        line = _decoder.decode(data)
    except NOT_READABLE:
        return None
    return None if isinstance(line, Committed) and line.number < 0 else line
