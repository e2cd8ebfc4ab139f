"""One SOP instance with different contents: the file is whole and is the version committed last, the row is one."""

import os
import signal
import threading
import time

import pytest

from tests.acceptance.drills.account import settled
from tests.dicom import contexts_of, dataset_bytes, make_instance, open_association
from tests.processes import freeze
from tests.waiting import wait_until


@pytest.fixture
def version(tmp_path):
    """A function that writes version `text` of the instance; the content differs, the path in the tree does not."""

    def make(text):
        return make_instance(tmp_path / f"{text}.dcm", 1, "1.2.3", ImageComments=text * 1000)

    return make


def store(association, path):
    assert association.send_c_store(os.fspath(path)).Status == 0


def is_the_file(gateway, rows, path):
    settled(gateway)
    assert len(rows()) == 1
    (name,) = gateway.stored()
    assert dataset_bytes(gateway.files_root / name) == dataset_bytes(path)


def test_two_associations_at_once_end_with_one_whole_version(gateway, rows, version):
    versions = [version(f"v{number}") for number in range(8)]

    def send_each(paths):
        association = open_association(gateway.port, contexts_of(paths))
        for _ in range(10):
            for path in paths:
                store(association, path)
        association.release()

    threads = [threading.Thread(target=send_each, args=[versions[half::2]]) for half in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settled(gateway)
    (name,) = gateway.stored()
    assert dataset_bytes(gateway.files_root / name) in [dataset_bytes(path) for path in versions]
    last = version("last")
    association = open_association(gateway.port, contexts_of([last]))
    store(association, last)
    association.release()
    is_the_file(gateway, rows, last)


@pytest.mark.parametrize("order", ["older association last", "younger association last"])
@pytest.mark.parametrize("how", ["after a crash", "after the storage worker died"])
def test_a_replay_ends_with_the_version_committed_last(order, how, make_gateway, rows, version):
    """The entries are found by association, which is not the order in which they were committed."""
    gateway = make_gateway(TOKIO_WORKER_THREADS="1")
    first, last = version("first"), version("last")
    associations = [open_association(gateway.port, contexts_of([first])) for _ in range(2)]
    if order == "older association last":
        associations.reverse()
    (storage,) = gateway.pids_of("storage")
    freeze(storage)
    store(associations[0], first)
    store(associations[1], last)
    if how == "after a crash":
        gateway.kill_all()
        gateway.start()
    else:
        os.kill(storage, signal.SIGKILL)
    for association in associations:
        association.release()
    is_the_file(gateway, rows, last)


def store_behind_obstacle(gateway, association, later):
    """Put a directory in the way of a stored file. Return its path when a later version waits for it to go."""
    path = gateway.files_root / gateway.stored()[0]
    path.unlink()
    path.mkdir()
    store(association, later)
    wait_until(lambda: gateway.lines("store_failed"), "the second version waits")
    return path


def test_an_old_entry_that_waited_for_an_obstacle_does_not_replace_a_newer_file(make_gateway, rows, version):
    gateway = make_gateway(TOKIO_WORKER_THREADS="1")
    first, second, third = version("first"), version("second"), version("third")
    association = open_association(gateway.port, contexts_of([first]))
    store(association, first)
    wait_until(rows, "the row")
    path = store_behind_obstacle(gateway, association, second)
    path.rmdir()
    store(association, third)
    association.release()
    is_the_file(gateway, rows, third)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_was_set_by_an_hour_lets_no_old_version_win(hours, make_gateway, rows, version):
    """The second version waits for an obstacle; then the gateway is killed, and the clock set by an hour."""
    gateway = make_gateway(TOKIO_WORKER_THREADS="1")
    first, second, third = version("first"), version("second"), version("third")
    association = open_association(gateway.port, contexts_of([first]))
    store(association, first)
    wait_until(lambda: rows() and not gateway.find(".oxidicom/0*/spool/*/0*"), "it is registered and out of the spool")
    path = store_behind_obstacle(gateway, association, second)
    gateway.kill_all()
    (entry,) = gateway.find(".oxidicom/0*/spool/*/*.received")
    clock = gateway.files_root / ".oxidicom/clock"
    for stamped, moment in ((entry, entry.stat().st_mtime), (clock, time.time())):  # as before the clock was set
        os.utime(stamped, (moment + hours * 3600, moment + hours * 3600))
    gateway.start()
    wait_until(lambda: len(gateway.lines("store_failed")) >= 2, "it waits again")
    association = open_association(gateway.port, contexts_of([third]))
    path.rmdir()
    store(association, third)
    association.release()
    is_the_file(gateway, rows, third)


def test_two_gateways_agree_which_version_is_the_last(make_gateway, rows, version, tmp_path):
    """Each version is sent when the one before was answered, to one gateway and the other by turns."""
    gateways = [make_gateway(name=f"gateway{number}") for number in range(2)]
    versions = [version(f"v{number}") for number in range(20)]
    associations = [open_association(gateway.port, contexts_of(versions)) for gateway in gateways]
    for number, one in enumerate(versions):
        store(associations[number % 2], one)
    for association in associations:
        association.release()
    is_the_file(gateways[0], rows, versions[-1])
