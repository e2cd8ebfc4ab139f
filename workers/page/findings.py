"""What the page finds in the storage: looked at in a thread of its own, since the storage may not answer."""

import itertools
import os
import time
from collections.abc import Iterator

import msgspec

from oxidicom.paths.private_root import is_ulid
from oxidicom.spool.gateway_directory import aside_directories
from oxidicom.spool.set_aside import associations_set_aside, holds_anything, set_aside_of
from workers.channels.needs import StorageUserNeeds
from workers.page.associations import AssociationLook, AssociationsUnderWay
from workers.page.status import AssociationSetAside, SetAside

_LOOK_SECONDS = 0.9
_SHARE = 100
"""A look may take a hundredth of the time: it may be at a large spool."""
_MAX_PAUSE_SECONDS = 60.0
_SET_ASIDE_SECONDS = 10.0
"""It changes rarely."""
_MAX_ASIDE = 20
_MAX_FILES = 10_000
_MAX_REASON = 300


class Findings(msgspec.Struct):
    """What was found at one look."""

    under_way: AssociationsUnderWay
    set_aside: SetAside


class StorageLook:
    """Looks, as often as that is cheap."""

    def __init__(self, shared: StorageUserNeeds) -> None:
        self._files_root = shared.settings.files_root
        self._associations = AssociationLook(shared)
        self._under_way = AssociationsUnderWay([], 0)
        self._under_way_due = 0.0
        self._set_aside = SetAside([], 0)
        self._set_aside_due = 0.0

    def look(self) -> Findings:
        """Return what is there now, or was there a moment ago."""
        began = time.monotonic()
        if began >= self._under_way_due:
            self._under_way = self._associations.look()
            ended = time.monotonic()
            pause_seconds = min(max(_LOOK_SECONDS, _SHARE * (ended - began)), _MAX_PAUSE_SECONDS)
            self._under_way_due = ended + pause_seconds
        if began >= self._set_aside_due:
            self._set_aside_due = began + _SET_ASIDE_SECONDS
            self._set_aside = _look_for_set_aside(self._files_root)
        return Findings(self._under_way, self._set_aside)


def _look_for_set_aside(files_root: str) -> SetAside:
    try:
        names = {
            name: directory
            for directory in aside_directories(files_root)
            for name in associations_set_aside(directory)
            if is_ulid(name)
        }
        newest = [name for name in sorted(names, reverse=True) if holds_anything(names[name], name)]
        found = [one for name in newest[:_MAX_ASIDE] for one in _aside_of(names[name], name)]
    except OSError:
        return SetAside([], 0)  # the storage is away, which the judgement says
    return SetAside(found, len(newest) - min(len(newest), _MAX_ASIDE))


def _aside_of(directory: str, association: str) -> Iterator[AssociationSetAside]:
    """Yield what was set aside of an association, or nothing when nothing is left there."""
    first = next(set_aside_of(directory, association), None)
    if first is None:
        return
    with os.scandir(os.path.join(directory, association)) as scan:
        files = sum(not entry.name.endswith(".json") for entry in itertools.islice(scan, _MAX_FILES))
    command = f"oxidicom retry --association {association}"
    yield AssociationSetAside(association, files, first.since, first.reason[:_MAX_REASON], command)
