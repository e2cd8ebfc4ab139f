"""The command line. The only place that reads `os.environ`."""

import datetime
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, NoReturn

import typer
from loguru import logger
from rich.console import Console

from oxidicom import __version__
from oxidicom.cube.conninfo import display
from oxidicom.embedded.server import EmbeddedPostgres
from oxidicom.errors import (
    BootError,
    CertificateError,
    ConfigurationError,
    DatabaseUnavailableError,
    OxidicomError,
)
from oxidicom.files.descriptors import raise_limit
from oxidicom.log_stream import never_wait_for_readers
from oxidicom.logs import configure_logs, is_journal, writes_text
from oxidicom.service_manager import ServiceManager
from oxidicom.settings import EMBEDDED, Settings, unknown_variables

EX_CONFIG = 78
"""sysexits.h: something was found in an unconfigured or misconfigured state."""

_app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A DICOM gateway for ChRIS: receives instances by C-STORE, stores them, and registers them in CUBE's "
    "database. Without a command it serves. It is configured by environment variables alone; README.md lists them.",
)


def main() -> None:
    """Run the command line."""
    _app()


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"oxidicom {__version__}")
        raise typer.Exit


@_app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        raise typer.Exit(_serve())


@_app.command()
def serve() -> None:
    """Receive, store and register until SIGTERM or SIGINT (the same as no command)."""
    raise typer.Exit(_serve())


@_app.command()
def check() -> None:
    """Check the configuration and everything that it points at; exit with an error if something is wrong."""
    from oxidicom.operations.check import run_checks  # noqa: PLC0415 (brings pynetdicom, which serving does without)

    settings = _settings()
    raise typer.Exit(run_checks(settings, unknown_variables(os.environ), Console()))


_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@_app.command()
def status(as_json: _Json = False) -> None:
    """Show what waits, since when, and what was set aside and why. It only reads; a gateway may run or not.

    Exit status 0: nothing is set aside and the database can be reached; else 1.
    """
    from oxidicom.operations.status import run_status  # noqa: PLC0415 (serving does without it)

    _operate(lambda settings: run_status(settings, as_json, Console()))


@_app.command()
def retry(
    association: Annotated[
        str | None, typer.Option(help="Only what was set aside of this association (a ULID).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be put back.")] = False,
) -> None:
    """Put what was set aside back, to be stored and registered again. A gateway may run or not.

    Exit status 0: nothing is left set aside; 1: something is, for the reason that is printed.
    """
    from oxidicom.operations.retry import run_retry  # noqa: PLC0415 (serving does without it)

    _operate(lambda settings: run_retry(settings.files_root, association, dry_run, Console()))


