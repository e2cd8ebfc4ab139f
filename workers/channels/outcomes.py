"""Which counter counts what became of an instance or a series: for those who count, and for those who read."""

from collections.abc import Mapping

from oxidicom.spool.metadata_rows import Verdict
from oxidicom.statuses import Status
from workers.channels.scoreboard import Counter

REFUSED_WITH: Mapping[int, Counter] = {
    Status.OUT_OF_RESOURCES: Counter.REFUSED_OUT_OF_RESOURCES,
    Status.DATA_SET_MISMATCH: Counter.REFUSED_MISMATCH,
    Status.CANNOT_UNDERSTAND: Counter.REFUSED_CANNOT_UNDERSTAND,
}
"""Instances by the status with which they were refused; any other one counts as Counter.REFUSED_OTHERWISE."""
REFUSED = (*REFUSED_WITH.values(), Counter.REFUSED_OTHERWISE)
"""Together all instances that were refused."""
SERIES_ENDED: Mapping[Verdict, Counter] = {
    Verdict.COMPLETE: Counter.SERIES_COMPLETE,
    Verdict.INCOMPLETE: Counter.SERIES_INCOMPLETE,
    Verdict.MORE_THAN_EXPECTED: Counter.SERIES_MORE_THAN_EXPECTED,
    Verdict.UNKNOWN: Counter.SERIES_UNKNOWN,
    Verdict.SET_ASIDE: Counter.SERIES_SET_ASIDE,
}
"""Series that are wholly registered, or set aside, by their verdict."""
