"""What the page finds in the storage: looked at in a thread of its own, since the storage may not answer."""

import datetime
import itertools
import os
import time
from collections.abc import Iterator

import msgspec

from oxidicom.errors import CertificateError
from oxidicom.paths.private_root import is_ulid
from oxidicom.spool.gateway_directory import aside_directories
from oxidicom.spool.set_aside import associations_set_aside, holds_anything, set_aside_of
from oxidicom.storage.reserve import Reserve
from oxidicom.tls import expiry_of
from workers.page.associations import AssociationLook, AssociationsUnderWay
from workers.page.needs import PageNeeds
from workers.page.status import AssociationSetAside, SetAside, Storage, Tls

_LOOK_SECONDS = 0.9
_SHARE = 100
"""A look may take a hundredth of the time: it may be at a large spool."""
_MAX_PAUSE_SECONDS = 60.0
_SLOW_SECONDS = 10.0
"""So often what changes rarely is looked at."""
_MAX_ASIDE = 20
_MAX_FILES = 10_000
_MAX_REASON = 300


class Findings(msgspec.Struct):
    """What was found at one look."""

    under_way: AssociationsUnderWay
    set_aside: SetAside
    tls: Tls
    storage: Storage | None


class StorageLook:
    """Looks, as often as that is cheap."""

    def __init__(self, shared: PageNeeds) -> None:
        self._shared = shared
        self._settings = shared.settings
        self._associations = AssociationLook(shared)
        self._under_way = AssociationsUnderWay([], 0)
        self._under_way_due = 0.0
        self._slow_due = 0.0
        self._set_aside = SetAside([], 0)
        self._tls = Tls(False, None, None)
        self._storage: Storage | None = None

    def look(self) -> Findings:
        """Return what is there now, or was there a moment ago."""
        began = time.monotonic()
        if began >= self._under_way_due:
            self._under_way = self._associations.look()
            ended = time.monotonic()
            pause_seconds = min(max(_LOOK_SECONDS, _SHARE * (ended - began)), _MAX_PAUSE_SECONDS)
            self._under_way_due = ended + pause_seconds
        if began >= self._slow_due:
            self._slow_due = began + _SLOW_SECONDS
            self._set_aside = _look_for_set_aside(self._settings.files_root)
            self._tls = _look_at_certificate(self._settings.tls_certificate)
            self._storage = _look_for_room(self._settings.files_root, self._settings.storage_reserve_bytes)
        return Findings(self._under_way, self._set_aside, self._tls, self._storage)


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


def _look_at_certificate(path: str) -> Tls:
    if not path:
        return Tls(False, None, None)
    try:
        expires = expiry_of(path)
    except CertificateError:
        return Tls(True, None, None)  # the supervisor tells of it when it is to read it
    return Tls(True, expires, (expires - datetime.datetime.now(datetime.UTC)).days)


def _look_for_room(files_root: str, reserve_bytes: int | None) -> Storage | None:
    try:
        space = os.statvfs(files_root)
    except OSError:
        return None
    return Storage(
        space.f_bavail * space.f_frsize,
        space.f_blocks * space.f_frsize,
        Reserve(files_root, reserve_bytes).bytes_of(space),
    )
