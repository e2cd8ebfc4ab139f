"""Conduct on the wire (PS3.8, 9.2): every mistake of a peer has its answer, and none hurts anybody else."""

import contextlib
import socket
import struct

import pytest

from tests.acceptance.network.connections import open_connections
from tests.acceptance.network.wire import ABORTED, ACCEPTED, DATA, LOST, RELEASED, Wire
from tests.dicom import dataset_bytes, make_series, send
from tests.processes import descriptors, own_bytes
from tests.unit.association.association_peer import (
    ABORT,
    CT,
    EXPLICIT,
    IMPLICIT,
    INSTANCE,
    RELEASE_RQ,
    associate_rq,
    command_set,
    echo_rq,
    p_data,
    pdv,
    store_rq,
)
from tests.waiting import wait_until

BY_USER = (ABORTED, bytes(4))
"""Before the association (AA-1): source service user, no reason."""
UNRECOGNIZED_PDU, UNEXPECTED_PDU, UNEXPECTED_PARAMETER, INVALID_PARAMETER = 1, 2, 5, 6


def by_provider(reason):
    """In the association (AA-8): source service provider, and why."""
    return ABORTED, bytes((0, 0, 2, reason))


def pdu(pdu_type, body=bytes(4)):
    return struct.pack(">BxL", pdu_type, len(body)) + body


STORE_COMMAND = command_set(
    AffectedSOPClassUID=CT, CommandField=1, MessageID=7, CommandDataSetType=1, AffectedSOPInstanceUID=INSTANCE
)

BEFORE = {
    "unknown PDU type": pdu(0x42),
    "P-DATA": store_rq(b"data"),
    "release": RELEASE_RQ,
    "answer to a request": pdu(2),
    "HTTP": b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
    "HL7": b"\x0bMSH|^~\\&|ADT|HOSPITAL\r\x1c\r",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(194),
    "damaged request": pdu(1, bytes(67)),
}


@pytest.mark.parametrize("data", BEFORE.values(), ids=BEFORE)
def test_before_an_association(gateway, data):
    with Wire(gateway.port) as wire:
        assert wire.send(data).receive() == BY_USER
        assert wire.receive() is LOST
    (line,) = wait_until(lambda: gateway.lines("no_association"), "one line says what it was")
    assert line["level"] == "INFO"


def test_other_protocols_are_named_in_the_log(gateway):
    for data in (BEFORE["HTTP"], BEFORE["HL7"], BEFORE["TLS"]):
        with Wire(gateway.port) as wire:
            wire.send(data).receive()
    lines = wait_until(lambda: len(gateway.lines("no_association")) == 3 and gateway.lines("no_association"), "lines")
    assert {line["how"].rpartition(" ")[2] for line in lines} == {"HTTP", "HL7", "TLS"}


WITHIN = {
    "unknown PDU type": (pdu(0x42), UNRECOGNIZED_PDU),
    "second request": (associate_rq(), UNEXPECTED_PDU),
    "A-ASSOCIATE-AC": (pdu(2), UNEXPECTED_PDU),
    "A-ASSOCIATE-RJ": (pdu(3), UNEXPECTED_PDU),
    "release collision": (pdu(6), UNEXPECTED_PDU),
    "unknown context id": (p_data(pdv(STORE_COMMAND, 3, context_id=99)), INVALID_PARAMETER),
    "dataset without a command": (p_data(pdv(b"data", 2)), UNEXPECTED_PARAMETER),
    "command inside a dataset": (
        p_data(pdv(STORE_COMMAND, 3), pdv(b"data", 0), pdv(STORE_COMMAND, 3)),
        UNEXPECTED_PARAMETER,
    ),
    "response without a request": (
        p_data(pdv(command_set(CommandField=0x8001, MessageID=1, CommandDataSetType=0x0101), 3)),
        INVALID_PARAMETER,
    ),
}


@pytest.mark.parametrize(("data", "reason"), WITHIN.values(), ids=WITHIN)
def test_within_an_association(gateway, data, reason):
    with Wire(gateway.port) as wire:
        assert wire.associate()[0] == ACCEPTED
        assert wire.send(data).receive() == by_provider(reason)
        assert wire.receive() is LOST
    (line,) = wait_until(lambda: gateway.lines("association_ended"), "the closing line")
    assert line["how"].startswith("protocol violated: ")
    assert not gateway.spooled()


def test_fragments_and_elements_of_odd_length_and_empty_p_data_are_taken(gateway, tmp_path):
    """The standard wants even ones (PS3.8, E.1; PS3.5, 7.1), and one fragment at least; nothing is lost by others."""
    (path,) = make_series(tmp_path / "in", 1)
    dataset = dataset_bytes(path)
    command = command_set(CommandField=1, MessageID=7, CommandDataSetType=1)
    for element, uid in ((0x0002, CT), (0x1000, f"{series_uid_of(path)}.1")):
        value = uid.encode() + b"\0" * (1 - len(uid) % 2)
        command += struct.pack("<HHL", 0, element, len(value)) + value
    with Wire(gateway.port) as wire:
        assert wire.associate(contexts=((1, CT, (EXPLICIT,)),))[0] == ACCEPTED
        wire.send(p_data() + p_data(pdv(command[:7], 1), pdv(command[7:], 3)) + p_data())
        wire.send(p_data(pdv(dataset[:1001], 0), pdv(dataset[1001:], 2)) + p_data())
        pdu_type, body = wire.receive()
        assert pdu_type == DATA
        assert b"\0\0\x00\x09\2\0\0\0\0\0" in body, "status 0000"
        assert wire.send(RELEASE_RQ).receive()[0] == RELEASED
    (stored,) = wait_until(gateway.stored, "the file")
    assert dataset_bytes(gateway.files_root / stored) == dataset


