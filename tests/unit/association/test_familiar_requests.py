"""A C-STORE-RQ that is like an earlier one means what it would mean without that."""

from struct import pack

from hypothesis import given
from hypothesis import strategies as st

from oxidicom.association.associate import AnsweredContext, ContextResult
from oxidicom.association.commands import decode_command
from oxidicom.association.dimse import DimseProvider
from oxidicom.association.events import Event, StoreRequested
from oxidicom.association.familiar_requests import FamiliarRequests
from oxidicom.association.pdu_reader import Fragment
from oxidicom.errors import ProtocolError

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
CONTEXTS = {
    1: AnsweredContext(1, ContextResult.ACCEPTANCE, CT, "1.2.840.10008.1.2"),
    3: AnsweredContext(3, ContextResult.ACCEPTANCE, CT, "1.2.840.10008.1.2.1"),
    5: AnsweredContext(5, ContextResult.ACCEPTANCE, MR, "1.2.840.10008.1.2"),
}


def request(
    message_id: int = 1,
    uid: str = "1.2.3.4",
    sop_class: str = CT,
    field: int = 1,
    priority: int = 0,
    data_set_type: int = 1,
    filling: int = 0,
) -> bytes:
    """Return a command set; `filling` is the length of an element that nobody reads."""
    elements = [
        (0x0002, sop_class.encode() + b"\0"),
        *((0x0100, field.to_bytes(2, "little")), (0x0110, message_id.to_bytes(2, "little"))),
        *((0x0700, priority.to_bytes(2, "little")), (0x0800, data_set_type.to_bytes(2, "little"))),
        (0x1000, uid.encode() + b"\0" * (len(uid) % 2)),
        *([(0x1030, b"x" * filling)] if filling else []),
    ]
    body = b"".join(pack("<HHL", 0, element, len(value)) + value for element, value in elements)
    return pack("<HHLL", 0, 0, 4, len(body)) + body


def provider() -> DimseProvider:
    return DimseProvider(CONTEXTS, 16384, 65536)


def taken(dimse: DimseProvider, encoded: bytes, context_id: int) -> tuple[list[Event] | str, list[bytes]]:
    """Let a command set come, and a dataset if it wants one. Return the events, or the error, and what is answered."""
    try:
        events = list(dimse.handle(Fragment(context_id, True, True, memoryview(encoded))))
        if dimse.inside_message:
            events += dimse.handle(Fragment(context_id, False, True, memoryview(b"data")))
    except ProtocolError as error:
        return str(error), []
    answers, dimse.outgoing[:] = dimse.outgoing[:], []
    return [event for event in events if not hasattr(event, "piece")], answers


def test_requests_of_a_series_are_recognized_whatever_the_lengths_of_their_uids() -> None:
    familiar = FamiliarRequests()
    for uid in ("1.2.3.4", "1.2.3.40"):
        events = DimseProvider(CONTEXTS, 0, 65536).handle(Fragment(1, True, True, memoryview(request(7, uid))))
        (event,) = events
        assert isinstance(event, StoreRequested)
        familiar.remember(decode_command(request(7, uid)), event.request)
    for message_id, uid in ((8, "1.2.3.5"), (9, "1.2.3.50"), (65535, "1.2.3.6")):
        found = familiar.recognize(bytearray(request(message_id, uid)), 1)
        assert found is not None
        assert (found.message_id, found.affected_sop_instance_uid) == (message_id, uid)
    assert familiar.recognize(bytearray(request(8, "1.2.3.400")), 1) is None
    assert familiar.recognize(bytearray(request(8, "1.2.3.5")), 3) is None
    assert familiar.recognize(bytearray(request(8, "1.2.3 4")), 1) is None
    assert familiar.recognize(bytearray(request(8, "1.2.3.5", priority=1)), 1) is None


def test_what_is_remembered_is_bounded() -> None:
    familiar = FamiliarRequests()
    (event,) = DimseProvider(CONTEXTS, 0, 65536).handle(Fragment(1, True, True, memoryview(request())))
    assert isinstance(event, StoreRequested)
    for length in range(0, 60_000, 100):
        command = decode_command(request(filling=length))
        familiar.remember(command, event.request)
    assert 0 < len(familiar._familiar) <= 128
    assert max(length for _, length in familiar._familiar) <= 1024


REQUESTS = st.builds(
    request,
    message_id=st.integers(0, 65535),
    uid=st.sampled_from(["1.2.3.4", "1.2.3.5", "1.2.3.44", "1.2.3.x", "", "1" * 64]),
    sop_class=st.sampled_from([CT, CT, CT, MR]),
    priority=st.sampled_from([0, 0, 2]),
    data_set_type=st.sampled_from([1, 1, 1, 0x0101]),
    field=st.sampled_from([1, 1, 1, 0x30, 0x8001]),
)


@given(
    st.lists(st.tuples(REQUESTS, st.sampled_from([1, 1, 3, 5]), st.integers(0, 400), st.integers(0, 255)), max_size=8)
)
def test_each_request_means_the_same_as_if_it_came_first(messages: list[tuple[bytes, int, int, int]]) -> None:
    dimse = provider()
    for encoded, context_id, at, byte in messages:
        damaged = bytearray(encoded)
        if at < len(damaged):
            damaged[at] = byte
        expected = taken(provider(), bytes(damaged), context_id)
        assert taken(dimse, bytes(damaged), context_id) == expected
        if isinstance(expected[0], str):
            return  # the association is aborted
