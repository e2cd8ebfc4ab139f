"""What the storage worker remembers of an association does not keep it from one that is put back."""

import errno
import json
import os
import time
from pathlib import Path

import msgspec
import pytest

from oxidicom.paths.final_path import series_hash
from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY, Description
from oxidicom.spool.association_directory import ledger_mtime_ns, ledger_of, remove_finished
from oxidicom.spool.entries import contents
from oxidicom.spool.entry_describer import EntryDescriber
from oxidicom.spool.ledger import LEDGER_NAME, Ended, LedgerWriter, SeriesOpened, Started, committed_numbers
from oxidicom.spool.names import DUE, RECEIVED, REGISTERED, STORED, EntryName, MetadataValue
from oxidicom.spool.set_aside import set_aside, set_aside_of
from oxidicom.spool.spool_writer import SpoolWriter
from oxidicom.storage.clock import boot_time_ns
from tests.fixtures.storage import entry_file
from workers.channels.messages import AssociationEnded, Instance, SeriesCounted
from workers.channels.scoreboard import Counter, Role
from workers.storage import retries as retries_module
from workers.storage import series_metadata
from workers.storage import storage_rescan as rescan_module
from workers.storage.storage_worker import StorageWorker

OLDER, ASSOCIATION = "01HZ7TF03EZD364005NP332RBP", "01HZ7TF03EZD364005NP332RBQ"


@pytest.fixture
def worker(shared, monkeypatch):
    monkeypatch.setattr(rescan_module, "_TICK_NS", -1)  # a directory that was changed just now may be settled
    worker = StorageWorker(shared, shared.scoreboard.of_role(Role.STORAGE)[0], 0)
    yield worker
    worker._sync.close()
    worker._tree.close()


@pytest.fixture
def spool(gateway_directory):
    return gateway_directory.spool


def make_association(spool, tmp_path, values_at=REGISTERED, received=0, ulid=ASSOCIATION, **attributes):
    """Make the directory of an association that has ended, with both values, and so many instances to be stored."""
    directory = os.path.join(spool, ulid)
    os.mkdir(directory)
    description = entry_file(tmp_path / "entry", **attributes)
    name = EntryName(1, series_hash(description.series), (tmp_path / "entry").stat().st_size)
    ledger = LedgerWriter(os.path.join(directory, LEDGER_NAME), create=True)
    ledger.append(Started(ASSOCIATION, "TEST", "", ""), SeriesOpened(name.series_hash, description.series), Ended("x"))
    ledger.close()
    values = [MetadataValue(name.series_hash, key, "1") for key in (EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY)]
    for value in values:
        with open(os.path.join(directory, value.at(values_at)), "wb"):
            pass
    if received:
        os.rename(tmp_path / "entry", os.path.join(directory, name.at(RECEIVED)))
    return directory, name, values


def rescan(worker):
    worker._rescan.somebody_died()
    worker._rescan.run_if_due(worker._store)


def test_an_association_is_taken_up_again_although_it_was_settled_a_moment_ago(worker, spool, tmp_path):
    directory, _, _ = make_association(spool, tmp_path)
    rescan(worker)
    assert directory in worker._rescan._settled
    remove_finished(directory)
    _, name, values = make_association(spool, tmp_path, values_at=DUE, received=1)
    rescan(worker)
    worker._metadata.write_due()
    assert set(contents(directory)) == {(one, STORED) for one in (name, *values)}


def test_an_association_that_is_finished_while_it_is_looked_at_is_no_trouble(
    worker, spool, tmp_path, monkeypatch, logged_warnings
):
    directory, _, _ = make_association(spool, tmp_path)
    rescan(worker)
    assert directory in worker._rescan._settled
    look = ledger_mtime_ns

    def looked_at_last(path):
        mtime_ns = look(path)
        remove_finished(path)
        return mtime_ns

    monkeypatch.setattr(rescan_module, "ledger_mtime_ns", looked_at_last)
    rescan(worker)
    assert not os.path.exists(directory)
    assert not logged_warnings


def test_nor_is_one_whose_ledger_is_removed_just_then(worker, living, spool, monkeypatch, logged_warnings):
    """It was under way when the look began; its ledger is the first thing that goes."""

    def looked_at_last(ledger):
        os.unlink(ledger)
        return committed_numbers(ledger)

    monkeypatch.setattr(rescan_module, "committed_numbers", looked_at_last)
    rescan(worker)
    assert not logged_warnings


