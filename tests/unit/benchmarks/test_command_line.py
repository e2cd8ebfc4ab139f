"""A wrong word on the command line is answered with the right ones, before anything is started."""

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--workload", "11k"], "there is no workload '11k'; there are 10k, 512k, "),
        (["--peer", "dcm4che"], "there is no peer 'dcm4che'; there are dcmtk, dcmtk-b, "),
        (["--setting", "CHRIS_DB_POOL"], "'CHRIS_DB_POOL' is no setting; NAME=VALUE is expected"),
        (["--gateway", "other"], "'other' is no gateway; NAME=COMMAND is expected, such as rust="),
        (["--gateway", "a/b=c"], "'a/b=c' is no gateway; NAME=COMMAND is expected"),
        (["--gateway", "orthanc=Orthanc"], "the name 'orthanc' is taken"),
        (["--gateway", "a=true", "--gateway", "a=true"], "the name 'a' is taken"),
        (["--gateway", "a="], "gateway 'a' cannot be started: there is no program to start"),
        (["--gateway", "a=no-such-gateway"], "gateway 'a' cannot be started: there is no program no-such-gateway"),
        (["--gateway", "a=P={prot} x"], "gateway 'a' cannot be started: 'P={prot}' has a brace"),
        (["--directory", "/nowhere"], "/nowhere is not a directory"),
        (["--rounds", "0"], "Invalid value for '--rounds'"),
    ],
)
def test_a_wrong_word_is_named_with_its_remedy(arguments, answer):
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 2
    assert answer in " ".join(outcome.output.split())
