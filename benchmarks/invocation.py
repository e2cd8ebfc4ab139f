"""How another gateway is started, in the notation of the command line: `VARIABLE=value ... PROGRAM argument ...`.

Words are split and quoted as in a shell, but no shell runs. In each `{port}` and the like stand for what only the trial
knows; a brace that is meant is written twice.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

PLACEHOLDERS = ("port", "files", "database", "listeners", "pdu")
"""Port to listen on; root of the files; URL of the database; associations at a time; PDU length to announce."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


@dataclass(frozen=True)
class Invocation:
    """A command, and the environment variables that it needs."""

    variables: Mapping[str, str]
    command: Sequence[str]

    def __str__(self) -> str:
        """The notation."""
        return shlex.join([*map("=".join, self.variables.items()), *self.command])

    def filled(self, values: Mapping[str, str]) -> "Invocation":
        """Return it with the placeholders replaced; `values` has one for each."""
        variables = {name: text.format_map(values) for name, text in self.variables.items()}
        return Invocation(variables, [word.format_map(values) for word in self.command])


def parse_invocation(text: str) -> Invocation:
    """Parse the notation. Raise ValueError, which says what is wrong with it."""
    words = shlex.split(text)
    for word in words:
        _check_placeholders(word)
    count = next((index for index, word in enumerate(words) if not _VARIABLE.match(word)), len(words))
    if count == len(words):
        raise ValueError("there is no program to start")
    variables = dict(word.split("=", 1) for word in words[:count])
    return Invocation(variables, words[count:])


def _check_placeholders(word: str) -> None:
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    wrong = f"{word!r} has a brace that is of no placeholder; there are {known}, and one that is meant is written twice"
    try:
        parts = list(Formatter().parse(word))
    except ValueError:
        raise ValueError(wrong) from None
    for _, name, form, conversion in parts:
        if name is not None and (name not in PLACEHOLDERS or form or conversion):
            raise ValueError(wrong)
