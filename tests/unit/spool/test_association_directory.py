"""The journal: what is committed is found again, whatever moment a crash chose."""

import contextlib
import errno
import multiprocessing
import os
import random
import resource
import tracemalloc
from pathlib import Path

import pytest

from oxidicom.dataset.part10 import build_file_meta
from oxidicom.spool.association_directory import associations, end_for_the_dead, ledger_of, remove_finished
from oxidicom.spool.entries import contents, is_stranger
from oxidicom.spool.ledger import (
    LEDGER_NAME,
    Committed,
    Ended,
    LedgerWriter,
    NumberSet,
    Started,
    lines_after,
    read_counts,
    read_ledger,
)
from oxidicom.spool.metadata_rows import expected_count_value
from oxidicom.spool.names import RECEIVED, REGISTERED, STORED, EntryName
from oxidicom.spool.spool_writer import SpoolWriter
from tests.dicom import dataset_bytes, make_instance
from tests.fixtures.storage import begin_part, commit, describe_file, entry_file

STARTED = Started("01HZ7TF03EZD364005NP332RBQ", "TEST", "ChRIS", "127.0.0.1:1")
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def spool_writer(tmp_path):
    return SpoolWriter(str(tmp_path), STARTED)


def receive(spool_writer, number=1, data=b"data", series_uid="1.2.3"):
    return commit(spool_writer, describe_file(number, series_uid=series_uid), data)


def strangers(directory):
    with os.scandir(directory) as scan:
        return [entry.name for entry in scan if is_stranger(entry)]


def die(spool_writer):
    """What the kernel does to the files of a process that is killed."""
    spool_writer._ledger.close()


def test_a_committed_entry_has_its_size_and_series_in_its_name(spool_writer):
    name = receive(spool_writer)
    assert list(contents(spool_writer.directory)) == [(name, RECEIVED)]
    assert name.size_bytes == 4
    assert os.path.getsize(os.path.join(spool_writer.directory, name.at(RECEIVED))) == 4


def test_the_ledger_counts_by_series(spool_writer):
    for number in (1, 2):
        receive(spool_writer, number)
    other = receive(spool_writer, 3, series_uid="1.2.4")
    spool_writer.end("released", 0)
    ledger = ledger_of(spool_writer.directory)
    assert ledger.started == STARTED
    assert sorted(ledger.committed.values()) == [1, 2]
    assert ledger.series[other.series_hash].series_instance_uid == "1.2.4"
    assert ledger.ended == Ended("released", 0)


def test_an_association_without_an_instance_leaves_nothing(spool_writer, tmp_path):
    spool_writer.remove(begin_part(spool_writer))
    spool_writer.end("released", 0)
    assert associations(str(tmp_path)) == []


def test_a_living_listener_is_left_alone(spool_writer):
    receive(spool_writer)
    assert end_for_the_dead(spool_writer.directory) is False
    assert ledger_of(spool_writer.directory).ended is None


def test_a_dead_listener_is_ended_and_its_unfinished_part_removed(spool_writer):
    receive(spool_writer)
    begin_part(spool_writer)
    die(spool_writer)
    assert end_for_the_dead(spool_writer.directory) is True
    assert ledger_of(spool_writer.directory).ended == Ended("listener died")
    assert not [name for name in os.listdir(spool_writer.directory) if name.endswith(".part")]
    assert end_for_the_dead(spool_writer.directory) is True
    assert (Path(spool_writer.directory) / LEDGER_NAME).read_text().count("ended") == 1


@pytest.mark.parametrize("missing_bytes", [1, 10_000])
def test_an_entry_that_was_not_written_whole_before_the_crash_is_no_instance(spool_writer, missing_bytes):
    noted = receive(spool_writer)
    cut = EntryName(2, noted.series_hash, missing_bytes)
    with open(os.path.join(spool_writer.directory, cut.at(RECEIVED)), "wb"):
        pass
    assert end_for_the_dead(spool_writer.directory) is False
    assert cut in dict(contents(spool_writer.directory)), "its listener may be about to write it"
    die(spool_writer)
    end_for_the_dead(spool_writer.directory)
    assert dict(contents(spool_writer.directory)) == {noted: RECEIVED}
    assert ledger_of(spool_writer.directory).committed == {noted.series_hash: 1}


