"""Ages for people."""

import datetime

import pytest

from oxidicom.operations.database import state_of_database
from oxidicom.operations.status import _age
from oxidicom.settings import Settings


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-1, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (90061, "1 d 1 h")],
)
def test_an_age_has_its_two_largest_units(seconds, text):
    assert _age(datetime.timedelta(seconds=seconds)) == text


def test_an_embedded_database_is_there_only_while_its_gateway_runs(tmp_path):
    variables = {"CHRIS_DB_CONNECTION": "embedded", "CHRIS_FILES_ROOT": str(tmp_path), "STATE_DIRECTORY": str(tmp_path)}
    state = state_of_database(Settings.from_environment(variables))
    assert not state.reachable
    assert "only while the gateway does" in (state.reason or "")
