"""What the observer uses of what all processes share; the type checker holds the room to it."""

from typing import Protocol

from workers.channels.messages import ToRegistration
from workers.channels.needs import ReadingNeeds
from workers.channels.scoreboard import Slot


class ObserverNeeds(ReadingNeeds, Protocol):
    """A part of `Shared`, where each member is described."""

    def hint_registration(self, slot: Slot, message: ToRegistration) -> None: ...