def test_a_crash_between_file_and_ledger_is_counted(spool_writer, tmp_path):
    receive(spool_writer)
    source = make_instance(tmp_path / "a.dcm", 7)
    meta = build_file_meta(
        sop_class_uid=CT,
        sop_instance_uid="1.2.3.7",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_ae_title="TEST",
        our_ae_title="ChRIS",
    )
    data = meta + dataset_bytes(source)
    name = EntryName(2, "0123456789abcdef0123", len(data))
    with open(os.path.join(spool_writer.directory, name.at(RECEIVED)), "wb") as file:
        file.write(data)
    die(spool_writer)
    end_for_the_dead(spool_writer.directory)
    ledger = ledger_of(spool_writer.directory)
    assert ledger.committed["0123456789abcdef0123"] == 1
    assert ledger.series["0123456789abcdef0123"].patient_id == "1CT1"


@pytest.mark.parametrize("cut", [1, 10])
def test_a_torn_line_is_passed_over_and_mended(spool_writer, cut):
    receive(spool_writer)
    die(spool_writer)
    path = os.path.join(spool_writer.directory, LEDGER_NAME)
    os.truncate(path, os.path.getsize(path) - cut)
    assert read_ledger(path).committed == {}
    writer = LedgerWriter(path)
    writer.mend_tail()
    writer.append(Ended("x"))
    writer.close()
    assert read_ledger(path).ended == Ended("x")


def spoil(path, old, new):
    """Change bytes of a ledger, as a bad block may."""
    data = Path(path).read_bytes()
    assert old in data
    Path(path).write_bytes(data.replace(old, new, 1))


@pytest.mark.parametrize("new", [b"\xff", b"[" * 3000, b"\0"])
def test_a_line_that_cannot_be_read_costs_that_line_and_is_counted(spool_writer, new):
    receive(spool_writer)
    kept = receive(spool_writer, 2)
    die(spool_writer)
    path = os.path.join(spool_writer.directory, LEDGER_NAME)
    spoil(path, b'"number":1', b'"number":' + new)
    ledger = read_ledger(path)
    assert (ledger.committed, ledger.damaged) == ({kept.series_hash: 1}, 1)
    assert read_counts(path).committed == {kept.series_hash: 1}


def test_a_line_without_an_end_is_not_read_into_memory(spool_writer):
    path = os.path.join(spool_writer.directory, LEDGER_NAME)
    with open(path, "ab") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    read_ledger(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def receive_whole(spool_writer, tmp_path, number):
    """Commit an instance that can be read."""
    description = entry_file(tmp_path / "entry", number)
    name = commit(spool_writer, description, (tmp_path / "entry").read_bytes())
    (tmp_path / "entry").unlink()
    return name, description


LINES = [b'"started"', b'"series"', b'"number":2']


@pytest.mark.parametrize(
    ("spoilt", "ended"), [*((line, False) for line in LINES), *((line, True) for line in (*LINES, b'"ended"'))]
)
def test_what_a_bad_byte_costs_is_completed_from_the_entries(spool_writer, tmp_path, spoilt, ended):
    (first, description), (second, _) = (receive_whole(spool_writer, tmp_path, number) for number in (1, 2))
    if ended:
        spool_writer.end("released", 0)
    else:
        die(spool_writer)
    path = os.path.join(spool_writer.directory, LEDGER_NAME)
    spoil(path, spoilt, b"\xff" + spoilt[1:])
    assert end_for_the_dead(spool_writer.directory) is True
    ledger = read_ledger(path)
    assert ledger.committed == {first.series_hash: 2}
    assert ledger.series == {first.series_hash: description.series}
    assert ledger.started
    assert ledger.ended
    assert sorted(dict(contents(spool_writer.directory))) == [first, second]


def test_a_series_whose_line_is_lost_is_told_by_an_instance_at_its_final_path(spool_writer, tmp_path):
    name, description = receive_whole(spool_writer, tmp_path, 1)
    spool_writer.end("released", 0)
    final = tmp_path / description.file.fname
    final.parent.mkdir(parents=True)
    os.rename(os.path.join(spool_writer.directory, name.at(RECEIVED)), final)
    path = os.path.join(spool_writer.directory, LEDGER_NAME)
    spoil(path, b'"series"', b'"\xffries"')
    end_for_the_dead(spool_writer.directory, files_root=str(tmp_path))
    assert read_ledger(path).series == {name.series_hash: description.series}


@pytest.mark.parametrize("state", [RECEIVED, STORED])
def test_a_directory_without_its_ledger_is_completed_from_its_entries(spool_writer, tmp_path, state):
    name, description = receive_whole(spool_writer, tmp_path, 1)
    os.rename(
        os.path.join(spool_writer.directory, name.at(RECEIVED)), os.path.join(spool_writer.directory, name.at(state))
    )
    die(spool_writer)
    os.unlink(os.path.join(spool_writer.directory, LEDGER_NAME))
    assert end_for_the_dead(spool_writer.directory) is True
    ledger = ledger_of(spool_writer.directory)
    assert ledger.started.calling_ae_title == "TEST"
    assert ledger.series == {name.series_hash: description.series}
    assert ledger.committed == {name.series_hash: 1}
    assert ledger.ended


def test_without_a_whole_ledger_a_short_entry_is_kept(spool_writer, tmp_path):
    """It may have been acknowledged, and cut off by a power failure: the storage worker sets it aside."""
    receive_whole(spool_writer, tmp_path, 1)
    short = EntryName(2, "0" * 20, 100)
    Path(spool_writer.directory, short.at(RECEIVED)).touch()
    die(spool_writer)
    spoil(os.path.join(spool_writer.directory, LEDGER_NAME), b'"number":1', b'"number":x')
    end_for_the_dead(spool_writer.directory)
    assert short in dict(contents(spool_writer.directory))


def plant_fifo(path):
    os.mkfifo(path)


def plant_link(path):
    os.symlink("/etc/hostname", path)


def plant_directory(path):
    os.mkdir(path)


STRANGE = [plant_fifo, plant_link, plant_directory]


@pytest.mark.parametrize("plant", STRANGE)
def test_something_strange_instead_of_a_ledger_makes_nobody_wait(spool_writer, plant):
    path = os.path.join(spool_writer.directory, LEDGER_NAME)
    die(spool_writer)
    os.unlink(path)
    plant(path)
    with pytest.raises(OSError):
        read_ledger(path)
    with pytest.raises(OSError):
        LedgerWriter(path)


@pytest.mark.parametrize("plant", STRANGE)
def test_something_strange_with_the_name_of_an_entry_is_none(spool_writer, plant):
    plant(os.path.join(spool_writer.directory, EntryName(7, "0" * 20, 0).at(RECEIVED)))
    assert list(contents(spool_writer.directory)) == []
    assert strangers(spool_writer.directory)


def plant_file(path):
    Path(path).touch()


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        *((plant, "core") for plant in (*STRANGE, plant_file)),
        *((plant, "01HZ7TF03EZD364005NP332RBQ.new") for plant in (*STRANGE, plant_file)),
        *((plant, "01HZ7TF03EZD364005NP332RBR") for plant in (plant_fifo, plant_link, plant_file)),
    ],
)
def test_something_strange_among_the_associations_is_none(spool_writer, tmp_path, plant, name):
    plant(os.path.join(tmp_path, name))
    assert associations(str(tmp_path)) == [spool_writer.directory]


