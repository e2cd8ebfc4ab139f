"""What the page remembers: bounded, and left to a successor."""

import time

import msgspec
import pytest

from oxidicom.history.records import SeriesCount
from oxidicom.spool.metadata_rows import Verdict
from oxidicom.spool.put_back import ENDED
from workers.channels.ending import Ending, EndKind
from workers.channels.facts import AssociationFinished, AssociationRegistered
from workers.channels.readings import MAX_AE_TITLES
from workers.channels.scoreboard import Counter, Histogram
from workers.page.chronicle import MAX_SERIES, SAMPLE_SECONDS, SAMPLES, Chronicle

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"


@pytest.fixture
def shared(make_shared):
    return make_shared(CHRIS_HTTP_PORT="1")


@pytest.fixture
def later(monkeypatch):
    """A function that makes the clocks go on by some seconds."""
    passed = [0.0]
    monotonic, now = time.monotonic, time.time
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + passed[0])
    monkeypatch.setattr(time, "time", lambda: now() + passed[0])
    return lambda seconds: passed.__setitem__(0, passed[0] + seconds)


def finished(title, committed=1):
    return AssociationFinished(
        ASSOCIATION, 1, 2, "127.0.0.1", 1, title, "ChRIS", Ending(EndKind.RELEASED), committed=committed, bytes=10
    )


def registered(*counts):
    return AssociationRegistered(
        ASSOCIATION, "T" * 16, "ChRIS", "[::1]:1", "released", 1, 0, 10, 3, list(counts), is_last=True
    )


def count(uid, stored=3, set_aside=0, expected=3):
    return SeriesCount("h", "1.2", uid, stored, set_aside, expected, is_settled=True)


def test_it_is_bounded_whatever_comes_and_all_of_it_can_be_left(shared, later):
    chronicle = Chronicle(shared.scoreboard, shared.page_memory)
    for number in range(10_000):
        chronicle.take(finished(f"{number:016}"))
        chronicle.take(registered(count("9" * 64)))
    for _ in range(2 * SAMPLES):
        later(SAMPLE_SECONDS)
        chronicle.sample_if_due()
    assert len(chronicle.last_seen_ns) <= MAX_AE_TITLES + 1
    assert len(chronicle.ae_totals.associations) <= MAX_AE_TITLES + 1
    successor = Chronicle(shared.scoreboard, shared.page_memory)
    assert len(successor.series) == MAX_SERIES
    assert len(successor.samples) == SAMPLES
    assert successor.ae_totals.associations == chronicle.ae_totals.associations
    assert successor.ae_totals.instances.total() == 10_000


def test_the_series_of_an_association_have_their_verdicts(shared):
    chronicle = Chronicle(shared.scoreboard, shared.page_memory)
    chronicle.take(registered(count("1"), count("2", 4), count("3", 2), count("4", expected=None), count("5", 3, 1)))
    assert [(one.series_instance_uid, one.verdict, one.registered) for one in chronicle.series] == [
        ("1", Verdict.COMPLETE, 3),
        ("2", Verdict.MORE_THAN_EXPECTED, 4),
        ("3", Verdict.INCOMPLETE, 2),
        ("4", Verdict.UNKNOWN, 3),
        ("5", Verdict.SET_ASIDE, 2),
    ]


def test_a_sample_tells_rates_and_lag_of_its_own_seconds(shared, later):
    slot = shared.scoreboard.slots[1]
    slot.add(Counter.INSTANCES_COMMITTED, 1000)
    chronicle = Chronicle(shared.scoreboard, shared.page_memory)
    slot.add(Counter.INSTANCES_COMMITTED, 100)
    for _ in range(50):
        slot.observe(Histogram.LAG_SECONDS, 0.25)
    chronicle.sample_if_due()
    assert not chronicle.samples
    later(SAMPLE_SECONDS)
    chronicle.sample_if_due()
    later(SAMPLE_SECONDS)
    chronicle.sample_if_due()
    first, second = chronicle.samples
    assert first.received_per_second == pytest.approx(10, rel=0.2)
    assert first.registered_per_second == pytest.approx(5, rel=0.2)
    assert first.lag_seconds == pytest.approx(0.25)
    assert (second.received_per_second, second.lag_seconds) == (0, None)


def test_what_was_put_back_mends_what_was_said_and_is_nothing_by_itself(shared):
    chronicle = Chronicle(shared.scoreboard, shared.page_memory)
    put_back = msgspec.structs.replace(registered(count("1.2.3", stored=0, expected=None)), how=ENDED)
    chronicle.take(put_back)
    assert not chronicle.series
    chronicle.take(registered(count("1.2.3", set_aside=2)))
    assert [(one.registered, one.verdict) for one in chronicle.series] == [(1, Verdict.SET_ASIDE)]
    chronicle.take(put_back)
    assert [(one.received, one.registered, one.verdict) for one in chronicle.series] == [(3, 3, Verdict.COMPLETE)]
