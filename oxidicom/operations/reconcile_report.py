"""What `oxidicom reconcile` prints: lines for people, or one JSON object. Neither is held in memory."""

import collections
from typing import Protocol

import msgspec
from rich.console import Console

from oxidicom.operations.differences import DifferenceKind
from oxidicom.operations.printing import say
from oxidicom.wording import counted

_MAX_LINES = 20
"""Of each kind; the JSON form has all."""

ROW_REGISTERED = "registered"
"""The outcome of a difference that was repaired."""


class Outcome(msgspec.Struct, frozen=True):
    """One difference, and what became of it."""

    kind: DifferenceKind
    path: str
    outcome: str
    """ROW_REGISTERED, or why not; '' when nothing was tried."""


class Totals(msgspec.Struct):
    """What was compared, and what differs."""

    files: int = 0
    rows: int = 0
    files_without_rows: int = 0
    rows_without_files: int = 0
    files_in_spool: int = 0
    """So many of the files have no row yet because a gateway still works on them: that is no difference."""
    registered: int = 0
    """So many of the files without rows have one now."""
    series_without_rows: int = 0
    series_registered: int = 0
    """So many of the series without rows have one now."""

    def add(self, outcome: Outcome) -> None:
        """Count a difference."""
        is_registered = outcome.outcome == ROW_REGISTERED
        match outcome.kind:
            case DifferenceKind.ROW_WITHOUT_FILE:
                self.rows_without_files += 1
            case DifferenceKind.FILE_WITHOUT_ROW:
                self.files_without_rows += 1
                self.registered += is_registered
            case DifferenceKind.SERIES_WITHOUT_ROW:
                self.series_without_rows += 1
                self.series_registered += is_registered

    @property
    def left(self) -> int:
        """How many differences there are at the end."""
        files, series = self.files_without_rows - self.registered, self.series_without_rows - self.series_registered
        return files + series + self.rows_without_files


def compared(totals: Totals) -> str:
    """Return how much was compared so far."""
    return f"{counted(totals.files, 'file')} and {counted(totals.rows, 'row')}"


class Report(Protocol):
    """Takes outcome after outcome, and the totals at the end."""

    def add(self, outcome: Outcome) -> None:
        """Show one."""

    def end(self, totals: Totals) -> None:
        """Show the totals."""


class TextReport:
    """For people."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: collections.Counter[str] = collections.Counter()

    def add(self, outcome: Outcome) -> None:
        """Print a line, unless there were many of its kind."""
        self._seen[outcome.kind] += 1
        if self._seen[outcome.kind] <= _MAX_LINES:
            ending = f": {outcome.outcome}" if outcome.outcome else ""
            self._print(f"{outcome.kind}: {outcome.path}{ending}")

    def end(self, totals: Totals) -> None:
        """Print how many there were."""
        for kind, count in self._seen.items():
            if count > _MAX_LINES:
                self._print(f"{kind}: … and {count - _MAX_LINES} more; --json has all")
        self._print(
            f"{compared(totals)} compared: {counted(totals.files_without_rows, 'file')} without a row, "
            f"{totals.registered} registered now; {counted(totals.rows_without_files, 'row')} without a file."
        )
        if totals.files_in_spool:
            verb = "is" if totals.files_in_spool == 1 else "are"
            self._print(f"{totals.files_in_spool} of the files {verb} still in the spool, and not registered yet.")
        if totals.series_without_rows:
            self._print(
                f"{totals.series_without_rows} series without a row, {totals.series_registered} registered now."
            )

    def _print(self, line: str) -> None:
        say(self._console, line)


class JsonReport:
    """For programs: `{"differences": [...], "files": ..., ...}`."""

    def __init__(self) -> None:
        self._before = '{"differences": ['

    def add(self, outcome: Outcome) -> None:
        """Print one element of the array."""
        print(f"{self._before}\n{msgspec.json.encode(outcome).decode()}", end="")
        self._before = ","

    def end(self, totals: Totals) -> None:
        """Print the totals."""
        before = "" if self._before == "," else self._before
        print(f"{before}\n], {msgspec.json.encode(totals).decode().removeprefix('{')}")
