"""The report says what was measured, and the plot can be drawn of any part of it."""

import json

import pytest
from rich.console import Console

from benchmarks.figures import Figure, Measurement, Results
from benchmarks.goals import GOALS, goals_against
from benchmarks.report import print_report, ratio_to, write_json
from benchmarks.workloads import DCMTK, GATEWAY, GATEWAY_6, REGISTRATION

TITLES = {GATEWAY: "oxidicom", DCMTK: "DCMTK storescp --fork"}


@pytest.fixture
def results():
    made = Results([Measurement(0, "10k", GATEWAY, {Figure.PEAK_USS_BYTES: 9e6}, {"listener": 9_000_000})])
    for number, ours, theirs in ((1, 150, 100), (2, 320, 200)):
        figures = {Figure.INSTANCES_PER_SECOND: ours, Figure.LAG_P50_SECONDS: 0.02, Figure.LAG_P99_SECONDS: 0.1}
        made.add(Measurement(number, "10k", GATEWAY, figures))
        made.add(Measurement(number, "10k", DCMTK, {Figure.INSTANCES_PER_SECOND: theirs}))
    return made


def test_the_tables_have_medians_ratios_and_verdicts(results):
    console = Console(record=True, width=160)
    print_report(results, TITLES, {"Orthanc": "not installed: apt-get install orthanc"}, console)
    text = console.export_text()
    assert "1.55 (1.50–1.60)" in text
    assert [line for line in text.splitlines() if "10 KB: rate against DCMTK" in line and "met" in line]
    assert "Orthanc was left out, not installed: apt-get install orthanc" in text
    assert "lag p99" in text


def test_a_ratio_needs_both_in_a_round(results):
    results.add(Measurement(3, "10k", GATEWAY, {Figure.INSTANCES_PER_SECOND: 1e9}))
    assert ratio_to(results, "10k", DCMTK).high == 1.6


def test_registration_alone_stands_among_the_gateways(results):
    for server, rate in ((GATEWAY, 21_000), (GATEWAY_6, 13_000)):
        results.add(Measurement(1, REGISTRATION, server, {Figure.ROWS_PER_SECOND: rate}))
    console = Console(record=True, width=200)
    print_report(results, TITLES | {GATEWAY_6: "oxidicom, CUBE 6"}, {}, console)
    lines = [line for line in console.export_text().splitlines() if "registration alone, 500" in line]
    assert [name for name in ("21,000", "13,000") if any(name in line for line in lines)] == ["21,000", "13,000"]


def test_gateways_with_a_database_are_compared_until_the_last_row(results):
    for number, ours, theirs in ((1, 4000, 2000), (2, 6000, 2000), (3, 5000, 2000)):
        results.add(Measurement(number, "10k", GATEWAY, {Figure.ROWS_PER_SECOND: ours}))
        results.add(Measurement(number, "10k", "rust", {Figure.ROWS_PER_SECOND: theirs}))
    console = Console(record=True, width=200)
    print_report(results, TITLES | {"rust": "rust"}, {}, console, [*GOALS, *goals_against("rust")])
    lines = [line for line in console.export_text().splitlines() if "rust" in line]
    assert any("2,000 – 2,000" in line and "2.50 (2.00–3.00)" in line for line in lines)
    assert any("until the last row: rate against rust" in line and "met" in line for line in lines)


def test_json_has_every_measurement(results, tmp_path):
    path = tmp_path / "new" / "results.json"
    write_json(results, {"processor": "some"}, {}, str(path))
    document = json.loads(path.read_text())
    assert len(document["measurements"]) == 5
    assert document["measurements"][0]["peak_uss_bytes"] == {"listener": 9_000_000}
    (goal,) = [goal for goal in document["goals"] if goal["measured"]]
    assert (goal["median"], goal["met"]) == (pytest.approx(1.55), True)


def test_a_plot_is_drawn(results, tmp_path):
    pytest.importorskip("matplotlib", reason="make benchmark installs it")
    from benchmarks.plot import write_plot

    for number, some in enumerate((results, Results())):
        path = tmp_path / f"{number}.png"
        write_plot(some, TITLES, "a machine", str(path))
        assert path.read_bytes().startswith(b"\x89PNG")
