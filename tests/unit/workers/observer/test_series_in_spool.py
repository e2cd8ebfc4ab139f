"""What the spool knows of series for their live progress."""

import os
from pathlib import Path

import pytest

from oxidicom.records import COMMITTED_COUNT_KEY
from oxidicom.spool.ledger import Started
from oxidicom.spool.names import RECEIVED, REGISTERED, TOLD, MetadataValue
from oxidicom.spool.set_aside import set_aside
from oxidicom.spool.spool_writer import SpoolWriter
from tests.fixtures.storage import commit, describe_file
from workers.channels.scoreboard import Scoreboard
from workers.observer.series_in_spool import SeriesInSpool

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"


@pytest.fixture
def in_spool(gateway_directory):
    return SeriesInSpool(
        gateway_directory,
        gateway_directory.files_root,
        Scoreboard(1).slots[0],
        lambda series: series.series_instance_uid,
    )


@pytest.fixture
def spool_writer(gateway_directory):
    return SpoolWriter(gateway_directory.spool, Started(ASSOCIATION, "TEST", "ChRIS", "127.0.0.1:1"))


def test_what_neither_waits_nor_was_set_aside_is_registered(in_spool, spool_writer, gateway_directory):
    names = [commit(spool_writer, describe_file(number)) for number in range(1, 6)]
    other = commit(spool_writer, describe_file(1, series_uid="1.2.4"))
    for name in names[:2]:
        os.unlink(os.path.join(spool_writer.directory, name.at(RECEIVED)))
    set_aside(spool_writer.directory, names[2].at(RECEIVED), gateway_directory.aside, "because")
    uncounted = names[-1]._replace(number=99)
    Path(spool_writer.directory, uncounted.at(RECEIVED)).touch()
    assert in_spool.count(ASSOCIATION).registered == {"1.2.3": 2, "1.2.4": 0}
    assert in_spool.registered_in_the_end(ASSOCIATION, {names[0].series_hash: 5}) == 4
    assert in_spool.registered_in_the_end(ASSOCIATION, {other.series_hash: 1}) == 1
    assert in_spool.registered_in_the_end(ASSOCIATION, {names[0].series_hash: 5, other.series_hash: 1}) == 5
    spool_writer.end("released", 0)


def test_series_that_share_a_subject_are_counted_together(in_spool, spool_writer):
    names = [commit(spool_writer, describe_file(number, directory)) for number, directory in enumerate("aab")]
    assert in_spool.count(ASSOCIATION).registered == {"1.2.3": 0}
    for name in names[1:]:
        os.unlink(os.path.join(spool_writer.directory, name.at(RECEIVED)))
    assert in_spool.count(ASSOCIATION).registered == {"1.2.3": 2}
    spool_writer.end("released", 0)


def test_an_association_that_is_gone_counts_nothing(in_spool):
    assert in_spool.count(ASSOCIATION).registered == {}


def test_the_end_of_a_series_is_marked_once(in_spool, spool_writer):
    value = MetadataValue("0" * 20, COMMITTED_COUNT_KEY, "3")
    path = Path(spool_writer.directory, value.at(REGISTERED))
    path.touch()
    assert in_spool.mark_told(ASSOCIATION, value.series_hash, 3)
    assert os.path.exists(os.path.join(spool_writer.directory, value.at(TOLD)))
    assert not in_spool.mark_told(ASSOCIATION, value.series_hash, 3)
    path.touch()  # it was decided anew by who did not see it in the moment of the rename
    assert not in_spool.mark_told(ASSOCIATION, value.series_hash, 3)
    assert not path.exists()
    spool_writer.end("released", 0)
