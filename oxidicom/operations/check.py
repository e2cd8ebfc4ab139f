"""`oxidicom check`: the configuration, and whether what it points at can be used. It changes nothing that lasts."""

import datetime
import errno
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from oxidicom.cube.rights import LackingGrants
from oxidicom.errors import CertificateError, DatasetError, OxidicomError
from oxidicom.lonk.address import shown
from oxidicom.lonk.connection import try_server
from oxidicom.operations.database import conninfo_of, database_of, state_of_database
from oxidicom.operations.finding import GOOD, REMARK, TROUBLE, Finding
from oxidicom.operations.storage_access import deletion_by_cube, readers_of
from oxidicom.pacs.echo import echo
from oxidicom.port_trouble import port_trouble
from oxidicom.settings import Settings
from oxidicom.storage.reserve import Reserve
from oxidicom.storage.root import Root, has_tree, look_at_root
from oxidicom.tls import build_context, expiry_of, expiry_warning
from oxidicom.tree.final_tree import FinalTree

_STYLES = {GOOD: "green", REMARK: "yellow", TROUBLE: "bold red"}
_FEW_BYTES = 1 << 30


def run_checks(settings: Settings, warnings: Sequence[str], console: Console) -> int:
    """Check everything, print a table, and return the exit status: 1 when there is trouble."""
    table = Table("what", "verdict", "detail", title="oxidicom check")
    trouble = False
    statements: list[str] = []
    for finding in _findings(settings, warnings):
        style = _STYLES[finding.verdict]
        table.add_row(finding.subject, f"[{style}]{finding.verdict}[/]", finding.detail)
        trouble |= finding.verdict == TROUBLE
        statements += finding.statements
    console.print(table)
    if statements:
        console.print("For psql, as the owner of the database:")
    for statement in statements:
        console.print(statement, soft_wrap=True, highlight=False, markup=False)  # in one line, to be pasted
    return 1 if trouble else 0


def _findings(settings: Settings, warnings: Sequence[str]) -> Iterator[Finding]:
    yield Finding("configuration", GOOD, "all settings can be used")
    for warning in warnings:
        yield Finding("configuration", REMARK, warning)
    checks: list[Callable[[Settings], Iterator[Finding]]] = [_port, _tls, _storage, _database, _pacs, _nats]
    for one in checks:
        yield from one(settings)


def _port(settings: Settings) -> Iterator[Finding]:
    subject = f"port {settings.port}"
    family = socket.AF_INET6 if ":" in settings.bind_address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind_address, settings.port))
            yield Finding(subject, GOOD, "free")
        except OSError as error:
            trouble = port_trouble("PORT", settings.port, "CHRIS_BIND_ADDRESS", settings.bind_address, error)
            if error.errno == errno.EADDRINUSE:
                yield Finding(subject, REMARK, f"{trouble}; fine if that is the gateway")
            else:
                yield Finding(subject, TROUBLE, trouble)


def _tls(settings: Settings) -> Iterator[Finding]:
    if not settings.tls_certificate:
        yield Finding("TLS", REMARK, "not used: images and names cross the network as they are")
        return
    try:
        build_context(settings)
        expiry, warning = expiry_of(settings.tls_certificate), expiry_warning(settings.tls_certificate)
    except CertificateError as error:
        yield Finding("TLS", TROUBLE, str(error))
        return
    clients = "every peer needs a certificate" if settings.tls_client_ca else "peers need no certificate"
    yield Finding("TLS", GOOD, f"certificate and key fit, valid until {expiry:%Y-%m-%d %H:%M} UTC; {clients}")
    key = settings.tls_key or settings.tls_certificate
    if os.stat(key).st_mode & 0o004:
        yield Finding("TLS", REMARK, f"every user of this machine can read the key in {key}")
    if warning:
        yield Finding("TLS", TROUBLE if expiry < datetime.datetime.now(datetime.UTC) else REMARK, warning)


