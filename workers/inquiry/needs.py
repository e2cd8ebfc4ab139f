"""What the inquiry worker uses of what all processes share; the type checker holds the room to it."""

from collections.abc import Sequence
from typing import Protocol

from oxidicom.settings import Settings
from workers.channels.facts import FactChannel
from workers.channels.messages import SeriesCounted, ToInquiry
from workers.channels.queues import Queue
from workers.channels.scoreboard import Scoreboard


class InquiryNeeds(Protocol):
    """A part of `Shared`, where each member is described."""

    @property
    def settings(self) -> Settings: ...

    @property
    def scoreboard(self) -> Scoreboard: ...

    @property
    def answer_queues(self) -> Sequence[Queue[SeriesCounted]]: ...

    @property
    def inquiry_queue(self) -> Queue[ToInquiry]: ...

    @property
    def facts(self) -> FactChannel: ...
