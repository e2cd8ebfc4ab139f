"""To die exactly between two steps of *write → commit → ledger → queue → respond → link → sync → rename → insert →
COMMIT → unlink*: at the entry of each system call, with a successor and with a restart of everything.
"""

import contextlib
import os

import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.dicom import LARGE, SMALL, contexts_of, make_series, open_association
from tests.processes import freeze, is_alive
from tests.waiting import wait_until

pytestmark = pytest.mark.strace

# The first instance of the association has gone through wholly when the tracer is attached; the second one meets it.
BEFORE_THE_COMMIT = [
    ("listener", "openat", 1),  # the part file
    ("listener", "writev", 1),
    ("listener", "utimensat", 1),
    ("listener", "/^rename", 1),  # the commit
]
BEFORE_THE_COMMIT_IN_ONE_PIECE = [
    ("listener", "openat", 1),  # under its committed name
    ("listener", "writev", 1),  # the commit
]
AFTER_THE_COMMIT_IN_ONE_PIECE = [
    ("listener", "utimensat", 1),
    ("listener", "write", 1),  # the ledger
    ("listener", "sendto", 1),  # the queue
]
AFTER_THE_COMMIT = [
    ("listener", "write", 1),  # the ledger
    ("listener", "sendto", 1),  # the queue
    ("listener", "sendto", 2),  # the response
    ("storage", "fdatasync", 1),
    ("storage", "linkat", 1),
    ("storage", "fsync", 1),
    ("storage", "/^rename", 1),
    ("storage", "sendto", 1),  # the hint to registration
    ("registration", "sendto", 1),  # BEGIN and INSERT
    ("registration", "sendto", 2),
    ("registration", "sendto", 3),  # COMMIT
    ("registration", "/^unlink", 1),
]
AT_THE_END = [
    ("storage", "openat", 1),  # the metadata files of the series
    ("storage", "fsync", 1),
    ("storage", "/^rename", 1),
    ("storage", "sendto", 1),
    ("registration", "sendto", 1),
    ("registration", "sendto", 3),
    ("registration", "/^rename", 1),  # the value is registered
    ("registration", "/^unlink", 1),  # the ledger, then the rest
    ("registration", "rmdir", 1),
]


def named(steps):
    return [pytest.param(*step, id="-".join(map(str, step)).replace("/^", "")) for step in steps]


@pytest.fixture(params=["successor", "restart"])
def aftermath(request):
    return request.param


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(CHRIS_LISTENER_THREADS="1", TOKIO_WORKER_THREADS="1")


@pytest.fixture(params=["large"])
def paths(request, tmp_path):
    return make_series(tmp_path / "in", 2, "1.2.3", **(LARGE if request.param == "large" else SMALL))


in_one_piece = pytest.mark.parametrize("paths", ["small"], indirect=True)


@pytest.fixture
def association(gateway, paths, rows):
    """An association whose first instance is registered."""
    opened = open_association(gateway.port, contexts_of(paths))
    assert opened.send_c_store(os.fspath(paths[0])).Status == 0
    wait_until(lambda: len(rows()) == 1, "the first instance is registered")
    wait_until(lambda: not [name for name in gateway.spooled() if name.endswith("stored")], "and cleared")
    yield opened
    opened.abort()


def doom(inject, gateway, role, calls, when, aftermath):
    """Let the process of `role` die at its `when`-th call; for a restart the supervisor is stopped: nobody follows."""
    (victim,) = gateway.pids_of(role)
    inject(victim, calls, f"signal=KILL:when={when}")
    if aftermath == "restart":
        freeze(gateway.process.pid)
    return victim


def await_death(gateway, victim, aftermath):
    wait_until(lambda: not is_alive(victim), "it died at that step")
    if aftermath == "restart":
        gateway.kill_all()
        gateway.start()


def send_second(association, paths):
    """Return whether the second instance was answered with Success."""
    with contextlib.suppress(Exception):  # the association may end in the middle
        return association.send_c_store(os.fspath(paths[1])).get("Status") == 0
    return False


@pytest.mark.parametrize(("role", "calls", "when"), named(BEFORE_THE_COMMIT))
def test_dead_before_the_commit_the_instance_was_never_acknowledged(
    role, calls, when, aftermath, gateway, association, paths, rows, inject
):
    victim = doom(inject, gateway, role, calls, when, aftermath)
    assert not send_second(association, paths)
    await_death(gateway, victim, aftermath)
    wait_until(lambda: len(rows(metadata=True)) == 2, "the metadata rows", 30)
    settled(gateway)
    assert len(nothing_lost(gateway, rows, {"1.2.3.1": paths[0]})) == 1
    assert metadata_is_right(rows(metadata=True)) == 1


@in_one_piece
@pytest.mark.parametrize(("role", "calls", "when"), named(BEFORE_THE_COMMIT_IN_ONE_PIECE))
def test_dead_before_the_commit_in_one_piece(role, calls, when, aftermath, gateway, association, paths, rows, inject):
    test_dead_before_the_commit_the_instance_was_never_acknowledged(
        role, calls, when, aftermath, gateway, association, paths, rows, inject
    )


@in_one_piece
@pytest.mark.parametrize(("role", "calls", "when"), named(AFTER_THE_COMMIT_IN_ONE_PIECE))
def test_dead_after_the_commit_in_one_piece(role, calls, when, aftermath, gateway, association, paths, rows, inject):
    test_dead_after_the_commit_the_instance_is_registered(
        role, calls, when, aftermath, gateway, association, paths, rows, inject
    )


@pytest.mark.parametrize(("role", "calls", "when"), named(AFTER_THE_COMMIT))
def test_dead_after_the_commit_the_instance_is_registered(
    role, calls, when, aftermath, gateway, association, paths, rows, inject
):
    victim = doom(inject, gateway, role, calls, when, aftermath)
    acknowledged = send_second(association, paths)
    assert acknowledged == (role != "listener")
    await_death(gateway, victim, aftermath)
    if role != "listener" and aftermath == "successor":
        association.release()
    wait_until(lambda: len(rows(metadata=True)) == 2, "the metadata rows", 30)
    settled(gateway)
    nothing_lost(gateway, rows, {"1.2.3.1": paths[0], "1.2.3.2": paths[1]})
    assert metadata_is_right(rows(metadata=True)) == 2


@pytest.mark.parametrize(("role", "calls", "when"), named(AT_THE_END))
def test_dead_at_the_end_of_an_association_both_metadata_rows_come(
    role, calls, when, aftermath, gateway, association, paths, rows, inject
):
    wait_until(lambda: len(rows(metadata=True)) == 1, "the answer of inquiry")
    wait_until(lambda: not gateway.find(".oxidicom/0*/spool/*/*.stored"), "all of it is cleared")
    victim = doom(inject, gateway, role, calls, when, aftermath)
    association.release()
    await_death(gateway, victim, aftermath)
    wait_until(lambda: len(rows(metadata=True)) == 2, "the metadata rows", 30)
    settled(gateway)
    nothing_lost(gateway, rows, {"1.2.3.1": paths[0]})
    assert metadata_is_right(rows(metadata=True)) == 1