def _storage(settings: Settings) -> Iterator[Finding]:
    root = settings.files_root
    subject = "storage"
    if not os.path.isdir(root):
        yield Finding(subject, TROUBLE, f"{root} is no directory: mount CUBE's storage there, or set CHRIS_FILES_ROOT")
        return
    try:
        found = look_at_root(root)
        if found is Root.BARE:
            yield Finding(
                subject,
                REMARK,
                f"{root} has neither .oxidicom nor anything below SERVICES/PACS: a new installation, or CUBE's storage "
                "is not mounted there. The gateway takes nothing while the database knows PACS files",
            )
        yield from _writable(root)
    except OSError as error:
        yield Finding(subject, TROUBLE, f"{root} cannot be written: {error.strerror}")
        return
    yield _free_space(root, settings.storage_reserve_bytes)
    yield readers_of(root, settings.umask)


def _free_space(root: str, reserve_bytes: int | None) -> Finding:
    reserve, space = Reserve(root, reserve_bytes), os.statvfs(root)
    free_bytes, kept_bytes = space.f_bavail * space.f_frsize, reserve.bytes_of(space)
    detail = f"{free_bytes / 1e9:.1f} GB below {root}, of which {kept_bytes / 1e9:.1f} GB stay free as the reserve"
    try:
        reserve.check()
    except DatasetError:
        return Finding("free space", TROUBLE, f"{detail}: every instance would be refused (A700); make room")
    return Finding("free space", GOOD if free_bytes - kept_bytes >= _FEW_BYTES else REMARK, detail)


def _writable(root: str) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix=".oxidicom-check-", dir=root) as tmp:
        probe = os.path.join(tmp, "probe")
        with open(probe, "wb"):
            pass
        if not has_tree(root):
            yield Finding("storage", GOOD, f"{root} can be written; SERVICES/PACS is not there yet")
            return
        tree = FinalTree(root, tmp, time.time_ns)
        try:
            links = tree.probe(probe)
        finally:
            tree.remove_probe()
            tree.close()
        yield Finding("storage", GOOD, f"{root} can be written")
        if links:
            yield Finding("hard links", GOOD, "work from the spool into SERVICES")
        else:
            yield Finding("hard links", REMARK, "do not work into SERVICES: every file is copied once more")


def _database(settings: Settings) -> Iterator[Finding]:
    if conninfo_of(settings) is None:
        yield Finding("database", REMARK, "embedded; it is started with the gateway")
        return
    state = state_of_database(settings)
    if not state.reachable:
        yield Finding("database", TROUBLE, f"CHRIS_DB_CONNECTION ({state.name}): {state.reason}", tuple(state.grants))
        return
    yield Finding("database", GOOD, f"{state.name} is reachable, schema generation {state.generation}")
    with database_of(settings) as database:
        lacking, traits = database.lacking_grants(), database.traits()
    yield from _rights(lacking)
    if traits.people_delete_series:
        yield deletion_by_cube(settings.files_root, settings.umask)


def _rights(lacking: LackingGrants) -> Iterator[Finding]:
    subject = "database rights"
    if lacking.needed:
        detail = "the gateway's user lacks rights, and nothing can be registered; what gives them stands below"
        yield Finding(subject, TROUBLE, detail, tuple(lacking.needed))
    else:
        yield Finding(subject, GOOD, "the gateway's user has all that it needs")
    if lacking.useful:
        yield Finding(
            subject,
            REMARK,
            "registration waits while somebody else holds a folder, and a file may be registered while CUBE begins to "
            "delete its series, and then have a row and no file; the right that prevents both stands below",
            tuple(lacking.useful),
        )


def _pacs(settings: Settings) -> Iterator[Finding]:
    for address in settings.pacs_addresses.values():
        try:
            echo(address, settings.ae_title)
            yield Finding("PACS", GOOD, f"{address} answers C-ECHO")
        except OxidicomError as error:
            yield Finding("PACS", TROUBLE, f"{address}: {error}")


def _nats(settings: Settings) -> Iterator[Finding]:
    for address in settings.nats_addresses:
        reason = try_server(address, settings.nats_credentials)
        if reason:
            yield Finding("NATS", TROUBLE, f"{shown(address)}: {reason}; live progress is lost, nothing else")
        else:
            yield Finding("NATS", GOOD, f"{shown(address)} answers")
