"""The PROXY protocol, version 2: how a balancer tells whose connection it passes on.

Source: "The PROXY protocol, versions 1 & 2" (HAProxy), section 2.2. The header comes before the first byte of the
peer, and before TLS. Sans-I/O: bytes in, a peer's address out.
"""

import ipaddress
import struct
from typing import NamedTuple

from oxidicom.errors import ProtocolError

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEADER_BYTES = 16
MAX_BODY_BYTES = 2048
"""Longest address block with its extensions that is taken; those of balancers have some hundred bytes."""

_HEADER = struct.Struct(">12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_IPV4 = struct.Struct(">4s4sHH")
_IPV6 = struct.Struct(">16s16sHH")


class Source(NamedTuple):
    """Whose connection it is."""

    address: str
    port: int


def body_length(header: bytes) -> int:
    """Return how many bytes follow the 16 bytes of `header`. Raise ProtocolError when it is none of version 2."""
    signature, command, _, length = _HEADER.unpack(header)
    if signature != SIGNATURE or command not in (_LOCAL, _PROXY):
        raise ProtocolError("no header of the PROXY protocol, version 2; the balancer must send one (send-proxy-v2)")
    if length > MAX_BODY_BYTES:
        raise ProtocolError(f"header of the PROXY protocol claims {length} bytes, {MAX_BODY_BYTES} are allowed")
    return int(length)


def source_of(header: bytes, body: bytes) -> Source | None:
    """Return whose connection it is; None when it is the balancer's own, such as a health check, or not over TCP.

    Raise ProtocolError.
    """
    _, command, family, _ = _HEADER.unpack(header)
    if command == _LOCAL or family not in (_TCP4, _TCP6):
        return None
    layout = _IPV4 if family == _TCP4 else _IPV6
    if len(body) < layout.size:
        raise ProtocolError("header of the PROXY protocol is shorter than its addresses")
    packed, _, port, _ = layout.unpack_from(body)
    address = ipaddress.ip_address(packed)
    if isinstance(address, ipaddress.IPv6Address):  # a balancer that listens for both sends IPv4 peers so
        address = address.ipv4_mapped or address
    return Source(str(address), port)
