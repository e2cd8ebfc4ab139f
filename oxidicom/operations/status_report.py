"""What `oxidicom status` prints for people."""

import datetime
import itertools
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.filesize import decimal

from oxidicom.judgement.judgement import Judgement
from oxidicom.moments import local_time
from oxidicom.operations.printing import TextTable, say
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
    say(console, f"database  {database.name}: {usable}")
    if space is None:
        say(console, f"storage   {status.files_root}")
        return
    say(
        console,
        f"storage   {decimal(space.free_bytes)} free of {decimal(space.total_bytes)} below {status.files_root} "
        f"(reserve {decimal(space.reserve_bytes)})",
    )
    _print_gateways(status.gateways, status.at, console)
    _print_associations([one for gateway in status.gateways for one in gateway.associations], status.at, console)
    _print_set_aside(status.set_aside, status.at, console)


def _print_judgement(judgement: Judgement, console: Console) -> None:
    say(console, (judgement.level.upper(), LEVEL_STYLES[judgement.level]))
    for reason in judgement.reasons:
        say(console, "  ", (reason.level, LEVEL_STYLES[reason.level]), f"  {reason.subject}: {reason}")


def _print_gateways(gateways: Sequence[GatewayBacklog], now: datetime.datetime, console: Console) -> None:
    if not gateways:
        say(console, "gateways  none runs here, and nothing waits")
        return
    table = TextTable("gateways", "gateway", "state", "since", "what waits", is_first_whole=True)
    for gateway in gateways:
        table.add(gateway.gateway, _state_of(gateway), _moment(gateway.since), _what_waits(gateway.waiting, now))
    table.print(console)


def _state_of(gateway: GatewayBacklog) -> str:
    if gateway.put_back:
        return "put back by `oxidicom retry`: a running gateway takes it up in a moment, a stopped one at its start"
    if gateway.running:
        return "running"
    if gateway.later:
        return "gone: its spool was written by a later version, and only that version can take over: start it"
    return "gone: another gateway that runs, or the next one to start, takes over its work"


def _print_associations(unfinished: list[AssociationBacklog], now: datetime.datetime, console: Console) -> None:
    if not unfinished:
        return
    unfinished.sort(key=lambda one: one.association)
    table = TextTable(
        _title("unfinished associations", len(unfinished)),
        "association",
        "from",
        "since",
        "what waits",
        is_first_whole=True,
    )
    for one in unfinished[:_MAX_ROWS]:
        waits = _what_waits(one.waiting, now)
        table.add(one.association, one.calling_ae_title, _moment(one.since), waits)
    table.print(console)


def _print_set_aside(aside: Sequence[FileSetAside], now: datetime.datetime, console: Console) -> None:
    """Print what was set aside, one line for all of an association that have the same reason."""
    if not aside:
        say(console, "set aside nothing")
        return
    groups = [(key, list(group)) for key, group in itertools.groupby(sorted(aside, key=_group_of), key=_group_of)]
    table = TextTable(_title("set aside", len(groups)), "association", "what", "since", "why", is_first_whole=True)
    for (association, kind, reason), group in groups[:_MAX_ROWS]:
        amount = _sum(Amount(1, one.size_bytes, one.since) for one in group)
        table.add(association, f"{kind}: {_shown(amount, now)}", _moment(amount.oldest), reason)
    table.print(console)
    say(
        console,
        "`oxidicom retry` puts them back once the cause is fixed; `oxidicom discard` throws away what cannot "
        "be fixed. The JSON file beside each one says where it was to go (its path has patient data).",
    )


def _group_of(one: FileSetAside) -> tuple[str, str, str]:
    return one.association, one.kind, one.reason


def _sum(amounts: Iterable[Amount]) -> Amount:
    total = Amount()
    for amount in amounts:
        total.add(amount)
    return total


def _title(what: str, count: int) -> str:
    return what if count <= _MAX_ROWS else f"{what}: the oldest {_MAX_ROWS} of {count}; --json has all"


def _what_waits(waiting: Backlog, now: datetime.datetime) -> list[str]:
    steps = {
        "being received": waiting.receiving,
        "committed, not stored": waiting.committed,
        "stored, not registered": waiting.stored,
        "metadata": waiting.metadata,
    }
    return [f"{step}: {_shown(amount, now)}" for step, amount in steps.items() if amount.count] or ["nothing"]


def _shown(amount: Amount, now: datetime.datetime) -> str:
    size = f", {decimal(amount.size_bytes)}" if amount.size_bytes else ""
    age = f", oldest {duration((now - amount.oldest).total_seconds())}" if amount.oldest else ""
    return f"{amount.count}{size}{age}"


def _moment(moment: datetime.datetime | None) -> str:
    """Return a moment in local time."""
    return local_time(moment) if moment else "unknown"
