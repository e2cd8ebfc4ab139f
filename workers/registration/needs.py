"""What the registration worker uses of what all processes share; the type checker holds the room to it."""

from typing import Protocol

from workers.channels.facts import FactChannel
from workers.channels.messages import ToRegistration, ToStorage
from workers.channels.needs import StorageUserNeeds
from workers.channels.queues import Queue


class RegistrationNeeds(StorageUserNeeds, Protocol):
    """A part of `Shared`, where each member is described."""

    @property
    def db_connection(self) -> str: ...

    @property
    def registration_queue(self) -> Queue[ToRegistration]: ...

    @property
    def facts(self) -> FactChannel: ...

    def storage_time_ns(self) -> int: ...

    def storage_queue_of(self, series_hash: str) -> Queue[ToStorage]: ...
