"""Command sets (PS3.7, chapter 6.3 and annex E): requests decoded, responses encoded.

A command set is a small dataset of group 0000 in Implicit VR Little Endian, whatever the presentation context
says (PS3.7, 6.3.1). What a request needs is taken from its elements, the rest is ignored.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import Final

import msgspec

from oxidicom.association.associate import AnsweredContext
from oxidicom.association.pdu import invalid_parameter
from oxidicom.association.uids import decode_uid, encode_uid
from oxidicom.statuses import Status
from oxidicom.stencil import Span

NO_DATA_SET: Final = 0x0101
"""Command Data Set Type of a message without a dataset; any other value announces one (PS3.7, E.1)."""

IS_RESPONSE: Final = 0x8000
"""Bit that tells a response's Command Field from that of its request (PS3.7, E.1)."""

_LONGEST_ERROR_COMMENT: Final = 64
"""VR LO (PS3.5, 6.2)."""

_ELEMENT_HEADER: Final = Struct("<HHL")
_SHORT: Final = Struct("<H")
_GROUP_LENGTH: Final = Struct("<HHLL")
_FIXED_RESPONSE_ELEMENTS: Final = Struct("<" + "HHLH" * 4)
"""Command Field, Message ID Being Responded To, Command Data Set Type and Status: each one unsigned short."""


class CommandField(IntEnum):
    """PS3.7, E.1: the requests that are told apart here."""

    C_STORE_RQ = 0x0001
    C_ECHO_RQ = 0x0030
    C_CANCEL_RQ = 0x0FFF


