"""The command line: what it prints, and with which status it ends."""

import pytest
from typer.testing import CliRunner

from oxidicom import cli


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "--no-such-option"],
        ["no-such-command"],
        ["--no-such-option"],
        ["status", "--max-age", "soon"],
        ["status", "superfluous"],
        ["send-test", "--calling", "A" * 17],
        ["send-test", "--calling", "\u00c4"],
        ["send-test", "--calling", ""],
    ],
)
def test_a_command_line_that_cannot_be_understood_is_no_finding(arguments):
    done = CliRunner().invoke(cli.command_line(), arguments)
    assert done.exit_code == cli.EX_UNKNOWN, done.output


def test_the_rule_for_ae_titles_is_told():
    done = CliRunner().invoke(cli.command_line(), ["send-test", "--calling", "A" * 17])
    assert "1 to 16 printable ASCII characters" in " ".join(done.output.split())


def test_through_a_pipe_nothing_is_cut_at_the_width_of_a_terminal(tmp_path):
    root = tmp_path / ("long-" * 30)
    variables = {"CHRIS_DB_CONNECTION": "embedded", "CHRIS_FILES_ROOT": str(root), "COLUMNS": "80"}
    done = CliRunner().invoke(cli.command_line(), ["check"], env=variables)
    assert f"{root}: no instance is accepted (A700): the storage is not mounted: there is no directory" in done.output


@pytest.mark.parametrize("command", [["retry"], ["retry", "--dry-run"], ["discard", "--all", "--dry-run"]])
def test_where_there_is_no_storage_what_is_set_aside_cannot_be_known(command, tmp_path):
    root = tmp_path / "unmounted"
    variables = {"CHRIS_DB_CONNECTION": "embedded", "CHRIS_FILES_ROOT": str(root)}
    done = CliRunner().invoke(cli.command_line(), command, env=variables)
    assert done.exit_code == 1
    assert f"{root} is not a directory: mount CUBE's storage there" in done.stderr