def test_what_is_missing_in_an_association_that_stands_is_trouble(
    worker, spool, tmp_path, monkeypatch, logged_warnings
):
    make_association(spool, tmp_path, received=1)

    def fail(*_):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(worker._rescan, "_is_settled", fail)
    rescan(worker)
    assert "cannot be processed now: No such file or directory" in logged_warnings[0]


def test_what_has_its_values_is_not_asked_again_because_of_an_instance(worker, spool, tmp_path):
    directory, name, values = make_association(spool, tmp_path, received=1)
    rescan(worker)
    worker._metadata.take_answers()
    assert worker._shared.inquiry_queue.get() is None
    assert set(contents(directory)) == {(name, STORED), *((value, REGISTERED) for value in values)}
    assert directory in worker._rescan._settled


def test_a_value_that_is_set_aside_is_not_decided_anew(worker, spool, tmp_path):
    """While something else of its association is left to be done, a worker that was restarted finds it gone."""
    directory, _, values = make_association(spool, tmp_path, values_at=STORED, received=1)
    expected = next(value for value in values if value.key == EXPECTED_COUNT_KEY)
    set_aside(directory, expected.at(STORED), worker._shared.directory.aside, "its row was refused")
    rescan(worker)
    worker._metadata.take_answers()
    assert worker._shared.inquiry_queue.get() is None


def test_an_association_whose_ledger_cannot_be_read_at_its_end_is_looked_at_again(worker, spool, tmp_path, monkeypatch):
    make_association(spool, tmp_path)

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as failing:
        failing.setattr(series_metadata, "ledger_of", fail)
        worker._queue.put(AssociationEnded(ASSOCIATION))
        worker._take_messages()
    assert worker._rescan._due <= time.monotonic() + 1.0


def test_what_cannot_be_set_aside_is_left_alone_and_the_rest_goes_on(worker, spool, tmp_path):
    directory, name, _ = make_association(spool, tmp_path, received=1)
    damaged = EntryName(2, name.series_hash, 1000)
    with open(os.path.join(directory, damaged.at(RECEIVED)), "wb"):
        pass
    rejected = worker._shared.directory.aside
    os.rmdir(rejected)
    with open(rejected, "wb"):
        pass
    rescan(worker)
    there = set(contents(directory))
    assert {(name, STORED), (damaged, RECEIVED)} <= there
    assert list(worker._rescan._received_in(directory, None)) == []


@pytest.fixture
def living(worker, spool):
    """The spool_writer of an association whose listener lives."""
    spool_writer = SpoolWriter(spool, Started(ASSOCIATION, "TEST", "ChRIS", "127.0.0.1:1"))
    worker._shared.scoreboard.of_role(Role.LISTENER)[0].hold(ASSOCIATION, "TEST")
    yield spool_writer
    spool_writer.end("released", 0)


def write_entry(spool_writer, tmp_path) -> tuple[EntryName, Description]:
    """Write an instance under its committed name, as a listener does before it enters it in the ledger."""
    description = entry_file(tmp_path / "entry")
    data = (tmp_path / "entry").read_bytes()
    name = spool_writer.name_of(spool_writer.next_number(), len(data), description)
    descriptor = spool_writer.create(name.at(RECEIVED))
    os.write(descriptor, data)
    os.close(descriptor)
    return name, description


def test_what_a_living_listener_has_not_entered_in_the_ledger_is_left_alone(worker, living, tmp_path):
    """It may still refuse it: what was registered by then would be counted by nobody."""
    counted, description = write_entry(living, tmp_path)
    living.enter_in_ledger(counted, description)
    uncounted, _ = write_entry(living, tmp_path)
    rescan(worker)
    assert dict(contents(living.directory)) == {counted: STORED, uncounted: RECEIVED}
    assert os.listdir(worker._shared.directory.aside) == []


def test_what_the_ledger_counts_but_was_cut_off_is_set_aside(worker, living, tmp_path):
    name, description = write_entry(living, tmp_path)
    living.enter_in_ledger(name, description)
    os.truncate(os.path.join(living.directory, name.at(RECEIVED)), 10)
    rescan(worker)
    assert dict(contents(living.directory)) == {}
    assert os.listdir(os.path.join(worker._shared.directory.aside, ASSOCIATION))


