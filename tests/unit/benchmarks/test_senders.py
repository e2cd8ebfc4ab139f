"""The table of senders: what is sent, how long a run is, what is made of it, and one real sender."""

import signal
import sys
from dataclasses import replace

import pydicom
import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmarks.database import DatabaseServer
from benchmarks.datasets import Content
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Measurement, Results
from benchmarks.senders import running
from benchmarks.senders.__main__ import app
from benchmarks.senders.campaign import Campaign
from benchmarks.senders.files import SIZES, Files
from benchmarks.senders.goals import many_times_faster, no_slower
from benchmarks.senders.ladder import choose, instances_per_second, rungs_of
from benchmarks.senders.programs import PROGRAMS
from benchmarks.senders.receivers import RECEIVERS, receivers_with
from benchmarks.senders.report import Report
from benchmarks.senders.running import run_side_by_side
from benchmarks.senders.trial import Row, Trial, row_name
from tests.processes import running_with

RECEIVER = {one.name: one for one in receivers_with(DatabaseServer("/nowhere"))}
STORESCU = PROGRAMS[0]
RUNGS = [20, 80, 320, 1280]


@pytest.mark.parametrize(
    ("tried_seconds", "files"),
    [(20.0, 20), (1.0 + 19 * 0.0254, 20), (1.0 + 19 * 0.0253, 80), (1.0 + 19 * 0.005, 320), (1.01, 1280), (0.9, 1280)],
)
def test_a_run_has_as_many_files_as_are_sent_in_two_seconds(tried_seconds, files):
    assert choose(RUNGS, 1.0, tried_seconds) == files


def test_a_run_fits_in_the_page_cache_or_is_the_shortest():
    assert rungs_of(10_000, 8) == RUNGS
    assert rungs_of(525_000, 1) == [20, 80, 320]
    assert rungs_of(525_000, 8) == [20, 80]
    assert rungs_of(1 << 30, 8) == [20]


def test_a_rate_has_no_part_of_the_start_of_a_program():
    assert instances_per_second(101, 8, seconds=3.0, one_file_seconds=1.0) == 400
    with pytest.raises(BenchmarkError, match=r"80 files took 1\.000 s, and one took 1\.000 s"):
        instances_per_second(80, 1, 1.0, 1.0)


@pytest.mark.parametrize("content", SIZES.values())
def test_every_file_has_uids_of_its_own(content, tmp_path):
    files = Files(content, str(tmp_path))
    series = [*files.series(0, 2, 2), *files.series(1, 3, 1)]
    read = [[pydicom.dcmread(path) for path in one.paths] for one in series]
    everything = [dataset for datasets in read for dataset in datasets]
    assert [len(datasets) for datasets in read] == [2, 2, 3]
    assert len({dataset.SOPInstanceUID for dataset in everything}) == 7
    assert [{dataset.SeriesInstanceUID for dataset in datasets} for datasets in read] == [
        {one.series_instance_uid} for one in series
    ]
    for dataset in everything:
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert len(dataset.PixelData) == dataset.Rows * dataset.Columns * 2
    assert [dataset.InstanceNumber for dataset in read[2]] == [1, 2, 3]


def test_files_are_written_once_and_differ_from_those_of_other_sizes(tmp_path):
    small, large = (Files(content, str(tmp_path)) for content in (Content.SMALL_EXPLICIT, Content.MEDIUM_EXPLICIT))
    assert small.series(0, 1, 1) == small.series(0, 1, 1)
    assert small.series(0, 1, 1)[0].series_instance_uid != large.series(0, 1, 1)[0].series_instance_uid
    assert large.file_bytes == pytest.approx(39_500, abs=500)


def test_programs_run_side_by_side_with_nothing_in_their_environment():
    code = "import os, time; assert set(os.environ) <= {'PATH', 'LC_CTYPE'}, os.environ; time.sleep(0.5)"
    assert 0.5 <= run_side_by_side([[sys.executable, "-c", code]] * 4).seconds < 30


def test_how_programs_ended_is_kept_with_what_they_wrote():
    ran = run_side_by_side([["true"], ["sh", "-c", "echo no such peer >&2; exit 3"]])
    assert ran.said == "status 0, 3. no such peer"


def test_a_program_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(running, "_SECONDS", 0.3)
    with pytest.raises(BenchmarkError, match=r"'62\.41'\]: no end within 0\.3 s"):
        run_side_by_side([["sleep", "62.41"]])
    assert not running_with("sleep 62.41")


