"""A-ASSOCIATE-RQ, decoded (PS3.8, 9.3.2; user information: PS3.7, annex D.3.3), and A-ASSOCIATE-AC, encoded.

The request comes from a peer that nobody knows yet. Law of this file: no length is believed before it is
compared with what is there, items of unknown type are skipped (PS3.8, 9.3.1), and what cannot be decoded is a
`ProtocolError`.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from struct import Struct
from typing import Any, Final

import msgspec

from oxidicom import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from oxidicom.association.pdu import PDU_HEADER, PduType, invalid_parameter
from oxidicom.association.uids import decode_uid

_FIXED_FIELDS: Final = Struct(">H2x16s16s32s")
"""Protocol version, called and calling AE title, reserved bytes (PS3.8, table 9-11)."""
_ITEM_HEADER: Final = Struct(">BxH")
_LONG: Final = Struct(">L")
_TWO_SHORTS: Final = Struct(">HH")
_ROLES: Final = Struct(">BB")


class ItemType(IntEnum):
    """PS3.8, 9.3.2 and annex D; PS3.7, annex D.3.3."""

    APPLICATION_CONTEXT = 0x10
    PROPOSED_PRESENTATION_CONTEXT = 0x20
    ANSWERED_PRESENTATION_CONTEXT = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50
    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION_CLASS_UID = 0x52
    ASYNCHRONOUS_OPERATIONS_WINDOW = 0x53
    ROLE_SELECTION = 0x54
    IMPLEMENTATION_VERSION_NAME = 0x55
    USER_IDENTITY = 0x58


class ProposedContext(msgspec.Struct, frozen=True):
    """A presentation context that the peer proposes (PS3.8, 9.3.2.2)."""

    context_id: int
    """Unique in the association; odd, if the peer keeps to the standard."""
    abstract_syntax_uid: str
    transfer_syntax_uids: tuple[str, ...]
    """In the peer's order of preference, as far as it has one."""


class ContextResult(IntEnum):
    """PS3.8, table 9-18."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class AnsweredContext(msgspec.Struct, frozen=True):
    """Our answer to a proposed presentation context (PS3.8, 9.3.3.2)."""

    context_id: int
    result: ContextResult
    abstract_syntax_uid: str
    transfer_syntax_uid: str
    """Not significant unless accepted."""

    @property
    def is_accepted(self) -> bool:
        return self.result is ContextResult.ACCEPTANCE


class RoleSelection(msgspec.Struct, frozen=True):
    """Which roles the association requestor may play for a SOP class (PS3.7, D.3.3.4)."""

    sop_class_uid: str
    scu: bool
    scp: bool


class AssociationRequest(msgspec.Struct, frozen=True):
    """What a peer asks for."""

    protocol_version: int
    """Bit 0 stands for version 1, the only one."""
    called_ae_title: str
    """Without NULs and surrounding blanks."""
    calling_ae_title: str
    """Without NULs and surrounding blanks."""
    called_ae_title_bytes: bytes
    calling_ae_title_bytes: bytes
    reserved_bytes: bytes
    """The 32 bytes after the AE titles, which the answer repeats like these (PS3.8, 9.3.3)."""
    application_context_name: str = ""
    contexts: tuple[ProposedContext, ...] = ()
    max_pdu_length: int = 0
    """The longest PDU that the peer takes, in bytes after the length field; 0: no limit."""
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    role_selections: tuple[RoleSelection, ...] = ()
    asynchronous_operations_window: tuple[int, int] | None = None
    """Operations invoked and performed at once; 0: no limit; None: not proposed, so one at a time."""
    proposes_user_identity: bool = False


def decode_ae_title(value: bytes) -> str:
    """Return an AE title without NULs and surrounding white space; bytes beyond ASCII are kept as Latin-1."""
    return value.decode("latin-1").replace("\0", "").strip()


def decode_associate_rq(body: memoryview) -> AssociationRequest:
    """Decode what follows the length field of an A-ASSOCIATE-RQ PDU (PS3.8, table 9-11)."""
    if len(body) < _FIXED_FIELDS.size:
        raise invalid_parameter("A-ASSOCIATE-RQ is shorter than its fixed fields")
    version, called, calling, reserved = _FIXED_FIELDS.unpack_from(body)
    return AssociationRequest(
        protocol_version=version,
        called_ae_title=decode_ae_title(called),
        calling_ae_title=decode_ae_title(calling),
        called_ae_title_bytes=called,
        calling_ae_title_bytes=calling,
        reserved_bytes=reserved,
        **_decode_variable_items(body[_FIXED_FIELDS.size :]),
    )


def _decode_items(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield type and value of each item. Up to three bytes at the end, too few for an item, are ignored."""
    position = 0
    while len(view) - position >= _ITEM_HEADER.size:
        item_type, length = _ITEM_HEADER.unpack_from(view, position)
        position += _ITEM_HEADER.size
        if length > len(view) - position:
            raise invalid_parameter(f"item of type {item_type:02X}H claims {length} bytes and has fewer")
        yield item_type, view[position : position + length]
        position += length


def _decode_variable_items(view: memoryview) -> dict[str, Any]:
    """Return the fields of AssociationRequest that the variable items (PS3.8, table 9-11) hold."""
    fields: dict[str, Any] = {}
    contexts: dict[int, ProposedContext] = {}
    for item_type, value in _decode_items(view):
        match item_type:
            case ItemType.APPLICATION_CONTEXT:
                fields["application_context_name"] = decode_uid(value)
            case ItemType.PROPOSED_PRESENTATION_CONTEXT:
                context = _decode_proposed_context(value)
                contexts.setdefault(context.context_id, context)  # of several under one id the first counts
            case ItemType.USER_INFORMATION:
                fields |= _decode_user_information(value)
    return fields | {"contexts": tuple(contexts.values())}


