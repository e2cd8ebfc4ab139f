"""What came from elsewhere is printed as the text that it is."""

import io

import pytest
from rich.console import Console

from oxidicom.operations.printing import TextTable, say

HOSTILE = "\x1b[31mE[red]V[/x]IL\n\u202e[fd00::5]"
SHOWN = "\\x1b[31mE[red]V[/x]IL\\n\\u202e[fd00::5]"


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200, force_terminal=False)


def test_lines(console):
    say(console, ("good", "green"), f" {HOSTILE}", *["x" * 300])
    assert console.file.getvalue() == f"good {SHOWN}{'x' * 300}\n"


def test_tables(console):
    table = TextTable(HOSTILE, "first", HOSTILE)
    table.add(HOSTILE, (HOSTILE, "bold red"))
    table.add([HOSTILE, HOSTILE], HOSTILE, style="dim", end_section=True)
    table.print(console)
    printed = console.file.getvalue()
    assert printed.count(SHOWN) == 7
    assert "\x1b" not in printed


def test_a_terminal_gets_the_styles_that_are_ours_and_no_others():
    output = io.StringIO()
    console = Console(file=output, width=200, force_terminal=True, color_system="standard")
    say(console, ("good", "green"), HOSTILE)
    assert output.getvalue() == f"\x1b[32mgood\x1b[0m{SHOWN}\n"
