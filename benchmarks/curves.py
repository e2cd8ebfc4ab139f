"""The curves: what a setting does to rate, cost and lag. `python -m benchmarks.curves`; docs/performance.md shows them.

Every point of every curve is measured once in each round, the rounds go forwards and backwards by turns, as in
the campaign.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.batches import Batches, measure_batches
from benchmarks.curve_plot import Panel, write_curve_plot
from benchmarks.database import DatabaseServer
from benchmarks.directories import workplace
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Measurement, Results
from benchmarks.gateway import Gateway
from benchmarks.machine import describe_machine
from benchmarks.progress import audience
from benchmarks.report import REGISTRATION_COLUMNS, WORKLOAD_COLUMNS, cell, write_document
from benchmarks.session import RESULTS
from benchmarks.trial import Trial
from benchmarks.turns import by_turns
from benchmarks.workloads import WORKLOADS, Workload
from oxidicom.embedded.schema import Schema
from oxidicom.errors import OxidicomError

_WORKLOADS = {workload.name: workload for workload in WORKLOADS}
_FEW, _SOME = _WORKLOADS["10k"], _WORKLOADS["10k-8"]
_LARGE, _SOME_LARGE = _WORKLOADS["512k"], _WORKLOADS["512k-8"]
_LONGEST_PDU = 4 << 20
LISTENERS, STORAGE_WORKERS, POOL = "CHRIS_LISTENER_THREADS", "TOKIO_WORKER_THREADS", "CHRIS_DB_POOL"
PDU_LENGTH, ASSOCIATIONS, ROWS = "CHRIS_SCP_MAX_PDU_LENGTH", "associations", "rows in a transaction"
PANELS = (ASSOCIATIONS, LISTENERS, STORAGE_WORKERS, POOL, PDU_LENGTH, ROWS)
_COLUMNS = (*WORKLOAD_COLUMNS, *REGISTRATION_COLUMNS)


@dataclass(frozen=True)
class Point:
    """One value of what is varied, and how to measure there: by number of the round, below a directory."""

    value: str
    measure: Callable[[int, str], Measurement]


@dataclass(frozen=True)
class Curve:
    """One line of a panel."""

    panel: str
    label: str
    points: Sequence[Point]

    @property
    def name(self) -> str:
        """Names it among the results."""
        return f"{self.panel} · {self.label}"


def _by_setting(database: DatabaseServer, variable: str, values: Sequence[str], workload: Workload) -> Curve:
    name = f"{variable} · {workload.title}"
    points = [Point(value, _trial(database, name, value, workload, {variable: value})) for value in values]
    return Curve(variable, workload.title, points)


def _by_associations(database: DatabaseServer, workload: Workload, label: str, settings: Mapping[str, str]) -> Curve:
    panel = ASSOCIATIONS
    points = [
        Point(
            str(number),
            _trial(
                database,
                f"{panel} · {label}",
                str(number),
                replace(workload, contents=[workload.contents[0]] * number),
                {"CHRIS_LISTENER_THREADS": str(number), **settings},
            ),
        )
        for number in (1, 2, 4, 8, 16, 32)
    ]
    return Curve(panel, label, points)


def _trial(
    database: DatabaseServer, curve: str, value: str, workload: Workload, settings: Mapping[str, str]
) -> Callable[[int, str], Measurement]:
    gateway = Gateway(database, name=value, title=f"{curve}: {value}", settings=settings)
    named = replace(workload, name=curve)
    return lambda number, directory: Trial(number, named, gateway).run(directory)


def _by_rows(database: DatabaseServer, schema: Schema, label: str) -> Curve:
    name = f"{ROWS} · {label}"
    points = [Point(str(rows), _batches(database, name, Batches(rows, schema))) for rows in (1, 10, 50, 100, 500, 2000)]
    return Curve(ROWS, label, points)


def _batches(database: DatabaseServer, curve: str, batches: Batches) -> Callable[[int, str], Measurement]:
    return lambda number, _: measure_batches(number, curve, str(batches.rows), batches, database)


def curves_with(database: DatabaseServer) -> Sequence[Curve]:
    """Return all curves."""
    synced = {"CHRIS_SCP_SYNC": "yes"}
    any_pdu = replace(_LARGE, max_pdu_bytes=_LONGEST_PDU)
    lengths = [str(kibibytes << 10) for kibibytes in (16, 32, 64, 128, 256, 1024, 4096)]
    return (
        _by_associations(database, _SOME, "10 KB", {}),
        _by_associations(database, _SOME_LARGE, "512 KB", {}),
        _by_associations(database, _SOME, "10 KB, CHRIS_SCP_SYNC=yes", synced),
        _by_associations(database, _SOME_LARGE, "512 KB, CHRIS_SCP_SYNC=yes", synced),
        _by_setting(database, LISTENERS, ["2", "16", "64", "256"], _FEW),
        _by_setting(database, STORAGE_WORKERS, ["1", "2", "3", "4"], _SOME),
        _by_setting(database, STORAGE_WORKERS, ["1", "2", "3", "4"], _SOME_LARGE),
        _by_setting(database, POOL, ["1", "2", "10"], _SOME),
        _by_setting(database, PDU_LENGTH, lengths, any_pdu),
        _by_rows(database, "flat", "registration alone"),
        _by_rows(database, "folders", "registration alone, CUBE 6"),
    )


def measure(curves: Sequence[Curve], rounds: int, directory: str, console: Console) -> Results:
    """Measure everything, `rounds` times."""
    results = Results()
    with audience(console, rounds * sum(len(curve.points) for curve in curves)) as told:
        for number in range(1, rounds + 1):
            for curve, point in _order(curves, number):
                told.begins(f"round {number} · {curve.name} · {point.value}")
                measurement = point.measure(number, directory)
                results.add(measurement)
                told.ended(measurement)
    return results


def _order(curves: Sequence[Curve], number: int) -> Iterator[tuple[Curve, Point]]:
    pairs = [(curve, point) for curve in curves for point in curve.points]
    return iter(by_turns(number, pairs))


def _tables(curves: Sequence[Curve], results: Results) -> Iterator[Table]:
    for curve in curves:
        table = Table(title=curve.name)
        table.add_column(curve.panel)
        shown = [column for column in _COLUMNS if results.spread_of(curve.name, curve.points[0].value, column[1])]
        for name, _, _ in shown:
            table.add_column(name, justify="right")
        for point in curve.points:
            spreads = [(results.spread_of(curve.name, point.value, figure), show) for _, figure, show in shown]
            table.add_row(point.value, *(cell(seen, show) for seen, show in spreads))
        yield table


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each point is measured.")] = 3,
    only: Annotated[str, typer.Option(metavar="PANEL", help=f"Only what varies this. {', '.join(PANELS)}.")] = "",
    directory: Annotated[str, typer.Option(metavar="PATH", help="Where everything is written.")] = "/var/tmp",
    name: Annotated[str, typer.Option(help="Of the files with the results.")] = "curves",
) -> None:
    """Measure what the settings do: tables here; plot and JSON in benchmarks/results/. A quarter of an hour."""
    if only not in ("", *PANELS):
        raise typer.BadParameter(f"nothing varies {only!r}; there are {', '.join(PANELS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(highlight=False, width=150)
    try:
        with workplace(directory) as own, DatabaseServer(own) as database:
            curves = [curve for curve in curves_with(database) if only in ("", curve.panel)]
            results = measure(curves, rounds, own, console)
    except (BenchmarkError, OxidicomError, OSError) as error:
        print(f"The benchmark cannot go on: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    for table in _tables(curves, results):
        console.print(table)
    machine = describe_machine(directory) | {"date": time.strftime("%Y-%m-%d %H:%M:%S%z")}
    path = os.path.join(RESULTS, name)
    write_document({"machine": machine}, results, f"{path}.json")
    write_curve_plot(_panels(curves), results, f"{path}.png")
    console.print(f"Every measurement is in {path}.json")


def _panels(curves: Sequence[Curve]) -> Sequence[Panel]:
    names = dict.fromkeys(curve.panel for curve in curves)
    return [
        Panel(
            name,
            {c.label: (c.name, [point.value for point in c.points]) for c in curves if c.panel == name},
            Figure.INSTANCES_PER_SECOND if name != ROWS else Figure.ROWS_PER_SECOND,
        )
        for name in names
    ]


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