def test_no_program_is_left_when_it_is_interrupted():
    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            run_side_by_side([["sleep", "61.83"]] * 2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not running_with("sleep 61.83")


def test_no_receiver_is_tuned():
    assert tuple(RECEIVER) == RECEIVERS
    assert all(not getattr(one, "environment", None) for one in RECEIVER.values())


def rows(tmp_path, *senders):
    files = Files(Content.SMALL_EXPLICIT, str(tmp_path))
    return [Row(replace(STORESCU, name=name, title=name), "10k", files, 1) for name in senders]


class Told:
    def begins(self, what):
        pass

    def ended(self, measurement):
        pass


def test_the_receivers_of_a_row_follow_one_another_and_rounds_go_both_ways(tmp_path, monkeypatch):
    monkeypatch.setattr(
        Trial, "run", lambda self, _: Measurement(self.round_number, self.row.name, self.receiver.name, {})
    )
    results = Results()
    campaign = Campaign(rows(tmp_path, "a", "b"), [RECEIVER["oxidicom"], RECEIVER["dcmtk"]], 2)
    campaign.run("", results, Told())
    seen = [(one.round_number, one.workload[0], one.server) for one in results.measurements]
    first = [("a", "oxidicom"), ("a", "dcmtk"), ("b", "oxidicom"), ("b", "dcmtk")]
    assert seen == [(1, *pair) for pair in first] + [(2, *pair) for pair in first[::-1]]
    assert campaign.measurements == len(seen)


def test_a_round_that_is_interrupted_is_not_among_the_results(tmp_path, monkeypatch):
    def run(self, _):
        if (self.round_number, self.row.sender.name) == (2, "a"):
            raise KeyboardInterrupt
        return Measurement(self.round_number, self.row.name, self.receiver.name, {})

    monkeypatch.setattr(Trial, "run", run)
    results = Results()
    with pytest.raises(KeyboardInterrupt):
        Campaign(rows(tmp_path, "a", "b"), [RECEIVER["dcmtk"]], 2).run("", results, Told())
    assert {one.round_number for one in results.measurements} == {1}


def test_a_pair_that_fails_is_noted_and_the_round_goes_on(tmp_path, monkeypatch):
    def run(self, _):
        if self.row.sender.name == "a":
            raise BenchmarkError("nothing came")
        return Measurement(self.round_number, self.row.name, self.receiver.name, {})

    monkeypatch.setattr(Trial, "run", run)
    results = Results()
    campaign = Campaign(rows(tmp_path, "a", "b"), [RECEIVER["dcmtk"]], 1)
    campaign.run("", results, Told())
    assert [one.workload for one in results.measurements] == [row_name("b", "10k", 1)]
    assert campaign.failures == ["round 1 · a, 10k, 1 association → DCMTK storescp --fork: nothing came"]


def rates(**by_receiver):
    """The results of storescu, 10 KB, one association: a rate for each round."""
    return Results(
        Measurement(number, row_name("storescu", "10k", 1), name.replace("_", "-"), {Figure.INSTANCES_PER_SECOND: rate})
        for name, of_rounds in by_receiver.items()
        for number, rate in enumerate(of_rounds, 1)
    )


@pytest.mark.parametrize(("rate", "met"), [(499, False), (500, True)])
def test_dcmtk_s_senders_are_to_be_twenty_times_faster(rate, met):
    verdicts = [one for one in many_times_faster(rates(oxidicom=[rate], dcmtk=[25])) if one.values]
    assert [one.is_met for one in verdicts] == [met]
    assert len(many_times_faster(Results())) == 12


@pytest.mark.parametrize(("rate", "met"), [(94, False), (95, True), (96, True)])
def test_no_sender_is_to_be_slower_with_us(rate, met):
    verdicts = no_slower(rates(oxidicom=[rate, rate * 2, rate], dcmtk=[100, 200, 100], dicom_rs=[1, 1, 1]))
    assert [one.is_met for one in verdicts] == [met, True]


def test_the_report_names_the_best_other_receiver_and_what_was_left_out(tmp_path):
    results = rates(oxidicom=[300, 400, 500], dcmtk=[100, 100, 100], pynetdicom=[1000, 500, 500])
    console = Console(width=160)
    report = Report(
        rows(tmp_path, "storescu"),
        list(RECEIVER.values()),
        {"GDCM gdcmscu": "not installed: x"},
        ["round 2: y"],
        results,
    )
    with console.capture() as capture:
        report.show(console)
    text = capture.get()
    assert "0.80 (0.30–1.00), pynetdicom" in text
    assert "storescu, 10k, 1 association: rate against pynetdicom" in text
    assert "1 of 2 met" in text
    assert "GDCM gdcmscu was left out, not installed: x" in text
    assert "Failed: round 2: y" in text
    report.write({}, str(tmp_path / "results" / "x.json"))
    assert '"goals"' in (tmp_path / "results" / "x.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--sender", "odil"], "there is no sender 'odil'; there are storescu, dcmsend, "),
        (["--receiver", "floor"], "there is no receiver 'floor'; there are oxidicom, dcmtk, "),
        (["--size", "11k"], "there is no size '11k'; there are 10k, 39k, 512k"),
        (["--directory", "/nowhere"], "/nowhere is not a directory"),
    ],
)
def test_a_wrong_word_is_named_with_its_remedy(arguments, answer):
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 2
    assert answer in " ".join(outcome.output.split())
