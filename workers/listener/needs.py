"""What listeners and doorman use of what all processes share; the type checker holds the room to it."""

import socket
from typing import Protocol

from workers.channels.encryption import Encryption
from workers.channels.facts import FactChannel
from workers.channels.handover import ConnectionQueue
from workers.channels.messages import ToStorage
from workers.channels.needs import StorageUserNeeds
from workers.channels.queues import Queue


class ListenerNeeds(StorageUserNeeds, Protocol):
    """A part of `Shared`, where each member is described."""

    @property
    def listening_socket(self) -> socket.socket: ...

    @property
    def encryption(self) -> Encryption | None: ...

    @property
    def facts(self) -> FactChannel: ...

    @property
    def unfinished(self) -> ConnectionQueue: ...

    @property
    def finished(self) -> ConnectionQueue: ...

    def storage_time_ns(self) -> int: ...

    def storage_queue_of(self, series_hash: str) -> Queue[ToStorage]: ...
