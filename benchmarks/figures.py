"""What is measured: the names and units of the figures, one measurement, and the medians over rounds."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

WARM_UP = 0
"""The round that comes before the counted ones. Only memory is taken from it."""


class Figure(StrEnum):
    """One figure of a measurement. "Per instance" and "per row" are means over the load."""

    INSTANCES_PER_SECOND = "instances_per_second"
    """From the first C-STORE to the last Success, or until `syncfs` has returned if the workload says so."""
    MEGABYTES_PER_SECOND = "megabytes_per_second"
    """Bytes of datasets, in units of 10^6, over the same time."""
    ONE_FILE_SECONDS = "one_file_seconds"
    """A whole run of a sending program with one file, from its start to its end."""
    FILES_EACH = "files_each"
    """How many files each association of the run had that the rate was taken from."""
    LATENCY_P50_SECONDS = "latency_p50_seconds"
    """From the first byte of the C-STORE-RQ to its response."""
    LATENCY_P99_SECONDS = "latency_p99_seconds"
    SERVER_CPU_SECONDS = "server_cpu_seconds_per_instance"
    """All processes of the server, without PostgreSQL."""
    TOTAL_CPU_SECONDS = "server_and_database_cpu_seconds_per_instance"
    SENDER_CPU_SECONDS = "load_generator_cpu_seconds_per_instance"
    LISTENER_CPU_SECONDS = "listener_cpu_seconds"
    """Of that, for each instance: all listeners."""
    STORAGE_CPU_SECONDS = "storage_cpu_seconds"
    """All storage workers."""
    REGISTRATION_CPU_SECONDS = "registration_cpu_seconds"
    PEAK_USS_BYTES = "peak_uss_bytes"
    """Private memory of the largest process."""
    USS_RISE_BYTES = "uss_rise_bytes"
    """The largest rise of any process over what it had before the load."""
    LAG_P50_SECONDS = "registration_lag_p50_seconds"
    """From Success to the moment when the row is visible to other sessions."""
    LAG_P99_SECONDS = "registration_lag_p99_seconds"
    ROWS_PER_SECOND = "rows_per_second"
    """From the first C-STORE to the last visible row."""
    LAST_ROW_SECONDS = "last_row_seconds"
    """From the last Success to the last visible row: the backlog, as time."""
    WAL_BYTES_PER_ROW = "wal_bytes_per_row"
    USED_LISTENER_USS_BYTES = "used_listener_uss_bytes"
    """Private memory of the largest listener right after its association."""
    LISTENER_USS_BYTES = "listener_uss_bytes"
    """Private memory of the largest listener that has had one association and is idle."""
    IDLE_CPU_CORES = "idle_cpu_cores"
    """All processes of an idle server, in cores."""


@dataclass(frozen=True)
class Measurement:
    """The figures of one server under one workload in one round."""

    round_number: int
    workload: str
    server: str
    figures: Mapping[Figure, float]
    uss_bytes: Mapping[str, int] = field(default_factory=dict)
    """Peak private memory of each kind of process; measured in the warm-up only, because to look costs time."""


@dataclass(frozen=True)
class Spread:
    """The median over rounds, and the range."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread | None:
    """Return median and range of `values`, or None if there are none."""
    ordered = sorted(values)
    return Spread(statistics.median(ordered), ordered[0], ordered[-1]) if ordered else None


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of values in ascending order: the least that `percent` of them reach."""
    if not ordered:
        raise ValueError("a percentile of nothing")
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


class Results:
    """All measurements so far."""

    def __init__(self, measurements: Iterable[Measurement] = ()) -> None:
        self.measurements = list(measurements)

    def add(self, measurement: Measurement) -> None:
        """Keep a measurement."""
        self.measurements.append(measurement)

    def by_round(self, workload: str, server: str, figure: Figure) -> dict[int, float]:
        """Return the values of a figure by round."""
        return {
            measurement.round_number: measurement.figures[figure]
            for measurement in self.measurements
            if (measurement.workload, measurement.server) == (workload, server) and figure in measurement.figures
        }

    def spread_of(self, workload: str, server: str, figure: Figure) -> Spread | None:
        """Return median and range of a figure over the rounds, or None if it was not measured."""
        return spread(self.by_round(workload, server, figure).values())

    def uss_bytes(self, workload: str, server: str) -> Mapping[str, int]:
        """Return the peak private memory by kind of process, as far as it was measured."""
        for measurement in self.measurements:
            if (measurement.workload, measurement.server) == (workload, server) and measurement.uss_bytes:
                return measurement.uss_bytes
        return {}

    @property
    def rounds(self) -> int:
        """How many rounds were counted, the last perhaps in part."""
        return max((one.round_number for one in self.measurements), default=WARM_UP)

    def names(self) -> list[tuple[str, str]]:
        """Return (workload, server) of everything that was measured, in the order of its first measurement."""
        return list(dict.fromkeys((one.workload, one.server) for one in self.measurements))
