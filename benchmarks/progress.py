"""How the benchmark goes, on the terminal: a bar, and a line for each measurement that is done."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.figures import Figure, Measurement


class ProgressAudience:
    """Shows what it is told."""

    def __init__(self, progress: Progress, measurements: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=measurements)
        self._what = ""

    def begins(self, what: str) -> None:
        """Show what is measured now."""
        self._what = what
        self._progress.update(self._task, description=what, refresh=True)

    def ended(self, measurement: Measurement) -> None:
        """Print what it gave."""
        self._progress.console.print(f"{self._what}: {_summary(measurement)}")
        self._progress.update(self._task, advance=1, refresh=True)


@contextlib.contextmanager
def audience(console: Console, measurements: int) -> Iterator[ProgressAudience]:
    """Show the progress of so many measurements."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Refreshed by hand: a thread of its own would take part in the measurement, and this program forks.
    with Progress(*columns, TimeRemainingColumn(), console=console, auto_refresh=False) as progress:
        yield ProgressAudience(progress, measurements)


def _summary(measurement: Measurement) -> str:
    figures = measurement.figures
    if Figure.INSTANCES_PER_SECOND in figures:
        rate, bytes_ = figures[Figure.INSTANCES_PER_SECOND], figures[Figure.MEGABYTES_PER_SECOND]
        return f"{rate:,.0f} instances/s, {bytes_:,.0f} MB/s"
    if Figure.IDLE_CPU_CORES in figures:
        return f"{figures[Figure.IDLE_CPU_CORES]:.2%} of a core"
    if Figure.ROWS_PER_SECOND in figures:
        return f"{figures[Figure.ROWS_PER_SECOND]:,.0f} rows/s"
    return f"largest process {figures[Figure.PEAK_USS_BYTES] / 1e6:.1f} MB"
