"""What several rooms use of what all processes share; each room adds what it alone uses (`needs.py` there)."""

from collections.abc import Sequence
from typing import Protocol

from oxidicom.settings import Settings
from oxidicom.spool.gateway_directory import GatewayDirectory
from workers.channels.facts import FactChannel
from workers.channels.messages import ToInquiry, ToRegistration, ToStorage
from workers.channels.queues import Queue
from workers.channels.repetitions import Repetitions
from workers.channels.scoreboard import Scoreboard


class BasicNeeds(Protocol):
    """A part of `Shared`, where each member is described. Every role uses it."""

    @property
    def settings(self) -> Settings: ...

    @property
    def scoreboard(self) -> Scoreboard: ...

    @property
    def repetitions(self) -> Repetitions: ...


class StorageUserNeeds(BasicNeeds, Protocol):
    """The same with the directory of the gateway in the storage."""

    @property
    def directory(self) -> GatewayDirectory: ...


class ReadingNeeds(StorageUserNeeds, Protocol):
    """What the metrics are read from; see `readings`."""

    @property
    def storage_queues(self) -> Sequence[Queue[ToStorage]]: ...

    @property
    def inquiry_queue(self) -> Queue[ToInquiry]: ...

    @property
    def registration_queue(self) -> Queue[ToRegistration]: ...

    @property
    def facts(self) -> FactChannel: ...
