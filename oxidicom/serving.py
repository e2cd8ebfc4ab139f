"""How the gateway begins: its log, its database if that is embedded, and the processes, until the supervisor has ended.

The law of this file: it alone of the library knows the processes, and imports them only when they are needed.
"""

from collections.abc import Mapping
from functools import partial

from loguru import logger

from oxidicom.announcement import announce
from oxidicom.configuration.faults import examine
from oxidicom.configuration.names import unknown_variables
from oxidicom.embedded.server import EmbeddedPostgres
from oxidicom.errors import BootError, CertificateError, ConfigurationError
from oxidicom.files.descriptors import raise_limit
from oxidicom.log_stream import never_wait_for_readers
from oxidicom.logs import configure_logs, is_journal
from oxidicom.processes import find_processes
from oxidicom.service_manager import ServiceManager
from oxidicom.setting_faults import Fault
from oxidicom.settings import EMBEDDED, Settings

EX_CONFIG = 78
"""sysexits.h: something was found in an unconfigured or misconfigured state."""


def examine_here(environment: Mapping[str, str]) -> tuple[Settings, list[Fault]]:
    """Return what can be read of a configuration, and every fault of it, the limits of this process among them."""
    find_processes()
    from workers.supervisor.descriptor_budget import descriptor_fault  # noqa: PLC0415 (see above)

    return examine(environment, lambda settings: descriptor_fault(settings, raise_limit()))


def run_gateway(settings: Settings, environment: Mapping[str, str]) -> int:
    """Serve until the supervisor has ended. Return the exit status."""
    never_wait_for_readers()
    to_journal = is_journal(environment.get("JOURNAL_STREAM", ""))
    configure_logs("supervisor", settings.log_format, settings.verbose, to_journal=to_journal)
    for warning in unknown_variables(environment):
        logger.warning(warning, action="unknown_variable")
    try:
        return _run(settings, _service_manager(environment))
    except BootError as error:
        logger.critical(str(error), action="cannot_start")
        return 1
    except (ConfigurationError, CertificateError) as error:  # CertificateError: its files were good a moment ago
        logger.critical(str(error), action="cannot_start")
        return EX_CONFIG
    except KeyboardInterrupt:
        return 130


def _run(settings: Settings, manager: ServiceManager) -> int:
    find_processes()
    from workers.supervisor.supervisor import Supervisor  # noqa: PLC0415 (see above)

    if settings.db_connection != EMBEDDED:
        return Supervisor(settings, settings.db_connection, manager, partial(announce, settings, None)).run()
    database = EmbeddedPostgres(settings.embedded_directory, settings.embedded_schema)
    logger.info(
        "Starting the embedded PostgreSQL in {path}",
        path=settings.embedded_directory,
        action="database_starting",
    )
    database.start()
    try:
        return Supervisor(settings, database.conninfo, manager, partial(announce, settings, database)).run()
    finally:
        database.stop()


def _service_manager(environment: Mapping[str, str]) -> ServiceManager:
    watchdog = environment.get("WATCHDOG_USEC", "")
    if watchdog and not watchdog.isdecimal():
        logger.warning(
            f"WATCHDOG_USEC={watchdog!r} is not a number: systemd gets no watchdog", action="unknown_variable"
        )
    return ServiceManager(environment.get("NOTIFY_SOCKET", ""), watchdog)
