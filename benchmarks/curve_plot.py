"""The plot of the curves: for each setting the rate on the left and the CPU time on the right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MICROSECONDS = 1e6


@dataclass(frozen=True)
class Panel:
    """One row of the page: what is varied, and its lines."""

    title: str
    lines: Mapping[str, tuple[str, Sequence[str]]]
    """By label: the name among the results, and the values in their order."""
    rate: Figure


def write_curve_plot(panels: Sequence[Panel], results: Results, path: str) -> None:
    """Draw medians, and ranges over the rounds as bars, into a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import, and an extra)
    from matplotlib.figure import Figure as Page  # noqa: PLC0415

    page = Page(figsize=(13, 3.6 * len(panels)), layout="constrained")
    FigureCanvasAgg(page)
    for (rate, cost), panel in zip(page.subplots(len(panels), 2, squeeze=False), panels, strict=True):
        rate.set_title(f"{panel.title}: {str(panel.rate).replace('_per_second', '')}/s")
        cost.set_title(f"{panel.title}: CPU with PostgreSQL, µs each")
        for label, (name, values) in panel.lines.items():
            _draw(rate, results, name, values, panel.rate, label, 1.0)
            _draw(cost, results, name, values, Figure.TOTAL_CPU_SECONDS, label, _MICROSECONDS)
        for axes in (rate, cost):
            axes.set_ylim(bottom=0)
            axes.legend()
    page.savefig(path, dpi=90)


def _draw(
    axes: "Axes", results: Results, name: str, values: Sequence[str], figure: Figure, label: str, scale: float
) -> None:
    seen = {value: one for value in values if (one := results.spread_of(name, value, figure))}
    below = [(one.median - one.low) * scale for one in seen.values()]
    above = [(one.high - one.median) * scale for one in seen.values()]
    axes.errorbar(list(seen), [one.median * scale for one in seen.values()], (below, above), fmt="-o", label=label)
