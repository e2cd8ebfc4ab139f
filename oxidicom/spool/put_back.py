"""Putting back what was set aside: from `set-aside/{association}` to a spool, where a gateway takes it up.

The association gets a directory again, under its own ULID, in the spool of a gateway directory that is released
afterwards: so a running gateway adopts it within seconds, and a stopped one at its start. From there on everything
goes the way that it goes after a crash; there is no second one.

What is set up before the first file moves makes sure that nothing is decided twice:

    ledger.jsonl                              started, the series, ended; no committed instance: those are counted
    {series hash}-{KEY}=unknown.registered    a placeholder for each metadata value of each series: it is registered, or
                                              set aside itself and put back as `.due`

Instances go back as `.received`, to be stored, synced and registered; a crash at any moment leaves each file in
`set-aside/` or in the spool.
"""

import contextlib
import dataclasses
import os
import pwd
from collections.abc import Iterator, Set

from oxidicom.errors import DatasetError, OperationError
from oxidicom.files.directories import sync_directory
from oxidicom.files.locks import take_lock
from oxidicom.files.lost_pages import has_lost_pages
from oxidicom.files.regular_file import NotRegularFileError
from oxidicom.paths.private_root import PRIVATE_ROOT, moment_of
from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY, Series
from oxidicom.spool.entries import describe_entry
from oxidicom.spool.gateway_directory import gateway_paths, spool_of
from oxidicom.spool.journal import first_state
from oxidicom.spool.ledger import LEDGER_NAME, Counts, Ended, LedgerWriter, SeriesOpened, Started
from oxidicom.spool.metadata_rows import UNKNOWN
from oxidicom.spool.names import REGISTERED, EntryName, MetadataValue, in_order, parse_name
from oxidicom.spool.set_aside import ThingSetAside, set_aside_of
from oxidicom.tree.group_sync import sync_file

_LOCK = "retry"
ENDED = "put back by retry"
"""How the ledger of an association says that it ended, the second time."""


def is_put_back(counts: Counts) -> bool:
    """Tell whether an association was put back: its ledger says what its series are, and no instance of them."""
    return counts.ended is not None and counts.ended.how == ENDED


@dataclasses.dataclass(frozen=True)
class Plan:
    """What can be put back of one association."""

    association: str
    series: dict[str, Series] = dataclasses.field(default_factory=dict)
    """By series hash."""
    files: list[ThingSetAside] = dataclasses.field(default_factory=list)
    left: list[tuple[ThingSetAside, str]] = dataclasses.field(default_factory=list)
    """What would be refused again for sure, each with the reason."""


@contextlib.contextmanager
def sole_use_of(aside: str) -> Iterator[None]:
    """Keep everybody else from putting back while it lasts. Raise OperationError, or OSError when there is none.

    Workers may set aside meanwhile: they do so only for associations that stand in a spool, which are left alone.
    """
    owner = os.stat(aside).st_uid
    if owner != os.geteuid():
        raise OperationError(
            f"{aside} belongs to {_name_of(owner)}, whose gateway could not read what another user puts back: "
            "run this as that user"
        )
    try:
        lock = take_lock(os.path.join(os.path.dirname(aside), _LOCK))
    except BlockingIOError:
        raise OperationError(
            "another `oxidicom retry` or `oxidicom discard` is at work: try again when it has ended"
        ) from None
    try:
        yield
    finally:
        os.close(lock)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with the id {uid}"


def tell_of_put_back(files_root: str) -> None:
    """Have running gateways look around now, for what was put back and released. Raise OSError."""
    os.utime(os.path.join(files_root, PRIVATE_ROOT, _LOCK))


def last_put_back_ns(files_root: str) -> int | None:
    """Return when something was put back last, or None when that never was. Raise OSError."""
    try:
        return os.stat(os.path.join(files_root, PRIVATE_ROOT, _LOCK)).st_mtime_ns
    except FileNotFoundError:
        return None


def is_in_a_spool(files_root: str, association: str) -> bool:
    """Tell whether an association is not finished in some gateway. Ask before `plan_for`, not after. Raise OSError.

    Looked at twice: while it is adopted it moves from one spool to another, where the first look may miss it.
    """
    return any(
        os.path.exists(os.path.join(spool_of(path), association))
        for _ in range(2)
        for path in gateway_paths(files_root)
    )


