"""What an older version left is finished by this one: its spools, kept as it left them when it was killed.

Its history is read on, if it had one. `tests/acceptance/spools/__main__.py` tells how they were made.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from oxidicom.settings import Settings
from tests.acceptance.drills.account import metadata_is_right
from tests.acceptance.spools.__main__ import HISTORY
from tests.waiting import wait_until

SPOOLS = Path(__file__).parent / "spools"


@pytest.fixture(params=sorted(SPOOLS.glob("*.tar.gz")), ids=lambda path: path.name)
def upgraded(request, make_gateway):
    """A gateway on the storage that another version left: three instances wait for their rows, one was set aside."""
    gateway = make_gateway(start=False)
    subprocess.run(["tar", "-xzf", request.param, "-C", gateway.files_root], check=True)  # tarfile: from 3.11.4 on
    kept = gateway.files_root / HISTORY
    gateway.had_history = kept.exists()
    if gateway.had_history:
        place = Path(Settings.from_environment(gateway.environment).history_path)
        place.parent.mkdir()
        shutil.move(kept, place)
        kept.parent.rmdir()
    gateway.start()
    return gateway


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
    if upgraded.had_history:  # else it is of the second association alone, which this version has finished
        assert len(upgraded.run("log", "--json", "--aet", "OLD").stdout.splitlines()) == 2
    assert upgraded.stop() == 0
