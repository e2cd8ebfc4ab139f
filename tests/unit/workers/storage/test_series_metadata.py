"""The metadata of a series: what was decided once is neither asked nor decided anew."""

import errno
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from oxidicom.paths.final_path import series_hash
from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.spool.entries import contents
from oxidicom.spool.ledger import LEDGER_NAME, Ledger, LedgerWriter, SeriesOpened
from oxidicom.spool.names import DUE, REGISTERED, STORED, MetadataValue
from oxidicom.spool.set_aside import set_aside_of
from oxidicom.tree.final_tree import FinalTree
from tests.fixtures.storage import describe_file
from workers.channels.messages import Instance, SeriesCounted, SeriesSeen
from workers.channels.storage_condition import StorageCondition
from workers.storage import metadata_writer
from workers.storage.metadata_writer import Due
from workers.storage.series_metadata import SeriesMetadata
from workers.storage.tree_watch import TreeWatch

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"
DESCRIPTION = describe_file()
HASH = series_hash(DESCRIPTION.series)
SERIES = {HASH: DESCRIPTION.series}
EXPECTED = MetadataValue(HASH, EXPECTED_COUNT_KEY, "5")
COMMITTED = MetadataValue(HASH, COMMITTED_COUNT_KEY, "2")


@pytest.fixture
def shared(make_shared):
    made = make_shared()
    os.mkdir(os.path.join(made.directory.spool, ASSOCIATION))
    return made


@pytest.fixture
def values(shared):
    tree = FinalTree(shared.settings.files_root, shared.directory.tmp, shared.storage_time_ns)
    slot = shared.scoreboard.slots[0]
    yield SeriesMetadata(
        shared, slot, 0, tree, TreeWatch(tree, shared.directory.spool, slot, StorageCondition(shared.scoreboard))
    )
    tree.close()


def touch(shared, value, state):
    with open(os.path.join(shared.directory.spool, ASSOCIATION, value.at(state)), "wb"):
        return value, state


def there(shared):
    return set(contents(os.path.join(shared.directory.spool, ASSOCIATION)))


def test_the_first_instance_of_a_series_makes_one_question(values, shared):
    for number in (1, 2):
        values.see(Instance(ASSOCIATION, number, HASH, 1, 0, DESCRIPTION.file))
        values.take_answers()
    assert shared.inquiry_queue.get() == SeriesSeen(0, ASSOCIATION, HASH, DESCRIPTION.series)
    assert shared.inquiry_queue.get() is None


def test_what_is_registered_is_neither_asked_nor_counted_again_when_an_instance_is_put_back(values, shared):
    found = [touch(shared, EXPECTED, REGISTERED), touch(shared, COMMITTED, REGISTERED)]
    values.take_up(ASSOCIATION, Ledger(series=SERIES), found)
    values.see(Instance(ASSOCIATION, 1, HASH, 1, 0, DESCRIPTION.file))
    values.end(ASSOCIATION, Ledger(series=SERIES, committed={HASH: 1}))
    values.take_answers()
    values.write_due()
    assert shared.inquiry_queue.get() is None
    assert there(shared) == set(found)
    assert values.are_written(ASSOCIATION, SERIES)


def test_what_is_due_is_written_also_of_a_series_that_is_known(values, shared):
    """The same association was finished a moment ago, and is put back before it is forgotten."""
    values.take_up(ASSOCIATION, Ledger(series=SERIES), [(EXPECTED, REGISTERED), (COMMITTED, REGISTERED)])
    values.take_up(ASSOCIATION, Ledger(series=SERIES), [touch(shared, COMMITTED, DUE)])
    values.write_due()
    assert there(shared) == {(COMMITTED, STORED)}
    assert shared.registration_queue.get().key == COMMITTED_COUNT_KEY


def test_what_waits_already_is_not_taken_twice(values, shared):
    found = [touch(shared, EXPECTED, DUE)]
    for _ in range(2):
        values.take_up(ASSOCIATION, Ledger(series=SERIES), found)
    values.write_due()
    assert shared.registration_queue.get()
    assert shared.registration_queue.get() is None


def test_what_the_first_instance_says_goes_along(values, shared):
    """With the end of the series it becomes the row of that, in CUBE 6."""
    values.see(Instance(ASSOCIATION, 1, HASH, 1, 0, DESCRIPTION.file))
    shared.answer_queues[0].put(SeriesCounted(ASSOCIATION, HASH, 5))
    values.take_answers()
    values.write_due()
    assert shared.registration_queue.get().columns == DESCRIPTION.file.columns


def test_after_a_restart_the_ledger_has_it(values, shared):
    noted = Ledger(series=SERIES, columns={HASH: DESCRIPTION.file.columns})
    values.take_up(ASSOCIATION, noted, [touch(shared, EXPECTED, DUE)])
    values.write_due()
    assert shared.registration_queue.get().columns == DESCRIPTION.file.columns


def test_the_count_comes_at_the_end_and_after_the_answer(values, shared):
    values.see(Instance(ASSOCIATION, 1, HASH, 1, 0, DESCRIPTION.file))
    values.end(ASSOCIATION, Ledger(series=SERIES, committed={HASH: 2}))
    values.write_due()
    assert there(shared) == set()
    shared.answer_queues[0].put(SeriesCounted(ASSOCIATION, HASH, 5))
    values.take_answers()
    values.write_due()
    assert there(shared) == {(EXPECTED, STORED), (COMMITTED, STORED)}


