"""What the inquiry worker uses of what all processes share; the type checker holds the room to it."""

from collections.abc import Sequence
from typing import Protocol

from workers.channels.facts import FactChannel
from workers.channels.messages import SeriesCounted, ToInquiry
from workers.channels.needs import BasicNeeds
from workers.channels.queues import Queue


class InquiryNeeds(BasicNeeds, Protocol):
    """A part of `Shared`, where each member is described."""

    @property
    def answer_queues(self) -> Sequence[Queue[SeriesCounted]]: ...

    @property
    def inquiry_queue(self) -> Queue[ToInquiry]: ...

    @property
    def facts(self) -> FactChannel: ...
