"""Many things at once: series in one association, entries in the spool. Memory is bounded, and a restart is linear."""

import contextlib
import os
import time
from pathlib import Path

import psycopg
import pytest

from benchmarks.datasets import Content, Identity, templates_of
from benchmarks.memory import uss_bytes
from benchmarks.message import Message
from benchmarks.requestor import Requestor
from oxidicom.dataset.part10 import build_file_meta
from oxidicom.paths.final_path import hash7, series_hash
from oxidicom.spool.entries import describe_entry
from oxidicom.spool.ledger import LEDGER_NAME, Committed, LedgerWriter, Line, SeriesOpened, Started
from oxidicom.spool.names import RECEIVED, EntryName
from tests.fixtures.storage import make_gateway_directory
from tests.waiting import wait_until

MIB = 1 << 20


class Memory:
    """The private memory of the processes of a gateway."""

    def __init__(self, gateway):
        self._gateway = gateway
        self._first = self._now()

    def _now(self):
        return {pid: uss for pid in self._gateway.children() if (uss := uss_bytes(pid)) is not None}

    @property
    def rise(self):
        """By how much the largest process grew, in bytes; one that came later counts whole."""
        return max(uss - self._first.get(pid, 0) for pid, uss in self._now().items())


def count(database):
    with psycopg.connect(database) as connection:
        return connection.execute(
            "SELECT count(*) FILTER (WHERE p.identifier <> 'org.fnndsc.oxidicom'), count(*) "
            "FROM pacsfiles_pacsfile f JOIN pacsfiles_pacs p ON p.id = f.pacs_id"
        ).fetchone()


@pytest.mark.timeout(3600)
def test_an_association_with_very_many_series(long_drill, make_gateway, database):
    """Each instance is a series of its own, with two metadata values."""
    series = 50_000 if long_drill else 3_000
    gateway = make_gateway(TOKIO_WORKER_THREADS="1")
    (template,) = templates_of(Content.SMALL_EXPLICIT)
    # the path that CUBE agreed on tells series by 28 bits: some of 50,000 share a directory, and so their two values
    identities = [Identity(1, 1, number, instances_per_series=1) for number in range(series)]
    directories = len({hash7(identity.series_instance_uid) for identity in identities})
    memory = Memory(gateway)
    requestor = Requestor(gateway.port, template.sop_class_uid, template.transfer_syntax_uid)
    message = Message(template, requestor.max_pdu_bytes)
    for number, identity in enumerate(identities):
        message.address(identity, number & 0x7FFF)
        requestor.store(message, number & 0x7FFF)
    risen = memory.rise
    requestor.release()
    wait_until(lambda: count(database) == (series, series + 2 * directories), "all rows", 60 + series / 20, every=1)
    wait_until(lambda: not gateway.spooled(), "the spool is empty", 60)
    print(f"{series} series: the largest process grew by {risen / MIB:.1f} MiB, in the end {memory.rise / MIB:.1f}")
    assert max(risen, memory.rise) < 64 * MIB


def fill_spool(files_root, associations, entries):
    """Leave what a gateway leaves that was killed: so many associations with so many committed entries each."""
    directory = make_gateway_directory(files_root)
    (template,) = templates_of(Content.SMALL_EXPLICIT)
    meta = build_file_meta(
        sop_class_uid=template.sop_class_uid,
        sop_instance_uid=Identity(1, 1, 0).sop_instance_uid,
        transfer_syntax_uid=template.transfer_syntax_uid,
        calling_ae_title="BENCHMARK",
        our_ae_title="ChRIS",
    )
    message = Message(template, 1 << 20)
    for association in range(associations):
        ulid = f"01HZ7TF03EZD36{association:012}"
        path = os.path.join(directory.spool, ulid)
        os.mkdir(path)
        ledger = LedgerWriter(os.path.join(path, LEDGER_NAME), create=True)
        ledger.append(Started(ulid, "BENCHMARK", "ChRIS", "127.0.0.1:1"))
        described = None
        lines: list[Line] = []
        for number in range(entries):
            identity = Identity(1 + association // 5000, association % 5000, number)  # four digits each
            message.address(identity, 1)
            data = meta + dataset_of(message)
            if number % identity.instances_per_series == 0:
                Path(path, "probe").write_bytes(data)
                described = describe_entry(os.path.join(path, "probe"))
                os.unlink(os.path.join(path, "probe"))
                lines.append(SeriesOpened(series_hash(described.series), described.series))
            name = EntryName(number + 1, series_hash(described.series), len(data))
            Path(path, name.at(RECEIVED)).write_bytes(data)
            lines.append(Committed(name.number, name.series_hash, name.size_bytes, described.file.fname))
            if len(lines) > 1000 or number == entries - 1:
                ledger.append(*lines)
                lines.clear()
        ledger.close()
    directory._unlock()


def dataset_of(message):
    """Return the dataset that a message holds in one PDU: behind the command, two headers."""
    data = bytes(message._head)
    command = 6 + int.from_bytes(data[2:6], "big")
    return data[command + 12 :]


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("associations", [1, 100], ids=["in one association", "in many"])
def test_a_restart_with_very_many_entries(associations, long_drill, make_gateway, database):
    entries = 1_000_000 if long_drill else 3_000
    associations = associations * 100 if long_drill and associations > 1 else associations
    gateway = make_gateway(start=False)
    fill_spool(gateway.files_root, associations, entries // associations)
    began = time.monotonic()
    gateway.start()
    ready_seconds = time.monotonic() - began
    memory, risen = Memory(gateway), [0]

    def all_registered():
        with contextlib.suppress(ValueError):
            risen.append(memory.rise)
        return count(database)[0] == entries

    wait_until(all_registered, "all rows", 120 + entries / 200, every=1)
    seconds = time.monotonic() - began
    wait_until(lambda: not gateway.spooled(), "the spool is empty", 300)
    assert not gateway.lines("process_died")
    print(
        f"{entries} entries in {associations} associations: ready after {ready_seconds:.1f} s, all registered after "
        f"{seconds:.0f} s ({entries / seconds:.0f}/s), the largest process grew by {max(risen) / MIB:.1f} MiB"
    )
    assert ready_seconds < 60, "5 s on a machine of its own"
    assert max(risen) < 64 * MIB
