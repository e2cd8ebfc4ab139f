"""The report: tables for the terminal, and everything as JSON."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Results, Spread, spread
from benchmarks.goals import GOALS, Goal, Verdict, judge
from benchmarks.workloads import BASELINE, GATEWAY, GATEWAY_6, IDLE, REGISTRATION, WORKLOADS

Column = tuple[str, Figure, Callable[[float], str]]


def count(value: float) -> str:
    """Return a number as it stands in a table."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def milliseconds(value: float) -> str:
    """Return seconds as milliseconds."""
    return f"{value * 1e3:.1f}"


def _microseconds(value: float) -> str:
    return f"{value * 1e6:,.0f}"


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.1f}"


WORKLOAD_COLUMNS: Sequence[Column] = (
    ("inst/s", Figure.INSTANCES_PER_SECOND, count),
    ("MB/s", Figure.MEGABYTES_PER_SECOND, count),
    ("p50 ms", Figure.LATENCY_P50_SECONDS, milliseconds),
    ("p99 ms", Figure.LATENCY_P99_SECONDS, milliseconds),
    ("CPU µs", Figure.SERVER_CPU_SECONDS, _microseconds),
    ("+ PostgreSQL", Figure.TOTAL_CPU_SECONDS, _microseconds),
    ("sender µs", Figure.SENDER_CPU_SECONDS, _microseconds),
    ("USS MB", Figure.PEAK_USS_BYTES, _megabytes),
)
REGISTRATION_COLUMNS: Sequence[Column] = (
    ("rows/s", Figure.ROWS_PER_SECOND, count),
    ("lag p50 ms", Figure.LAG_P50_SECONDS, milliseconds),
    ("lag p99 ms", Figure.LAG_P99_SECONDS, milliseconds),
    ("last row ms", Figure.LAST_ROW_SECONDS, milliseconds),
    ("listener µs", Figure.LISTENER_CPU_SECONDS, _microseconds),
    ("storage µs", Figure.STORAGE_CPU_SECONDS, _microseconds),
    ("registration µs", Figure.REGISTRATION_CPU_SECONDS, _microseconds),
    ("WAL B/row", Figure.WAL_BYTES_PER_ROW, count),
    ("USS rise MB", Figure.USS_RISE_BYTES, _megabytes),
)
_TITLES = {workload.name: workload.title for workload in WORKLOADS} | {
    REGISTRATION: "registration alone, 500 files in a transaction",
    IDLE: "idle, 64 listeners",
}
_OURS = (GATEWAY, BASELINE, GATEWAY_6)


def print_report(
    results: Results,
    titles: Mapping[str, str],
    skipped: Mapping[str, str],
    console: Console,
    goals: Sequence[Goal] = GOALS,
) -> None:
    """Print the tables. `titles` are the servers' by name; `skipped` says why a server is not among them."""
    for table in (_workload_table, _last_row_table, _registration_table):
        console.print(table(results, titles))
    console.print(_memory_table(results))
    console.print(goal_table([judge(goal, results) for goal in goals]))
    for name, reason in skipped.items():
        console.print(f"{name} was left out, {reason}")


def _workload_table(results: Results, titles: Mapping[str, str]) -> Table:
    table = Table(title=f"Medians of {results.rounds} rounds; CPU per instance, of all processes of the server")
    table.add_column("")
    for name in [*(name for name, _, _ in WORKLOAD_COLUMNS), "rate: ours ÷ its"]:
        table.add_column(name, justify="right")
    for workload, servers in _by_workload(results):
        table.add_row(f"[bold]{_TITLES[workload]}[/]")
        for server in servers:
            cells = [cell(results.spread_of(workload, server, figure), show) for _, figure, show in WORKLOAD_COLUMNS]
            ratio = "" if server == GATEWAY else show_ratio(ratio_to(results, workload, server))
            table.add_row(f"  {titles[server]}", *cells, ratio)
        table.add_section()
    return table


def _last_row_table(results: Results, titles: Mapping[str, str]) -> Table:
    """What gateways with a database are compared by: a rate until Success leaves out what one does behind it."""
    table = Table(title="Gateways with a database: from the first C-STORE until the last row is visible")
    for name in ("workload", "server"):
        table.add_column(name)
    for name in ("inst/s", "range", "rate: ours ÷ its"):
        table.add_column(name, justify="right")
    figure = Figure.ROWS_PER_SECOND
    for workload, servers in _by_workload(results):
        for server in servers:
            if seen := results.spread_of(workload, server, figure):
                ratio = "" if server == GATEWAY else show_ratio(ratio_to(results, workload, server, figure))
                spanned = f"{count(seen.low)} – {count(seen.high)}"
                table.add_row(_TITLES[workload], titles[server], count(seen.median), spanned, ratio)
    return table


