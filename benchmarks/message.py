"""A C-STORE-RQ with its dataset, encoded once as the bytes that go to the socket (PS3.7, 9.3.1.1; PS3.8, 9.3.5)."""

import re
import struct
from collections.abc import Iterator

from benchmarks.datasets import PLACEHOLDER, Identity, Template
from benchmarks.errors import BenchmarkError
from oxidicom.association.pdu import IS_COMMAND, IS_LAST, PduType

CONTEXT_ID = 1
_P_DATA_WITH_ONE_PDV = struct.Struct(">BxLLBB")
_PDV_HEADER_BYTES = 6
_WHERE_PLACEHOLDERS_ARE = 16 * 1024
_ELEMENT = struct.Struct("<HHL")
_C_STORE_RQ = 0x0001
_MESSAGE_ID_PLACEHOLDER = _ELEMENT.pack(0x0000, 0x0110, 2)
_INSTANCE_NUMBER = re.compile(b"\x20\x00\x13\x00(?:IS\x06\x00|\x06\x00\x00\x00)" + PLACEHOLDER.instance_number.encode())


class Message:
    """The PDUs of one C-STORE-RQ. `address` makes them those of another instance, in place."""

    def __init__(self, template: Template, max_pdu_bytes: int) -> None:
        """`max_pdu_bytes` is the length that the peer allows after the PDU length field (PS3.8, D.1)."""
        self.size_bytes = template.size_bytes
        fragment_bytes = (max_pdu_bytes - _PDV_HEADER_BYTES) & ~1
        last = 0 if template.filling_bytes else IS_LAST
        self._head = bytearray(_pdu(_command_set(template), IS_COMMAND | IS_LAST))
        for fragment, is_last in _fragments(template.head, fragment_bytes):
            self._head += _pdu(fragment, last if is_last else 0)
        self._repeats = max(template.filling_bytes - 1, 0) // fragment_bytes
        self._block = _pdu(bytes(fragment_bytes), 0) if self._repeats else b""
        rest = template.filling_bytes - self._repeats * fragment_bytes
        self._tail = _pdu(bytes(rest), IS_LAST) if rest else b""
        self._find_places()

    def address(self, identity: Identity, message_id: int) -> None:
        """Write the values that are not the same for all instances."""
        struct.pack_into("<H", self._head, self._message_id_at, message_id)
        uid = identity.sop_instance_uid.encode()
        for at in self._sop_instance_uid_at:
            self._head[at : at + len(uid)] = uid
        uid = identity.series_instance_uid.encode()
        self._head[self._series_instance_uid_at : self._series_instance_uid_at + len(uid)] = uid
        number = identity.instance_number.encode()
        self._head[self._instance_number_at : self._instance_number_at + len(number)] = number

    def pieces(self) -> Iterator[bytes | bytearray]:
        """Yield what is to be sent, in order. A dataset that fits in memory is one piece."""
        yield self._head
        for _ in range(self._repeats):
            yield self._block
        if self._tail:
            yield self._tail

    def _find_places(self) -> None:
        beginning = bytes(self._head[:_WHERE_PLACEHOLDERS_ARE])
        self._message_id_at = beginning.index(_MESSAGE_ID_PLACEHOLDER) + len(_MESSAGE_ID_PLACEHOLDER)
        self._sop_instance_uid_at = _places(beginning, PLACEHOLDER.sop_instance_uid, 2)  # command and dataset
        (self._series_instance_uid_at,) = _places(beginning, PLACEHOLDER.series_instance_uid, 1)
        found = _INSTANCE_NUMBER.search(beginning)
        if not found:
            raise BenchmarkError("a template has no placeholder for InstanceNumber")
        self._instance_number_at = found.end() - len(PLACEHOLDER.instance_number)


def _places(beginning: bytes, placeholder: str, count: int) -> list[int]:
    places = [found.start() for found in re.finditer(re.escape(placeholder.encode()), beginning)]
    if len(places) != count:
        raise BenchmarkError(f"a template has {len(places)} placeholders where it should have {count}")
    return places


def _fragments(data: bytes, fragment_bytes: int) -> Iterator[tuple[bytes, bool]]:
    for at in range(0, len(data), fragment_bytes):
        yield data[at : at + fragment_bytes], at + fragment_bytes >= len(data)


def _pdu(fragment: bytes, control: int) -> bytes:
    """Return a P-DATA-TF PDU with one presentation data value."""
    length = len(fragment) + 2
    return _P_DATA_WITH_ONE_PDV.pack(PduType.P_DATA_TF, length + 4, length, CONTEXT_ID, control) + fragment


def _command_set(template: Template) -> bytes:
    """Return the command set of a C-STORE-RQ (PS3.7, table 9.3-1)."""
    body = b"".join(
        (
            _element(0x0002, _padded(template.sop_class_uid)),
            _element(0x0100, struct.pack("<H", _C_STORE_RQ)),
            _element(0x0110, struct.pack("<H", 0)),  # message id, written by `address`
            _element(0x0700, struct.pack("<H", 0)),  # priority medium
            _element(0x0800, struct.pack("<H", 1)),  # a dataset follows
            _element(0x1000, _padded(PLACEHOLDER.sop_instance_uid)),
        )
    )
    return _element(0x0000, struct.pack("<L", len(body))) + body


def _element(number: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0x0000, number, len(value)) + value


def _padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)
