"""The manual page oxidicom(1), made of what the command line and the settings say of themselves: `make man`.

    python -m oxidicom.manual >oxidicom.1

No kept library writes one for typer, whose copy of click is its own.
"""

import re
from collections.abc import Iterator

import typer.core
from pydantic.fields import FieldInfo

from oxidicom import __version__
from oxidicom.cli import command_tree
from oxidicom.operations.show_settings import text_of
from oxidicom.setting_groups import grouped_fields
from oxidicom.settings import Settings

_EXIT_STATUS = {
    "0": "All is well. For a command, see its description.",
    "1": "The gateway or the command failed, or a command found a problem.",
    "2": "A command found a critical problem.",
    "3": "Unknown command or option, or a value that cannot be used. To a monitoring system: UNKNOWN.",
    "78": "The configuration has errors. All of them are reported at once.",
}
_FILES = {
    "/etc/oxidicom/oxidicom.env": "The variables of the systemd service that 'make install-service' installs. "
    "'sudo oxidicom COMMAND' reads this file and runs as the user of the service.",
    "CHRIS_FILES_ROOT/SERVICES/PACS": "What was received.",
    "CHRIS_FILES_ROOT/.oxidicom": "The spools, and what was set aside.",
}


def manual() -> str:
    """Return the page, in the macros of man(7)."""
    root = command_tree()
    lines = [
        f'.TH OXIDICOM 1 "" "oxidicom {__version__}" "User Commands"',
        ".SH NAME",
        r"oxidicom \- a DICOM gateway for ChRIS",
        ".SH SYNOPSIS",
        r".B oxidicom",
        r"[\fIOPTIONS\fR] [\fICOMMAND\fR [\fIOPTIONS\fR]]",
        ".SH DESCRIPTION",
        *_paragraphs(root.help),
        ".SH OPTIONS",
        *_item("-h, --help", "Show this help, or the help of a command, and exit."),
        *_options(root),
        ".SH COMMANDS",
    ]
    for name, command in root.commands.items():
        lines += [f".SS {_escaped(name)}", *_paragraphs(command.help), *_options(command, besides=root)]
    lines += [".SH ENVIRONMENT", *_settings(), ".SH FILES", *_items(_FILES), ".SH EXIT STATUS", *_items(_EXIT_STATUS)]
    return "\n".join(lines) + "\n"


def _options(command: object, besides: typer.core.TyperGroup | None = None) -> Iterator[str]:
    shared = besides.params if besides else []
    for parameter in getattr(command, "params", []):
        if parameter in shared or not isinstance(parameter, typer.core.TyperOption):
            continue
        argument = "" if parameter.is_flag else f" {parameter.metavar or (parameter.name or '').upper()}"
        yield from _item(", ".join(parameter.opts) + argument, parameter.help or "")


def _settings() -> Iterator[str]:
    yield from _paragraphs(
        "Booleans are yes/no, y/n, true/false or 1/0. A size in bytes is a number, or a number with its unit: "
        "500MB, 128 KiB, 1GiB. OXIDICOM_... is read as CHRIS_..., OXIDICOM_LISTENER_PORT as PORT. An empty value is "
        "the same as none."
    )
    defaults = Settings.examine({})[0].model_dump(mode="json", by_alias=True)
    for heading, fields in grouped_fields():
        yield f".SS {_escaped(heading)}"
        for name, field in fields:
            yield from _setting(name, field, defaults[name])


def _setting(name: str, field: FieldInfo, value: object) -> Iterator[str]:
    default = "Required." if field.is_required() else f"Default: {text_of(value)}."
    is_told = field.default_factory and value  # it depends on the machine, and the description tells it
    description = (field.description or "").replace("`", "'")
    yield from _item(name, f"{description[:1].upper()}{description[1:]}. {'' if is_told else default}".strip())


def _items(items: dict[str, str]) -> Iterator[str]:
    for term, text in items.items():
        yield from _item(term, text)


def _item(term: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield rf"\fB{_escaped(term)}\fR"
    yield _escaped(text)


def _paragraphs(text: str | None) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", (text or "").strip()):
        yield ".PP"
        yield _escaped(paragraph)


def _escaped(text: str) -> str:
    """Return text as one line of roff, of which nothing is taken for a request or an escape."""
    line = " ".join(text.split()).replace("\\", r"\e").replace("-", r"\-")
    line = "".join(one if one.isascii() else rf"\[u{ord(one):04X}]" for one in line)
    return rf"\&{line}" if line.startswith((".", "'")) else line


if __name__ == "__main__":
    print(manual(), end="")