def test_numbers_of_instances_cost_a_bit_each():
    numbers = NumberSet()
    for number in (1, 2, 32767, 32768, 10**15):
        numbers.add(number)
    assert [number for number in (*range(4), 32766, 32767, 32768, 32769, 10**15) if number in numbers] == [
        1, 2, 32767, 32768, 10**15,
    ]  # fmt: skip


def test_numbers_of_a_ledger_that_somebody_made_up_cost_no_more_than_its_lines():
    numbers, made_up = NumberSet(), [at << 15 for at in range(50_000)]
    tracemalloc.start()
    try:
        for number in made_up:
            numbers.add(number)
        taken_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken_bytes < 8_000_000, "the lines take 4 MB"
    assert all(number in numbers and number + 1 not in numbers for number in made_up)


def test_numbers_in_any_order_are_all_there():
    numbers, added = NumberSet(), random.Random(1).sample(range(300_000), 100_000)
    for number in added:
        numbers.add(number)
    assert [number for number in range(300_001) if number in numbers] == sorted(added)
    assert len(numbers._high) < 5_000, "nearly all cost a bit"


def test_a_write_that_fails_in_the_middle_costs_the_next_line_nothing(spool_writer, monkeypatch):
    """The disk takes a part of a line and then says EIO: what it took must not be glued to the next."""
    write = os.write

    def fail(descriptor, data):
        if b'"event"' not in data:
            return write(descriptor, data)
        write(descriptor, data[:10])
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken, pytest.raises(OSError):
        broken.setattr(os, "write", fail)
        receive(spool_writer)
    kept = receive(spool_writer, 2)
    ledger = ledger_of(spool_writer.directory)
    assert ledger.committed == {kept.series_hash: 1}
    assert ledger.damaged == 1


