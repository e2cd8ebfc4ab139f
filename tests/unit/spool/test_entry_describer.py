"""Entries are described alike, whether by an earlier one or each by itself."""

import os
import tempfile
from pathlib import Path

import msgspec
import pytest

from oxidicom.dataset.part10 import build_file_meta
from oxidicom.errors import DatasetError
from oxidicom.spool.entries import describe_entry
from oxidicom.spool.entry_describer import _FIRST_READ_BYTES, EntryDescriber, read_ahead
from tests.unit.dataset.dataset_bytes import dataset, element, encode
from tests.unit.dataset.test_odd_dataset import PIXELS, READ_BY_PYDICOM, before_patient
from workers.channels.messages import Instance

EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
MR = "1.2.840.10008.5.1.4.1.1.4"
LARGE = element(0x0019_1010, b"OB", bytes(100_000))
PATIENT_NAME_TAG = b"\x10\0\x10\0PN"
BEYOND_THE_FIRST_READ = element(0x0009_1010, b"OB", bytes(6_000))


def slices(transfer_syntax_uid=EXPLICIT, **changes):
    for number in (1, 2, 3, 20):
        yield encode(
            dataset(SOPInstanceUID=f"1.2.3.{number}", InstanceNumber=str(number), **changes), transfer_syntax_uid
        )


def encoded_datasets():
    yield from ((EXPLICIT, one + PIXELS) for one in slices())
    yield from ((EXPLICIT, one) for one in slices(PatientName="Other^One", SeriesInstanceUID="1.2.9"))
    for syntax in (IMPLICIT, DEFLATED):
        yield from ((syntax, one) for one in slices(syntax))
    yield from ((EXPLICIT, one) for one in READ_BY_PYDICOM.values())
    yield EXPLICIT, before_patient(BEYOND_THE_FIRST_READ)
    yield EXPLICIT, before_patient(LARGE)  # its header is longer than the first look at it


def part_10_file(path, encoded, transfer_syntax_uid=EXPLICIT, calling_ae_title="PACS"):
    meta = build_file_meta(
        sop_class_uid=MR,
        sop_instance_uid="1.2.3",
        transfer_syntax_uid=transfer_syntax_uid,
        calling_ae_title=calling_ae_title,
        our_ae_title="ChRIS",
    )
    path.write_bytes(meta + encoded)
    return os.fspath(path)


@pytest.fixture
def entries(tmp_path):
    paths = []
    for number, (syntax, encoded) in enumerate(encoded_datasets()):
        for title in ("PACS", "PACS", "OTHER"):
            paths.append(part_10_file(tmp_path / f"{len(paths)}-{number}", encoded, syntax, title))
    return paths


def outcome(describe, path):
    try:
        return describe(path)
    except DatasetError as error:
        return str(error), error.offending_tags


def test_all_are_described_as_each_by_itself(entries):
    describer = EntryDescriber()
    for path in [*entries, *reversed(entries)]:
        assert outcome(lambda one: describer.describe(one).description, path) == outcome(describe_entry, path)


@pytest.mark.parametrize("private", [b"", BEYOND_THE_FIRST_READ], ids=["short", "long"])
def test_those_that_are_like_an_earlier_one_are_not_read_anew(tmp_path, monkeypatch, private):
    describer = EntryDescriber()
    contents = [one.replace(PATIENT_NAME_TAG, private + PATIENT_NAME_TAG) + PIXELS for one in slices()]
    first, *others = [part_10_file(tmp_path / str(number), one) for number, one in enumerate(contents)]
    describer.describe(first)
    describer.describe(others[0])  # what differs between the two is known now
    monkeypatch.setattr("oxidicom.spool.entry_describer.read_header", None)
    numbers = [describer.describe(path).description.file.fname for path in others[1:]]
    assert len(set(numbers)) == 2


@pytest.mark.parametrize("contents", [b"", b"x", bytes(132), bytes(128) + b"DICM"])
def test_what_is_no_part_10_file_is_told(tmp_path, contents):
    path = tmp_path / "entry"
    path.write_bytes(contents)
    with pytest.raises(DatasetError):
        EntryDescriber().describe(os.fspath(path))


def test_the_longest_file_meta_of_ours_stands_in_the_first_read(tmp_path):
    """Else an entry would be taken for damaged, and be set aside."""
    longest = build_file_meta(
        sop_class_uid="1." + "2" * 62,
        sop_instance_uid="1." + "3" * 62,
        transfer_syntax_uid="1." + "4" * 62,
        calling_ae_title="A" * 16,
        our_ae_title="B" * 16,
    )
    assert len(longest) < _FIRST_READ_BYTES / 2


def test_to_read_ahead_asks_for_the_beginnings(tmp_path, monkeypatch):
    paths = [os.fspath(tmp_path / name) for name in ("1", "2")]
    for path in paths:
        Path(path).write_bytes(bytes(100_000))
    asked, opened = [], set(os.listdir("/proc/self/fd"))

    def advise(descriptor, offset, length, advice):
        asked.append((os.readlink(f"/proc/self/fd/{descriptor}"), offset, length, advice))

    monkeypatch.setattr(os, "posix_fadvise", advise)
    read_ahead(paths)
    assert asked == [(path, 0, _FIRST_READ_BYTES, os.POSIX_FADV_WILLNEED) for path in paths]
    assert set(os.listdir("/proc/self/fd")) == opened


def test_to_read_ahead_waits_for_nothing_and_complains_of_nothing(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("empty")
    read_ahead(os.fspath(tmp_path / name) for name in ("gone", "fifo", "directory", "empty", "link"))


@pytest.mark.parametrize("time", [2**40, -(2**40)])
def test_a_message_takes_an_entry_whatever_time_somebody_gave_it(time):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as top:  # most filesystems on disks hold no such time
        path = part_10_file(Path(top, "entry"), next(slices()))
        os.utime(path, (time, time))
        entry = EntryDescriber().describe(path)
    message = Instance("", 1, "", 1, entry.committed_ns, entry.description.file)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=Instance) == message
