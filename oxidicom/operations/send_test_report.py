"""What `oxidicom send-test` says: a line for each step, and what is there of the instance from now on."""

import os

import msgspec
from rich.console import Console

from oxidicom.judgement.judgement import Level
from oxidicom.operations.finding import Verdict
from oxidicom.operations.printing import say
from oxidicom.paths.final_path import METADATA_ROOT

_THERE = "left behind"
_TO_COME = "left to the gateway that answered, which will store it here if this is its storage"


class Step(msgspec.Struct):
    """What was done, and how it went."""

    name: str
    verdict: Verdict
    seconds: float
    detail: str


class LeftBehind(msgspec.Struct):
    """What is there of the instance from now on."""

    file: str
    row: str
    """`fname` of the row, and path of the file below the files root."""
    series_instance_uid: str
    is_there: bool
    """The file was seen. Else the gateway that answered has it, perhaps for another storage."""


class Outcome(msgspec.Struct):
    """Everything that became of the instance."""

    level: Level
    steps: list[Step]
    left_behind: LeftBehind | None


def print_step(step: Step, console: Console) -> None:
    """Print the line of a step."""
    line = f"{step.name:<12} {step.seconds:6.2f} s  {step.detail}"
    say(console, (f"{step.verdict.label:<9}", step.verdict.style), line)


def print_left_behind(left: LeftBehind, files_root: str, console: Console) -> None:
    """Print where everything is, and how it is removed."""
    lines = [
        f"{_THERE if left.is_there else _TO_COME}, clearly a test (patient OXIDICOM^TEST):",
        f"  file  {left.file}",
        f"  row   {left.row}",
        f"  in CUBE up to 5.2 also two rows of metadata below {METADATA_ROOT}, of the same series",
        "This command cannot delete rows of CUBE. To remove it: in CUBE 6 and 7 delete the series "
        f"{left.series_instance_uid} in CUBE; up to 5.2 its administrator deletes the PACS files with that "
        "Series Instance UID. Then, if they are still there:",
        f"  rm -r '{os.path.dirname(left.file)}'",
        f"  and what belongs to this series below {os.path.join(files_root, METADATA_ROOT)}",
    ]
    for line in lines:
        say(console, line)
