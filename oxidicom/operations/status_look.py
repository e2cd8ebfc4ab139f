"""What `oxidicom status` looks at: it only reads, and a gateway may run or not.

What a running gateway knows of itself it has published on the storage; the rest is looked at here.
"""

import datetime
import os
from collections.abc import Iterator

import msgspec

from oxidicom.judgement.condition import Condition, Room
from oxidicom.judgement.judgement import Judgement, Reason
from oxidicom.judgement.rules import of_room, of_set_aside
from oxidicom.operations.database import DatabaseState, state_of_database
from oxidicom.operations.status_reasons import (
    Expectations,
    RunningGateway,
    of_absence,
    of_database,
    of_new_storage,
    of_running,
    of_unreadable,
    of_work,
)
from oxidicom.operations.storage_root import find_root, of_root
from oxidicom.paths.private_root import PRIVATE_ROOT
from oxidicom.settings import EMBEDDED, Settings
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
    """None: the storage is not there, or cannot be read."""
    database: DatabaseState
    running: list[RunningGateway]
    gateways: list[GatewayBacklog]
    set_aside: list[FileSetAside]


def look(settings: Settings, expectations: Expectations) -> GatewayStatus:
    """Return how everything is. A storage that cannot be read is a reason too."""
    status = GatewayStatus(
        judgement=Judgement.of([]),
        at=datetime.datetime.now(datetime.UTC),
        files_root=settings.files_root,
        space=None,
        database=state_of_database(settings),
        running=[],
        gateways=[],
        set_aside=[],
    )
    reasons: list[Reason] = []
    try:
        found = find_root(settings)
        reasons += of_root(found, expectations.running)
        if not found.trouble:  # else what stands there is not the storage
            _look_at_storage(status, settings)
            reasons += _of_work_and_gateways(status, expectations, found.is_new)
        if found.is_new:
            reasons += of_new_storage(settings.files_root)
    except OSError as error:
        reasons.append(of_unreadable(settings.files_root, error))
    if status.running or settings.db_connection != EMBEDDED:  # the embedded one rests with its gateway
        reasons += of_database(status.database, status.running)
    status.judgement = Judgement.of(reasons)
    return status


def _look_at_storage(status: GatewayStatus, settings: Settings) -> None:
    """Fill in what stands on the storage. Raise OSError."""
    root = settings.files_root
    status.space = room_of(root, settings.storage_reserve_bytes)
    status.gateways = backlog_of(root)
    status.running = [
        RunningGateway(one.gateway, _published(root, one.gateway)) for one in status.gateways if one.running
    ]
    status.set_aside = [one for directory in aside_directories(root) for one in _aside(directory)]


def _of_work_and_gateways(status: GatewayStatus, expectations: Expectations, is_new: bool) -> Iterator[Reason]:
    yield from of_running(status.running, status.at, expectations)
    yield from of_absence(status.running, status.gateways, expectations, is_new)
    yield from of_room(status.space)
    yield from of_work(status.gateways, status.at, expectations)
    yield from of_set_aside(len(status.set_aside))


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
