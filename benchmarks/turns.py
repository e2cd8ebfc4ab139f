"""Rounds that go forwards and backwards by turns, so that what drifts falls on all alike."""

from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


def by_turns(round_number: int, items: Sequence[_T]) -> Sequence[_T]:
    """Return `items` in the order of a round: odd ones go forwards, even ones backwards."""
    return items if round_number % 2 else items[::-1]
