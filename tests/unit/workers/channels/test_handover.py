"""Connections on their way from one process to another."""

import contextlib
import os
import socket

import pytest

from workers.channels.handover import ConnectionQueue


@pytest.fixture
def queue():
    with ConnectionQueue() as made:
        yield made


@pytest.fixture
def connected():
    with socket.create_server(("127.0.0.1", 0)) as listening, contextlib.ExitStack() as stack:

        def connect():
            client = stack.enter_context(socket.create_connection(listening.getsockname()))
            return client, stack.enter_context(listening.accept()[0])

        yield connect


def test_a_connection_outlives_the_process_that_hands_it_over(queue, connected):
    client, accepted = connected()
    if not (pid := os.fork()):
        queue.put(accepted)
        os._exit(0)
    os.waitpid(pid, 0)
    accepted.close()
    client.sendall(b"hello")
    with queue.take() as taken:
        assert taken.recv(5) == b"hello"
        taken.sendall(b"world")
    assert client.recv(5) == b"world"


def test_the_oldest_comes_first_and_they_are_counted(queue, connected):
    pairs = [connected() for _ in range(3)]
    for number, (client, accepted) in enumerate(pairs):
        client.sendall(bytes([number]))
        assert queue.put(accepted)
    for number in range(3):
        assert queue.waiting == 3 - number
        with queue.take() as taken:
            assert taken.recv(1) == bytes([number])
    assert queue.take() is None
    assert queue.waiting == 0


def test_a_full_queue_takes_no_more(queue, connected):
    _, accepted = connected()
    count = 0
    while queue.put(accepted):
        count += 1
    assert count >= 256, "the doorman may keep so many"
    while (taken := queue.take()) is not None:
        taken.close()
        count -= 1
    assert count == 0