def test_a_bug_at_one_entry_sets_it_aside_and_the_rest_goes_on(worker, spool, tmp_path, monkeypatch):
    directory, name, _ = make_association(spool, tmp_path, received=1)
    monkeypatch.setattr(EntryDescriber, "describe", lambda _, path: {}[path])
    for _ in range(3):
        assert (name, RECEIVED) in set(contents(directory)), "tried three times"
        worker._setting_aside._left_alone.clear()
        rescan(worker)
    assert (name, RECEIVED) not in set(contents(directory))
    (aside,) = set_aside_of(worker._shared.directory.aside, ASSOCIATION)
    assert aside.reason.startswith("unexpected KeyError in test_storage_worker.py")
    reason = Path(worker._shared.directory.aside, ASSOCIATION, f"{aside.file_name}.json").read_text()
    assert "Traceback" in json.loads(reason)["traceback"]
    rescan(worker)
    assert directory in worker._rescan._settled


def test_a_bug_at_one_association_costs_its_neighbours_nothing(worker, spool, tmp_path, monkeypatch):
    directory, _, _ = make_association(spool, tmp_path, received=1)
    os.rename(directory, os.path.join(spool, OLDER))
    directory, name, _ = make_association(spool, tmp_path, received=1)
    monkeypatch.setattr(
        rescan_module, "ledger_of", lambda path, wanted: {}[path] if OLDER in path else ledger_of(path, wanted)
    )
    for _ in range(3):
        worker._setting_aside._left_alone.clear()
        rescan(worker)
        assert (name, STORED) in set(contents(directory))
    assert not os.path.exists(os.path.join(spool, OLDER)), "it was set aside as a whole"
    there = {one.file_name for one in set_aside_of(worker._shared.directory.aside, OLDER)}
    assert there == {LEDGER_NAME, name.at(RECEIVED)}


def test_a_value_whose_ledger_is_lost_is_set_aside(worker, spool, tmp_path):
    directory, _, _ = make_association(spool, tmp_path, values_at=DUE)
    os.unlink(os.path.join(directory, LEDGER_NAME))
    rescan(worker)
    assert list(contents(directory)) == []
    reasons = {one.reason for one in set_aside_of(worker._shared.directory.aside, ASSOCIATION)}
    assert reasons == {"the ledger no longer names its series"}


def test_a_lost_ledger_of_a_living_association_costs_no_neighbour(worker, living, tmp_path, spool):
    name, description = write_entry(living, tmp_path)
    living.enter_in_ledger(name, description)
    other, other_name, _ = make_association(spool, tmp_path, received=1, ulid=OLDER)
    os.unlink(os.path.join(living.directory, LEDGER_NAME))
    messages = [Instance(ASSOCIATION, *name, 1, description.file), instance_of(other, other_name, tmp_path)]
    worker._store(messages)
    assert (other_name, STORED) in set(contents(other))
    assert worker._distrusted_ns == 0


def test_while_the_tree_takes_nothing_the_worker_rests(worker, spool, tmp_path, monkeypatch):
    """An entry that is due again is no reason to look at it again and again."""
    directory, name, _ = make_association(spool, tmp_path, received=1)
    worker._retries.failed(instance_of(directory, name, tmp_path), OSError(errno.EIO, "x"))
    monkeypatch.setattr("workers.storage.retries.time.monotonic", lambda: 1e12)
    assert worker._pause_seconds == 0
    worker._watch.takes_files = False
    assert worker._pause_seconds > 0


def test_an_entry_that_came_back_is_found_although_the_association_was_settled(worker, spool, tmp_path):
    directory, name, _ = make_association(spool, tmp_path, received=1)
    rescan(worker)
    assert directory in worker._rescan._settled
    os.rename(os.path.join(directory, name.at(STORED)), os.path.join(directory, name.at(RECEIVED)))
    rescan(worker)
    assert (name, STORED) in set(contents(directory))


def instance_of(directory, name: EntryName, tmp_path, **attributes):
    """Committed after moment 0, up to which nothing is trusted at first: only an error has it written anew."""
    description = entry_file(tmp_path / "other", **attributes)
    return Instance(os.path.basename(directory), *name, 1, description.file)


