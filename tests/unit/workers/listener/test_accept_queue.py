"""How long each connection has waited, told from the length of the kernel's queue."""

import socket

import pytest

from tests.waiting import wait_until
from workers.listener.accept_queue import AcceptQueue, count_waiting


class Port:
    """A listening socket, those who come, and a clock."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.queue = AcceptQueue(lambda: count_waiting(self.listening))
        self.ends = []
        self.waiting = 0
        self.taken = 0
        self.now = 1000.0

    def come(self):
        self.ends.append(socket.create_connection(self.listening.getsockname()))
        self.waiting += 1
        wait_until(lambda: self.queue._length() == self.waiting, "the kernel has queued it")

    def take(self):
        self.ends.append(self.listening.accept()[0])
        self.waiting -= 1
        self.taken += 1

    def look(self, seconds=0.0):
        """Look after some seconds, once a quarter as the doorman does. Return the longest wait."""
        for _ in range(int(seconds * 4)):
            self.now += 0.25
            self.queue.look(self.now, lambda: self.taken)
        if not seconds:
            self.queue.look(self.now, lambda: self.taken)
        return self.queue.longest_wait_seconds


@pytest.fixture
def port():
    made = Port()
    yield made
    for end in (made.listening, *made.ends):
        end.close()


def test_nobody_waits(port):
    assert port.look(5) == 0


def test_the_oldest_counts(port):
    port.come()
    port.look()
    assert port.look(3) == 3
    port.come()
    assert port.look(2) == 5


def test_when_the_oldest_is_taken_the_next_counts(port):
    port.come()
    port.look(4)
    port.come()
    port.look()
    port.look(2)
    port.take()
    assert port.look() == 2
    port.take()
    assert port.look() == 0


def test_one_who_came_when_another_was_taken_is_young(port):
    """The length alone does not show it: it was 1 and is 1."""
    port.come()
    assert port.look(9) == 8.75
    port.take()
    port.come()
    assert port.look() == 0


def test_a_queue_that_is_never_empty_but_moves_on_makes_nobody_old(port):
    port.come()
    port.come()
    for _ in range(20):
        port.look(1)
        port.take()
        port.come()
        assert port.look() <= 1


def test_one_that_is_taken_but_not_counted_yet_makes_nobody_older_for_long(port):
    port.come()
    port.look(4)
    port.come()
    port.take()
    port.taken -= 1
    port.look()
    port.taken += 1
    assert port.look() == 0


def test_a_frozen_gateway_has_made_nobody_wait(port):
    port.come()
    port.look()
    port.now += 3600
    assert port.look() == 1


def test_a_connection_that_is_gone_again_still_waits_until_it_is_accepted(port):
    port.come()
    port.ends[-1].close()
    port.look()
    assert port.look(3) == 3
