"""The curves: what is varied, in which order it is measured, and what is made of it."""

import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import curves
from benchmarks.curves import Curve, Point, curves_with, measure
from benchmarks.database import DatabaseServer
from benchmarks.figures import Figure, Measurement
from benchmarks.gateway import Gateway

NOT_STARTED = DatabaseServer("/nowhere")


def curve(panel, label, values):
    """A curve whose rate is its value."""
    made = Curve(panel, label, [])

    def point(value):
        figures = {Figure.INSTANCES_PER_SECOND: float(value), Figure.MEGABYTES_PER_SECOND: 1.0}
        return Point(value, lambda number, _: Measurement(number, made.name, value, figures))

    return Curve(panel, label, [point(value) for value in values])


@pytest.fixture
def some():
    return [curve("associations", "10 KB", ["1", "2"]), curve("associations", "512 KB", ["1", "2"])]


@pytest.fixture
def results(some):
    return measure(some, 3, "", Console(quiet=True))


def test_rounds_go_forwards_and_backwards_by_turns(results):
    order = [(one.round_number, one.workload[-6:].strip(), one.server) for one in results.measurements]
    first = [("10 KB", "1"), ("10 KB", "2"), ("512 KB", "1"), ("512 KB", "2")]
    second = first[::-1]
    expected = [(number, *pair) for number, pairs in ((1, first), (2, second), (3, first)) for pair in pairs]
    assert [(number, size.lstrip("· "), value) for number, size, value in order] == expected


def test_a_table_has_a_line_for_each_value(some, results):
    console = Console(record=True, width=120)
    for table in curves._tables(some, results):
        console.print(table)
    text = console.export_text()
    assert text.count("associations") == 4
    assert "512 KB" in text
    assert "lag" not in text, "what was not measured has no column"


def test_all_curves_have_names_of_their_own_and_a_panel_that_can_be_chosen():
    made = curves_with(NOT_STARTED)
    assert len({one.name for one in made}) == len(made)
    assert {one.panel for one in made} == set(curves.PANELS)


def test_a_setting_that_is_varied_reaches_the_gateway(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(Gateway, "running", lambda self, *_: seen.append(dict(self.settings)) or 1 / 0)
    (one,) = [one for one in curves_with(NOT_STARTED) if one.panel == curves.POOL]
    for point in one.points:
        with pytest.raises(ZeroDivisionError):
            point.measure(1, str(tmp_path))
    assert seen == [{"CHRIS_DB_POOL": value} for value in ("1", "2", "10")]


def test_a_plot_is_drawn(some, results, tmp_path):
    pytest.importorskip("matplotlib", reason="make benchmark installs it")
    from benchmarks.curve_plot import write_curve_plot

    path = tmp_path / "curves.png"
    write_curve_plot(curves._panels(some), results, str(path))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_wrong_word_is_named_with_its_remedy():
    outcome = CliRunner().invoke(curves.app, ["--only", "CHRIS_X"])
    assert outcome.exit_code == 2
    assert "nothing varies 'CHRIS_X'; there are associations, " in " ".join(outcome.output.split())