def _registration_table(results: Results, titles: Mapping[str, str]) -> Table:
    table = Table(title="This gateway: lag from Success to the visible row, and its CPU by kind of process")
    for name in ("workload", "server"):
        table.add_column(name)
    for name, _, _ in REGISTRATION_COLUMNS:
        table.add_column(name, justify="right")
    for workload, servers in _by_workload(results):
        for server in servers:
            if server in _OURS:
                cells = [
                    cell(results.spread_of(workload, server, figure), show) for _, figure, show in REGISTRATION_COLUMNS
                ]
                table.add_row(_TITLES[workload], titles[server], *cells)
    return table


def _memory_table(results: Results) -> Table:
    """Peak private memory by kind of process of this gateway."""
    table = Table(title="Peak private memory of the largest process of each kind, MB")
    table.add_column("workload")
    measured = {workload: results.uss_bytes(workload, GATEWAY) for workload, _ in _by_workload(results)}
    kinds = sorted({kind for peaks in measured.values() for kind in peaks})
    for kind in kinds:
        table.add_column(kind, justify="right")
    for workload, peaks in measured.items():
        if peaks:
            table.add_row(_TITLES[workload], *(_megabytes(peaks[kind]) if kind in peaks else "" for kind in kinds))
    return table


def goal_table(verdicts: Sequence[Verdict]) -> Table:
    """Return the table that tells which goals are met."""
    table = Table(title="Goals: medians of the ratios within a round")
    for name in ("goal", "wanted", "measured", "range", ""):
        table.add_column(name)
    for verdict in verdicts:
        seen = spread(verdict.values)
        if seen:
            mark = "[green]met[/]" if verdict.is_met else "[red]missed[/]"
            measured = f"{seen.median:.3g}", f"{seen.low:.3g} – {seen.high:.3g}"
            table.add_row(verdict.goal.title, verdict.goal.bound, *measured, mark)
    table.caption = f"{sum(not verdict.values for verdict in verdicts)} goals were not measured"
    return table


def _by_workload(results: Results) -> Iterable[tuple[str, list[str]]]:
    """Yield each workload with its servers, this gateway first."""
    names = results.names()
    for workload in _TITLES:
        servers = [server for name, server in names if name == workload and workload != IDLE]
        if servers:
            yield workload, sorted(servers, key=lambda server: server != GATEWAY)


def ratio_to(
    results: Results, workload: str, server: str, figure: Figure = Figure.INSTANCES_PER_SECOND
) -> Spread | None:
    """Return this gateway's rate divided by that of another server in the same round."""
    ours = results.by_round(workload, GATEWAY, figure)
    theirs = results.by_round(workload, server, figure)
    return spread(ours[number] / theirs[number] for number in ours.keys() & theirs.keys())


def cell(seen: Spread | None, show: Callable[[float], str]) -> str:
    """Return the median as it stands in a table; nothing if it was not measured."""
    return show(seen.median) if seen else ""


def show_ratio(ratio: Spread | None) -> str:
    """Return median and range of a ratio as they stand in a table; nothing if it was not measured."""
    return f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})" if ratio else ""


def write_json(
    results: Results,
    machine: Mapping[str, str],
    skipped: Mapping[str, str],
    path: str,
    goals: Sequence[Goal] = GOALS,
) -> None:
    """Write machine, goals and every single measurement."""
    judged = goals_document(judge(goal, results) for goal in goals)
    write_document({"machine": dict(machine), "skipped": dict(skipped), "goals": judged}, results, path)


def goals_document(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """Return what is written of the goals."""
    return [
        {
            "goal": verdict.goal.title,
            "wanted": verdict.goal.bound,
            "measured": list(verdict.values),
            "median": verdict.median,
            "met": verdict.is_met,
        }
        for verdict in verdicts
    ]


def write_document(about: Mapping[str, Any], results: Results, path: str) -> None:
    """Write what is to be said about the results, and every single measurement."""
    measurements = [
        {
            "round": one.round_number,
            "workload": one.workload,
            "server": one.server,
            "figures": {str(figure): value for figure, value in one.figures.items()},
            "peak_uss_bytes": dict(one.uss_bytes),
        }
        for one in results.measurements
    ]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**about, "measurements": measurements}, file, indent=1, ensure_ascii=False)
        file.write("\n")
