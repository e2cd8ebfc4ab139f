"""What is thrown away goes only after it is on record, whatever moment a crash chooses."""

import os

import pytest

from oxidicom.operations.discard import Discard, run_discard
from oxidicom.spool.discard import discard, waste_of
from oxidicom.spool.gateway_directory import GatewayDirectory
from oxidicom.spool.names import STORED
from oxidicom.spool.set_aside import count_set_aside, holds_anything, read_reason
from tests.unit.spool.test_put_back import ASSOCIATION, OTHER, Silent, Storage, kill_at


@pytest.fixture
def storage(tmp_path):
    return Storage(tmp_path / "files")


def throw_away(storage, association=None):
    for waste in list(waste_of(str(storage.root), str(storage.aside), association)):
        discard(waste)


def reasons_of(storage, association=ASSOCIATION):
    return [read_reason(str(path)) for path in sorted((storage.aside / association).glob("[!.]*.json"))]


def test_only_the_association_that_is_meant(storage):
    storage.set_instance_aside(1)
    other = storage.set_instance_aside(2, association=OTHER)
    throw_away(storage, ASSOCIATION)
    assert storage.names_set_aside() == {other}
    assert count_set_aside(str(storage.aside)) == 1
    assert [holds_anything(str(storage.aside), one) for one in (ASSOCIATION, OTHER)] == [False, True]


def test_what_has_no_reason_is_on_record_too(storage):
    name = storage.set_instance_aside(1)
    os.unlink(storage.aside / ASSOCIATION / f"{name.at(STORED)}.json")
    throw_away(storage)
    (reason,) = reasons_of(storage)
    assert "not known" in reason.reason
    assert reason.discarded


def test_an_association_that_is_not_finished_is_left(storage):
    name = storage.set_instance_aside(1)
    gateway = GatewayDirectory(str(storage.root)).make()
    os.mkdir(os.path.join(gateway.spool, ASSOCIATION))
    console = Silent()
    assert run_discard(str(storage.root), Discard(yes=True), console) == 1
    assert "not finished" in console.text
    assert storage.names_set_aside() == {name}


def test_a_crash_at_any_step_loses_no_record_and_the_next_try_completes(tmp_path):
    step, killed = 0, True
    while killed:
        step += 1
        storage = Storage(tmp_path / str(step))
        names = {storage.set_instance_aside(number) for number in (1, 2)}
        killed = kill_at(step, lambda storage=storage: throw_away(storage))
        gone = names - storage.names_set_aside()
        told = [reason for reason in reasons_of(storage) if reason and reason.discarded]
        assert len(told) >= len(gone)
        assert all(reason and reason.reason == "because" for reason in reasons_of(storage))
        throw_away(storage)
        assert not storage.names_set_aside()
        assert [bool(reason.discarded) for reason in reasons_of(storage)] == [True, True]
    assert step > 8


def test_what_was_half_thrown_away_is_not_put_back(storage):
    name = storage.set_instance_aside(1)
    path = storage.aside / ASSOCIATION / name.at(STORED)
    data = path.read_bytes()
    throw_away(storage)
    path.write_bytes(data)
    assert storage.retry() == 1
    assert "thrown away" in storage.console.text
    throw_away(storage)
    assert storage.retry() == 0
    assert reasons_of(storage)
