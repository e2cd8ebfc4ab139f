"""The opening of a connection: what a peer has to send before anybody waits for it.

In this order, as far as the port has them: the header of the PROXY protocol, then a TLS record with the ClientHello
(RFC 8446, 4.1.2 and 5.1), or without TLS the A-ASSOCIATE-RQ (PS3.8, 9.3.2). Each says in its first bytes how long it
is, so these suffice to tell whether it is whole; nothing need be read for that. Of what is none of these, is too long,
or comes from where nobody may, nothing more is worth waiting for. Sans-I/O: bytes in, a number out.
"""

import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from oxidicom.association.access import AllowedPeer, is_welcome
from oxidicom.association.pdu import PDU_HEADER
from oxidicom.association.proxy_protocol import HEADER_BYTES, MAX_BODY_BYTES, body_length, source_of
from oxidicom.errors import ProtocolError

_RECORD_HEADER: Final = struct.Struct(">BHH")
_HANDSHAKE: Final = 22
_MAX_RECORD_BYTES: Final = 16384
"""Of a record without encryption (RFC 8446, 5.1)."""


class Opening(msgspec.Struct, frozen=True):
    """What the openings at a port are made of."""

    proxied: bool = False
    encrypted: bool = False
    max_request_bytes: int = 1024 * 1024
    allowed_peers: Sequence[AllowedPeer] = ()

    @property
    def start_bytes(self) -> int:
        """How many of the first bytes of a connection `bytes_wanted` has to see."""
        return PDU_HEADER.size + (HEADER_BYTES + MAX_BODY_BYTES if self.proxied else 0)

    def is_of_interest(self, address: str) -> bool:
        """Tell whether it is worth waiting for what comes from `address`, of a peer or a balancer."""
        return self.proxied or is_welcome(self.allowed_peers, address)

    def bytes_wanted(self, start: bytes) -> int:
        """Return how many bytes have to be there, as far as the first bytes of the connection tell.

        When they are there and `start` has its share of them, the opening is whole.
        """
        at = 0
        if self.proxied:
            if len(start) < HEADER_BYTES:
                return HEADER_BYTES
            at, goes_on = self._end_of_proxy_header(start)
            if not goes_on or len(start) < at:
                return at
        layout, body_bytes = (_RECORD_HEADER, _record_bytes) if self.encrypted else (PDU_HEADER, self._request_bytes)
        head = start[at : at + layout.size]
        return at + layout.size + (body_bytes(head) if len(head) == layout.size else 0)

    def _end_of_proxy_header(self, start: bytes) -> tuple[int, bool]:
        """Return where it ends, and whether what follows is of interest."""
        header = start[:HEADER_BYTES]
        try:
            end = HEADER_BYTES + body_length(header)
            source = source_of(header, start[HEADER_BYTES:end]) if len(start) >= end else None
        except ProtocolError:
            return HEADER_BYTES, False
        return end, source is None or is_welcome(self.allowed_peers, source.address)

    def _request_bytes(self, head: bytes) -> int:
        _, length = PDU_HEADER.unpack(head)
        return length if PDU_HEADER.size + length <= self.max_request_bytes else 0


def _record_bytes(head: bytes) -> int:
    kind, _, length = _RECORD_HEADER.unpack(head)
    return length if kind == _HANDSHAKE and length <= _MAX_RECORD_BYTES else 0
