"""What the steward uses of what all processes share; the type checker holds the room to it."""

from typing import Protocol

from workers.channels.needs import StorageUserNeeds
from workers.channels.scoreboard import Slot


class StewardNeeds(StorageUserNeeds, Protocol):
    """A part of `Shared`, where each member is described."""

    @property
    def db_connection(self) -> str: ...

    def hint_rescan(self, slot: Slot) -> None: ...
