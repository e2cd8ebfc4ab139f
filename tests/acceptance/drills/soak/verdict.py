"""The account in the end: what was acknowledged is stored byte for byte, registered once and counted right."""

import contextlib
import glob
import os
import time
from collections.abc import Collection

import psycopg

from benchmarks.datasets import Identity
from tests.acceptance.drills.account import metadata_is_right
from tests.acceptance.drills.soak.senders import dataset
from tests.acceptance.drills.soak.site import Site
from tests.fixtures.postgres import read_rows

_DRAIN_SECONDS = 600.0
_SHOWN = 10


class LostError(Exception):
    """Something that was acknowledged is not as it must be."""


def judge(site: Site, acknowledged: Collection[Identity]) -> str:
    """Wait until everything has come to rest, and judge. Return a sentence. Raise LostError."""
    seconds = _settle(site)
    rows = _readable_rows(site)
    names = [row["fname"] for row in rows]
    files = glob.glob("SERVICES/**/*.dcm", root_dir=site.files_root, recursive=True)
    _require(len(set(names)) == len(names), "a row is there twice")
    _require_same(set(names), set(files), "rows without files", "files without rows")
    by_uid = {name.rpartition("-")[2].removesuffix(".dcm"): name for name in names}
    lost = [one.sop_instance_uid for one in acknowledged if one.sop_instance_uid not in by_uid]
    _require(not lost, f"{len(lost)} acknowledged are not there: {lost[:_SHOWN]}")
    for one in acknowledged:
        data = (site.files_root / by_uid[one.sop_instance_uid]).read_bytes()
        _require(data.endswith(dataset(one)), f"{one.sop_instance_uid} is not what was sent")
    aside = glob.glob(".oxidicom/set-aside/*/*", root_dir=site.files_root)
    _require(not aside, f"set aside: {aside[:_SHOWN]}")
    failed = [line for gateway in site.gateways for line in gateway.lines("process_failed")]
    _require(not failed, f"bugs of ours: {failed[:_SHOWN]}")
    try:
        counted = metadata_is_right(read_rows(site.conninfo, metadata=True))
    except AssertionError as error:
        raise LostError(f"metadata values: {error}") from error
    _require(counted == len(rows), f"the counts say {counted}, there are {len(rows)} rows")
    return (
        f"nothing lost: {len(acknowledged)} acknowledged instances are stored and registered once, of {len(rows)} that "
        f"came whole; at rest {seconds:.0f} s after the last blow"
    )


def _settle(site: Site) -> float:
    """Wait until nothing is left in any spool. Return how long that took. Raise LostError."""
    began = time.monotonic()
    while left := _spooled(site):
        if time.monotonic() > began + _DRAIN_SECONDS:
            raise LostError(f"{len(left)} things never leave the spool: {left[:_SHOWN]}")
        time.sleep(1)
    return time.monotonic() - began


def _spooled(site: Site) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return glob.glob(".oxidicom/0*/spool/*/*", root_dir=site.files_root)
    return ["?"]


def waiting(site: Site) -> int:
    """Return how many things stand in the spools."""
    return len(_spooled(site))


def _readable_rows(site: Site):
    try:
        return read_rows(site.conninfo)
    except psycopg.Error as error:
        raise LostError(f"the database cannot be read: {error}") from error


def _require(is_good: bool, otherwise: str) -> None:
    if not is_good:
        raise LostError(otherwise)


def _require_same(names: set[str], files: set[str], more_names: str, more_files: str) -> None:
    _require(not names - files, f"{len(names - files)} {more_names}: {sorted(names - files)[:_SHOWN]}")
    _require(not files - names, f"{len(files - names)} {more_files}: {sorted(files - names)[:_SHOWN]}")


def free_bytes(site: Site) -> int:
    """Return how much room is left on the storage."""
    space = os.statvfs(site.files_root)
    return space.f_bavail * space.f_frsize
