"""What all processes inherit from the supervisor: made before the fork, the same for everyone."""

import dataclasses
import socket
from typing import get_args

from oxidicom.paths.final_path import storage_worker_of
from oxidicom.settings import Settings
from oxidicom.spool.gateway_directory import GatewayDirectory
from oxidicom.storage.clock import boot_time_ns
from workers.channels.encryption import Encryption
from workers.channels.facts import (
    AssociationFinished,
    BatchRegistered,
    Fact,
    FactChannel,
    HistoryFact,
    LineLogged,
    ProgressFact,
    SeriesAsked,
)
from workers.channels.handover import ConnectionQueue
from workers.channels.messages import ProcessDied, SeriesCounted, ToInquiry, ToRegistration, ToStorage
from workers.channels.queues import Queue
from workers.channels.repetitions import Repetitions
from workers.channels.scoreboard import Counter, Role, Scoreboard, Slot
from workers.channels.snapshot import Snapshot

PAGE_MEMORY_BYTES = 256 * 1024


@dataclasses.dataclass(frozen=True)
class Shared:
    """Settings, directory, socket, scoreboard and queues."""

    settings: Settings
    db_connection: str
    """libpq connection string: that of the settings, or that of the embedded database."""
    directory: GatewayDirectory
    listening_socket: socket.socket
    scoreboard: Scoreboard
    storage_queues: tuple[Queue[ToStorage], ...]
    """One for each storage worker."""
    answer_queues: tuple[Queue[SeriesCounted], ...]
    """The same: answers have a channel of their own, or storage and inquiry could wait for each other."""
    inquiry_queue: Queue[ToInquiry]
    registration_queue: Queue[ToRegistration]
    encryption: Encryption | None
    """None: the port does not speak TLS. Each process has a copy of its own."""
    facts: FactChannel
    """To the observer and the page."""
    page_memory: Snapshot
    """What the page remembers, for its successor."""
    unfinished: ConnectionQueue
    """Connections whose opening is not whole: from a listener to the doorman."""
    finished: ConnectionQueue
    """Those whose opening has become whole: from the doorman to any listener."""
    repetitions: Repetitions
    """Lines of log that may come in masses."""

    def storage_time_ns(self) -> int:
        """Return the time by the clock of the storage, in ns since the epoch."""
        return boot_time_ns() + self.scoreboard.steward[Counter.CLOCK_OFFSET_NS]

    def storage_queue_of(self, series_hash: str) -> Queue[ToStorage]:
        """Return the queue of the storage worker of a series."""
        return self.storage_queues[storage_worker_of(series_hash, len(self.storage_queues))]

    def hint_registration(self, slot: Slot, message: ToRegistration) -> None:
        """Tell the registration worker what is in the spool; what finds no room is counted, and it rescans."""
        if not self.registration_queue.put(message):
            slot.add(Counter.HINTS_DROPPED)

    def hint_rescan(self, slot: Slot) -> None:
        """Have storage and registration look through the spool: there may be more in it than messages told."""
        for queue in self.storage_queues:
            queue.put(ProcessDied())  # without room for it they look by themselves within seconds
        self.hint_registration(slot, ProcessDied())


def share(
    settings: Settings,
    db_connection: str,
    directory: GatewayDirectory,
    listening_socket: socket.socket,
    encryption: Encryption | None,
) -> Shared:
    """Make the scoreboard and the queues. Call it before the fork."""
    workers = settings.storage_workers
    return Shared(
        settings=settings,
        db_connection=db_connection,
        directory=directory,
        listening_socket=listening_socket,
        scoreboard=Scoreboard(1 + len(roles_of(settings))),
        storage_queues=tuple(Queue(ToStorage) for _ in range(workers)),
        answer_queues=tuple(Queue(SeriesCounted) for _ in range(workers)),
        inquiry_queue=Queue(ToInquiry),
        registration_queue=Queue(ToRegistration),
        encryption=encryption,
        facts=FactChannel(_wanted_facts(settings), page_is_wanted=bool(settings.http_port)),
        page_memory=Snapshot(PAGE_MEMORY_BYTES if settings.http_port else 0),
        unfinished=ConnectionQueue(),
        finished=ConnectionQueue(),
        repetitions=Repetitions(1 + len(roles_of(settings))),
    )


def _wanted_facts(settings: Settings) -> set[type[Fact]]:
    """Return the kinds of facts that somebody in the observer takes."""
    wanted: set[type[Fact]] = set()
    if settings.otlp_endpoint:
        wanted |= {AssociationFinished, SeriesAsked, BatchRegistered, LineLogged}
    if settings.nats_addresses:
        wanted |= set(get_args(ProgressFact))
    if settings.history_days:
        wanted |= set(get_args(HistoryFact))
    return wanted


def roles_of(settings: Settings) -> list[tuple[Role, int]]:
    """Return the role and its index of every process below the supervisor, in the order of their slots."""
    return [
        *((Role.STORAGE, index) for index in range(settings.storage_workers)),
        (Role.REGISTRATION, 0),
        (Role.STEWARD, 0),
        (Role.INQUIRY, 0),
        (Role.OBSERVER, 0),
        *([(Role.PAGE, 0)] if settings.http_port else []),
        (Role.DOORMAN, 0),
        *((Role.LISTENER, index) for index in range(settings.listeners)),
    ]