def series_uid_of(path):
    import pydicom

    return pydicom.dcmread(path).SeriesInstanceUID


def test_even_and_repeated_context_ids_are_answered(gateway):
    request = bytearray(associate_rq(((1, CT, (EXPLICIT,)), (3, CT, (IMPLICIT,)), (5, CT, (IMPLICIT,)))))
    ids = [at + 4 for at in range(74, len(request)) if request[at : at + 2] == b"\x20\0"]
    for at, context_id in zip(ids, (2, 4, 4), strict=True):
        request[at] = context_id
    with Wire(gateway.port) as wire:
        pdu_type, body = wire.send(bytes(request)).receive()
        assert pdu_type == ACCEPTED
        answered = [body[at + 4] for at in range(68, len(body)) if body[at : at + 2] == b"\x21\0"]
        assert answered == [2, 4], "each under its own, and of repeated ones the first"
        assert wire.send(RELEASE_RQ).receive()[0] == RELEASED


def test_an_abort_in_the_middle_of_a_dataset_costs_that_association(gateway):
    with Wire(gateway.port) as wire:
        assert wire.associate()[0] == ACCEPTED
        wire.send(store_rq(bytes(100_000))[:50_000]).reset()
    with Wire(gateway.port) as wire:
        assert wire.associate()[0] == ACCEPTED
        wire.send(p_data(pdv(STORE_COMMAND, 3), pdv(bytes(1000), 0)) + ABORT)
        assert wire.receive() is LOST
    lines = wait_until(lambda: len(gateway.lines("association_ended")) == 2 and gateway.lines(), "both ended")
    assert "aborted by the peer: source 2, reason 5" in [line.get("how") for line in lines]
    wait_until(lambda: not gateway.spooled(), "nothing is left in the spool")


def test_a_second_release_and_what_follows_a_release_is_ignored(gateway):
    with Wire(gateway.port) as wire:
        assert wire.associate()[0] == ACCEPTED
        assert wire.send(RELEASE_RQ + RELEASE_RQ + echo_rq()).receive()[0] == RELEASED
        assert wire.receive() is LOST


def test_a_peer_that_closes_its_sending_half_gets_all_its_answers(gateway, tmp_path):
    with Wire(gateway.port) as wire:
        wire.send(associate_rq() + echo_rq() + echo_rq() + RELEASE_RQ).half_close()
        assert [wire.receive()[0] for _ in range(4)] == [ACCEPTED, DATA, DATA, RELEASED]
        assert wire.receive() is LOST


@pytest.mark.parametrize(
    "data", [b"", associate_rq()[:40], associate_rq()], ids=["nothing", "half a request", "request"]
)
def test_a_half_closed_connection_holds_no_listener(make_gateway, data):
    gateway = make_gateway(CHRIS_LISTENER_THREADS="1")
    with Wire(gateway.port) as wire:
        wire.send(data).half_close()
        while wire.receive() is not LOST:
            pass
        with Wire(gateway.port) as next_wire:
            assert next_wire.associate()[0] == ACCEPTED


def test_after_all_sorts_of_trouble_instances_are_received(gateway, rows, tmp_path):
    for data in BEFORE.values():
        with Wire(gateway.port) as wire:
            wire.send(data)
    for data, _ in WITHIN.values():
        with Wire(gateway.port) as wire, contextlib.suppress(ConnectionError):
            wire.send(associate_rq() + data)
    assert {status.Status for status in send(gateway.port, make_series(tmp_path / "in", 3))} == {0}
    wait_until(lambda: len(rows()) == 3, "the rows")
    assert not [line for line in gateway.lines() if line["level"] not in ("DEBUG", "INFO")]


@pytest.mark.timeout(1800)
def test_probes_of_a_load_balancer_leave_nothing_behind(gateway, long_drill):
    """Connect and close, by FIN or by RST: no line above DEBUG, no descriptor and no memory."""
    probes = 100_000 if long_drill else 3_000
    processes = gateway.children()
    probe(gateway, 1000)
    held, memory = descriptors(gateway.receivers()), own_bytes(processes)
    probe(gateway, probes)
    wait_until(lambda: descriptors(gateway.receivers()) <= held, "all descriptors are closed")
    assert own_bytes(processes) - memory < 2 << 20
    assert not gateway.lines("no_association")
    assert gateway.children() == processes


def probe(gateway, count):
    for number in range(count):
        wire = socket.create_connection(("127.0.0.1", gateway.port), 10)
        if number % 2:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()
    wait_until(lambda: not open_connections(gateway.port), "all are worked off")
