"""`oxidicom check`: the configuration, and whether what it points at can be used. It changes nothing that lasts."""

import datetime
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.filesize import decimal

from oxidicom.cube.rights import LackingGrants
from oxidicom.errors import CertificateError, OxidicomError
from oxidicom.judgement.judgement import Level
from oxidicom.judgement.rules import of_certificate, of_room
from oxidicom.lonk.address import shown
from oxidicom.lonk.connection import try_server
from oxidicom.operations.database import conninfo_of, database_of, state_of_database
from oxidicom.operations.finding import Finding, Verdict
from oxidicom.operations.ports import of_ports
from oxidicom.operations.printing import TextTable, print_json, say
from oxidicom.operations.storage_access import deletion_by_cube, readers_of, unwritable
from oxidicom.operations.storage_root import find_root, of_root
from oxidicom.pacs.echo import echo
from oxidicom.pacs.find import try_find
from oxidicom.paths.final_path import PACS_ROOT
from oxidicom.settings import Settings
from oxidicom.storage.reserve import room_of
from oxidicom.storage.root import has_tree
from oxidicom.tls import build_context, expiry_of
from oxidicom.tree.final_tree import FinalTree

_VERDICTS = {Level.WARNING: Verdict.WARNING, Level.CRITICAL: Verdict.CRITICAL}
_SIZE_UNKNOWN = "it stays unknown whether its series are complete"


def run_checks(settings: Settings, warnings: Sequence[str], as_json: bool, console: Console) -> int:
    """Check everything, print a table or JSON, and return the exit status: 0 OK, 1 warning, 2 critical."""
    findings = list(_findings(settings, warnings))
    level = max((finding.verdict.level for finding in findings), key=lambda level: level.exit_status)
    if as_json:
        print_json({"level": level, "findings": findings})
    else:
        _print(findings, console)
    return level.exit_status


def _print(findings: Sequence[Finding], console: Console) -> None:
    table = TextTable("oxidicom check", "what", "verdict", "detail")
    for finding in findings:
        table.add(finding.subject, (finding.verdict.label, finding.verdict.style), finding.detail)
    table.print(console)
    statements = [statement for finding in findings for statement in finding.statements]
    if statements:
        say(console, "For psql, as the owner of the database:")
    for statement in statements:
        say(console, statement)  # in one line, to be pasted


def _findings(settings: Settings, warnings: Sequence[str]) -> Iterator[Finding]:
    yield Finding("configuration", Verdict.GOOD, "all settings can be used")
    for warning in warnings:
        yield Finding("configuration", Verdict.NOTE, warning)
    checks: list[Callable[[Settings], Iterator[Finding]]] = [of_ports, _peers, _tls, _storage, _database, _pacs, _nats]
    for one in checks:
        yield from one(settings)


def _tls(settings: Settings) -> Iterator[Finding]:
    if not settings.tls_certificate:
        yield Finding("TLS", Verdict.NOTE, "not used: images and names cross the network unencrypted")
        return
    try:
        build_context(settings)
        expiry = expiry_of(settings.tls_certificate)
    except CertificateError as error:
        yield Finding("TLS", Verdict.CRITICAL, str(error))
        return
    clients = "every peer needs a certificate" if settings.tls_client_ca else "peers need no certificate"
    yield Finding("TLS", Verdict.GOOD, f"certificate and key fit, valid until {expiry:%Y-%m-%d %H:%M} UTC; {clients}")
    key = settings.tls_key or settings.tls_certificate
    if os.stat(key).st_mode & 0o004:
        yield Finding("TLS", Verdict.WARNING, f"every user of this machine can read the key in {key}")
    for reason in of_certificate(expiry, datetime.datetime.now(datetime.UTC)):
        yield Finding("TLS", _VERDICTS[reason.level], str(reason))


def _storage(settings: Settings) -> Iterator[Finding]:
    root = settings.files_root
    subject = "storage"
    try:
        found = find_root(settings)
        for reason in of_root(found):
            yield Finding(subject, _VERDICTS[reason.level], f"{root}: {reason}")
        if found.is_unusable:
            return
        if found.is_new:
            yield Finding(subject, Verdict.NOTE, f"{root} is that of a new installation: no PACS files are known")
        yield from _writable(root)
    except OSError as error:
        yield Finding(subject, Verdict.CRITICAL, unwritable(root, error))
        return
    yield _room(root, settings.storage_reserve_bytes)
    yield readers_of(root, settings.umask)


