"""The report: a table of rates for each size and number of associations, the times of a single file, and the goals."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Results, Spread
from benchmarks.goals import Verdict
from benchmarks.report import (
    cell,
    count,
    goal_table,
    goals_document,
    milliseconds,
    ratio_to,
    show_ratio,
    write_document,
)
from benchmarks.senders.goals import many_times_faster, no_slower
from benchmarks.senders.trial import Row
from benchmarks.server import Server
from benchmarks.workloads import GATEWAY

_RATE = Figure.INSTANCES_PER_SECOND


@dataclass(frozen=True)
class Report:
    """What is to be said of the results."""

    rows: Sequence[Row]
    receivers: Sequence[Server]
    skipped: Mapping[str, str]
    """Why a sender or receiver is not among them."""
    failures: Sequence[str]
    """What could not be measured, and why."""
    results: Results

    def show(self, console: Console) -> None:
        """Print the tables."""
        for table in (*self._rate_tables(), self._one_file_table(), self._goal_table()):
            console.print(table)
        for name, reason in self.skipped.items():
            console.print(f"{name} was left out, {reason}")
        for failure in self.failures:
            console.print(f"Failed: {failure}", style="red", markup=False)

    def write(self, about: Mapping[str, str], path: str) -> None:
        """Write goals and every single measurement as JSON; `about` tells of the machine."""
        goals = goals_document([*many_times_faster(self.results), *no_slower(self.results)])
        document: dict[str, Any] = {"machine": dict(about), "skipped": dict(self.skipped), "goals": goals}
        document["failures"] = list(self.failures)
        write_document(document, self.results, path)

    def _rate_tables(self) -> Iterator[Table]:
        for title, rows in itertools.groupby(self.rows, lambda row: row.group):
            table = self._table(f"{title}: instances/s, medians of {self.results.rounds} rounds")
            table.add_column("ours ÷ best other", justify="right")
            for row in rows:
                cells = [cell(self._spread(row, receiver, _RATE), count) for receiver in self.receivers]
                table.add_row(row.sender.title, *cells, self._ratio_to_best(row))
            yield table

    def _one_file_table(self) -> Table:
        table = self._table("A whole run with one file, from start to end of the sending program: ms")
        for title, rows in itertools.groupby(self.rows, lambda row: row.group):
            table.add_row(f"[bold]{title}[/]")
            for row in rows:
                spreads = [self._spread(row, receiver, Figure.ONE_FILE_SECONDS) for receiver in self.receivers]
                table.add_row(f"  {row.sender.title}", *(cell(seen, milliseconds) for seen in spreads))
            table.add_section()
        return table

    def _table(self, title: str) -> Table:
        table = Table(title=title)
        table.add_column("")
        for receiver in self.receivers:
            table.add_column(receiver.title, justify="right")
        return table

    def _goal_table(self) -> Table:
        """Of the many goals that no sender is slower with us only those that are missed have a line."""
        judged = no_slower(self.results)
        missed = [verdict for verdict in judged if not verdict.is_met]
        table = goal_table([*many_times_faster(self.results), *missed])
        table.caption = f"{table.caption}\n{_summary(judged, missed)}"
        return table

    def _ratio_to_best(self, row: Row) -> str:
        others = [one for one in self.receivers if one.name != GATEWAY and self._spread(row, one, _RATE)]
        best = max(others, key=lambda one: self._median(row, one), default=None)
        ratio = ratio_to(self.results, row.name, best.name) if best else None
        return f"{show_ratio(ratio)}, {best.name}" if best and ratio else ""

    def _median(self, row: Row, receiver: Server) -> float:
        seen = self._spread(row, receiver, _RATE)
        return seen.median if seen else 0.0

    def _spread(self, row: Row, receiver: Server, figure: Figure) -> Spread | None:
        return self.results.spread_of(row.name, receiver.name, figure)


def _summary(judged: Sequence[Verdict], missed: Sequence[Verdict]) -> str:
    met = len(judged) - len(missed)
    return f"No sender slower with us than with another receiver by more than 5 %: {met} of {len(judged)} met"
