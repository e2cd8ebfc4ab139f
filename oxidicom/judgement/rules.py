"""The rules: from the condition of a gateway to reasons. Each function is one rule, and looks at nothing else."""

import datetime
from collections.abc import Iterator

from rich.filesize import decimal

from oxidicom.judgement.condition import Condition, Lately, Room, Trouble
from oxidicom.judgement.judgement import Judgement, Level, Reason
from oxidicom.wording import counted, days_away, duration

MAX_AGE_SECONDS = 3600.0
"""What waits for longer is critical, unless the operator says otherwise; a quarter of it is a warning."""
_CERTIFICATE_WARNING_DAYS = 30
"""One that expires within so many days is worth a warning."""
_LITTLE_ROOM_BYTES = 1 << 30
"""Above the reserve."""
_WARNING_SHARE = 0.25
PAGE_REMEDY = "set CHRIS_HTTP_PORT to a free port, and CHRIS_HTTP_ADDRESS to an address of this host"
_SEVERAL_REFUSALS = 3
"""So many, and none taken, are more than one odd instance."""


def judge(condition: Condition, max_age_seconds: float = MAX_AGE_SECONDS) -> Judgement:
    """Judge a running gateway by what it knows of itself."""
    return Judgement.of(
        [
            *of_gateway(condition, max_age_seconds),
            *of_room(condition.room),
            *of_waiting(condition.waiting, condition.oldest_seconds, max_age_seconds),
            *of_set_aside(condition.set_aside),
        ]
    )


def of_gateway(condition: Condition, max_age_seconds: float) -> Iterator[Reason]:
    """All rules but those about room and work, which an operator's command looks at by itself."""
    yield from _of_phase(condition)
    yield from _of_processes(condition)
    yield from of_storage(condition.storage)
    yield from _of_room_and_tree(condition)
    yield from _of_database(condition, max_age_seconds)
    yield from of_certificate(condition.certificate_expires, condition.at)
    yield from _of_refusals(condition.lately)
    yield from _of_rejections(condition.lately)
    yield from _of_pacs(condition)
    yield from _of_progress(condition)
    yield from _of_page(condition)
    yield from _of_history(condition)


def of_storage(trouble: Trouble | None) -> Iterator[Reason]:
    """Can instances be taken?"""
    if trouble:
        sentence = f"no instance is accepted (A700): {trouble.sentence}"
        yield Reason(Level.CRITICAL, "storage", sentence, trouble.remedy)


def of_room(room: Room | None) -> Iterator[Reason]:
    """Is there room for more?"""
    if room is None:
        return
    shown = f"{decimal(room.free_bytes)} are free of {decimal(room.total_bytes)}, the reserve is "
    shown += decimal(room.reserve_bytes)
    if room.is_full:
        yield Reason(
            Level.CRITICAL, "room", f"the storage is full: {shown}; every instance is refused (A700)", "make room on it"
        )
    elif room.free_bytes - room.reserve_bytes < _LITTLE_ROOM_BYTES:
        yield Reason(Level.WARNING, "room", f"the storage is nearly full: {shown}", "make room on it")


def of_waiting(count: int, oldest_seconds: float, max_age_seconds: float) -> Iterator[Reason]:
    """Does work go on?"""
    if not count or oldest_seconds < max_age_seconds * _WARNING_SHARE:
        return
    level = Level.CRITICAL if oldest_seconds >= max_age_seconds else Level.WARNING
    yield Reason(
        level,
        "backlog",
        f"{counted(count, 'thing')} waiting to be stored or registered, the oldest for {duration(oldest_seconds)}",
        "`oxidicom status` shows what the work waits for",
    )


def of_set_aside(count: int) -> Iterator[Reason]:
    """Was something put away?"""
    if count:
        yield Reason(
            Level.WARNING,
            "set aside",
            f"{counted(count, 'thing')} set aside that could not be stored or registered",
            "fix the cause that `oxidicom status` shows, then put them back with `oxidicom retry`; `oxidicom discard` "
            "throws away what cannot be fixed",
        )


def of_certificate(expires: datetime.datetime | None, at: datetime.datetime) -> Iterator[Reason]:
    """Is the certificate good for long? None: there is none."""
    if expires is None:
        return
    left = expires - at
    remedy = "replace the file of CHRIS_TLS_CERTIFICATE and send SIGHUP to the gateway"
    if left < datetime.timedelta():
        sentence = f"the certificate expired {days_away(left)}: peers that check it refuse to connect"
        yield Reason(Level.CRITICAL, "certificate", sentence, remedy)
    elif left < datetime.timedelta(days=_CERTIFICATE_WARNING_DAYS):
        yield Reason(Level.WARNING, "certificate", f"the certificate expires {days_away(left)}", remedy)


