"""Conversations as they should be: each one whole, byte by byte, and cut anywhere."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_RELEASE_RP

from oxidicom.association.acceptor import Acceptor, AssociationState
from oxidicom.association.events import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    ConnectionLost,
    DataEnded,
    Echoed,
    ReleaseRequested,
    RequestUnrecognized,
    StoreRefused,
    StoreRequested,
)
from oxidicom.association.negotiation import AcceptancePolicy
from oxidicom.association.pdu import UserRejectReason
from tests.unit.association.association_peer import (
    ABORT,
    CT,
    EXPLICIT,
    IMPLICIT,
    INSTANCE,
    MR,
    RELEASE_RQ,
    VERIFICATION,
    Listener,
    associate_rq,
    command_set,
    decode_pdus,
    decode_responses,
    echo_rq,
    find_rq,
    p_data,
    pdv,
    store_rq,
    with_calling_ae_title,
)

DATASET = bytes(range(256)) * 200
STORE_COMMAND = command_set(
    AffectedSOPClassUID=CT,
    CommandField=1,
    MessageID=7,
    Priority=0,
    CommandDataSetType=1,
    AffectedSOPInstanceUID=INSTANCE,
)

PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"


def whole(stream: bytes) -> Sequence[bytes]:
    return [stream]


def byte_by_byte(stream: bytes) -> Sequence[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


def in_sevens(stream: bytes) -> Sequence[bytes]:
    return [stream[at : at + 7] for at in range(0, len(stream), 7)]


Cut = Callable[[bytes], Sequence[bytes]]


@pytest.fixture(params=[whole, byte_by_byte, in_sevens], ids=lambda cut: cut.__name__)
def cut(request: pytest.FixtureRequest) -> Cut:
    return request.param


def new_listener(policy: AcceptancePolicy | None = None) -> Listener:
    return Listener(Acceptor(policy or AcceptancePolicy()))


def established(**proposal: Any) -> Listener:
    listener = new_listener().receive(associate_rq(**proposal))
    listener.events.clear()
    listener.take_sent()
    return listener


def kinds(listener: Listener) -> list[type]:
    return [type(event) for event in listener.events]


def test_association_is_accepted(cut: Cut) -> None:
    listener = new_listener().receive(*cut(associate_rq()))
    (event,) = listener.events
    assert isinstance(event, AssociationAccepted)
    assert (event.request.calling_ae_title, event.request.called_ae_title) == ("PACS", "ChRIS")
    assert [context.transfer_syntax_uid for context in event.contexts] == [EXPLICIT, IMPLICIT, IMPLICIT]
    assert listener.acceptor.state is AssociationState.ESTABLISHED
    (answer,) = decode_pdus(listener.sent)
    assert isinstance(answer, A_ASSOCIATE_AC)
    assert [(context.context_id, context.result) for context in answer.presentation_context] == [
        (1, 0),
        (3, 0),
        (5, 0),
    ]


def test_association_of_a_peer_without_usable_name_is_rejected(cut: Cut) -> None:
    request = with_calling_ae_title(associate_rq(), b"..".ljust(16))
    listener = new_listener().receive(*cut(request + store_rq(b"ignored")))
    (event,) = listener.events
    assert isinstance(event, AssociationRejected)
    assert event.reason is UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED
    (answer,) = decode_pdus(listener.sent)
    assert isinstance(answer, A_ASSOCIATE_RJ)
    assert (answer.result, answer.source, answer.reason_diagnostic) == (1, 1, 3)
    assert listener.acceptor.state is AssociationState.AWAITING_CLOSE
    assert listener.receive(b"").acceptor.state is AssociationState.CLOSED
    assert len(listener.events) == 1


@pytest.mark.parametrize("max_pdu_length", [16384, 128, 1024])
def test_instance_is_received_and_answered(cut: Cut, max_pdu_length: int) -> None:
    listener = established()
    listener.receive(*cut(store_rq(DATASET, max_pdu_length=max_pdu_length)))
    requested, ended = listener.events
    assert isinstance(requested, StoreRequested)
    assert isinstance(ended, DataEnded)
    assert requested.request is ended.request
    request = requested.request
    assert (request.message_id, request.context_id) == (7, 1)
    assert (request.affected_sop_class_uid, request.affected_sop_instance_uid) == (CT, INSTANCE)
    assert (request.abstract_syntax_uid, request.transfer_syntax_uid) == (CT, EXPLICIT)
    assert listener.datasets == [DATASET]
    ((context_id, response),) = decode_responses(listener.sent)
    assert context_id == 1
    assert (response.CommandField, response.MessageIDBeingRespondedTo, response.Status) == (0x8001, 7, 0)
    assert (response.AffectedSOPClassUID, response.AffectedSOPInstanceUID) == (CT, INSTANCE)
    assert response.CommandDataSetType == 0x0101


def test_whole_conversation(cut: Cut) -> None:
    stream = b"".join(
        (
            associate_rq(),
            echo_rq(message_id=300),
            store_rq(b"first dataset", message_id=1),
            store_rq(b"second", message_id=2, context_id=3, sop_class=MR),
            RELEASE_RQ,
            b"trailing data",
        )
    )
    listener = new_listener().receive(*cut(stream), b"")
    store = [StoreRequested, DataEnded]
    assert kinds(listener) == [AssociationAccepted, Echoed, *store, *store, ReleaseRequested]
    assert listener.datasets == [b"first dataset", b"second"]
    pdus = list(decode_pdus(listener.sent))
    assert isinstance(pdus[0], A_ASSOCIATE_AC)
    assert isinstance(pdus[-1], A_RELEASE_RP)
    responses = b"".join(pdu.encode() for pdu in pdus[1:-1])
    answers = [(context_id, r.MessageIDBeingRespondedTo) for context_id, r in decode_responses(responses)]
    assert answers == [(5, 300), (1, 1), (3, 2)]
    assert listener.acceptor.state is AssociationState.CLOSED


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_where_the_stream_is_cut_makes_no_difference(data: st.DataObject) -> None:
    stream = associate_rq() + store_rq(DATASET, max_pdu_length=4096) + find_rq() + echo_rq() + RELEASE_RQ
    cuts = sorted(data.draw(st.lists(st.integers(1, len(stream) - 1), max_size=20, unique=True)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    cut_up = Listener(Acceptor(AcceptancePolicy()), keeps_pieces=data.draw(st.booleans())).receive(*chunks)
    at_once = new_listener().receive(stream)
    assert cut_up.events == at_once.events
    assert cut_up.datasets == at_once.datasets == [DATASET]
    assert cut_up.sent == at_once.sent


@pytest.mark.parametrize("size", [1000, 50_000, 65_536])
def test_pieces_that_are_kept_stay_as_they_are_for_as_long_as_there_is_room(size: int) -> None:
    large = bytes(range(256)) * 10_000
    stream = associate_rq() + store_rq(DATASET) + store_rq(large, max_pdu_length=30_000) + store_rq(DATASET)
    listener = Listener(Acceptor(AcceptancePolicy()), keeps_pieces=True)
    longest = 0
    for at in range(0, len(stream), size):
        listener.receive(stream[at : at + size])
        longest = max(longest, len(listener.kept))
    assert listener.datasets == [DATASET, large, DATASET]
    assert longest > 1


def test_echo_is_answered_with_its_own_message_id(cut: Cut) -> None:
    listener = established().receive(*cut(echo_rq(message_id=513)))
    assert listener.events == [Echoed()]
    ((context_id, response),) = decode_responses(listener.sent)
    assert context_id == 5
    assert (response.CommandField, response.MessageIDBeingRespondedTo, response.Status) == (0x8030, 513, 0)


def test_other_requests_are_answered_unrecognized_and_their_dataset_is_dropped(cut: Cut) -> None:
    listener = established().receive(*cut(find_rq(message_id=11) + echo_rq()))
    assert listener.events == [RequestUnrecognized(0x0020), Echoed()]
    (_, response), _ = decode_responses(listener.sent)
    assert (response.CommandField, response.MessageIDBeingRespondedTo) == (0x8020, 11)
    assert response.Status == 0x0211


def test_cancel_has_no_response() -> None:
    cancel = command_set(CommandField=0x0FFF, MessageIDBeingRespondedTo=7, CommandDataSetType=0x0101)
    listener = established().receive(p_data(pdv(cancel, 3)))
    assert listener.events == [RequestUnrecognized(0x0FFF)]
    assert listener.sent == b""
    assert listener.acceptor.state is AssociationState.ESTABLISHED


def refused(command: bytes, *dataset: bytes) -> tuple[StoreRefused, Dataset]:
    """Return how a C-STORE-RQ is refused; what comes after it is served."""
    listener = established().receive(p_data(pdv(command, 3)), *dataset, echo_rq())
    event, echoed = listener.events
    assert isinstance(event, StoreRefused)
    assert isinstance(echoed, Echoed)
    assert listener.datasets == []
    (context_id, response), _ = decode_responses(listener.sent)
    assert context_id == 1
    assert (response.CommandField, response.MessageIDBeingRespondedTo) == (0x8001, 7)
    assert response.Status == event.status
    return event, response


def test_a_storage_class_other_than_that_of_the_context_is_stored(cut: Cut) -> None:
    """PS3.7, 9.1.1.1.9 forbids it; a widespread client takes any context of the right transfer syntax."""
    other = [store_rq(DATASET, context_id=context_id, sop_class=sop_class) for context_id, sop_class in OTHER_CLASSES]
    listener = established().receive(*cut(b"".join(other) + store_rq(b"good")))
    assert kinds(listener) == [StoreRequested, DataEnded] * 4
    assert listener.datasets == [DATASET] * 3 + [b"good"]
    asked = [event.request for event in listener.events if isinstance(event, StoreRequested)]
    assert [(one.context_id, one.affected_sop_class_uid) for one in asked] == [*OTHER_CLASSES, (1, CT)]
    assert [one.abstract_syntax_uid for one in asked] == [CT, CT, VERIFICATION, CT]


OTHER_CLASSES = [(1, MR), (1, "1.3.12.2.1107.5.9.1"), (5, CT)]
"""Context and class: another one of the standard, a private one, and one in a context of no storage class at all."""


@pytest.mark.parametrize("sop_class", [VERIFICATION, PATIENT_ROOT_FIND, "1.2.840.10008.5.1.4.38.1"])
def test_what_is_no_storage_class_is_refused(sop_class: str) -> None:
    listener = established().receive(store_rq(DATASET, sop_class=sop_class), store_rq(b"good"))
    assert kinds(listener) == [StoreRefused, StoreRequested, DataEnded]
    (_, response), _ = decode_responses(listener.sent)
    assert response.Status == 0x0122
    assert response.OffendingElement == 0x00000002


def test_nothing_is_stored_as_verification() -> None:
    listener = established().receive(store_rq(DATASET, context_id=5, sop_class=VERIFICATION))
    assert kinds(listener) == [StoreRefused]
    ((_, response),) = decode_responses(listener.sent)
    assert response.Status == 0x0122


def test_response_to_a_refused_request_waits_for_the_end_of_its_dataset() -> None:
    stream = store_rq(DATASET, sop_class=PATIENT_ROOT_FIND, max_pdu_length=4096)
    listener = established().receive(stream[:-1])
    assert (listener.events, listener.sent) == ([], b"")
    listener.receive(stream[-1:])
    assert kinds(listener) == [StoreRefused]


@pytest.mark.parametrize("uid", [b"1.2.hash", b"f00/ba4+=-", b"~" * 64])
def test_instance_uid_with_letters_is_taken(uid: bytes) -> None:
    element = b"\0\0\0\x10" + len(uid).to_bytes(4, "little") + uid
    command = STORE_COMMAND[: STORE_COMMAND.rindex(b"\0\0\0\x10")] + element
    listener = established().receive(p_data(pdv(command, 3), pdv(b"data", 2)))
    assert kinds(listener) == [StoreRequested, DataEnded]
    ((_, response),) = decode_responses(listener.sent)
    assert response.get_item("AffectedSOPInstanceUID").value.rstrip(b"\0") == uid


@pytest.mark.parametrize("uid", [b"", b"1.2\\3.4", b"1.2 3", b"1.2.\xe9", b"1" * 66])
def test_instance_uid_that_is_none_is_refused(uid: bytes) -> None:
    element = b"\0\0\0\x10" + len(uid).to_bytes(4, "little") + uid
    command = STORE_COMMAND[: STORE_COMMAND.rindex(b"\0\0\0\x10")] + element
    event, response = refused(command, p_data(pdv(b"data", 2)))
    assert event.status == 0xC000
    assert response.OffendingElement == 0x00001000


def test_store_without_dataset_is_refused() -> None:
    command = STORE_COMMAND.replace(b"\0\x08\x02\0\0\0\x01\0", b"\0\x08\x02\0\0\0\x01\x01")
    event, response = refused(command)
    assert event.status == 0xC000
    assert response.ErrorComment == "C-STORE-RQ without a dataset"
    assert response.OffendingElement == 0x00000800


def test_an_empty_p_data_is_skipped(cut: Cut) -> None:
    empty = p_data()
    stream = empty + p_data(pdv(STORE_COMMAND, 3)) + empty * 3 + p_data(pdv(b"data", 2)) + empty * 1000 + RELEASE_RQ
    listener = established().receive(*cut(stream))
    assert kinds(listener) == [StoreRequested, DataEnded, ReleaseRequested]
    assert listener.datasets == [b"data"]


def test_fragments_in_any_grouping_are_one_message(cut: Cut) -> None:
    command = [STORE_COMMAND[:1], b"", STORE_COMMAND[1:50], STORE_COMMAND[50:]]
    stream = p_data(*(pdv(part, 1) for part in command[:-1])) + p_data(
        pdv(command[-1], 3), pdv(b"", 0), pdv(b"one ", 0), *(pdv(b"x", 0) for _ in range(64))
    )
    stream += p_data(pdv(b"", 0)) + p_data(pdv(b" two", 0), pdv(b"", 2))
    listener = established().receive(*cut(stream))
    assert kinds(listener) == [StoreRequested, DataEnded]
    assert listener.datasets == [b"one " + b"x" * 64 + b" two"]


def test_uids_padded_with_blanks_are_tolerated() -> None:
    command = STORE_COMMAND.replace(CT.encode() + b"\0", CT.encode() + b" ")
    listener = established().receive(p_data(pdv(command, 3), pdv(b"data", 2)))
    assert kinds(listener) == [StoreRequested, DataEnded]


def test_release_in_the_middle_of_a_dataset_is_granted() -> None:
    listener = established().receive(p_data(pdv(STORE_COMMAND, 3)), p_data(pdv(b"part", 0)), RELEASE_RQ)
    assert kinds(listener) == [StoreRequested, ReleaseRequested]
    (answer,) = decode_pdus(listener.sent)
    assert isinstance(answer, A_RELEASE_RP)


def test_abort_of_the_peer_ends_the_association(cut: Cut) -> None:
    listener = established().receive(*cut(ABORT + b"trailing data"), b"")
    assert listener.events == [Aborted(source=2, reason=5)]
    assert listener.acceptor.state is AssociationState.CLOSED
    assert listener.sent == b""


def test_abort_discards_what_nobody_reads_any_more() -> None:
    listener = established().receive(echo_rq() + ABORT)
    assert listener.events == [Echoed(), Aborted(source=2, reason=5)]
    assert listener.sent == b""


def test_abort_before_the_request() -> None:
    listener = new_listener().receive(ABORT)
    assert listener.events == [Aborted(source=2, reason=5)]


@pytest.mark.parametrize("stream", [b"", associate_rq()[:10], associate_rq(), associate_rq() + store_rq(DATASET)[:900]])
def test_end_of_file_without_release_is_a_loss(stream: bytes) -> None:
    listener = new_listener()
    if stream:
        listener.receive(stream)
    listener.receive(b"")
    assert isinstance(listener.events[-1], ConnectionLost)
    assert listener.acceptor.state is AssociationState.CLOSED


def test_deadline_of_a_pdu_applies_inside_pdus_only() -> None:
    listener = established()
    stream = store_rq(DATASET, max_pdu_length=4096)
    boundaries, at = {0}, 0
    while at < len(stream):
        at += 6 + int.from_bytes(stream[at + 2 : at + 6], "big")
        boundaries.add(at)
    for at in range(len(stream)):
        assert listener.acceptor._reader.inside_pdu == (at not in boundaries)
        listener.receive(stream[at : at + 1])
    assert not listener.acceptor._reader.inside_pdu


@pytest.mark.parametrize("max_pdu_length", [1, 7, 8, 20, 21, 133, 4096, 0])
def test_responses_respect_the_maximum_of_the_peer(max_pdu_length: int) -> None:
    listener = established(max_pdu_length=max_pdu_length).receive(store_rq(b"data"))
    pdus = list(decode_pdus(listener.sent))
    assert all(len(pdu) - 6 <= max(max_pdu_length, 8) for pdu in pdus) or max_pdu_length == 0
    assert all(len(pdu) % 2 == 0 for pdu in pdus)
    ((_, response),) = decode_responses(listener.sent)
    assert (response.Status, response.AffectedSOPInstanceUID) == (0, INSTANCE)


def test_response_after_the_end_is_not_sent() -> None:
    listener = established().receive(store_rq(b"data"))
    listener.take_sent()
    listener.acceptor.abort()
    aborted = listener.acceptor.bytes_to_send()
    event = listener.events[0]
    assert isinstance(event, StoreRequested)
    listener.acceptor.respond(event.request, 0)
    listener.acceptor.abort()
    assert listener.acceptor.bytes_to_send() == b""
    assert aborted == bytes.fromhex("07000000000400000200")


def test_failure_carries_comment_and_offending_elements() -> None:
    listener = established()
    stream = store_rq(b"data")
    listener.receive(stream[:-1])
    event = listener.events[0]
    assert isinstance(event, StoreRequested)
    listener.acceptor.respond(event.request, 0xC000, "StudyDate\\ is missing: é" + "x" * 99, (0x00080020, 0x00100020))
    ((_, response),) = decode_responses(listener.acceptor.bytes_to_send())
    assert response.Status == 0xC000
    assert response.ErrorComment == ("StudyDate? is missing: ?" + "x" * 99)[:64]
    assert list(response.OffendingElement) == [0x00080020, 0x00100020]


def test_large_dataset_flows_through_a_small_buffer() -> None:
    dataset = bytes(3_000_000)
    stream = store_rq(dataset, max_pdu_length=0)
    listener = established()
    listener.receive(*(stream[at : at + 700_001] for at in range(0, len(stream), 700_001)))
    assert listener.datasets == [dataset]


def test_a_message_is_under_way_from_its_first_byte_to_its_last() -> None:
    listener = established()
    stream = store_rq(DATASET[:5000], max_pdu_length=4096)
    assert not listener.acceptor.inside_message
    for at in range(len(stream)):
        listener.receive(stream[at : at + 1])
        assert listener.acceptor.inside_message == (at + 1 < len(stream))
