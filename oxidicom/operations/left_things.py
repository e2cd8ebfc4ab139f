"""What a command leaves set aside, or finds there again, and why."""

from collections.abc import Sequence

import msgspec
from rich.console import Console

from oxidicom.errors import OperationError
from oxidicom.logs import printable
from oxidicom.operations.printing import say
from oxidicom.spool.set_aside import ThingSetAside
from oxidicom.storage.root import is_directory

MAX_LINES = 20
"""For people; the JSON form has all."""


class LeftThing(msgspec.Struct, frozen=True):
    """One file in the JSON form."""

    association: str
    file_name: str
    reason: str


def left_thing(one: ThingSetAside, reason: str) -> LeftThing:
    """Return a file as programs are told of it."""
    return LeftThing(one.association, printable(one.shown_name), reason)


def tell_of_things(what: str, pairs: Sequence[tuple[ThingSetAside, str]], console: Console) -> None:
    """Print a line for each file and its reason; `what` says what becomes of them. There may be very many."""
    for one, reason in pairs[:MAX_LINES]:
        say(console, f"{what}: {one.association}/{one.shown_name}: {reason}")
    if len(pairs) > MAX_LINES:
        say(console, f"{what}: … and {len(pairs) - MAX_LINES} more; --json has all")


def require_storage(files_root: str) -> None:
    """Raise OperationError where there is no storage: what is set aside may be on one that is not mounted."""
    if not is_directory(files_root):
        raise OperationError(f"{files_root} is not a directory: mount CUBE's storage there, or set CHRIS_FILES_ROOT")


def require_some(association: str | None, found: Sequence[object]) -> None:
    """Raise OperationError when one association was meant and nothing was found of it."""
    if association is not None and not found:
        raise OperationError(f"nothing of an association {association} is set aside; `oxidicom status` lists what is")
