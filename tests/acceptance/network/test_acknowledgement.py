"""What has come of a message is acknowledged at once: a sender with Nagle's algorithm holds the rest back till then."""

import socket
import statistics
import struct
import time

import pytest

from tests.acceptance.network.wire import ACCEPTED, DATA, RecordWire, SecureWire, Wire, client_context
from tests.unit.association.association_peer import echo_rq

_DELAYED_SECONDS = 0.04
"""How long Linux waits with an acknowledgement at least, if it does (TCP_DELACK_MIN)."""
_MESSAGES = 100


def seconds_until_acknowledged(connection):
    began = time.monotonic()
    while unacknowledged(connection):
        assert time.monotonic() < began + 10
    return time.monotonic() - began


def unacknowledged(connection):
    """Return how many segments the other end has not acknowledged: tcpi_unacked (linux/tcp.h, struct tcp_info)."""
    return struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28), 24)[0]


def usual_wait(wire):
    """Send messages, each in two pieces. Return how long the first of them waits to be acknowledged.

    After an answer of ours the kernel counts on the next one to carry the acknowledgement. At the beginning of a
    connection it acknowledges up to 16 segments at once by itself, and a busy machine makes any of them wait: a quarter
    of them must not.
    """
    assert wire.associate()[0] == ACCEPTED
    waits = []
    for number in range(1, _MESSAGES + 1):
        message = echo_rq(number)
        wire.send(message[:40])
        waits.append(seconds_until_acknowledged(wire.socket))
        assert wire.send(message[40:]).receive()[0] == DATA
    return statistics.quantiles(waits, n=4)[0]


def usual_wait_of_records(wire):
    """The same for messages in one record of TLS that comes in two pieces: nothing can be read of the first."""
    assert wire.associate()[0] == ACCEPTED
    waits = []
    for number in range(1, _MESSAGES + 1):
        record = wire.encrypt(echo_rq(number))
        wire.socket.sendall(record[:40])
        waits.append(seconds_until_acknowledged(wire.socket))
        wire.socket.sendall(record[40:])
        assert wire.receive()[0] == DATA
    return statistics.quantiles(waits, n=4)[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_part_of_a_message_is_acknowledged_at_once(gateway, host):
    with Wire(gateway.port, host) as wire:
        assert usual_wait(wire) < _DELAYED_SECONDS / 2


def test_within_tls_too(make_tls_gateway, authority):
    with SecureWire(make_tls_gateway().port, client_context(authority)) as wire:
        assert usual_wait(wire) < _DELAYED_SECONDS / 2


def test_a_part_of_a_record_of_tls_is_acknowledged_at_once(make_tls_gateway, authority):
    with RecordWire(make_tls_gateway().port, client_context(authority)) as wire:
        assert usual_wait_of_records(wire) < _DELAYED_SECONDS / 2
