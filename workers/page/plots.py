"""The plots of the last hour, as paths of SVG in a box of `WIDTH` by `HEIGHT`; what was not sampled is a gap."""

import datetime
from collections.abc import Callable, Sequence
from typing import NamedTuple

from workers.page.chronicle import SAMPLE_SECONDS
from workers.page.status import SampleOfHour

WIDTH = 360
HEIGHT = 96
_SECONDS = 3600
_GAP_SECONDS = 3 * SAMPLE_SECONDS


class Line(NamedTuple):
    """One value over the hour."""

    path: str
    """For the attribute `d` of a path."""
    last: float | None
    """The value now."""
    highest: float


class Plot(NamedTuple):
    """Lines that share their axes."""

    lines: list[Line]
    top: float
    """The value at the upper edge."""


def plot_of(
    samples: Sequence[SampleOfHour], now: datetime.datetime, *values: Callable[[SampleOfHour], float | None]
) -> Plot:
    """Return a plot with a line for each of `values`."""
    found = [value(sample) for value in values for sample in samples]
    top = _round_up(max((value for value in found if value is not None), default=0.0))
    return Plot([_line(samples, now, value, top) for value in values], top)


def _line(
    samples: Sequence[SampleOfHour], now: datetime.datetime, value: Callable[[SampleOfHour], float | None], top: float
) -> Line:
    parts: list[str] = []
    before = -_GAP_SECONDS * 2.0
    for sample in samples:
        height = value(sample)
        if height is None:
            continue
        seconds = _SECONDS - (now - sample.at).total_seconds()
        if seconds < 0:
            continue
        step = "L" if seconds - before <= _GAP_SECONDS else "M"
        parts.append(f"{step}{seconds / _SECONDS * WIDTH:.1f} {HEIGHT - height / top * HEIGHT:.1f}")
        before = seconds
        if step == "M":
            parts.append("h0.1")  # so that a lone sample is seen
    heights = [height for sample in samples if (height := value(sample)) is not None]
    return Line("".join(parts), value(samples[-1]) if samples else None, max(heights, default=0.0))


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, 50 ... thousandths."""
    size = 0.001
    while True:
        for factor in (1, 2, 5):
            if value <= size * factor:
                return size * factor
        size *= 10
