"""`oxidicom discard`: throws away what was set aside and is hopeless. What it was, and why it was there, is kept.

What it prints has no patient data.
"""

import itertools
import sys
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.filesize import decimal

from oxidicom.errors import OperationError
from oxidicom.operations.left_things import (
    MAX_LINES,
    LeftThing,
    left_thing,
    require_some,
    require_storage,
    tell_of_things,
)
from oxidicom.operations.printing import TextTable, print_json, say
from oxidicom.spool.discard import Waste, discard, waste_of
from oxidicom.spool.gateway_directory import aside_directories
from oxidicom.spool.names import STORED, EntryName
from oxidicom.spool.put_back import sole_use_of
from oxidicom.spool.set_aside import ThingSetAside
from oxidicom.wording import counted


class Discard(msgspec.Struct, frozen=True):
    """What is wanted."""

    association: str | None = None
    """None: everything."""
    yes: bool = False
    """Do not ask."""
    dry_run: bool = False
    as_json: bool = False


class DiscardedGroup(msgspec.Struct, frozen=True):
    """Files of one association, of one kind, that were set aside for the same reason."""

    association: str
    kind: str
    files: int
    size_bytes: int
    reason: str


class Report(msgspec.Struct, frozen=True):
    """The JSON form."""

    dry_run: bool
    discarded: list[DiscardedGroup]
    left: list[LeftThing]


def run_discard(files_root: str, wanted: Discard, console: Console) -> int:
    """Print what is set aside, ask, and throw it away. Return the exit status: 1 when anything of it is left.

    Raise OperationError when there is no storage or nothing of the kind, or nobody to be asked, or OSError.
    """
    require_storage(files_root)
    asides = aside_directories(files_root)
    wastes = [waste for aside in asides for waste in waste_of(files_root, aside, wanted.association)]
    require_some(wanted.association, wastes)
    if not wanted.as_json:
        _print(wastes, console)
    is_agreed = _agree(wastes, wanted)
    if is_agreed and not wanted.dry_run:
        wastes = [_throw_away(files_root, waste) for waste in wastes]
    if wanted.as_json:
        print_json(_report(wastes, wanted))
    else:
        _print_end(wastes, wanted, is_agreed, console)
    return 0 if is_agreed and not any(waste.left for waste in wastes) else 1


def _agree(wastes: Sequence[Waste], wanted: Discard) -> bool:
    """Tell whether it is to be done. Raise OperationError when there is nobody to be asked."""
    files = sum(len(waste.files) for waste in wastes)
    if wanted.yes or wanted.dry_run or not files:
        return True
    if wanted.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise OperationError(f"{counted(files, 'file')} would be thrown away for good: say --yes, or --dry-run to look")
    print(f"Throw away {counted(files, 'file')} for good? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _throw_away(files_root: str, agreed: Waste) -> Waste:
    """Throw away what was agreed to and is still there. Return what that was."""
    if not agreed.files:
        return agreed
    names = {one.file_name for one in agreed.files}
    with sole_use_of(agreed.aside):
        for now in waste_of(files_root, agreed.aside, agreed.association):
            waste = now._replace(files=[one for one in now.files if one.file_name in names])
            discard(waste)
            return waste
    return agreed._replace(files=[])


def _groups_of(wastes: Sequence[Waste]) -> list[DiscardedGroup]:
    found = []
    for waste in wastes:
        for (kind, reason), group in itertools.groupby(sorted(waste.files, key=_group_of), key=_group_of):
            sizes = [one.size_bytes for one in group]
            found.append(DiscardedGroup(waste.association, kind, len(sizes), sum(sizes), reason))
    return found


def _group_of(one: ThingSetAside) -> tuple[str, str]:
    return one.kind, one.reason


def _report(wastes: Sequence[Waste], wanted: Discard) -> Report:
    left = [left_thing(one, why) for waste in wastes for one, why in waste.left]
    return Report(wanted.dry_run, _groups_of(wastes), left)


def _print(wastes: Sequence[Waste], console: Console) -> None:
    groups = _groups_of(wastes)
    if groups:
        table = TextTable(
            "oxidicom discard", "association", "what", "size", "why it was set aside", is_first_whole=True
        )
        for one in groups[:MAX_LINES]:
            table.add(one.association, f"{one.kind}: {one.files}", decimal(one.size_bytes), one.reason)
        table.print(console)
        if len(groups) > MAX_LINES:
            say(console, f"… and {len(groups) - MAX_LINES} more groups; --dry-run --json has all")
    tell_of_things("left", [pair for waste in wastes for pair in waste.left], console)


def _print_end(wastes: Sequence[Waste], wanted: Discard, is_agreed: bool, console: Console) -> None:
    files = [one for waste in wastes for one in waste.files]
    if not files:
        say(console, "Nothing was thrown away." if any(waste.left for waste in wastes) else "Nothing is set aside.")
        return
    if not is_agreed:
        say(console, "Nothing was thrown away.")
        return
    amount = f"{counted(len(files), 'file')}, {decimal(sum(one.size_bytes for one in files))},"
    if wanted.dry_run:
        say(console, f"{amount} would be thrown away.")
        return
    say(console, f"{amount} thrown away. The JSON files in .oxidicom/set-aside say what it was.")
    stored = sum(isinstance(one.name, EntryName) and one.file_name.endswith(f".{STORED}") for one in files)
    if stored:
        say(
            console,
            f"{counted(stored, 'instance')} of it had been stored: the file below SERVICES/PACS is left there, without "
            "a row; `oxidicom reconcile` lists such files.",
        )
