"""Variables that are meant for us and that no setting has: a fault where it is seen what is meant, else a warning."""

from collections.abc import Iterator, Mapping

from oxidicom.former_variables import FORMER_VARIABLES
from oxidicom.setting_faults import Fault
from oxidicom.settings import known_variables
from oxidicom.variables import canonical, has_misspelt_prefix, is_meant_for_us, meant_by
from oxidicom.wording import one_of


def misspelt_variables(environment: Mapping[str, str]) -> list[Fault]:
    """Return a fault for each variable that is no setting, and close to one or about who may send or encryption.

    Else a door that somebody meant to close would stay open. An empty value is the same as an absent one.
    """
    names = ((name, meant_by(name, known_variables())) for name in _strangers(environment) if environment[name].strip())
    return [
        Fault(name, f"{name} is not a setting of oxidicom; did you mean {one_of(meant)}?")
        for name, meant in names
        if meant
    ]


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that has one of our prefixes, that no setting has, and that is no fault.

    It says what became of it, if the former gateway had it.
    """
    former = [name for name in sorted(environment) if canonical(name) in FORMER_VARIABLES]
    unknown = [
        name for name in _strangers(environment) if is_meant_for_us(name) and not meant_by(name, known_variables())
    ]
    return [f"{name} {FORMER_VARIABLES[canonical(name)]}" for name in former] + [
        f"{name} is set but is not a setting of oxidicom" for name in unknown
    ]


def _strangers(environment: Mapping[str, str]) -> Iterator[str]:
    known = {*known_variables(), *FORMER_VARIABLES}
    for name in sorted(environment):
        if (is_meant_for_us(name) or has_misspelt_prefix(name)) and canonical(name) not in known:
            yield name
