"""The database as the operator's commands find it."""

from oxidicom.operations.database import state_of_database
from oxidicom.settings import Settings


def test_an_embedded_database_is_there_only_while_its_gateway_runs(tmp_path):
    variables = {"CHRIS_DB_CONNECTION": "embedded", "CHRIS_FILES_ROOT": str(tmp_path), "STATE_DIRECTORY": str(tmp_path)}
    state = state_of_database(Settings.from_environment(variables))
    assert not state.reachable
    assert "only while the gateway does" in (state.reason or "")
