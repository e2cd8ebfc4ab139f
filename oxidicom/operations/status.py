"""`oxidicom status`: the judgement, what waits, since when, what was set aside, and why.

It only reads; a gateway may run or not. What a running gateway knows of itself it has published on the storage; the
rest is looked at here.
"""

import datetime
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from oxidicom.judgement.condition import Condition, Room
from oxidicom.judgement.judgement import Judgement, Level, Reason
from oxidicom.judgement.rules import MAX_AGE_SECONDS, of_gateway, of_room, of_set_aside, of_waiting
from oxidicom.operations.database import DatabaseState, state_of_database
from oxidicom.paths.private_root import PRIVATE_ROOT
from oxidicom.settings import EMBEDDED, Settings
from oxidicom.spool.backlog import Amount, AssociationBacklog, Backlog, GatewayBacklog, backlog_of
from oxidicom.spool.gateway_directory import aside_directories
from oxidicom.spool.published import MAX_SILENT_SECONDS, published
from oxidicom.spool.set_aside import associations_set_aside, set_aside_of
from oxidicom.storage.reserve import room_of
from oxidicom.wording import counted, duration

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


class RunningGateway(msgspec.Struct):
    """What a running gateway says of itself."""

    gateway: str
    condition: Condition | None
    """None: nothing that can be read."""


class GatewayStatus(msgspec.Struct, kw_only=True):
    """Everything that the command shows."""

    judgement: Judgement
    at: datetime.datetime
    files_root: str
    space: Room | None
    """None: the storage is not there."""
    database: DatabaseState
    running: list[RunningGateway]
    gateways: list[GatewayBacklog]
    set_aside: list[FileSetAside]


class Expectations(msgspec.Struct, frozen=True):
    """What the operator takes for granted."""

    max_age_seconds: float = MAX_AGE_SECONDS
    """What waits for longer is critical."""
    running: bool = False
    """A gateway runs on this storage."""


def run_status(settings: Settings, expectations: Expectations, as_json: bool, console: Console) -> int:
    """Print the status, as tables or as JSON. Return the exit status: 0 OK, 1 warning, 2 critical. Raise OSError."""
    status = _look(settings, expectations)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(status), indent=2).decode())
    else:
        _print(status, console)
    return status.judgement.level.exit_status


def _look(settings: Settings, expectations: Expectations) -> GatewayStatus:
    root, now = settings.files_root, datetime.datetime.now(datetime.UTC)
    database = state_of_database(settings)
    if not os.path.isdir(root):
        reason = Reason(
            Level.CRITICAL,
            "storage",
            f"{root} is no directory",
            "mount CUBE's storage there, or set CHRIS_FILES_ROOT",
        )
        return GatewayStatus(
            judgement=Judgement.of([reason]),
            at=now,
            files_root=root,
            space=None,
            database=database,
            running=[],
            gateways=[],
            set_aside=[],
        )
    space = room_of(root, settings.storage_reserve_bytes)
    gateways = backlog_of(root)
    aside = [one for directory in aside_directories(root) for one in _aside(directory)]
    running = [RunningGateway(one.gateway, _published(root, one.gateway)) for one in gateways if one.running]
    reasons = [
        *_of_running(running, now, expectations),
        *_of_absence(running, gateways, database, expectations),
        *of_room(space),
        *_of_work(gateways, now, expectations),
        *of_set_aside(len(aside)),
    ]
    return GatewayStatus(
        judgement=Judgement.of(reasons),
        at=now,
        files_root=root,
        space=space,
        database=database,
        running=running,
        gateways=gateways,
        set_aside=aside,
    )


def _published(root: str, gateway: str) -> Condition | None:
    try:
        return published(os.path.join(root, PRIVATE_ROOT, gateway))
    except FileNotFoundError:
        return None  # it ended while we looked, or is of a version that has no such file


def _of_running(
    running: Sequence[RunningGateway], now: datetime.datetime, expectations: Expectations
) -> Iterator[Reason]:
    """What each running gateway says of itself, as long as it says something."""
    for one in running:
        if one.condition is None:
            yield Reason(
                Level.WARNING, "gateway", f"the gateway {one.gateway} says nothing of itself: it starts, or is older"
            )
            continue
        silent_seconds = (now - one.condition.at).total_seconds()
        if silent_seconds > MAX_SILENT_SECONDS:
            yield Reason(
                Level.CRITICAL,
                "gateway",
                f"the gateway on {one.condition.host} has said nothing of itself for {duration(silent_seconds)}",
                "see whether its storage answers, and its log",
            )
        of_one = of_gateway(one.condition, expectations.max_age_seconds)
        yield from (_located(reason, one.condition, len(running)) for reason in of_one)


