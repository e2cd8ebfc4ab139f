"""What was set aside is put back so that everything is done once, whatever moment a crash chooses."""

import io
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from oxidicom.errors import OperationError
from oxidicom.operations.retry import Retry, run_retry
from oxidicom.paths.final_path import series_hash
from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.spool.adoption import adopt_orphans
from oxidicom.spool.association_directory import associations, end_for_the_dead, ledger_of
from oxidicom.spool.entries import contents
from oxidicom.spool.gateway_directory import GatewayDirectory
from oxidicom.spool.ledger import Ended
from oxidicom.spool.names import DUE, RECEIVED, REGISTERED, STORED, EntryName, MetadataValue
from oxidicom.spool.put_back import ENDED, sole_use_of
from oxidicom.spool.set_aside import associations_set_aside, set_aside, set_aside_of
from tests.fixtures.storage import entry_file, no_trouble

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"
OTHER = "01HZ7TF03EZD364005NP332RBR"
_CALLS = ("mkdir", "rename", "open", "unlink", "rmdir", "fsync", "fdatasync", "write", "close")


class Silent(Console):
    """A console that keeps what it is told."""

    def __init__(self):
        self._kept = io.StringIO()
        super().__init__(file=self._kept, width=1000, color_system=None)

    @property
    def text(self):
        return self._kept.getvalue()


class Storage:
    """A files root on which things were set aside."""

    def __init__(self, root):
        self.root = Path(root)
        self.aside = self.root / ".oxidicom" / "set-aside"
        self.aside.mkdir(parents=True, mode=0o700)
        self.console = Silent()

    def _set_aside(self, association, make, state, **details):
        directory = self.root / association
        directory.mkdir()
        name = make(directory)
        set_aside(str(directory), name.at(state), str(self.aside), "because", **details)
        directory.rmdir()
        return name

    def set_instance_aside(self, number, state=STORED, association=ASSOCIATION):
        def make(directory):
            description = entry_file(directory / "entry", number)
            size_bytes = (directory / "entry").stat().st_size
            name = EntryName(number, series_hash(description.series), size_bytes)
            (directory / "entry").rename(directory / name.at(state))
            self.series = description.series
            return name

        return self._set_aside(association, make, state)

    def set_value_aside(self, key, value, series=None, association=ASSOCIATION):
        def make(directory):
            name = MetadataValue(series_hash(self.series), key, value)
            (directory / name.at(STORED)).touch()
            return name

        return self._set_aside(association, make, STORED, series=series)

    def retry(self, association=None, dry_run=False):
        return run_retry(str(self.root), Retry(association, dry_run), self.console)

    def spooled(self, association=ASSOCIATION):
        """Return the directories of an association in all spools."""
        return [str(path) for path in self.root.glob(f".oxidicom/0*/spool/{association}")]

    def names_set_aside(self):
        return {one.name for of in associations_set_aside(str(self.aside)) for one in set_aside_of(str(self.aside), of)}


@pytest.fixture
def storage(tmp_path):
    return Storage(tmp_path / "files")


def test_an_instance_is_put_back_as_received_with_all_that_keeps_it_from_being_counted_again(storage):
    name = storage.set_instance_aside(7)
    assert storage.retry() == 0
    (directory,) = storage.spooled()
    placeholders = [
        MetadataValue(name.series_hash, key, "unknown") for key in (EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY)
    ]
    assert set(contents(directory)) == {(name, RECEIVED), *((one, REGISTERED) for one in placeholders)}
    ledger = ledger_of(directory)
    assert (ledger.started.association, ledger.started.calling_ae_title) == (ASSOCIATION, "TEST")
    assert ledger.series == {name.series_hash: storage.series}
    assert (ledger.ended, ledger.committed) == (Ended(ENDED, 0), {})
    assert associations_set_aside(str(storage.aside)) == []


def test_what_version_4_0_has_set_aside_is_put_back_too(storage):
    """It used another directory."""
    name = storage.set_instance_aside(1)
    storage.aside.rename(storage.aside.with_name("rejected"))
    assert storage.retry(dry_run=True) == 0
    assert storage.retry() == 0
    (directory,) = storage.spooled()
    assert (name, RECEIVED) in contents(directory)
    assert not list(storage.aside.with_name("rejected").iterdir())


def test_a_metadata_value_is_put_back_as_due_with_the_series_of_its_json_file(storage):
    instance = storage.set_instance_aside(1)
    shutil.rmtree(storage.aside / ASSOCIATION)
    value = storage.set_value_aside(COMMITTED_COUNT_KEY, "3", series=storage.series)
    assert storage.retry() == 0
    (directory,) = storage.spooled()
    assert (value, DUE) in contents(directory)
    assert ledger_of(directory).series == {instance.series_hash: storage.series}


def test_a_metadata_value_without_its_json_file_is_put_back_with_an_instance_of_its_series(storage):
    storage.set_instance_aside(1)
    value = storage.set_value_aside(EXPECTED_COUNT_KEY, "3")
    assert storage.retry() == 0
    assert (value, DUE) in contents(storage.spooled()[0])