@contextlib.contextmanager
def no_room_in(path):
    """No file of this process may become longer than that one is."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_write_of_which_nothing_is_left_is_no_damage(spool_writer):
    """What was being received when the listener died is still told from what was acknowledged."""
    path = os.path.join(spool_writer.directory, LEDGER_NAME)
    with no_room_in(path), pytest.raises(OSError, match="too large"):
        spool_writer._ledger.append(Ended("x"))
    noted = receive(spool_writer)
    assert b"\n\n" in Path(path).read_bytes(), "the next line cannot know that"
    assert None not in lines_after(path, 0, 100_000)[0]
    cut = EntryName(2, noted.series_hash, 10_000)
    Path(spool_writer.directory, cut.at(RECEIVED)).touch()
    die(spool_writer)
    end_for_the_dead(spool_writer.directory)
    assert ledger_of(spool_writer.directory).damaged == 0
    assert dict(contents(spool_writer.directory)) == {noted: RECEIVED}


def test_a_long_completion_gives_signs_of_life(spool_writer, tmp_path):
    for number in range(1, 4):
        receive_whole(spool_writer, tmp_path, number)
    die(spool_writer)
    os.unlink(os.path.join(spool_writer.directory, LEDGER_NAME))
    beats = []
    end_for_the_dead(spool_writer.directory, beat=lambda: beats.append(1))
    assert len(beats) == 3


@pytest.mark.parametrize(("gateway", "how"), [("00000000", "listener died"), ("7ZZZZZZZ", "gateway died")])
def test_an_association_that_is_older_than_the_gateway_was_left_by_another_one(spool_writer, gateway, how):
    receive(spool_writer)
    die(spool_writer)
    end_for_the_dead(spool_writer.directory, gateway)
    assert ledger_of(spool_writer.directory).ended.how == how


def test_the_memory_of_a_completion_does_not_grow_with_the_entries(spool_writer):
    name, description = EntryName(1, "0" * 20, 0), describe_file(1)
    spool_writer.enter_in_ledger(name, description)
    die(spool_writer)
    writer = LedgerWriter(os.path.join(spool_writer.directory, LEDGER_NAME))
    for number in range(20_000):
        name = EntryName(number, "0" * 20, 0)
        writer.append(Committed(name.number, name.series_hash, 0, "SERVICES/PACS/x"))
        Path(spool_writer.directory, name.at(RECEIVED)).touch()
    writer.close()
    tracemalloc.start()
    try:
        end_for_the_dead(spool_writer.directory)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 500_000, "20,000 names have 2 MB"


def test_a_ledger_that_several_make_at_the_same_time_stays(tmp_path):
    """All workers of a gateway look at the spool after a start, and each may find that the ledger is lost."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    for number in range(50):
        spool_writer = SpoolWriter(str(tmp_path), Started(f"01HZ7TF03EZD364005NP33{number:04}", "TEST", "ChRIS", ""))
        receive_whole(spool_writer, tmp_path, 1)
        die(spool_writer)
        os.unlink(os.path.join(spool_writer.directory, LEDGER_NAME))

        def end(directory=spool_writer.directory):
            barrier.wait(60)
            while not end_for_the_dead(directory):
                pass

        workers = [context.Process(target=end) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
            assert worker.exitcode == 0
        assert strangers(spool_writer.directory) == []
        assert list(ledger_of(spool_writer.directory).committed.values()) == [1]


def test_a_ledger_has_one_writer(spool_writer):
    with pytest.raises(BlockingIOError):
        LedgerWriter(os.path.join(spool_writer.directory, LEDGER_NAME))


@pytest.mark.parametrize("left", [RECEIVED, STORED])
def test_a_directory_with_an_instance_in_it_is_never_removed(spool_writer, left):
    name = receive(spool_writer)
    os.rename(
        os.path.join(spool_writer.directory, name.at(RECEIVED)), os.path.join(spool_writer.directory, name.at(left))
    )
    spool_writer.end("released", 0)
    os.unlink(os.path.join(spool_writer.directory, LEDGER_NAME))
    assert remove_finished(spool_writer.directory) is False
    assert dict(contents(spool_writer.directory)) == {name: left}


def test_what_is_not_ours_keeps_its_directory(spool_writer):
    os.unlink(os.path.join(spool_writer.directory, receive(spool_writer).at(RECEIVED)))
    spool_writer.end("released", 0)
    strange = Path(spool_writer.directory) / "core"
    strange.write_bytes(b"x")
    assert remove_finished(spool_writer.directory) is False
    assert os.listdir(spool_writer.directory) == ["core"]
    assert strangers(spool_writer.directory) == ["core"]


def test_a_finished_directory_is_removed_ledger_first(spool_writer, monkeypatch):
    name = receive(spool_writer)
    spool_writer.end("released", 0)
    os.unlink(os.path.join(spool_writer.directory, name.at(RECEIVED)))
    value = expected_count_value(name.series_hash, 1)
    Path(spool_writer.directory, value.at(REGISTERED)).touch()
    removed = []
    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path: (removed.append(os.path.basename(path)), unlink(path)))
    remove_finished(spool_writer.directory)
    assert removed[0] == LEDGER_NAME
    assert not os.path.exists(spool_writer.directory)
