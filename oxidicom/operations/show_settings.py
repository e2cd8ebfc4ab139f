"""`oxidicom settings`: each setting with its value, where that comes from, its default, and what is wrong with it.

No secret is shown, be its setting faulty or not.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich.console import Console

from oxidicom.cube.conninfo import without_secrets
from oxidicom.logs import printable
from oxidicom.operations.printing import TextTable, print_json, say
from oxidicom.setting_faults import SECRET, Fault
from oxidicom.setting_groups import GROUPS, grouped_fields
from oxidicom.settings import Settings, known_variables
from oxidicom.variables import canonical

_LEAST_TABLE_WIDTH = 80
_HIDDEN = "(not shown: it may hold a password)"


class ShownSetting(msgspec.Struct):
    """One setting."""

    variable: str
    value: Any
    """As the gateway reads it; as it is given when it is faulty."""
    default: Any
    source: str
    """`default`, `environment`, or the path of a file."""
    spelled: str | None
    """The name by which it is set."""
    faults: list[str]

    @property
    def origin(self) -> str:
        """The source, and the name where that is another spelling."""
        return self.source if self.spelled in (None, self.variable) else f"{self.source}, as {self.spelled}"


class ShownConfiguration(msgspec.Struct):
    """Everything that the command shows."""

    settings: list[ShownSetting]
    faults: list[str]
    """Those of no setting."""
    warnings: list[str]


def show_settings(
    environment: Mapping[str, str],
    file_of: Mapping[str, str],
    examined: tuple[Settings, Sequence[Fault]],
    warnings: Sequence[str],
) -> ShownConfiguration:
    """Say what each setting is. `file_of` has the path of the file from which a variable was read."""
    settings, faults = examined
    values, defaults = _values(settings), _values(Settings.examine({})[0])
    spelled = {canonical(name): name for name, value in environment.items() if value.strip()}
    shown = []
    for variable, field in (one for _, fields in grouped_fields() for one in fields):
        name = spelled.get(variable)
        wrong = [fault.sentence for fault in faults if fault.variable == variable]
        value = _given(variable, environment[name]) if name and wrong else values[variable]
        shown.append(
            ShownSetting(
                variable,
                None if field.is_required() and name is None else value,
                None if field.is_required() else defaults[variable],
                "default" if name is None else file_of.get(name, "environment"),
                name,
                wrong,
            )
        )
    others = [fault.sentence for fault in faults if fault.variable not in known_variables()]
    return ShownConfiguration(shown, others, list(warnings))


def print_settings(configuration: ShownConfiguration, as_json: bool, console: Console) -> None:
    """Print it: as JSON, as a table on a terminal that has room for it, else as a line for each setting."""
    if as_json:
        print_json(configuration)
        return
    if console.is_terminal and console.width >= _LEAST_TABLE_WIDTH:
        _table(configuration).print(console)
    else:
        for one in configuration.settings:
            fields = f"{one.variable}={_value_of(one)}", one.origin, _default_of(one)
            print("\t".join(map(printable, fields)), file=console.file)
    for sentence in (*(fault for one in configuration.settings for fault in one.faults), *configuration.faults):
        say(console, ("fault", "bold red"), f"    {sentence}")
    for warning in configuration.warnings:
        say(console, ("remark", "yellow"), f"   {warning}")


def _table(configuration: ShownConfiguration) -> TextTable:
    """Return a table in which no name is cut or broken, and nothing else is cut."""
    table = TextTable("oxidicom settings", "variable", "value", "from", "default", is_first_whole=True)
    last_of_groups = {variables[-1] for variables in GROUPS.values()}
    for one in configuration.settings:
        table.add(
            one.variable,
            _value_of(one),
            one.origin,
            _default_of(one),
            style="bold red" if one.faults else "bold" if one.spelled else "dim",
            end_section=one.variable in last_of_groups,
        )
    return table


def _value_of(one: ShownSetting) -> str:
    return "not set" if one.variable in _REQUIRED and one.value is None else text_of(one.value)


def _default_of(one: ShownSetting) -> str:
    return "required" if one.default is None and one.variable in _REQUIRED else text_of(one.default)


_REQUIRED = {str(field.alias) for field in Settings.model_fields.values() if field.is_required()}


def _values(settings: Settings) -> dict[str, Any]:
    """Return the value of each variable; that of CHRIS_NATS_ADDRESS is without what gives access by itself."""
    values = settings.model_dump(mode="json", by_alias=True)
    values["CHRIS_DB_CONNECTION"] = without_secrets(settings.db_connection)
    values["OTEL_EXPORTER_OTLP_ENDPOINT"] = re.sub("^([^/]*//)?.*@", r"\1***@", settings.otlp_endpoint)
    return values


def _given(variable: str, text: str) -> str:
    return _HIDDEN if variable in SECRET else text


def text_of(value: object) -> str:
    """Return a value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"