class Element(IntEnum):
    """Element numbers in group 0000 (PS3.7, E.1)."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    PRIORITY = 0x0700
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    OFFENDING_ELEMENT = 0x0901
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE_UID = 0x1000


class StoreRequest(msgspec.Struct, frozen=True, gc=False):
    """A C-STORE-RQ (PS3.7, 9.3.1.1) and the presentation context that it came in."""

    message_id: int
    context_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    abstract_syntax_uid: str
    transfer_syntax_uid: str


class Command(msgspec.Struct, frozen=True, gc=False):
    """A command set: what all have in common, and where its elements are."""

    field: int
    has_dataset: bool
    encoded: bytes
    places: Mapping[int, Span]
    """The value of each element in `encoded`."""

    @property
    def message_id(self) -> int:
        return self.unsigned_short(Element.MESSAGE_ID)

    def unsigned_short(self, element: Element) -> int:
        return _decode_unsigned_short(self.encoded, self.places, element)

    def uid(self, element: Element) -> str:
        if element not in self.places:
            raise invalid_parameter(f"command set has no element (0000,{element:04X})")
        return self.uid_if_any(element)

    def uid_if_any(self, element: Element) -> str:
        start, end = self.places.get(element, (0, 0))
        return decode_uid(self.encoded[start:end])


def decode_command(command_set: bytes) -> Command:
    """Decode a whole command set. Raises ProtocolError if it is damaged or lacks what all of them have."""
    places = _find_elements(command_set)
    return Command(
        _decode_unsigned_short(command_set, places, Element.COMMAND_FIELD),
        _decode_unsigned_short(command_set, places, Element.COMMAND_DATA_SET_TYPE) != NO_DATA_SET,
        command_set,
        places,
    )


def _find_elements(command_set: bytes) -> dict[int, Span]:
    places: dict[int, Span] = {}
    position = 0
    end = len(command_set)
    while position < end:
        value_at = position + _ELEMENT_HEADER.size
        if value_at > end:
            raise invalid_parameter("command set ends inside an element header")
        group, element, length = _ELEMENT_HEADER.unpack_from(command_set, position)
        position = value_at + length
        if group != 0x0000 or position > end:
            raise invalid_parameter(f"element ({group:04X},{element:04X}) of {length} bytes in a command set")
        places[element] = value_at, position
    return places


def _decode_unsigned_short(command_set: bytes, places: Mapping[int, Span], element: Element) -> int:
    start, end = places.get(element, (0, 0))
    if end - start != _SHORT.size:
        raise invalid_parameter(f"command set has no unsigned short in (0000,{element:04X})")
    return int.from_bytes(command_set[start:end], "little")


def build_store_request(command: Command, context: AnsweredContext) -> StoreRequest:
    """Return the C-STORE-RQ of a command set. Raises ProtocolError if an element that it needs is missing."""
    return StoreRequest(
        command.message_id,
        context.context_id,
        command.uid(Element.AFFECTED_SOP_CLASS_UID),
        command.uid(Element.AFFECTED_SOP_INSTANCE_UID),
        context.abstract_syntax_uid,
        context.transfer_syntax_uid,
    )


def encode_store_response(
    request: StoreRequest, status: int, comment: str = "", offending_tags: Sequence[int] = ()
) -> bytes:
    """Return the command set of a C-STORE-RSP (PS3.7, 9.3.1.2).

    The comment is cut to 64 characters; what is not printable ASCII becomes a question mark.
    """
    sop_instance = encode_uid(request.affected_sop_instance_uid)
    if sop_instance and not (comment or offending_tags):
        return _store_response_template(request.affected_sop_class_uid, len(sop_instance)).fill(
            request.message_id, status, sop_instance
        )
    return _encode_response(
        CommandField.C_STORE_RQ,
        request.message_id,
        status,
        sop_class=encode_uid(request.affected_sop_class_uid),
        details=_encode_details(comment, offending_tags),
        sop_instance=sop_instance,
    )


class _Template:
    """A C-STORE-RSP without details, in which three values are written: one is sent for every instance."""

    def __init__(self, response: bytes) -> None:
        self._response = response
        places = _find_elements(response)
        self._message_id = slice(*places[Element.MESSAGE_ID_BEING_RESPONDED_TO])
        self._status = slice(*places[Element.STATUS])
        self._sop_instance = slice(*places[Element.AFFECTED_SOP_INSTANCE_UID])

    def fill(self, message_id: int, status: int, sop_instance: bytes) -> bytes:
        response = bytearray(self._response)
        response[self._message_id] = message_id.to_bytes(2, "little")
        response[self._status] = status.to_bytes(2, "little")
        response[self._sop_instance] = sop_instance
        return bytes(response)


@lru_cache(maxsize=64)
def _store_response_template(sop_class_uid: str, sop_instance_length: int) -> _Template:
    sop_class, sop_instance = encode_uid(sop_class_uid), bytes(sop_instance_length)
    return _Template(_encode_response(CommandField.C_STORE_RQ, 0, 0, sop_class=sop_class, sop_instance=sop_instance))


def encode_plain_response(command: Command, status: Status) -> bytes:
    """Return the command set of a response without details, such as C-ECHO-RSP (PS3.7, 9.3.5.2)."""
    sop_class = encode_uid(command.uid_if_any(Element.AFFECTED_SOP_CLASS_UID))
    return _encode_response(command.field, command.message_id, status, sop_class=sop_class)


def _encode_response(
    request_field: int,
    message_id: int,
    status: int,
    *,
    sop_class: bytes = b"",
    details: bytes = b"",
    sop_instance: bytes = b"",
) -> bytes:
    """Return the command set of a response: elements in ascending order, those without a value left out."""
    # One pack for the four elements that never vary in length: a response is sent for every instance.
    fixed = _FIXED_RESPONSE_ELEMENTS.pack(
        *(0x0000, Element.COMMAND_FIELD, 2, request_field | IS_RESPONSE),
        *(0x0000, Element.MESSAGE_ID_BEING_RESPONDED_TO, 2, message_id),
        *(0x0000, Element.COMMAND_DATA_SET_TYPE, 2, NO_DATA_SET),
        *(0x0000, Element.STATUS, 2, status),
    )
    body = (
        _encode_element(Element.AFFECTED_SOP_CLASS_UID, sop_class)
        + fixed
        + details
        + _encode_element(Element.AFFECTED_SOP_INSTANCE_UID, sop_instance)
    )
    return _GROUP_LENGTH.pack(0x0000, Element.GROUP_LENGTH, 4, len(body)) + body


def _encode_element(element: Element, value: bytes) -> bytes:
    return _ELEMENT_HEADER.pack(0x0000, element, len(value)) + value if value else b""


def _encode_details(comment: str, offending_tags: Sequence[int]) -> bytes:
    """Return the elements that say what is wrong with the request (PS3.7, annex C)."""
    tags = b"".join(_encode_attribute_tag(tag) for tag in offending_tags)
    # A backslash would make two values of the comment (PS3.5, 6.4).
    printable = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in comment[:_LONGEST_ERROR_COMMENT])
    text = printable.encode("ascii")
    padding = b" " * (len(text) % 2)
    return _encode_element(Element.OFFENDING_ELEMENT, tags) + _encode_element(Element.ERROR_COMMENT, text + padding)


def _encode_attribute_tag(tag: int) -> bytes:
    """Return a value of VR AT: group and element, each little-endian (PS3.5, 7.1.2)."""
    return (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
