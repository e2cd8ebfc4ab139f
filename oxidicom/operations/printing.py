"""How commands print: lines and tables for people, one JSON object for programs.

The law of this file: what came from the network, the disk or the environment is text. It is never markup, and no
character of it talks to the terminal. Commands print through here alone.
"""

import json
import re

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from oxidicom.logs import printable

_SURROGATE = re.compile("[\udc80-\udcff]")
"""What stands in a text of Python for a byte that is no UTF-8."""

Part = str | tuple[str, str]
"""Text, or text and its style."""


def text_line(*parts: Part) -> Text:
    """Return parts one behind the other as they may be shown."""
    text = Text()
    for part in parts:
        said, style = part if isinstance(part, tuple) else (part, "")
        text.append(printable(said), style)
    return text


def say(console: Console, *parts: Part) -> None:
    """Print one line, however long it is."""
    console.print(text_line(*parts), soft_wrap=True)


class TextTable:
    """A table of text."""

    def __init__(self, title: str, *headings: str, is_first_whole: bool = False) -> None:
        """With `is_first_whole` the first column is never cut: what stands in it is there to be copied."""
        self._table = Table(title=text_line(title))
        for at, heading in enumerate(headings):
            self._table.add_column(text_line(heading), no_wrap=is_first_whole and at == 0, overflow="fold")

    def add(self, *cells: Part | list[str], style: str = "", end_section: bool = False) -> None:
        """Add a row; a cell is text, text and its style, or several lines."""
        self._table.add_row(*map(_cell, cells), style=style or None, end_section=end_section)

    def print(self, console: Console) -> None:
        """Print it."""
        console.print(self._table)


def _cell(cell: Part | list[str]) -> Text:
    return Text("\n").join(map(text_line, cell)) if isinstance(cell, list) else text_line(cell)


def print_json(told: object) -> None:
    """Print a report for programs. A byte of a name that is no UTF-8 stands in it as a backslash, x and two digits."""
    text = json.dumps(msgspec.to_builtins(told), indent=2, ensure_ascii=False)
    print(_SURROGATE.sub(lambda found: f"\\\\x{ord(found[0]) - 0xDC00:02x}", text))
