"""The opening of a connection, looked at in the buffer of the kernel."""

import contextlib
import socket
import struct
import threading

import pytest

from oxidicom.association.access import parse_allowed_peers
from oxidicom.association.opening import Opening
from tests.unit.association.association_peer import CT, EXPLICIT, associate_rq
from tests.waiting import wait_until
from workers.listener.arrival import Arrival
from workers.listener.connections import peer_of

REQUEST = associate_rq()


@pytest.fixture
def connect():
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def connected(**opening):
            client = stack.enter_context(socket.create_connection(listening.getsockname()))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted = stack.enter_context(listening.accept()[0])
            return client, Arrival(accepted, peer_of(accepted), Opening(**opening))

        yield connected


def low_water(arrival):
    return arrival.connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


def test_it_is_whole_with_its_last_byte_and_nothing_is_read(connect):
    client, arrival = connect()
    assert not arrival.is_whole()
    assert arrival.is_silent
    for byte in REQUEST[:-1]:
        client.sendall(bytes([byte]))
        assert not arrival.is_whole()
    client.sendall(REQUEST[-1:])
    wait_until(arrival.is_whole, "the last byte")
    assert not arrival.is_silent
    assert arrival.release().recv(len(REQUEST), socket.MSG_WAITALL) == REQUEST


def test_it_is_given_on_as_it_came(connect):
    client, arrival = connect()
    client.sendall(REQUEST[:10])
    assert not arrival.is_whole(0.1)
    assert low_water(arrival) == len(REQUEST)
    arrival.release()
    assert low_water(arrival) == 1


@pytest.mark.parametrize("first", [0, 1, 10])
def test_who_hangs_up_is_not_waited_for(connect, first):
    client, arrival = connect()
    client.sendall(REQUEST[:first])
    client.shutdown(socket.SHUT_WR)
    assert arrival.is_whole(60)


def test_who_is_lost_is_not_waited_for(connect):
    client, arrival = connect()
    client.sendall(REQUEST[:10])
    assert not arrival.is_whole()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert arrival.is_whole(60)


def test_who_may_not_be_here_is_not_waited_for(connect):
    _, arrival = connect(allowed_peers=parse_allowed_peers("PACS@10.1.2.0/24"))
    assert arrival.is_whole()


def test_more_than_the_kernel_keeps_by_itself_may_be_waited_for(connect):
    syntaxes = [EXPLICIT, *(f"1.2.840.10008.1.2.{number}" for number in range(1000, 1200))]
    request = associate_rq(contexts=[(number, CT, syntaxes) for number in range(1, 256, 2)])
    client, arrival = connect()
    client.sendall(request[:6])
    assert not arrival.is_whole(0.1)
    sender = threading.Thread(target=client.sendall, args=(request[6:],))
    sender.start()
    assert arrival.is_whole(60)
    assert arrival.release().recv(len(request), socket.MSG_WAITALL) == request
    sender.join()
