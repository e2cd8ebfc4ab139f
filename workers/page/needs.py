"""What the page uses of what all processes share; the type checker holds the room to it."""

from typing import Protocol

from workers.channels.needs import ReadingNeeds
from workers.channels.snapshot import Snapshot


class PageNeeds(ReadingNeeds, Protocol):
    """A part of `Shared`, where each member is described."""

    @property
    def page_memory(self) -> Snapshot: ...