@_app.command()
def reconcile(
    register: Annotated[
        bool, typer.Option("--register", help="Register files without a row, described from the files themselves.")
    ] = False,
    since: Annotated[
        datetime.datetime | None,
        typer.Option(
            help="With --register: only files received since then, in local time; no question is asked. Any day up to "
            "1970 means all files."
        ),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Compare the files below SERVICES/PACS with the database. Nothing is ever deleted; a gateway may run or not.

    In CUBE 6 and 7 people delete series. Where CUBE may not remove the files, these have no row on purpose: before
    anything is registered it is asked whether they are to come back, unless --since says what is meant.

    Exit status 0: nothing differs, or not any more; else 1. What is printed has paths, which hold patient data.
    """
    from oxidicom.operations.consent import Wish, seconds_of  # noqa: PLC0415 (serving does without it)
    from oxidicom.operations.reconcile import run_reconcile  # noqa: PLC0415

    try:
        wish = Wish(register, None if since is None else seconds_of(since))
    except ValueError as error:
        raise typer.BadParameter(f"{since} is no date that can be used: {error}", param_hint="'--since'") from error
    _operate(lambda settings: run_reconcile(settings, wish, as_json, Console()))


def _operate(operation: Callable[[Settings], int]) -> NoReturn:
    """Run a command of the operator. What keeps it from its work is one line."""
    settings = _settings()
    try:
        raise typer.Exit(operation(settings))
    except DatabaseUnavailableError as error:
        reason = f"the database cannot be used: {error}"
    except OxidicomError as error:
        reason = str(error)
    except BrokenPipeError:
        raise  # whoever reads what is printed has seen enough: typer ends quietly
    except OSError as error:
        reason = f"{os.fsdecode(error.filename or settings.files_root)} cannot be used: {error.strerror}"
    print(f"oxidicom: {reason}", file=sys.stderr)
    raise typer.Exit(1)


def _settings() -> Settings:
    try:
        return Settings.from_environment(os.environ)
    except ConfigurationError as error:
        _refuse(error.faults)


def _refuse(faults: Sequence[str]) -> NoReturn:
    print("oxidicom cannot start: its configuration has errors.", file=sys.stderr)
    for fault in faults:
        print(f"  - {fault}", file=sys.stderr)
    print("README.md lists all settings.", file=sys.stderr)
    raise typer.Exit(EX_CONFIG)


def _serve() -> int:
    from workers.supervisor.descriptor_budget import descriptor_fault  # noqa: PLC0415 (see `_run`)

    settings = _settings()
    fault = descriptor_fault(settings, raise_limit())
    if fault:
        _refuse([fault])
    never_wait_for_readers()
    to_journal = is_journal(os.environ.get("JOURNAL_STREAM", ""))
    configure_logs("supervisor", settings.log_format, settings.verbose, to_journal=to_journal)
    for warning in unknown_variables(os.environ):
        logger.warning(warning, action="unknown_variable")
    try:
        return _run(settings)
    except (BootError, CertificateError) as error:
        logger.critical(str(error), action="cannot_start")
        return 1
    except KeyboardInterrupt:
        return 130


def _run(settings: Settings) -> int:
    from workers.supervisor.supervisor import Supervisor  # noqa: PLC0415 (only here the library knows the processes)

    if settings.db_connection != EMBEDDED:
        return Supervisor(settings, settings.db_connection, _service_manager(), lambda: _announce(settings)).run()
    database = EmbeddedPostgres(settings.embedded_directory, settings.embedded_schema)
    logger.info(
        "Starting the embedded PostgreSQL in {path}",
        path=settings.embedded_directory,
        action="database_starting",
    )
    database.start()
    try:
        on_ready = partial(_announce, settings, database)
        return Supervisor(settings, database.conninfo, _service_manager(), on_ready).run()
    finally:
        database.stop()


def _service_manager() -> ServiceManager:
    return ServiceManager(os.environ.get("NOTIFY_SOCKET", ""), os.environ.get("WATCHDOG_USEC", ""))


def _announce(settings: Settings, database: EmbeddedPostgres | None = None) -> None:
    """Say once that the gateway is ready, and to a person also how to use it."""
    if not writes_text(settings.log_format):
        logger.info(
            "Ready",
            port=settings.port,
            ae_title=settings.ae_title,
            files_root=settings.files_root,
            listeners=settings.listeners,
            tls=bool(settings.tls_certificate),
            database=display(settings.db_connection),
            action="ready",
        )
        return
    tls = bool(settings.tls_certificate)
    lines = [
        f"oxidicom {__version__} is ready.",
        f"  listens on  port {settings.port} ({settings.bind_address}{', TLS' if tls else ''}), "
        f"AE title {settings.ae_title}, {settings.listeners} associations at a time",
        f"  files       {settings.files_root}/SERVICES/PACS",
        f"  database    {display(settings.db_connection)}",
    ]
    if database:
        lines += ["  look into it:", f"    {database.psql_command}"]
    lines += [
        "  send it a file:",
        f"    storescu{' +tla -ic' if tls else ''} -aet TEST -aec {settings.ae_title} 127.0.0.1 "
        f"{settings.port} image.dcm",
        "  stop it with Ctrl-C.",
    ]
    print("\n".join(lines), file=sys.stderr)
