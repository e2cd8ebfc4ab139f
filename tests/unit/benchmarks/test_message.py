"""What the load generator sends is what a DICOM library reads, and each instance is another one."""

import io
import struct

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode

from benchmarks.datasets import Content, Identity, Template, parse_sop_instance_uid, templates_of
from benchmarks.message import Message

SMALL = (Content.SMALL_EXPLICIT, Content.SMALL_IMPLICIT)
LARGE = (Content.LARGE_EXPLICIT, Content.LARGE_IMPLICIT)


def fragments_of(stream):
    """Split PDUs of one PDV each: yield length of the PDU, control header and fragment."""
    position = 0
    while position < len(stream):
        pdu_type, length, item_length, context_id, control = struct.unpack_from(">BxLLBB", stream, position)
        assert (pdu_type, item_length, context_id) == (4, length - 4, 1)
        yield length, control, stream[position + 12 : position + 6 + length]
        position += 6 + length
    assert position == len(stream)


def received(message):
    """Return command set and dataset as a receiver puts them together, and the longest PDU."""
    parts = list(fragments_of(b"".join(bytes(piece) for piece in message.pieces())))
    commands = [part for part in parts if part[1] & 1]
    data = [part for part in parts if not part[1] & 1]
    assert [control for _, control, _ in commands] == [3]
    assert [control for _, control, _ in data] == [0] * (len(data) - 1) + [2]
    command = decode(io.BytesIO(commands[0][2]), True, True)
    return command, b"".join(fragment for _, _, fragment in data), max(length for length, _, _ in parts)


@pytest.mark.parametrize("max_pdu_bytes", [16384, 131072])
@pytest.mark.parametrize("content", SMALL + LARGE)
def test_a_message_is_the_instance_that_it_is_addressed_to(content, max_pdu_bytes):
    (template,) = templates_of(content)
    message = Message(template, max_pdu_bytes)
    identity = Identity(round_number=3, association=31, number=1234)
    message.address(identity, 521)

    command, data, longest = received(message)
    implicit = template.transfer_syntax_uid == ImplicitVRLittleEndian
    dataset = pydicom.dcmread(io.BytesIO(data), force=True) if implicit else decode(io.BytesIO(data), False, True)

    assert longest <= max_pdu_bytes
    assert (command.CommandField, command.MessageID, command.CommandDataSetType) == (1, 521, 1)
    assert command.AffectedSOPClassUID == dataset.SOPClassUID == template.sop_class_uid
    assert command.AffectedSOPInstanceUID == dataset.SOPInstanceUID == identity.sop_instance_uid
    assert dataset.SeriesInstanceUID == identity.series_instance_uid
    assert dataset.InstanceNumber == 1234 % 500 + 1
    assert len(data) == message.size_bytes == template.size_bytes
    assert len(dataset.PixelData) == dataset.Rows * dataset.Columns * 2


def test_two_addresses_leave_nothing_of_the_first():
    (template,) = templates_of(Content.SMALL_EXPLICIT)
    again, once = Message(template, 16384), Message(template, 16384)
    again.address(Identity(1, 7, 999), 999)
    for message in (again, once):
        message.address(Identity(2, 8, 1000), 1000)
    assert received(again)[1] == received(once)[1]


def test_identities_are_told_apart_by_all_their_parts():
    identities = [Identity(r, a, n) for r in range(3) for a in range(3) for n in (0, 1, 499, 500)]
    assert len({identity.sop_instance_uid for identity in identities}) == len(identities)
    assert len({identity.series_instance_uid for identity in identities}) == 3 * 3 * 2
    assert parse_sop_instance_uid(Identity(5, 12, 345).sop_instance_uid) == (12, 345)


@pytest.mark.parametrize("filling_bytes", [2, 16376, 16378, 16380, 100_000])
def test_a_value_too_large_for_memory_is_made_of_a_repeated_block(filling_bytes):
    (small,) = templates_of(Content.SMALL_EXPLICIT)
    template = Template(small.sop_class_uid, ExplicitVRLittleEndian, small.head, filling_bytes)
    message = Message(template, 16384)
    _, data, longest = received(message)
    assert longest <= 16384
    assert len(data) == template.size_bytes == len(small.head) + filling_bytes
    assert data[len(small.head) :] == bytes(filling_bytes)


def test_a_gibibyte_is_sent_from_little_memory():
    (template,) = templates_of(Content.GIBIBYTE)
    message = Message(template, 131072)
    pieces = list(message.pieces())
    assert template.filling_bytes == 1 << 30
    assert len({id(piece) for piece in pieces}) == 3
    assert sum(len(piece) for piece in {id(piece): piece for piece in pieces}.values()) < 300_000
    assert sum(map(len, pieces)) > 1 << 30


def test_the_sizes_are_those_of_their_names():
    for content, nominal in ((*SMALL[:1], 10_000), (LARGE[0], 524_288)):
        assert templates_of(content)[0].size_bytes == pytest.approx(nominal, rel=0.03)
