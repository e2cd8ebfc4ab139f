"""The short version of `make foreign-clients`: the same 30 files, by the clients that are on the machine."""

import pytest

from tests.foreign.clients import ASYNC, IDENTITY, ONE, SEVERAL, Job, foreign_clients
from tests.foreign.files import make_files
from tests.foreign.peers import Receiver
from tests.foreign.trial import measure, try_mode

pytestmark = pytest.mark.dcmtk  # storescp is the measure


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("DCMTK dcmsend", ONE),
        ("pynetdicom", ONE),
        ("pynetdicom", SEVERAL),
        ("pynetdicom", IDENTITY),
        ("pynetdicom", ASYNC),
    ],
)
def test_thirty_files_of_all_kinds_are_stored_as_the_client_sends_them(name, mode, gateway, database, tmp_path):
    (client,) = [one for one in foreign_clients(tmp_path) if one.name == name]
    receiver = Receiver(gateway, database)
    job = Job(receiver.port, "FOREIGN", make_files(tmp_path / "in"), tmp_path)
    measured = measure(client, job, tmp_path / "storescp")
    outcome = try_mode(client, mode, job, receiver, measured)
    assert outcome.is_right, outcome
    assert outcome.stored >= 28
