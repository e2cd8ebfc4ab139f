"""Conversations as they should not be: every peer's mistake is an event and an A-ABORT, never an exception."""

import tracemalloc
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.pdu import A_ABORT_RQ

from oxidicom.association.acceptor import Acceptor, AssociationState
from oxidicom.association.events import Event, ProtocolViolated
from oxidicom.association.negotiation import AcceptancePolicy
from oxidicom.association.pdu import AbortReason
from tests.unit.association.association_peer import (
    ABORT,
    CT,
    INSTANCE,
    RELEASE_RQ,
    Listener,
    associate_rq,
    command_set,
    decode_pdus,
    echo_rq,
    find_rq,
    p_data,
    pdv,
    store_rq,
)

UNRECOGNIZED = AbortReason.UNRECOGNIZED_PDU
UNEXPECTED = AbortReason.UNEXPECTED_PDU
UNEXPECTED_PARAMETER = AbortReason.UNEXPECTED_PDU_PARAMETER
INVALID = AbortReason.INVALID_PDU_PARAMETER

STORE = {
    "AffectedSOPClassUID": CT,
    "CommandField": 1,
    "MessageID": 7,
    "CommandDataSetType": 1,
    "AffectedSOPInstanceUID": INSTANCE,
}
STORE_COMMAND = command_set(**STORE)


def listen(policy: AcceptancePolicy | None = None) -> Listener:
    return Listener(Acceptor(policy or AcceptancePolicy()))


def assert_aborts(listener: Listener, reason: AbortReason, *, in_association: bool = True) -> None:
    """In an association the service provider aborts and says why (AA-8), before it the service user (AA-1)."""
    event = listener.events[-1]
    assert isinstance(event, ProtocolViolated)
    assert event.error.abort_reason == reason
    *_, answer = decode_pdus(listener.sent)
    assert isinstance(answer, A_ABORT_RQ)
    assert (answer.source, answer.reason_diagnostic) == ((2, reason) if in_association else (0, 0))
    assert listener.acceptor.state is AssociationState.AWAITING_CLOSE
    count = len(listener.events)
    after = listener.receive(associate_rq(), store_rq(b"data"), ABORT, b"")
    assert len(after.events) == count
    assert after.acceptor.state is AssociationState.CLOSED


BEFORE_ASSOCIATION = {
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", UNRECOGNIZED),
    "TLS": (bytes.fromhex("1603010200010001fc03"), UNRECOGNIZED),
    "P-DATA first": (store_rq(b"data"), UNEXPECTED),
    "release first": (RELEASE_RQ, UNEXPECTED),
    "request of 1 GiB": (pack(">BxL", 1, 1 << 30), INVALID),
    "request too short": (pack(">BxL", 1, 67) + bytes(67), INVALID),
    "answer instead of request": (pack(">BxL", 2, 4) + bytes(4), UNEXPECTED),
}


@pytest.mark.parametrize("byte_by_byte", [False, True])
@pytest.mark.parametrize(("stream", "reason"), BEFORE_ASSOCIATION.values(), ids=BEFORE_ASSOCIATION)
def test_violation_before_the_association(stream: bytes, reason: AbortReason, byte_by_byte: bool) -> None:
    chunks = [stream[at : at + 1] for at in range(len(stream))] if byte_by_byte else [stream]
    assert_aborts(listen().receive(*chunks), reason, in_association=False)


def test_pdu_that_is_not_allowed_is_refused_at_its_header() -> None:
    assert_aborts(listen().receive(pack(">BxL", 4, 100)), UNEXPECTED, in_association=False)


@pytest.mark.parametrize(
    ("stream", "protocol"),
    [
        (b"\x16\x03\x01\x02\x00\x01", "TLS"),
        (b"GET / HTTP/1.1", "HTTP"),
        (b"\x0bMSH|^~\\&|", "HL7"),
        (b"MSH|^~\\&|", "HL7"),
    ],
)
def test_whoever_mistook_the_port_is_told_apart(stream: bytes, protocol: str) -> None:
    listener = listen().receive(stream)
    assert_aborts(listener, UNRECOGNIZED, in_association=False)
    assert str(listener.events[-1].error).endswith(f"the peer seems to speak {protocol}")


