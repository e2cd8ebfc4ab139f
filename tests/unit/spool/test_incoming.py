"""An instance becomes a committed entry, whole or in pieces, or leaves nothing behind."""

import errno
import os

import pytest

from oxidicom.dataset.describer import Describer
from oxidicom.dataset.part10 import build_file_meta
from oxidicom.errors import DatasetError
from oxidicom.spool.association_directory import ledger_of
from oxidicom.spool.entries import contents
from oxidicom.spool.incoming import HEAD_BYTES, IncomingInstance
from oxidicom.spool.ledger import Started
from oxidicom.spool.names import RECEIVED
from oxidicom.spool.spool_writer import SpoolWriter
from tests.dicom import CT, dataset_bytes, make_instance

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def spool_writer(tmp_path):
    return SpoolWriter(str(tmp_path), Started("01HZ7TF03EZD364005NP332RBQ", "TEST", "ChRIS", "127.0.0.1:1"))


@pytest.fixture
def describer():
    return Describer("TEST")


@pytest.fixture
def encoded(tmp_path):
    return memoryview(dataset_bytes(make_instance(tmp_path / "a.dcm", 1)))


def incoming(spool_writer, describer):
    meta = build_file_meta(
        sop_class_uid=CT,
        sop_instance_uid="1.2.3.1",
        transfer_syntax_uid=EXPLICIT,
        calling_ae_title="TEST",
        our_ae_title="ChRIS",
    )
    return IncomingInstance(spool_writer, describer, meta, EXPLICIT), meta


def uid_of(data):
    return bytes(data).split(b"\x08\0\x18\0UI")[1][2:].split(b"\x08\0")[0].rstrip(b"\0").decode()


def stored(spool_writer, name):
    with open(os.path.join(spool_writer.directory, name.at(RECEIVED)), "rb") as file:
        return file.read()


@pytest.mark.parametrize("pieces", [1, 2, 700])
@pytest.mark.parametrize("flushed", [False, True])
def test_it_is_stored_as_it_came(spool_writer, describer, encoded, pieces, flushed):
    """Without a flush, as of a small one, there is never another name than the committed one."""
    instance, meta = incoming(spool_writer, describer)
    step = -(-len(encoded) // pieces)
    for start in range(0, len(encoded), step):
        instance.write(encoded[start : start + step])
        if flushed:
            instance.flush()
    assert bool(os.listdir(spool_writer.directory) != ["ledger.jsonl"]) == (flushed or pieces > 512)
    name, description = instance.commit(CT, uid_of(encoded))
    assert stored(spool_writer, name) == meta + bytes(encoded)
    assert name.size_bytes == len(meta) + len(encoded)
    assert dict(contents(spool_writer.directory)) == {name: RECEIVED}
    assert ledger_of(spool_writer.directory).committed == {name.series_hash: 1}
    assert description.sop_instance_uid == uid_of(encoded)
    mtime_ns = os.stat(os.path.join(spool_writer.directory, name.at(RECEIVED))).st_mtime_ns
    assert mtime_ns == instance.committed_ns


def test_the_next_of_its_kind_is_described_by_its_first_piece(spool_writer, describer, encoded):
    for number in range(1, 4):
        instance, _ = incoming(spool_writer, describer)
        instance.write(encoded)
        assert (instance._description is not None) == (number > 1)
        name, _ = instance.commit(CT, uid_of(encoded))
        assert name.number == number


def test_a_header_beyond_the_head_is_read_from_the_file(spool_writer, describer, encoded):
    private = b"\x09\0\x01\x10OB\0\0" + (2 * HEAD_BYTES).to_bytes(4, "little") + bytes(2 * HEAD_BYTES)
    patient = bytes(encoded).index(b"\x10\0\x10\0PN")
    data = memoryview(bytes(encoded[:patient]) + private + bytes(encoded[patient:]))
    instance, meta = incoming(spool_writer, describer)
    instance.write(data)
    name, _ = instance.commit(CT, uid_of(encoded))
    assert stored(spool_writer, name) == meta + bytes(data)


def refuse(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("fault", ["create", "rename", "sync_data", "enter_in_ledger"])
def test_what_the_disk_does_not_take_leaves_nothing(spool_writer, describer, encoded, flushed, fault, monkeypatch):
    instance, _ = incoming(spool_writer, describer)
    monkeypatch.setattr(spool_writer, fault, refuse)
    descriptors = len(os.listdir("/proc/self/fd"))
    instance.write(encoded)
    if fault == "rename" and not flushed:
        instance.commit(CT, uid_of(encoded))  # there is nothing to be renamed
        return
    with pytest.raises(OSError, match="No space"):
        if flushed:
            instance.flush()
        instance.commit(CT, uid_of(encoded))
    instance.discard()
    assert os.listdir(spool_writer.directory) == ["ledger.jsonl"]
    assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize(("sop_class", "uid"), [("1.2.840.10008.5.1.4.1.1.4", None), (CT, "1.2.3.4.5")])
def test_what_differs_from_its_command_is_refused_and_leaves_nothing(spool_writer, describer, encoded, sop_class, uid):
    instance, _ = incoming(spool_writer, describer)
    instance.write(encoded)
    with pytest.raises(DatasetError) as caught:
        instance.commit(sop_class, uid or uid_of(encoded))
    assert caught.value.status == 0xA900
    instance.discard()
    assert os.listdir(spool_writer.directory) == ["ledger.jsonl"]


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("cut", [2, 1000])
def test_what_is_cut_off_is_stored_as_it_came_with_a_warning(spool_writer, describer, encoded, flushed, cut):
    """Also when its header is one of those that are recognized."""
    for number in range(1, 5):
        data = encoded if number % 2 else encoded[:-cut]
        instance, meta = incoming(spool_writer, describer)
        instance.write(data)
        if flushed:
            instance.flush()
        name, description = instance.commit(CT, uid_of(encoded))
        assert stored(spool_writer, name) == meta + bytes(data)
        assert description.warnings == (() if number % 2 else ("dataset is cut off in (7FE0,0010)",))


def test_of_a_length_that_is_known_the_end_is_not_looked_for(spool_writer, describer, encoded, monkeypatch):
    instance, _ = incoming(spool_writer, describer)
    instance.write(encoded)
    instance.commit(CT, uid_of(encoded))
    monkeypatch.setattr("oxidicom.spool.incoming.find_flaw", refuse)
    for data, is_known in ((encoded, True), (encoded[:-2], False)):
        instance, _ = incoming(spool_writer, describer)
        instance.write(data)
        if is_known:
            instance.commit(CT, uid_of(encoded))
        else:
            with pytest.raises(OSError, match="No space"):
                instance.commit(CT, uid_of(encoded))
            instance.discard()