def decide(values, shared):
    """Have one value due, that of EXPECTED."""
    values.take_up(ASSOCIATION, Ledger(series=SERIES), [touch(shared, EXPECTED, DUE)])


def test_a_value_that_the_tree_does_not_take_is_tried_again(values, shared, tmp_path, monkeypatch):
    decide(values, shared)

    def refuse(path):
        raise FileNotFoundError(errno.ENOENT, "the files root is gone")

    monkeypatch.setattr(values._writer._tree, "place_empty", refuse)
    values.write_due()
    assert there(shared) == {(EXPECTED, DUE)}
    monkeypatch.undo()
    monkeypatch.setattr("workers.storage.retries.time.monotonic", lambda: 1e12)
    values.write_due()
    assert there(shared) == {(EXPECTED, STORED)}


def refused_for_ever(values, monkeypatch):
    """Have the tree refuse each value. Return a list with the time, to be set."""

    def refuse(path):
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory")

    now = [0.0]
    monkeypatch.setattr("workers.storage.retries.time.monotonic", lambda: now[0])
    monkeypatch.setattr(values._writer._tree, "place_empty", refuse)
    return now


def test_a_value_whose_path_is_not_to_be_had_is_set_aside_in_the_end(values, shared, monkeypatch):
    ledger = LedgerWriter(os.path.join(shared.directory.spool, ASSOCIATION, LEDGER_NAME), create=True)
    ledger.append(SeriesOpened(HASH, DESCRIPTION.series))
    ledger.close()
    decide(values, shared)

    now = refused_for_ever(values, monkeypatch)
    for _ in range(8):
        values.write_due()
        now[0] += 100.0
    assert there(shared) == set()
    (aside,) = set_aside_of(shared.directory.aside, ASSOCIATION)
    assert (aside.name, aside.reason) == (EXPECTED, "cannot be written: Not a directory")
    assert not values._writer._retries.is_due


def test_a_value_that_can_neither_be_written_nor_set_aside_is_left_to_a_rescan(values, shared, monkeypatch):
    decide(values, shared)
    os.rmdir(shared.directory.aside)
    Path(shared.directory.aside).touch()

    now = refused_for_ever(values, monkeypatch)
    for _ in range(8):
        assert values.take_undecided() == set()
        values.write_due()
        now[0] += 100.0
    assert there(shared) == {(EXPECTED, DUE)}
    assert values.take_undecided() == {ASSOCIATION}


def test_a_value_of_an_association_that_is_gone_is_forgotten(values, shared):
    decide(values, shared)
    shutil.rmtree(os.path.join(shared.directory.spool, ASSOCIATION))
    values.write_due()
    assert not values._writer._retries.is_due
    assert shared.registration_queue.get() is None


def test_many_values_are_written_in_groups_with_a_sign_of_life_before_each(values, shared, monkeypatch):
    """An association may have thousands of series, which all end at once."""
    monkeypatch.setattr(metadata_writer, "_MAX_IN_GROUP", 2)
    made = [MetadataValue(f"{number:020x}", EXPECTED_COUNT_KEY, "1") for number in range(5)]
    for value in made:
        values._writer.add(Due(ASSOCIATION, DESCRIPTION.series, value, None))
    beats = []
    monkeypatch.setattr(shared.scoreboard.slots[0], "beat", beats.append)
    values.write_due()
    assert there(shared) == {(value, STORED) for value in made}
    assert len(beats) == 3


@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/null", path)])
def test_something_strange_with_the_name_of_a_value_makes_nobody_wait(values, shared, plant):
    other = EXPECTED._replace(text="6")
    values.take_up(ASSOCIATION, Ledger(series=SERIES), [(EXPECTED, DUE)])
    values._writer.add(Due(ASSOCIATION, DESCRIPTION.series, other, None))
    plant(os.path.join(shared.directory.spool, ASSOCIATION, EXPECTED.at(DUE)))
    values.write_due()
    assert there(shared) == {(other, STORED)}
    assert shared.registration_queue.get().text == "6"
    assert shared.registration_queue.get() is None


@pytest.mark.parametrize("of_tree", [True, False])
def test_a_directory_that_cannot_be_synced_holds_up_its_own_values_only(values, shared, unsyncable, of_tree):
    elsewhere = "01HZ7TF03EZD364005NP332RBR"
    os.mkdir(os.path.join(shared.directory.spool, elsewhere))
    bad = Due(ASSOCIATION, DESCRIPTION.series, EXPECTED, None)
    series = msgspec.structs.replace(DESCRIPTION.series, directory=f"{DESCRIPTION.series.directory}-other")
    good = Due(elsewhere, series, EXPECTED, None)
    of_values = os.path.dirname(os.path.join(shared.settings.files_root, bad.fname))
    unsyncable.add(of_values if of_tree else os.path.join(shared.directory.spool, ASSOCIATION))
    values._writer.add(bad)
    values._writer.add(good)
    values.write_due()
    assert there(shared) == {(EXPECTED, DUE)}
    assert set(contents(os.path.join(shared.directory.spool, elsewhere))) == {(EXPECTED, STORED)}
    assert shared.registration_queue.get().association == elsewhere
    assert shared.registration_queue.get() is None
