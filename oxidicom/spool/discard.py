"""Throwing away what was set aside and is hopeless: its file goes, the JSON file that says why it was there stays.

The law of this file: nothing is touched outside the directory of what was set aside, and nothing in it that the
gateway did not put there.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from oxidicom.files.directories import sync_directory
from oxidicom.paths.private_root import is_ulid
from oxidicom.spool.ledger import LEDGER_NAME
from oxidicom.spool.put_back import is_in_a_spool
from oxidicom.spool.set_aside import ThingSetAside, associations_set_aside, note_discarded, set_aside_of


class Waste(NamedTuple):
    """What may be thrown away of one association, and what is left and why."""

    aside: str
    association: str
    files: list[ThingSetAside]
    left: list[tuple[ThingSetAside, str]]


def waste_of(files_root: str, aside: str, association: str | None) -> Iterator[Waste]:
    """Yield what may be thrown away of everything in `aside`, or of one association. Raise OSError."""
    for one in associations_set_aside(aside):
        if association in (None, one):
            is_unfinished = is_ulid(one) and is_in_a_spool(files_root, one)  # before the look at its files, not after
            waste = Waste(aside, one, [], [])
            for thing in sorted(set_aside_of(aside, one), key=lambda thing: thing.file_name):
                if reason := _why_left(thing, is_unfinished):
                    waste.left.append((thing, reason))
                else:
                    waste.files.append(thing)
            if waste.files or waste.left:
                yield waste


def _why_left(thing: ThingSetAside, is_unfinished: bool) -> str:
    if not is_ulid(thing.association):
        return "its directory is not that of an association"
    if is_unfinished:
        return "its association is not finished in the spool of a gateway: try again later"
    if thing.name is None and thing.file_name != LEDGER_NAME:
        return "it is not a file of the gateway"
    return ""


def discard(waste: Waste) -> None:
    """Throw away the files of `waste`, inside `sole_use_of`. Raise OSError.

    Each is noted before it goes: whatever moment a crash chooses, what is gone is told.
    """
    directory = os.path.join(waste.aside, waste.association)
    for one in waste.files:
        note_discarded(directory, one.file_name, one.size_bytes)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, one.file_name))
    sync_directory(directory)
