"""The plot: what matters most on one page, as PNG."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, Results
from benchmarks.workloads import BASELINE, DCMTK, FLOOR_DISCARD, FLOOR_WRITE, GATEWAY, GATEWAY_6

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {
    GATEWAY: "#c0392b",
    BASELINE: "#e59866",
    GATEWAY_6: "#8e44ad",
    FLOOR_DISCARD: "#d5d8dc",
    FLOOR_WRITE: "#d5d8dc",
}
_OTHERS = "#5d6d7e"
_ASSOCIATIONS = {"1": ("10k-1", "512k-1"), "2": ("10k", "512k"), "8": ("10k-8", "512k-8"), "32": ("10k-32", "512k-32")}
_STYLES = {"10 KB": "-o", "512 KB": "--s"}


def write_plot(results: Results, titles: Mapping[str, str], heading: str, path: str) -> None:
    """Draw rates, costs, rates by number of associations, and registration lags. `titles` are the servers'."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import, and an extra)
    from matplotlib.figure import Figure as Page  # noqa: PLC0415

    page = Page(figsize=(14, 14), layout="constrained")
    FigureCanvasAgg(page)
    page.suptitle(heading)
    (rates, megabytes), (small_cpu, large_cpu), (by_associations, lags) = page.subplots(3, 2)
    rates.set_title("10 KB, 2 associations: instances/s")
    _draw_servers(rates, results, titles, "10k", Figure.INSTANCES_PER_SECOND)
    megabytes.set_title("512 KB, 2 associations: MB/s")
    _draw_servers(megabytes, results, titles, "512k", Figure.MEGABYTES_PER_SECOND)
    small_cpu.set_title("10 KB: server CPU per instance, µs, without PostgreSQL")
    _draw_servers(small_cpu, results, titles, "10k", Figure.SERVER_CPU_SECONDS, 1e6)
    large_cpu.set_title("512 KB: server CPU per instance, µs, without PostgreSQL")
    _draw_servers(large_cpu, results, titles, "512k", Figure.SERVER_CPU_SECONDS, 1e6)
    by_associations.set_title("instances/s by number of associations")
    _draw_associations(by_associations, results, titles)
    lags.set_title("registration lag, ms")
    _draw_lags(lags, results)
    page.savefig(path, dpi=100)


def _draw_servers(
    axes: "Axes", results: Results, titles: Mapping[str, str], workload: str, figure: Figure, scale: float = 1.0
) -> None:
    """One bar for each server: the median, and the range over the rounds."""
    seen = {server: results.spread_of(workload, server, figure) for server in reversed(list(titles))}
    shown = {server: one for server, one in seen.items() if one}
    below = [(one.median - one.low) * scale for one in shown.values()]
    above = [(one.high - one.median) * scale for one in shown.values()]
    bars = axes.barh(
        [titles[server] for server in shown],
        [one.median * scale for one in shown.values()],
        xerr=(below, above),
        color=[_COLOURS.get(server, _OTHERS) for server in shown],
        capsize=3,
    )
    axes.bar_label(bars, fmt="{:,.0f}", padding=6)
    axes.margins(x=0.15)


def _draw_associations(axes: "Axes", results: Results, titles: Mapping[str, str]) -> None:
    for server in (GATEWAY, DCMTK):
        for index, (size, style) in enumerate(_STYLES.items()):
            seen = {
                number: results.spread_of(workloads[index], server, Figure.INSTANCES_PER_SECOND)
                for number, workloads in _ASSOCIATIONS.items()
            }
            medians = {number: one.median for number, one in seen.items() if one}
            if medians:
                label = f"{titles[server]}, {size}"
                colour = _COLOURS.get(server, _OTHERS)
                axes.plot(list(medians), list(medians.values()), style, label=label, color=colour)
    axes.set_ylim(bottom=0)
    if axes.lines:
        axes.legend()


def _draw_lags(axes: "Axes", results: Results) -> None:
    workloads = sorted((workload for workload, server in results.names() if server == GATEWAY), reverse=True)
    for label, figure, height in (("p99", Figure.LAG_P99_SECONDS, 0.8), ("p50", Figure.LAG_P50_SECONDS, 0.4)):
        seen = {workload: results.spread_of(workload, GATEWAY, figure) for workload in workloads}
        medians = {workload: one.median * 1e3 for workload, one in seen.items() if one}
        axes.barh(list(medians), list(medians.values()), height=height, label=label)
    axes.legend()