def test_a_failed_instance_whose_entry_is_gone_is_forgotten(worker, spool, tmp_path):
    """A message and a rescan may tell of the same one; what waits for its next try must not wait for ever."""
    directory, name, _ = make_association(spool, tmp_path, received=1)
    message = instance_of(directory, name, tmp_path)
    worker._fail(message, OSError(errno.EIO, "x"))
    os.unlink(os.path.join(directory, name.at(RECEIVED)))
    worker._store([message])
    assert not worker._retries.knows(message)


def test_ledger_and_directory_are_synced_with_a_lone_instance(worker, spool, tmp_path, monkeypatch):
    directory, name, _ = make_association(spool, tmp_path, received=1)
    synced = []
    monkeypatch.setattr(worker._sync, "sync", lambda count, paths: synced.extend(paths) or {})
    worker._store([instance_of(directory, name, tmp_path)])
    of_instance = {os.path.join(directory, name.at(RECEIVED)), os.path.join(directory, LEDGER_NAME), directory}
    assert set(synced) == of_instance | {spool}, "with the name of the directory, the first time"
    synced.clear()
    os.rename(os.path.join(directory, name.at(STORED)), os.path.join(directory, name.at(RECEIVED)))
    worker._store([instance_of(directory, name, tmp_path)])
    assert set(synced) == of_instance


STRANGE = [os.mkfifo, os.mkdir, lambda path: os.symlink("/etc/hostname", path)]


@pytest.mark.parametrize("plant", STRANGE)
def test_something_strange_instead_of_a_ledger_holds_up_no_instance(worker, spool, tmp_path, plant):
    directory, name, _ = make_association(spool, tmp_path, received=1)
    os.unlink(os.path.join(directory, LEDGER_NAME))
    plant(os.path.join(directory, LEDGER_NAME))
    worker._store([instance_of(directory, name, tmp_path)])
    assert (name, STORED) in contents(directory)


@pytest.mark.parametrize("committed_ns", [1, 0])
@pytest.mark.parametrize("plant", STRANGE)
def test_something_strange_instead_of_an_entry_is_left_alone(worker, spool, tmp_path, plant, committed_ns):
    """Also where it would be copied, since a sync after its moment failed."""
    directory, name, _ = make_association(spool, tmp_path, received=1)
    path = os.path.join(directory, name.at(RECEIVED))
    os.unlink(path)
    plant(path)
    message = msgspec.structs.replace(instance_of(directory, name, tmp_path), committed_ns=committed_ns)
    worker._store([message])
    assert not worker._retries.knows(message)
    assert os.path.lexists(path)
    assert not os.path.lexists(os.path.join(worker._shared.settings.files_root, message.file.fname))


@pytest.fixture
def two(spool, tmp_path):
    """Two instances that wait, of two associations and two series."""

    def make(ulid, uid):
        directory, name, _ = make_association(spool, tmp_path, received=1, ulid=ulid, SeriesInstanceUID=uid)
        return instance_of(directory, name, tmp_path, SeriesInstanceUID=uid)

    return make(OLDER, "1.2.3"), make(ASSOCIATION, "1.2.4")


def states(worker, *messages):
    return [dict(contents(os.path.join(worker._spool, one.association)))[one.name] for one in messages]


def test_a_directory_of_the_tree_that_cannot_be_synced_holds_up_its_own_series_only(worker, two, unsyncable):
    bad, good = two
    unsyncable.add(os.path.join(worker._shared.settings.files_root, os.path.dirname(bad.file.fname)))
    worker._store([bad])
    worker._store([bad, good])
    assert states(worker, bad, good) == [RECEIVED, STORED]
    assert not worker._retries.knows(good)
    unsyncable.clear()
    worker._store([bad])
    assert states(worker, bad) == [STORED]


@pytest.mark.parametrize(
    "part",
    [
        lambda directory, name: os.path.join(directory, name.at(RECEIVED)),
        lambda directory, _: os.path.join(directory, LEDGER_NAME),
        lambda directory, _: directory,
    ],
    ids=["entry", "ledger", "directory"],
)
def test_what_cannot_be_synced_in_the_spool_holds_up_its_own_instance_only(worker, two, unsyncable, part):
    bad, good = two
    unsyncable.add(part(os.path.join(worker._spool, bad.association), bad.name))
    worker._store([bad, good])
    assert states(worker, bad, good) == [RECEIVED, STORED]
    assert not worker._retries.knows(good)
    assert not os.path.exists(os.path.join(worker._shared.settings.files_root, bad.file.fname))
    unsyncable.clear()
    worker._store([bad])
    assert states(worker, bad) == [STORED]


