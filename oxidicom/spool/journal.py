"""The journal: what may stand in the directory of an association, who moves it on, and to what.

    instance        received → stored → unlinked        storage places and syncs it, registration commits its row
    metadata value  due → stored → registered → told    likewise; what is registered stays until the association ends

The step to `told` is taken for OxidicomAttemptedPushCount alone, by the observer, and only where progress is published.
It is the lock by which a series is said to be done once and not again: whoever took it says so, and nobody else.
Everything is finished without it too, for a spool may be taken up by a gateway that does not publish.

A thing has one owner at each step, and nobody else renames or removes it but to set it aside. Steps back are taken in
two places only: an operator puts back what was set aside, and what lost its file at the final path is stored again.
"""

import enum
from collections.abc import Mapping
from typing import NamedTuple

from oxidicom.records import COMMITTED_COUNT_KEY
from oxidicom.spool.names import DUE, RECEIVED, REGISTERED, STORED, TOLD, EntryName, MetadataValue

Name = EntryName | MetadataValue


class Owner(enum.Enum):
    """Who moves a thing on."""

    STORAGE = enum.auto()
    REGISTRATION = enum.auto()
    OBSERVER = enum.auto()
    """It only tells others: nothing of the gateway's own work is left."""
    NOBODY = enum.auto()
    """Nothing is left to be done."""


class Step(NamedTuple):
    """One step of a thing."""

    owner: Owner
    next_state: str | None
    """None: it leaves the directory."""


STEPS: Mapping[tuple[type[Name], str], Step] = {
    (EntryName, RECEIVED): Step(Owner.STORAGE, STORED),
    (EntryName, STORED): Step(Owner.REGISTRATION, None),
    (MetadataValue, DUE): Step(Owner.STORAGE, STORED),
    (MetadataValue, STORED): Step(Owner.REGISTRATION, REGISTERED),
    (MetadataValue, REGISTERED): Step(Owner.OBSERVER, TOLD),
    (MetadataValue, TOLD): Step(Owner.NOBODY, None),
}
"""By what a thing is and the state that its name says. What is still being received has no name of its own yet."""


def owner_of(name: Name, state: str) -> Owner:
    """Return who moves a thing on."""
    return STEPS[type(name), state].owner


def next_state_of(name: Name, state: str) -> str | None:
    """Return the state to which a thing is moved by its owner; None: it leaves the directory."""
    return STEPS[type(name), state].next_state


def is_open(name: Name, state: str) -> bool:
    """Tell whether something is left to be done with a thing, but to tell others of it."""
    return owner_of(name, state) in (Owner.STORAGE, Owner.REGISTRATION)


def is_to_be_told(name: Name, state: str) -> bool:
    """Tell whether those who follow a series are to be told that it is done.

    A placeholder of what was put back is no number: the series was done when its instances were set aside.
    """
    return (
        isinstance(name, MetadataValue)
        and name.key == COMMITTED_COUNT_KEY
        and owner_of(name, state) is Owner.OBSERVER
        and name.text.isdecimal()
    )


def first_state(name: Name) -> str:
    """Return the state in which a thing is stored anew."""
    return RECEIVED if isinstance(name, EntryName) else DUE
