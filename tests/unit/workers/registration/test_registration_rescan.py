"""What the registration worker finds in the spool by itself, and what comes first when it is behind."""

import errno
import os
import time

import pytest

from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.spool.association_directory import ledger_of
from oxidicom.spool.entries import contents
from oxidicom.spool.entry_describer import EntryDescriber
from oxidicom.spool.ledger import LEDGER_NAME, Ended, LedgerWriter, SeriesOpened, Started
from oxidicom.spool.names import RECEIVED, STORED, MetadataValue
from oxidicom.spool.spool_writer import SpoolWriter
from tests.fixtures.storage import describe_file, entry_file
from workers.channels.messages import Instance, InstancesStored, MetadataStored
from workers.channels.scoreboard import Counter, Role
from workers.channels.setting_aside import SettingAside
from workers.registration import batching
from workers.registration import registration_rescan as module
from workers.registration.batching import Pending
from workers.registration.completion import SeriesCompletion
from workers.registration.progress_telling import ProgressTelling
from workers.registration.registration_rescan import RegistrationRescan
from workers.registration.verdicts import Verdicts

OLDER, NEWER = "01HZ7TF03EZD364005NP332RBQ", "01HZ7TF03EZD364005NP332RBR"


@pytest.fixture
def rescan(shared):
    (slot,) = shared.scoreboard.of_role(Role.REGISTRATION)
    setting_aside = SettingAside(shared.directory, slot, Counter.ROWS_SET_ASIDE, "row_set_aside", shared.repetitions)
    pending = Pending()
    completion = SeriesCompletion(shared, slot, pending, Verdicts(slot, ()), ProgressTelling(shared, slot))
    made = RegistrationRescan(shared, slot, pending, completion, setting_aside)
    made.run_if_due()
    return made


def store(shared, tmp_path, association, count=1):
    """Make an association with so many stored instances, and return what a message would tell of them."""
    spool_writer = SpoolWriter(shared.directory.spool, Started(association, "TEST", "ChRIS", "127.0.0.1:1"))
    told = []
    for _ in range(count):
        description = entry_file(tmp_path / "entry")
        data = (tmp_path / "entry").read_bytes()
        name = spool_writer.name_of(spool_writer.next_number(), len(data), description)
        with open(os.path.join(spool_writer.directory, name.at(STORED)), "wb") as file:
            file.write(data)
        spool_writer.enter_in_ledger(name, description)
        told.append(Instance(association, *name, 0, description.file))
    spool_writer.end("released", 0)
    return told


def pending(rescan):
    return [(one.association, one.number) for one in rescan._pending.next_batch().instances]


def test_a_dropped_hint_makes_it_behind_until_all_is_found(rescan, shared, tmp_path):
    store(shared, tmp_path, OLDER)
    shared.scoreboard.slots[1].add(Counter.HINTS_DROPPED)
    assert rescan.is_behind
    rescan.run_if_due()
    assert pending(rescan) == [(OLDER, 1)]
    assert not rescan.is_behind


def test_without_a_reason_it_does_not_look(rescan, shared, tmp_path):
    store(shared, tmp_path, OLDER)
    rescan.run_if_due()
    assert pending(rescan) == []


def test_the_oldest_come_first_although_messages_tell_of_newer_ones(rescan, shared, tmp_path, monkeypatch):
    monkeypatch.setattr(batching, "MAX_PENDING", 2)
    told = store(shared, tmp_path, NEWER, 2)
    store(shared, tmp_path, OLDER, 3)
    shared.registration_queue.put(InstancesStored(told))
    rescan.somebody_died()
    rescan.run_if_due()
    assert pending(rescan) == [(OLDER, 1), (OLDER, 2)]
    assert rescan.is_behind, "memory was full before the end"
    assert shared.registration_queue.get() is None, "what it told is found in the spool in its turn"


def test_an_association_that_goes_on_is_not_asked_for_its_ledger(rescan, shared, tmp_path, monkeypatch):
    store(shared, tmp_path, OLDER)
    shared.scoreboard.of_role(Role.LISTENER)[0].hold(OLDER, "TEST")
    monkeypatch.setattr("workers.registration.completion.read_counts", pytest.fail)
    monkeypatch.setattr("workers.registration.completion.contents", lambda directory: iter(()))
    rescan._completion.remove_if_finished(OLDER)


