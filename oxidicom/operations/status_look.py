"""What `oxidicom status` looks at: it only reads, and a gateway may run or not.

What a running gateway knows of itself it has published on the storage; the rest is looked at here.
"""

import datetime
import os
from collections.abc import Iterator

import msgspec

from oxidicom.judgement.condition import Condition, Room
from oxidicom.judgement.judgement import Judgement, Level, Reason
from oxidicom.judgement.rules import of_room, of_set_aside
from oxidicom.operations.database import DatabaseState, state_of_database
from oxidicom.operations.status_reasons import Expectations, RunningGateway, of_absence, of_running, of_work
from oxidicom.paths.private_root import PRIVATE_ROOT
from oxidicom.settings import Settings
from oxidicom.spool.backlog import GatewayBacklog, backlog_of
from oxidicom.spool.gateway_directory import aside_directories
from oxidicom.spool.published import published
from oxidicom.spool.set_aside import associations_set_aside, set_aside_of
from oxidicom.storage.reserve import room_of


class FileSetAside(msgspec.Struct):
    """One file that was set aside. Its final path holds patient data and is not shown."""

    association: str
    file_name: str
    kind: str
    size_bytes: int
    since: datetime.datetime
    reason: str


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


def look(settings: Settings, expectations: Expectations) -> GatewayStatus:
    """Return how everything is. Raise OSError."""
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
        *of_running(running, now, expectations),
        *of_absence(running, gateways, database, expectations),
        *of_room(space),
        *of_work(gateways, now, expectations),
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


def _aside(directory: str) -> Iterator[FileSetAside]:
    """Yield what was set aside, the oldest associations first."""
    for association in associations_set_aside(directory):
        for one in sorted(set_aside_of(directory, association), key=lambda one: one.file_name):
            yield FileSetAside(association, one.shown_name, one.kind, one.size_bytes, one.since, one.reason)