IN_ASSOCIATION = {
    "second request": (associate_rq(), UNEXPECTED),
    "unknown PDU type": (pack(">BxL", 0x42, 4) + bytes(4), UNRECOGNIZED),
    "release response": (pack(">BxL", 6, 4) + bytes(4), UNEXPECTED),
    "long release": (pack(">BxL", 5, 1 << 20), INVALID),
    "PDU over 64 MiB": (pack(">BxL", 4, 64 * 1024 * 1024 + 1), INVALID),
    "PDV item length 1": (pack(">BxLLBB", 4, 6, 1, 1, 3), INVALID),
    "PDV longer than its PDU": (pack(">BxLLBB", 4, 6, 3, 1, 3), INVALID),
    "rest of PDU too short for a PDV": (pack(">BxLLBBB", 4, 7, 2, 1, 1, 0) + bytes(9), INVALID),
    "unknown presentation context": (p_data(pdv(STORE_COMMAND, 3, context_id=99)), INVALID),
    "presentation context 0": (p_data(pdv(STORE_COMMAND, 3, context_id=0)), INVALID),
    "rejected presentation context": (p_data(pdv(STORE_COMMAND, 3, context_id=7)), INVALID),
    "dataset without command": (p_data(pdv(b"data", 2)), UNEXPECTED_PARAMETER),
    "interleaved contexts in a command": (
        p_data(pdv(STORE_COMMAND[:9], 1), pdv(STORE_COMMAND[9:], 3, context_id=3)),
        UNEXPECTED_PARAMETER,
    ),
    "interleaved contexts in a dataset": (
        p_data(pdv(STORE_COMMAND, 3), pdv(b"data", 0), pdv(b"data", 2, context_id=3)),
        UNEXPECTED_PARAMETER,
    ),
    "command inside a dataset": (
        p_data(pdv(STORE_COMMAND, 3), pdv(b"data", 0)) + echo_rq(context_id=1),
        UNEXPECTED_PARAMETER,
    ),
    "command inside a dropped dataset": (
        find_rq()[: -(12 + 14)] + p_data(pdv(STORE_COMMAND, 3)),
        UNEXPECTED_PARAMETER,
    ),
    "dataset that was not announced": (echo_rq(context_id=1) + p_data(pdv(b"data", 2)), UNEXPECTED_PARAMETER),
    "endless command set": (p_data(pdv(bytes(40_000), 1)) * 2, INVALID),
    "damaged command set": (p_data(pdv(STORE_COMMAND[:-1], 3)), INVALID),
    "command set of another group": (p_data(pdv(b"\x08\0" + STORE_COMMAND[2:], 3)), INVALID),
    "empty command set": (p_data(pdv(b"", 3)), INVALID),
    "response of the peer": (p_data(pdv(command_set(**STORE | {"CommandField": 0x8001}), 3)), INVALID),
}


@pytest.mark.parametrize("byte_by_byte", [False, True])
@pytest.mark.parametrize(("stream", "reason"), IN_ASSOCIATION.values(), ids=IN_ASSOCIATION)
def test_violation_in_the_association(stream: bytes, reason: AbortReason, byte_by_byte: bool) -> None:
    contexts = ((1, CT, ["1.2.840.10008.1.2"]), (3, CT, ["1.2.840.10008.1.2"]), (7, CT, ["1.2.3"]))
    listener = listen().receive(associate_rq(contexts))
    chunks = [stream[at : at + 1] for at in range(len(stream))] if byte_by_byte else [stream]
    assert_aborts(listener.receive(*chunks), reason)


@pytest.mark.parametrize("missing", STORE)
def test_store_command_that_lacks_an_element_is_a_violation(missing: str) -> None:
    command = command_set(**{keyword: value for keyword, value in STORE.items() if keyword != missing})
    assert_aborts(listen().receive(associate_rq(), p_data(pdv(command, 3))), INVALID)


def test_command_set_inherits_nothing_from_the_one_before() -> None:
    without_uid = command_set(**{keyword: value for keyword, value in STORE.items() if "Instance" not in keyword})
    complete = p_data(pdv(STORE_COMMAND, 3), pdv(b"data", 2))
    assert_aborts(listen().receive(associate_rq(), complete, p_data(pdv(without_uid, 3))), INVALID)