def test_without_the_names_of_their_directories_nothing_in_the_spool_is_stored(worker, two, unsyncable):
    unsyncable.add(worker._spool)
    for _ in range(2):
        worker._store([*two])
        assert states(worker, *two) == [RECEIVED, RECEIVED]


def test_after_a_failed_sync_the_entry_is_written_anew(worker, spool, tmp_path, monkeypatch):
    directory, name, _ = make_association(spool, tmp_path, received=1)
    path = os.path.join(directory, name.at(RECEIVED))
    before = os.stat(path).st_ino
    os.link(path, tmp_path / "before")  # so that its number is not given to another file

    def fail(*_):
        raise OSError(errno.EIO, "x")

    monkeypatch.setattr(worker._sync, "sync", fail)
    message = instance_of(directory, name, tmp_path)
    worker._store([message])
    monkeypatch.undo()
    worker._store([message])
    assert os.stat(os.path.join(directory, name.at(STORED))).st_ino != before


@pytest.mark.parametrize("order", [1, -1])
def test_after_a_failed_sync_all_that_was_committed_before_is_written_anew(
    worker, living, tmp_path, monkeypatch, order
):
    """The error is told once, whoever's pages were lost: also those of the group that comes next."""
    worker._shared.scoreboard.steward.set(Counter.CLOCK_OFFSET_NS, time.time_ns() - boot_time_ns())
    messages, before = [], {}
    for _ in range(3):
        name, description = write_entry(living, tmp_path)
        living.enter_in_ledger(name, description)
        moment = worker._shared.storage_time_ns()
        messages.append(Instance(ASSOCIATION, *name, moment, description.file))
        before[name] = os.stat(os.path.join(living.directory, name.at(RECEIVED))).st_ino

    def fail(*_):
        raise OSError(errno.EIO, "x")

    with monkeypatch.context() as broken:
        broken.setattr(worker._sync, "sync", fail)
        worker._store(messages[:1])
    worker._store(messages[1:][::order])
    for name in (message.name for message in messages[1:]):
        assert os.stat(os.path.join(living.directory, name.at(STORED))).st_ino != before[name]


def test_when_memory_is_full_of_failures_the_rest_waits_in_the_spool(worker, living, tmp_path, monkeypatch):
    """The tree takes nothing: what is not remembered is found again, although its association goes on."""
    monkeypatch.setattr(retries_module, "_MAX_WAITING", 1)

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    names = []
    for _ in range(3):
        name, description = write_entry(living, tmp_path)
        living.enter_in_ledger(name, description)
        names.append(name)
    with monkeypatch.context() as broken:
        broken.setattr(worker._tree, "place", refuse)
        rescan(worker)
    assert dict(contents(living.directory)) == dict.fromkeys(names, RECEIVED)
    monkeypatch.setattr("workers.storage.retries.time.monotonic", lambda: 1e12)
    worker._store_again()
    worker._rescan.run_if_due(worker._store)
    assert dict(contents(living.directory)) == dict.fromkeys(names, STORED)


def test_an_entry_that_cannot_be_read_is_left_alone_and_the_rest_goes_on(worker, living, tmp_path, monkeypatch):
    names = []
    for _ in range(2):
        name, description = write_entry(living, tmp_path)
        living.enter_in_ledger(name, description)
        names.append(name)

    describe = EntryDescriber.describe

    def fail_at_first(describer, path):
        if path.endswith(names[0].at(RECEIVED)):
            raise OSError(errno.EIO, "Input/output error")
        return describe(describer, path)

    monkeypatch.setattr(EntryDescriber, "describe", fail_at_first)
    rescan(worker)
    assert dict(contents(living.directory)) == {names[0]: RECEIVED, names[1]: STORED}
    assert worker._setting_aside.leaves_alone(ASSOCIATION, names[0], RECEIVED)


