"""What stands in the directory of an association: its entries and metadata values, and what an entry says of itself."""

import os
from collections.abc import Iterator

from oxidicom.dataset.description import describe
from oxidicom.dataset.header import read_header_of_file
from oxidicom.records import Description
from oxidicom.spool.ledger import LEDGER_NAME
from oxidicom.spool.names import EntryName, MetadataValue, is_part, parse_name


def contents(directory: str) -> Iterator[tuple[EntryName | MetadataValue, str]]:
    """Yield what stands in the directory of an association, with the state of each; nothing when it is gone.

    In no order and one at a time, for there may be a million. What is renamed meanwhile may be missed (readdir(3)).
    Only regular files count, whatever their names are.
    """
    try:
        scan = os.scandir(directory)
    except FileNotFoundError:
        return
    with scan:
        for entry in scan:
            if (parsed := parse_name(entry.name)) and entry.is_file(follow_symlinks=False):
                yield parsed


def entries(directory: str) -> Iterator[tuple[EntryName, str]]:
    """Yield the instances in the directory of an association, as `contents` does."""
    for name, state in contents(directory):
        if isinstance(name, EntryName):
            yield name, state


def is_stranger(entry: "os.DirEntry[str]") -> bool:
    """Tell whether what stands in the directory of an association is not ours: it is left alone. Raise OSError."""
    is_ours = parse_name(entry.name) or is_part(entry.name) or entry.name == LEDGER_NAME
    return not (is_ours and entry.is_file(follow_symlinks=False))


def describe_entry(path: str) -> Description:
    """Read what the listener knew about an entry from the entry itself. Raise DatasetError or OSError."""
    meta, header = read_header_of_file(path)
    return describe(header, meta.calling_ae_title)