def test_pdu_longer_than_announced_is_a_violation_only_if_strict() -> None:
    fits, too_long = (store_rq(bytes(9000), max_pdu_length=length) for length in (4096, 4097))
    strict = AcceptancePolicy(max_pdu_length=4096, strict=True)
    assert_aborts(listen(strict).receive(associate_rq(), fits, too_long), INVALID)
    tolerant = listen(AcceptancePolicy(max_pdu_length=4096)).receive(associate_rq(), fits, too_long)
    assert tolerant.datasets == [bytes(9000)] * 2
    unlimited = listen(AcceptancePolicy(max_pdu_length=0, strict=True)).receive(associate_rq(), fits, too_long)
    assert unlimited.datasets == [bytes(9000)] * 2


def test_events_before_the_violation_are_kept() -> None:
    stream = store_rq(b"good") + p_data(pdv(b"data", 2))
    listener = listen().receive(associate_rq() + stream)
    assert listener.datasets == [b"good"]
    assert_aborts(listener, UNEXPECTED_PARAMETER)


def assert_survives(chunks: list[bytes]) -> None:
    """Feed the bytes; any event will do, any exception will not."""
    listener = listen()
    for chunk in chunks:
        listener.receive(chunk)
    listener.receive(b"")
    assert all(isinstance(event, Event) for event in listener.events)
    assert listener.acceptor.state is AssociationState.CLOSED


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_arbitrary_bytes(chunks: list[bytes]) -> None:
    assert_survives(chunks)


@given(st.binary(max_size=400))
def test_arbitrary_association_request(body: bytes) -> None:
    assert_survives([pack(">BxL", 1, len(body)) + body])
    items = pack(">H2x", 1) + b"ChRIS".ljust(16) + b"PACS".ljust(16) + bytes(32) + body
    assert_survives([pack(">BxL", 1, len(items)) + items])


@given(st.lists(st.tuples(st.binary(max_size=120), st.integers(0, 255), st.sampled_from((1, 3, 5, 2))), max_size=6))
def test_arbitrary_fragments(fragments: list[tuple[bytes, int, int]]) -> None:
    pdus = [p_data(pdv(fragment, control, context_id)) for fragment, control, context_id in fragments]
    assert_survives([associate_rq(), *pdus])


CONVERSATION = associate_rq() + store_rq(bytes(700), max_pdu_length=256) + find_rq() + echo_rq() + RELEASE_RQ


@given(st.lists(st.tuples(st.integers(0, len(CONVERSATION) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=400)
def test_conversation_with_damaged_bytes(damages: list[tuple[int, int]]) -> None:
    stream = bytearray(CONVERSATION)
    for at, value in damages:
        stream[at] = value
    assert_survives([bytes(stream)])
    assert_survives([bytes(stream[at : at + 13]) for at in range(0, len(stream), 13)])


def test_every_cap_is_a_setting() -> None:
    policy = AcceptancePolicy(max_request_bytes=200, max_pdu_bytes=200_000, max_command_bytes=1024)
    assert_aborts(listen(policy).receive(associate_rq()), INVALID, in_association=False)
    policy = AcceptancePolicy(max_pdu_bytes=200_000, max_command_bytes=1024)
    assert_aborts(listen(policy).receive(associate_rq(), pack(">BxL", 4, 200_001)), INVALID)
    assert_aborts(listen(policy).receive(associate_rq(), p_data(pdv(bytes(1025), 1))), INVALID)
    assert (
        listen(policy).receive(associate_rq(), pack(">BxL", 4, 200_000)).acceptor.state is AssociationState.ESTABLISHED
    )


def test_a_pdu_as_long_as_announced_is_taken_whatever_the_cap() -> None:
    policy = AcceptancePolicy(max_pdu_length=100_000, max_pdu_bytes=4096)
    assert (
        listen(policy).receive(associate_rq(), pack(">BxL", 4, 100_000)).acceptor.state is AssociationState.ESTABLISHED
    )
    assert_aborts(listen(policy).receive(associate_rq(), pack(">BxL", 4, 100_001)), INVALID)


def test_nothing_is_allocated_for_a_length_that_is_only_claimed() -> None:
    listener = listen().receive(associate_rq())
    tracemalloc.start()
    try:
        listener.receive(pack(">BxL", 4, 64 * 1024 * 1024), pack(">LBB", 64 * 1024 * 1024 - 4, 1, 1))
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()
