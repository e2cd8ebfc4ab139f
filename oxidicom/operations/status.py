"""`oxidicom status`: what waits, since when, what was set aside, and why. It only reads; a gateway may run or not."""

import datetime
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from oxidicom.errors import OperationError
from oxidicom.operations.database import DatabaseState, state_of_database
from oxidicom.settings import Settings
from oxidicom.spool.backlog import Amount, AssociationBacklog, Backlog, GatewayBacklog, backlog_of
from oxidicom.spool.gateway_directory import aside_directories
from oxidicom.spool.set_aside import associations_set_aside, set_aside_of
from oxidicom.storage.reserve import Reserve

_MAX_ROWS = 20
"""In a table; the JSON form has all."""


class FileSetAside(msgspec.Struct):
    """One file that was set aside. Its final path holds patient data and is not shown."""

    association: str
    file_name: str
    kind: str
    size_bytes: int
    since: datetime.datetime
    reason: str


class Space(msgspec.Struct):
    """The room on the storage."""

    free_bytes: int
    total_bytes: int
    reserve_bytes: int
    """Below so many free bytes instances are refused."""


class GatewayStatus(msgspec.Struct):
    """Everything that the command shows."""

    at: datetime.datetime
    files_root: str
    space: Space
    database: DatabaseState
    gateways: list[GatewayBacklog]
    set_aside: list[FileSetAside]

    @property
    def is_good(self) -> bool:
        """Nothing is set aside, and the database can be reached."""
        return self.database.reachable and not self.set_aside


def run_status(settings: Settings, as_json: bool, console: Console) -> int:
    """Print the status, as tables or as JSON. Return the exit status. Raise OperationError or OSError."""
    status = _look(settings)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(status), indent=2).decode())
    else:
        _print(status, console)
    return 0 if status.is_good else 1


def _look(settings: Settings) -> GatewayStatus:
    root = settings.files_root
    if not os.path.isdir(root):
        raise OperationError(f"{root} is no directory: mount CUBE's storage there, or set CHRIS_FILES_ROOT")
    space = os.statvfs(root)
    return GatewayStatus(
        datetime.datetime.now(datetime.UTC),
        root,
        Space(
            space.f_bavail * space.f_frsize,
            space.f_blocks * space.f_frsize,
            Reserve(root, settings.storage_reserve_bytes).bytes_of(space),
        ),
        state_of_database(settings),
        backlog_of(root),
        [one for aside in aside_directories(root) for one in _aside(aside)],
    )


def _aside(directory: str) -> Iterator[FileSetAside]:
    """Yield what was set aside, the oldest associations first."""
    for association in associations_set_aside(directory):
        for one in sorted(set_aside_of(directory, association), key=lambda one: one.file_name):
            shown = os.fsencode(one.file_name).decode("utf-8", "backslashreplace")
            yield FileSetAside(association, shown, one.kind, one.size_bytes, one.since, one.reason)


def _print(status: GatewayStatus, console: Console) -> None:
    database, space = status.database, status.space
    usable = f"reachable, schema generation {database.generation}" if database.reachable else database.reason
    console.print(f"database  {database.name}: {usable}", highlight=False, soft_wrap=True)
    console.print(
        f"storage   {decimal(space.free_bytes)} free of {decimal(space.total_bytes)} below {status.files_root} "
        f"(reserve {decimal(space.reserve_bytes)})",
        highlight=False,
        soft_wrap=True,
    )
    _print_gateways(status.gateways, status.at, console)
    _print_associations([one for gateway in status.gateways for one in gateway.associations], status.at, console)
    _print_set_aside(status.set_aside, status.at, console)


def _print_gateways(gateways: Sequence[GatewayBacklog], now: datetime.datetime, console: Console) -> None:
    if not gateways:
        console.print("gateways  none is running, and nothing waits")
        return
    table = _table("gateways", "gateway", "state", "since", "what waits")
    for gateway in gateways:
        state = "running" if gateway.running else "gone: the next to start or to look around takes over"
        table.add_row(gateway.gateway, state, _moment(gateway.since), _what_waits(gateway.waiting, now))
    console.print(table)


def _print_associations(unfinished: list[AssociationBacklog], now: datetime.datetime, console: Console) -> None:
    if not unfinished:
        return
    unfinished.sort(key=lambda one: one.association)
    table = _table(_title("associations in work", len(unfinished)), "association", "from", "since", "what waits")
    for one in unfinished[:_MAX_ROWS]:
        waits = _what_waits(one.waiting, now)
        table.add_row(one.association, escape(one.calling_ae_title), _moment(one.since), waits)
    console.print(table)


def _print_set_aside(aside: Sequence[FileSetAside], now: datetime.datetime, console: Console) -> None:
    """Print what was set aside, one line for all of an association that have the same reason."""
    if not aside:
        console.print("set aside nothing")
        return
    groups = [(key, list(group)) for key, group in itertools.groupby(sorted(aside, key=_group_of), key=_group_of)]
    table = _table(_title("set aside", len(groups)), "association", "what", "since", "why")
    for (association, kind, reason), group in groups[:_MAX_ROWS]:
        amount = _sum(Amount(1, one.size_bytes, one.since) for one in group)
        table.add_row(association, f"{kind}: {_shown(amount, now)}", _moment(amount.oldest), escape(reason))
    console.print(table)
    console.print("`oxidicom retry` puts them back once the cause is fixed.", highlight=False)


def _group_of(one: FileSetAside) -> tuple[str, str, str]:
    return one.association, one.kind, one.reason


def _sum(amounts: Iterable[Amount]) -> Amount:
    total = Amount()
    for amount in amounts:
        total.add(amount)
    return total


def _table(title: str, first: str, *others: str) -> Table:
    """Return a table whose first column is never cut: the ULIDs in it are there to be copied."""
    table = Table(title=title)
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other)
    return table


def _title(what: str, count: int) -> str:
    return what if count <= _MAX_ROWS else f"{what}: the oldest {_MAX_ROWS} of {count}; --json has all"


def _what_waits(waiting: Backlog, now: datetime.datetime) -> str:
    steps = {
        "being received": waiting.receiving,
        "committed, not stored": waiting.committed,
        "stored, not registered": waiting.stored,
        "metadata": waiting.metadata,
    }
    return "\n".join(f"{step}: {_shown(amount, now)}" for step, amount in steps.items() if amount.count) or "nothing"


def _shown(amount: Amount, now: datetime.datetime) -> str:
    size = f", {decimal(amount.size_bytes)}" if amount.size_bytes else ""
    age = f", oldest {_age(now - amount.oldest)}" if amount.oldest else ""
    return f"{amount.count}{size}{age}"


def _age(age: datetime.timedelta) -> str:
    """Return the two largest units of an age."""
    seconds = max(0, int(age.total_seconds()))
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    first = next((at for at, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count or first == 3)


def _moment(moment: datetime.datetime | None) -> str:
    """Return a moment in local time."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" if moment else "unknown"
