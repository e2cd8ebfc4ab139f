"""Associations under way, as the spool tells of them while they are written."""

import os

import pytest

from oxidicom.spool.ledger import LEDGER_NAME, Started, lines_after
from oxidicom.spool.names import STORED
from oxidicom.spool.spool_writer import SpoolWriter
from tests.fixtures.storage import commit, describe_file
from workers.page.associations import AssociationLook

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"


@pytest.fixture
def spool_writer(gateway_directory):
    writer = SpoolWriter(gateway_directory.spool, Started(ASSOCIATION, "TEST", "ChRIS", "127.0.0.1:1"))
    yield writer
    writer.end("released", 0)


def test_each_look_reads_on_where_the_one_before_ended(spool_writer, shared):
    look = AssociationLook(shared)
    names = [commit(spool_writer, describe_file())]
    (one,) = look.look().associations
    assert (one.received, one.registered, one.calling_ae_title) == (1, 0, "TEST")
    names.append(commit(spool_writer, describe_file()))
    directory = os.path.join(shared.directory.spool, ASSOCIATION)
    os.unlink(os.path.join(directory, names[0].at("received")))
    (one,) = look.look().associations
    assert (one.received, one.registered) == (2, 1)
    (series,) = one.series
    assert (series.received, series.registered, series.expected) == (2, 1, None)
    open(os.path.join(directory, f"{names[0].series_hash}-NumberOfSeriesRelatedInstances=7.{STORED}"), "w").close()
    (one,) = look.look().associations
    assert one.series[0].expected == 7


def test_a_line_that_is_not_whole_comes_later_and_one_without_an_end_is_passed_over(tmp_path):
    path = str(tmp_path / LEDGER_NAME)
    with open(path, "wb") as file:
        file.write(b'{"event":"ended","how":"released"}\n{"event":"en')
    (line,), offset = lines_after(path, 0, 1000)
    assert line.how == "released"
    assert lines_after(path, offset, 1000) == ([], offset)
    with open(path, "ab") as file:
        file.write(b'ded","how":"again"}\nnonsense\n' + b"x" * 5000)
    (line, nonsense), offset = lines_after(path, offset, 1000)
    assert (line.how, nonsense) == ("again", None)
    assert lines_after(path, offset, 1000) == ([], offset + 1000)
