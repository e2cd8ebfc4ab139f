"""What cannot even be set aside stays in the spool, and is left alone for a while."""

import os
import time

import pytest

from oxidicom.spool.ledger import Started
from oxidicom.spool.metadata_rows import committed_count_value, expected_count_value
from oxidicom.spool.names import RECEIVED, STORED
from oxidicom.spool.set_aside import set_aside_of
from oxidicom.spool.spool_writer import SpoolWriter
from tests.fixtures.storage import commit, describe_file
from workers.channels import setting_aside
from workers.channels.facts import FactChannel, SeriesFailed
from workers.channels.repetitions import Repetitions
from workers.channels.scoreboard import Counter, Scoreboard
from workers.channels.setting_aside import SettingAside

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"


@pytest.fixture
def entry(gateway_directory):
    spool_writer = SpoolWriter(gateway_directory.spool, Started(ASSOCIATION, "TEST", "ChRIS", "127.0.0.1:1"))
    name = commit(spool_writer, describe_file())
    spool_writer.end("released", 0)
    return name


@pytest.fixture
def slot():
    return Scoreboard(1).slots[0]


@pytest.fixture
def facts():
    channel = FactChannel({SeriesFailed})
    yield channel
    channel.queue.close()


@pytest.fixture
def aside(gateway_directory, slot, facts):
    return SettingAside(
        gateway_directory, slot, Counter.INSTANCES_SET_ASIDE, "instance_set_aside", Repetitions(2), facts
    )


def test_what_is_remembered_is_bounded(aside, entry, monkeypatch):
    monkeypatch.setattr(setting_aside, "_MAX_KNOWN", 10)
    for number in range(100):
        aside.leave_alone(ASSOCIATION, entry._replace(number=number), STORED)
        aside._is_last_try(number, ASSOCIATION, "It", ValueError())
    assert len(aside._left_alone) == len(aside._tries) == 10
    assert aside.leaves_alone(ASSOCIATION, entry._replace(number=99), STORED)


def test_what_is_set_aside_is_counted(aside, gateway_directory, slot, entry):
    aside.set_aside(ASSOCIATION, entry, RECEIVED, "because", "SERVICES/PACS/x")
    assert slot[Counter.INSTANCES_SET_ASIDE] == 1
    assert [one.reason for one in set_aside_of(gateway_directory.aside, ASSOCIATION)] == ["because"]


def test_what_is_told_twice_is_set_aside_and_counted_once(aside, slot, entry):
    for _ in range(2):
        aside.set_aside(ASSOCIATION, entry, RECEIVED, "because")
    assert slot[Counter.INSTANCES_SET_ASIDE] == 1


def test_a_metadata_value_takes_its_series_from_the_ledger(aside, gateway_directory, slot, entry):
    value = committed_count_value(entry.series_hash, 1)
    with open(os.path.join(gateway_directory.spool, ASSOCIATION, value.at(STORED)), "wb"):
        pass
    aside.set_aside(ASSOCIATION, value, STORED, "because")
    (one,) = set_aside_of(gateway_directory.aside, ASSOCIATION)
    assert one.series == describe_file().series


def test_those_who_follow_a_series_hear_when_it_can_have_no_end(aside, gateway_directory, entry, facts):
    for value in (expected_count_value(entry.series_hash, 1), committed_count_value(entry.series_hash, 1)):
        with open(os.path.join(gateway_directory.spool, ASSOCIATION, value.at(STORED)), "wb"):
            pass
        aside.set_aside(ASSOCIATION, value, STORED, "because")
    assert facts.queue.get() == SeriesFailed(ASSOCIATION, entry.series_hash, "TEST", "1.2.3")
    assert facts.queue.get() is None
    aside.set_aside(ASSOCIATION, entry, RECEIVED, "because")
    assert facts.queue.get() is None, "an instance ends no series"


def test_those_who_follow_series_hear_when_their_association_was_set_aside(aside, entry, facts):
    for _ in range(3):
        aside.unexpected_association(ASSOCIATION, ValueError())
    assert facts.queue.get() == SeriesFailed(ASSOCIATION, entry.series_hash, "TEST", "1.2.3")
    assert facts.queue.get() is None


def test_what_cannot_be_set_aside_stays_and_is_left_alone_until_it_is_time_again(
    aside, gateway_directory, slot, entry, monkeypatch
):
    os.rmdir(gateway_directory.aside)
    with open(gateway_directory.aside, "wb"):
        pass
    aside.set_aside(ASSOCIATION, entry, RECEIVED, "because")
    assert os.path.exists(os.path.join(gateway_directory.spool, ASSOCIATION, entry.at(RECEIVED)))
    assert slot[Counter.INSTANCES_SET_ASIDE] == 0
    assert aside.leaves_alone(ASSOCIATION, entry, RECEIVED)
    later = time.monotonic() + 61
    monkeypatch.setattr("workers.channels.setting_aside.time.monotonic", lambda: later)
    assert not aside.leaves_alone(ASSOCIATION, entry, RECEIVED)
    os.unlink(gateway_directory.aside)
    aside.set_aside(ASSOCIATION, entry, RECEIVED, "because")
    assert not aside.leaves_alone(ASSOCIATION, entry, RECEIVED)
    assert list(set_aside_of(gateway_directory.aside, ASSOCIATION))
