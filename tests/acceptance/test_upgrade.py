"""What an older version left is finished by this one: its spools, kept as it left them when it was killed."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.drills.account import metadata_is_right
from tests.waiting import wait_until

SPOOLS = Path(__file__).parent / "spools"


@pytest.fixture
def upgraded(request, make_gateway):
    """A gateway on the storage that another version left: three instances wait for their rows, one was set aside."""
    gateway = make_gateway(start=False)
    archive = SPOOLS / f"{request.param}.tar.gz"
    subprocess.run(["tar", "-xzf", archive, "-C", gateway.files_root], check=True)  # tarfile: from Python 3.11.4 on
    gateway.start()
    return gateway


@pytest.mark.parametrize("upgraded", ["4.0.0"], indirect=True)
def test_what_waited_is_registered_and_what_was_set_aside_can_be_put_back(upgraded, rows):
    wait_until(lambda: not upgraded.spooled(), "the spool is worked off", 60)
    found = {row["fname"].rpartition("-")[2] for row in rows()}
    assert found == {"1.2.3.2.1.dcm", "1.2.3.2.2.dcm", "1.2.3.2.3.dcm"}
    assert metadata_is_right(rows(metadata=True)) == 3
    (aside,) = json.loads(upgraded.run("status", "--json").stdout)["set_aside"]
    assert aside["kind"] == "instance"
    assert "23514" in aside["reason"]
    assert upgraded.stop() == 0
    assert upgraded.run("retry").returncode == 0
    upgraded.start()  # which takes over at once what is put back; a running one looks once a minute
    wait_until(lambda: len(rows()) == 4, "the row of what was set aside", 60)
    assert json.loads(upgraded.run("status", "--json").stdout)["set_aside"] == []
    assert upgraded.stop() == 0