def _located(reason: Reason, condition: Condition, gateways: int) -> Reason:
    """Name the gateway, where there are several."""
    if gateways == 1:
        return reason
    return msgspec.structs.replace(reason, sentence=f"{condition.host}, port {condition.port}: {reason.sentence}")


def _of_absence(
    running: Sequence[RunningGateway],
    gateways: Sequence[GatewayBacklog],
    database: DatabaseState,
    expectations: Expectations,
) -> Iterator[Reason]:
    """Without a gateway nobody receives, and nobody else knows how the database is."""
    if running:
        return
    waits = sum(amount.count for amount in _undone(gateways))
    if waits or expectations.running:
        sentence = (
            f"no gateway runs on this storage, and {counted(waits, 'thing')} to be done" if waits else "no gateway runs"
        )
        yield Reason(Level.CRITICAL, "gateway", sentence, "start one")
    else:
        yield Reason(Level.WARNING, "gateway", "no gateway runs on this storage; nothing waits", "start one")
    if not database.reachable and database.name != EMBEDDED:
        sentence = f"the database cannot be used: {database.reason}"
        yield Reason(Level.WARNING, "database", sentence, "`oxidicom check` says what is missing")


def _of_work(
    gateways: Sequence[GatewayBacklog], now: datetime.datetime, expectations: Expectations
) -> Iterator[Reason]:
    amounts = _undone(gateways)
    oldest = min((amount.oldest for amount in amounts if amount.oldest), default=now)
    age_seconds = (now - oldest).total_seconds()
    yield from of_waiting(sum(amount.count for amount in amounts), age_seconds, expectations.max_age_seconds)


def _undone(gateways: Sequence[GatewayBacklog]) -> list[Amount]:
    """Return what is committed and not registered yet."""
    backlogs = [gateway.waiting for gateway in gateways]
    return [amount for one in backlogs for amount in (one.committed, one.stored, one.metadata)]


def _aside(directory: str) -> Iterator[FileSetAside]:
    """Yield what was set aside, the oldest associations first."""
    for association in associations_set_aside(directory):
        for one in sorted(set_aside_of(directory, association), key=lambda one: one.file_name):
            yield FileSetAside(association, one.shown_name, one.kind, one.size_bytes, one.since, one.reason)


_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.CRITICAL: "bold red"}


def _print(status: GatewayStatus, console: Console) -> None:
    _print_judgement(status.judgement, console)
    database, space = status.database, status.space
    usable = f"reachable, schema generation {database.generation}" if database.reachable else database.reason
    console.print(f"database  {database.name}: {usable}", highlight=False, soft_wrap=True, markup=False)
    if space is None:
        return
    console.print(
        f"storage   {decimal(space.free_bytes)} free of {decimal(space.total_bytes)} below {status.files_root} "
        f"(reserve {decimal(space.reserve_bytes)})",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    _print_gateways(status.gateways, status.at, console)
    _print_associations([one for gateway in status.gateways for one in gateway.associations], status.at, console)
    _print_set_aside(status.set_aside, status.at, console)


def _print_judgement(judgement: Judgement, console: Console) -> None:
    console.print(f"[{_STYLES[judgement.level]}]{judgement.level.upper()}[/]", highlight=False)
    for reason in judgement.reasons:
        style = _STYLES[reason.level]
        line = f"  [{style}]{reason.level}[/]  {escape(reason.subject)}: {escape(str(reason))}"
        console.print(line, highlight=False, soft_wrap=True)


def _print_gateways(gateways: Sequence[GatewayBacklog], now: datetime.datetime, console: Console) -> None:
    if not gateways:
        console.print("gateways  none is running, and nothing waits")
        return
    table = _table("gateways", "gateway", "state", "since", "what waits")
    for gateway in gateways:
        table.add_row(gateway.gateway, _state_of(gateway), _moment(gateway.since), _what_waits(gateway.waiting, now))
    console.print(table)


def _state_of(gateway: GatewayBacklog) -> str:
    if gateway.put_back:
        return "put back by `oxidicom retry`: a running gateway takes it up in a moment, a stopped one at its start"
    return "running" if gateway.running else "gone: the next to start or to look around takes over"


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
    console.print(
        "`oxidicom retry` puts them back once the cause is fixed; `oxidicom discard` throws away what is hopeless.",
        highlight=False,
    )


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
    age = f", oldest {duration((now - amount.oldest).total_seconds())}" if amount.oldest else ""
    return f"{amount.count}{size}{age}"


def _moment(moment: datetime.datetime | None) -> str:
    """Return a moment in local time."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" if moment else "unknown"