def _room(root: str, reserve_bytes: int | None) -> Finding:
    room = room_of(root, reserve_bytes)
    for reason in of_room(room):
        return Finding("room", _VERDICTS[reason.level], str(reason))
    free, kept = decimal(room.free_bytes), decimal(room.reserve_bytes)
    return Finding("room", Verdict.GOOD, f"{free} free below {root}, of which {kept} stay free as the reserve")


def _writable(root: str) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix=".oxidicom-check-", dir=root) as tmp:
        probe = os.path.join(tmp, "probe")
        with open(probe, "wb"):
            pass
        if not has_tree(root):
            yield Finding("storage", Verdict.GOOD, f"{root} can be written; SERVICES/PACS is not there yet")
            return
        tree = FinalTree(root, tmp, time.time_ns)
        try:
            links = tree.probe(probe)
        except OSError as error:
            yield Finding("storage", Verdict.CRITICAL, unwritable(os.path.join(root, PACS_ROOT), error))
            return
        finally:
            tree.remove_probe()
            tree.close()
        yield Finding("storage", Verdict.GOOD, f"{root} can be written")
        if links:
            yield Finding("hard links", Verdict.GOOD, "work from the spool into SERVICES")
        else:
            yield Finding("hard links", Verdict.NOTE, "do not work into SERVICES, so every file is copied once more")


def _database(settings: Settings) -> Iterator[Finding]:
    if conninfo_of(settings) is None:
        yield Finding("database", Verdict.NOTE, "embedded; it is started with the gateway")
        return
    state = state_of_database(settings)
    if not state.reachable:
        yield Finding(
            "database", Verdict.CRITICAL, f"CHRIS_DB_CONNECTION ({state.name}): {state.reason}", tuple(state.grants)
        )
        return
    detail = f"{state.name} is reachable and takes rows, schema generation {state.generation}"
    yield Finding("database", Verdict.GOOD, detail)
    with database_of(settings) as database:
        lacking, traits = database.lacking_grants(), database.traits()
    yield _useful_rights(lacking)
    if traits.people_delete_series:
        yield deletion_by_cube(settings.files_root, settings.umask)


def _useful_rights(lacking: LackingGrants) -> Finding:
    subject = "database rights"
    if not lacking.useful:
        return Finding(subject, Verdict.GOOD, "the gateway's user has every right that it can use")
    return Finding(
        subject,
        Verdict.WARNING,
        "registration waits while somebody else holds a folder, and a file may be registered while CUBE begins to "
        "delete its series, and then have a row and no file; the right that prevents both is below",
        tuple(lacking.useful),
    )


def _peers(settings: Settings) -> Iterator[Finding]:
    if settings.allowed_peers:
        allowed = ", ".join(map(str, settings.allowed_peers))
        yield Finding("peers", Verdict.GOOD, f"may send: {allowed}")
    elif not settings.tls_client_ca:
        yield Finding(
            "peers",
            Verdict.NOTE,
            "everybody who reaches the port may send, under any AE title: set CHRIS_SCP_ALLOWED_AETS or "
            "CHRIS_TLS_CLIENT_CA to limit this",
        )


def _pacs(settings: Settings) -> Iterator[Finding]:
    for address in settings.pacs_addresses.values():
        try:
            echo(address, settings.ae_title)
        except OxidicomError as error:
            yield Finding("PACS", Verdict.WARNING, f"{address}: {error}; {_SIZE_UNKNOWN}")
            continue
        try:
            try_find(address, settings.ae_title, settings.pacs_timeout_seconds)
        except OxidicomError as error:
            detail = f"{address} answers C-ECHO, but not C-FIND: {error}; {_SIZE_UNKNOWN}"
            yield Finding("PACS", Verdict.WARNING, detail)
        else:
            yield Finding("PACS", Verdict.GOOD, f"{address} answers C-ECHO and C-FIND")


def _nats(settings: Settings) -> Iterator[Finding]:
    for address in settings.nats_addresses:
        reason = try_server(address, settings.nats_credentials)
        if reason:
            yield Finding("NATS", Verdict.WARNING, f"{shown(address)}: {reason}; live progress is lost, no image is")
        else:
            yield Finding("NATS", Verdict.GOOD, f"{shown(address)} answers")
