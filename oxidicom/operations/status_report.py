"""What `oxidicom status` prints for people."""

import datetime
import itertools
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from oxidicom.judgement.judgement import Judgement
from oxidicom.operations.status_look import FileSetAside, GatewayStatus
from oxidicom.operations.styles import LEVEL_STYLES
from oxidicom.spool.backlog import Amount, AssociationBacklog, Backlog, GatewayBacklog
from oxidicom.wording import duration

_MAX_ROWS = 20
"""In a table; the JSON form has all."""


def print_status(status: GatewayStatus, console: Console) -> None:
    """Print everything, the judgement first."""
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
    console.print(f"[{LEVEL_STYLES[judgement.level]}]{judgement.level.upper()}[/]", highlight=False)
    for reason in judgement.reasons:
        style = LEVEL_STYLES[reason.level]
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
        table.add_column(other, overflow="fold")  # a long word is broken, not cut
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
