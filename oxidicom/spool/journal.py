"""The journal: what may stand in the directory of an association, who moves it on, and to what.

    instance        received → stored → unlinked        storage places and syncs it, registration commits its row
    metadata value  due → stored → registered           likewise; what is registered stays until the association ends

A thing has one owner at each step, and nobody else renames or removes it but to set it aside. Steps back are taken in
two places only: an operator puts back what was set aside, and what lost its file at the final path is stored again.
"""

import enum
from collections.abc import Mapping
from typing import NamedTuple

from oxidicom.spool.names import DUE, RECEIVED, REGISTERED, STORED, EntryName, MetadataValue

Name = EntryName | MetadataValue


class Owner(enum.Enum):
    """Who moves a thing on."""

    STORAGE = enum.auto()
    REGISTRATION = enum.auto()
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
    (MetadataValue, REGISTERED): Step(Owner.NOBODY, None),
}
"""By what a thing is and the state that its name says. What is still being received has no name of its own yet."""


def owner_of(name: Name, state: str) -> Owner:
    """Return who moves a thing on."""
    return STEPS[type(name), state].owner


def next_state_of(name: Name, state: str) -> str | None:
    """Return the state to which a thing is moved by its owner; None: it leaves the directory."""
    return STEPS[type(name), state].next_state


def is_open(name: Name, state: str) -> bool:
    """Tell whether something is left to be done with a thing."""
    return owner_of(name, state) is not Owner.NOBODY


def first_state(name: Name) -> str:
    """Return the state in which a thing is stored anew."""
    return RECEIVED if isinstance(name, EntryName) else DUE
