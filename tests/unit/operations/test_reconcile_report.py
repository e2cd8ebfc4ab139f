"""The totals add up, and their text is English."""

import json

import pytest
from rich.console import Console

from oxidicom.operations.differences import DifferenceKind
from oxidicom.operations.reconcile_report import ROW_REGISTERED, JsonReport, Outcome, TextReport, Totals

KINDS = list(DifferenceKind)


def printed(report, capsys, *outcomes, **compared):
    totals = Totals(**compared)
    for outcome in outcomes:
        report.add(outcome)
        totals.add(outcome)
    report.end(totals)
    return capsys.readouterr().out, totals


def test_one_is_not_many(capsys):
    file, row, series = (Outcome(kind, "p", "") for kind in KINDS)
    said, totals = printed(TextReport(Console(width=200)), capsys, file, row, series, files=1, rows=1)
    assert said.splitlines()[3:] == [
        "1 file and 1 row compared: 1 file without a row, 0 registered now; 1 row without a file.",
        "1 series without a row, 0 registered now.",
    ]
    assert totals.left == 3


def test_many_are_not_one(capsys):
    outcomes = [Outcome(kind, "p", done) for kind in KINDS for done in ("", "why not", ROW_REGISTERED)]
    said, totals = printed(TextReport(Console(width=200)), capsys, *outcomes, files=0, rows=20)
    assert said.splitlines()[9:] == [
        "0 files and 20 rows compared: 3 files without a row, 1 registered now; 3 rows without a file.",
        "3 series without a row, 1 registered now.",
    ]
    assert totals.left == 2 + 3 + 2


@pytest.mark.parametrize(("count", "said"), [(1, "1 of the files is still"), (2, "2 of the files are still")])
def test_what_is_in_the_spool_still_is_named_and_no_difference(count, said, capsys):
    text, totals = printed(TextReport(Console(width=200)), capsys, files=3, rows=3 - count, files_in_spool=count)
    assert text.splitlines()[1] == f"{said} in the spool, and not registered yet."
    assert totals.left == 0


def test_the_json_form_has_the_same(capsys):
    said, totals = printed(JsonReport(), capsys, *(Outcome(kind, "p", ROW_REGISTERED) for kind in KINDS))
    found = json.loads(said)
    assert [one["kind"] for one in found["differences"]] == KINDS
    assert (found["registered"], found["series_registered"], found["rows_without_files"]) == (1, 1, 1)
    assert totals.left == 1
