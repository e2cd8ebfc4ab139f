"""The names in the directory of an association: they alone say how far each thing has come.

    000001.part                                        being received
    000001-{series hash}-{bytes}.received              committed, if it has so many bytes; not yet at its final path
    000001-{series hash}-{bytes}.stored                at its final path and synced; its row is not yet committed
    {series hash}-{KEY}={VALUE}.due                    a metadata value is decided; its file is not yet synced
    {series hash}-{KEY}={VALUE}.stored                 its file is synced; its row is not yet committed
    {series hash}-{KEY}={VALUE}.registered             its row is committed
    {series hash}-{KEY}={VALUE}.told                   who follows the series was told that it is done (LONK)

Every step is one `rename` (or the last byte of a file that was created under its committed name), so a crash leaves a
thing at one step or at the next, never between.
"""

import re
from typing import NamedTuple

PART = "part"
RECEIVED = "received"
DUE = "due"
STORED = "stored"
REGISTERED = "registered"
TOLD = "told"

_ENTRY = re.compile(r"(\d{6,})-([0-9a-f]{20})-(\d+)\.(received|stored)", re.ASCII)
_VALUE = re.compile(r"([0-9a-f]{20})-(\w+)=(\w+)\.(due|stored|registered|told)", re.ASCII)
_PART = re.compile(r"\d{6,}\.part", re.ASCII)


class EntryName(NamedTuple):
    """An instance in the spool."""

    number: int
    """Counts the instances of its association from 1."""
    series_hash: str
    size_bytes: int

    def at(self, state: str) -> str:
        """Return its file name at `state`."""
        return f"{self.number:06}-{self.series_hash}-{self.size_bytes}.{state}"


class MetadataValue(NamedTuple):
    """One "Oxidicom Custom Metadata" value of a series in the spool."""

    series_hash: str
    key: str
    text: str

    def at(self, state: str) -> str:
        """Return its file name at `state`."""
        return f"{self.series_hash}-{self.key}={self.text}.{state}"


def in_order(file_name: str) -> tuple[int, str]:
    """Sort names by this: instances by their number, which has more digits after 999,999, then metadata values."""
    return file_name.find("-"), file_name


def is_part(file_name: str) -> bool:
    """Tell whether a file name is that of an instance that is being received."""
    return _PART.fullmatch(file_name) is not None


def part_name(number: int) -> str:
    """Return the name of an instance that is being received."""
    return f"{number:06}.{PART}"


def parse_name(file_name: str) -> tuple[EntryName | MetadataValue, str] | None:
    """Parse a file name into what it names and its state, or return None for any other name."""
    if match := _ENTRY.fullmatch(file_name):
        number, series_hash, size_bytes, state = match.groups()
        return EntryName(int(number), series_hash, int(size_bytes)), state
    if match := _VALUE.fullmatch(file_name):
        series_hash, key, value, state = match.groups()
        return MetadataValue(series_hash, key, value), state
    return None