def _of_phase(condition: Condition) -> Iterator[Reason]:
    if condition.phase != "serving":
        yield Reason(Level.WARNING, "gateway", f"the gateway is {condition.phase}")


def _of_processes(condition: Condition) -> Iterator[Reason]:
    if condition.silent:
        roles = ", ".join(sorted(set(condition.silent)))
        yield Reason(
            Level.CRITICAL,
            "processes",
            f"no sign of life from: {roles}",
            "see the log; if it lasts, restart the gateway: nothing is lost",
        )
    if count := condition.lately.respawned:
        yield Reason(
            Level.WARNING,
            "processes",
            f"{counted(count, 'process')} died within {condition.lately.minutes} minutes, and came back",
            "see the log for why (action `process_died`)",
        )


def _of_room_and_tree(condition: Condition) -> Iterator[Reason]:
    if condition.room is None and not condition.storage:
        yield Reason(Level.WARNING, "storage", "the free space on the storage has not been checked yet")
    if trouble := condition.tree:
        sentence = f"instances wait in the spool: {trouble.sentence}"
        yield Reason(Level.CRITICAL, "tree", sentence, trouble.remedy)


def _of_database(condition: Condition, max_age_seconds: float) -> Iterator[Reason]:
    database = condition.database
    if not database.is_known:
        yield Reason(Level.WARNING, "database", "the database has not answered yet")
    elif database.down_since:
        seconds = (condition.at - database.down_since).total_seconds()
        yield Reason(
            Level.CRITICAL if seconds >= max_age_seconds else Level.WARNING,
            "database",
            f"the database has been unusable for {duration(seconds)}, and rows wait in the spool: {database.reason}",
            "`oxidicom check` says what is wrong",
        )


def _of_refusals(lately: Lately) -> Iterator[Reason]:
    """Who takes nothing is at fault himself, if the storage is, or if it is not about a single odd instance."""
    if not lately.refused:
        return
    is_ours = lately.out_of_resources > 0 or lately.refused >= _SEVERAL_REFUSALS
    sentence = f"{counted(lately.refused, 'instance')} refused within {lately.minutes} minutes"
    if lately.out_of_resources:
        sentence += f" ({lately.out_of_resources} because the storage did not take them, A700)"
    if not lately.taken:
        sentence += ", and none was taken"
    level = Level.CRITICAL if is_ours and not lately.taken else Level.WARNING
    yield Reason(level, "refusals", sentence, "the log, or `oxidicom log --refused`, says which and why")


def _of_rejections(lately: Lately) -> Iterator[Reason]:
    if lately.rejected and not lately.accepted:
        rejected = counted(lately.rejected, "association")
        yield Reason(
            Level.WARNING,
            "rejections",
            f"{rejected} rejected within {lately.minutes} minutes, and none was accepted",
            "`oxidicom log --refused` says which and why; CHRIS_SCP_ALLOWED_AETS says who may send",
        )


def _of_pacs(condition: Condition) -> Iterator[Reason]:
    if condition.pacs_trouble:
        yield Reason(
            Level.WARNING,
            "PACS",
            f"it is not known whether series are complete: {condition.pacs_trouble}",
            "`oxidicom check` tries every PACS",
        )


def _of_progress(condition: Condition) -> Iterator[Reason]:
    if count := condition.lately.progress_lost:
        yield Reason(
            Level.WARNING,
            "live progress",
            f"{counted(count, 'message')} of live progress lost within {condition.lately.minutes} minutes",
            "see whether the NATS servers of CHRIS_NATS_ADDRESS can be reached",
        )


def _of_page(condition: Condition) -> Iterator[Reason]:
    if condition.page_trouble:
        yield Reason(Level.WARNING, "page", f"there is no page: {condition.page_trouble}", PAGE_REMEDY)


def _of_history(condition: Condition) -> Iterator[Reason]:
    if condition.history_trouble:
        yield Reason(
            Level.WARNING,
            "history",
            f"no history is kept: {condition.history_trouble}",
            "make room there, or fix the permission; a history written by a later version needs that version",
        )
