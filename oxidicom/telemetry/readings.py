"""Readings: the values of all metrics at one moment, in a form that both OTLP and Prometheus are made from."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence


class Instrument(enum.Enum):
    """How a metric behaves."""

    COUNTER = "counter"
    """Only rises."""
    GAUGE = "gauge"
    """The value at this moment."""


@dataclasses.dataclass(frozen=True)
class Number:
    """One value of a metric, with its labels."""

    value: float
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Reading:
    """A metric and its values. `unit` is in UCUM, as OpenTelemetry has it."""

    name: str
    kind: Instrument
    unit: str
    description: str
    numbers: Sequence[Number]


@dataclasses.dataclass(frozen=True)
class HistogramReading:
    """A histogram: counts by bucket, of which the last has no upper bound."""

    name: str
    unit: str
    description: str
    bounds: Sequence[float]
    """Upper bounds, inclusive."""
    counts: Sequence[int]
    """One more than bounds; not cumulative."""
    sum: float


AnyReading = Reading | HistogramReading
