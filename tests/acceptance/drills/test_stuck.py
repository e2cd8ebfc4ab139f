"""A process that gives no sign of life is killed and has a successor; its queue and everybody else go on."""

import os

import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.dicom import contexts_of, make_series, open_association, send
from tests.processes import freeze, sockets
from tests.waiting import wait_until


@pytest.mark.timeout(300)
def test_stopped_processes_are_killed_and_their_work_goes_on(make_gateway, rows, tmp_path):
    """A listener in the middle of an association, every storage worker, inquiry and registration stop at once."""
    gateway = make_gateway(CHRIS_LISTENER_THREADS="3")
    paths = make_series(tmp_path / "held", 2, "1.2.3")
    held = open_association(gateway.port, contexts_of(paths))
    assert held.send_c_store(os.fspath(paths[0])).Status == 0
    wait_until(rows, "it is registered: nobody is stopped while the disk is waited for, which is no hang")
    listeners = set(gateway.pids_of("listener"))
    (busy,) = [pid for pid in listeners if holds_a_connection(pid)]
    victims = [
        busy,
        *(pid for role in ("storage", "inquiry", "registration") for pid in gateway.pids_of(role)),
    ]
    for pid in victims:
        freeze(pid)
    others = make_series(tmp_path / "others", 50, "1.2.4")
    assert [status.Status for status in send(gateway.port, others)] == [0] * 50, "the others do not notice"
    wait_until(lambda: len(gateway.lines("process_stuck")) == len(victims), "they are killed", 60)
    settled(gateway)
    wait_until(lambda: held.is_aborted or held.is_released or not held.is_established, "its association is closed")
    acknowledged = {"1.2.3.1": paths[0]} | {f"1.2.4.{number}": path for number, path in enumerate(others, 1)}
    found = nothing_lost(gateway, rows, acknowledged)
    assert metadata_is_right(rows(metadata=True)) == len(found) == 51
    assert busy not in gateway.pids_of("listener")
    died = [line["message"] for line in gateway.lines("process_died")]
    assert sum("listener" in message for message in died) == 1, "only the stuck one was missed"
    held.abort()


def holds_a_connection(pid):
    """Tell whether a listener has an accepted connection: one TCP socket more than the listening one."""
    own = sockets(pid)
    established = 0
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}") as file:
            next(file)
            established += sum(fields[3] == "01" and fields[9] in own for fields in map(str.split, file))
    return established > 0
