"""The reasons that `oxidicom status` adds to the rules: several gateways, none, or one that says nothing any more."""

import datetime
import os
from collections.abc import Iterator, Sequence

import msgspec

from oxidicom.judgement.condition import Condition
from oxidicom.judgement.judgement import Level, Reason
from oxidicom.judgement.rules import MAX_AGE_SECONDS, of_gateway, of_waiting
from oxidicom.operations.database import DatabaseState
from oxidicom.spool.backlog import Amount, GatewayBacklog
from oxidicom.spool.published import MAX_SILENT_SECONDS
from oxidicom.wording import counted, duration


class Expectations(msgspec.Struct, frozen=True):
    """What the operator takes for granted."""

    max_age_seconds: float = MAX_AGE_SECONDS
    """What waits for longer is critical."""
    running: bool = False
    """A gateway runs on this storage."""


class RunningGateway(msgspec.Struct):
    """What a running gateway says of itself."""

    gateway: str
    condition: Condition | None
    """None: nothing that can be read."""


def of_running(
    running: Sequence[RunningGateway], now: datetime.datetime, expectations: Expectations
) -> Iterator[Reason]:
    """What each running gateway says of itself, as long as it says something."""
    for one in running:
        if one.condition is None:
            yield Reason(
                Level.WARNING, "gateway", f"the gateway {one.gateway} reports nothing: it is starting, or is older"
            )
            continue
        silent_seconds = (now - one.condition.at).total_seconds()
        if silent_seconds > MAX_SILENT_SECONDS:
            yield Reason(
                Level.CRITICAL,
                "gateway",
                f"the gateway on {one.condition.host} has reported nothing for {duration(silent_seconds)}",
                "see whether its storage answers, and its log",
            )
        of_one = of_gateway(one.condition, expectations.max_age_seconds)
        yield from (_located(reason, one.condition, len(running)) for reason in of_one)


def _located(reason: Reason, condition: Condition, gateways: int) -> Reason:
    """Name the gateway, where there are several."""
    if gateways == 1:
        return reason
    return msgspec.structs.replace(reason, sentence=f"{condition.host}, port {condition.port}: {reason.sentence}")


def of_absence(
    running: Sequence[RunningGateway],
    gateways: Sequence[GatewayBacklog],
    expectations: Expectations,
) -> Iterator[Reason]:
    """Without a gateway nobody receives."""
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


def of_database(database: DatabaseState, running: Sequence[RunningGateway]) -> Iterator[Reason]:
    """What our own look found, unless a running gateway complains of the database itself."""
    if database.reachable or any(one.condition and one.condition.database.word != "up" for one in running):
        return
    sentence = f"the database cannot be used: {database.reason}"
    yield Reason(Level.WARNING, "database", sentence, "`oxidicom check` says what is missing")


def of_storage(files_root: str, error: OSError) -> Reason:
    """Without the storage nothing is known, and nothing can be received."""
    if isinstance(error, NotADirectoryError) and error.filename == files_root:
        sentence = f"{files_root} is not a directory"
        return Reason(Level.CRITICAL, "storage", sentence, "mount CUBE's storage there, or set CHRIS_FILES_ROOT")
    where = os.path.relpath(os.fsdecode(error.filename or files_root), files_root)
    return Reason(
        Level.CRITICAL,
        "storage",
        f"{files_root} cannot be read: {error.strerror}{'' if where == '.' else f' ({where})'}",
        "run this as the user of the gateway (`sudo oxidicom` does), or see whether the storage answers",
    )


def of_work(gateways: Sequence[GatewayBacklog], now: datetime.datetime, expectations: Expectations) -> Iterator[Reason]:
    """Does work go on, whoever's it is?"""
    amounts = _undone(gateways)
    oldest = min((amount.oldest for amount in amounts if amount.oldest), default=now)
    age_seconds = (now - oldest).total_seconds()
    yield from of_waiting(sum(amount.count for amount in amounts), age_seconds, expectations.max_age_seconds)


def _undone(gateways: Sequence[GatewayBacklog]) -> list[Amount]:
    """Return what is committed and not registered yet."""
    backlogs = [gateway.waiting for gateway in gateways]
    return [amount for one in backlogs for amount in (one.committed, one.stored, one.metadata)]
