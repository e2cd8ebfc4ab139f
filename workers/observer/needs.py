"""What the observer uses of what all processes share; the type checker holds the room to it."""

from collections.abc import Sequence
from typing import Protocol

from workers.channels.facts import FactChannel
from workers.channels.messages import ToInquiry, ToRegistration, ToStorage
from workers.channels.needs import StorageUserNeeds
from workers.channels.queues import Queue
from workers.channels.scoreboard import Slot


class ObserverNeeds(StorageUserNeeds, Protocol):
    """A part of `Shared`, where each member is described."""

    @property
    def storage_queues(self) -> Sequence[Queue[ToStorage]]: ...

    @property
    def inquiry_queue(self) -> Queue[ToInquiry]: ...

    @property
    def registration_queue(self) -> Queue[ToRegistration]: ...

    @property
    def facts(self) -> FactChannel: ...

    def hint_registration(self, slot: Slot, message: ToRegistration) -> None: ...
