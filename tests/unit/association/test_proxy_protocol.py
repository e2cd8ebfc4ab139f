"""The header by which a balancer says whose connection it passes on."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidicom.association.proxy_protocol import (
    HEADER_BYTES,
    MAX_BODY_BYTES,
    SIGNATURE,
    Source,
    body_length,
    source_of,
)
from oxidicom.errors import ProtocolError

V4 = bytes([10, 1, 2, 3]) + bytes([10, 0, 0, 1]) + struct.pack(">HH", 40000, 11111)
V6 = bytes.fromhex("fd00" + "00" * 13 + "07") + bytes(16) + struct.pack(">HH", 40001, 11111)


def header(command=0x21, family=0x11, length=12, signature=SIGNATURE):
    return struct.pack(">12sBBH", signature, command, family, length)


def test_an_ipv4_peer():
    assert body_length(header()) == len(V4)
    assert source_of(header(), V4) == Source("10.1.2.3", 40000)


def test_an_ipv6_peer_with_extensions_that_are_passed_over():
    assert source_of(header(family=0x21, length=50), V6 + b"\x04\x00\x01x") == Source("fd00::7", 40001)


def test_an_ipv4_peer_of_a_balancer_that_listens_for_both():
    """HAProxy on `:::11111 v4v6` sends such a peer as an IPv6 address with the other inside (RFC 4291, 2.5.5.2)."""
    mapped = bytes(10) + b"\xff\xff" + bytes([10, 1, 2, 3]) + bytes(16) + struct.pack(">HH", 40002, 11111)
    assert source_of(header(family=0x21, length=len(mapped)), mapped) == Source("10.1.2.3", 40002)


@pytest.mark.parametrize(("command", "family"), [(0x20, 0x00), (0x20, 0x11), (0x21, 0x00), (0x21, 0x31)])
def test_the_balancers_own_connection_and_other_families_have_no_source(command, family):
    assert source_of(header(command, family), V4) is None


@pytest.mark.parametrize(
    "bad",
    [
        header(signature=b"GET / HTTP/1"),
        header(command=0x11),
        header(command=0x22),
        header(length=MAX_BODY_BYTES + 1),
        b"\x01\x00\x00\x00\x00\xcd" + bytes(10),
    ],
)
def test_what_is_no_header_is_refused(bad):
    with pytest.raises(ProtocolError):
        body_length(bad)


def test_addresses_that_are_cut_off_are_refused():
    with pytest.raises(ProtocolError):
        source_of(header(length=4), V4[:4])


@given(st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES), st.binary(max_size=300))
def test_hostile_bytes_have_no_other_outcome_than_an_error(head, body):
    try:
        body_length(head)
        source_of(head, body)
    except ProtocolError:
        pass