def test_each_entry_is_read_ahead_once(rescan, shared, tmp_path, monkeypatch):
    told = store(shared, tmp_path, OLDER, 7)
    ahead = []
    monkeypatch.setattr(module, "_AHEAD", 2)
    monkeypatch.setattr(module, "read_ahead", ahead.extend)
    rescan.somebody_died()
    rescan.run_if_due()
    directory = os.path.join(shared.directory.spool, OLDER)
    assert ahead == [os.path.join(directory, one.name.at(STORED)) for one in told]
    assert len(pending(rescan)) == 7


def test_what_is_only_received_is_left_to_storage(rescan, shared, tmp_path):
    (one,) = store(shared, tmp_path, OLDER)
    directory = os.path.join(shared.directory.spool, OLDER)
    os.rename(os.path.join(directory, one.name.at(STORED)), os.path.join(directory, one.name.at(RECEIVED)))
    rescan.somebody_died()
    rescan.run_if_due()
    assert pending(rescan) == []
    assert not rescan.is_behind


def test_a_message_about_a_death_that_found_no_room_counts_as_a_dropped_hint(rescan, shared):
    shared.scoreboard.slots[0].add(Counter.HINTS_DROPPED)
    assert rescan.is_behind


def test_what_cannot_be_read_is_left_alone_and_ends_nothing(rescan, shared, tmp_path, monkeypatch):
    store(shared, tmp_path, OLDER)
    store(shared, tmp_path, NEWER)

    describe = EntryDescriber.describe

    def fail_at_the_older(describer, path):
        if OLDER in path:
            raise OSError(errno.EIO, "Input/output error")
        return describe(describer, path)

    monkeypatch.setattr(EntryDescriber, "describe", fail_at_the_older)
    rescan.somebody_died()
    rescan.run_if_due()
    assert pending(rescan) == [(NEWER, 1)]
    assert rescan._setting_aside.leaves_alone(
        OLDER, next(iter(contents(os.path.join(shared.directory.spool, OLDER))))[0], STORED
    )


def test_a_directory_that_cannot_be_removed_ends_nothing(rescan, shared, tmp_path, monkeypatch):
    spool_writer = SpoolWriter(shared.directory.spool, Started(OLDER, "TEST", "ChRIS", "127.0.0.1:1"))
    spool_writer._ledger.append(Ended("x"))
    spool_writer._ledger.close()

    def refuse(directory):
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr("workers.registration.completion.remove_finished", refuse)
    rescan.somebody_died()
    rescan.run_if_due()
    assert not rescan.is_behind


def test_a_directory_whose_removal_was_interrupted_goes(rescan, shared, tmp_path):
    directory = os.path.join(shared.directory.spool, OLDER)
    os.mkdir(directory)
    rescan.somebody_died()
    rescan.run_if_due()
    assert not os.path.exists(directory)


def test_the_ledger_is_read_once_for_all_values_and_no_more_are_taken_than_there_is_room_for(
    rescan, shared, tmp_path, monkeypatch
):
    """An association may have thousands of series, and a ledger of many megabytes."""
    monkeypatch.setattr(batching, "MAX_PENDING", 3)
    (one,) = store(shared, tmp_path, OLDER)
    directory = os.path.join(shared.directory.spool, OLDER)
    os.unlink(os.path.join(directory, one.name.at(STORED)))
    ledger = LedgerWriter(os.path.join(directory, LEDGER_NAME))
    for number in range(5):
        value = MetadataValue(f"{number:020x}", EXPECTED_COUNT_KEY, "1")
        ledger.append(SeriesOpened(value.series_hash, describe_file().series))
        with open(os.path.join(directory, value.at(STORED)), "wb"):
            pass
    ledger.close()
    reads = []
    monkeypatch.setattr(module, "ledger_of", lambda *arguments: reads.append(1) or ledger_of(*arguments))
    rescan.somebody_died()
    rescan.run_if_due()
    assert len(reads) == 1
    assert len(rescan._pending) <= 3
    assert rescan.is_behind


def test_counts_that_were_left_out_are_looked_for_soon(rescan, monkeypatch):
    monkeypatch.setattr(batching, "MAX_COUNTS", 1)
    for series in ("a", "b"):
        rescan._pending.add(MetadataStored(OLDER, series, COMMITTED_COUNT_KEY, "1", describe_file().series))
    rescan.somebody_died()
    rescan.run_if_due()
    assert rescan._due - time.monotonic() <= 1.0
