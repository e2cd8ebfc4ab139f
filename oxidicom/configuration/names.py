"""Variables that are meant for us and that no setting has: close to one they are a fault, else a warning."""

from collections.abc import Mapping

from oxidicom.former_variables import FORMER_VARIABLES
from oxidicom.setting_faults import Fault
from oxidicom.settings import known_variables
from oxidicom.variables import canonical, is_meant_for_us, meant_by


def misspelt_variables(environment: Mapping[str, str]) -> list[Fault]:
    """Return a fault for each variable that is meant for us, that no setting has, and that is close to one.

    Else a door that somebody meant to close would stay open. An empty value is the same as an absent one.
    """
    names = ((name, meant_by(name, known_variables())) for name in _strangers(environment) if environment[name].strip())
    return [Fault(name, f"{name} is no setting of oxidicom; did you mean {meant}?") for name, meant in names if meant]


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that is meant for us, that no setting has, and that is close to none.

    It says what became of it, if the former gateway had it.
    """
    former = [name for name in sorted(environment) if canonical(name) in FORMER_VARIABLES]
    unknown = [name for name in _strangers(environment) if not meant_by(name, known_variables())]
    return [f"{name} {FORMER_VARIABLES[canonical(name)]}" for name in former] + [
        f"{name} is set but is no setting of oxidicom" for name in unknown
    ]


def _strangers(environment: Mapping[str, str]) -> list[str]:
    known = {*known_variables(), *FORMER_VARIABLES}
    return [name for name in sorted(environment) if is_meant_for_us(name) and canonical(name) not in known]
