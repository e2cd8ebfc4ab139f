"""What the steward uses of what all processes share; the type checker holds the room to it."""

from typing import Protocol

from oxidicom.settings import Settings
from oxidicom.spool.gateway_directory import GatewayDirectory
from workers.channels.scoreboard import Scoreboard, Slot


class StewardNeeds(Protocol):
    """A part of `Shared`, where each member is described."""

    @property
    def settings(self) -> Settings: ...

    @property
    def db_connection(self) -> str: ...

    @property
    def directory(self) -> GatewayDirectory: ...

    @property
    def scoreboard(self) -> Scoreboard: ...

    def hint_rescan(self, slot: Slot) -> None: ...
