"""Registration lag is worked out from snapshots of the database, whatever the order of commits."""

import array
import math

import pytest

from benchmarks.datasets import Identity
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.load import Outcome
from benchmarks.registration import Registered, _first_seen, all_over, parse_snapshot
from benchmarks.sender import Sent


def test_a_snapshot_shows_what_is_over():
    snapshot = parse_snapshot("100:104:100,102", 1.0)
    assert [transaction for transaction in range(98, 106) if snapshot.shows(transaction)] == [98, 99, 101, 103]
    assert parse_snapshot("7:7:", 2.0).shows(6)


def test_a_transaction_is_seen_when_its_commit_is_and_not_in_the_order_of_their_numbers():
    snapshots = [parse_snapshot(*pair) for pair in [("5:5:", 1.0), ("5:7:5,6", 2.0), ("5:8:5", 3.0), ("8:8:", 4.0)]]
    assert [_first_seen(transaction, snapshots) for transaction in (4, 5, 6, 7)] == [1.0, 4.0, 3.0, 3.0]
    with pytest.raises(BenchmarkError, match="after the observer"):
        _first_seen(8, snapshots)


def test_all_are_over_when_no_older_transaction_goes_on():
    snapshots = [parse_snapshot(*pair) for pair in [("5:5:", 1.0), ("5:8:5", 2.0), ("7:8:7", 3.0), ("8:8:", 4.0)]]
    assert all_over([6], snapshots) == 3.0  # 6 may be a savepoint of 5, which no snapshot tells
    assert all_over([5, 7], snapshots) == 4.0
    assert all_over([8], snapshots) == math.inf


def outcome(*answered):
    """Return what two senders did that begin at 10, each with the times of its answers."""
    sent = [
        Sent(association, array.array("d", times), array.array("d", times), array.array("q", [1] * len(times)), 0.0)
        for association, times in enumerate(answered)
    ]
    last = max(max(times) for times in answered)
    return Outcome(10.0, last, last, sent)


def row(association, number):
    return f"SERVICES/PACS/BENCHMARK/a-b/c-d/0001-{Identity(1, association, number).sop_instance_uid}.dcm"


def test_lag_is_from_success_to_the_visible_row():
    registered = Registered({row(0, 0): 11.5, row(0, 1): 12.25, row(1, 0): 11.5})
    figures = registered.figures(outcome([11.0, 12.0], [11.25]))
    assert figures[Figure.LAG_P50_SECONDS] == 0.25
    assert figures[Figure.LAG_P99_SECONDS] == 0.5
    assert figures[Figure.LAST_ROW_SECONDS] == 0.25
    assert figures[Figure.ROWS_PER_SECOND] == pytest.approx(3 / 2.25)


def test_a_missing_row_and_one_too_many_are_errors():
    with pytest.raises(BenchmarkError, match="instance 1 of association 0 has no row"):
        Registered({row(0, 0): 11.5, row(1, 0): 11.5}).figures(outcome([11.0, 12.0], [11.25]))
    with pytest.raises(BenchmarkError, match="2 rows for 1 instances"):
        Registered({row(0, 0): 11.5, row(0, 1): 11.5}).figures(outcome([11.0]))