def test_a_metadata_value_of_which_nothing_tells_the_series_is_left(storage):
    storage.set_instance_aside(1, association=OTHER)
    value = storage.set_value_aside(EXPECTED_COUNT_KEY, "3")
    assert storage.retry(ASSOCIATION) == 1
    assert "reconcile --register" in storage.console.text
    assert value in storage.names_set_aside()
    assert not storage.spooled()


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: bytes(len(data))])
def test_what_would_be_refused_again_for_sure_is_left(damage, storage):
    name, good = storage.set_instance_aside(1), storage.set_instance_aside(2)
    path = storage.aside / ASSOCIATION / name.at(STORED)
    path.write_bytes(damage(path.read_bytes()))
    assert storage.retry() == 1
    assert storage.names_set_aside() == {name}
    assert (good, RECEIVED) in contents(storage.spooled()[0])


def test_a_file_of_somebody_else_is_left(storage):
    storage.set_instance_aside(1)
    (storage.aside / ASSOCIATION / "value.txt").touch()
    (storage.aside / "copies").mkdir()
    (storage.aside / "copies" / f"000001-{'0' * 20}-0.stored").touch()
    assert storage.retry() == 1
    assert "value.txt: it is not a file of the gateway" in storage.console.text
    assert "copies" in storage.console.text
    assert storage.spooled()
    assert not storage.spooled("copies")


def test_an_association_that_is_not_finished_is_left(storage):
    name = storage.set_instance_aside(1)
    gateway = GatewayDirectory(str(storage.root)).make()
    os.mkdir(os.path.join(gateway.spool, ASSOCIATION))
    assert storage.retry() == 1
    assert "not finished" in storage.console.text
    assert storage.names_set_aside() == {name}


def test_only_one_association_if_wanted(storage):
    storage.set_instance_aside(1)
    storage.set_instance_aside(2, association=OTHER)
    assert storage.retry(OTHER) == 0
    assert not storage.spooled(ASSOCIATION)
    assert storage.spooled(OTHER)
    with pytest.raises(OperationError, match="nothing of an association"):
        storage.retry("../../x")


def test_a_dry_run_changes_nothing(storage):
    storage.set_instance_aside(1)
    before = sorted(storage.root.rglob("*"))
    assert storage.retry(dry_run=True) == 0
    assert sorted(storage.root.rglob("*")) == before
    assert "1 would be put back" in storage.console.text


def test_two_at_the_same_time_do_not_meet(storage):
    storage.set_instance_aside(1)
    with sole_use_of(str(storage.aside)), pytest.raises(OperationError, match="another `oxidicom retry`"):
        storage.retry()
    assert storage.retry() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user: run the tests as root")
def test_another_user_than_that_of_the_gateway_is_refused(storage):
    storage.set_instance_aside(1)
    os.chown(storage.aside, 65534, 65534)
    with pytest.raises(OperationError, match="run this as that user"):
        storage.retry()


def test_reasons_left_over_by_a_crash_are_cleared(storage):
    name = storage.set_instance_aside(1)
    (storage.aside / ASSOCIATION / name.at(STORED)).unlink()
    assert storage.retry() == 0
    assert associations_set_aside(str(storage.aside)) == []
    assert not list(storage.root.glob(".oxidicom/0*"))


def test_an_adopter_leaves_an_association_whose_namesake_is_not_finished(storage):
    storage.set_instance_aside(1)
    storage.retry()
    gateway = GatewayDirectory(str(storage.root)).make()
    namesake = os.path.join(gateway.spool, ASSOCIATION)
    os.mkdir(namesake)
    assert adopt_orphans(gateway, no_trouble) == (0, 0)
    assert len(storage.spooled()) == 2
    os.rmdir(namesake)
    assert adopt_orphans(gateway, no_trouble) == (0, 1)
    assert storage.spooled() == [namesake]


def kill_at(call_number, work):
    """Do `work` in a process that is killed right before its `call_number`th system call. Return whether it was."""
    pid = os.fork()
    if pid == 0:
        left = [call_number]

        def wrapped(call):
            def count_down(*arguments, **options):
                left[0] -= 1
                if left[0] == 0:
                    os._exit(9)
                return call(*arguments, **options)

            return count_down

        for name in _CALLS:
            setattr(os, name, wrapped(getattr(os, name)))
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


def test_a_crash_at_any_step_leaves_each_file_in_one_place_and_the_next_try_completes(tmp_path):
    step, killed = 0, True
    while killed:
        step += 1
        storage = Storage(tmp_path / str(step))
        names = {storage.set_instance_aside(number) for number in (1, 2, 3)}
        names |= {
            storage.set_value_aside(key, "3", storage.series) for key in (EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY)
        }
        killed = kill_at(step, storage.retry)
        done = finish_what_was_put_back(storage)
        assert done | storage.names_set_aside() == names
        assert not done & storage.names_set_aside()
        storage.retry()
        assert done | finish_what_was_put_back(storage) == names
        assert associations_set_aside(str(storage.aside)) == []
    assert step > 30


def finish_what_was_put_back(storage):
    """What a gateway does at its start: adopt, and work off. Return what it worked off."""
    gateway = GatewayDirectory(str(storage.root)).make()
    adopt_orphans(gateway, no_trouble)
    done = set()
    for directory in associations(gateway.spool):
        assert end_for_the_dead(directory)
        assert ledger_of(directory).ended == Ended(ENDED, 0)
        there = list(contents(directory))
        assert {name.key for name, state in there if state == REGISTERED} == {EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY}
        done |= {name for name, state in there if state in (RECEIVED, DUE)}
        shutil.rmtree(directory)
    assert gateway.remove_if_empty()
    gateway.release()
    return done
