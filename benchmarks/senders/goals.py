"""The goals of the table: how much faster DCMTK's senders are with us, and that nobody is slower with us."""

from benchmarks.figures import Figure, Results
from benchmarks.goals import Goal, Term, Verdict, judge
from benchmarks.senders.files import SIZES
from benchmarks.senders.receivers import RECEIVERS
from benchmarks.senders.trial import row_name
from benchmarks.workloads import DCMTK, GATEWAY, ORTHANC

_RATE = Figure.INSTANCES_PER_SECOND
_MANY_TIMES = 20.0
_NO_SLOWER = 0.95


def many_times_faster(results: Results) -> list[Verdict]:
    """Judge the rates of DCMTK's senders over one association against those that storescp and Orthanc get."""
    pairs = [
        (row_name(sender, size, 1), other)
        for sender in ("storescu", "dcmsend")
        for size in SIZES
        for other in (DCMTK, ORTHANC)
    ]
    return [judge(_goal(row, other, _MANY_TIMES), results) for row, other in pairs]


def no_slower(results: Results) -> list[Verdict]:
    """Judge each row that was measured against each other receiver."""
    rows = dict.fromkeys(row for row, _ in results.names())
    others = [name for name in RECEIVERS if name != GATEWAY]
    verdicts = [judge(_goal(row, other, _NO_SLOWER), results) for row in rows for other in others]
    return [verdict for verdict in verdicts if verdict.values]


def _goal(row: str, other: str, at_least: float) -> Goal:
    return Goal(f"{row}: rate against {other}", Term(row, GATEWAY, _RATE), Term(row, other, _RATE), at_least)