def _decode_proposed_context(value: memoryview) -> ProposedContext:
    """Decode a presentation context item after its header (PS3.8, table 9-13)."""
    if len(value) < 4:
        raise invalid_parameter("presentation context item is shorter than its fixed fields")
    context_id = value[0]
    abstract_syntaxes: list[str] = []
    transfer_syntaxes: list[str] = []
    for item_type, uid in _decode_items(value[4:]):
        if item_type == ItemType.ABSTRACT_SYNTAX:
            abstract_syntaxes.append(decode_uid(uid))
        elif item_type == ItemType.TRANSFER_SYNTAX:
            transfer_syntaxes.append(decode_uid(uid))
    if len(abstract_syntaxes) != 1:
        raise invalid_parameter(f"presentation context {context_id} has {len(abstract_syntaxes)} abstract syntaxes")
    return ProposedContext(context_id, abstract_syntaxes[0], tuple(transfer_syntaxes))


def _decode_user_information(view: memoryview) -> dict[str, Any]:
    """Return the fields of AssociationRequest that the user information item (PS3.7, D.3.3) holds."""
    fields: dict[str, Any] = {}
    roles: list[RoleSelection] = []
    for item_type, value in _decode_items(view):
        match item_type:
            case ItemType.MAXIMUM_LENGTH:
                (fields["max_pdu_length"],) = _unpack(_LONG, value, "maximum length")
            case ItemType.IMPLEMENTATION_CLASS_UID:
                fields["implementation_class_uid"] = decode_uid(value)
            case ItemType.IMPLEMENTATION_VERSION_NAME:
                fields["implementation_version_name"] = str(value, "latin-1").strip("\0 ")
            case ItemType.ASYNCHRONOUS_OPERATIONS_WINDOW:
                fields["asynchronous_operations_window"] = _unpack(_TWO_SHORTS, value, "operations window")
            case ItemType.ROLE_SELECTION:
                roles.append(_decode_role_selection(value))
            case ItemType.USER_IDENTITY:
                fields["proposes_user_identity"] = True
    return fields | {"role_selections": tuple(roles)}


def _unpack(layout: Struct, value: memoryview, name: str) -> tuple[int, ...]:
    if len(value) < layout.size:
        raise invalid_parameter(f"{name} sub-item has {len(value)} bytes instead of {layout.size}")
    return layout.unpack_from(value)


def _decode_role_selection(value: memoryview) -> RoleSelection:
    """Decode an SCP/SCU role selection sub-item after its header (PS3.7, table D.3-9)."""
    uid_length = int.from_bytes(value[:2], "big")
    scu, scp = _unpack(_ROLES, value[2 + uid_length :], "role selection")
    return RoleSelection(decode_uid(value[2 : 2 + uid_length]), scu == 1, scp == 1)


def encode_associate_ac(
    request: AssociationRequest,
    contexts: Iterable[AnsweredContext],
    role_selections: Iterable[RoleSelection],
    max_pdu_length: int,
) -> bytes:
    """Return the A-ASSOCIATE-AC PDU (PS3.8, 9.3.3): AE titles and reserved bytes as they came."""
    body = b"".join(
        (
            _FIXED_FIELDS.pack(
                1, request.called_ae_title_bytes, request.calling_ae_title_bytes, request.reserved_bytes
            ),
            _encode_item(ItemType.APPLICATION_CONTEXT, request.application_context_name.encode("latin-1")),
            *map(_encode_answered_context, contexts),
            _encode_user_information(request, role_selections, max_pdu_length),
        )
    )
    return PDU_HEADER.pack(PduType.A_ASSOCIATE_AC, len(body)) + body


def _encode_item(item_type: ItemType, value: bytes) -> bytes:
    return _ITEM_HEADER.pack(item_type, len(value)) + value


def _encode_answered_context(context: AnsweredContext) -> bytes:
    """Return a presentation context item (PS3.8, table 9-18)."""
    fixed_fields = bytes((context.context_id, 0, context.result, 0))
    transfer_syntax = _encode_item(ItemType.TRANSFER_SYNTAX, context.transfer_syntax_uid.encode("ascii"))
    return _encode_item(ItemType.ANSWERED_PRESENTATION_CONTEXT, fixed_fields + transfer_syntax)


def _encode_user_information(
    request: AssociationRequest, role_selections: Iterable[RoleSelection], max_pdu_length: int
) -> bytes:
    """Return the user information item (PS3.7, D.3.3). The window is granted as proposed."""
    items = [
        _encode_item(ItemType.MAXIMUM_LENGTH, _LONG.pack(max_pdu_length)),
        _encode_item(ItemType.IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_CLASS_UID.encode("ascii")),
    ]
    if (window := request.asynchronous_operations_window) is not None:
        items.append(_encode_item(ItemType.ASYNCHRONOUS_OPERATIONS_WINDOW, _TWO_SHORTS.pack(*window)))
    for role in role_selections:
        uid = role.sop_class_uid.encode("ascii")
        value = len(uid).to_bytes(2, "big") + uid + _ROLES.pack(role.scu, role.scp)
        items.append(_encode_item(ItemType.ROLE_SELECTION, value))
    items.append(_encode_item(ItemType.IMPLEMENTATION_VERSION_NAME, IMPLEMENTATION_VERSION_NAME.encode("ascii")))
    return _encode_item(ItemType.USER_INFORMATION, b"".join(items))
