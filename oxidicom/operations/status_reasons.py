"""The reasons that `oxidicom status` adds to the rules: several gateways, none, or one that says nothing any more."""

import datetime
import os
from collections.abc import Iterator, Sequence

import msgspec

from oxidicom.judgement.condition import Condition
from oxidicom.judgement.judgement import Level, Reason
from oxidicom.judgement.rules import MAX_AGE_SECONDS, of_gateway, of_waiting
from oxidicom.operations.database import DatabaseState
from oxidicom.operations.storage_access import user_name
from oxidicom.spool.backlog import Amount, GatewayBacklog
from oxidicom.spool.published import MAX_SILENT_SECONDS
from oxidicom.storage.trouble import StorageTrouble, remedy_of
from oxidicom.wording import counted, duration

_START = "start one; `oxidicom check`, run as the user of the gateway, says whether it can work"


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
                Level.WARNING,
                "gateway",
                f"the gateway {one.gateway} reports nothing: it is starting, or is an older version",
            )
            continue
        silent_seconds = (now - one.condition.at).total_seconds()
        if silent_seconds > MAX_SILENT_SECONDS:
            yield Reason(
                Level.CRITICAL,
                "gateway",
                f"the gateway on {one.condition.host} has reported nothing for {duration(silent_seconds)}",
                "see its log, and whether its storage answers",
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
    is_new: bool,
) -> Iterator[Reason]:
    """Without a gateway nobody receives. In a storage that `is_new` one that cannot begin leaves no trace."""
    if running:
        return
    waits = sum(amount.count for amount in _undone(gateways))
    if waits:
        sentence = f"no gateway runs on this storage, with {counted(waits, 'thing')} waiting to be stored or registered"
    elif is_new:
        sentence = "no gateway has used this storage yet"
    else:
        sentence = "no gateway runs on this storage; nothing waits"
    level = Level.CRITICAL if waits or expectations.running else Level.WARNING
    yield Reason(level, "gateway", sentence, _START)


def of_database(database: DatabaseState, running: Sequence[RunningGateway]) -> Iterator[Reason]:
    """What our own look found, unless a running gateway complains of the database itself."""
    if database.reachable or any(one.condition and one.condition.database.word != "up" for one in running):
        return
    sentence = f"the database cannot be used: {database.reason}"
    yield Reason(Level.WARNING, "database", sentence, "`oxidicom check` says what is wrong")


def of_new_storage(files_root: str) -> Iterator[Reason]:
    """Can this user begin with it? A gateway that cannot begin has no place to say so."""
    if not os.access(files_root, os.W_OK | os.X_OK):
        yield Reason(
            Level.WARNING,
            "storage",
            f"nothing is in the storage yet, and {user_name(os.geteuid())}, who runs this command, cannot write it",
            f"if the gateway runs as that user: {remedy_of(StorageTrouble.ROOT_UNWRITABLE)}",
        )


def of_unreadable(files_root: str, error: OSError) -> Reason:
    """Without the storage nothing is known, and nothing can be received."""
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
