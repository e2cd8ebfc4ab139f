"""When progress is published, the directory of an association stays until those who follow its series were told."""

import os
from pathlib import Path

import pytest

from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.spool.ledger import LEDGER_NAME, Started
from oxidicom.spool.metadata_rows import UNKNOWN
from oxidicom.spool.names import DUE, REGISTERED, TOLD, MetadataValue
from oxidicom.spool.spool_writer import SpoolWriter
from tests.fixtures.storage import describe_file
from workers.channels.facts import SeriesRegistered
from workers.channels.scoreboard import Role
from workers.registration.batching import Pending
from workers.registration.completion import SeriesCompletion
from workers.registration.progress_telling import ProgressTelling
from workers.registration.verdicts import Verdicts

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"
NATS = {"CHRIS_NATS_ADDRESS": "nats://127.0.0.1:1"}


@pytest.fixture
def make_completion(make_shared):
    def make(**variables):
        shared = make_shared(CHRIS_HISTORY_DAYS="0", **variables)
        (slot,) = shared.scoreboard.of_role(Role.REGISTRATION)
        completion = SeriesCompletion(shared, slot, Pending(), Verdicts(slot, ()), ProgressTelling(shared, slot))
        return shared, completion

    return make


def make_association(shared, state, count="1", series_uids=("1.2.3",)):
    """Make an association of which everything is registered; the counts of its series are at `state`."""
    spool_writer = SpoolWriter(shared.directory.spool, Started(ASSOCIATION, "TEST", "ChRIS", "127.0.0.1:1"))
    for series_uid in series_uids:
        description = describe_file(series_uid=series_uid)
        name = spool_writer.name_of(spool_writer.next_number(), 1, description)
        spool_writer.enter_in_ledger(name, description)
        for key, text, at in ((EXPECTED_COUNT_KEY, UNKNOWN, REGISTERED), (COMMITTED_COUNT_KEY, count, state)):
            Path(spool_writer.directory, MetadataValue(name.series_hash, key, text).at(at)).touch()
    spool_writer.end("released", 0)
    return Path(spool_writer.directory)


def told(shared):
    facts = []
    while fact := shared.facts.queue.get():
        assert isinstance(fact, SeriesRegistered)
        facts.append((fact.association, fact.calling_ae_title, fact.series_instance_uid, fact.count))
    return facts


@pytest.mark.parametrize("state", [REGISTERED, TOLD])
def test_where_nothing_is_published_nothing_waits_for_it(make_completion, state):
    shared, completion = make_completion()
    directory = make_association(shared, state)
    completion.remove_if_finished(ASSOCIATION, tell_again=True)
    assert not directory.exists()
    assert told(shared) == []


def test_what_is_not_told_is_told_again_at_each_rescan_until_the_spool_says_so(make_completion):
    shared, completion = make_completion(**NATS)
    directory = make_association(shared, REGISTERED)
    for _ in range(2):
        completion.remove_if_finished(ASSOCIATION, tell_again=True)
        assert told(shared) == [(ASSOCIATION, "TEST", "1.2.3", 1)]
    completion.remove_if_finished(ASSOCIATION)
    assert told(shared) == [], "a batch or a hint is no reason to repeat it"
    assert completion.progress.is_awaited
    (count,) = directory.glob("*Count=1.registered")
    count.rename(count.with_suffix(f".{TOLD}"))
    completion.remove_if_finished(ASSOCIATION)
    assert not directory.exists()
    assert not completion.progress.is_awaited


def test_other_series_do_not_wait_for_one_that_is_not_registered(make_completion):
    shared, completion = make_completion(**NATS)
    directory = make_association(shared, REGISTERED, series_uids=("1.2.3", "1.2.4"))
    count = next(directory.glob("*Count=1.registered"))
    count.rename(count.with_suffix(f".{DUE}"))
    completion.remove_if_finished(ASSOCIATION, tell_again=True)
    assert len(told(shared)) == 1
    assert directory.exists()


def test_a_placeholder_of_what_was_put_back_is_not_told(make_completion):
    shared, completion = make_completion(**NATS)
    directory = make_association(shared, REGISTERED, count=UNKNOWN)
    completion.remove_if_finished(ASSOCIATION, tell_again=True)
    assert told(shared) == []
    assert not directory.exists()


def test_a_series_that_the_ledger_has_lost_keeps_no_directory(make_completion):
    shared, completion = make_completion(**NATS)
    directory = make_association(shared, REGISTERED)
    os.unlink(directory / LEDGER_NAME)
    completion.remove_if_finished(ASSOCIATION, tell_again=True)
    assert told(shared) == []
    assert not directory.exists()
