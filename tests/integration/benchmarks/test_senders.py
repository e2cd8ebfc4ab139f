"""A real sender is measured with real receivers, and what is not stored is found out."""

import tempfile
from dataclasses import replace

import pytest

from benchmarks.database import DatabaseServer
from benchmarks.datasets import Content
from benchmarks.directories import workplace
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.peers import Peer
from benchmarks.senders import trial
from benchmarks.senders.files import Files
from benchmarks.senders.programs import PROGRAMS
from benchmarks.senders.receivers import receivers_with
from benchmarks.senders.trial import Row, Trial
from tests.processes import running_with

RECEIVER = {one.name: one for one in receivers_with(DatabaseServer("/nowhere"))}
STORESCU = PROGRAMS[0]
RUNGS = [20, 80, 320, 1280]


@pytest.fixture
def small_row(tmp_path):
    return Row(STORESCU, "10k", Files(Content.SMALL_EXPLICIT, str(tmp_path)), 1)


@pytest.mark.dcmtk
def test_what_is_not_stored_is_found_out(small_row, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "_STORE_SECONDS", 0.2)
    receiver = RECEIVER["dcmtk"]
    assert isinstance(receiver, Peer)
    ignoring = replace(receiver, arguments=lambda *of: ["--ignore", *receiver.arguments(*of)])
    with (
        workplace(str(tmp_path)) as own,
        pytest.raises(BenchmarkError, match="1 instances were sent, 0 are stored"),
    ):
        Trial(1, small_row, ignoring).run(own)


@pytest.mark.dcmtk
def test_storescu_is_measured_with_storescp_and_with_this_gateway(small_row):
    with workplace(tempfile.gettempdir()) as own, DatabaseServer(own) as database:
        receivers = [one for one in receivers_with(database) if one.name in ("oxidicom", "dcmtk")]
        measured = [Trial(1, small_row, receiver).run(own) for receiver in receivers]
    for measurement in measured:
        figures = measurement.figures
        assert figures[Figure.FILES_EACH] in RUNGS
        assert figures[Figure.INSTANCES_PER_SECOND] > 0
        assert 0 < figures[Figure.ONE_FILE_SECONDS] < 30
    assert not running_with(own)
