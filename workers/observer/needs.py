"""What the observer uses of what all processes share; the type checker holds the room to it."""

from collections.abc import Sequence
from typing import Protocol

from oxidicom.settings import Settings
from oxidicom.spool.gateway_directory import GatewayDirectory
from workers.channels.facts import FactChannel
from workers.channels.messages import ToInquiry, ToRegistration, ToStorage
from workers.channels.queues import Queue
from workers.channels.scoreboard import Scoreboard


class ObserverNeeds(Protocol):
    """A part of `Shared`, where each member is described."""

    @property
    def settings(self) -> Settings: ...

    @property
    def directory(self) -> GatewayDirectory: ...

    @property
    def scoreboard(self) -> Scoreboard: ...

    @property
    def storage_queues(self) -> Sequence[Queue[ToStorage]]: ...

    @property
    def inquiry_queue(self) -> Queue[ToInquiry]: ...

    @property
    def registration_queue(self) -> Queue[ToRegistration]: ...

    @property
    def facts(self) -> FactChannel: ...