def rescan_later(worker, monkeypatch):
    """Rescan as the worker does in the end, when nobody has died and every delay is over."""
    with monkeypatch.context() as clock:
        clock.setattr(time, "monotonic", lambda: 1e12)
        worker._rescan.run_if_due(worker._store)
    worker._rescan._due = 0.0


def commit_one(living, tmp_path) -> tuple[EntryName, Description]:
    name, description = write_entry(living, tmp_path)
    living.enter_in_ledger(name, description)
    return name, description


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyError()])
def test_what_a_living_association_meets_once_is_tried_again_while_it_lives(
    worker, living, tmp_path, monkeypatch, error
):
    name, _ = commit_one(living, tmp_path)

    def fail(_):
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(rescan_module, "committed_numbers", fail)
        rescan(worker)
    assert dict(contents(living.directory)) == {name: RECEIVED}
    rescan_later(worker, monkeypatch)
    assert dict(contents(living.directory)) == {name: STORED}


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyError()])
def test_an_entry_that_cannot_be_read_once_is_tried_again_while_its_association_lives(
    worker, living, tmp_path, monkeypatch, error
):
    name, _ = commit_one(living, tmp_path)

    def fail(*_):
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(EntryDescriber, "describe", fail)
        rescan(worker)
    worker._rescan._due = 0.0
    worker._rescan.run_if_due(worker._store)  # too early for it, which is not to forget it
    assert dict(contents(living.directory)) == {name: RECEIVED}
    rescan_later(worker, monkeypatch)
    assert dict(contents(living.directory)) == {name: STORED}


def test_a_living_association_with_a_bad_entry_is_not_read_at_each_rescan(worker, living, tmp_path, monkeypatch):
    commit_one(living, tmp_path)
    looks = []

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(EntryDescriber, "describe", fail)
    monkeypatch.setattr(
        rescan_module, "committed_numbers", lambda ledger: looks.append(ledger) or committed_numbers(ledger)
    )
    for _ in range(3):
        worker._rescan._due = 0.0
        worker._rescan.run_if_due(worker._store)
    assert len(looks) == 1


def test_what_cannot_be_set_aside_of_a_living_association_is_tried_again_while_it_lives(
    worker, living, tmp_path, monkeypatch
):
    name, _ = commit_one(living, tmp_path)
    os.truncate(os.path.join(living.directory, name.at(RECEIVED)), 10)
    os.rmdir(worker._shared.directory.aside)
    Path(worker._shared.directory.aside).touch()
    rescan(worker)
    assert dict(contents(living.directory)) == {name: RECEIVED}
    os.unlink(worker._shared.directory.aside)
    rescan_later(worker, monkeypatch)
    assert dict(contents(living.directory)) == {}


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), KeyError()])
def test_what_can_neither_be_stored_nor_set_aside_is_found_again_while_its_association_lives(
    worker, living, tmp_path, monkeypatch, error
):
    rescan(worker)
    name, description = commit_one(living, tmp_path)
    message = Instance(ASSOCIATION, *name, 1, description.file)
    os.rmdir(worker._shared.directory.aside)
    Path(worker._shared.directory.aside).touch()

    def refuse(*_, **__):
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(worker._tree, "place", refuse)
        for _ in range(8):
            worker._store([message])
    assert not worker._retries.knows(message)
    worker._rescan._due = 0.0
    rescan_later(worker, monkeypatch)
    assert dict(contents(living.directory)) == {name: STORED}


def test_a_value_that_cannot_be_decided_is_taken_up_again_while_its_association_lives(
    worker, living, tmp_path, monkeypatch
):
    name, _ = commit_one(living, tmp_path)
    rescan(worker)
    value = MetadataValue(name.series_hash, EXPECTED_COUNT_KEY, "1")
    os.mkdir(os.path.join(living.directory, value.at(DUE)))
    worker._metadata.answers.put(SeriesCounted(ASSOCIATION, name.series_hash, 1))
    worker._metadata.take_answers()
    worker._metadata.write_due()
    os.rmdir(os.path.join(living.directory, value.at(DUE)))
    while worker._shared.inquiry_queue.get():
        pass
    rescan_later(worker, monkeypatch)
    worker._metadata.take_answers()
    assert worker._shared.inquiry_queue.get().series_hash == name.series_hash, "it is asked anew"
