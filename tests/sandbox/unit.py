"""What the systemd unit says, so that what is tested is what is installed."""

import re
import subprocess
from pathlib import Path

UNIT = Path(__file__).parents[2] / "deploy/systemd/oxidicom.service"


def directives(text: str) -> dict[str, list[str]]:
    """Return the values of each directive of a unit, in their order; comments do not count."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            found.setdefault(name.strip(), []).append(value.strip())
    return found


def allowed_calls(values: list[str]) -> set[str]:
    """Return the system calls that `SystemCallFilter=` leaves, by systemd.exec(5): a list of what is allowed, in whose
    lines after `~` stands what is taken out again. Its groups are those of the installed systemd-analyze.
    """
    allowed = calls_of("@default")
    for value in values:
        takes_out = value.startswith("~")
        named = set[str]().union(*map(calls_of, value.removeprefix("~").split()))
        allowed = allowed - named if takes_out else allowed | named
    return allowed


def calls_of(name: str) -> set[str]:
    """Return the system calls of a group such as `@system-service`, those of the groups in it included."""
    if not name.startswith("@"):
        return {name}
    command = ["systemd-analyze", "syscall-filter", "--no-pager", name]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    members = re.findall(r"^ +(@?\w[\w-]*)$", listed, re.MULTILINE)
    return set[str]().union(*(calls_of(member) for member in members))