def plan_for(aside: str, association: str) -> Plan:
    """Look through what was set aside of one association. Raise OSError."""
    plan = Plan(association)
    if moment_of(association) is None:
        plan.left.extend(
            (one, "its directory is not that of an association") for one in set_aside_of(aside, association)
        )
        return plan
    values: list[ThingSetAside] = []
    for one in sorted(set_aside_of(aside, association), key=lambda one: in_order(one.file_name)):
        if one.is_discarded:
            plan.left.append((one, "it was being thrown away: `oxidicom discard` again ends that"))
            continue
        match one.name:
            case EntryName():
                _plan_instance(plan, one, one.name, os.path.join(aside, association, one.file_name))
            case MetadataValue():
                values.append(one)
            case None if one.file_name != LEDGER_NAME:  # a ledger is made anew, from the instances
                plan.left.append((one, "it is not a file of the gateway"))
    for one in values:  # after the instances, which know their series
        _plan_value(plan, one)
    return plan


def _plan_instance(plan: Plan, one: ThingSetAside, name: EntryName, path: str) -> None:
    found = _series_or_reason(name, one.size_bytes, path)
    if isinstance(found, str):
        plan.left.append((one, found))
        return
    plan.series.setdefault(name.series_hash, found)
    plan.files.append(one)


def _series_or_reason(name: EntryName, size_bytes: int, path: str) -> Series | str:
    """Return the series of an instance, or why it would be refused again for sure. Raise OSError."""
    if size_bytes != name.size_bytes:
        return f"it has {size_bytes} bytes instead of {name.size_bytes}: it was cut off"
    try:
        return describe_entry(path).series
    except DatasetError as error:
        return f"it cannot be read: {error}"
    except NotRegularFileError:
        return "it is not a regular file"
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 (a bug of ours costs this one)
        return f"it meets a bug in the gateway ({type(error).__name__}): please report it"


def series_that_come_back(directory: str, wanted: Set[str]) -> set[str]:
    """Return those of the `wanted` series, by hash, of which an instance can be put back.

    `directory` is what is set aside of one association. Raise OSError.
    """
    found: set[str] = set()
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as scan:
        for entry in scan:
            name, _ = parse_name(entry.name) or (None, "")
            if (
                isinstance(name, EntryName)
                and name.series_hash in wanted
                and name.series_hash not in found
                and _can_be_put_back(entry, name)
            ):
                found.add(name.series_hash)
    return found


def _can_be_put_back(entry: "os.DirEntry[str]", name: EntryName) -> bool:
    """Tell whether storage would take an instance: it is whole, and says what it is."""
    found = _series_or_reason(name, entry.stat(follow_symlinks=False).st_size, entry.path)
    return not isinstance(found, str) and not has_lost_pages(entry.path)


def _plan_value(plan: Plan, one: ThingSetAside) -> None:
    assert isinstance(one.name, MetadataValue)
    if one.series:
        plan.series.setdefault(one.name.series_hash, one.series)
    if one.name.series_hash in plan.series:
        plan.files.append(one)
    else:
        plan.left.append(
            (one, "its JSON file does not name its series; `oxidicom reconcile --register` may find it out")
        )


def put_back(plan: Plan, spool: str, aside: str) -> None:
    """Move the files of `plan` to `spool`, inside `sole_use_of`. Raise OSError: what was moved by then stays moved."""
    directory = _set_up(plan, spool)
    source = os.path.join(aside, plan.association)
    for one in plan.files:
        assert one.name is not None
        os.rename(os.path.join(source, one.file_name), os.path.join(directory, one.name.at(first_state(one.name))))
    with contextlib.suppress(FileNotFoundError):  # of an association that was set aside as a whole
        os.unlink(os.path.join(source, LEDGER_NAME))
    sync_directory(directory)
    sync_directory(source)


def _set_up(plan: Plan, spool: str) -> str:
    """Make the directory of the association, with all that must be in it before the first file. Return it."""
    directory = os.path.join(spool, plan.association)
    hidden = os.path.join(spool, f".{plan.association}")
    os.mkdir(hidden, 0o700)
    ledger = LedgerWriter(os.path.join(hidden, LEDGER_NAME), create=True)
    try:
        calling_ae_title = next(iter(plan.series.values())).calling_ae_title
        ledger.append(Started(plan.association, calling_ae_title, "", ""))
        for series_hash, series in plan.series.items():
            ledger.append(SeriesOpened(series_hash, series))
        ledger.append(Ended(ENDED, 0))
    finally:
        ledger.close()
    sync_file(os.path.join(hidden, LEDGER_NAME))
    for series_hash in plan.series:
        for key in (EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY):
            placeholder = MetadataValue(series_hash, key, UNKNOWN).at(REGISTERED)
            os.close(os.open(os.path.join(hidden, placeholder), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    sync_directory(hidden)
    os.rename(hidden, directory)
    sync_directory(spool)
    return directory
