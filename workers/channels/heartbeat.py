"""Signs of life of who goes through many things."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from workers.channels.scoreboard import ProcessState, Slot

T = TypeVar("T")

_STRIDE = 1000


def beating(slot: Slot, things: Iterable[T]) -> Iterator[T]:
    """Yield `things`, with a sign of life now and then: there may be a million, and none that is wanted."""
    for number, thing in enumerate(things):
        if number % _STRIDE == 0:
            slot.beat(ProcessState.WORKING)
        yield thing
