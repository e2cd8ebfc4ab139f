"""What the registration worker uses of what all processes share; the type checker holds the room to it."""

from typing import Protocol

from oxidicom.settings import Settings
from oxidicom.spool.gateway_directory import GatewayDirectory
from workers.channels.facts import FactChannel
from workers.channels.messages import ToRegistration, ToStorage
from workers.channels.queues import Queue
from workers.channels.scoreboard import Scoreboard


class RegistrationNeeds(Protocol):
    """A part of `Shared`, where each member is described."""

    @property
    def settings(self) -> Settings: ...

    @property
    def db_connection(self) -> str: ...

    @property
    def directory(self) -> GatewayDirectory: ...

    @property
    def scoreboard(self) -> Scoreboard: ...

    @property
    def registration_queue(self) -> Queue[ToRegistration]: ...

    @property
    def facts(self) -> FactChannel: ...

    def storage_time_ns(self) -> int: ...

    def storage_queue_of(self, series_hash: str) -> Queue[ToStorage]: ...
