"""Everything that is wrong with a configuration, whatever it is found by: its values, its names, and its files."""

from collections.abc import Callable, Iterator, Mapping

from oxidicom.configuration.names import misspelt_variables
from oxidicom.cube.conninfo import conninfo_fault
from oxidicom.lonk.credentials import credentials_fault
from oxidicom.setting_faults import Fault
from oxidicom.settings import EMBEDDED, Settings
from oxidicom.tls import certificate_faults


def examine(
    environment: Mapping[str, str], budget_fault: Callable[[Settings], str | None]
) -> tuple[Settings, list[Fault]]:
    """Return what can be read of a configuration, and every fault of it.

    `budget_fault` says what is wrong with the limits of this process. Only files are looked at, nothing else that the
    configuration points at: that may be away for a while, which is no fault.
    """
    settings, faults = Settings.examine(environment)
    faults += misspelt_variables(environment)
    faults += certificate_faults(settings)
    faults += _faults_of_access(settings)
    if budget := budget_fault(settings):
        faults.append(Fault("", budget))
    return settings, faults


def _faults_of_access(settings: Settings) -> Iterator[Fault]:
    if settings.db_connection != EMBEDDED and (reason := conninfo_fault(settings.db_connection)):
        yield Fault("CHRIS_DB_CONNECTION", f"CHRIS_DB_CONNECTION cannot be used: {reason}")
    if settings.nats_credentials and (reason := credentials_fault(settings.nats_credentials)):
        yield Fault(
            "CHRIS_NATS_CREDENTIALS", f"CHRIS_NATS_CREDENTIALS={settings.nats_credentials} cannot be used: {reason}"
        )
