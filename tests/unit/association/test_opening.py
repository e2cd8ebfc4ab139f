"""Whether the opening of a connection is whole, told from its first bytes, whatever part of it is there."""

import struct

import pytest

from oxidicom.association.access import parse_allowed_peers
from oxidicom.association.opening import Opening
from oxidicom.association.proxy_protocol import SIGNATURE
from tests.unit.association.association_peer import ABORT, associate_rq

REQUEST = associate_rq()
HELLO = struct.pack(">BHH", 22, 0x0301, 300) + bytes(300)
HEADER = SIGNATURE + struct.pack(">BBH", 0x21, 0x11, 20) + bytes((10, 1, 2, 3, 10, 0, 0, 1, 0, 104, 0, 104)) + bytes(8)
LOCAL = SIGNATURE + struct.pack(">BBH", 0x20, 0, 0)


def first_whole(opening: Opening, data: bytes) -> int:
    """Return how many of the bytes of `data` have to be there, when they come one by one."""
    for count in range(len(data) + 1):
        if opening.bytes_wanted(data[:count][: opening.start_bytes]) <= count:
            return count
    raise AssertionError("it never is")


@pytest.mark.parametrize(
    ("opening", "data", "whole"),
    [
        pytest.param(Opening(), REQUEST, len(REQUEST), id="request"),
        pytest.param(Opening(), REQUEST + b"more", len(REQUEST), id="request and more"),
        pytest.param(Opening(encrypted=True), HELLO, len(HELLO), id="ClientHello"),
        pytest.param(Opening(proxied=True), HEADER + REQUEST, len(HEADER + REQUEST), id="proxied request"),
        pytest.param(Opening(proxied=True), LOCAL + REQUEST, len(LOCAL + REQUEST), id="the balancer's own"),
        pytest.param(
            Opening(proxied=True, encrypted=True), HEADER + HELLO, len(HEADER + HELLO), id="proxied ClientHello"
        ),
        pytest.param(Opening(), ABORT, len(ABORT), id="abort"),
        pytest.param(Opening(), b"GET / HTTP/1.1\r\n\r\n", 6, id="HTTP"),
        pytest.param(Opening(), struct.pack(">BxL", 1, 1 << 20), 6, id="longer than is accepted"),
        pytest.param(Opening(max_request_bytes=1024), struct.pack(">BxL", 1, 1019), 6, id="longer than is set"),
        pytest.param(Opening(encrypted=True), REQUEST, 5, id="no TLS"),
        pytest.param(Opening(encrypted=True), struct.pack(">BHH", 22, 0x0301, 16385), 5, id="no record of TLS"),
        pytest.param(Opening(proxied=True), REQUEST, 16, id="no header of the PROXY protocol"),
        pytest.param(
            Opening(proxied=True), SIGNATURE + struct.pack(">BBH", 0x21, 0x11, 4) + bytes(4), 20, id="short addresses"
        ),
        pytest.param(
            Opening(proxied=True, allowed_peers=parse_allowed_peers("A@10.1.2.0/24")),
            HEADER + REQUEST,
            len(HEADER + REQUEST),
            id="from a network of the list",
        ),
        pytest.param(
            Opening(proxied=True, allowed_peers=parse_allowed_peers("A@10.1.3.0/24")),
            HEADER + REQUEST,
            len(HEADER),
            id="from a network that is not on the list",
        ),
    ],
)
def test_it_is_whole_with_its_last_byte_and_what_is_of_no_interest_at_once(
    opening: Opening, data: bytes, whole: int
) -> None:
    assert first_whole(opening, data) == whole
