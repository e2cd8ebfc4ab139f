"""The ladder: how many files a run has, and the rate that follows from two runs.

A program takes its time to start, and Java a second, so the time of a run with one file is taken off.
"""

from collections.abc import Sequence

from benchmarks.errors import BenchmarkError

TRIED = 20
"""Files of the run that tells how long others would take."""
_RUNGS = (TRIED, 80, 320, 1280)
_MAX_SECONDS = 2.0
_MAX_RUN_BYTES = 512 << 20
"""What fits in the page cache without making writers wait."""


def rungs_of(file_bytes: int, associations: int) -> Sequence[int]:
    """Return how many files an association may have, in ascending order."""
    return [rung for rung in _RUNGS if rung == TRIED or rung * associations * file_bytes <= _MAX_RUN_BYTES]


def choose(rungs: Sequence[int], one_file_seconds: float, tried_seconds: float) -> int:
    """Return the largest rung that takes no more than 2 s beyond the first file, by the pace of the run with 20."""
    seconds_each = max(tried_seconds - one_file_seconds, 0.0) / (TRIED - 1)
    return max((rung for rung in rungs if seconds_each * (rung - 1) <= _MAX_SECONDS), default=TRIED)


def instances_per_second(files: int, associations: int, seconds: float, one_file_seconds: float) -> float:
    """Return the rate of a run with so many files for each association, without the start of the programs.

    Raise BenchmarkError when it took no longer than a run with one file.
    """
    more = seconds - one_file_seconds
    if more <= 0:
        raise BenchmarkError(f"{files} files took {seconds:.3f} s, and one took {one_file_seconds:.3f} s")
    return associations * (files - 1) / more
