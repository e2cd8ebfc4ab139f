"""A file of environment variables, in the syntax of systemd's EnvironmentFile= (systemd.exec(5)).

One NAME=value a line; lines that begin with `#` or `;` are comments; a value may be quoted with ' or ", and nothing in
it is expanded. What systemd ignores without a word is an error here, and so is what is surely meant otherwise.
"""

import os
import re
from collections.abc import Collection
from typing import NamedTuple

from oxidicom.errors import ConfigurationError
from oxidicom.variables import canonical

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_LINE_BEFORE_VALUE = re.compile(r"[ \t]*([^=\n]*?)[ \t]*=")
_SINGLE_QUOTED = re.compile(r"'([^']*)'")
_DOUBLE_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE = re.compile(r"(?:[^\\\n]|\\(?:.|\Z))*", re.DOTALL)
_BARE_AND_BLANKS = re.compile(r"((?:[^\\]|\\.?)*?)[ \t]*", re.DOTALL)
_BLANKS = re.compile(r"[ \t]*")


class EnvFile(NamedTuple):
    """What a file says."""

    variables: dict[str, str]
    faults: list[str]
    """A sentence for each line that cannot be read, with file, line and cause."""


def read_env_file(path: str) -> EnvFile:
    """Read a file. Raise ConfigurationError when it cannot be read at all."""
    try:
        with open(path, encoding="utf-8") as file:
            return parse_env_file(file.read(), path)
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path} cannot be read: it is not UTF-8"]) from error
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        remedy = "; run the command as root (sudo)" if isinstance(error, PermissionError) else ""
        raise ConfigurationError([f"{path} cannot be read: {reason}{remedy}"]) from error


def parse_env_file(text: str, path: str) -> EnvFile:
    """Parse the text of a file; `path` is for messages. What a faulty line says is not shown: it may be a password."""
    variables: dict[str, str] = {}
    faults = []
    position = 0
    if text.startswith("\ufeff"):
        faults.append(
            f"{path}, line 1: it begins with a byte order mark, which systemd takes for a part of the first name: save "
            "the file as UTF-8 without one"
        )
        position = 1
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        try:
            position, assignments = _parse_line(text, position)
            variables.update(assignments)
        except ValueError as error:
            faults.append(f"{path}, line {line}: {error}")
            position = _end_of_line(text, position)
    return EnvFile(variables, faults)


def overruled(variables: Collection[str], environment: Collection[str]) -> list[str]:
    """Return the variables of the environment for which a file has others, be it by another spelling.

    The file wins, as with systemd: a command is to see what the service sees, and a variable that is left over in a
    shell must not lead it to another database.
    """
    settings = {canonical(name) for name in variables}
    return [name for name in environment if canonical(name) in settings]


def _parse_line(text: str, start: int) -> tuple[int, dict[str, str]]:
    """Return where the next line begins, and what this one assigns. Raise ValueError."""
    end = _end_of_line(text, start)
    line = text[start:end].strip()
    if not line:
        return end, {}
    if line.startswith(("#", ";")):
        if line.endswith("\\"):
            raise ValueError("a comment ends with a backslash, which makes some versions of systemd skip the next line")
        return end, {}
    before = _LINE_BEFORE_VALUE.match(text, start, end)
    if not before:
        raise ValueError("NAME=value is expected, or a comment")
    name = before[1]
    if not _NAME.fullmatch(name):
        also = "; leave out `export`" if name.startswith("export ") else ""
        raise ValueError(f"what comes before the `=` is not a variable name{also}")
    position, value = _parse_value(text, before.end(), name)
    if "\0" in value:
        raise ValueError(f"the value of {name} has a NUL character")
    return position, {name: value}


def _parse_value(text: str, start: int, name: str) -> tuple[int, str]:
    """Return where the next line begins, and the value: pieces in quotes, then one without. Raise ValueError."""
    value = ""
    position = _end_of(_BLANKS, text, start)
    while text[position : position + 1] in ("'", '"'):
        is_single = text[position] == "'"
        quoted = (_SINGLE_QUOTED if is_single else _DOUBLE_QUOTED).match(text, position)
        if not quoted:
            raise ValueError(f"a quote in the value of {name} is not closed")
        value += quoted[1] if is_single else re.sub(r'\\([\\"`$])|\\\n', r"\1", quoted[1])
        position = _end_of(_BLANKS, text, quoted.end())
    end = _end_of(_BARE, text, position)
    if re.search(r"[ \t]#", text[position - 1 : end]):
        raise ValueError(
            f"what follows a `#` in the value of {name} is not a comment to systemd: put the comment on a line "
            "of its own, or put the whole value in quotes"
        )
    return end + 1, value + _unescaped(text[position:end])


def _unescaped(bare: str) -> str:
    """Drop blanks at the end unless a backslash precedes them, and backslashes: with a line's end they vanish."""
    without_blanks = _BARE_AND_BLANKS.fullmatch(bare)
    assert without_blanks
    return re.sub(r"\\(?:\n|(.?))", r"\1", without_blanks[1])


def _end_of(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _end_of_line(text: str, position: int) -> int:
    """Return where the next line begins."""
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1
