"""What is wrong with the value of a setting, as a sentence that names variable, value and remedy. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import ErrorDetails

from oxidicom.former_variables import INSTEAD_OF_A_DATABASE
from oxidicom.variables import canonical

SECRET = ("CHRIS_DB_CONNECTION", "CHRIS_NATS_ADDRESS")
"""These may hold a password, which is not to be shown."""
_REMEDIES = {
    "CHRIS_DB_CONNECTION": "give CUBE's database, such as postgresql://user@host/chris, or the word "
    "`embedded` for a private PostgreSQL",
    "CHRIS_FILES_ROOT": "give the directory where CUBE's storage is mounted",
}


_CAUSES = {
    "bool_parsing": "yes or no is expected (also y/n, true/false, 1/0)",
    "finite_number": "a number is expected",
    "float_parsing": "a number is expected",
    "greater_than": "more than {gt:g} is expected",
    "greater_than_equal": "{ge} or more is expected",
    "int_parsing": "a whole number is expected",
    "less_than_equal": "{le:.12g} or less is expected",
    "literal_error": "{expected} is expected",
    "string_unicode": "it is not UTF-8",
}
"""By the types of pydantic's errors, with what is in their contexts."""


class Fault(NamedTuple):
    """What is wrong with a configuration: a sentence, and the variable that is to blame, if it is one."""

    variable: str
    sentence: str


def fault_of(detail: ErrorDetails, environment: Mapping[str, str]) -> Fault:
    """Return what pydantic found as a sentence for people. No secret is in it."""
    return Fault(str(detail["loc"][0]), _sentence(detail, environment))


def _sentence(detail: ErrorDetails, environment: Mapping[str, str]) -> str:
    name = str(detail["loc"][0])
    if detail["type"] == "missing":
        sentence = f"{name} is not set: {_REMEDIES.get(name, 'it is required')}"
        return sentence + _instead(environment) if name == "CHRIS_DB_CONNECTION" else sentence
    context = detail.get("ctx", {})
    cause: Any = context.get("error", detail["msg"])
    if template := _CAUSES.get(detail["type"]):
        cause = template.format_map(context)
    value = "" if name in SECRET else f"={detail['input']!r}"
    return f"{name}{value} cannot be used: {cause}"


def _instead(environment: Mapping[str, str]) -> str:
    """Tell whoever comes from a gateway without a connection to the database why this one needs it."""
    given = [name for name in environment if canonical(name) in INSTEAD_OF_A_DATABASE and environment[name].strip()]
    if not given:
        return ""
    return (
        f". {', '.join(sorted(given))} cannot stand in for it: CUBE registered what the former gateway received, this "
        "one writes the rows itself, and needs no broker for it (docs/migration.md)"
    )
